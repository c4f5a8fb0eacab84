//! Turns at the processors, which all queries of an engine share: so many threads evaluate series at once, however many
//! queries there are.
//!
//! Reading a series takes the lock of its row for a moment. A thread that loses its processor in that moment keeps writes
//! to the row waiting until it gets one again, which is at once where no other query wants it.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often whoever waits looks whether it still wants to.
const LOOK: Duration = Duration::from_millis(20);

/// So many turns; who waits longest is next.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
    granted: Condvar,
}

#[derive(Debug)]
struct State {
    /// Whoever comes draws this number.
    next: u64,
    /// Numbers below this have their turn, or had it.
    granted: u64,
    /// Numbers of those who went while they waited.
    gone: BTreeSet<u64>,
}

impl State {
    fn grant(&mut self) {
        self.granted += 1;
        while self.gone.remove(&(self.granted - 1)) {
            self.granted += 1;
        }
    }
}

impl Turns {
    /// At least one.
    pub fn new(count: usize) -> Self {
        let state = State { next: 0, granted: count.max(1) as u64, gone: BTreeSet::new() };
        Turns { state: Mutex::new(state), granted: Condvar::new() }
    }

    /// Waits for a turn. Whoever has one must not wait for another.
    ///
    /// Errors: that of `go_on`, which is asked from time to time.
    pub fn take<E>(&self, go_on: impl Fn() -> Result<(), E>) -> Result<Turn<'_>, E> {
        let mut state = self.state.lock();
        let own = state.next;
        state.next += 1;
        while own >= state.granted {
            if self.granted.wait_for(&mut state, LOOK).timed_out()
                && let Err(error) = go_on()
            {
                match own < state.granted {
                    true => state.grant(), // it came in this moment
                    false => _ = state.gone.insert(own),
                }
                self.granted.notify_all();
                return Err(error);
            }
        }
        Ok(Turn(self))
    }

    /// A turn, where there is one that nobody waits for.
    pub fn try_take(&self) -> Option<Turn<'_>> {
        let mut state = self.state.lock();
        (state.next < state.granted).then(|| {
            state.next += 1;
            Turn(self)
        })
    }
}

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.grant();
        if state.granted <= state.next {
            self.0.granted.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_than_so_many_have_a_turn() {
        let (turns, at_work, done) = (Turns::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _turn = turns.take(|| Ok::<_, ()>(())).unwrap();
                        assert!(at_work.fetch_add(1, Ordering::SeqCst) < 2);
                        std::thread::yield_now();
                        at_work.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 1600);
    }

    #[test]
    fn whoever_stops_waiting_takes_no_turn_with_it() {
        let turns = Turns::new(1);
        let first = turns.take(|| Ok::<_, ()>(())).unwrap();
        assert!(turns.try_take().is_none());
        for _ in 0..3 {
            assert_eq!(turns.take(|| Err("no time left")).unwrap_err(), "no time left");
        }
        drop(first);
        let again = turns.try_take().expect("it is free, and nobody waits");
        drop(again);
        drop(turns.take(|| Err("asked in vain")).unwrap());
        assert!(turns.state.lock().gone.is_empty());
    }
}
