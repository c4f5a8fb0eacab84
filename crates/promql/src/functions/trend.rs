//! Lines through windows: regression and exponential smoothing.

use super::counter::is_moment;
use super::each_window;
use crate::error::QueryError;
use crate::eval::{Window, Windows};
use crate::grid::ABSENT;
use crate::notes::Short;
use crate::sum::Sum;
use sealine_model::Samples;

/// `deriv`: the slope, a second
pub(super) fn derivative(samples: &Samples, windows: &Windows, column: &mut [f64]) {
    each_window(&samples.times, windows, column, |_, window| {
        if is_moment(samples, window) { ABSENT } else { regression(samples, window, samples.times[window.from]).0 }
    });
}

/// `predict_linear`: where the line is `seconds` after the step
pub(super) fn predict(seconds: &[f64], samples: &Samples, windows: &Windows, column: &mut [f64]) {
    each_window(&samples.times, windows, column, |step, window| {
        if is_moment(samples, window) {
            return ABSENT;
        }
        let (slope, value) = regression(samples, window, windows.grid.time(step));
        slope * seconds[step] + value
    });
}

/// The line of least squares through the samples of a window: its slope a second, and its value at `origin`.
fn regression(samples: &Samples, window: Window, origin: i64) -> (f64, f64) {
    let (times, values) = (&samples.times[window.from..window.to], &samples.values[window.from..window.to]);
    let first = values[0];
    if values.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut xs, mut ys, mut products, mut squares) = (Sum::ZERO, Sum::ZERO, Sum::ZERO, Sum::ZERO);
    for (time, y) in times.iter().zip(values) {
        let x = (time - origin) as f64 / 1000.0;
        xs = xs.plus(x);
        ys = ys.plus(*y);
        products = products.plus(x * y);
        squares = squares.plus(x * x);
    }
    let count = values.len() as f64;
    let [xs, ys, products, squares] = [xs, ys, products, squares].map(Sum::value);
    let slope = (products - xs * ys / count) / (squares - xs * xs / count);
    (slope, ys / count - slope * xs / count)
}

/// `double_exponential_smoothing`: the last value, smoothed by `level` and following a trend smoothed by `trend`.
///
/// Errors: a factor outside of 0 to 1 at a step whose window has samples; elsewhere nobody asks for it.
pub(super) fn smooth(
    level: &[f64],
    trend: &[f64],
    samples: &Samples,
    windows: &Windows,
    column: &mut [f64],
) -> Result<(), QueryError> {
    let mut refused = None;
    each_window(&samples.times, windows, column, |step, window| {
        let (level, follow) = (level[step], trend[step]);
        for (factor, what) in [(level, "smoothing"), (follow, "trend")] {
            // Upstream lets NaN pass.
            if factor <= 0.0 || factor >= 1.0 {
                refused.get_or_insert((factor, what));
            }
        }
        let [first, second, ..] = samples.values[window.from..window.to] else { return ABSENT };
        let (mut before, mut smoothed, mut slope) = (0.0, first, second - first);
        for (nth, value) in samples.values[window.from + 1..window.to].iter().enumerate() {
            if nth > 0 {
                slope = follow * (smoothed - before) + (1.0 - follow) * slope;
            }
            let next = level * value + (1.0 - level) * (smoothed + slope);
            (before, smoothed) = (smoothed, next);
        }
        smoothed
    });
    match refused {
        None => Ok(()),
        Some((factor, what)) => {
            let got = Short(factor);
            let sentence = format!("invalid {what} factor: expected a number between 0 and 1, got {got}");
            Err(QueryError::Execution(sentence))
        }
    }
}
