//! Logs written by the real writer, damaged in named ways, and read back.
#![expect(clippy::disallowed_methods, reason = "a test damages what is really there")]

use super::*;
use crate::wal::record::RECORD_HEADER_BYTES;
use crate::wal::segment::{SEGMENT_HEADER_BYTES, encode_header, push_record};
use crate::wal::{Dictionary, Entry, Event, Options, SyncPolicy, Wal};
use sealine_base::clock::SystemClock;
use sealine_base::vfs::DiskVfs;
use std::fs;

struct Text(String);

impl Entry for Text {
    fn bytes(&self) -> usize {
        self.0.len()
    }
    fn encode(&mut self, _: &mut Dictionary, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

fn start(dir: &Path, generation: u64, lsn: u64) -> Wal<Text> {
    let options = Options {
        dir: dir.into(),
        sync: SyncPolicy::Always,
        segment_bytes: 400,
        queue_bytes_max: 1 << 20,
        bytes_max: 1 << 30,
        telemetry: sealine_telemetry::Telemetry::new(),
    };
    Wal::start(DiskVfs::shared(), SystemClock::shared(), options, generation, lsn, |event| match event {
        Event::Apply { entries, .. } => entries.into_iter().for_each(|(_, receipt)| receipt.done()),
        Event::Rotated { generation, done } => done.send(Ok(generation)).unwrap(),
    })
    .unwrap()
}

/// Entries `0..count`, a hundred bytes each.
fn write(dir: &Path, count: usize) {
    let wal = start(dir, 1, 1);
    for at in 0..count {
        wal.append(Text(format!("{at:0100}"))).blocking_recv().unwrap().unwrap();
    }
}

fn read(dir: &Path) -> (Vec<usize>, Replayed) {
    let mut entries = Vec::new();
    let replayed = replay(&DiskVfs, dir, &dir.join("quarantine"), |record| {
        entries.push(std::str::from_utf8(record.payload).unwrap().parse().unwrap());
    });
    (entries, replayed.unwrap())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    segments(&DiskVfs, dir).unwrap().into_iter().map(|(name, _)| dir.join(name.to_string())).collect()
}

#[test]
fn a_log_reads_back_over_several_segments_and_generations() {
    let dir = tempfile::tempdir().unwrap();
    {
        let wal = start(dir.path(), 1, 1);
        for at in 0..10 {
            wal.append(Text(at.to_string())).blocking_recv().unwrap().unwrap();
            if at % 4 == 3 {
                wal.rotate().blocking_recv().unwrap().unwrap();
            }
        }
        assert_eq!(wal.forget(0).map_err(|e| e.to_string()), Ok(()));
    }
    let (entries, replayed) = read(dir.path());
    assert_eq!(entries, (0..10).collect::<Vec<_>>());
    assert_eq!((replayed.next_lsn, replayed.last_generation, replayed.torn_bytes), (11, Some(3), 0));
    start(dir.path(), 4, 11).forget(2).unwrap();
    assert_eq!(read(dir.path()).0, [8, 9]);
}

#[test]
fn replay_after_damage_finds_every_record_that_is_whole() {
    let record = RECORD_HEADER_BYTES as u64 + 100;
    let at = |n: u64| SEGMENT_HEADER_BYTES as u64 + n * record;
    type Hurt = Box<dyn Fn(&mut Vec<u8>)>;
    let cut = |len: u64| -> Hurt { Box::new(move |bytes| bytes.truncate(len as usize)) };
    let flip = |at: u64| -> Hurt { Box::new(move |bytes| bytes[at as usize] ^= 1) };
    let zeros = |count: usize| -> Hurt { Box::new(move |bytes| bytes.resize(bytes.len() + count, 0)) };
    // Ten records lie in segments of three: 0 1 2 | 3 4 5 | 6 7 8 | 9.
    for (name, segment, hurt, survivors, torn, damages) in [
        ("nothing", 3, zeros(0), vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0, 0),
        ("torn payload at the end", 3, cut(at(1) - 3), vec![0, 1, 2, 3, 4, 5, 6, 7, 8], record - 3, 0),
        ("torn header at the end", 3, cut(at(0) + 5), vec![0, 1, 2, 3, 4, 5, 6, 7, 8], 5, 0),
        ("zeros behind the end", 3, zeros(5000), vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 5000, 0),
        ("last segment empty", 3, cut(0), vec![0, 1, 2, 3, 4, 5, 6, 7, 8], 0, 0),
        ("last segment with half a header", 3, cut(7), vec![0, 1, 2, 3, 4, 5, 6, 7, 8], 0, 0),
        ("rot in a payload with records behind it", 0, flip(at(1) + 60), vec![0, 2, 3, 4, 5, 6, 7, 8, 9], 0, 1),
        ("rot in a record's header", 0, flip(at(1) + 5), vec![0, 2, 3, 4, 5, 6, 7, 8, 9], 0, 1),
        (
            "rot at the end of a segment that has a successor",
            1,
            flip(at(2) + 60),
            vec![0, 1, 2, 3, 4, 6, 7, 8, 9],
            0,
            1,
        ),
        ("rot in a segment's header", 1, flip(9), vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0, 1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 10);
        let path = &files(dir.path())[segment];
        let mut bytes = fs::read(path).unwrap();
        hurt(&mut bytes);
        fs::write(path, bytes).unwrap();
        let (entries, replayed) = read(dir.path());
        assert_eq!(entries, survivors, "{name}");
        assert_eq!((replayed.torn_bytes, replayed.damages.len()), (torn, damages), "{name}");
        assert_eq!(dir.path().join("quarantine").exists(), damages > 0, "{name}");
        let (again, replayed) = read(dir.path());
        assert_eq!((again, replayed.torn_bytes), (survivors, 0), "{name}, the second time");
    }
}

#[test]
fn a_later_version_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1);
    let path = &files(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    fs::write(path, &bytes).unwrap();
    let error = replay(&DiskVfs, dir.path(), dir.path(), |_| {}).unwrap_err().to_string();
    assert!(error.ends_with("has format version 9, this version reads 1 to 3; it was not touched"), "{error}");
    assert_eq!(fs::read(path).unwrap(), bytes);
}

#[test]
fn every_bit_and_every_length_gives_whole_records_only() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 3);
    let path = &files(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let check = |bytes: &[u8], what: String| {
        fs::write(path, bytes).unwrap();
        let (entries, _) = read(dir.path());
        assert!(entries.is_sorted() && entries.iter().all(|e| *e < 3), "{what}: {entries:?}");
        entries.len()
    };
    for length in 0..whole.len() {
        check(&whole[..length], format!("cut at {length}"));
        fs::write(path, &whole).unwrap(); // an empty one is removed
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if bit / 8 >= 8 && bit / 8 < 12 {
            continue; // the version: guarded by the checksum, so it reads as a rotten header
        }
        assert!(check(&bytes, format!("bit {bit}")) >= 2);
    }
}

#[test]
fn a_generation_without_its_first_segment_was_being_deleted_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 10);
    let all = files(dir.path());
    assert!(all.len() > 2, "{all:?}");
    fs::remove_file(&all[0]).unwrap();
    let (entries, replayed) = read(dir.path());
    assert_eq!((entries, replayed.records, replayed.last_generation), (vec![], 0, Some(1)));
    assert_eq!(replayed.damages, []);
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

/// The only segment of a log: records with these numbers and durable marks, those at `zeroed` being zeros. Each holds its
/// own number.
fn segment(dir: &Path, relaxed: bool, records: &[(u64, u64)], zeroed: &[u64]) {
    let mut bytes = encode_header(1, relaxed).to_vec();
    for (lsn, durable) in records {
        let at = bytes.len();
        push_record(&mut bytes, *lsn, *durable, |out| out.extend_from_slice(lsn.to_string().as_bytes()));
        if zeroed.contains(lsn) {
            bytes[at..].fill(0);
        }
    }
    fs::write(dir.join(SegmentName { generation: 1, sequence: 0 }.to_string()), bytes).unwrap();
}

#[test]
fn a_hole_ends_the_log_where_nothing_behind_it_was_called_durable() {
    let unsynced = [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)];
    let synced = [(1, 0), (2, 0), (3, 0), (4, 3), (5, 3)];
    let twice = [(1, 0), (2, 0), (3, 0), (4, 3), (5, 3), (6, 3)];
    let later = [(11, 10), (12, 10), (13, 10)];
    let later_synced = [(11, 10), (12, 10), (13, 12)];
    for (name, relaxed, records, zeroed, survivors, torn, damages) in [
        ("a hole that no mark reaches", true, &unsynced[..], &[3][..], &[1, 2][..], 2, 0),
        ("two of them", true, &unsynced, &[2, 4], &[1], 2, 0),
        ("the same with every record synced first", false, &unsynced, &[3], &[1, 2, 4, 5], 0, 1),
        ("rot before a mark", true, &synced, &[2], &[1, 3, 4, 5], 0, 1),
        ("rot of the record that a mark names", true, &synced, &[3], &[1, 2, 4, 5], 0, 1),
        ("a hole in the last group", true, &synced, &[4], &[1, 2, 3], 1, 0),
        ("rot before a mark, a hole behind it", true, &twice, &[2, 5], &[1, 3, 4], 1, 1),
        ("a hole at the start of what is left of a log", true, &later, &[11], &[], 2, 0),
        ("rot at the start of what is left of a log", true, &later_synced, &[11], &[12, 13], 0, 1),
        ("a hole at the end", true, &synced, &[5], &[1, 2, 3, 4], 0, 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        segment(dir.path(), relaxed, records, zeroed);
        let (entries, replayed) = read(dir.path());
        assert_eq!(entries, survivors, "{name}");
        assert_eq!((replayed.torn_records, replayed.damages.len()), (torn, damages), "{name}");
        let copies = dir.path().join("quarantine").read_dir().map_or(0, Iterator::count);
        assert_eq!(copies, usize::from(torn > 0 || damages > 0), "{name}: what is cut or passed over is kept aside");
        let (again, replayed) = read(dir.path());
        assert_eq!((&again[..], replayed.torn_bytes), (survivors, 0), "{name}, the second time");
    }
}
