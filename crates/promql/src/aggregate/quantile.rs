//! `quantile`: needs all values of a group at a step side by side, so the series are held.

use super::Groups;
use crate::budget::Hold;
use crate::error::QueryError;
use crate::eval::{Columns, Metric, Run, Scratch, Trimmed, Vector, columns};
use crate::functions::quantile;
use crate::grid::{ABSENT, is_absent};
use crate::plan::Grouping;

/// A series a group, computed from the held columns of its members.
pub(super) struct Quantiles {
    /// One a step.
    quantiles: Vec<f64>,
    groups: Vec<(Metric, Vec<Trimmed>)>,
    /// What the members take.
    _hold: Hold,
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
        let mut groups: Groups<Vec<Trimmed>> = Groups::new(run)?;
        let Columns { columns, mut hold } = columns(run, vector, steps)?;
        for (index, column) in columns.into_iter().enumerate() {
            if !column.is_empty() {
                groups.entry(grouping.of(&vector.metric(index)), 0, Vec::new)?.push(column);
            }
        }
        hold.join(groups.hold);
        Ok(Quantiles { quantiles, groups: groups.found, _hold: hold })
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
