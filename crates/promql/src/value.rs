//! What goes into a query and what comes out of it.

use super::limits::Cancel;
use sealine_model::Labels;
use std::time::{Duration, Instant};

/// When a query is evaluated; milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeRange {
    /// Once.
    Instant {
        /// The time.
        at: i64,
    },
    /// At `start`, `start + step`, … up to `end`.
    Range {
        /// The first time.
        start: i64,
        /// The last time, included where a step falls on it.
        end: i64,
        /// Milliseconds between two times; positive.
        step: i64,
    },
}

impl TimeRange {
    /// The first time.
    pub fn start(&self) -> i64 {
        match *self {
            TimeRange::Instant { at } => at,
            TimeRange::Range { start, .. } => start,
        }
    }

    /// The end as it was asked for, whether a step falls on it or not.
    pub fn end(&self) -> i64 {
        match *self {
            TimeRange::Instant { at } => at,
            TimeRange::Range { end, .. } => end,
        }
    }

    /// Milliseconds between two times; 0 of an instant.
    pub fn step(&self) -> i64 {
        match *self {
            TimeRange::Instant { .. } => 0,
            TimeRange::Range { step, .. } => step,
        }
    }
}

/// One query.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The PromQL text.
    pub text: &'a str,
    /// When to evaluate it.
    pub range: TimeRange,
    /// How far an instant selector looks back for a sample; the engine's default where `None`.
    pub lookback_ms: Option<i64>,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Ends the query from outside.
    pub cancel: Cancel,
    /// Whether to count the samples that each step looks at.
    pub count_steps: bool,
}

impl<'a> Request<'a> {
    /// A query with the engine's defaults and no deadline.
    pub fn new(text: &'a str, range: TimeRange) -> Self {
        Request { text, range, lookback_ms: None, deadline: None, cancel: Cancel::default(), count_steps: false }
    }
}

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The value.
    pub value: f64,
}

/// One series of an answer: its labels and its points in time order, at least one.
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
    /// A string literal, of an instant query, at the time given first.
    String(i64, String),
    /// An instant vector: each series has one point. In the order that the expression gives it (`sort`, `topk`).
    Vector(Vec<(Labels, Point)>),
    /// A range query, or an instant query of a range vector. Sorted by labels.
    Matrix(Vec<Series>),
}

/// What a query cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryStats {
    /// Series that its selectors found.
    pub series: u64,
    /// Samples read from storage.
    pub samples: u64,
    /// Samples that each step looked at, a window's as often as a window saw them; `None` unless it was asked for.
    pub samples_per_step: Option<Vec<u64>>,
    /// The most bytes that intermediate results and the answer took at once.
    pub bytes: u64,
    /// Time from text to answer.
    pub elapsed: Duration,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// What is probably wrong with the query or missing from the answer, sorted.
    pub warnings: Vec<String>,
    /// What may be wrong with it, sorted.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
}
