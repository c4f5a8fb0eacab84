//! What every part of one running query shares, and what each worker has to itself.

use crate::promql::error::QueryError;
use crate::promql::limits::Budget;
use crate::promql::notes::Notes;
use crate::promql::source::{Samples, Source};

/// One query while it runs.
pub(in crate::promql) struct Run<'q> {
    pub source: &'q dyn Source,
    pub budget: Budget,
    pub notes: Notes,
    /// How far an instant selector looks back, in milliseconds.
    pub lookback_ms: i64,
    /// How many threads may work on it.
    pub threads: usize,
}

impl<'q> Run<'q> {
    /// A fresh set of buffers for one worker.
    pub fn scratch(&'q self) -> Scratch<'q> {
        Scratch { run: self, columns: Vec::new(), samples: Vec::new() }
    }
}

/// The buffers of one worker, reused from series to series: whoever takes one gives it back.
pub(in crate::promql) struct Scratch<'q> {
    pub run: &'q Run<'q>,
    columns: Vec<Vec<f64>>,
    samples: Vec<Samples>,
}

impl Scratch<'_> {
    /// A column of `count` values, of no particular value.
    pub fn take_column(&mut self, count: usize) -> Vec<f64> {
        let mut column = self.columns.pop().unwrap_or_default();
        column.resize(count, 0.0);
        column
    }

    /// Takes a column back.
    pub fn give_column(&mut self, column: Vec<f64>) {
        self.columns.push(column);
    }

    /// Room for samples; what it holds is replaced by the read.
    pub fn take_samples(&mut self) -> Samples {
        self.samples.pop().unwrap_or_default()
    }

    /// Takes it back.
    pub fn give_samples(&mut self, samples: Samples) {
        self.samples.push(samples);
    }

    /// Asked once a series: whether the query should go on.
    pub fn check(&self) -> Result<(), QueryError> {
        self.run.budget.check()
    }
}
