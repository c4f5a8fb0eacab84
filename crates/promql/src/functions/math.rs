//! Functions of single values.

use super::date;
use crate::error::QueryError;
use crate::eval::{BoxedVector, Metric, Scratch, Vector};
use crate::grid::{ABSENT, Grid, is_absent};
use crate::plan::MapFunction;

/// A function applied to every value of a vector.
pub(crate) struct Mapped<'q> {
    function: MapFunction,
    /// The scalar arguments, each a column.
    parameters: Vec<Vec<f64>>,
    grid: Grid,
    vector: BoxedVector<'q>,
}

impl<'q> Mapped<'q> {
    /// The parser has checked how many parameters the function takes.
    pub fn new(function: MapFunction, parameters: Vec<Vec<f64>>, grid: Grid, vector: BoxedVector<'q>) -> Self {
        Mapped { function, parameters, grid, vector }
    }

    fn apply(&self, column: &mut [f64]) {
        match self.function {
            MapFunction::Negate => in_place(column, |v| -v),
            MapFunction::Abs => in_place(column, f64::abs),
            MapFunction::Ceil => in_place(column, f64::ceil),
            MapFunction::Floor => in_place(column, f64::floor),
            MapFunction::Exp => in_place(column, f64::exp),
            MapFunction::Sqrt => in_place(column, f64::sqrt),
            MapFunction::Ln => in_place(column, f64::ln),
            MapFunction::Log2 => in_place(column, f64::log2),
            MapFunction::Log10 => in_place(column, f64::log10),
            MapFunction::Sin => in_place(column, f64::sin),
            MapFunction::Cos => in_place(column, f64::cos),
            MapFunction::Tan => in_place(column, f64::tan),
            MapFunction::Asin => in_place(column, f64::asin),
            MapFunction::Acos => in_place(column, f64::acos),
            MapFunction::Atan => in_place(column, f64::atan),
            MapFunction::Sinh => in_place(column, f64::sinh),
            MapFunction::Cosh => in_place(column, f64::cosh),
            MapFunction::Tanh => in_place(column, f64::tanh),
            MapFunction::Asinh => in_place(column, f64::asinh),
            MapFunction::Acosh => in_place(column, f64::acosh),
            MapFunction::Atanh => in_place(column, f64::atanh),
            MapFunction::Degrees => in_place(column, |v| v * 180.0 / std::f64::consts::PI),
            MapFunction::Radians => in_place(column, |v| v * std::f64::consts::PI / 180.0),
            MapFunction::Sign => in_place(column, |v| if v == 0.0 || v.is_nan() { v } else { v.signum() }),
            MapFunction::Date(part) => in_place(column, |v| date::part(part, v)),
            MapFunction::StepTime => self.each_step(column, |step, _| self.grid.time(step) as f64 / 1000.0),
            MapFunction::Round => self.each_step(column, |step, v| {
                // Multiplying by the inverse is more exact where the nearest is 0.1 or the like.
                let inverse = 1.0 / self.parameters.first().map_or(1.0, |nearest| nearest[step]);
                (v * inverse + 0.5).floor() / inverse
            }),
            MapFunction::ClampMin => self.each_step(column, |step, v| greatest(self.parameters[0][step], v)),
            MapFunction::ClampMax => self.each_step(column, |step, v| least(self.parameters[0][step], v)),
            MapFunction::Clamp => self.each_step(column, |step, v| {
                let (min, max) = (self.parameters[0][step], self.parameters[1][step]);
                if max < min { ABSENT } else { greatest(min, least(max, v)) }
            }),
        }
    }

    fn each_step(&self, column: &mut [f64], function: impl Fn(usize, f64) -> f64) {
        for (step, value) in column.iter_mut().enumerate().filter(|(_, value)| !is_absent(**value)) {
            *value = function(step, *value);
        }
    }
}

impl Vector for Mapped<'_> {
    fn len(&self) -> usize {
        self.vector.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.vector.metric(index).without_name()
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        self.vector.fill(index, scratch, column)?;
        self.apply(column);
        Ok(())
    }
}

/// Applies a function to every value that is there.
pub(super) fn in_place(column: &mut [f64], function: impl Fn(f64) -> f64) {
    for value in column.iter_mut().filter(|value| !is_absent(**value)) {
        *value = function(*value);
    }
}

/// The lesser; NaN where either is. (`f64::min` would take the other.)
pub(crate) fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The greater; NaN where either is.
pub(crate) fn greatest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
