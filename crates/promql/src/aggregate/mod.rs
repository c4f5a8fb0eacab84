//! Aggregations: many series into few.

mod count_values;
mod fold;
mod quantile;
mod rank;
mod ratio;

use super::budget::{Budget, Hold};
use super::error::QueryError;
use super::eval::{BoxedVector, Metric, Run, scalar};
use super::grid::Grid;
use super::notes::{Place, Short};
use super::plan::{Aggregation, Fold, Grouping, ScalarPlan};
use hashbrown::HashMap;
use sealine_model::{Labels, METRIC_NAME};
use std::ops::RangeInclusive;

/// How many series `topk` and the like may be asked for: the largest double that upstream's integers hold.
const COUNT_MAX: f64 = 9_223_372_036_854_774_784.0;

/// Aggregates `vector` over `grid`.
pub(super) fn aggregate<'q>(
    run: &'q Run<'q>,
    aggregation: &'q Aggregation,
    grouping: &Grouping,
    vector: BoxedVector<'q>,
    grid: Grid,
    place: Place,
) -> Result<BoxedVector<'q>, QueryError> {
    let steps = grid.count;
    let parameter = |plan: &'q ScalarPlan, what: &str| {
        let column = scalar(run, plan, grid)?;
        if column.iter().any(|value| value.is_nan()) {
            return Err(QueryError::Execution(format!("{what} value is NaN")));
        }
        Ok(column)
    };
    let counts = |plan: &'q ScalarPlan| {
        let column = parameter(plan, "Parameter")?;
        match column.iter().find(|count| count.abs() > COUNT_MAX) {
            None => Ok(column),
            Some(count) => {
                let what = if *count > 0.0 { "overflows" } else { "underflows" };
                Err(QueryError::Execution(format!("Scalar value {} {what} int64", Short(*count))))
            }
        }
    };
    Ok(match aggregation {
        Aggregation::Fold(kind) => Box::new(match kind {
            Fold::Sum => fold::fold::<fold::Total>(run, grouping, &*vector, steps)?,
            Fold::Average => fold::fold::<fold::Average>(run, grouping, &*vector, steps)?,
            Fold::Min => fold::fold::<fold::Extreme<false>>(run, grouping, &*vector, steps)?,
            Fold::Max => fold::fold::<fold::Extreme<true>>(run, grouping, &*vector, steps)?,
            Fold::Count => fold::fold::<fold::Count>(run, grouping, &*vector, steps)?,
            Fold::Group => fold::fold::<fold::Seen>(run, grouping, &*vector, steps)?,
            Fold::Variance => fold::fold::<fold::Variance>(run, grouping, &*vector, steps)?,
            Fold::Deviation => fold::fold::<fold::Deviation>(run, grouping, &*vector, steps)?,
        }),
        Aggregation::Quantile(plan) => {
            let quantiles = scalar(run, plan, grid)?;
            for got in beyond(&quantiles, 0.0..=1.0).map(Short) {
                run.notes.warn(place, format_args!("quantile value should be between 0 and 1, got {got}"));
            }
            Box::new(quantile::Quantiles::new(run, grouping, quantiles, &*vector, steps)?)
        }
        Aggregation::CountValues(label) => Box::new(count_values::count_values(run, grouping, label, &*vector, steps)?),
        Aggregation::Rank { largest, count } => {
            let order = if *largest { rank::Order::Largest } else { rank::Order::Smallest };
            Box::new(rank::rank(run, grouping, order, counts(count)?, &*vector)?)
        }
        Aggregation::Limit(count) => Box::new(rank::rank(run, grouping, rank::Order::First, counts(count)?, &*vector)?),
        Aggregation::LimitRatio(plan) => {
            let mut ratios = parameter(plan, "Ratio")?;
            for ratio in beyond(&ratios, -1.0..=1.0) {
                let (got, cap) = (Short(ratio), Short(ratio.clamp(-1.0, 1.0)));
                let sentence = format_args!("ratio value should be between -1 and 1, got {got}, capping to {cap}");
                run.notes.warn(place, sentence);
            }
            ratios.iter_mut().for_each(|ratio| *ratio = ratio.clamp(-1.0, 1.0));
            Box::new(ratio::Ratio::new(ratios, vector))
        }
    })
}

/// What is warned of where a parameter goes beyond its bounds: that it is NaN at a step, the largest, and the smallest.
fn beyond(column: &[f64], bounds: RangeInclusive<f64>) -> impl Iterator<Item = f64> {
    let nan = column.iter().any(|value| value.is_nan()).then_some(f64::NAN);
    let max = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let min = column.iter().copied().fold(f64::INFINITY, f64::min);
    let (max, min) = (Some(max).filter(|max| max > bounds.end()), Some(min).filter(|min| min < bounds.start()));
    nan.into_iter().chain(max).chain(min)
}

impl Grouping {
    /// What the group of a series is called.
    fn of(&self, metric: &Metric) -> Metric {
        let named = |names: &[String], name: &str| names.iter().any(|other| other == name);
        match self {
            Grouping::By(names) => {
                let labels = metric.labels.only(|name| named(names, name));
                Metric { labels, drop_name: metric.drop_name && named(names, METRIC_NAME) }
            }
            Grouping::Without(names) => {
                Metric::kept(metric.labels.without(|name| name == METRIC_NAME || named(names, name)))
            }
        }
    }

    /// Whether every series falls into one group, whatever its labels.
    fn is_one(&self) -> bool {
        matches!(self, Grouping::By(names) if names.is_empty())
    }
}

/// Groups, each with what is collected of it, in the order in which they were met.
struct Groups<'q, T> {
    budget: &'q Budget,
    numbers: HashMap<Labels, usize>,
    found: Vec<(Metric, T)>,
    hold: Hold,
}

impl<'q, T> Groups<'q, T> {
    fn new(run: &'q Run<'_>) -> Result<Self, QueryError> {
        let hold = run.budget.hold(0)?;
        Ok(Groups { budget: &run.budget, numbers: HashMap::new(), found: Vec::new(), hold })
    }

    /// The group that is called so, made by `new` where there is none yet; it then takes `bytes` of memory. A group
    /// loses its metric name as soon as one series of it does.
    fn entry(&mut self, metric: Metric, bytes: usize, new: impl FnOnce() -> T) -> Result<&mut T, QueryError> {
        let next = self.found.len();
        let number = *self.numbers.entry_ref(&metric.labels).or_insert(next);
        if number == next {
            self.budget.grow(&mut self.hold, bytes + metric.bytes())?;
            self.found.push((metric, new()));
        } else {
            self.found[number].0.drop_name |= metric.drop_name;
        }
        Ok(&mut self.found[number].1)
    }
}
