//! Operators between vectors, and between vectors and scalars.

mod matching;
mod set;
mod signature;

pub(super) use matching::combine;
pub(super) use set::set;

use super::error::QueryError;
use super::eval::{BoxedVector, Metric, Scratch, Vector};
use super::grid::{ABSENT, is_absent};
use super::plan::Operator;

impl Operator {
    /// Whether it compares: then it filters, or with `bool` yields 1 or 0.
    pub fn compares(self) -> bool {
        use Operator::*;
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }
}

/// The result of an operator; 1 or 0 where it compares.
#[inline(always)]
pub(super) fn operate(operator: Operator, a: f64, b: f64) -> f64 {
    match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Modulo => a % b,
        Operator::Power => a.powf(b),
        Operator::Atan2 => a.atan2(b),
        Operator::Equal => f64::from(a == b),
        Operator::NotEqual => f64::from(a != b),
        Operator::Less => f64::from(a < b),
        Operator::LessOrEqual => f64::from(a <= b),
        Operator::Greater => f64::from(a > b),
        Operator::GreaterOrEqual => f64::from(a >= b),
    }
}

/// What becomes of a pair of values: the result, or where the operator filters `kept` if it holds.
#[inline(always)]
fn outcome(operator: Operator, bool: bool, a: f64, b: f64, kept: f64) -> f64 {
    let result = operate(operator, a, b);
    match operator.compares() && !bool {
        false => result,
        true if result == 1.0 => kept,
        true => ABSENT,
    }
}

/// Whether the result still is a value of the metric, so that its name stays.
fn keeps_name(operator: Operator, bool: bool) -> bool {
    operator.compares() && !bool
}

/// A vector and a scalar.
pub(super) struct WithScalar<'q> {
    operator: Operator,
    bool: bool,
    /// One value a step.
    scalar: Vec<f64>,
    scalar_left: bool,
    vector: BoxedVector<'q>,
}

impl<'q> WithScalar<'q> {
    /// `scalar` has a value for every step.
    pub fn new(operator: Operator, bool: bool, scalar: Vec<f64>, scalar_left: bool, vector: BoxedVector<'q>) -> Self {
        WithScalar { operator, bool, scalar, scalar_left, vector }
    }
}

impl Vector for WithScalar<'_> {
    fn len(&self) -> usize {
        self.vector.len()
    }

    fn metric(&self, index: usize) -> Metric {
        let metric = self.vector.metric(index);
        if keeps_name(self.operator, self.bool) { metric } else { metric.without_name() }
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        self.vector.fill(index, scratch, column)?;
        for (value, scalar) in column.iter_mut().zip(&self.scalar).filter(|(value, _)| !is_absent(**value)) {
            let (a, b) = if self.scalar_left { (*scalar, *value) } else { (*value, *scalar) };
            *value = outcome(self.operator, self.bool, a, b, *value);
        }
        Ok(())
    }
}
