//! Quantiles: what takes the values of a window in order.

use super::each_window;
use crate::eval::Windows;
use sealine_model::Samples;
use std::cmp::Ordering;

/// The `quantile` of the values, between neighbours by proportion; NaN counts as less than any number.
/// Sorts `values`. NaN of no value or no quantile, infinite where the quantile is outside of 0 to 1.
pub(crate) fn quantile(quantile: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = quantile * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let weight = rank - rank.floor();
    let (_, &mut below, rest) = values.select_nth_unstable_by(lower, nan_first);
    let above = rest.iter().copied().min_by(nan_first).unwrap_or(below);
    below * (1.0 - weight) + above * weight
}

fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// `quantile_over_time`, with a quantile a step
pub(super) fn quantile_over_time(quantiles: &[f64], samples: &Samples, windows: &Windows, column: &mut [f64]) {
    let mut values = Vec::new();
    each_window(&samples.times, windows, column, |step, window| {
        values.clear();
        values.extend_from_slice(&samples.values[window.from..window.to]);
        quantile(quantiles[step], &mut values)
    });
}

/// `mad_over_time`: the median distance from the median
pub(super) fn median_deviation(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    let mut values = Vec::new();
    each_window(&samples.times, windows, column, |_, window| {
        values.clear();
        values.extend_from_slice(&samples.values[window.from..window.to]);
        if values.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        let median = quantile(0.5, &mut values);
        values.iter_mut().for_each(|value| *value = (*value - median).abs());
        quantile(0.5, &mut values)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        for (name, at, values, want) in [
            ("two", 0.8, &[0.0, 1.0][..], 0.8),
            ("three", 0.2, &[2.0, 0.0, 1.0], 0.4),
            ("uneven", 0.8, &[4.0, 1.0, 0.0], 2.8),
            ("one", 0.3, &[7.0], 7.0),
            ("last", 1.0, &[1.0, 3.0, 2.0], 3.0),
            ("nan is least", 0.8, &[1.0, f64::NAN, 0.0], 0.6),
            ("below", -1.0, &[1.0], f64::NEG_INFINITY),
            ("above", 2.0, &[1.0], f64::INFINITY),
        ] {
            let got = quantile(at, &mut values.to_vec());
            assert!(got == want || (got - want).abs() < 1e-12, "{name}: {got}");
        }
        assert!(quantile(0.2, &mut [0.0, 1.0, f64::NAN]).is_nan());
        assert!(quantile(0.5, &mut []).is_nan());
        assert!(quantile(f64::NAN, &mut [1.0]).is_nan());
    }
}
