//! Why a query was not answered, in the classes that the Prometheus HTTP API knows.

use sealine_base::pools::Full;
use sealine_model::SourceError;
use std::fmt;
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
    #[error(
        "the query needs more than {limit} {what}{heaviest}; narrow its selectors or its time range, or raise `{setting}`"
    )]
    TooMuch {
        /// What was counted, in the plural.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
        /// The setting that says so.
        setting: &'static str,
        /// What it was needed for.
        heaviest: Heaviest,
    },
    /// All of the daemon's memory is in use.
    #[error("the query was refused: {0}")]
    Full(#[from] Full),
    /// The deadline passed.
    #[error(
        "the query timed out: it was given up after {:.3}s{heaviest}; narrow its selectors or its time range, or \
         raise `query.timeout` or the parameter `timeout`",
        .after.as_secs_f64()
    )]
    Timeout {
        /// How long it ran.
        after: Duration,
        /// What it was busy with.
        heaviest: Heaviest,
    },
    /// The client went away.
    #[error("the query was cancelled")]
    Canceled,
    /// Storage failed.
    #[error(transparent)]
    Storage(SourceError),
}

/// The selector that costs most, for messages; `None` where there was none yet.
#[derive(Debug, Default)]
pub struct Heaviest(pub Option<String>);

impl fmt::Display for Heaviest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => Ok(()),
            Some(selector) => write!(f, ", most of it for {selector}"),
        }
    }
}

impl From<SourceError> for QueryError {
    /// A shortage of memory is the same error wherever in the query it occurs.
    fn from(error: SourceError) -> Self {
        match error.0.downcast::<Full>() {
            Ok(full) => QueryError::Full(*full),
            Err(error) => QueryError::Storage(SourceError(error)),
        }
    }
}
