//! The format pages show real bytes: each example in docs/format is written again by the code that writes the files,
//! and compared byte for byte. Page and code cannot part without this test saying so.
//!
//! An example is a fenced block whose first line is `hex` and a name. A line of it is bytes as pairs of hex digits,
//! then, behind a semicolon, what they mean.

use sealine::config::{Config, Flags};
use sealine_base::clock::ManualClock;
use sealine_base::vfs::{DiskVfs, SharedVfs};
use sealine_codec::block::{self, Block, Reference};
use sealine_codec::gorilla::{self, Chunk};
use sealine_codec::lines::LineWriter;
use sealine_lineproto::Precision;
use sealine_model::{Labels, NS_PER_MS, TimeUnit};
use sealine_store::Store;
use sealine_store::parts::disk::{ChunkFile, ChunkFileWriter, FileName, Volume, verify_file};
use sealine_telemetry::Telemetry;
use std::fs;
use std::path::Path;

/// The first millisecond of the partition in the examples, 2023-11-14.
const MIDNIGHT: i64 = 1_699_920_000_000;

/// The bytes of the block `name` of a page.
fn example(page: &str, name: &str) -> Vec<u8> {
    let opening = format!("```hex {name}\n");
    let (_, block) = page.split_once(&opening).unwrap_or_else(|| panic!("no block `{opening}`"));
    let (block, _) = block.split_once("\n```").expect("a block ends with a fence");
    let digits = |line: &str| line.split(';').next().unwrap_or("").replace(' ', "");
    unhex(&block.lines().map(digits).collect::<String>())
}

fn unhex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "half a byte in `{digits}`");
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("`{pair}` is not hex"))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn assert_example(page: &str, name: &str, written: &[u8]) {
    assert_eq!(hex(&example(page, name)), hex(written), "the page's `{name}` (left) against what is written (right)");
}

fn chunk(times: &[i64], values: &[f64]) -> Chunk {
    let mut chunks = gorilla::chunks(times, values);
    assert_eq!(chunks.len(), 1);
    chunks.remove(0)
}

#[test]
fn lines_are_as_docs_format_lines_md_shows_them() {
    let mut writer = LineWriter::default();
    writer.push(1000 * NS_PER_MS, &[(0, 58.0), (1, -1.0), (2, 0.5), (3, f64::MAX)]);
    writer.push(1010 * NS_PER_MS, &[(3, 0.0)]);
    assert_example(include_str!("../../docs/format/lines.md"), "lines", writer.bytes());
}

#[test]
fn a_chunk_is_as_docs_format_chunk_md_shows_it() {
    let page = include_str!("../../docs/format/chunk.md");
    assert_example(page, "chunk", &chunk(&[1000, 1010, 1020].map(|ms| ms * NS_PER_MS), &[1.0, 1.0, 2.0]).bytes);
    assert_example(page, "chunk of nanoseconds", &chunk(&[1_000_000_001, 1_000_999_999], &[1.0, 1.0]).bytes);
}

#[test]
fn a_block_is_as_docs_format_block_md_shows_it() {
    let page = include_str!("../../docs/format/block.md");
    let block = |times: &[i64], values: &[f64]| -> Block { block::encode(times, values).unwrap().remove(0) };
    let (times, others) = ([1, 11, 21, 31].map(|s| s * 1000 * NS_PER_MS), [20.5, 21.0, 20.5, 21.5]);
    assert_example(page, "block", &block(&times, &others).bytes);
    assert_example(page, "irregular block", &block(&[1000, 1010, 1030].map(|ms| ms * NS_PER_MS), &[1.0; 3]).bytes);
    let length = block(&times, &others).bytes.len();
    let reference = Reference { back: length as u64 + 4, length };
    let over =
        block::encode_over(TimeUnit::Seconds, &times, &others.map(|value| 100.0 - value), &others, reference).unwrap();
    assert_example(page, "block over another", &over.bytes);
}

/// The log of a store that got two requests: the second one needs no definition.
#[test]
fn a_segment_is_as_docs_format_wal_md_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("SEALINE__DATA_DIR".into(), dir.path().as_os_str().to_os_string())];
    let config = Config::load(None, env, &Flags::default()).unwrap();
    let clock = ManualClock::at(MIDNIGHT + 60_000);
    let store = Store::open(DiskVfs::shared(), clock, config.store_options(), Telemetry::new()).unwrap();
    for body in [
        "cpu,host=a user=1.5,idle=98 1699920000000\ncpu,host=b user=2,idle=97 1699920000000\n",
        "cpu,host=a user=1.5,idle=98 1699920010000\n",
    ] {
        let mut stage = store.stage("d", Precision::Milliseconds).unwrap();
        stage.add(body.as_bytes(), 1);
        let (batch, report) = stage.finish();
        assert_eq!(report.refused, 0, "{:?}", report.first);
        store.append_blocking(batch).unwrap();
    }
    let segment = read(&dir.path().join("wal/0000000001-000000.wal"));
    assert_example(include_str!("../../docs/format/wal.md"), "segment", &segment);
}

/// Three series of two metrics over two tag sets, one of them in two chunks.
fn write_example(vfs: &SharedVfs, dir: &Path) -> ChunkFile {
    let sets = ["a", "b"].map(|host| Labels::from_pairs([("host", host)]));
    let name = FileName { first: 1, last: 1 };
    let mut writer =
        ChunkFileWriter::create(Volume::unbounded(vfs.clone()), dir, name, MIDNIGHT / 86_400_000, false, false)
            .unwrap();
    let times = |first: i64| [first, first + 10_000].map(|at| (MIDNIGHT + at) * NS_PER_MS);
    let idle_a = [chunk(&times(0), &[98.0, 98.0]), chunk(&times(20_000), &[98.0, 97.0])];
    writer.series("cpu_idle", 0, idle_a.iter()).unwrap();
    writer.series("cpu_idle", 1, [chunk(&times(0), &[97.0, 97.0])].iter()).unwrap();
    writer.series("cpu_user", 0, [chunk(&[MIDNIGHT * NS_PER_MS], &[1.5])].iter()).unwrap();
    writer.finish("d", &sets.iter().collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_chunk_file_is_as_docs_format_chunks_md_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let file = write_example(&vfs, dir.path());
    assert_eq!(file.path().file_name().unwrap(), "0000000001-0000000001.chunks");
    assert_eq!(verify_file(&vfs, file.path()), (vec![], 7));
    assert_example(include_str!("../../docs/format/chunks.md"), "chunk file", &read(file.path()));
}

#[expect(clippy::disallowed_methods, reason = "a test looks at what the daemon wrote")]
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
