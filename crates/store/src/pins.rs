//! Which queries a seal waits for: those that began before its files were there.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// Counts the queries that run, apart for each time between two seals.
#[derive(Default)]
pub(super) struct Pins {
    current: Mutex<Arc<Running>>,
}

/// What a query holds while it runs.
pub(super) struct Pin(Arc<Running>);

/// The queries that began between two seals and have not ended.
#[derive(Default)]
struct Running {
    count: Mutex<u64>,
    all_ended: Condvar,
}

impl Pins {
    /// For a query that begins now.
    pub fn pin(&self) -> Pin {
        // Counted before a seal can take the others away to wait for them.
        let current = self.current.lock();
        *current.count.lock() += 1;
        Pin(current.clone())
    }

    /// Waits until every query that began before this call has ended. Those that begin meanwhile are not waited for.
    pub fn wait_for_earlier(&self) {
        let earlier = std::mem::take(&mut *self.current.lock());
        let mut count = earlier.count.lock();
        earlier.all_ended.wait_while(&mut count, |count| *count > 0);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut count = self.0.count.lock();
        *count -= 1;
        if *count == 0 {
            self.0.all_ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    #[test]
    fn a_seal_waits_for_the_queries_before_it_and_for_no_later_one() {
        let pins = Pins::default();
        pins.wait_for_earlier();
        let earlier = pins.pin();
        let before = pins.current.lock().clone();
        thread::scope(|scope| {
            let seal = scope.spawn(|| pins.wait_for_earlier());
            // The seal has begun once there is another count; it cannot end before the earlier query.
            while Arc::ptr_eq(&before, &pins.current.lock()) {
                thread::yield_now();
            }
            let later = pins.pin();
            assert!(!seal.is_finished());
            drop(earlier);
            seal.join().expect("the seal goes on beside the later query");
            drop(later);
        });
    }

    #[test]
    fn no_end_of_a_query_is_missed() {
        let (pins, seals, running) = (Pins::default(), AtomicU64::new(0), [const { AtomicU64::new(0) }; 4]);
        let mut still_run = 0;
        thread::scope(|scope| {
            for ran in &running {
                let (pins, seals) = (&pins, &seals);
                scope.spawn(move || {
                    while seals.load(Ordering::SeqCst) < 500 {
                        let pin = pins.pin();
                        ran.fetch_add(1, Ordering::SeqCst); // odd: it runs
                        thread::yield_now();
                        ran.fetch_add(1, Ordering::SeqCst);
                        drop(pin);
                    }
                });
            }
            for _ in 0..500 {
                let before = [0, 1, 2, 3].map(|at| running[at].load(Ordering::SeqCst));
                pins.wait_for_earlier();
                let ran = running.iter().map(|ran| ran.load(Ordering::SeqCst));
                still_run +=
                    before.into_iter().zip(ran).filter(|(before, ran)| before % 2 == 1 && before == ran).count();
                seals.fetch_add(1, Ordering::SeqCst);
            }
        });
        assert_eq!(still_run, 0, "seals went on while queries before them still ran");
    }
}
