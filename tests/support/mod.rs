//! What the stories share: a daemon of their own, a client, load with a model of it, and waiting for a condition.
#![allow(dead_code, reason = "each story uses a part of this")]

pub mod control_group;
pub mod daemon;
pub mod disk;
pub mod http;
pub mod ledger;
pub mod library;
pub mod load;
pub mod telegraf;
pub mod trials;

use std::time::{Duration, Instant};

/// A condition that has not come true by now never will; far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Asks `probe` until it has something. Fails with `what`, after a minute.
#[expect(clippy::disallowed_methods, reason = "a test waits in real time for a real process")]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// The seed of this run: that of `SEALINE_TEST_SEED`, or a new one. Printed, so that a failure can be had again.
pub fn seed() -> u64 {
    let given = std::env::var("SEALINE_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("SEALINE_TEST_SEED is a number"));
    println!("SEALINE_TEST_SEED={seed}");
    seed
}

/// A number that the environment may set, such as the rounds of a story.
pub fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, want a number")))
}
