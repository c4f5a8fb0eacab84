//! Work that takes long lets others have its processor now and then.
//!
//! A write passes several threads, each of which wakes up the next; so does whoever sent it. Where long work runs on all
//! processors, the kernel lets each of them wait for its tick. So long work yields every 100 µs, and every tenth time it
//! sleeps, as briefly as can be: a thread that wakes up is given an idle processor, where one that only yields stays where
//! it is, and two threads of a query would share one processor to the end.
//!
//! Beside a process that takes all it can get, a yield costs a whole slice of that one. So the time that is lost in this
//! way has a budget, a tenth of the time worked, for all threads together. Work that is over soon never gives way.

use crate::clock;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Work that has taken this long is long.
const LONG: Duration = Duration::from_millis(2);

/// How long a thread works until it gives way.
const WORKS_ON: Duration = Duration::from_micros(100);

/// How often it yields until it sleeps.
const YIELDS: u32 = 10;

/// What is away for longer has met somebody who takes all there is. Our own threads, and who talks to them, are done sooner.
const LOST: Duration = Duration::from_millis(1);

/// For each part of time lost, so many parts are worked before anybody gives way again.
const WORKED_FOR_LOST: i64 = 9;

/// Time, in nanoseconds, that giving way may yet lose; below zero nobody gives way. One for the process, as its threads
/// share the processors. Relaxed: it stands alone, and a yield too many does not matter.
static BUDGET: AtomicI64 = AtomicI64::new(0);

/// What a thread is at.
#[derive(Debug, Clone, Copy)]
struct Stint {
    began: Option<Instant>,
    /// When it last gave way, or could have.
    asked: Option<Instant>,
    yields: u32,
}

/// What it should do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    WorkOn,
    /// It may not give way, and has worked for so long.
    Earn(Duration),
    Yield,
    Sleep,
}

impl Stint {
    const NEW: Stint = Stint { began: None, asked: None, yields: 0 };

    fn step(&mut self, now: Instant, may_give_way: bool) -> Step {
        let began = *self.began.get_or_insert(now);
        let asked = *self.asked.get_or_insert(now);
        let worked = now.saturating_duration_since(asked);
        if worked < WORKS_ON || now.saturating_duration_since(began) < LONG {
            return Step::WorkOn;
        }
        self.asked = Some(now);
        if !may_give_way {
            return Step::Earn(worked);
        }
        self.yields = (self.yields + 1) % YIELDS;
        if self.yields == 0 { Step::Sleep } else { Step::Yield }
    }
}

thread_local! {
    static STINT: Cell<Stint> = const { Cell::new(Stint::NEW) };
}

/// A question begins on this thread: it is short until it turns out to be long.
pub fn begin_question() {
    STINT.set(Stint::NEW);
}

/// Lets others have the processor where this work has taken long; it is `now`. To be called again and again by whatever
/// may take its time, with no lock held.
pub fn give_way(now: Instant) {
    let mut stint = STINT.get();
    match stint.step(now, BUDGET.load(Ordering::Relaxed) >= 0) {
        Step::WorkOn => {}
        Step::Earn(worked) => drop(BUDGET.fetch_add(nanoseconds(worked) / WORKED_FOR_LOST, Ordering::Relaxed)),
        step => {
            match step {
                Step::Sleep => std::thread::sleep(Duration::from_nanos(1)),
                _ => std::thread::yield_now(),
            }
            let back = clock::instant();
            stint.asked = Some(back);
            let away = back.saturating_duration_since(now);
            if away > LOST {
                BUDGET.fetch_sub(nanoseconds(away), Ordering::Relaxed);
            }
        }
    }
    STINT.set(stint);
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_gives_way_and_short_work_does_not() {
        let start = clock::instant();
        let at = |micros| start + Duration::from_micros(micros);
        let mut stint = Stint::NEW;
        for micros in [0, 90, 500, 1999] {
            assert_eq!(stint.step(at(micros), true), Step::WorkOn, "after {micros} µs");
        }
        assert_eq!(stint.step(at(2000), true), Step::Yield);
        assert_eq!(stint.step(at(2099), true), Step::WorkOn, "it has just done so");
        let steps: Vec<Step> = (21..=30).map(|hundreds| stint.step(at(hundreds * 100), true)).collect();
        assert_eq!(steps.iter().filter(|step| **step == Step::Sleep).count(), 1, "{steps:?}");
        assert!(steps.iter().all(|step| matches!(step, Step::Yield | Step::Sleep)), "{steps:?}");
    }

    #[test]
    fn where_the_budget_is_spent_work_goes_on_and_earns() {
        let start = clock::instant();
        let mut stint = Stint::NEW;
        assert_eq!(stint.step(start, false), Step::WorkOn);
        let worked = Duration::from_millis(3);
        assert_eq!(stint.step(start + worked, false), Step::Earn(worked));
        assert_eq!(stint.step(start + 2 * worked, true), Step::Yield, "until it may give way again");
    }
}
