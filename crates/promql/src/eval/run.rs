//! What every part of one running query shares, and what each worker has to itself.

use super::semaphore::Semaphore;
use super::window::Windows;
use crate::budget::Budget;
use crate::error::QueryError;
use crate::grid::{Grid, is_absent};
use crate::notes::Notes;
use sealine_model::{Samples, Source};
use std::sync::atomic::{AtomicU64, Ordering};

/// One query while it runs.
pub(crate) struct Run<'q> {
    pub source: &'q dyn Source,
    pub budget: Budget,
    pub notes: Notes,
    /// Counts samples step by step, where somebody wants to know.
    pub tally: Option<Tally>,
    /// How far an instant selector looks back, in milliseconds.
    pub lookback_ms: i64,
    /// How many threads may work on it.
    pub threads: usize,
    /// Each of them needs one to work.
    pub permits: &'q Semaphore,
}

impl<'q> Run<'q> {
    /// A fresh set of buffers for one worker.
    pub fn scratch(&'q self) -> Scratch<'q> {
        Scratch { run: self, columns: Vec::new(), samples: Vec::new() }
    }
}

impl Run<'_> {
    /// Counts the samples that each of these windows sees, where they are those of the query's own steps: what a
    /// subquery reads for its steps counts where a window sees what came of it.
    pub fn count_windows(&self, windows: &Windows, times: &[i64]) {
        if let Some(tally) = self.tally.as_ref().filter(|tally| tally.grid == windows.grid) {
            windows.over(times).enumerate().for_each(|(step, window)| tally.add(step, window.len()));
        }
    }

    /// Counts the values that an instant selector picked, each for its step.
    pub fn count_picked(&self, grid: Grid, column: &[f64]) {
        if let Some(tally) = self.tally.as_ref().filter(|tally| tally.grid == grid) {
            column.iter().enumerate().for_each(|(step, value)| tally.add(step, usize::from(!is_absent(*value))));
        }
    }
}

/// How many samples each step of the query looked at.
pub(crate) struct Tally {
    grid: Grid,
    /// Relaxed: nothing is read before all workers are done.
    samples: Vec<AtomicU64>,
}

impl Tally {
    /// Nothing yet.
    pub fn new(grid: Grid) -> Self {
        Tally { grid, samples: (0..grid.count).map(|_| AtomicU64::new(0)).collect() }
    }

    fn add(&self, step: usize, count: usize) {
        self.samples[step].fetch_add(count as u64, Ordering::Relaxed);
    }

    /// A count a step.
    pub fn finish(self) -> Vec<u64> {
        self.samples.into_iter().map(AtomicU64::into_inner).collect()
    }
}

/// The buffers of one worker, reused from series to series: code that takes one gives it back.
pub(crate) struct Scratch<'q> {
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
