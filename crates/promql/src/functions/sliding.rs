//! Folding every window of a series in about one scan of it.
//!
//! Windows that overlap share samples. This queue of two stacks keeps, for the older part of the window, the fold from
//! each sample to the end of that part, and for the newer part one running fold: a step joins two of them, and each
//! sample is folded twice however long the window is. Nothing is ever subtracted, so no rounding error stays behind.

use crate::eval::Window;

/// What can be folded in parts: `join` must be associative (up to rounding).
pub(super) trait Part: Copy {
    /// The part that one sample makes.
    fn of(value: f64, time: i64) -> Self;

    /// This part followed by a later one.
    #[must_use]
    fn join(self, later: Self) -> Self;
}

/// The fold of the current window. Windows must come in order: neither border may go back.
pub(super) struct Sliding<'a, P> {
    times: &'a [i64],
    values: &'a [f64],
    /// `older[k]` folds the samples numbered `older_from + k` up to `newer_from`, that one not included.
    older: Vec<P>,
    older_from: usize,
    newer_from: usize,
    newer_to: usize,
    newer: Option<P>,
}

impl<'a, P: Part> Sliding<'a, P> {
    /// Starts before the first sample.
    pub fn new(times: &'a [i64], values: &'a [f64]) -> Self {
        Sliding { times, values, older: Vec::new(), older_from: 0, newer_from: 0, newer_to: 0, newer: None }
    }

    /// The fold of the samples in `window`, which must not be empty.
    pub fn fold(&mut self, window: Window) -> P {
        assert!(!window.is_empty(), "BUG: an empty window has no fold");
        if window.from >= self.newer_from {
            self.turn(window);
        } else {
            for at in self.newer_to..window.to {
                let part = P::of(self.values[at], self.times[at]);
                self.newer = Some(self.newer.map_or(part, |newer| newer.join(part)));
            }
            self.newer_to = window.to;
        }
        let older = self.older[window.from - self.older_from];
        self.newer.map_or(older, |newer| older.join(newer))
    }

    /// Makes all of `window` the older part.
    fn turn(&mut self, window: Window) {
        self.older.clear();
        self.older.reserve(window.len());
        let mut suffix: Option<P> = None;
        for at in (window.from..window.to).rev() {
            let part = P::of(self.values[at], self.times[at]);
            let joined = suffix.map_or(part, |later| part.join(later));
            suffix = Some(joined);
            self.older.push(joined);
        }
        self.older.reverse();
        self.older_from = window.from;
        (self.newer_from, self.newer_to, self.newer) = (window.to, window.to, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

    /// Remembers which samples were joined, in which order.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Span(i64, i64);

    impl Part for Span {
        fn of(_: f64, time: i64) -> Self {
            Span(time, time)
        }

        fn join(self, later: Self) -> Self {
            assert_eq!(self.1 + 1, later.0, "parts must meet");
            Span(self.0, later.1)
        }
    }

    #[test]
    fn every_window_is_folded_in_order_and_whole() {
        let seed = rand::rng().next_u64();
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            let samples = random.random_range(1..60);
            let times: Vec<i64> = (0..samples as i64).collect();
            let values = vec![0.0; samples];
            let mut sliding = Sliding::<Span>::new(&times, &values);
            let (mut from, mut to) = (0, 0);
            for _ in 0..80 {
                to = random.random_range(to..=samples.min(to + 9));
                from = random.random_range(from..=to.min(from + 9));
                if from < to {
                    let fold = sliding.fold(Window { from, to, start: 0, end: 0 });
                    assert_eq!(fold, Span(from as i64, to as i64 - 1), "seed {seed}");
                }
            }
        }
    }
}
