//! `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`: each series is folded in as it comes, so that
//! memory follows the number of groups and not the number of series.

use super::Groups;
use crate::error::QueryError;
use crate::eval::{Held, Metric, Run, Scratch, Trimmed, Vector, spread};
use crate::grid::{ABSENT, is_absent};
use crate::plan::Grouping;
use crate::sum::{Mean, Spread, Sum};
use std::ops::Range;

/// What is known of a group at one step.
pub(super) trait Cell: Copy + Send {
    /// Before the first value.
    const EMPTY: Self;

    /// Takes in one value.
    fn add(&mut self, value: f64);

    /// Takes in what another cell has seen of later series.
    fn join(&mut self, other: Self);

    /// The result; [`ABSENT`] where there was no value.
    fn value(&self) -> f64;
}

/// Aggregates `vector` into a series a group.
pub(super) fn fold<'q, C: Cell>(
    run: &'q Run<'q>,
    grouping: &Grouping,
    vector: &dyn Vector,
    steps: usize,
) -> Result<Held, QueryError> {
    let mut groups: Groups<Vec<C>> = Groups::new(run)?;
    let job = |indices: Range<usize>, scratch: &mut Scratch<'q>| {
        let mut part: Groups<Vec<C>> = Groups::new(run)?;
        let mut column = scratch.take_column(steps);
        for index in indices {
            vector.fill(index, scratch, &mut column)?;
            if column.iter().all(|value| is_absent(*value)) {
                continue;
            }
            let metric = if grouping.is_one() { Metric::empty() } else { grouping.of(&vector.metric(index)) };
            let cells = part.entry(metric, steps * size_of::<C>(), || vec![C::EMPTY; steps])?;
            for (cell, value) in cells.iter_mut().zip(&column).filter(|(_, value)| !is_absent(**value)) {
                cell.add(*value);
            }
        }
        scratch.give_column(column);
        Ok(part)
    };
    spread(run, vector.len(), job, |part| {
        for (metric, cells) in part.found {
            let group = groups.entry(metric, steps * size_of::<C>(), Vec::new)?;
            if group.is_empty() {
                *group = cells;
            } else {
                group.iter_mut().zip(cells).for_each(|(cell, other)| cell.join(other));
            }
        }
        Ok(())
    })?;
    let series = groups.found.into_iter().map(|(metric, cells)| {
        let column: Vec<f64> = cells.iter().map(C::value).collect();
        (metric, Trimmed::of(&column))
    });
    Held::made(run, series.collect())
}

/// `sum`
#[derive(Clone, Copy)]
pub(super) struct Total(Sum);

impl Cell for Total {
    const EMPTY: Self = Total(Sum { sum: ABSENT, compensation: 0.0 });

    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.0 = if is_absent(self.0.sum) { Sum::of(value) } else { self.0.plus(value) };
    }

    fn join(&mut self, other: Self) {
        if is_absent(self.0.sum) {
            *self = other;
        } else if !is_absent(other.0.sum) {
            self.0 = self.0.join(other.0);
        }
    }

    fn value(&self) -> f64 {
        if is_absent(self.0.sum) { ABSENT } else { self.0.value() }
    }
}

/// `avg`
#[derive(Clone, Copy)]
pub(super) struct Average(Mean);

impl Cell for Average {
    const EMPTY: Self = Average(Mean::EMPTY);

    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.0.add(value);
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn value(&self) -> f64 {
        if self.0.count() == 0.0 { ABSENT } else { self.0.value() }
    }
}

/// `min`, or `max` where `GREATEST`. Any number beats NaN.
#[derive(Clone, Copy)]
pub(super) struct Extreme<const GREATEST: bool>(f64);

impl<const GREATEST: bool> Cell for Extreme<GREATEST> {
    const EMPTY: Self = Extreme(ABSENT);

    #[inline(always)]
    fn add(&mut self, value: f64) {
        // What is absent is a NaN too.
        if self.0.is_nan() || if GREATEST { value > self.0 } else { value < self.0 } {
            self.0 = value;
        }
    }

    fn join(&mut self, other: Self) {
        if !is_absent(other.0) {
            self.add(other.0);
        }
    }

    fn value(&self) -> f64 {
        self.0
    }
}

/// `count`
#[derive(Clone, Copy)]
pub(super) struct Count(u32);

impl Cell for Count {
    const EMPTY: Self = Count(0);

    #[inline(always)]
    fn add(&mut self, _: f64) {
        self.0 += 1;
    }

    fn join(&mut self, other: Self) {
        self.0 += other.0;
    }

    fn value(&self) -> f64 {
        if self.0 == 0 { ABSENT } else { f64::from(self.0) }
    }
}

/// `group`: 1 wherever there is a value.
#[derive(Clone, Copy)]
pub(super) struct Seen(bool);

impl Cell for Seen {
    const EMPTY: Self = Seen(false);

    #[inline(always)]
    fn add(&mut self, _: f64) {
        self.0 = true;
    }

    fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn value(&self) -> f64 {
        if self.0 { 1.0 } else { ABSENT }
    }
}

/// `stdvar`
#[derive(Clone, Copy)]
pub(super) struct Variance(Spread);

impl Cell for Variance {
    const EMPTY: Self = Variance(Spread::EMPTY);

    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.0.add(value);
    }

    fn join(&mut self, other: Self) {
        self.0 = self.0.join(other.0);
    }

    fn value(&self) -> f64 {
        if self.0.count() == 0.0 { ABSENT } else { self.0.variance() }
    }
}

/// `stddev`
#[derive(Clone, Copy)]
pub(super) struct Deviation(Variance);

impl Cell for Deviation {
    const EMPTY: Self = Deviation(Variance::EMPTY);

    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.0.add(value);
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn value(&self) -> f64 {
        let variance = self.0.value();
        if is_absent(variance) { ABSENT } else { variance.sqrt() }
    }
}
