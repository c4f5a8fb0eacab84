//! The story: bytes on the disk change, strange files lie among ours, a second daemon is started on the same folder. What
//! is sound is answered, what is missing is said, and nothing that is not ours is touched.
//!
//! It would fail where a checksum is not looked at, where one damaged file keeps the daemon from starting, answering or
//! looking after its other files, where damage goes by in silence, or where two daemons write to one folder.
#![expect(clippy::disallowed_methods, reason = "the story damages what is really there")]

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Client, matrix};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// 2023-11-14 00:00:00 UTC, in milliseconds.
const MIDNIGHT_MS: i64 = 1_699_920_000_000;

const DAY_MS: i64 = 86_400_000;

/// Merges would read, and rewrite, what is about to be damaged.
const NO_MERGES: [(&str, &str); 1] = [("merge.enabled", "false")];

const QUARANTINED: &str = "sealine_files_quarantined_total";

/// Ten samples of each metric on a day, 2023-11-14 being day 0.
fn write(client: &mut Client, metrics: &[&str], day: i64) {
    for metric in metrics {
        let time = |number: i64| MIDNIGHT_MS + day * DAY_MS + number * 1000;
        let lines: Vec<String> = (0..10).map(|number| format!("{metric} value={number}.5 {}", time(number))).collect();
        client.write(&lines.join("\n"));
    }
}

/// How many samples of each metric an answer has; and its warnings.
fn counts(client: &mut Client, metrics: &[&str]) -> (Vec<usize>, Vec<String>) {
    let query = format!("{{__name__=~\"{}\"}}[9d]", metrics.join("|"));
    let time = ((MIDNIGHT_MS + 7 * DAY_MS) / 1000).to_string();
    let answer = client.ask("/api/v1/query", &[("query", &query), ("time", &time)]);
    let found = matrix(&answer);
    let counts = metrics.iter().map(|metric| found.get(&format!("{metric}{{}}")).map_or(0, Vec::len)).collect();
    let warnings = answer.get("warnings").and_then(Value::as_array).into_iter().flatten();
    (counts, warnings.map(|warning| warning.as_str().expect("a sentence").to_string()).collect())
}

/// The chunk files of a day.
fn chunk_files(data: &Path, day: &str) -> Vec<PathBuf> {
    files(&data.join("db/story").join(day))
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "chunks"))
        .collect()
}

/// The files in a folder, sorted; none where there is no folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.sort();
    files
}

fn flip(path: &Path, at: impl FnOnce(&[u8]) -> usize) {
    let mut bytes = fs::read(path).expect("the file is there");
    let at = at(&bytes);
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("the file can be written");
}

#[test]
fn a_file_with_a_damaged_index_is_set_aside_and_the_rest_is_answered() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &NO_MERGES);
    let mut client = daemon.client();
    write(&mut client, &["older", "both"], 0);
    write(&mut client, &["newer", "both"], 1);
    client.admin("/admin/seal");
    daemon.stop();
    let [file] = &chunk_files(data.path(), "2023-11-14")[..] else { panic!("one seal makes one file a day") };
    flip(file, |bytes| bytes.len() - sealine_store::parts::disk::TRAILER_BYTES - 1); // the index ends where the trailer starts

    let daemon = Daemon::start(data.path(), &NO_MERGES);
    let mut client = daemon.client();
    let (found, warnings) = counts(&mut client, &["older", "newer", "both"]);
    assert_eq!(found, [0, 10, 10]);
    let [warning] = &warnings[..] else { panic!("one file is damaged: {warnings:?}") };
    let file_name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
    for part in ["data is missing from this answer", &file_name, "the checksum of the index does not match"] {
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(counts(&mut client, &["older", "newer", "both"]).1, warnings, "later answers say it too");
    assert_eq!(client.metric(QUARANTINED), 1.0);
    assert!(!file.exists(), "the file is moved, not copied");
    let kept = files(&data.path().join("quarantine"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].to_string_lossy().ends_with(&format!("story.2023-11-14.{file_name}")), "{kept:?}");

    write(&mut client, &["older"], 0);
    client.admin("/admin/seal");
    daemon.stop();
    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    client.admin("/admin/archive?force=1");
    let (found, warnings) = counts(&mut client, &["older", "newer", "both"]);
    assert_eq!(found, [10, 10, 10]);
    let [warning] = &warnings[..] else { panic!("after a restart the file is still missing: {warnings:?}") };
    for part in ["data is missing from this answer", &file_name, &*kept[0].to_string_lossy()] {
        assert!(warning.contains(part), "{warning}");
    }
    let next_day = ((MIDNIGHT_MS + DAY_MS) / 1000 + 3600).to_string();
    let answer = client.ask("/api/v1/query", &[("query", "newer"), ("time", &next_day)]);
    assert_eq!(answer.get("warnings"), None, "the day after is whole");
    assert_eq!(files(&data.path().join("quarantine")), kept, "what was set aside stays there");
    daemon.stop();
    fs::remove_file(&kept[0]).expect("somebody has looked at it");
    let daemon = Daemon::start(data.path(), &[]);
    assert_eq!(counts(&mut daemon.client(), &["older", "newer", "both"]), (vec![10, 10, 10], vec![]));
}

#[test]
fn a_damaged_chunk_costs_its_series_alone() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &NO_MERGES);
    let mut client = daemon.client();
    write(&mut client, &["alpha", "bravo", "charlie"], 0);
    client.admin("/admin/seal");
    daemon.stop();
    let [file] = &chunk_files(data.path(), "2023-11-14")[..] else { panic!("one seal makes one file a day") };
    flip(file, |_| 14); // behind the header of twelve bytes: in the first chunk of the first metric

    let daemon = Daemon::start(data.path(), &NO_MERGES);
    let mut client = daemon.client();
    for again in 0..2 {
        let (found, warnings) = counts(&mut client, &["alpha", "bravo", "charlie"]);
        assert_eq!(found, [0, 10, 10], "{again}");
        let [warning] = &warnings[..] else { panic!("one chunk is damaged: {warnings:?}") };
        assert!(warning.contains("at byte 12: the checksum of a chunk does not match"), "{warning}");
        assert_eq!(counts(&mut client, &["bravo"]), (vec![10], vec![]), "who does not ask for it is not warned");
        let time = (MIDNIGHT_MS / 1000 + 60).to_string();
        for query in ["alpha", "count(alpha)", "rate(alpha[5m])", "sum(count_over_time(alpha[5m]))"] {
            let at_once = client.ask("/api/v1/query", &[("query", query), ("time", &time)]);
            let range = [("query", query), ("start", &time), ("end", &time), ("step", "1")];
            let by_steps = client.ask("/api/v1/query_range", &range);
            for answer in [at_once, by_steps] {
                assert_eq!(answer["warnings"], serde_json::json!([warning]), "{query}");
            }
        }
    }
    assert!(file.exists(), "what is sound of the file is still read");
    daemon.stop();
}

#[test]
fn a_damaged_file_does_not_keep_the_others_from_being_looked_after() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &NO_MERGES);
    let mut client = daemon.client();
    for _ in 0..2 {
        write(&mut client, &["alpha", "bravo"], 0);
        write(&mut client, &["alpha", "bravo"], 1);
        client.admin("/admin/seal");
    }
    daemon.stop();
    flip(&chunk_files(data.path(), "2023-11-14")[0], |_| 14);
    let daemon = Daemon::start(data.path(), &[]);
    let newer = || (chunk_files(data.path(), "2023-11-15").len() == 1).then_some(());
    eventually("the day after the damaged one is archived", newer);
    let (found, warnings) = counts(&mut daemon.client(), &["bravo"]);
    assert_eq!((found, warnings), (vec![20], vec![]));
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &NO_MERGES);
    let mut client = daemon.client();
    write(&mut client, &["alpha"], 0);
    client.admin("/admin/seal");
    write(&mut client, &["bravo"], 0);
    daemon.kill();
    let foreign: Vec<PathBuf> = [
        "notes.txt",
        "lost+found/notes.txt",
        "wal/notes.txt",
        "wal/0000000001-000000.wal.bad",
        "wal/0000000009-000000.wal.d/notes.txt",
        "db/notes.txt",
        "db/not%zz/2023-11-14/0000000001-0000000001.chunks",
        "db/story/notes.txt",
        "db/story/2023-1-4/0000000001-0000000001.chunks",
        "db/story/2023-11-14/notes.txt",
        "db/story/2023-11-14/1-1.chunks",
        "db/story/2023-11-14/0000000001-0000000001.chunks.bak",
        "db/story/2023-11-14/folder/0000000001-0000000001.chunks",
    ]
    .iter()
    .map(|path| data.path().join(path))
    .collect();
    for path in &foreign {
        fs::create_dir_all(path.parent().expect("it lies in the data folder")).expect("a folder can be made");
        fs::write(path, path.to_string_lossy().as_bytes()).expect("a file can be written");
    }
    for restart in 0..2 {
        let daemon = Daemon::start(data.path(), &[]);
        let mut client = daemon.client();
        client.admin("/admin/seal");
        client.admin("/admin/archive?force=1");
        assert_eq!(counts(&mut client, &["alpha", "bravo"]), (vec![10, 10], vec![]), "restart {restart}");
        daemon.stop();
        for path in &foreign {
            let found = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(found, path.to_string_lossy().as_bytes(), "restart {restart}: {}", path.display());
        }
    }
}

#[test]
fn a_second_daemon_on_the_same_folder_says_why_it_ends_and_harms_nothing() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let first = Daemon::start(data.path(), &[]);
    let mut client = first.client();
    write(&mut client, &["alpha"], 0);
    let Err(second) = Daemon::try_start(data.path(), &[]) else { panic!("two daemons run on one folder") };
    assert_eq!(second.status.code(), Some(1), "{second:#?}");
    let said = second.log.concat();
    assert!(said.contains("another process uses this data directory"), "{said}");
    assert!(said.contains(&*data.path().to_string_lossy()), "which folder: {said}");
    write(&mut client, &["bravo"], 0);
    assert_eq!(counts(&mut client, &["alpha", "bravo"]), (vec![10, 10], vec![]));
    first.kill();
    let again = Daemon::start(data.path(), &[]);
    assert_eq!(counts(&mut again.client(), &["alpha", "bravo"]), (vec![10, 10], vec![]));
}

#[test]
fn damage_in_the_middle_of_the_log_costs_what_it_hit() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    write(&mut client, &["alpha", "bravo", "charlie"], 0); // a request, and so a record, each
    daemon.kill();
    let [segment] = &files(&data.path().join("wal"))[..] else { panic!("three requests make one segment") };
    flip(segment, |bytes| {
        let at = bytes.windows(5).position(|window| window == b"bravo");
        at.expect("a record defines its rows by name")
    });

    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    assert_eq!(counts(&mut client, &["alpha", "bravo", "charlie"]).0, [10, 0, 10]);
    assert_eq!(client.metric(QUARANTINED), 1.0);
    let kept = files(&data.path().join("quarantine"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].file_name(), segment.file_name());
    assert!(
        daemon.log().iter().any(|line| line.contains("a stretch of the log cannot be read")),
        "{:#?}",
        daemon.log()
    );

    write(&mut client, &["bravo"], 0);
    client.admin("/admin/seal");
    daemon.stop();
    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    assert_eq!(counts(&mut client, &["alpha", "bravo", "charlie"]), (vec![10, 10, 10], vec![]));
    assert_eq!(client.metric(QUARANTINED), 0.0, "the damaged segment is sealed and gone");
}

#[test]
fn damage_in_a_log_that_is_sealed_but_not_yet_deleted_costs_nothing() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    write(&mut client, &["alpha", "bravo", "charlie"], 0);
    let [segment] = &files(&data.path().join("wal"))[..] else { panic!("three requests make one segment") };
    let log = fs::read(segment).expect("the segment is there");
    client.admin("/admin/seal");
    daemon.kill();
    // As if the kill had come before the log was deleted; and then a byte went bad.
    fs::write(segment, log).expect("the file can be written");
    flip(segment, |bytes| bytes.windows(5).position(|window| window == b"bravo").expect("it names its rows"));

    for restart in 0..2 {
        let daemon = Daemon::start(data.path(), &NO_MERGES);
        let mut client = daemon.client();
        let all = (vec![10, 10, 10], vec![]);
        assert_eq!(counts(&mut client, &["alpha", "bravo", "charlie"]), all, "restart {restart}");
        client.admin("/admin/seal");
        assert_eq!(counts(&mut client, &["alpha", "bravo", "charlie"]), all, "restart {restart}, sealed");
        daemon.kill();
    }
}
