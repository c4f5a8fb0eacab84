//! `absent` and `absent_over_time`: one series, with a 1 wherever nothing else is.

use crate::error::QueryError;
use crate::eval::{BoxedRange, BoxedVector, Held, Metric, Run, Scratch, Trimmed, spread};
use crate::grid::{ABSENT, is_absent};
use sealine_model::Labels;
use std::ops::Range;

/// `absent`: 1 at the steps at which `vector` has no value.
pub(crate) fn absent(
    run: &Run<'_>,
    labels: &Labels,
    vector: BoxedVector<'_>,
    steps: usize,
) -> Result<Held, QueryError> {
    inverse(run, labels, steps, vector.len(), |index, scratch, seen| {
        let mut column = scratch.take_column(steps);
        vector.fill(index, scratch, &mut column)?;
        seen.iter_mut().zip(&column).for_each(|(seen, value)| *seen |= !is_absent(*value));
        scratch.give_column(column);
        Ok(())
    })
}

/// `absent_over_time`: 1 at the steps whose window has no sample of `range`.
pub(crate) fn absent_over_time(
    run: &Run<'_>,
    labels: &Labels,
    range: BoxedRange<'_>,
    steps: usize,
) -> Result<Held, QueryError> {
    inverse(run, labels, steps, range.len(), |index, scratch, seen| {
        let mut samples = scratch.take_samples();
        range.read(index, scratch, &mut samples)?;
        seen.iter_mut()
            .zip(range.windows().over(&samples.times))
            .for_each(|(seen, window)| *seen |= !window.is_empty());
        run.count_windows(range.windows(), &samples.times);
        scratch.give_samples(samples);
        Ok(())
    })
}

/// Lets `look` mark the steps at which each series is seen, and gives a 1 at the others.
fn inverse<'q>(
    run: &'q Run<'q>,
    labels: &Labels,
    steps: usize,
    series: usize,
    look: impl Fn(usize, &mut Scratch<'q>, &mut [bool]) -> Result<(), QueryError> + Sync,
) -> Result<Held, QueryError> {
    let mut all = vec![false; steps];
    let job = |indices: Range<usize>, scratch: &mut Scratch<'q>| {
        let mut seen = vec![false; steps];
        for index in indices {
            look(index, scratch, &mut seen)?;
        }
        Ok(seen)
    };
    spread(run, series, job, |seen| {
        all.iter_mut().zip(seen).for_each(|(all, seen)| *all |= seen);
        Ok(())
    })?;
    let column: Vec<f64> = all.iter().map(|seen| if *seen { ABSENT } else { 1.0 }).collect();
    Held::made(run, vec![(Metric::kept(labels.clone()), Trimmed::of(&column))])
}
