//! Sums that keep what floating-point addition loses.

/// A sum with a running compensation (Neumaier's variant of Kahan's algorithm), as upstream computes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sum {
    pub sum: f64,
    pub compensation: f64,
}

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Sum { sum: 0.0, compensation: 0.0 };

    /// The sum of one value.
    pub fn of(value: f64) -> Self {
        Sum { sum: value, compensation: 0.0 }
    }

    /// This sum and one value more.
    #[inline(always)]
    #[must_use]
    pub fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let lost = if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        // Once the sum is infinite the lost part is NaN, and would turn the infinity into one.
        let compensation = if sum.is_infinite() { 0.0 } else { self.compensation + lost };
        Sum { sum, compensation }
    }

    /// The sum of two sums.
    #[inline(always)]
    #[must_use]
    pub fn join(self, other: Sum) -> Self {
        let joined = self.plus(other.sum);
        let compensation = if joined.sum.is_infinite() { 0.0 } else { joined.compensation + other.compensation };
        Sum { sum: joined.sum, compensation }
    }

    /// The number that it stands for.
    #[inline(always)]
    pub fn value(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.compensation }
    }
}

/// Values are summed in this many lanes at once: a processor adds them side by side, where one sum would have to wait for
/// each addition before the next.
const LANES: usize = 4;

/// From this many values on, lanes pay off.
const LANES_FROM: usize = 8 * LANES;

impl Sum {
    /// The sum of values, in lanes where there are many. What is lost in each addition is known to the bit either way, so
    /// the two differ only in what is lost where those are added up.
    pub fn of_all(values: &[f64]) -> Self {
        if values.len() >= LANES_FROM {
            let sum = Sum::of_lanes(values);
            if sum.sum.is_finite() && sum.compensation.is_finite() {
                return sum;
            }
        }
        values.iter().fold(Sum::ZERO, |sum, value| sum.plus(*value))
    }

    fn of_lanes(values: &[f64]) -> Self {
        let (mut sums, mut lost) = ([0.0; LANES], [0.0; LANES]);
        let (all, rest) = values.as_chunks::<LANES>();
        for values in all {
            for lane in 0..LANES {
                // Knuth's sum: as exact as Neumaier's, without asking which number is the larger.
                let (before, value) = (sums[lane], values[lane]);
                let sum = before + value;
                let grown = sum - before;
                lost[lane] += (before - (sum - grown)) + (value - grown);
                sums[lane] = sum;
            }
        }
        let lanes = sums.into_iter().zip(lost).map(|(sum, compensation)| Sum { sum, compensation });
        let sum = lanes.fold(Sum::ZERO, Sum::join);
        rest.iter().fold(sum, |sum, value| sum.plus(*value))
    }
}

/// An arithmetic mean: a plain sum until that would overflow, from then on a mean that moves with every value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mean {
    count: f64,
    /// The sum of the values, or their mean once it is `moving`.
    part: Sum,
    moving: bool,
}

impl Mean {
    /// The mean of nothing.
    pub const EMPTY: Self = Mean { count: 0.0, part: Sum::ZERO, moving: false };

    /// This mean with one value more.
    #[inline(always)]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.moving {
            let sum = self.part.plus(value);
            if self.count == 1.0 || !sum.sum.is_infinite() {
                self.part = sum;
                return;
            }
            self.move_on(self.count - 1.0);
        }
        let keep = (self.count - 1.0) / self.count;
        self.part = self.scaled(keep).plus(value / self.count);
    }

    /// The mean of both sets of values.
    pub fn join(&mut self, mut other: Mean) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let sum = self.part.join(other.part);
        if !self.moving && !other.moving && !sum.sum.is_infinite() {
            *self = Mean { count, part: sum, moving: false };
            return;
        }
        for mean in [&mut *self, &mut other] {
            if !mean.moving {
                mean.move_on(mean.count);
            }
        }
        let part = self.scaled(self.count / count).join(other.scaled(other.count / count));
        *self = Mean { count, part, moving: true };
    }

    /// The mean; NaN of no value.
    pub fn value(&self) -> f64 {
        let mean = if self.moving { self.part } else { self.divided(self.count) };
        if mean.sum.is_infinite() { mean.sum } else { mean.sum + mean.compensation }
    }

    /// How many values went in.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// From sum to mean of the `count` values in it.
    fn move_on(&mut self, count: f64) {
        self.part = self.divided(count);
        self.moving = true;
    }

    fn divided(&self, by: f64) -> Sum {
        Sum { sum: self.part.sum / by, compensation: self.part.compensation / by }
    }

    fn scaled(&self, by: f64) -> Sum {
        Sum { sum: self.part.sum * by, compensation: self.part.compensation * by }
    }
}

/// Mean and squared distance from it, value by value (Welford), joined as Chan, Golub and LeVeque do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    count: f64,
    mean: Sum,
    squares: Sum,
}

impl Spread {
    /// The spread of nothing.
    pub const EMPTY: Self = Spread { count: 0.0, mean: Sum::ZERO, squares: Sum::ZERO };

    /// This spread with one value more.
    #[inline(always)]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.value();
        self.mean = self.mean.plus(delta / self.count);
        self.squares = self.squares.plus(delta * (value - self.mean.value()));
    }

    /// The spread of both sets of values.
    #[must_use]
    pub fn join(self, other: Spread) -> Self {
        if other.count == 0.0 {
            return self;
        }
        if self.count == 0.0 {
            return other;
        }
        let count = self.count + other.count;
        let delta = other.mean.value() - self.mean.value();
        let mean = self.mean.plus(delta * (other.count / count));
        let squares = self.squares.join(other.squares).plus(delta * delta * (self.count * other.count / count));
        Spread { count, mean, squares }
    }

    /// The mean of the squared distances; NaN of no value.
    pub fn variance(&self) -> f64 {
        self.squares.value() / self.count
    }

    /// How many values went in.
    pub fn count(&self) -> f64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> Sum {
        values.iter().fold(Sum::ZERO, |sum, value| sum.plus(*value))
    }

    fn mean(values: &[f64]) -> Mean {
        let mut mean = Mean::EMPTY;
        values.iter().for_each(|value| mean.add(*value));
        mean
    }

    fn spread(values: &[f64]) -> Spread {
        let mut spread = Spread::EMPTY;
        values.iter().for_each(|value| spread.add(*value));
        spread
    }

    const BIG: f64 = 9.988_465_674_311_58e307;

    const ROWS: [(&str, &[f64], f64, f64); 9] = [
        ("plain", &[1.0, 2.0, 3.0, 6.0], 12.0, 3.0),
        ("cancelling", &[1.0, 1e100, 1.0, -1e100], 2.0, 0.5),
        ("infinite", &[1.0, f64::INFINITY, 2.0], f64::INFINITY, f64::INFINITY),
        ("infinite twice", &[f64::INFINITY, f64::INFINITY], f64::INFINITY, f64::INFINITY),
        ("minus infinite", &[f64::NEG_INFINITY, 0.0], f64::NEG_INFINITY, f64::NEG_INFINITY),
        ("both infinities", &[f64::INFINITY, f64::NEG_INFINITY], f64::NAN, f64::NAN),
        ("not a number", &[1.0, f64::NAN], f64::NAN, f64::NAN),
        ("overflowing", &[BIG, BIG, BIG, BIG], f64::INFINITY, BIG),
        ("equal", &[52.0, 52.0, 52.0, 52.0, 52.0, 52.0, 52.0], 364.0, 52.0),
    ];

    fn same(a: f64, b: f64) -> bool {
        a == b || a.is_nan() && b.is_nan()
    }

    #[test]
    fn sums_and_means_are_what_they_should_be() {
        for (name, values, want_sum, want_mean) in ROWS {
            assert!(same(sum(values).value(), want_sum), "sum of {name}: {}", sum(values).value());
            assert!(same(mean(values).value(), want_mean), "mean of {name}: {}", mean(values).value());
        }
    }

    #[test]
    fn lanes_lose_nothing() {
        let value = |at: usize| ((at * 7919 % 1000) as f64 - 500.0) * 10f64.powi((at % 9) as i32);
        for count in [LANES_FROM - 1, LANES_FROM, LANES_FROM + 1, 1000, 1003] {
            let mut values: Vec<f64> = (0..count).map(value).collect();
            assert_eq!(Sum::of_all(&values).value(), sum(&values).value(), "{count} integers");
            values.iter_mut().for_each(|value| *value /= 3.0);
            let (got, want) = (Sum::of_all(&values).value(), sum(&values).value());
            assert!((got - want).abs() <= 1e-15 * want.abs(), "{count} fractions: {got} {want}");
            for odd in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX] {
                values[count / 2] = odd;
                values[count / 3] = odd;
                assert!(same(Sum::of_all(&values).value(), sum(&values).value()), "{count} with {odd}");
            }
        }
    }

    #[test]
    fn joined_parts_are_the_whole() {
        for (name, values, want_sum, want_mean) in ROWS {
            for cut in 0..=values.len() {
                let (left, right) = values.split_at(cut);
                let joined = sum(left).join(sum(right)).value();
                assert!(same(joined, want_sum), "sum of {name} cut at {cut}: {joined}");
                let mut joined = mean(left);
                joined.join(mean(right));
                assert!(same(joined.value(), want_mean), "mean of {name} cut at {cut}: {}", joined.value());
                let (joined, whole) = (spread(left).join(spread(right)).variance(), spread(values).variance());
                let close = same(joined, whole) || (joined - whole).abs() <= 1e-12 * whole.abs();
                assert!(close || joined.is_nan() || whole.is_nan(), "variance of {name}: {joined} {whole}");
            }
        }
    }

    #[test]
    fn variance_of_equal_values_is_zero() {
        assert_eq!(spread(&[1.5990505637277868; 3]).variance(), 0.0);
        assert!((spread(&[0.0, 8.0, 8.0, 2.0, 3.0]).variance() - 10.56).abs() < 1e-12);
    }
}
