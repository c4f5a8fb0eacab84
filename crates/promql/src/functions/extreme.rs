//! The least and the greatest sample of windows, and when they were.

use super::each_window;
use super::moments::overlaps;
use super::sliding::{Part, Sliding};
use crate::eval::{Window, Windows};
use sealine_model::Samples;

/// The extreme of the samples so far, and when it was last reached. Any number beats NaN.
#[derive(Debug, Clone, Copy)]
struct Extreme<const GREATEST: bool> {
    value: f64,
    time: i64,
}

impl<const GREATEST: bool> Part for Extreme<GREATEST> {
    #[inline(always)]
    fn of(value: f64, time: i64) -> Self {
        Extreme { value, time }
    }

    #[inline(always)]
    fn join(self, later: Self) -> Self {
        let beats = if GREATEST { later.value >= self.value } else { later.value <= self.value };
        if beats || self.value.is_nan() { later } else { self }
    }
}

/// `min_over_time`
pub(super) fn min(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    value::<false>(samples, windows, column);
}

/// `max_over_time`
pub(super) fn max(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    value::<true>(samples, windows, column);
}

/// `ts_of_min_over_time`, in seconds
pub(super) fn time_of_min(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    extreme::<false>(samples, windows, column, |extreme| extreme.time as f64 / 1000.0);
}

/// `ts_of_max_over_time`, in seconds
pub(super) fn time_of_max(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    extreme::<true>(samples, windows, column, |extreme| extreme.time as f64 / 1000.0);
}

fn value<const GREATEST: bool>(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    let has_nan = samples.values.iter().fold(false, |any, value| any | value.is_nan());
    if has_nan || overlaps(windows) {
        return extreme::<GREATEST>(samples, windows, column, |extreme| extreme.value);
    }
    // Among numbers it is one instruction a sample; of equal ones, such as the two zeros, the later one is taken.
    let beats = |value: f64, later: f64| if GREATEST { value > later } else { value < later };
    each_window(&samples.times, windows, column, |_, window| {
        let values = samples.values[window.from..window.to].iter().copied();
        values.reduce(|value, later| if beats(value, later) { value } else { later }).unwrap_or(f64::NAN)
    });
}

fn extreme<const GREATEST: bool>(
    samples: &Samples,
    windows: &Windows,
    column: &mut [f64],
    take: impl Fn(Extreme<GREATEST>) -> f64,
) {
    let mut sliding = Sliding::new(&samples.times, &samples.values);
    let overlap = overlaps(windows);
    each_window(&samples.times, windows, column, |_, window| {
        take(if overlap { sliding.fold(window) } else { plain(samples, window) })
    });
}

fn plain<const GREATEST: bool>(samples: &Samples, window: Window) -> Extreme<GREATEST> {
    let at = |index: usize| Extreme::of(samples.values[index], samples.times[index]);
    (window.from + 1..window.to).fold(at(window.from), |extreme, index| extreme.join(at(index)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, Shift};
    use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

    /// With NaN among the samples and without, and with zeros of both signs: results are compared by their bits.
    #[test]
    fn the_extreme_is_the_last_of_the_best() {
        let seed = rand::rng().next_u64();
        let mut random = StdRng::seed_from_u64(seed);
        for round in 0..200 {
            let some = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
            let kinds = if round % 2 == 0 { 6 } else { 7 };
            let values: Vec<f64> = (0..50).map(|_| some[random.random_range(0..kinds)]).collect();
            let samples = Samples { times: (0..50).map(|at| at * 10).collect(), values };
            let windows = Windows { grid: Grid::new(0, 490, 30), range_ms: 60, shift: Shift::default() };
            let (mut most, mut least) = (vec![0.0; 17], vec![0.0; 17]);
            max(&samples, &windows, &mut most);
            min(&samples, &windows, &mut least);
            for (step, window) in windows.over(&samples.times).enumerate() {
                let best = |beats: fn(f64, f64) -> bool| {
                    let values = samples.values[window.from..window.to].iter().copied();
                    values.reduce(|best, value| if best.is_nan() || beats(value, best) { value } else { best }).unwrap()
                };
                let (got, want) = ([most[step], least[step]], [best(|a, b| a >= b), best(|a, b| a <= b)]);
                assert_eq!(got.map(f64::to_bits), want.map(f64::to_bits), "step {step}, seed {seed}");
            }
        }
    }
}
