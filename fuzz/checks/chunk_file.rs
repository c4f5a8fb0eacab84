//! What must hold for any bytes as a chunk file: what is damaged is said to be, what is not is read the same each way,
//! memory follows the length of the file, and a merge reads what a query reads. Checksums would keep the fuzzer out, so
//! the bytes are also read with all checksums made to match.

use super::disk::SimDisk;
use sealine_base::vfs::{SharedVfs, Vfs};
use sealine_codec::Overlay;
use sealine_codec::varint;
use sealine_model::{LabelView, LimitedSet, MatchOp, Matcher, Samples, TimeUnit};
use sealine_store::parts::disk::{
    self, ChunkFile, FileIndex, FileName, FileSelection, TRAILER_BYTES, Volume, merge, verify_file,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the file is.
const DIR: &str = "/d";

const NAME: FileName = FileName { first: 1, last: 1 };

/// Panics where a rule is broken.
pub fn check(bytes: &[u8]) {
    read_each_way(bytes);
    if let Some(sound) = with_checksums(bytes) {
        read_each_way(&sound);
    }
}

/// The bytes on a disk of their own.
fn on_disk(bytes: &[u8]) -> (SharedVfs, PathBuf) {
    let (disk, path) = (SimDisk::new(Path::new(DIR)), Path::new(DIR).join(NAME.to_string()));
    disk.create(&path).and_then(|mut file| file.append(bytes)).expect("the disk is empty");
    (disk.shared(), path)
}

fn open(bytes: &[u8]) -> ChunkFile {
    let (vfs, path) = on_disk(bytes);
    ChunkFile::found(Volume::unbounded(vfs), path, NAME, bytes.len() as u64)
}

fn read_each_way(bytes: &[u8]) {
    let (vfs, path) = on_disk(bytes);
    let (faults, _) = verify_file(&vfs, &path);
    let mut shown = Vec::new();
    let dumped = disk::dump(&vfs, &path, &mut shown).map(|written| written.expect("a vector takes all"));
    let file = Arc::new(open(bytes));
    let Ok((metrics, sets)) = file.index().map(|index| (index.column_count(), index.set_count())) else {
        assert!(!faults.is_empty() && dumped.is_err(), "a file that cannot be read is damaged");
        return;
    };
    assert!(metrics.max(sets) <= bytes.len(), "{metrics} metrics and {sets} sets in {} bytes", bytes.len());
    assert!(file.memory_bytes().1 <= bytes.len() as u64);
    for set in 0..sets as u32 {
        file.tags(set).expect("the index is there");
    }
    let view = LabelView::default();
    let all = [Matcher::new("host", MatchOp::Regex, ".*").expect("it is an expression")];
    for matchers in [&all[..], &[], &[Matcher::equal("__name__", "cpu_idle"), Matcher::equal("host", "a")]] {
        let selected = file.select(matchers, &view, i64::MIN, i64::MAX);
        bounded(&selected, bytes.len());
        let _ = file.select(matchers, &view, 1_699_920_000_000, 1_699_920_010_000).map(|found| read(&file, &found));
        let _ = file.sets_passing(matchers, &view, i64::MIN, i64::MAX);
    }
    let labels = file.index().map(|index| {
        let mut names = LimitedSet::new(usize::MAX, &|| false);
        index.label_names(&view, None, &mut names);
        names.finish().unwrap_or_default()
    });
    assert!(labels.is_ok_and(|labels| labels.len() <= bytes.len()));

    let mut sound = Vec::new();
    for metric in 0..metrics {
        let found = file.series_of(metric);
        bounded(&found, bytes.len());
        sound.push(found.map(|found| read(&file, &found)).unwrap_or_default());
    }
    if faults.is_empty() {
        assert!(dumped.is_ok() && sound.iter().flatten().all(|series| series.is_some()), "it was said to be sound");
    }
    if file.set_resident(true).is_ok() {
        let again = (0..metrics).map(|metric| file.series_of(metric).map(|found| read(&file, &found)));
        let again: Vec<_> = again.map(Result::unwrap_or_default).collect();
        assert_eq!(again, sound, "out of memory (left) and out of the file");
    }
    for archived in [false, true] {
        let sources = std::slice::from_ref(&file);
        if let Ok(Some(merged)) =
            merge(&Volume::unbounded(vfs.clone()), Path::new(DIR), sources, false, archived, &|| true)
        {
            let (faults, _) = verify_file(&vfs, merged.path());
            assert!(faults.is_empty(), "what a merge has written is damaged: {faults:?}");
        }
    }
}

/// The samples of each series, as bits; `None` for one with a damaged chunk.
fn read(file: &ChunkFile, found: &FileSelection) -> Vec<Option<Vec<(i64, u64)>>> {
    let read = |series| {
        let mut samples = Samples::default();
        let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
        file.read(found.chunks_of(series), i64::MIN, i64::MAX, &mut overlay).ok()?;
        overlay.finish().expect("nothing is finer");
        assert!(samples.times.is_sorted_by(|a, b| a < b), "times increase");
        Some(samples.times.iter().copied().zip(samples.values.iter().map(|value| value.to_bits())).collect())
    };
    found.series.iter().map(read).collect()
}

/// An entry of a chunk takes four bytes, so a selection cannot name more of them.
fn bounded<E>(selection: &Result<FileSelection, E>, bytes: usize) {
    if let Ok(selection) = selection {
        assert!(selection.chunks.len() <= bytes / 4, "{} chunks in {bytes} bytes", selection.chunks.len());
    }
}

/// The bytes with the checksums that docs/format/chunks.md asks for, where they are enough of a file to have them.
fn with_checksums(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let trailer = bytes.len().checked_sub(TRAILER_BYTES)?;
    let number = |bytes: &[u8], at: usize| bytes[at..].first_chunk().map(|b| u64::from_le_bytes(*b) as usize);
    let (entries, index) = (number(&bytes, trailer + 76)?, number(&bytes, trailer + 84)?);
    if !(12 <= entries && entries <= index && index <= trailer) {
        return None;
    }
    let version = if (1..=4).contains(&bytes[trailer + 4]) { bytes[trailer + 4] } else { 4 };
    bytes[..8].copy_from_slice(b"SEALCHNK");
    bytes[8..12].copy_from_slice(&[version, 0, 0, 0]);
    bytes[trailer + 4..trailer + 8].copy_from_slice(&[version, 0, 0, 0]);
    bytes[trailer + 104..].copy_from_slice(b"KNHCLAES");
    if let Some(parsed) = FileIndex::new(bytes[index..trailer].to_vec(), version.into()) {
        sum_blocks(&mut bytes, &parsed, entries, index, trailer);
    }
    sum_ends(&mut bytes, index, trailer);
    sum_chunks(&mut bytes, entries);
    Some(bytes)
}

/// The checksums of the blocks of entries. Their descriptions are what the index ends with.
fn sum_blocks(bytes: &mut [u8], parsed: &FileIndex, entries: usize, index: usize, trailer: usize) {
    let mut end = trailer;
    for metric in (0..parsed.column_count()).rev() {
        let blocks: Vec<_> = (0..parsed.block_count(metric)).map(|block| parsed.block(metric, block)).collect();
        for (number, block) in blocks.iter().enumerate() {
            let after = parsed.block_after(metric, number).map_or(index - entries, |next| next.entries_at as usize);
            let from = (block.entries_at as usize).min(index - entries);
            let crc = crc32c::crc32c(&bytes[entries + from..entries + after.clamp(from, index - entries)]);
            let at = end - 24 * (blocks.len() - number) + 4;
            bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        }
        let mut count = Vec::new();
        varint::push(&mut count, blocks.iter().map(|block| block.series as u64).sum());
        end -= 24 * blocks.len() + count.len();
    }
}

/// The checksums of index and trailer.
fn sum_ends(bytes: &mut [u8], index: usize, trailer: usize) {
    let crc = crc32c::crc32c(&bytes[index..trailer]);
    bytes[trailer + 92..trailer + 96].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[trailer + 4..trailer + 96]);
    bytes[trailer + 100..trailer + 104].copy_from_slice(&crc.to_le_bytes());
}

/// The checksums of the chunks that can be found.
fn sum_chunks(bytes: &mut [u8], entries: usize) {
    let file = open(bytes);
    let metrics = file.index().map(|index| index.column_count()).unwrap_or(0);
    for found in (0..metrics).filter_map(|metric| file.series_of(metric).ok()) {
        for chunk in &found.chunks {
            let (from, to) = (chunk.at as usize, chunk.at as usize + chunk.length);
            if from >= 12 && to + 4 <= entries {
                let crc = crc32c::crc32c(&bytes[from..to]);
                bytes[to..to + 4].copy_from_slice(&crc.to_le_bytes());
            }
        }
    }
}
