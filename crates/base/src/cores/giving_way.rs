//! Work that takes long lets others have its processor now and then.
//!
//! A write passes several threads, each of which wakes up the next; so does whoever sent it. Where long work runs on all
//! processors, the kernel lets each of them wait for its tick. So long work yields every 100 µs, and every tenth time it
//! sleeps, as briefly as can be: a thread that wakes up is given an idle processor, where one that only yields stays where
//! it is, and two threads of a query would share one processor to the end.
//!
//! Beside a process that takes all it can get, a yield costs a whole slice of that one. So the time that is lost in this
//! way has a budget for all threads together: a tenth of the time worked, some of which is saved for the moment when a
//! client of ours takes a processor for a while. Work that is over within 100 µs never gives way.

use crate::clock;
use crate::units::nanoseconds;
use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How long a thread works until it gives way.
const WORKS_ON: Duration = Duration::from_micros(100);

/// How often it yields until it sleeps.
const YIELDS: u32 = 10;

/// What is away for longer has met somebody who takes all there is. Our own threads, and who talks to them, are done sooner.
const LOST: Duration = Duration::from_millis(1);

/// For each unit of time lost, this many are worked.
const WORKED_FOR_LOST: u32 = 9;

/// More than this between two requests was a wait, not work.
const WORKED_MAX: Duration = Duration::from_millis(10);

/// Time that is saved at most. Writes beside heavy queries need it (`make latency`): with 5 ms their p99 is half as long again.
const SAVED_MAX: Duration = Duration::from_millis(20);

/// After a loss the processors count as taken for so long.
const TAKEN: Duration = Duration::from_secs(1);

/// What giving way may still lose. Relaxed: each stands alone, and a yield too many does not matter.
struct Budget {
    /// Nanoseconds; below zero nobody gives way.
    left: AtomicI64,
    /// When there was a loss, in nanoseconds since `EPOCH`.
    last_loss: AtomicI64,
}

impl Budget {
    const fn new() -> Budget {
        Budget { left: AtomicI64::new(0), last_loss: AtomicI64::new(i64::MIN) }
    }

    /// Saves a share of what was worked; gives whether there is anything left to lose.
    fn earn(&self, worked: Duration) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left < nanoseconds(SAVED_MAX) {
            self.left.fetch_add(nanoseconds(worked.min(WORKED_MAX) / WORKED_FOR_LOST), Ordering::Relaxed);
        }
        left >= 0
    }

    /// Who gave way has been away until `back`.
    fn charge(&self, away: Duration, back: Instant) {
        if away > LOST {
            self.left.fetch_sub(nanoseconds(away), Ordering::Relaxed);
            self.last_loss.store(since_epoch(back), Ordering::Relaxed);
        }
    }

    fn are_processors_taken(&self, now: Instant) -> bool {
        since_epoch(now).saturating_sub(self.last_loss.load(Ordering::Relaxed)) < nanoseconds(TAKEN)
    }
}

/// One for the process, as its threads share the processors.
static BUDGET: Budget = Budget::new();

/// Where [`Budget::last_loss`] counts from.
static EPOCH: LazyLock<Instant> = LazyLock::new(clock::instant);

fn since_epoch(time: Instant) -> i64 {
    nanoseconds(time.saturating_duration_since(*EPOCH))
}

/// What a thread is at.
#[derive(Debug, Clone, Copy)]
struct Stint {
    /// When it last gave way, or could have.
    asked: Option<Instant>,
    yields: u32,
}

/// What it should do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    WorkOn,
    Yield,
    Sleep,
}

impl Stint {
    const NEW: Stint = Stint { asked: None, yields: 0 };

    fn step(&mut self, now: Instant, budget: &Budget) -> Step {
        let worked = now.saturating_duration_since(*self.asked.get_or_insert(now));
        if worked < WORKS_ON {
            return Step::WorkOn;
        }
        self.asked = Some(now);
        if !budget.earn(worked) {
            return Step::WorkOn;
        }
        self.yields = (self.yields + 1) % YIELDS;
        if self.yields == 0 { Step::Sleep } else { Step::Yield }
    }
}

thread_local! {
    static STINT: Cell<Stint> = const { Cell::new(Stint::NEW) };
}

/// A query begins on this thread; what ran before does not count as its work.
pub fn begin_question() {
    STINT.set(Stint::NEW);
}

/// Lets others have the processor where this work has taken long; it is `now`. To be called again and again by whatever
/// may take its time, with no lock held.
#[inline]
pub fn give_way(now: Instant) {
    let mut stint = STINT.get();
    let step = stint.step(now, &BUDGET);
    if step != Step::WorkOn {
        match step {
            Step::Sleep => std::thread::sleep(Duration::from_nanos(1)),
            _ => std::thread::yield_now(),
        }
        let back = clock::instant();
        stint.asked = Some(back);
        BUDGET.charge(back.saturating_duration_since(now), back);
    }
    STINT.set(stint);
}

/// Whether other processes took the processors a moment ago: then a thread that is woken up may wait for a tick of the
/// kernel until it has one.
pub fn are_taken(now: Instant) -> bool {
    BUDGET.are_processors_taken(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_gives_way_and_short_work_does_not() {
        let start = clock::instant();
        let at = |micros| start + Duration::from_micros(micros);
        let (mut stint, budget) = (Stint::NEW, Budget::new());
        for micros in [0, 50, 99] {
            assert_eq!(stint.step(at(micros), &budget), Step::WorkOn, "after {micros} µs");
        }
        assert_eq!(stint.step(at(100), &budget), Step::Yield);
        assert_eq!(stint.step(at(199), &budget), Step::WorkOn, "it has just done so");
        let steps: Vec<Step> = (2..=11).map(|hundreds| stint.step(at(hundreds * 100), &budget)).collect();
        assert_eq!(steps.iter().filter(|step| **step == Step::Sleep).count(), 1, "{steps:?}");
        assert!(steps.iter().all(|step| matches!(step, Step::Yield | Step::Sleep)), "{steps:?}");
    }

    #[test]
    fn a_tenth_of_the_time_is_lost_at_most() {
        let budget = Budget::new();
        let (mut now, mut stint) = (clock::instant(), Stint::NEW);
        let (mut worked, mut lost) = (Duration::ZERO, Duration::ZERO);
        while worked < Duration::from_secs(1) {
            (now, worked) = (now + WORKS_ON, worked + WORKS_ON);
            if stint.step(now, &budget) != Step::WorkOn {
                let slice = Duration::from_millis(3);
                (now, lost) = (now + slice, lost + slice);
                budget.charge(slice, now);
                stint.asked = Some(now);
            }
        }
        assert!((worked / 10..worked / 8).contains(&lost), "{lost:?} of {worked:?}");
    }

    #[test]
    fn what_is_back_soon_costs_nothing_and_waits_earn_little() {
        let budget = Budget::new();
        let now = clock::instant() + Duration::from_secs(60);
        budget.charge(LOST, now);
        assert_eq!((budget.left.load(Ordering::Relaxed), budget.are_processors_taken(now)), (0, false));
        budget.earn(Duration::from_secs(3600));
        assert_eq!(budget.left.load(Ordering::Relaxed), nanoseconds(WORKED_MAX / WORKED_FOR_LOST));
        for _ in 0..1000 {
            budget.earn(WORKED_MAX);
        }
        assert!(budget.left.load(Ordering::Relaxed) < nanoseconds(SAVED_MAX + WORKED_MAX));
        budget.charge(2 * LOST, now);
        assert!(budget.are_processors_taken(now) && budget.are_processors_taken(now + TAKEN / 2));
        assert!(!budget.are_processors_taken(now + TAKEN));
    }
}
