//! Series that come to have the same labels: one series where they take turns, an error where they meet.

use super::run::Scratch;
use super::vector::{BoxedVector, Metric, Vector};
use crate::error::QueryError;
use crate::grid::{ABSENT, is_absent};
use hashbrown::HashMap;

/// What is said where two series with the same labels have a value at the same step.
const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// A vector with other names for its series.
pub(crate) struct Renamed<'q> {
    vector: BoxedVector<'q>,
    metrics: Vec<Metric>,
}

impl<'q> Renamed<'q> {
    /// `metrics` has one entry a series.
    pub fn new(vector: BoxedVector<'q>, metrics: Vec<Metric>) -> Self {
        assert_eq!(vector.len(), metrics.len(), "BUG: every series needs a name");
        Renamed { vector, metrics }
    }

    /// The vector in which every name stands once.
    pub fn into_merged(self) -> BoxedVector<'q> {
        self.into_merged_or(SAME_LABELS)
    }

    /// The same, saying something else where series meet.
    pub fn into_merged_or(self, sentence: &'static str) -> BoxedVector<'q> {
        let members = members_of(&self.metrics);
        if members.len() == self.metrics.len() {
            return Box::new(self);
        }
        Box::new(Merged { renamed: self, members, sentence })
    }
}

impl Vector for Renamed<'_> {
    fn len(&self) -> usize {
        self.metrics.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.metrics[index].clone()
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        self.vector.fill(index, scratch, column)
    }
}

/// The indices of the series with each name, in the order of their first.
fn members_of(metrics: &[Metric]) -> Vec<Vec<usize>> {
    let mut numbers: HashMap<&Metric, usize> = HashMap::with_capacity(metrics.len());
    let mut members: Vec<Vec<usize>> = Vec::with_capacity(metrics.len());
    for (index, metric) in metrics.iter().enumerate() {
        let number = *numbers.entry(metric).or_insert(members.len());
        if number == members.len() {
            members.push(Vec::new());
        }
        members[number].push(index);
    }
    members
}

/// Each series is made of those that share its name.
struct Merged<'q> {
    renamed: Renamed<'q>,
    members: Vec<Vec<usize>>,
    sentence: &'static str,
}

impl Vector for Merged<'_> {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.renamed.metric(self.members[index][0])
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let (first, others) = self.members[index].split_first().expect("a group has the member that made it");
        self.renamed.fill(*first, scratch, column)?;
        let mut other = scratch.take_column(column.len());
        for member in others {
            self.renamed.fill(*member, scratch, &mut other)?;
            if !lay_over(column, &other) {
                return Err(QueryError::Execution(self.sentence.to_string()));
            }
        }
        scratch.give_column(other);
        Ok(())
    }
}

/// Writes the values of `other` over the absent ones of `column`; `false` where both have one at a step.
pub(crate) fn lay_over(column: &mut [f64], other: &[f64]) -> bool {
    let mut apart = true;
    for (slot, value) in column.iter_mut().zip(other) {
        if !is_absent(*value) {
            apart &= is_absent(*slot);
            *slot = *value;
        }
    }
    apart
}

/// No series at all.
pub(crate) struct Nothing;

impl Vector for Nothing {
    fn len(&self) -> usize {
        0
    }

    fn metric(&self, _: usize) -> Metric {
        Metric::empty()
    }

    fn fill(&self, _: usize, _: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        column.fill(ABSENT);
        Ok(())
    }
}
