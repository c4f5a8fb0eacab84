//! How much a series moved within windows: rates, increases, changes, resets.

use super::each_window;
use crate::promql::eval::{Window, Windows};
use crate::promql::grid::ABSENT;
use crate::promql::source::Samples;

/// What the difference across a window is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// `delta`: of a gauge
    Delta,
    /// `increase`: of a counter
    Increase,
    /// `rate`: of a counter, a second
    Rate,
}

/// A window whose first sample is further from its border than this many times the samples' distance is not taken
/// to reach that border.
const REACH: f64 = 1.1;

/// `delta`, `increase`, `rate`: from the first to the last sample of a window, stretched to its borders.
pub(super) fn difference(kind: Difference, samples: &Samples, windows: &Windows, column: &mut [f64]) {
    let mut resets = Resets::new(if kind == Difference::Delta { &[] } else { &samples.values });
    each_window(&samples.times, windows, column, |_, window| {
        if window.len() < 2 {
            return ABSENT;
        }
        let (first, last) = (window.from, window.to - 1);
        let mut moved = samples.values[last] - samples.values[first];
        for lost in resets.within(window) {
            moved += lost;
        }
        // The order of these divisions is upstream's, so that the last digit is too.
        let stretch = stretch(kind, samples, window, moved);
        moved * if kind == Difference::Rate { stretch / (windows.range_ms as f64 / 1000.0) } else { stretch }
    });
}

/// By how much the difference between the samples of a window must grow to stand for all of it.
fn stretch(kind: Difference, samples: &Samples, window: Window, moved: f64) -> f64 {
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let (first, last) = (samples.times[window.from], samples.times[window.to - 1]);
    let sampled = seconds(first, last);
    let distance = sampled / (window.len() - 1) as f64;
    let mut to_start = seconds(window.start, first);
    let mut to_end = seconds(last, window.end);
    if to_start >= distance * REACH {
        to_start = distance / 2.0;
    }
    if kind != Difference::Delta {
        // A counter was never below zero: it cannot have begun earlier than where its slope meets zero.
        let first_value = samples.values[window.from];
        if moved > 0.0 && first_value >= 0.0 {
            to_start = to_start.min(sampled * (first_value / moved));
        }
    }
    if to_end >= distance * REACH {
        to_end = distance / 2.0;
    }
    (sampled + to_start + to_end) / sampled
}

/// Where a counter fell, and from what: what the difference across a window must get back.
struct Resets {
    falls: Vec<(usize, f64)>,
    /// Falls before this one are before the current window.
    next: usize,
}

impl Resets {
    fn new(values: &[f64]) -> Self {
        let fell = |(at, pair): (usize, &[f64])| (pair[1] < pair[0]).then_some((at + 1, pair[0]));
        Resets { falls: values.windows(2).enumerate().filter_map(fell).collect(), next: 0 }
    }

    /// The values from which the counter fell within the window, in order.
    fn within(&mut self, window: Window) -> impl Iterator<Item = f64> + '_ {
        while self.falls.get(self.next).is_some_and(|(at, _)| *at <= window.from) {
            self.next += 1;
        }
        self.falls[self.next..].iter().take_while(move |(at, _)| *at < window.to).map(|(_, from)| *from)
    }
}

/// `idelta`, or `irate` where `counter`: between the last two samples of a window.
pub(super) fn instant_difference(counter: bool, samples: &Samples, windows: &Windows, column: &mut [f64]) {
    each_window(&samples.times, windows, column, |_, window| {
        if window.len() < 2 {
            return ABSENT;
        }
        let (before, last) = (window.to - 2, window.to - 1);
        let (old, new) = (samples.values[before], samples.values[last]);
        let milliseconds = samples.times[last] - samples.times[before];
        match counter {
            false => new - old,
            true if milliseconds == 0 => ABSENT,
            true => (if new < old { new } else { new - old }) / (milliseconds as f64 / 1000.0),
        }
    });
}

/// `changes`: how often the value changed. NaN after NaN is no change.
pub(super) fn changes(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    count_steps(samples, windows, column, |old, new| new != old && !(new.is_nan() && old.is_nan()));
}

/// `resets`: how often the value fell.
pub(super) fn resets(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    count_steps(samples, windows, column, |old, new| new < old);
}

/// Counts the pairs of neighbours within each window for which `counts` says so, by one scan for all windows.
fn count_steps(samples: &Samples, windows: &Windows, column: &mut [f64], counts: impl Fn(f64, f64) -> bool) {
    let mut up_to = Vec::with_capacity(samples.len());
    let mut total = 0u32;
    for (at, value) in samples.values.iter().enumerate() {
        total += u32::from(at > 0 && counts(samples.values[at - 1], *value));
        up_to.push(total);
    }
    each_window(&samples.times, windows, column, |_, window| f64::from(up_to[window.to - 1] - up_to[window.from]));
}
