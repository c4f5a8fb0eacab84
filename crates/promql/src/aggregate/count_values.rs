//! `count_values`: a series for each value that occurs, with the value in a label.

use super::Groups;
use crate::error::QueryError;
use crate::eval::{Held, Metric, Run, Scratch, Trimmed, Vector, spread};
use crate::grid::{ABSENT, is_absent};
use crate::plan::Grouping;
use sealine_model::METRIC_NAME;
use std::ops::Range;

/// Counts how often each value occurs in each group.
pub(super) fn count_values<'q>(
    run: &'q Run<'q>,
    grouping: &Grouping,
    label: &str,
    vector: &dyn Vector,
    steps: usize,
) -> Result<Held, QueryError> {
    // The value is a label of the series before they are grouped: `without` may take it away again.
    let kept = match grouping {
        Grouping::By(_) => true,
        Grouping::Without(names) => label != METRIC_NAME && names.iter().all(|name| name != label),
    };
    let bytes = steps * size_of::<u32>();
    let mut counts: Groups<Vec<u32>> = Groups::new(run)?;
    let job = |indices: Range<usize>, scratch: &mut Scratch<'q>| {
        let mut part: Groups<Vec<u32>> = Groups::new(run)?;
        let mut column = scratch.take_column(steps);
        for index in indices {
            vector.fill(index, scratch, &mut column)?;
            let group = grouping.of(&vector.metric(index));
            for (step, value) in column.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                let labels = if kept { group.labels.with(label, &printed(*value)) } else { group.labels.clone() };
                let metric = Metric { labels, ..group };
                part.entry(metric, bytes, || vec![0; steps])?[step] += 1;
            }
        }
        scratch.give_column(column);
        Ok(part)
    };
    spread(run, vector.len(), job, |part| {
        for (metric, seen) in part.found {
            let group = counts.entry(metric, bytes, || vec![0; steps])?;
            group.iter_mut().zip(seen).for_each(|(count, seen)| *count += seen);
        }
        Ok(())
    })?;
    let series = counts.found.into_iter().map(|(metric, counts)| {
        let value = |count: &u32| if *count == 0 { ABSENT } else { f64::from(*count) };
        (metric, Trimmed::of(&counts.iter().map(value).collect::<Vec<f64>>()))
    });
    Held::made(run, series.collect())
}

/// A value as a label: its shortest digits, never an exponent.
fn printed(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_string(),
        f64::NEG_INFINITY => "-Inf".to_string(),
        value => value.to_string(),
    }
}
