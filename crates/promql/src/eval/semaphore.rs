//! A semaphore that all queries of an engine share: it limits how many threads evaluate series at once, however many
//! queries there are.
//!
//! Reading a series takes the lock of its row for a moment. A thread that loses its processor in that moment keeps writes
//! to the row waiting until it gets one again, which is at once where no other query wants it.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a waiting thread checks whether it should go on waiting.
const LOOK: Duration = Duration::from_millis(20);

/// A fair semaphore: who has waited longest is next.
#[derive(Debug)]
pub(crate) struct Semaphore {
    state: Mutex<State>,
    granted: Condvar,
}

#[derive(Debug)]
struct State {
    /// The number that the next thread draws.
    next: u64,
    /// Numbers below this have or had a permit.
    granted: u64,
    /// Numbers of threads that gave up while they waited.
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

impl Semaphore {
    /// With `count` permits, at least one.
    pub fn new(count: usize) -> Self {
        let state = State { next: 0, granted: count.max(1) as u64, gone: BTreeSet::new() };
        Semaphore { state: Mutex::new(state), granted: Condvar::new() }
    }

    /// Waits for a permit. A thread that has one must not wait for another.
    ///
    /// Errors: that of `go_on`, which is asked from time to time.
    pub fn acquire<E>(&self, go_on: impl Fn() -> Result<(), E>) -> Result<Permit<'_>, E> {
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
        Ok(Permit(self))
    }

    /// A permit, if one is free and nobody waits for it.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        let mut state = self.state.lock();
        (state.next < state.granted).then(|| {
            state.next += 1;
            Permit(self)
        })
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Semaphore);

impl Drop for Permit<'_> {
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
    fn no_more_threads_than_permits_run_at_once() {
        let (permits, at_work, done) = (Semaphore::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _permit = permits.acquire(|| Ok::<_, ()>(())).unwrap();
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
    fn a_thread_that_stops_waiting_takes_no_permit_with_it() {
        let permits = Semaphore::new(1);
        let first = permits.acquire(|| Ok::<_, ()>(())).unwrap();
        assert!(permits.try_acquire().is_none());
        for _ in 0..3 {
            assert_eq!(permits.acquire(|| Err("no time left")).unwrap_err(), "no time left");
        }
        drop(first);
        let again = permits.try_acquire().expect("it is free, and nobody waits");
        drop(again);
        drop(permits.acquire(|| Err("asked in vain")).unwrap());
        assert!(permits.state.lock().gone.is_empty());
    }
}
