//! When to seal and when to maintain: pure decisions, and a thread for each that acts on them, so that a long archive
//! keeps no seal waiting.

use crate::config::Config;
use parking_lot::{Condvar, Mutex};
use sealine_base::causes;
use sealine_base::clock::SharedClock;
use sealine_base::pools::Step;
use sealine_base::units::spoken;
use sealine_store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the decisions are taken.
const TICK: Duration = Duration::from_secs(1);

/// How often chunk files are looked after; also done after each seal.
const MAINTAIN_EVERY: Duration = Duration::from_secs(60);

/// How long to wait after a failure before trying again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Where memory or the disk is short, a seal is due from this part of `seal.memory_bytes` or `seal.wal_bytes` on.
const EARLY_PART: u64 = 4;

/// What a decision to seal is taken on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsealed {
    /// Samples that wait.
    pub samples: u64,
    /// Bytes of their chunks.
    pub chunk_bytes: u64,
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// Time since the last seal.
    pub age: Duration,
    /// Whether the daemon's memory as a whole is short.
    pub memory_short: bool,
    /// Whether the disk is.
    pub disk_short: bool,
}

/// When to seal; conf/sealine.toml explains each.
#[derive(Debug, Clone, Copy)]
pub struct SealLimits {
    /// `seal.interval`
    pub interval: Duration,
    /// `seal.wal_bytes`
    pub wal_bytes: u64,
    /// `seal.memory_bytes`, or what follows from `memory.limit`
    pub chunk_bytes: u64,
}

/// Why a seal is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealReason {
    /// The interval has passed.
    Age,
    /// The log has grown long.
    Log,
    /// The chunks have grown large.
    Memory,
}

/// Whether to seal now.
pub fn seal_due(unsealed: &Unsealed, limits: &SealLimits) -> Option<SealReason> {
    // Without samples only a log that an earlier seal could not delete is a reason.
    if unsealed.samples == 0 && unsealed.wal_bytes < limits.wal_bytes {
        return None;
    }
    // Where something is short a seal helps, unless there is next to nothing to seal.
    let at = |limit: u64, short: bool| if short { limit / EARLY_PART } else { limit };
    if unsealed.chunk_bytes >= at(limits.chunk_bytes, unsealed.memory_short) {
        Some(SealReason::Memory)
    } else if unsealed.wal_bytes >= at(limits.wal_bytes, unsealed.disk_short) {
        Some(SealReason::Log)
    } else if unsealed.age >= limits.interval {
        Some(SealReason::Age)
    } else {
        None
    }
}

/// The threads that seal and maintain.
pub struct Schedule {
    bell: Arc<Bell>,
    threads: Vec<JoinHandle<()>>,
}

/// What wakes the threads.
#[derive(Default)]
struct Bell {
    stop: AtomicBool,
    /// Whether a seal has ended that maintenance has not looked at.
    sealed: AtomicBool,
    sleeping: Mutex<()>,
    wake: Condvar,
}

impl Bell {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sets a flag and wakes everybody.
    fn ring(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Relaxed);
        let _sleeping = self.sleeping.lock();
        self.wake.notify_all();
    }

    /// Waits for a tick, or less where the bell rings.
    fn sleep(&self) {
        let mut sleeping = self.sleeping.lock();
        if !self.stopped() {
            self.wake.wait_for(&mut sleeping, TICK);
        }
    }
}

impl Schedule {
    /// Starts the threads.
    pub fn start(store: Arc<Store>, clock: SharedClock, config: &Config) -> std::io::Result<Self> {
        let memory_bytes = store.pools().limit();
        let limits = SealLimits {
            interval: config.seal.interval,
            wal_bytes: config.seal.wal_bytes,
            // A third for open chunks; index, resident files and queries need the rest.
            chunk_bytes: if config.seal.memory_bytes > 0 { config.seal.memory_bytes } else { memory_bytes / 3 },
        };
        let mut schedule = Schedule { bell: Arc::new(Bell::default()), threads: Vec::new() };
        schedule.spawn("seal", {
            let (store, clock) = (store.clone(), clock.clone());
            move |bell| seal_when_due(&store, &clock, &limits, bell)
        })?;
        schedule.spawn("shed", {
            let store = store.clone();
            move |bell| shed_all_along(&store, bell)
        })?;
        schedule.spawn("maintain", move |bell| maintain_when_due(&store, &clock, bell))?;
        Ok(schedule)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce(&Bell) + Send + 'static) -> std::io::Result<()> {
        let bell = self.bell.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || run(&bell));
        match thread {
            Ok(thread) => {
                self.threads.push(thread);
                Ok(())
            }
            Err(error) => {
                self.bell.ring(&self.bell.stop);
                Err(error)
            }
        }
    }

    /// Ends the threads; a merge that runs is given up, a seal is finished. Blocks.
    pub fn stop(self) {
        self.bell.ring(&self.bell.stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the schedule panicked; this is a bug");
            }
        }
    }
}

fn seal_when_due(store: &Store, clock: &SharedClock, limits: &SealLimits, bell: &Bell) {
    let mut not_before = Duration::ZERO;
    while !bell.stopped() {
        let (samples, chunk_bytes) = store.unsealed();
        let wal_bytes = store.wal_stats().bytes;
        let (memory_short, disk_short) = (store.pools().is_due(Step::Seal), store.is_disk_short());
        let unsealed = Unsealed { samples, chunk_bytes, wal_bytes, age: store.since_seal(), memory_short, disk_short };
        if clock.monotonic() >= not_before
            && let Some(reason) = seal_due(&unsealed, limits)
        {
            tracing::debug!(?reason, ?unsealed, "a seal is due");
            match store.seal() {
                Ok(_) => bell.ring(&bell.sealed),
                Err(error) => {
                    report("seal", &error);
                    not_before = clock.monotonic() + RETRY_AFTER;
                }
            }
        }
        bell.sleep();
    }
}

fn shed_all_along(store: &Store, bell: &Bell) {
    while !bell.stopped() {
        store.look_at_disk();
        store.look_at_descriptors();
        store.shed();
        bell.sleep();
    }
}

fn maintain_when_due(store: &Store, clock: &SharedClock, bell: &Bell) {
    let (mut due, mut not_before) = (Duration::ZERO, Duration::ZERO);
    while !bell.stopped() {
        let now = clock.monotonic();
        let sealed = now >= not_before && bell.sealed.swap(false, Ordering::Relaxed);
        if sealed || now >= due {
            match store.maintain(&|| !bell.stopped()) {
                Ok(done) => {
                    tracing::debug!(?done, "maintained");
                    due = clock.monotonic() + MAINTAIN_EVERY;
                }
                Err(error) => {
                    report("maintain chunk files", &error);
                    due = clock.monotonic() + RETRY_AFTER;
                    not_before = due;
                }
            }
        }
        bell.sleep();
    }
}

fn report(what: &str, error: &StoreError) {
    tracing::error!(error = causes::sentence(error), "cannot {what}; trying again in {}", spoken(RETRY_AFTER));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_due_by_age_log_or_memory_and_never_without_samples() {
        let limits = SealLimits { interval: Duration::from_secs(60), wal_bytes: 1000, chunk_bytes: 500 };
        let age = Duration::from_secs(59);
        let all = Unsealed { samples: 1, chunk_bytes: 499, wal_bytes: 999, age, ..Unsealed::default() };
        for (name, unsealed, want) in [
            ("nothing yet", all, None),
            ("old", Unsealed { age: Duration::from_secs(60), ..all }, Some(SealReason::Age)),
            ("long log", Unsealed { wal_bytes: 1000, ..all }, Some(SealReason::Log)),
            ("much memory", Unsealed { chunk_bytes: 500, ..all }, Some(SealReason::Memory)),
            ("short of memory", Unsealed { memory_short: true, chunk_bytes: 125, ..all }, Some(SealReason::Memory)),
            ("short, but not by this", Unsealed { memory_short: true, chunk_bytes: 124, ..all }, None),
            ("short of space", Unsealed { disk_short: true, wal_bytes: 250, ..all }, Some(SealReason::Log)),
            ("short of space, but not by this", Unsealed { disk_short: true, wal_bytes: 249, ..all }, None),
            ("old, but empty", Unsealed { samples: 0, age: Duration::from_secs(999), ..all }, None),
        ] {
            assert_eq!(seal_due(&unsealed, &limits), want, "{name}");
        }
    }
}
