//! The story: a disk gives back other bytes than it was given. Bits of a chunk file and of the log are flipped one at a
//! time, files are cut at every length, words are overwritten with ones, and each time the store is opened and asked for
//! all that it has. What it answers is what was written; what is missing was touched by the damage, and is told: in the
//! warnings of the answer, by a counter, by a copy in quarantine.
//!
//! It would fail where a checksum covers too little or is not looked at, where a length is believed, or where damage costs
//! more than what it touched.
//!
//! An ordinary run takes samples of it; `make corrupt` does all.
#![expect(clippy::disallowed_methods, reason = "the story damages what is really there")]

use crate::support::library::{Content, config, write};
use crate::support::seed;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sealine_base::causes;
use sealine_base::clock::ManualClock;
use sealine_base::vfs::DiskVfs;
use sealine_model::{MatchOp, Matcher, Samples, Source};
use sealine_store::Store;
use sealine_store::parts::disk::{ChunkFile, FileName, Volume};
use sealine_store::parts::wal;
use sealine_telemetry::Telemetry;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 2023-11-14 01:00:00 UTC.
const START_MS: i64 = 1_699_923_600_000;

const SERIES: i64 = 5;

/// Samples of each series in the chunk file: more than a chunk holds.
const SAMPLES: i64 = 700;

/// Random bits of what is no header, footer or index: in all, and in an ordinary run.
const RANDOM_BITS: [usize; 2] = [10_000, 150];

/// Every such bit of headers, footers and indexes, and every such length, in an ordinary run.
const EVERY: usize = 41;

fn all() -> bool {
    std::env::var_os("SEALINE_CORRUPT_ALL").is_some()
}

/// All of these, or some in an ordinary run: each time others.
fn some_of(range: Range<usize>) -> impl Iterator<Item = usize> {
    let step = if all() { 1 } else { EVERY };
    let first = if all() { 0 } else { rand::random_range(0..EVERY) };
    range.skip(first).step_by(step)
}

/// A folder in memory where there is one: the story is about bytes, not about syncs.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for the test")
}

/// What the store came up with.
struct Answer {
    content: Content,
    warnings: Vec<String>,
    quarantined: u64,
}

/// Opens the store and asks for everything. An error is a sentence with its causes.
fn ask(data: &Path) -> Result<Answer, String> {
    let telemetry = Telemetry::new();
    let clock = ManualClock::at(START_MS + 3_600_000);
    let store = Store::open(DiskVfs::shared(), clock, config(data).store_options(), telemetry.clone());
    let store = store.map_err(|error| causes::sentence(&error))?;
    let any = Matcher::new("__name__", MatchOp::Regex, ".+").expect("a plain expression");
    let reader = store.reader(None);
    let selection = reader.select(&[any], i64::MIN, i64::MAX).map_err(|error| causes::sentence(&error))?;
    let (mut content, mut samples) = (Content::new(), Samples::default());
    for index in 0..selection.len() {
        selection.read(index, i64::MIN, i64::MAX, &mut samples).map_err(|error| causes::sentence(&error))?;
        let pairs: Vec<(i64, f64)> = samples.times.iter().copied().zip(samples.values.iter().copied()).collect();
        if !pairs.is_empty() {
            content.insert(selection.labels(index).to_string(), pairs);
        }
    }
    Ok(Answer { content, warnings: selection.warnings(), quarantined: telemetry.disk.quarantined.get() })
}

/// Series that do not have all that they should; fails where one has something else.
fn incomplete(what: &str, content: &Content, want: &Content) -> Vec<String> {
    for (series, samples) in content {
        let wanted: BTreeMap<i64, u64> = want[series].iter().map(|(time, value)| (*time, value.to_bits())).collect();
        for (time, value) in samples {
            assert_eq!(wanted.get(time), Some(&value.to_bits()), "{what}: {series} at {time} is {value}");
        }
    }
    want.iter().filter(|(series, samples)| content.get(*series) != Some(samples)).map(|(s, _)| s.clone()).collect()
}

/// Lines of one point, with values that take many bits.
fn store_with(data: &Path) -> Arc<Store> {
    let clock = ManualClock::at(START_MS + 3_600_000);
    Store::open(DiskVfs::shared(), clock, config(data).store_options(), Telemetry::new()).expect("the folder is new")
}

fn line(series: i64, number: i64, rng: &mut StdRng) -> String {
    let value: f64 = rng.random_range(-1e9..1e9);
    format!("m,host=h{series},dc=eu v={value} {}\n", START_MS + number * 1000)
}

/// A chunk file, `archived` or not: where it is, its bytes, what is in it, and where its chunks lie.
fn chunk_file(data: &Path, archived: bool, rng: &mut StdRng) -> (PathBuf, Vec<u8>, Content, Range<usize>) {
    let store = store_with(data);
    let points = (0..SAMPLES).flat_map(|number| (0..SERIES).map(move |series| (series, number)));
    write(&store, &points.map(|(series, number)| line(series, number, rng)).collect::<String>());
    store.seal().expect("the store seals");
    if archived {
        assert_eq!(store.archive(true, &|| true).expect("it archives").archived, 1);
    }
    drop(store);
    let day = data.join("db/story/2023-11-14");
    let path = fs::read_dir(&day).expect("the day has a folder").next().expect("it has a file").expect("listed").path();
    let bytes = fs::read(&path).expect("the file is there");
    let name = FileName { first: 1, last: 1 };
    let file = ChunkFile::found(Volume::unbounded(DiskVfs::shared()), path.clone(), name, bytes.len() as u64);
    let info = file.info().expect("it is sound");
    assert_eq!(
        info.chunks,
        if archived { SERIES as u64 } else { 2 * SERIES as u64 },
        "a block a series, or two chunks"
    );
    let entries_at = info.entries_at as usize;
    (path, bytes, ask(data).expect("all is sound").content, 12..entries_at)
}

/// Puts these bytes in the place of the file, asks, and looks at what comes. `series_max`: how many series may suffer.
fn check_file(what: &str, data: &Path, path: &Path, bytes: &[u8], want: &Content, series_max: usize) -> usize {
    fs::write(path, bytes).expect("the file can be written");
    let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
    let lost = match ask(data) {
        Ok(answer) => {
            let lost = incomplete(what, &answer.content, want);
            assert!(lost.len() <= series_max, "{what}: {lost:?}");
            assert_eq!(lost.is_empty(), answer.warnings.is_empty(), "{what}: {lost:?} {:?}", answer.warnings);
            for warning in &answer.warnings {
                assert!(warning.contains(&name) && warning.contains("at byte"), "{what}: {warning}");
            }
            let moved = !path.exists();
            assert_eq!(answer.quarantined, u64::from(moved), "{what}: set aside is counted");
            if moved {
                let again = ask(data).expect("the file is out of the way");
                assert!(again.warnings.len() == 1 && again.warnings[0].contains(&name), "{what}: {:?}", again.warnings);
            }
            lost.len()
        }
        Err(error) => {
            assert!(error.contains(&name) && error.contains("has format version"), "{what}: {error}");
            want.len()
        }
    };
    let _ = fs::remove_dir_all(data.join("quarantine"));
    lost
}

#[test]
fn damage_to_a_chunk_file_costs_what_it_touches_and_is_told() {
    damage_costs_what_it_touches(false);
}

#[test]
fn damage_to_an_archive_costs_what_it_touches_and_is_told() {
    damage_costs_what_it_touches(true);
}

fn damage_costs_what_it_touches(archived: bool) {
    let (seed, data) = (seed(), folder());
    let mut rng = StdRng::seed_from_u64(seed);
    let (path, whole, want, chunks) = chunk_file(data.path(), archived, &mut rng);
    assert!(want.len() == SERIES as usize && chunks.len() > 10_000, "{} bytes of chunks", chunks.len());
    let flipped = |bit: usize| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let check = |what: &str, bytes: &[u8], max: usize| check_file(what, data.path(), &path, bytes, &want, max);
    assert_eq!(check("nothing", &whole, 0), 0);
    let around = (0..chunks.start * 8).chain(chunks.end * 8..whole.len() * 8).collect::<Vec<_>>();
    for at in some_of(0..around.len()) {
        check(&format!("bit {} of {}", around[at], path.display()), &flipped(around[at]), SERIES as usize);
    }
    for _ in 0..RANDOM_BITS[usize::from(!all())] {
        let bit = rng.random_range(chunks.start * 8..chunks.end * 8);
        assert_eq!(check(&format!("bit {bit} of a chunk"), &flipped(bit), 1), 1, "bit {bit} goes by unseen");
    }
    for length in some_of(0..whole.len()).step_by(if all() { 1 } else { 5 }) {
        check(&format!("cut at {length}"), &whole[..length], SERIES as usize);
    }
    for at in some_of(chunks.end..whole.len() - 4) {
        let mut bytes = whole.clone();
        bytes[at..at + 4].fill(0xFF);
        check(&format!("ones at {at}"), &bytes, SERIES as usize);
    }
}

/// What a request wrote: a series, a time and a value.
type Written = (String, (i64, f64));

/// The log of some requests, each of one line: its segment, the bytes, what each request wrote, and where its record is.
fn log(data: &Path, rng: &mut StdRng) -> (PathBuf, Vec<u8>, Vec<Written>, Vec<Range<usize>>) {
    let store = store_with(data);
    let mut requests = Vec::new();
    for number in 0..40 {
        let line = line(number % SERIES, number, rng);
        write(&store, &line);
        let value = line.split(['=', ' ']).nth(4).expect("v=").parse().expect("a number");
        let series = format!("m_v{{dc=\"eu\", host=\"h{}\"}}", number % SERIES);
        requests.push((series, (START_MS + number * 1000, value)));
    }
    drop(store);
    let path = data.join("wal/0000000001-000000.wal");
    let bytes = fs::read(&path).expect("the segment is there");
    let mut records = Vec::new();
    let dumped = wal::dump(&DiskVfs, &path, |offset, header, _| {
        records.push(offset as usize..offset as usize + 32 + header.length as usize);
    });
    dumped.expect("the log is sound");
    assert_eq!(records.len(), requests.len());
    (path, bytes, requests, records)
}

/// The content that requests come to.
fn content<'a>(requests: impl IntoIterator<Item = &'a Written>) -> Content {
    let mut content = Content::new();
    for (series, sample) in requests {
        content.entry(series.clone()).or_default().push(*sample);
    }
    content
}

#[test]
fn damage_to_the_log_costs_the_records_that_it_touches_and_is_told() {
    let (seed, data) = (seed(), folder());
    let mut rng = StdRng::seed_from_u64(seed);
    let (path, whole, requests, records) = log(data.path(), &mut rng);
    let ask_about = |bytes: &[u8]| {
        let _ = fs::remove_dir_all(data.path().join("quarantine"));
        fs::write(&path, bytes).expect("the segment can be written");
        let answer = ask(data.path());
        let copied = data.path().join("quarantine").join(path.file_name().expect("a name")).exists();
        answer.map(|answer| (answer.content, answer.quarantined, copied))
    };
    let (found, ..) = ask_about(&whole).expect("the log is sound");
    assert_eq!(found, content(&requests), "what the story itself believes");

    for bit in some_of(0..whole.len() * 8) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (found, quarantined, copied) = ask_about(&bytes).unwrap_or_else(|error| panic!("bit {bit}: {error}"));
        let hit = records.iter().position(|record| record.contains(&(bit / 8)));
        // Lines of a series whose row the record would have defined cannot be told apart any more.
        let gone = |number: usize| {
            hit.is_some_and(|hit| number == hit || hit < SERIES as usize && number % SERIES as usize == hit)
        };
        let want = content(requests.iter().enumerate().filter(|(number, _)| !gone(*number)).map(|(_, r)| r));
        assert_eq!(found, want, "bit {bit}, in record {hit:?}");
        let torn = hit == Some(records.len() - 1); // rot of the last record is taken for a torn tail
        assert_eq!((quarantined, copied), (u64::from(!torn), !torn), "bit {bit}, in record {hit:?}");
    }
    for length in some_of(0..whole.len()) {
        let (found, quarantined, copied) =
            ask_about(&whole[..length]).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
        let there = records.iter().take_while(|record| record.end <= length).count();
        assert_eq!(found, content(&requests[..there]), "cut at {length}");
        assert_eq!((quarantined, copied), (0, false), "cut at {length}: a torn tail is no damage");
    }
    for record in &records {
        let mut bytes = whole.clone();
        bytes[record.start + 4..record.start + 8].fill(0xFF); // the length
        let (found, ..) = ask_about(&bytes).unwrap_or_else(|error| panic!("length at {}: {error}", record.start));
        incomplete("a length of 4 GiB", &found, &content(&requests));
    }
}

#[test]
fn a_merge_that_meets_damage_leaves_the_file_alone_from_then_on() {
    let (seed, data) = (seed(), folder());
    let mut rng = StdRng::seed_from_u64(seed);
    let (path, mut bytes, ..) = chunk_file(data.path(), false, &mut rng);
    let store = store_with(data.path());
    write(&store, &line(0, SAMPLES, &mut rng));
    store.seal().expect("the store seals");
    drop(store);
    bytes[20] ^= 1;
    fs::write(&path, &bytes).expect("the file can be written");
    let clock = ManualClock::at(START_MS + 100 * 3_600_000);
    let mut config = config(data.path());
    config.merge.fan_in = 2;
    let telemetry = Telemetry::new();
    let store =
        Store::open(DiskVfs::shared(), clock, config.store_options(), telemetry.clone()).expect("the store opens");
    let error = store.maintain(&|| true).expect_err("the first merge meets it").to_string();
    assert!(error.contains("is damaged at byte 12"), "{error}");
    for _ in 0..3 {
        let done = store.maintain(&|| true).expect("it is left alone now");
        assert_eq!((done.merged, done.archived), (0, 0));
    }
    assert_eq!(telemetry.disk.merge_failures.get(), 1);
    assert!(path.exists());
}
