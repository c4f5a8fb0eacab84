//! Selectors: series from storage, sampled at each step or read for windows.

use super::run::{Run, Scratch};
use super::vector::{Metric, Vector};
use super::window::{Front, RangeVector, Windows};
use crate::budget::Usage;
use crate::error::QueryError;
use crate::grid::{ABSENT, Grid, Shift, is_absent};
use crate::plan::SelectorPlan;
use sealine_model::{Samples, Selection};
use std::sync::Arc;

/// What storage found for a selector, and the span of time that may be read.
struct Found<'q> {
    run: &'q Run<'q>,
    usage: Arc<Usage>,
    selection: Box<dyn Selection + 'q>,
    start: i64,
    end: i64,
}

impl<'q> Found<'q> {
    fn new(run: &'q Run<'q>, selector: &SelectorPlan, (start, end): (i64, i64)) -> Result<Self, QueryError> {
        let selection = run.source.select(&selector.matchers, start, end)?;
        let usage = run.budget.open(&selector.matchers, selection.len())?;
        Ok(Found { run, usage, selection, start, end })
    }

    fn read(&self, index: usize, scratch: &Scratch<'_>, into: &mut Samples) -> Result<(), QueryError> {
        scratch.check()?;
        self.selection.read(index, self.start, self.end, into)?;
        scratch.run.budget.read_samples(&self.usage, into.len())
    }
}

/// Storage finds out what is missing while samples are read, so it is asked when nothing more will be.
impl Drop for Found<'_> {
    fn drop(&mut self) {
        self.selection.warnings().into_iter().for_each(|warning| self.run.notes.storage(warning));
    }
}

/// What an instant selector takes from the sample that it picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    Value,
    /// Its time in seconds.
    Time,
}

/// At each step the newest sample, unless it is older than the lookback or a staleness marker.
pub(crate) struct InstantSelector<'q> {
    found: Found<'q>,
    grid: Grid,
    shift: Shift,
    lookback_ms: i64,
    pick: Pick,
}

impl<'q> InstantSelector<'q> {
    /// Asks storage for the series.
    pub fn new(run: &'q Run<'q>, selector: &SelectorPlan, grid: Grid, pick: Pick) -> Result<Self, QueryError> {
        let (shift, lookback_ms) = (selector.shift, run.lookback_ms);
        let span = (shift.apply(grid.start) - lookback_ms + 1, shift.apply(grid.end()));
        Ok(InstantSelector { found: Found::new(run, selector, span)?, grid, shift, lookback_ms, pick })
    }
}

impl Vector for InstantSelector<'_> {
    fn len(&self) -> usize {
        self.found.selection.len()
    }

    fn metric(&self, index: usize) -> Metric {
        let metric = Metric::kept(self.found.selection.labels(index));
        if self.pick == Pick::Time { metric.without_name() } else { metric }
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let mut samples = scratch.take_samples();
        self.found.read(index, scratch, &mut samples)?;
        let (times, values) = (&samples.times[..], &samples.values[..]);
        let mut seen = Front::default(); // samples that are not later than the step
        for (time, slot) in self.grid.times().zip(column.iter_mut()) {
            let time = self.shift.apply(time);
            seen.advance(times, time);
            *slot = match seen.at.checked_sub(1) {
                Some(newest) if times[newest] > time - self.lookback_ms => match self.pick {
                    Pick::Time if !is_absent(values[newest]) => times[newest] as f64 / 1000.0,
                    _ => values[newest],
                },
                _ => ABSENT,
            };
        }
        scratch.give_samples(samples);
        scratch.run.count_picked(self.grid, column);
        Ok(())
    }
}

/// All samples that windows can see.
pub(crate) struct RangeSelector<'q> {
    found: Found<'q>,
    windows: Windows,
}

impl<'q> RangeSelector<'q> {
    /// Asks storage for the series.
    pub fn new(run: &'q Run<'q>, selector: &SelectorPlan, windows: Windows) -> Result<Self, QueryError> {
        Ok(RangeSelector { found: Found::new(run, selector, windows.span())?, windows })
    }
}

impl RangeVector for RangeSelector<'_> {
    fn len(&self) -> usize {
        self.found.selection.len()
    }

    fn metric(&self, index: usize) -> Metric {
        Metric::kept(self.found.selection.labels(index))
    }

    fn windows(&self) -> &Windows {
        &self.windows
    }

    fn read(&self, index: usize, scratch: &mut Scratch<'_>, into: &mut Samples) -> Result<(), QueryError> {
        self.found.read(index, scratch, into)?;
        remove_markers(into);
        Ok(())
    }
}

/// Takes staleness markers out; samples without any stay untouched.
fn remove_markers(samples: &mut Samples) {
    // Without a way out, as there mostly is none: so a processor looks at several at once.
    if !samples.values.iter().fold(false, |any, value| any | is_absent(*value)) {
        return;
    }
    let mut kept = 0;
    for at in 0..samples.values.len() {
        if !is_absent(samples.values[at]) {
            samples.values[kept] = samples.values[at];
            samples.times[kept] = samples.times[at];
            kept += 1;
        }
    }
    samples.values.truncate(kept);
    samples.times.truncate(kept);
}
