//! The story: the data folder is not as the store left it. Segments are empty, missing, padded or there under a second
//! name, files are half written, names are almost right. Each has an outcome that is defined, and nothing goes that is not
//! the store's own.
//!
//! It would fail where a start gives up on what is sound, passes over a gap in silence, or clears away what is not its own.
#![expect(clippy::disallowed_methods, reason = "the story makes strange folders")]

use crate::support::library::{config, open, read, write};
use sealine::config::Config;
use sealine_base::clock::ManualClock;
use sealine_base::vfs::DiskVfs;
use sealine_store::Store;
use sealine_store::parts::wal;
use sealine_telemetry::Telemetry;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const START_MS: i64 = 1_700_000_000_000;

/// Requests in the log: several segments of them.
const REQUESTS: i64 = 24;

/// A log of requests, number n with the one sample n of a series of its own.
fn log(data: &Path) -> (Config, Arc<ManualClock>, Vec<PathBuf>) {
    let (clock, mut config) = (ManualClock::at(START_MS + 60_000), config(data));
    config.wal.segment_bytes = 300;
    let store = open(&config, &clock);
    for number in 0..REQUESTS {
        write(&store, &format!("m,n=n{number} v={number} {}\n", START_MS + number));
    }
    drop(store);
    let mut segments: Vec<PathBuf> =
        fs::read_dir(data.join("wal")).expect("it is there").map(|entry| entry.expect("listed").path()).collect();
    segments.sort();
    assert!(segments.len() > 3, "{segments:?}");
    (config, clock, segments)
}

/// The numbers of the requests that are there.
fn there(config: &Config, clock: &Arc<ManualClock>) -> BTreeSet<i64> {
    read(&open(config, clock), i64::MIN, i64::MAX).into_values().map(|samples| samples[0].1 as i64).collect()
}

/// The numbers of the requests in a segment.
fn requests_in(segment: &Path) -> BTreeSet<i64> {
    let mut numbers = BTreeSet::new();
    wal::dump(&DiskVfs, segment, |_, header, _| _ = numbers.insert(header.lsn as i64 - 1)).expect("it is sound");
    numbers
}

fn append(path: &Path, bytes: &[u8]) {
    let mut all = fs::read(path).expect("the file is there");
    all.extend_from_slice(bytes);
    fs::write(path, all).expect("it can be written");
}

fn next_of(segments: &[PathBuf]) -> PathBuf {
    segments[0].with_file_name(format!("0000000001-{:06}.wal", segments.len()))
}

fn last_of(segments: &[PathBuf]) -> &Path {
    &segments[segments.len() - 1]
}

#[test]
fn a_log_that_is_strange_gives_all_that_is_sound() {
    type Make = fn(&[PathBuf]);
    let cases: [(&str, Make); 6] = [
        ("an empty segment at the end", |segments| fs::write(next_of(segments), b"").expect("written")),
        ("half a header at the end", |segments| fs::write(next_of(segments), b"SEALWAL").expect("written")),
        ("zeros behind the end", |segments| append(last_of(segments), &[0; 70_000])),
        ("words behind the end", |segments| append(last_of(segments), b"SLRC is not a record")),
        ("a segment in the middle is gone", |segments| fs::remove_file(&segments[1]).expect("gone")),
        ("a segment has a second name", |segments| {
            fs::copy(&segments[1], segments[1].with_file_name("1-1.wal")).map(drop).expect("copied");
        }),
    ];
    for (name, make) in cases {
        let data = tempfile::tempdir().expect("a folder for the test");
        let (config, clock, segments) = log(data.path());
        let gone = name.ends_with("is gone");
        let lost = if gone { requests_in(&segments[1]) } else { BTreeSet::new() };
        let want = &(0..REQUESTS).collect::<BTreeSet<i64>>() - &lost;
        assert_eq!(gone, !lost.is_empty());
        make(&segments);
        for restart in 0..2 {
            assert_eq!(there(&config, &clock), want, "{name}, start {restart}");
        }
        let telemetry = Telemetry::new();
        let store = Store::open(DiskVfs::shared(), clock, config.store_options(), telemetry.clone());
        drop(store.expect("it opens"));
        assert_eq!(telemetry.disk.quarantined.get(), 0, "{name}: nothing is set aside");
        assert_eq!(telemetry.wal.missing_segments.get(), u64::from(gone), "{name}: a gap is counted");
        assert_eq!(segments[1].with_file_name("1-1.wal").exists(), name.ends_with("second name"), "{name}");
    }
}

#[test]
fn what_a_seal_or_a_merge_left_half_done_goes_and_what_only_looks_like_it_stays() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let (config, clock, _) = log(data.path());
    open(&config, &clock).seal().expect("the store seals");
    let day = data.path().join("db/story/2023-11-14");
    let file = fs::read_dir(&day).expect("a day").next().expect("a file").expect("listed").path();
    let write = |name: &str| fs::write(day.join(name), b"not a chunk file").expect("a file can be written");
    let ours = ["0000000009-0000000009.chunks.tmp"];
    let foreign = ["0000000009-0000000008.chunks", "9-9.chunks", "0000000009.chunks", "copy of a.chunks.old"];
    ours.iter().chain(&foreign).for_each(|name| write(name));
    // A copy of the file under the name of two generations stands for both.
    let wider = day.join("0000000001-0000000099.chunks");
    fs::copy(&file, &wider).expect("it can be copied");
    for restart in 0..2 {
        assert_eq!(there(&config, &clock).len(), REQUESTS as usize, "start {restart}");
        assert!(!file.exists() && wider.exists(), "of a file and one that contains it the wider one counts");
        assert!(ours.iter().all(|name| !day.join(name).exists()), "what was not finished goes");
        assert!(foreign.iter().all(|name| day.join(name).exists()), "what is not ours stays");
    }
}
