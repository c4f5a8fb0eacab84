//! What a query is made of and what comes back, in the shapes of the Prometheus API.

pub use sealine_promql::{Answer as QueryAnswer, Cancel, Point, QueryStats, Series, TimeRange, Value};
use std::time::Instant;

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
    /// Whether to count the samples that each step looks at.
    pub count_steps: bool,
    /// Only series of these databases; `None` stands for all.
    pub databases: Option<Vec<String>>,
    /// To be looked at while the query runs.
    pub cancel: Cancel,
}
