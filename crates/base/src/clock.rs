//! The only place that reads the clock. Everything else is handed a [`Clock`], so that a test can move time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time for samples and retention, monotonic time for intervals and time-outs.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch. May jump either way.
    fn now_ms(&self) -> i64;
    /// The same in nanoseconds, as far as the clock tells them.
    fn now_ns(&self) -> i64 {
        self.now_ms().saturating_mul(1_000_000)
    }
    /// Time since some fixed moment. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// A clock as components share it.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's wall clock, for who cannot be handed a clock.
pub fn wall_ms() -> i64 {
    since_epoch(Duration::as_millis)
}

/// The machine's wall clock as `unit` counts it: below zero before the Unix epoch, and no further than 64 bits reach.
fn since_epoch(unit: fn(&Duration) -> u128) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    let now = SystemTime::now();
    let count = |time: Duration| i64::try_from(unit(&time)).unwrap_or(i64::MAX);
    match now.duration_since(UNIX_EPOCH) {
        Ok(after) => count(after),
        Err(before) => -count(before.duration()),
    }
}

/// The machine's monotonic clock, for time-outs of what runs now.
#[inline]
pub fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    Instant::now()
}

/// Says now and then that it is time to do something, such as to tell of what happens again and again.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    last: Option<Instant>,
}

impl Seldom {
    /// Once in this time.
    pub fn every(every: Duration) -> Seldom {
        Seldom { every, last: None }
    }

    /// Whether it is time; then not again for a while.
    pub fn is_due(&mut self) -> bool {
        let now = instant();
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= self.every);
        if due {
            self.last = Some(now);
        }
        due
    }
}

/// The machine's clock.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The machine's clock, ready to share.
    pub fn shared() -> SharedClock {
        #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
        Arc::new(SystemClock { started: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        wall_ms()
    }

    fn now_ns(&self) -> i64 {
        since_epoch(Duration::as_nanos)
    }

    fn monotonic(&self) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
        self.started.elapsed()
    }
}

/// The time of day, of which nobody can say whether it is right: the wall clock may be set at any moment, either way. The
/// other guess is the wall clock of the start and the time that has passed since. What must not be done too early goes
/// by the earlier of the two, what must not be refused by the later.
pub struct TimeOfDay {
    clock: SharedClock,
    start_ms: i64,
    start: Duration,
}

impl TimeOfDay {
    /// Begins to count now.
    pub fn new(clock: SharedClock) -> Self {
        let (start_ms, start) = (clock.now_ms(), clock.monotonic());
        TimeOfDay { clock, start_ms, start }
    }

    fn counted(&self) -> i64 {
        let passed = self.clock.monotonic().saturating_sub(self.start);
        self.start_ms.saturating_add(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
    }

    /// Not later than it is, as far as one can tell; milliseconds since the epoch.
    pub fn earliest(&self) -> i64 {
        self.clock.now_ms().min(self.counted())
    }

    /// Not earlier than it is.
    pub fn latest(&self) -> i64 {
        self.clock.now_ms().max(self.counted())
    }
}

/// A clock that stands still until it is moved.
#[derive(Default)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `wall_ms`.
    pub fn at(wall_ms: i64) -> Arc<Self> {
        Arc::new(ManualClock { wall_ms: AtomicI64::new(wall_ms), monotonic_ms: AtomicU64::new(0) })
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let ms = by.as_millis() as i64;
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms as u64, Ordering::SeqCst);
    }

    /// Moves the wall clock alone, as an operator or NTP may.
    pub fn jump_to(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::SeqCst))
    }
}
