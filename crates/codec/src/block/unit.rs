//! Finds the unit that values are counts of, but for rounding and for where they start: percentages of a total, for
//! instance, which are no decimals.

/// Neighbours that are looked at. Where they have a unit, the others mostly have it too; where not, only bytes are lost.
const PAIRS: usize = 64;

/// A value may be so far from a count, in units.
const OFF_MAX: f64 = 1e-3;

/// A value that has more units than this is taken for no count: what rounding does grows with each step of the search.
const UNITS_MAX: f64 = (1u64 << 30) as f64;

/// The unit of the values, if they seem to have one.
pub(super) fn of(values: &[f64]) -> Option<f64> {
    let apart = (values.len() / PAIRS).max(1);
    let some = || values.iter().step_by(apart).copied();
    let largest = some().map(f64::abs).fold(0.0, f64::max);
    if !largest.is_finite() || largest == 0.0 {
        return None;
    }
    let smallest = largest / UNITS_MAX;
    let pairs = values.windows(2).step_by(apart).filter_map(|pair| pair.first().zip(pair.last()));
    // The more units a number has, the more exact is the unit that it gives.
    let refined = |unit: f64, number: f64| {
        let units = (number / unit).round();
        if units >= 1.0 { number / units } else { unit }
    };
    // After each step, or what rounding did would be taken for a remainder of the next.
    let steps = pairs.map(|(a, b)| (a - b).abs());
    let unit = steps.fold(0.0, |unit, step| refined(divisor(unit, step, smallest), step));
    let span = some().fold(f64::NEG_INFINITY, f64::max) - some().fold(f64::INFINITY, f64::min);
    let unit = refined(unit, span);
    let off = |value: f64, unit: f64| value / unit - (value / unit).round();
    let unit = if off(largest, unit).abs() < OFF_MAX { refined(unit, largest) } else { unit };
    // Counts may start anywhere: all values are off by the same part of a unit.
    let start = off(values[0], unit);
    let is_count = |value: f64| (off(value, unit) - start).abs() < OFF_MAX;
    (unit.is_normal() && unit >= smallest && some().all(is_count)).then_some(unit)
}

/// The greatest common divisor of two numbers that are not negative, by Euclid's algorithm: what is below `smallest` is
/// taken for zero.
fn divisor(mut a: f64, mut b: f64, smallest: f64) -> f64 {
    while b > smallest && b.is_finite() {
        (a, b) = (b, (a - (a / b).round() * b).abs());
    }
    a
}
