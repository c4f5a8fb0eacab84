//! A vector while it is evaluated: a numbered list of series, each computed when somebody asks for it.
//!
//! Functions and operators wrap the vector they work on, so asking the outermost one for series 7 reads series 7 from
//! storage, runs it through everything in between, and leaves nothing behind. Several workers ask at once.

use super::merge::lay_over;
use super::run::{Run, Scratch};
use super::spread::spread;
use crate::budget::Hold;
use crate::error::QueryError;
use crate::grid::{ABSENT, is_absent};
use sealine_model::{Labels, METRIC_NAME};
use std::ops::Range;

/// What names a series inside the engine. The metric name that a function makes meaningless is not removed at once,
/// but marked: so `label_replace` around the function can still read it, and no two series fall together on the way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Metric {
    pub labels: Labels,
    /// The name goes when the answer is made.
    pub drop_name: bool,
}

impl Metric {
    /// The set without labels.
    pub fn empty() -> Self {
        Metric { labels: Labels::empty(), drop_name: false }
    }

    /// Labels as they stand.
    pub fn kept(labels: Labels) -> Self {
        Metric { labels, drop_name: false }
    }

    /// The same with its name marked to go.
    pub fn without_name(self) -> Self {
        Metric { drop_name: true, ..self }
    }

    /// What it takes of memory, where nothing else has the same labels.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.labels.as_bytes().len()
    }

    /// The labels of the answer.
    pub fn into_labels(self) -> Labels {
        if self.drop_name { self.labels.without(|name| name == METRIC_NAME) } else { self.labels }
    }
}

/// Series over a grid, numbered `0..len()`.
pub(crate) trait Vector: Send + Sync {
    /// How many series there are; some may turn out to have no value at any step.
    fn len(&self) -> usize;

    /// What names series `index`. May be costly.
    fn metric(&self, index: usize) -> Metric;

    /// Computes series `index`: one value a step, [`ABSENT`] where there is none. Overwrites all of `column`.
    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError>;
}

/// A vector on the heap, living as long as the query.
pub(crate) type BoxedVector<'q> = Box<dyn Vector + 'q>;

/// A column without the absent values at its ends.
#[derive(Debug, Default, Clone)]
pub(crate) struct Trimmed {
    from: usize,
    values: Vec<f64>,
}

impl Trimmed {
    /// Copies what there is of `column`.
    pub fn of(column: &[f64]) -> Self {
        let present = |value: &f64| !is_absent(*value);
        let from = column.iter().position(present).unwrap_or(0);
        let to = column.iter().rposition(present).map_or(from, |last| last + 1);
        Trimmed { from, values: column[from..to].to_vec() }
    }

    /// Whether no step has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many values are held.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&self.values[..])
    }

    /// The value at a step.
    #[inline]
    pub fn at(&self, step: usize) -> f64 {
        step.checked_sub(self.from).and_then(|at| self.values.get(at).copied()).unwrap_or(ABSENT)
    }

    /// The steps that have a value, with it.
    pub fn present(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let steps = self.values.iter().enumerate().map(|(at, value)| (self.from + at, *value));
        steps.filter(|(_, value)| !is_absent(*value))
    }

    /// Takes in the values of another column; `false` where both have one at a step.
    pub fn take_turns(&mut self, other: &Trimmed) -> bool {
        let steps = (self.from + self.len()).max(other.from + other.len());
        let (mut column, mut others) = (vec![ABSENT; steps], vec![ABSENT; steps]);
        self.write(&mut column);
        other.write(&mut others);
        let apart = lay_over(&mut column, &others);
        *self = Trimmed::of(&column);
        apart
    }

    /// Writes the column out again.
    pub fn write(&self, column: &mut [f64]) {
        column.fill(ABSENT);
        column[self.from..self.from + self.values.len()].copy_from_slice(&self.values);
    }
}

/// A vector that is computed and held.
pub(crate) struct Held {
    pub series: Vec<(Metric, Trimmed)>,
    /// What they take.
    pub hold: Hold,
}

impl Held {
    /// Computes all of `vector` and keeps the series that have a value, in order.
    pub fn of(run: &Run<'_>, vector: &dyn Vector, steps: usize) -> Result<Self, QueryError> {
        let Columns { columns, mut hold } = columns(run, vector, steps)?;
        let kept = columns.into_iter().enumerate().filter(|(_, column)| !column.is_empty());
        let series: Vec<_> = kept.map(|(index, column)| (vector.metric(index), column)).collect();
        run.budget.grow(&mut hold, series.iter().map(|(metric, _)| metric.bytes()).sum())?;
        Ok(Held { series, hold })
    }

    /// Keeps series that were made from few others.
    pub fn made(run: &Run<'_>, series: Vec<(Metric, Trimmed)>) -> Result<Self, QueryError> {
        let bytes = series.iter().map(|(metric, column)| metric.bytes() + column.bytes()).sum();
        Ok(Held { series, hold: run.budget.hold(bytes)? })
    }
}

/// A column a series, and what they take.
pub(crate) struct Columns {
    pub columns: Vec<Trimmed>,
    pub hold: Hold,
}

/// Computes all of `vector`, in order.
pub(crate) fn columns(run: &Run<'_>, vector: &dyn Vector, steps: usize) -> Result<Columns, QueryError> {
    let mut all = Columns { columns: Vec::with_capacity(vector.len()), hold: run.budget.hold(0)? };
    let job = |indices: Range<usize>, scratch: &mut Scratch<'_>| {
        let mut column = scratch.take_column(steps);
        let mut part = Columns { columns: Vec::with_capacity(indices.len()), hold: run.budget.hold(0)? };
        for index in indices {
            vector.fill(index, scratch, &mut column)?;
            let trimmed = Trimmed::of(&column);
            run.budget.grow(&mut part.hold, trimmed.bytes())?;
            part.columns.push(trimmed);
        }
        scratch.give_column(column);
        Ok(part)
    };
    spread(run, vector.len(), job, |part| {
        all.columns.extend(part.columns);
        all.hold.join(part.hold);
        Ok(())
    })?;
    Ok(all)
}

impl Vector for Held {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.series[index].0.clone()
    }

    fn fill(&self, index: usize, _: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        self.series[index].1.write(column);
        Ok(())
    }
}

/// A vector of one step, repeated at every step.
pub(crate) struct Repeated(pub Held);

impl Vector for Repeated {
    fn len(&self) -> usize {
        self.0.series.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.0.series[index].0.clone()
    }

    fn fill(&self, index: usize, _: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        column.fill(self.0.series[index].1.at(0));
        Ok(())
    }
}
