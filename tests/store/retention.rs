//! The story: time passes, and samples come. They stay in memory while they are young, on disk while they are kept, and
//! then they go, a day at a time, by unlinking; what is too old or too far ahead is refused with a reason.
//!
//! It would fail where expiry takes a sample that is still to be kept, leaves a file behind, or takes a newer day before
//! an older one; where old files stay in memory; or where a late sample has to wait for anything.

use crate::support::library::{Content, DATABASE, config, open, read, write};
use sealine_base::clock::{Clock, ManualClock};
use sealine_store::Store;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Midnight of 2023-11-14 UTC.
const MIDNIGHT_MS: i64 = 1_699_920_000_000;

const NOON_MS: i64 = MIDNIGHT_MS + 12 * HOUR_MS;

/// The days that have a folder, sorted.
#[expect(clippy::disallowed_methods, reason = "a test looks at what is really there")]
fn folders(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("db").join(DATABASE)).expect("the database has a folder");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn times(content: &Content) -> Vec<i64> {
    let mut times: Vec<i64> = content.values().flatten().map(|(time, _)| *time).collect();
    times.sort_unstable();
    times
}

/// Seals, maintains, and says how many partitions went.
fn maintain(store: &Store) -> usize {
    store.seal().expect("the store seals");
    store.maintain(&|| true).expect("the store maintains").expired
}

#[test]
fn disk_retention_unlinks_whole_days_and_nothing_younger() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let clock = ManualClock::at(NOON_MS);
    let mut config = config(data.path());
    config.retention.disk = 72 * HOUR;
    let store = open(&config, &clock);
    let written: Vec<i64> = (0..71).rev().map(|hours| NOON_MS - hours * HOUR_MS).collect();
    for time in &written {
        assert_eq!(write(&store, &format!("m v={time} {time}\n")).refused, 0);
    }
    let heartbeat = |store: &Store| {
        write(store, &format!("alive v=1 {}\n", clock.now_ms()));
    };
    for (name, hours, gone, days, oldest) in [
        ("noon", 0, 0, vec!["2023-11-11", "2023-11-12", "2023-11-13", "2023-11-14"], written[0]),
        ("just before midnight", 11, 0, vec!["2023-11-11", "2023-11-12", "2023-11-13", "2023-11-14"], written[0]),
        ("midnight", 1, 1, vec!["2023-11-12", "2023-11-13", "2023-11-14", "2023-11-15"], MIDNIGHT_MS - 2 * DAY_MS),
        (
            "midnight, again",
            0,
            0,
            vec!["2023-11-12", "2023-11-13", "2023-11-14", "2023-11-15"],
            MIDNIGHT_MS - 2 * DAY_MS,
        ),
        ("two days later", 48, 2, vec!["2023-11-14", "2023-11-15", "2023-11-17"], MIDNIGHT_MS),
    ] {
        clock.advance(hours * HOUR);
        heartbeat(&store);
        assert_eq!(maintain(&store), gone, "{name}");
        assert_eq!(folders(data.path()), days, "{name}");
        let left: Vec<i64> = written.iter().copied().filter(|time| *time >= oldest).collect();
        assert_eq!(times(&kept(&store)), left, "{name}");
    }
    drop(store);
    clock.advance(24 * HOUR);
    let store = open(&config, &clock);
    assert_eq!(maintain(&store), 0, "after a restart, before anything new came");
    heartbeat(&store);
    assert_eq!(maintain(&store), 1, "after a restart");
    assert_eq!(kept(&store), Content::new());
}

/// All but the heartbeats.
fn kept(store: &Arc<Store>) -> Content {
    let mut content = read(store, i64::MIN, i64::MAX);
    content.retain(|series, _| series.starts_with("m_v"));
    content
}

#[test]
fn beyond_the_disk_budget_the_oldest_days_go_first() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let clock = ManualClock::at(NOON_MS);
    let mut config = config(data.path());
    let store = open(&config, &clock);
    for day in [3, 0, 4, 1, 2] {
        let mut lines = String::new();
        for number in 0..2000 {
            let time = MIDNIGHT_MS - day * DAY_MS + number * 1000;
            writeln!(lines, "m v={} {time}", (number as f64 * 0.7).sin()).expect("memory");
        }
        write(&store, &lines);
    }
    assert_eq!(maintain(&store), 0);
    let bytes = store.status().databases[DATABASE].disk.bytes;
    drop(store);
    for (name, budget, left) in [("all fits", bytes, 5), ("half fits", bytes / 2, 2), ("one fits", bytes / 4, 1)] {
        config.disk.max_bytes = budget;
        let store = open(&config, &clock);
        maintain(&store);
        let days = ["2023-11-10", "2023-11-11", "2023-11-12", "2023-11-13", "2023-11-14"];
        assert_eq!(folders(data.path()), days[5 - left..], "{name}");
        let status = &store.status().databases[DATABASE];
        assert!(status.disk.bytes <= budget, "{name}: {} bytes of {budget}", status.disk.bytes);
        assert_eq!(times(&read(&store, i64::MIN, i64::MAX)).len(), left * 2000, "{name}");
    }
}

#[test]
fn files_are_held_in_memory_while_they_are_young() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let clock = ManualClock::at(NOON_MS);
    let config = config(data.path());
    let store = open(&config, &clock);
    let resident = |store: &Store| store.status().databases[DATABASE].resident_bytes;
    write(&store, &format!("m v=1 {}\nm v=2 {}\n", NOON_MS - 3 * HOUR_MS, NOON_MS - HOUR_MS));
    maintain(&store);
    let all = read(&store, i64::MIN, i64::MAX);
    assert!(resident(&store) > 0, "a file with a sample of the last two hours");
    let old_only = format!("m v=3 {}\n", NOON_MS - 30 * HOUR_MS);
    let before = resident(&store);
    write(&store, &old_only);
    maintain(&store);
    assert_eq!(resident(&store), before, "a file without a young sample is not held");

    drop(store);
    let store = open(&config, &clock);
    maintain(&store);
    assert!(resident(&store) > 0, "a young file is brought in again after a restart");

    clock.advance(HOUR);
    maintain(&store);
    assert_eq!(resident(&store), 0, "its newest sample is two hours old");
    let after = read(&store, NOON_MS - 3 * HOUR_MS, i64::MAX);
    assert_eq!(after, all, "answers do not depend on where the samples are");
}

#[test]
fn late_samples_are_there_at_once_and_untimely_ones_are_refused_by_reason() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let clock = ManualClock::at(NOON_MS);
    let mut config = config(data.path());
    config.retention.disk = 72 * HOUR;
    config.ingest.max_future = Duration::from_secs(600);
    let store = open(&config, &clock);
    const MINUTE_MS: i64 = 60_000;
    for (name, time, refused) in [
        ("now", NOON_MS, None),
        ("late by a minute", NOON_MS - MINUTE_MS, None),
        ("late by a day", NOON_MS - DAY_MS, None),
        ("late by nearly all that is kept", NOON_MS - 72 * HOUR_MS + MINUTE_MS, None),
        ("as old as what is kept", NOON_MS - 72 * HOUR_MS, None),
        ("older than what is kept", NOON_MS - 72 * HOUR_MS - 1, Some("expired")),
        ("older than anything", 0, Some("expired")),
        ("a little ahead", NOON_MS + 10 * MINUTE_MS, None),
        ("too far ahead", NOON_MS + 10 * MINUTE_MS + 1, Some("future")),
    ] {
        let report = write(&store, &format!("m v=1 {time}\n"));
        let reasons: Vec<&str> = report.reasons.keys().copied().collect();
        assert_eq!(reasons, Vec::from_iter(refused), "{name}");
        let found = times(&read(&store, time, time));
        assert_eq!(found, if refused.is_none() { vec![time] } else { vec![] }, "{name}");
        if name.starts_with("late by a day") {
            archive_everything(&store); // what comes now is late for an archive
        }
    }
    assert_eq!(times(&read(&store, i64::MIN, i64::MAX)).len(), 6);
}

fn archive_everything(store: &Arc<Store>) {
    store.seal().expect("the store seals");
    assert!(store.archive(true, &|| true).expect("the store archives").archived > 0);
}
