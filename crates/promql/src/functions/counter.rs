//! How much a series moved within windows: rates, increases, changes, resets.

use super::each_window;
use crate::eval::{Window, Windows};
use crate::grid::ABSENT;
use sealine_model::Samples;

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
        if is_moment(samples, window) {
            return ABSENT;
        }
        let (first, last) = (window.from, window.to - 1);
        let moved = resets.give_back(samples.values[last] - samples.values[first], window);
        // The order of these divisions is upstream's, so that the last digit is too.
        let stretch = stretch(kind, samples, window, moved);
        moved * if kind == Difference::Rate { stretch / (windows.range_ms as f64 / 1000.0) } else { stretch }
    });
}

/// Whether a window's samples are of one time, as those of a load generator may be within one millisecond: they say how
/// much there was, and not how fast. One sample is.
pub(super) fn is_moment(samples: &Samples, window: Window) -> bool {
    window.len() < 2 || samples.times[window.from] == samples.times[window.to - 1]
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
enum Resets {
    /// It never did.
    None,
    /// The sum of all values from which it fell up to each sample, where no such sum is rounded: then neither is what
    /// any two of them are apart.
    Sums(Vec<f64>),
    /// The samples that were less than the one before, and that one. Those before `next` are before the current window.
    Listed { falls: Vec<(usize, f64)>, next: usize },
}

impl Resets {
    fn new(values: &[f64]) -> Self {
        let pairs = || values.iter().zip(values.iter().skip(1));
        if !pairs().fold(false, |any, (before, value)| any | (value < before)) {
            return Resets::None;
        }
        if !add_up_exactly(values) {
            let fell = |(at, (before, value)): (usize, (&f64, &f64))| (value < before).then_some((at + 1, *before));
            return Resets::Listed { falls: pairs().enumerate().filter_map(fell).collect(), next: 0 };
        }
        let mut sum = 0.0;
        let mut sums = Vec::with_capacity(values.len());
        sums.push(sum);
        sums.extend(pairs().map(|(before, value)| {
            sum += if value < before { *before } else { 0.0 };
            sum
        }));
        Resets::Sums(sums)
    }

    /// `moved` and the values from which the counter fell within the window, added in their order.
    fn give_back(&mut self, moved: f64, window: Window) -> f64 {
        match self {
            Resets::None => moved,
            Resets::Sums(sums) => {
                let lost = sums[window.to - 1] - sums[window.from];
                if lost == 0.0 { moved } else { moved + lost } // it may be -0.0, and is to stay so
            }
            Resets::Listed { falls, next } => {
                while falls.get(*next).is_some_and(|(at, _)| *at <= window.from) {
                    *next += 1;
                }
                let within = falls[*next..].iter().take_while(|(at, _)| *at < window.to);
                within.fold(moved, |moved, (_, from)| moved + from)
            }
        }
    }
}

/// Whether all values are integers from zero up, so small that no sum of some of them and the difference of two is rounded,
/// in whatever order it is taken. What counts events mostly is so.
fn add_up_exactly(values: &[f64]) -> bool {
    const EXACT: f64 = (1u64 << 53) as f64;
    /// Added to a number below 2^51, it leaves no place for a fraction.
    const SHIFT: f64 = 1.5 * (1u64 << 52) as f64;
    let max = (EXACT / (values.len() + 2) as f64).min(EXACT / 4.0);
    values.iter().fold(true, |all, value| all & (*value >= 0.0) & (*value <= max) & ((value + SHIFT) - SHIFT == *value))
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

    /// Sums of integers that are taken from running sums are, to the bit, those of the falls one after the other, which is
    /// what is done where a sum may be rounded.
    #[test]
    fn what_counters_lost_is_the_same_from_running_sums() {
        let seed = rand::rng().next_u64();
        let mut random = StdRng::seed_from_u64(seed);
        let mut summed = 0;
        for round in 0..600 {
            let count = random.random_range(1..60);
            let max: f64 = [1.0, 3.0, 1000.0, 2f64.powi(46), 2f64.powi(53)][round % 5];
            let mut values: Vec<f64> = (0..count).map(|_| (random.random::<f64>() * max).round()).collect();
            match round % 4 {
                0 => values[0] = -0.0,
                1 if round % 3 == 0 => values[count / 2] += 0.5,
                2 if round % 3 == 0 => values[count / 2] = [f64::NAN, f64::INFINITY, -1.0][round % 9 / 3],
                _ => {}
            }
            let mut resets = Resets::new(&values);
            summed += usize::from(matches!(resets, Resets::Sums(_)));
            let (mut from, mut to) = (0, 1);
            while to <= count {
                let window = Window { from, to, start: 0, end: 0 };
                let moved = values[to - 1] - values[from];
                let falls = values[from..to].windows(2).filter(|pair| pair[1] < pair[0]);
                let want = falls.fold(moved, |moved, pair| moved + pair[0]);
                let got = resets.give_back(moved, window);
                assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{got} {want}, seed {seed}");
                to += random.random_range(0..4);
                from = random.random_range(from..=from + 3).min(to - 1);
            }
        }
        assert!((100..500).contains(&summed), "{summed} of 600 were summed, seed {seed}");
    }
}
