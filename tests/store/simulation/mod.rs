//! Thousands of histories of the real store on a simulated disk: crashes at any operation, also while it recovers from
//! a crash; power cuts that lose, tear, zero and reorder what was not synced; operations that fail once or for ever.
//! After each the store answers as a model does: what was acknowledged is there, what failed is there whole or not at
//! all, nothing else is.
//!
//! `SEEDS=20000 make simulate` for a long run, `SEED=7` for one history again.

#![allow(clippy::disallowed_methods, reason = "a test reads its environment and the clock")]

mod disk;
mod every_operation;
mod exchange;
mod model;
mod story;

use rand::Rng;
use std::time::Instant;
use story::{Tally, tell};

/// Histories in an ordinary run.
const SEEDS: u64 = 300;

/// Histories in which a planted bug must be found.
#[cfg(feature = "planted-bugs")]
const PLANTED_SEEDS: u64 = 3000;

/// Each bug is found within some histories; those that follow it are told without it.
#[cfg(feature = "planted-bugs")]
#[test]
fn planted_bugs_are_found() {
    use sealine_base::planted::{BUGS, plant};
    let first = rand::rng().next_u64() >> 1;
    let data = tempfile::tempdir().expect("a temporary folder");
    for bug in BUGS {
        plant(Some(bug));
        let told = (first..first + PLANTED_SEEDS).position(|seed| {
            std::panic::catch_unwind(|| tell(seed, data.path())).map_or(true, |outcome| outcome.is_err())
        });
        let told = told.unwrap_or_else(|| panic!("{bug:?} is not found in {PLANTED_SEEDS} histories from {first}"));
        println!("{bug:?} is found in history {}", told + 1);
    }
    plant(None);
}

#[test]
fn histories_end_as_the_model_says() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (first, count) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (rand::rng().next_u64() >> 1, number("SEEDS").unwrap_or(SEEDS)),
    };
    let data = tempfile::tempdir().expect("a temporary folder"); // for the lock alone: the data is on the simulated disk
    let (begun, mut all) = (Instant::now(), Tally::default());
    for seed in first..first + count {
        match tell(seed, data.path()) {
            Ok(tally) => all += tally,
            Err(fault) => panic!("{fault}\nagain with SEED={seed}"),
        }
    }
    assert!(count < SEEDS || all.lost > 0, "no power cut took what `wal.sync` lets it take: {all:?}");
    println!("{count} histories from seed {first} in {:.1} s: {all:?}", begun.elapsed().as_secs_f64());
}
