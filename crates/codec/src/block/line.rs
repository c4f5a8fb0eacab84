//! A straight line from the values of one series to those of another: what is free is what is not used, a percentage is a
//! part of a total. Where values lie on such a line, or near it, only what they are off it is kept.

/// A line through the values of another series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub slope: f64,
    pub offset: f64,
}

impl Line {
    /// The line through the values at the least and the greatest of `base`, which has as many. `None` where there is none.
    pub(super) fn through(base: &[f64], values: impl Fn(usize) -> f64) -> Option<Line> {
        let by_value = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1);
        let (low, least) = base.iter().enumerate().min_by(by_value)?;
        let (high, greatest) = base.iter().enumerate().max_by(by_value)?;
        let slope = (values(high) - values(low)) / (greatest - least);
        let offset = values(low) - slope * least;
        (slope.is_normal() && offset.is_finite()).then_some(Line { slope, offset })
    }

    /// The line's value. Two operations, each rounded: every machine comes to the same bits.
    #[inline]
    pub(super) fn at(self, base: f64) -> f64 {
        self.slope * base + self.offset
    }

    /// The integer that is nearest to the line's value, or all but nearest: half is added, and what is behind the point cut
    /// off. What no `i64` can hold is the one that comes closest, and NaN 0.
    #[inline]
    pub(super) fn integer_at(self, base: f64) -> i64 {
        let value = self.at(base);
        (value + 0.5f64.copysign(value)) as i64
    }
}

/// What values off a line are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// Decimals with this many places: the line is one of integers.
    Decimals(u8),
    /// Values that are no decimals: how many an `f64` can be lie between.
    Floats,
}

/// Numbers in the order of the values that have these bits, infinities and NaN beyond; it is its own inverse.
#[inline]
fn in_order(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The number of a value in the order of all.
#[inline]
pub(super) fn number_of(value: f64) -> i64 {
    in_order(value.to_bits() as i64)
}

/// The inverse of [`number_of`].
#[inline]
pub(super) fn value_of(number: i64) -> f64 {
    f64::from_bits(in_order(number) as u64)
}
