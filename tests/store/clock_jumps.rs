//! The story: somebody sets the machine's clock, by an hour or ten years, forth and back, thousands of times, also while
//! the daemon is down. Agents go on to send what they measured, with times that are right.
//!
//! It would fail where a wrong clock makes expiry take something, or makes a sample be refused that is neither too old
//! nor ahead of its time; or where the next expiry after all that takes something that is to be kept.

use crate::support::library::{Content, config, open, read, write};
use crate::support::seed;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sealine_base::clock::{Clock, ManualClock};
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const YEARS_MS: i64 = 10 * 365 * DAY_MS;

/// 2023-11-14 12:00:00 UTC.
const START_MS: i64 = 1_699_963_200_000;

const JUMPS: usize = 2000;

#[test]
fn jumps_of_the_clock_take_nothing_and_refuse_nothing() {
    let mut rng = StdRng::seed_from_u64(seed());
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut config = config(data.path());
    config.retention.disk = Duration::from_millis(3 * DAY_MS as u64);
    config.ingest.max_future = Duration::from_secs(600);
    let clock = ManualClock::at(START_MS);
    let mut store = open(&config, &clock);
    // What time it really is, and what was written when.
    let (mut truth, mut written) = (START_MS, BTreeSet::new());
    for jump in 0..JUMPS {
        let wrong = [0, HOUR_MS, -HOUR_MS, YEARS_MS, -YEARS_MS].choose(&mut rng).expect("one of them");
        clock.jump_to(truth + wrong);
        let passes = rng.random_range(1..600_000);
        clock.advance(Duration::from_millis(passes as u64));
        truth += passes;
        let report = write(&store, &format!("m v={jump} {truth}\n"));
        assert_eq!(report.refused, 0, "off by {wrong} ms: {:?}", report.first);
        written.insert(truth);
        match rng.random_range(0..20) {
            0 => drop(store.seal().expect("the store seals")),
            1 => drop(store.maintain(&|| true).expect("the store maintains")),
            2 if *wrong == 0 => {
                drop(store);
                store = open(&config, &clock);
            }
            _ => {}
        }
    }
    clock.jump_to(truth);
    store.seal().expect("the store seals");
    store.maintain(&|| true).expect("the store maintains");
    let times = |content: Content| -> BTreeSet<i64> { content.into_values().flatten().map(|(time, _)| time).collect() };
    let young = |all: &BTreeSet<i64>| -> BTreeSet<i64> {
        all.iter().copied().filter(|time| *time >= truth - 3 * DAY_MS).collect()
    };
    assert_eq!(young(&times(read(&store, i64::MIN, i64::MAX))), young(&written));
    assert!(written.len() > young(&written).len(), "some of it was long enough ago to go");
}

/// Nothing tells a daemon that starts with a wrong clock that it is wrong, but the data.
#[test]
fn a_start_with_a_wrong_clock_takes_nothing() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut config = config(data.path());
    config.retention.disk = Duration::from_millis(3 * DAY_MS as u64);
    let clock = ManualClock::at(START_MS);
    let store = open(&config, &clock);
    write(&store, &format!("m v=1 {}\nm v=2 {START_MS}\n", START_MS - 2 * DAY_MS));
    store.seal().expect("the store seals");
    drop(store);
    for wrong in [YEARS_MS, -YEARS_MS] {
        let clock = ManualClock::at(START_MS + wrong);
        let store = open(&config, &clock);
        store.maintain(&|| true).expect("the store maintains");
        let right = clock.now_ms() - wrong;
        assert_eq!(write(&store, &format!("m v=3 {right}\n")).refused, 0, "off by {wrong} ms");
        assert_eq!(read(&store, i64::MIN, i64::MAX).values().flatten().count(), 2, "off by {wrong} ms");
    }
}

/// One sample ahead of its time must not make everything else look old.
#[test]
fn a_sample_in_the_future_takes_nothing() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut config = config(data.path());
    config.retention.disk = Duration::from_millis(3 * DAY_MS as u64);
    let clock = ManualClock::at(START_MS);
    let store = open(&config, &clock);
    // The configuration of these stories takes any future.
    write(&store, &format!("m v=1 {START_MS}\nm v=2 {}\n", START_MS + YEARS_MS));
    store.seal().expect("the store seals");
    assert_eq!(store.maintain(&|| true).expect("the store maintains").expired, 0);
    config.ingest.max_future = Duration::from_secs(600);
    drop(store);
    let store = open(&config, &clock);
    let report = write(&store, &format!("m v=3 {}\nm v=4 {}\n", START_MS + YEARS_MS, START_MS + 1));
    assert_eq!(report.reasons.into_iter().collect::<Vec<_>>(), [("future", 1)]);
    assert_eq!(read(&store, i64::MIN, START_MS + DAY_MS).values().flatten().count(), 2);
}
