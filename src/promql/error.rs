//! Why a query was not answered, in the classes that the Prometheus HTTP API knows.

use super::source::SourceError;
use std::time::Duration;

/// A query that could not be answered. Every message names what was wrong and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query itself is at fault: it does not parse, its types do not fit, or its times make no sense.
    #[error("{0}")]
    BadData(String),
    /// The query is well formed, but not on this data: duplicate series, a label that cannot be built.
    #[error("{0}")]
    Execution(String),
    /// The answer would cost more than the named limit allows.
    #[error("the query needs more than {limit} {what}; narrow its selectors or its time range, or raise `{setting}`")]
    TooMany {
        /// What was counted, in the plural.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
        /// The field of [`super::Limits`] that says so.
        setting: &'static str,
    },
    /// The deadline passed.
    #[error("the query was given up after {}s: it reached its time limit", .0.as_secs_f64())]
    Timeout(Duration),
    /// The client went away.
    #[error("the query was cancelled")]
    Canceled,
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] SourceError),
}

impl QueryError {
    /// The `errorType` of the Prometheus API.
    pub fn error_type(&self) -> &'static str {
        match self {
            QueryError::BadData(_) => "bad_data",
            QueryError::Execution(_) | QueryError::TooMany { .. } => "execution",
            QueryError::Timeout(_) => "timeout",
            QueryError::Canceled => "canceled",
            QueryError::Storage(_) => "internal",
        }
    }

    /// The HTTP status of the Prometheus API.
    pub fn status(&self) -> u16 {
        match self {
            QueryError::BadData(_) => 400,
            QueryError::Execution(_) | QueryError::TooMany { .. } => 422,
            QueryError::Timeout(_) | QueryError::Canceled => 503,
            QueryError::Storage(_) => 500,
        }
    }
}
