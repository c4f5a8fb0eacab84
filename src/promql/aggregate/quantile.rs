//! `quantile`: needs all values of a group at a step side by side, so the series are held.

use super::Groups;
use crate::promql::error::QueryError;
use crate::promql::eval::{Metric, Run, Scratch, Trimmed, Vector, columns};
use crate::promql::functions::quantile;
use crate::promql::grid::{ABSENT, is_absent};
use crate::promql::plan::Grouping;

/// A series a group, computed from the held columns of its members.
pub(super) struct Quantiles {
    /// One a step.
    quantiles: Vec<f64>,
    groups: Vec<(Metric, Vec<Trimmed>)>,
}

impl Quantiles {
    /// Reads all of `vector`.
    pub fn new(
        run: &Run<'_>,
        grouping: &Grouping,
        quantiles: Vec<f64>,
        vector: &dyn Vector,
        steps: usize,
    ) -> Result<Self, QueryError> {
        let mut groups: Groups<Vec<Trimmed>> = Groups::new();
        for (index, column) in columns(run, vector, steps)?.into_iter().enumerate() {
            if !column.is_empty() {
                groups.entry(grouping.of(&vector.metric(index)), Vec::new).push(column);
            }
        }
        Ok(Quantiles { quantiles, groups: groups.found })
    }
}

impl Vector for Quantiles {
    fn len(&self) -> usize {
        self.groups.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.groups[index].0.clone()
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let members = &self.groups[index].1;
        let mut values = scratch.take_column(0);
        for (step, slot) in column.iter_mut().enumerate() {
            values.clear();
            values.extend(members.iter().map(|member| member.at(step)).filter(|value| !is_absent(*value)));
            *slot = if values.is_empty() { ABSENT } else { quantile(self.quantiles[step], &mut values) };
        }
        scratch.give_column(values);
        Ok(())
    }
}
