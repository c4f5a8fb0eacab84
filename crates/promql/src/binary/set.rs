//! `and`, `or`, `unless`.

use super::signature::Signatures;
use crate::budget::Hold;
use crate::error::QueryError;
use crate::eval::{BoxedVector, Held, Metric, Renamed, Run, Scratch, Vector, spread};
use crate::grid::{ABSENT, is_absent};
use crate::plan::{SetOperator, Signature};
use std::ops::Range;

/// Combines two vectors by which series there are, signature by signature and step by step.
pub(crate) fn set<'q>(
    run: &'q Run<'q>,
    operator: SetOperator,
    on: &Signature,
    left: BoxedVector<'q>,
    right: BoxedVector<'q>,
    steps: usize,
) -> Result<BoxedVector<'q>, QueryError> {
    // `or` gives out its left side as it is, and needs it to know which of the right is left over.
    let left: BoxedVector<'q> = match operator {
        SetOperator::Or => Box::new(Held::of(run, &*left, steps)?),
        SetOperator::And | SetOperator::Unless => left,
    };
    let mut signatures = Signatures::default();
    let left_groups = signatures.side(on, &*left).signatures;
    let right_groups = signatures.side(on, &*right).signatures;
    let count = signatures.len();
    let mask = |vector: &dyn Vector, groups: &[usize], others: &[usize]| {
        let mut wanted = vec![false; count];
        others.iter().for_each(|group| wanted[*group] = true);
        presence(run, vector, groups, &wanted, steps)
    };
    Ok(match operator {
        SetOperator::And => {
            let there = mask(&*right, &right_groups, &left_groups)?;
            Box::new(Masked::new(left, &left_groups, there, true))
        }
        SetOperator::Unless => {
            let there = mask(&*right, &right_groups, &left_groups)?;
            Box::new(Masked::new(left, &left_groups, there, false))
        }
        SetOperator::Or => {
            let there = mask(&*left, &left_groups, &right_groups)?;
            let both = Joined { first: left, second: Masked::new(right, &right_groups, there, false) };
            let metrics = (0..both.len()).map(|index| both.metric(index)).collect();
            Renamed::new(Box::new(both), metrics).into_merged()
        }
    })
}

/// For each signature, the steps at which any series with it has a value; `None` for no series, or where it is not
/// wanted.
struct Presence {
    masks: Vec<Option<Vec<bool>>>,
    /// What they take.
    hold: Hold,
}

/// Finds the presence of the series of `vector`, whose signatures are `groups`.
fn presence<'q>(
    run: &'q Run<'q>,
    vector: &dyn Vector,
    groups: &[usize],
    wanted: &[bool],
    steps: usize,
) -> Result<Presence, QueryError> {
    let mut there = Presence { masks: vec![None; wanted.len()], hold: run.budget.hold(0)? };
    let job = |indices: Range<usize>, scratch: &mut Scratch<'q>| {
        let mut column = scratch.take_column(steps);
        let mut part = Vec::new();
        for index in indices.filter(|index| wanted[groups[*index]]) {
            vector.fill(index, scratch, &mut column)?;
            part.push((groups[index], column.iter().map(|value| !is_absent(*value)).collect::<Vec<bool>>()));
        }
        scratch.give_column(column);
        Ok(part)
    };
    spread(run, vector.len(), job, |part| {
        for (group, seen) in part {
            match &mut there.masks[group] {
                Some(there) => there.iter_mut().zip(seen).for_each(|(there, seen)| *there |= seen),
                slot => {
                    run.budget.grow(&mut there.hold, steps)?;
                    *slot = Some(seen);
                }
            }
        }
        Ok(())
    })?;
    Ok(there)
}

/// A vector of which only some steps are given out.
struct Masked<'q> {
    vector: BoxedVector<'q>,
    /// The series that are left, each with the number of its mask, if one applies.
    series: Vec<(usize, Option<usize>)>,
    presence: Presence,
    /// Whether a step is given out where the mask is set, or where it is not.
    keep: bool,
}

impl<'q> Masked<'q> {
    fn new(vector: BoxedVector<'q>, groups: &[usize], presence: Presence, keep: bool) -> Self {
        let mask = |group: usize| presence.masks[group].is_some().then_some(group);
        let series = groups.iter().enumerate().map(|(index, group)| (index, mask(*group)));
        let series = series.filter(|(_, mask)| mask.is_some() || !keep).collect();
        Masked { vector, series, presence, keep }
    }
}

impl Vector for Masked<'_> {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.vector.metric(self.series[index].0)
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let (index, mask) = self.series[index];
        self.vector.fill(index, scratch, column)?;
        if let Some(mask) = mask.and_then(|mask| self.presence.masks[mask].as_ref()) {
            column.iter_mut().zip(mask).filter(|(_, set)| **set != self.keep).for_each(|(slot, _)| *slot = ABSENT);
        }
        Ok(())
    }
}

/// The series of one vector, then those of another.
struct Joined<'q> {
    first: BoxedVector<'q>,
    second: Masked<'q>,
}

impl Vector for Joined<'_> {
    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn metric(&self, index: usize) -> Metric {
        match index.checked_sub(self.first.len()) {
            None => self.first.metric(index),
            Some(index) => self.second.metric(index),
        }
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        match index.checked_sub(self.first.len()) {
            None => self.first.fill(index, scratch, column),
            Some(index) => self.second.fill(index, scratch, column),
        }
    }
}
