//! Sum, average, deviation and variance of windows.

use super::each_window;
use super::sliding::{Part, Sliding};
use crate::eval::Windows;
use crate::sum::{Mean, Spread, Sum};
use sealine_model::Samples;

/// A sample in more windows than this is worth folding in parts; in fewer, each window is summed afresh.
const OVERLAP_MIN: i64 = 4;

/// Whether windows overlap so much that folding in parts pays.
pub(super) fn overlaps(windows: &Windows) -> bool {
    !windows.is_fixed() && windows.range_ms / OVERLAP_MIN >= windows.grid.step
}

impl Part for Sum {
    fn of(value: f64, _: i64) -> Self {
        Sum::of(value)
    }

    fn join(self, later: Self) -> Self {
        Sum::join(self, later)
    }
}

impl Part for Spread {
    fn of(value: f64, _: i64) -> Self {
        let mut spread = Spread::EMPTY;
        spread.add(value);
        spread
    }

    fn join(self, later: Self) -> Self {
        Spread::join(self, later)
    }
}

/// `sum_over_time`
pub(super) fn sum(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    let mut sliding = Sliding::<Sum>::new(&samples.times, &samples.values);
    let overlap = overlaps(windows);
    each_window(&samples.times, windows, column, |_, window| {
        if overlap {
            sliding.fold(window).value()
        } else {
            Sum::of_all(&samples.values[window.from..window.to]).value()
        }
    });
}

/// `avg_over_time`
pub(super) fn average(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    let mut sliding = Sliding::<Sum>::new(&samples.times, &samples.values);
    let overlap = overlaps(windows);
    each_window(&samples.times, windows, column, |_, window| {
        let values = &samples.values[window.from..window.to];
        let sum = if overlap { sliding.fold(window) } else { Sum::of_all(values) };
        if sum.sum.is_finite() {
            let count = values.len() as f64;
            return sum.sum / count + sum.compensation / count;
        }
        // Too large for a sum, or not finite to begin with.
        let mut mean = Mean::EMPTY;
        values.iter().for_each(|value| mean.add(*value));
        mean.value()
    });
}

/// `stdvar_over_time`
pub(super) fn variance(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    let mut sliding = Sliding::<Spread>::new(&samples.times, &samples.values);
    let overlap = overlaps(windows);
    each_window(&samples.times, windows, column, |_, window| {
        if overlap {
            return sliding.fold(window).variance();
        }
        let mut spread = Spread::EMPTY;
        samples.values[window.from..window.to].iter().for_each(|value| spread.add(*value));
        spread.variance()
    });
}
