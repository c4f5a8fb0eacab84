//! Functions of range vectors: reads a series once, and runs one function over all its windows.

use super::counter::{self, Difference};
use super::{each_window, extreme, moments, order, trend};
use crate::error::QueryError;
use crate::eval::{BoxedRange, Metric, Scratch, Vector};
use crate::grid::{ABSENT, is_absent};
use crate::notes::{Place, Short};
use crate::plan::RangeFunction;
use sealine_model::{METRIC_NAME, Samples};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Names that tell a counter, as upstream has it.
const COUNTER_ENDS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// Samples that windows see between two looks at whether the query may go on: tens of milliseconds, for most functions.
const SEEN_AT_ONCE: usize = 16 << 20;

/// A function over the windows of a range vector.
pub(crate) struct OverRange<'q> {
    function: RangeFunction,
    /// The scalar arguments, each a column.
    parameters: Vec<Vec<f64>>,
    range: BoxedRange<'q>,
    place: Place,
    doubts: Option<Doubts>,
}

/// Whether to tell the user that what they take the rate of may not be a counter.
struct Doubts {
    /// Set once every series is known to have one and the same name, and it was told: nobody needs to look again.
    told: AtomicBool,
    /// Whether all series have the same name.
    one_name: bool,
}

impl<'q> OverRange<'q> {
    /// `one_name` says that all series of `range` share their metric name.
    pub fn new(
        function: RangeFunction,
        parameters: Vec<Vec<f64>>,
        range: BoxedRange<'q>,
        one_name: bool,
        place: Place,
    ) -> Self {
        let doubts = function.wants_counter().then(|| Doubts { told: AtomicBool::new(false), one_name });
        OverRange { function, parameters, range, place, doubts }
    }

    /// Warns of quantiles that are none, at the steps that have an answer.
    fn warn_of_quantiles(&self, scratch: &Scratch<'_>, column: &[f64]) {
        let at_fault = |(quantile, answer): &(&f64, &f64)| !(0.0..=1.0).contains(*quantile) && !is_absent(**answer);
        let mut last = None;
        for (quantile, _) in self.parameters[0].iter().zip(column).filter(at_fault) {
            if last != Some(quantile.to_bits()) {
                let got = Short(*quantile);
                scratch.run.notes.warn(self.place, format_args!("quantile value should be between 0 and 1, got {got}"));
            }
            last = Some(quantile.to_bits());
        }
    }

    /// Notes it where a series that is no counter by its name is treated as one.
    fn doubt(&self, doubts: &Doubts, index: usize, scratch: &Scratch<'_>) {
        // Relaxed: to look twice is harmless.
        if doubts.told.load(Ordering::Relaxed) {
            return;
        }
        let labels = self.range.metric(index).labels;
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        if !name.is_empty() && !COUNTER_ENDS.iter().any(|end| name.ends_with(end)) {
            let ends = "_total/_sum/_count/_bucket";
            let sentence = format_args!("metric might not be a counter, name does not end in {ends}: {name:?}");
            scratch.run.notes.info(self.place, sentence);
        }
        doubts.told.store(doubts.one_name, Ordering::Relaxed);
    }

    /// How many steps are computed between two looks at whether the query may go on: all, unless windows are long. At least
    /// one, since a subquery may have no step.
    fn steps_at_once(&self, times: &[i64], steps: usize) -> usize {
        if times.len().saturating_mul(steps) <= SEEN_AT_ONCE {
            return steps.max(1);
        }
        let seen: usize = self.range.windows().over(times).map(|window| window.len()).sum();
        steps.div_ceil(seen.div_ceil(SEEN_AT_ONCE).max(1)).max(1)
    }

    /// Fills the part of the column for these steps.
    fn compute(&self, samples: &Samples, steps: Range<usize>, column: &mut [f64]) -> Result<(), QueryError> {
        let windows = &self.range.windows().part(steps.clone());
        let parameter = |at: usize| &self.parameters[at][steps.clone()];
        let times = &samples.times;
        match self.function {
            RangeFunction::Rate => counter::difference(Difference::Rate, samples, windows, column),
            RangeFunction::Increase => counter::difference(Difference::Increase, samples, windows, column),
            RangeFunction::Delta => counter::difference(Difference::Delta, samples, windows, column),
            RangeFunction::InstantRate => counter::instant_difference(true, samples, windows, column),
            RangeFunction::InstantDelta => counter::instant_difference(false, samples, windows, column),
            RangeFunction::Changes => counter::changes(samples, windows, column),
            RangeFunction::Resets => counter::resets(samples, windows, column),
            RangeFunction::Sum => moments::sum(samples, windows, column),
            RangeFunction::Average => moments::average(samples, windows, column),
            RangeFunction::Variance => moments::variance(samples, windows, column),
            RangeFunction::Deviation => {
                moments::variance(samples, windows, column);
                super::math::in_place(column, f64::sqrt);
            }
            RangeFunction::Min => extreme::min(samples, windows, column),
            RangeFunction::Max => extreme::max(samples, windows, column),
            RangeFunction::TimeOfMin => extreme::time_of_min(samples, windows, column),
            RangeFunction::TimeOfMax => extreme::time_of_max(samples, windows, column),
            RangeFunction::Count => each_window(times, windows, column, |_, window| window.len() as f64),
            RangeFunction::Present => each_window(times, windows, column, |_, _| 1.0),
            RangeFunction::First => each_window(times, windows, column, |_, window| samples.values[window.from]),
            RangeFunction::Last => each_window(times, windows, column, |_, window| samples.values[window.to - 1]),
            RangeFunction::TimeOfFirst => {
                each_window(times, windows, column, |_, window| times[window.from] as f64 / 1000.0)
            }
            RangeFunction::TimeOfLast => {
                each_window(times, windows, column, |_, window| times[window.to - 1] as f64 / 1000.0)
            }
            RangeFunction::MedianDeviation => order::median_deviation(samples, windows, column),
            RangeFunction::Quantile => order::quantile_over_time(parameter(0), samples, windows, column),
            RangeFunction::Derivative => trend::derivative(samples, windows, column),
            RangeFunction::PredictLinear => trend::predict(parameter(0), samples, windows, column),
            RangeFunction::DoubleExponential => trend::smooth(parameter(0), parameter(1), samples, windows, column)?,
        }
        Ok(())
    }
}

impl Vector for OverRange<'_> {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn metric(&self, index: usize) -> Metric {
        let metric = self.range.metric(index);
        if self.function.keeps_name() { metric } else { metric.without_name() }
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let mut samples = scratch.take_samples();
        self.range.read(index, scratch, &mut samples)?;
        if samples.is_empty() {
            column.fill(ABSENT);
        } else {
            let block = self.steps_at_once(&samples.times, column.len());
            for (at, part) in column.chunks_mut(block).enumerate() {
                scratch.check()?;
                self.compute(&samples, at * block..at * block + part.len(), part)?;
            }
            scratch.run.count_windows(self.range.windows(), &samples.times);
            if self.function == RangeFunction::Quantile {
                self.warn_of_quantiles(scratch, column);
            }
            if let Some(doubts) = &self.doubts
                && !column.iter().all(|value| is_absent(*value))
            {
                self.doubt(doubts, index, scratch);
            }
        }
        scratch.give_samples(samples);
        Ok(())
    }
}
