//! The story: samples of three days arrive in any order and some of them more than once, while the store seals, merges,
//! archives and is opened again. At every moment it answers like a map that was given the same writes in the same order.
//!
//! It would fail where a late sample is hidden by a newer chunk, where a merge or a replay changes which of two equal
//! times was written last, where a file stands in for another one that it does not hold, or where anything is lost or
//! doubled when samples move from the log to memory to files.

use crate::support::library::{Content, config, open, read, write};
use crate::support::seed;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sealine_base::clock::ManualClock;
use sealine_store::Store;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// 2023-11-14 00:00:00 UTC, where a partition starts.
const START_MS: i64 = 1_699_920_000_000;

const HOUR_MS: i64 = 3_600_000;
const DAYS: i64 = 3;
const FIELDS: [&str; 3] = ["a", "b", "value"];
const HOSTS: usize = 4;

/// What was written: series as they print, values by time.
type Model = BTreeMap<String, BTreeMap<i64, f64>>;

struct Story {
    rng: StdRng,
    model: Model,
    /// Times that were written, to be written again.
    times: Vec<i64>,
    /// Where most of a batch lies, as with an agent that sends what it kept while it was cut off.
    around: i64,
}

impl Story {
    fn time(&mut self) -> i64 {
        let time = match self.rng.random_range(0..10) {
            0 | 1 if !self.times.is_empty() => *self.times.choose(&mut self.rng).expect("not empty"),
            2 => START_MS + self.rng.random_range(0..DAYS * 24 * HOUR_MS),
            3 => self.around - self.rng.random_range(0..HOUR_MS),
            _ => {
                self.around += 1000 * self.rng.random_range(1..20);
                self.around
            }
        };
        let time = START_MS + (time - START_MS).rem_euclid(DAYS * 24 * HOUR_MS);
        self.times.push(time);
        time
    }

    fn value(&mut self) -> f64 {
        match self.rng.random_range(0..8) {
            0 => f64::from_bits(self.rng.random::<u64>() & !(1 << 62)), // any float whose exponent is below that of 2
            1 => -0.0,
            2 => 1e300,
            _ => f64::from(self.rng.random_range(0..100)),
        }
    }

    /// Writes a batch and notes it.
    fn write(&mut self, store: &Store) {
        if self.rng.random_bool(0.3) {
            self.around = START_MS + self.rng.random_range(0..DAYS * 24 * HOUR_MS);
        }
        let mut lines = String::new();
        for _ in 0..self.rng.random_range(1..300) {
            let (host, time) = (self.rng.random_range(0..HOSTS), self.time());
            let mut fields = Vec::new();
            for field in FIELDS {
                if fields.is_empty() || self.rng.random_bool(0.5) {
                    let value = self.value();
                    let name = if field == "value" { "m".to_string() } else { format!("m_{field}") };
                    self.model.entry(format!("{name}{{host=\"h{host}\"}}")).or_default().insert(time, value);
                    fields.push(format!("{field}={value:e}"));
                }
            }
            writeln!(lines, "m,host=h{host} {} {time}", fields.join(",")).expect("memory");
        }
        let report = write(store, &lines);
        assert_eq!(report.refused, 0, "{:?}", report.first);
    }

    /// What the store has to answer.
    fn expected(&self, start: i64, end: i64) -> Content {
        let within = |samples: &BTreeMap<i64, f64>| samples.range(start..=end).map(|(t, v)| (*t, *v)).collect();
        let all = self.model.iter().map(|(series, samples)| (series.clone(), within(samples)));
        all.filter(|(_, samples): &(String, Vec<_>)| !samples.is_empty()).collect()
    }

    fn compare(&mut self, store: &Arc<Store>, after: &[String]) {
        let a = START_MS + self.rng.random_range(0..DAYS * 24 * HOUR_MS);
        let b = START_MS + self.rng.random_range(0..DAYS * 24 * HOUR_MS);
        for (start, end) in [(i64::MIN, i64::MAX), (a.min(b), a.max(b))] {
            let (got, want) = (read(store, start, end), self.expected(start, end));
            assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "after {after:?}");
            for (series, want) in want {
                let bits = |samples: &[(i64, f64)]| -> Vec<(i64, u64)> {
                    samples.iter().map(|(time, value)| (*time, value.to_bits())).collect()
                };
                let (got, want) = (bits(&got[&series]), bits(&want));
                let differs = got.iter().zip(&want).position(|(got, want)| got != want);
                let at = differs.unwrap_or(got.len().min(want.len()));
                assert!(
                    got == want,
                    "{series} within {start}..={end} after {after:?}: sample {at} of {}: got {:?}, want {:?}",
                    want.len(),
                    got.get(at),
                    want.get(at)
                );
            }
        }
    }
}

/// One run of random steps. Returns how often each was taken.
fn run(seed: u64, steps: usize) -> BTreeMap<String, usize> {
    let data = tempfile::tempdir().expect("a folder for the test");
    let clock = ManualClock::at(START_MS + DAYS * 24 * HOUR_MS - 6 * HOUR_MS);
    let mut config = config(data.path());
    config.wal.segment_bytes = 64 << 10;
    let mut story =
        Story { rng: StdRng::seed_from_u64(seed), model: Model::new(), times: Vec::new(), around: START_MS };
    config.merge.fan_in = story.rng.random_range(2..5);
    let mut store = open(&config, &clock);
    let mut taken = Vec::new();
    for _ in 0..steps {
        let step = match story.rng.random_range(0..20) {
            0..=2 => {
                store.seal().expect("the store seals");
                "seal".to_string()
            }
            3..=4 => format!("{:?}", store.maintain(&|| true).expect("the store maintains")),
            5 => format!("{:?}", store.archive(true, &|| true).expect("the store archives")),
            6 => {
                drop(store);
                store = open(&config, &clock);
                "open".to_string()
            }
            7 => {
                clock.advance(Duration::from_secs(1800));
                "half an hour".to_string()
            }
            _ => {
                story.write(&store);
                "write".to_string()
            }
        };
        taken.push(step);
        if story.rng.random_bool(0.25) {
            story.compare(&store, &taken);
        }
    }
    drop(store);
    story.compare(&open(&config, &clock), &taken);
    let mut counts = BTreeMap::new();
    for step in taken {
        *counts.entry(step).or_default() += 1;
    }
    counts
}

#[test]
fn samples_in_any_order_answer_like_a_map() {
    let seed = seed();
    for run_number in 0..10 {
        let seed = seed.wrapping_add(run_number);
        println!("run with seed {seed}");
        println!("steps: {:?}", run(seed, 100));
    }
}

#[test]
fn an_archive_of_one_file_survives_an_open() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let clock = ManualClock::at(START_MS + 48 * HOUR_MS);
    let config = config(data.path());
    let store = open(&config, &clock);
    write(&store, &format!("m,host=h0 a=1 {START_MS}\n"));
    store.seal().expect("the store seals");
    let archived = store.archive(true, &|| true).expect("the store archives").archived;
    assert_eq!(archived, 1, "the one file is not an archive yet");
    drop(store);
    let got = read(&open(&config, &clock), i64::MIN, i64::MAX);
    assert_eq!(got, Content::from([("m_a{host=\"h0\"}".to_string(), vec![(START_MS, 1.0)])]));
}
