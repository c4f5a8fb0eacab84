//! What must hold for any bytes as a segment of the log, and as the payloads of its records: what is sound is read,
//! what is not is said, a second start finds what the first one left, and a seal keeps what the replay has brought.

use super::disk::SimDisk;
use super::library;
use sealine_base::clock::ManualClock;
use sealine_base::vfs::Vfs;
use sealine_store::parts::wal::{self, RecordHeader, SegmentName, dump_record};
use sealine_store::{ReplayError, Store, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 2023-11-14.
const NOW_MS: i64 = 1_699_920_000_000;

/// The segment that the bytes are in.
const NAME: SegmentName = SegmentName { generation: 1, sequence: 0 };

/// Panics where a rule is broken.
pub fn check(bytes: &[u8]) {
    for segment in [bytes.to_vec(), with_checksums(bytes), of_payloads(bytes)] {
        let records = replays_alike(&segment);
        if records > 0 {
            opens_and_seals(&segment);
        }
    }
}

fn root() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder, for the store's lock")
}

/// The segment on a disk of its own.
fn on_disk(root: &Path, segment: &[u8]) -> (SimDisk, PathBuf) {
    let (disk, dir) = (SimDisk::new(root), root.join("wal"));
    disk.create_dir_all(&dir).expect("the disk is empty");
    disk.create(&dir.join(NAME.to_string())).and_then(|mut file| file.append(segment)).expect("the disk is empty");
    (disk, dir)
}

/// Replays twice; how many records there were.
fn replays_alike(segment: &[u8]) -> usize {
    let (disk, dir) = on_disk(Path::new("/s"), segment);
    let replay = || {
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        let replayed =
            wal::replay(&disk, &dir, Path::new("/s/quarantine"), |record| payloads.push(record.payload.into()));
        replayed.map(|replayed| (payloads, replayed))
    };
    let path = dir.join(NAME.to_string());
    let dumped = wal::dump(&disk, &path, |_, _, record| {
        let mut shown = Vec::new();
        dump_record(record, &mut shown).expect("a vector takes all");
    });
    dumped.expect("the disk can be read");
    let (payloads, replayed) = match replay() {
        Ok(replayed) => replayed,
        Err(ReplayError::Version { .. }) => return 0,
        Err(error) => panic!("the disk can be read and written: {error}"),
    };
    assert_eq!(payloads.len() as u64, replayed.records);
    assert!(replayed.bytes + replayed.torn_bytes <= segment.len() as u64, "no byte is read twice");
    let (again, second) = replay().expect("as the first time");
    assert_eq!((again, second.torn_bytes), (payloads, 0), "the second start finds what the first one left");
    replayed.records as usize
}

type Bits = BTreeMap<String, Vec<(i64, u64)>>;

fn read(store: &Arc<Store>) -> Bits {
    let bits = |samples: Vec<(i64, f64)>| samples.into_iter().map(|(at, value)| (at, value.to_bits())).collect();
    library::read(store, i64::MIN, i64::MAX).into_iter().map(|(labels, samples)| (labels, bits(samples))).collect()
}

fn opens_and_seals(segment: &[u8]) {
    let root = root();
    let (disk, _) = on_disk(root.path(), segment);
    let mut config = library::config(root.path());
    config.naming.db_label = true; // databases may share what else a series is known by
    let open = || library::open_on_result(disk.shared(), &config, &ManualClock::at(NOW_MS));
    let store = match open() {
        Ok(store) => store,
        Err(StoreError::Replay(ReplayError::Version { .. })) => return,
        Err(error) => panic!("the store does not open: {error}"),
    };
    let before = read(&store);
    store.seal().expect("the disk takes it");
    assert_eq!(read(&store), before, "sealed (left) and in memory");
    drop(store);
    let store = open().expect("it has opened before");
    assert_eq!(read(&store), before, "opened again (left) and in memory");
}

/// A segment's header, as docs/format/wal.md has it.
fn header() -> Vec<u8> {
    let mut bytes = b"SEALWAL\0\x01\0\0\0".to_vec();
    bytes.extend_from_slice(&NAME.generation.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// The bytes with headers whose checksums match, wherever what looks like a record's header stands.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut segment = header();
    segment.extend_from_slice(bytes.get(segment.len()..).unwrap_or_default());
    let mut at = 24;
    while at + 32 <= segment.len() {
        if segment[at..at + 4] != *b"SLRC" {
            at += 1;
            continue;
        }
        let length = segment[at + 4..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b) as usize);
        let Some(payload) = segment.get(at + 32..at + 32 + length) else {
            at += 1;
            continue;
        };
        let crc = crc32c::crc32c(payload);
        segment[at + 24..at + 28].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32c::crc32c(&segment[at..at + 28]);
        segment[at + 28..at + 32].copy_from_slice(&crc.to_le_bytes());
        at += 32 + length;
    }
    segment
}

/// A sound segment: a byte is the length of a record, that many bytes its payload.
fn of_payloads(bytes: &[u8]) -> Vec<u8> {
    let (mut segment, mut rest, mut lsn) = (header(), bytes, 1);
    while let Some((length, behind)) = rest.split_first() {
        let (payload, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        let payload_crc = crc32c::crc32c(payload);
        let header = RecordHeader { length: payload.len() as u32, lsn, durable: lsn - 1, payload_crc };
        segment.extend_from_slice(&header.encode());
        segment.extend_from_slice(payload);
        (rest, lsn) = (behind, lsn + 1);
    }
    segment
}
