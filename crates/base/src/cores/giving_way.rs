//! Work that takes long lets others have its processor now and then.
//!
//! A write passes several threads, each of which wakes up the next; so does whoever sent it. Where long work runs on all
//! processors, the kernel lets each of them wait for its tick. So long work yields every 100 µs.
//!
//! Beside a process that takes all it can get, a yield costs a whole slice of that one. So the time that is lost in this
//! way has a budget for all threads together: a tenth of the time worked, some of which is saved for the moment when a
//! client of ours takes a processor for a while. Where it runs short, other processes take the processors: then every tenth
//! yield is a sleep, as brief as can be, since a thread that wakes up comes before those that ran on. Work that is over
//! within 100 µs never gives way.

use crate::clock;
use crate::units::nanoseconds;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How long a thread works until it gives way.
const WORKS_ON: Duration = Duration::from_micros(100);

/// How often it yields until it sleeps, where the processors are taken.
const YIELDS: u32 = 10;

/// What is away for longer has met somebody who takes all there is. Our own threads, and who talks to them, are done sooner.
const LOST: Duration = Duration::from_millis(1);

/// For each unit of time lost, this many are worked.
const WORKED_FOR_LOST: u32 = 9;

/// More than this between two requests was a wait, not work.
const WORKED_MAX: Duration = Duration::from_millis(10);

/// Time that is saved at most. Writes beside heavy queries need it (`make latency`): with 5 ms their p99 is half as long again.
const SAVED_MAX: Duration = Duration::from_millis(20);

/// With less than this the budget is short. Beside endless loops it stays about zero; writes of our clients leave more.
const SHORT: Duration = Duration::from_millis(5);

/// What giving way may still lose. Relaxed: each stands alone, and a yield too many does not matter.
struct Budget {
    /// Nanoseconds; below zero nobody gives way.
    left: AtomicI64,
}

impl Budget {
    const fn new() -> Budget {
        Budget { left: AtomicI64::new(SHORT.as_nanos() as i64) }
    }

    /// Saves a share of what was worked; gives whether there is anything left to lose.
    fn earn(&self, worked: Duration) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left < nanoseconds(SAVED_MAX) {
            self.left.fetch_add(nanoseconds(worked.min(WORKED_MAX) / WORKED_FOR_LOST), Ordering::Relaxed);
        }
        left >= 0
    }

    /// Who gave way has been away for so long.
    fn charge(&self, away: Duration) {
        if away > LOST {
            self.left.fetch_sub(nanoseconds(away), Ordering::Relaxed);
        }
    }

    fn is_short(&self) -> bool {
        self.left.load(Ordering::Relaxed) < nanoseconds(SHORT)
    }
}

/// One for the process, as its threads share the processors.
static BUDGET: Budget = Budget::new();

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
        if self.yields == 0 && budget.is_short() { Step::Sleep } else { Step::Yield }
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
        BUDGET.charge(back.saturating_duration_since(now));
    }
    STINT.set(stint);
}

/// Whether other processes take the processors: then a thread that is woken up may wait for a tick of the kernel until it
/// has one.
pub fn are_taken() -> bool {
    BUDGET.is_short()
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
        let mut ten_steps = |from: u64| -> Vec<Step> {
            (from..from + 10).map(|hundreds| stint.step(at(hundreds * 100), &budget)).collect()
        };
        assert_eq!(ten_steps(2), [Step::Yield; 10]);
        budget.charge(SHORT);
        let steps = ten_steps(12);
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
                budget.charge(slice);
                stint.asked = Some(now);
            }
        }
        assert!((worked / 10..worked / 8).contains(&lost), "{lost:?} of {worked:?}");
    }

    #[test]
    fn what_is_back_soon_costs_nothing_and_waits_earn_little() {
        let (budget, left) = (Budget::new(), |budget: &Budget| budget.left.load(Ordering::Relaxed));
        let at_first = left(&budget);
        budget.charge(LOST);
        budget.earn(Duration::from_secs(3600));
        assert_eq!(left(&budget) - at_first, nanoseconds(WORKED_MAX / WORKED_FOR_LOST));
        for _ in 0..1000 {
            budget.earn(WORKED_MAX);
        }
        assert!(left(&budget) < nanoseconds(SAVED_MAX + WORKED_MAX));
        assert!(!budget.is_short());
        budget.charge(SAVED_MAX);
        assert!(budget.is_short());
    }
}
