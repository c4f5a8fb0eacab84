//! What a query is made of and what comes back, in the shapes of the Prometheus API.

use crate::series::Labels;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// When a query is evaluated; milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeRange {
    /// Once.
    Instant {
        /// The time.
        at: i64,
    },
    /// At `start`, `start + step`, … up to `end`; `start <= end`, and they are at most `i64::MAX / 2` apart.
    Range {
        /// The first time.
        start: i64,
        /// The last time, included where a step falls on it.
        end: i64,
        /// Milliseconds between two times; positive.
        step: i64,
    },
}

/// Ends a query from outside: the API sets it when the client leaves or the deadline has passed.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the query to end.
    pub fn cancel(&self) {
        // Relaxed: nothing else is published with the flag.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One query, its parameters checked.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// The PromQL text, not parsed yet; may be empty.
    pub text: String,
    /// When to evaluate it.
    pub range: TimeRange,
    /// How far an instant selector looks back, in milliseconds; the default where `None`.
    pub lookback_ms: Option<i64>,
    /// When to give up.
    pub deadline: Instant,
    /// Series of the answer beyond this many are cut off by the API; `None` is no limit. A hint that allows to stop
    /// early: an answer that was cut short must hold at least one series more than this, so that a warning is given.
    pub limit: Option<usize>,
    /// Only series of this database.
    pub db: Option<String>,
    /// To be looked at while the query runs.
    pub cancel: Cancel,
}

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The value.
    pub value: f64,
}

/// One series of an answer: its labels and its points in time order.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What names it.
    pub labels: Labels,
    /// Its points.
    pub points: Vec<Point>,
}

/// What a query evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number, of an instant query.
    Scalar(Point),
    /// A string, of an instant query, at the time given first.
    String(i64, String),
    /// One point a series, in the order in which they are answered.
    Vector(Vec<(Labels, Point)>),
    /// Of a range query, or of an instant query for a range vector.
    Matrix(Vec<Series>),
}

/// What a query cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryStats {
    /// Series that its selectors found.
    pub series: u64,
    /// Samples read from storage.
    pub samples: u64,
    /// Values held in intermediate results and the answer.
    pub points: u64,
    /// Time from text to answer.
    pub elapsed: Duration,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryAnswer {
    /// The result.
    pub value: Value,
    /// What is probably wrong with the query, or missing from the answer.
    pub warnings: Vec<String>,
    /// What may be wrong with it.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
}
