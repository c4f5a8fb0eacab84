//! Evaluation: turns a plan and a grid into vectors that compute their series on demand.
//!
//! Selectors, functions of single series and operators between matched pairs cost nothing here; they are computed
//! series by series when the vector around them is. What needs all series at once (aggregations, sorting, set
//! operators) is computed here, spread over the cores.

mod merge;
mod run;
mod selector;
mod semaphore;
mod spread;
mod vector;
mod window;

pub(super) use merge::{Nothing, Renamed};
pub(super) use run::{Run, Scratch, Tally};
pub(super) use semaphore::Semaphore;
pub(super) use spread::spread;
pub(super) use vector::{BoxedVector, Columns, Held, Metric, Repeated, Trimmed, Vector, columns};
pub(super) use window::{RangeVector, Window, Windows};

use super::aggregate::aggregate;
use super::binary::{WithScalar, combine, operate, set};
use super::error::QueryError;
use super::functions::{self, Histograms, Mapped, OverRange};
use super::grid::{ABSENT, Grid, is_absent};
use super::plan::{RangePlan, ScalarPlan, SelectorPlan, SortOrder, VectorPlan};
use sealine_model::{METRIC_NAME, MatchOp};
use selector::{InstantSelector, Pick, RangeSelector};
use std::ops::Range;
use window::Subquery;

/// A range vector on the heap, living as long as the query.
pub(super) type BoxedRange<'q> = Box<dyn RangeVector + 'q>;

/// Evaluates a vector over `grid`.
pub(super) fn vector<'q>(run: &'q Run<'q>, plan: &'q VectorPlan, grid: Grid) -> Result<BoxedVector<'q>, QueryError> {
    run.budget.check()?;
    let steps = grid.count;
    Ok(match plan {
        VectorPlan::Selector(selector) => Box::new(InstantSelector::new(run, selector, grid, Pick::Value)?),
        VectorPlan::SampleTimes(selector) => Box::new(InstantSelector::new(run, selector, grid, Pick::Time)?),
        VectorPlan::Nothing => Box::new(Nothing),
        VectorPlan::OfScalar(plan) => {
            let column = Trimmed::of(&scalar(run, plan, grid)?);
            Box::new(Held::made(run, vec![(Metric::empty(), column)])?)
        }
        VectorPlan::OverRange { function, parameters, range: plan, place } => {
            let range = range(run, plan, grid)?;
            let parameters = scalars(run, parameters, grid)?;
            Box::new(OverRange::new(*function, parameters, range, has_one_name(plan), *place))
        }
        VectorPlan::Map { function, parameters, vector: inner } => {
            let parameters = scalars(run, parameters, grid)?;
            Box::new(Mapped::new(*function, parameters, grid, vector(run, inner, grid)?))
        }
        VectorPlan::Relabel { relabel, vector: inner } => functions::relabel(relabel, vector(run, inner, grid)?)?,
        VectorPlan::Sort { order, vector: inner, place } => {
            let inner = vector(run, inner, grid)?;
            if steps != 1 {
                let sentence = "sort is ineffective for range queries since results are always ordered by labels";
                run.notes.warn(*place, format_args!("{sentence}"));
                return Ok(inner);
            }
            sorted(run, order, &*inner)?
        }
        VectorPlan::Absent { labels, vector: inner } => {
            Box::new(functions::absent(run, labels, vector(run, inner, grid)?, steps)?)
        }
        VectorPlan::AbsentOverTime { labels, range: inner } => {
            Box::new(functions::absent_over_time(run, labels, range(run, inner, grid)?, steps)?)
        }
        VectorPlan::Histogram { function, vector: inner, place, parameter_place } => {
            Histograms::evaluate(run, function, vector(run, inner, grid)?, grid, [*place, *parameter_place])?
        }
        VectorPlan::Aggregate { aggregation, grouping, vector: inner, place } => {
            aggregate(run, aggregation, grouping, vector(run, inner, grid)?, grid, *place)?
        }
        VectorPlan::WithScalar { operator, bool, scalar: plan, scalar_left, vector: inner } => {
            let column = scalar(run, plan, grid)?;
            Box::new(WithScalar::new(*operator, *bool, column, *scalar_left, vector(run, inner, grid)?))
        }
        VectorPlan::Binary { operator, bool, matching, left, right } => {
            let (left, right) = (vector(run, left, grid)?, vector(run, right, grid)?);
            combine(run, *operator, *bool, matching, left, right, steps)?
        }
        VectorPlan::Set { operator, on, left, right } => {
            let (left, right) = (vector(run, left, grid)?, vector(run, right, grid)?);
            set(run, *operator, on, left, right, steps)?
        }
        VectorPlan::Info { vector: inner, names, data, shift } => {
            let matchers = names.iter().chain(data).cloned().collect();
            let infos = InstantSelector::new(run, &SelectorPlan { matchers, shift: *shift }, grid, Pick::Time)?;
            functions::info(run, vector(run, inner, grid)?, Box::new(infos), names, data, steps)?
        }
        VectorPlan::Fixed(inner) if steps <= 1 => vector(run, inner, grid)?,
        VectorPlan::Fixed(inner) => {
            let once = Grid::instant(grid.start);
            Box::new(Repeated(Held::of(run, &*vector(run, inner, once)?, 1)?))
        }
    })
}

/// Evaluates a range vector, with a window a step of `grid`.
pub(super) fn range<'q>(run: &'q Run<'q>, plan: &'q RangePlan, grid: Grid) -> Result<BoxedRange<'q>, QueryError> {
    match plan {
        RangePlan::Selector { selector, range_ms } => {
            let windows = Windows { grid, range_ms: *range_ms, shift: selector.shift };
            Ok(Box::new(RangeSelector::new(run, selector, windows)?))
        }
        RangePlan::Subquery { vector: inner, range_ms, step_ms, shift } => {
            let windows = Windows { grid, range_ms: *range_ms, shift: *shift };
            let inner_grid = Subquery::inner_grid(&windows, *step_ms);
            run.budget.plan_subquery(inner_grid.count)?;
            Ok(Box::new(Subquery::new(vector(run, inner, inner_grid)?, inner_grid, windows)))
        }
    }
}

/// Evaluates a scalar: one value a step.
pub(super) fn scalar<'q>(run: &'q Run<'q>, plan: &'q ScalarPlan, grid: Grid) -> Result<Vec<f64>, QueryError> {
    let both = |a, b| Ok::<_, QueryError>((scalar(run, a, grid)?, scalar(run, b, grid)?));
    let zip = |(mut a, b): (Vec<f64>, Vec<f64>), f: &dyn Fn(f64, f64) -> f64| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = f(*a, b));
        a
    };
    Ok(match plan {
        ScalarPlan::Number(number) => vec![*number; grid.count],
        ScalarPlan::Time => grid.times().map(|time| time as f64 / 1000.0).collect(),
        ScalarPlan::Negate(inner) => scalar(run, inner, grid)?.into_iter().map(|value| -value).collect(),
        ScalarPlan::Binary(operator, a, b) => zip(both(a, b)?, &|a, b| operate(*operator, a, b)),
        ScalarPlan::Least(a, b) => zip(both(a, b)?, &functions::least),
        ScalarPlan::Greatest(a, b) => zip(both(a, b)?, &functions::greatest),
        ScalarPlan::OfVector(plan) => only_value(run, &*vector(run, plan, grid)?, grid.count)?,
    })
}

fn scalars<'q>(run: &'q Run<'q>, plans: &'q [ScalarPlan], grid: Grid) -> Result<Vec<Vec<f64>>, QueryError> {
    plans.iter().map(|plan| scalar(run, plan, grid)).collect()
}

/// `scalar()`: the value of the only series that has one at a step, NaN where none or several do.
fn only_value(run: &Run<'_>, vector: &dyn Vector, steps: usize) -> Result<Vec<f64>, QueryError> {
    let mut only = vec![ABSENT; steps];
    let mut join = |column: &[f64]| {
        for (slot, value) in only.iter_mut().zip(column).filter(|(_, value)| !is_absent(**value)) {
            *slot = if is_absent(*slot) { *value } else { f64::NAN };
        }
    };
    let job = |indices: Range<usize>, scratch: &mut Scratch<'_>| {
        let mut part = Vec::with_capacity(indices.len());
        for index in indices {
            let mut column = vec![ABSENT; steps];
            vector.fill(index, scratch, &mut column)?;
            part.push(column);
        }
        Ok(part)
    };
    spread(run, vector.len(), job, |part| {
        part.iter().for_each(|column| join(column));
        Ok(())
    })?;
    Ok(only.into_iter().map(|value| if is_absent(value) { f64::NAN } else { value }).collect())
}

fn sorted<'q>(run: &'q Run<'q>, order: &SortOrder, vector: &dyn Vector) -> Result<BoxedVector<'q>, QueryError> {
    let mut held = Held::of(run, vector, 1)?;
    functions::sort(order, &mut held);
    Ok(Box::new(held))
}

/// Whether every series of a range vector has the same metric name, as far as the plan can tell.
fn has_one_name(plan: &RangePlan) -> bool {
    let named = |selector: &SelectorPlan| {
        selector.matchers.iter().any(|matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal)
    };
    matches!(plan, RangePlan::Selector { selector, .. } if named(selector))
}
