//! Whether writes are taken now. Memory, the space on the disk and the rate each have a say, in that order, and are asked
//! before a line is parsed.

use super::Store;
use parking_lot::Mutex;
use sealine_base::pools::Full;
use sealine_telemetry::Shortage;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Why a write is not taken now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotNow {
    /// Memory is short.
    #[error(transparent)]
    Memory(#[from] Full),
    /// The disk is nearly full.
    #[error(
        "the disk is nearly full: {free} bytes are free where disk.min_free_bytes wants {least}; try again when there \
         is space"
    )]
    Disk {
        /// Bytes that are free.
        free: u64,
        /// The setting.
        least: u64,
    },
    /// More samples came than are wanted.
    #[error("more samples arrive than ingest.max_samples_per_second allows, which is {0}; try again later")]
    Rate(u64),
}

impl NotNow {
    /// What is short.
    pub fn shortage(&self) -> Shortage {
        match self {
            NotNow::Memory(_) => Shortage::Memory,
            NotNow::Disk { .. } => Shortage::Disk,
            NotNow::Rate(_) => Shortage::Rate,
        }
    }
}

/// How much space the disk has, as it was last looked at, and how much it should keep.
#[derive(Debug)]
pub(super) struct Space {
    least: u64,
    free: AtomicU64,
}

impl Space {
    /// Nobody has looked yet, so there is plenty. `least` is in bytes; with zero there always is.
    pub(super) fn new(least: u64) -> Self {
        Space { least, free: AtomicU64::new(u64::MAX) }
    }

    pub(super) fn admit(&self) -> Result<(), NotNow> {
        let free = self.free.load(Ordering::Relaxed);
        if free >= self.least { Ok(()) } else { Err(NotNow::Disk { free, least: self.least }) }
    }
}

/// So many samples a second, of which as many as one second allows may come at once. They are counted once they are
/// there: a write that was let in may go beyond, and those behind it wait until that has been made up for.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u64,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Samples that may still come; below zero, those that came too early.
    balance: f64,
    /// When that was right, on the monotonic clock.
    at: Duration,
}

impl Rate {
    /// With zero there is no limit.
    pub(super) fn new(per_second: u64, now: Duration) -> Self {
        Rate { per_second, account: Mutex::new(Account { balance: per_second as f64, at: now }) }
    }

    fn admit(&self, now: Duration) -> Result<(), NotNow> {
        if self.per_second == 0 || self.spend(0, now) > 0.0 { Ok(()) } else { Err(NotNow::Rate(self.per_second)) }
    }

    /// Samples came. Returns how many may still come.
    fn spend(&self, samples: u64, now: Duration) -> f64 {
        let mut account = self.account.lock();
        let earned = now.saturating_sub(account.at).as_secs_f64() * self.per_second as f64;
        account.balance = (account.balance + earned).min(self.per_second as f64) - samples as f64;
        account.at = account.at.max(now);
        account.balance
    }
}

impl Store {
    /// Whether a write may begin that will hold about `bytes` while it is under way.
    pub fn admit_write(&self, bytes: u64) -> Result<(), NotNow> {
        self.pools.admit_write(bytes)?;
        self.space.admit()?;
        self.rate.admit(self.clock.monotonic())
    }

    /// Whether the disk has less space than it should keep.
    pub fn is_disk_short(&self) -> bool {
        self.disk_shortage().is_some()
    }

    /// What the disk lacks, where it has less space than it should keep.
    pub(super) fn disk_shortage(&self) -> Option<NotNow> {
        self.space.admit().err()
    }

    /// Looks how much space the disk has. Asked every second.
    pub fn look_at_disk(&self) {
        let was_short = self.is_disk_short();
        // Where the system does not tell, writes find out by themselves.
        let free = self.volume.vfs.free_bytes(&self.options.data_dir).unwrap_or(u64::MAX);
        self.space.free.store(free, Ordering::Relaxed);
        self.telemetry.disk.free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
        match (was_short, self.space.admit()) {
            (false, Err(why)) => tracing::error!("writes are refused: {why}"),
            (true, Ok(())) => tracing::info!(free, "writes are accepted again: the disk has space"),
            _ => {}
        }
    }

    /// Samples go to the log.
    pub(super) fn count_towards_rate(&self, samples: usize) {
        if self.rate.per_second > 0 {
            self.rate.spend(samples as u64, self.clock.monotonic());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_come_at_once_and_what_is_beyond_is_made_up_for() {
        let at = Duration::from_millis;
        let rate = Rate::new(1000, at(0));
        rate.admit(at(0)).unwrap();
        rate.spend(2500, at(0));
        assert_eq!(rate.admit(at(1500)), Err(NotNow::Rate(1000)));
        rate.admit(at(1501)).unwrap();
        // Rest earns no more than a second's worth, and a clock that stands earns nothing.
        rate.spend(1000, at(60_000));
        assert_eq!(rate.admit(at(60_000)), Err(NotNow::Rate(1000)));
        rate.admit(at(60_001)).unwrap();
    }

    #[test]
    fn over_time_the_rate_is_what_was_asked_for() {
        let rate = Rate::new(10_000, Duration::ZERO);
        let mut taken = 0;
        for ms in 0..10_000 {
            let now = Duration::from_millis(ms);
            if rate.admit(now).is_ok() {
                rate.spend(700, now);
                taken += 700;
            }
        }
        assert!((100_000..=111_000).contains(&taken), "{taken}");
    }

    #[test]
    fn zero_sets_no_limit() {
        let rate = Rate::new(0, Duration::ZERO);
        rate.spend(1_000_000, Duration::ZERO);
        rate.admit(Duration::ZERO).unwrap();
        let space = Space::new(0);
        space.free.store(0, Ordering::Relaxed);
        space.admit().unwrap();
    }

    #[test]
    fn space_is_short_below_what_is_wanted() {
        let space = Space::new(100);
        space.admit().unwrap();
        for (free, short) in [(100, false), (99, true), (0, true)] {
            space.free.store(free, Ordering::Relaxed);
            assert_eq!(space.admit().is_err(), short, "{free}");
        }
        let why = space.admit().unwrap_err();
        assert_eq!(why.shortage(), Shortage::Disk);
        assert!(why.to_string().contains("0 bytes are free where disk.min_free_bytes wants 100"), "{why}");
    }
}
