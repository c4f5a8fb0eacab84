//! What bounds a query: counts, a deadline, and a client that may leave.

use super::error::QueryError;
use crate::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// How much one query may cost. A limit that is reached ends the query with [`QueryError::TooMany`], naming the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Samples that may be read from storage, each counted as often as it is read.
    pub samples_max: u64,
    /// Series that one selector may find.
    pub series_max: u64,
    /// Values that may be held at once in intermediate results and the answer (8 bytes each).
    pub points_max: u64,
    /// Steps of the query, and of each subquery in it.
    pub steps_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { samples_max: 2_000_000_000, series_max: 2_000_000, points_max: 100_000_000, steps_max: 1_000_000 }
    }
}

/// Ends a query from outside: clone it, keep one half, and [`Cancel::cancel`] when the client leaves.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the query to end; it does at the next series it comes to.
    pub fn cancel(&self) {
        // Relaxed: nothing else is published with the flag.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The running account of one query. Written by every worker, read by every worker; the counts stand alone, so
/// relaxed ordering is enough.
pub(super) struct Budget {
    limits: Limits,
    started: Instant,
    deadline: Option<Instant>,
    cancel: Cancel,
    series: AtomicU64,
    samples: AtomicU64,
    points: AtomicU64,
}

impl Budget {
    /// Opens the account at `now`.
    pub fn new(limits: Limits, deadline: Option<Instant>, cancel: Cancel) -> Self {
        let (series, samples, points) = Default::default();
        Budget { limits, started: clock::instant(), deadline, cancel, series, samples, points }
    }

    /// Fails where the deadline passed or the client left. Asked once a series.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancel.is_canceled() {
            return Err(QueryError::Canceled);
        }
        match self.deadline {
            Some(deadline) if clock::instant() >= deadline => Err(QueryError::Timeout(clock::instant() - self.started)),
            _ => Ok(()),
        }
    }

    /// Accounts for series that a selector found.
    pub fn found_series(&self, count: usize) -> Result<(), QueryError> {
        self.series.fetch_add(count as u64, Ordering::Relaxed);
        within(count as u64, self.limits.series_max, "series in one selector", "series_max")
    }

    /// Accounts for samples that were read.
    pub fn read_samples(&self, count: usize) -> Result<(), QueryError> {
        let read = self.samples.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        within(read, self.limits.samples_max, "samples", "samples_max")
    }

    /// Accounts for values that are held until the query ends.
    pub fn hold_points(&self, count: usize) -> Result<(), QueryError> {
        let held = self.points.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        within(held, self.limits.points_max, "points in memory", "points_max")
    }

    /// Fails where a grid has too many steps.
    pub fn plan_steps(&self, count: usize) -> Result<(), QueryError> {
        within(count as u64, self.limits.steps_max, "steps", "steps_max")
    }

    /// Series found, samples read, points held so far.
    pub fn totals(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.series), load(&self.samples), load(&self.points))
    }
}

fn within(count: u64, limit: u64, what: &'static str, setting: &'static str) -> Result<(), QueryError> {
    if count > limit { Err(QueryError::TooMany { what, limit, setting }) } else { Ok(()) }
}
