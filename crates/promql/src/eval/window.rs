//! Windows over samples: which of them a range function sees at each step.

use super::run::Scratch;
use super::vector::{BoxedVector, Metric};
use crate::error::QueryError;
use crate::grid::{Grid, Shift, is_absent};
use sealine_model::Samples;
use std::ops::Range;

/// Series with samples to look at through windows.
pub(crate) trait RangeVector: Send + Sync {
    /// How many series there are.
    fn len(&self) -> usize;

    /// What names series `index`.
    fn metric(&self, index: usize) -> Metric;

    /// The windows, the same for every series.
    fn windows(&self) -> &Windows;

    /// Replaces what `into` holds by all samples of series `index` that any window can see; no staleness markers.
    fn read(&self, index: usize, scratch: &mut Scratch<'_>, into: &mut Samples) -> Result<(), QueryError>;
}

/// A window a step: it ends at the step's shifted time, which is in it, and begins `range_ms` earlier, which is not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    pub grid: Grid,
    pub range_ms: i64,
    pub shift: Shift,
}

/// What one step sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The samples in it are those numbered `from..to`.
    pub from: usize,
    pub to: usize,
    /// Its borders, in milliseconds.
    pub start: i64,
    pub end: i64,
}

impl Window {
    /// How many samples are in it.
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

impl Windows {
    /// The earliest and the latest time of a sample that any window can see.
    pub fn span(&self) -> (i64, i64) {
        let (first, last) = (self.shift.apply(self.grid.start), self.shift.apply(self.grid.end()));
        (first - self.range_ms + 1, last)
    }

    /// Those of these steps alone.
    pub fn part(&self, steps: Range<usize>) -> Windows {
        let Grid { step, .. } = self.grid;
        Windows { grid: Grid { start: self.grid.time(steps.start), step, count: steps.len() }, ..*self }
    }

    /// Whether every window is the same.
    pub fn is_fixed(&self) -> bool {
        self.shift.at.is_some() || self.grid.count <= 1
    }

    /// The windows over `times`, step by step.
    pub fn over<'a>(&self, times: &'a [i64]) -> impl Iterator<Item = Window> + use<'a> {
        let windows = *self;
        let (mut from, mut to) = (Front::default(), Front::default());
        windows.grid.times().map(move |time| {
            let end = windows.shift.apply(time);
            let start = end - windows.range_ms;
            to.advance(times, end);
            from.advance(&times[..to.at], start);
            Window { from: from.at, to: to.at, start, end }
        })
    }
}

/// Counts how many times lie up to a border that moves on. Samples and borders mostly come in steps of their own, so it
/// first looks where as many more are as at the border before.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// How many.
    pub at: usize,
    stride: usize,
}

impl Front {
    /// Moves on to the last of `times` that is not later than `border`.
    #[inline]
    pub fn advance(&mut self, times: &[i64], border: i64) {
        let began = self.at;
        let likely = began + self.stride;
        if likely.checked_sub(1).and_then(|last| times.get(last)).is_some_and(|last| *last <= border) {
            self.at = likely;
        }
        while self.at < times.len() && times[self.at] <= border {
            self.at += 1;
        }
        self.stride = self.at - began;
    }
}

/// The values of a vector as samples: a subquery.
pub(crate) struct Subquery<'q> {
    vector: BoxedVector<'q>,
    inner: Grid,
    windows: Windows,
}

impl<'q> Subquery<'q> {
    /// The inner times that windows over `grid` can see: the multiples of `step_ms` in their span.
    pub fn inner_grid(windows: &Windows, step_ms: i64) -> Grid {
        let (first, last) = windows.span();
        let start = first.div_euclid(step_ms) * step_ms;
        let start = if start < first { start + step_ms } else { start };
        Grid::new(start, last, step_ms)
    }

    /// A subquery over a vector that was evaluated over `inner`.
    pub fn new(vector: BoxedVector<'q>, inner: Grid, windows: Windows) -> Self {
        Subquery { vector, inner, windows }
    }
}

impl RangeVector for Subquery<'_> {
    fn len(&self) -> usize {
        self.vector.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.vector.metric(index)
    }

    fn windows(&self) -> &Windows {
        &self.windows
    }

    fn read(&self, index: usize, scratch: &mut Scratch<'_>, into: &mut Samples) -> Result<(), QueryError> {
        let mut column = scratch.take_column(self.inner.count);
        self.vector.fill(index, scratch, &mut column)?;
        into.clear();
        for (step, value) in column.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            into.push(self.inner.time(step), *value);
        }
        scratch.give_column(column);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn windows_leave_out_their_left_border() {
        let windows = Windows { grid: Grid::new(20, 40, 10), range_ms: 10, shift: Shift::default() };
        let seen: Vec<_> = windows.over(&[10, 15, 20, 21, 30]).map(|w| (w.from, w.to, w.start, w.end)).collect();
        assert_eq!(seen, [(1, 3, 10, 20), (3, 5, 20, 30), (5, 5, 30, 40)]);
        assert_eq!(windows.span(), (11, 40));
        let seen: Vec<_> = windows.part(1..3).over(&[10, 15, 20, 21, 30]).map(|w| (w.from, w.to)).collect();
        assert_eq!(seen, [(3, 5), (5, 5)]);
    }

    #[test]
    fn windows_over_irregular_samples_hold_what_lies_in_them() {
        let seed = rand::rng().next_u64();
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..300 {
            let mut time = 0;
            let times: Vec<i64> = (0..random.random_range(0..80))
                .map(|_| {
                    time += if random.random_bool(0.8) { 10 } else { random.random_range(1..90) };
                    time
                })
                .collect();
            let (step, range_ms) = (random.random_range(1..80), random.random_range(1..120));
            let windows = Windows { grid: Grid::new(-50, 900, step), range_ms, shift: Shift::default() };
            for window in windows.over(&times) {
                let upto = |border: i64| times.iter().filter(|time| **time <= border).count();
                assert_eq!((window.from, window.to), (upto(window.start), upto(window.end)), "seed {seed}");
            }
        }
    }

    #[test]
    fn shifted_windows_look_elsewhere() {
        for (at, offset, want) in [(None, 5, (6, 35)), (Some(100), 0, (91, 100)), (Some(100), -10, (101, 110))] {
            let windows = Windows { grid: Grid::new(20, 40, 10), range_ms: 10, shift: Shift { at, offset } };
            assert_eq!(windows.span(), want, "at {at:?} offset {offset}");
        }
    }

    #[test]
    fn subqueries_stand_on_multiples_of_their_step() {
        for (start, end, range_ms, step, want) in
            [(100, 100, 30, 10, vec![80, 90, 100]), (105, 105, 30, 10, vec![80, 90, 100]), (5, 5, 20, 10, vec![-10, 0])]
        {
            let windows = Windows { grid: Grid::new(start, end, 1), range_ms, shift: Shift::default() };
            let inner: Vec<_> = Subquery::inner_grid(&windows, step).times().collect();
            assert_eq!(inner, want, "{start} {range_ms}:{step}");
        }
    }
}
