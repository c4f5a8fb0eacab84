//! How long a query may take, and who says so.

use super::active::Active;
use super::args;
use super::error::{ApiError, ErrorKind};
use super::params::Params;
use crate::config::duration;
use std::time::Duration;
use tokio::time::Instant;

/// The longest that a query may take, the time in which it waits for its turn included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit {
    limit: Duration,
    /// What sets it, for messages.
    whose: &'static str,
}

impl TimeLimit {
    /// The limit of a query: `longest`, or less where the request's `timeout` says so.
    ///
    /// Errors: `BadData` where `timeout` is no duration, `Timeout` where it leaves no time.
    pub fn of_query(params: &Params, longest: Duration) -> Result<Self, ApiError> {
        let asked = match params.given("timeout") {
            None => longest,
            Some(text) => {
                let millis = args::parse_duration(text).map_err(|what| ApiError::parameter("timeout", what))?;
                Duration::from_millis(u64::try_from(millis).unwrap_or(0))
            }
        };
        if asked.is_zero() {
            return Err(ApiError::new(ErrorKind::Timeout, "query timed out in query execution: no time was given"));
        }
        Ok(match asked < longest {
            true => TimeLimit { limit: asked, whose: "the parameter timeout" },
            false => TimeLimit { limit: longest, whose: "query.timeout" },
        })
    }

    /// The limit of a look-up.
    pub fn of_look_up(limit: Duration) -> Self {
        TimeLimit { limit, whose: "query.labels_timeout" }
    }

    /// When the time is over that begins now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// Adds to an error of a query that ran into the limit what that is and who sets it.
    pub fn explain(&self, error: ApiError, active: &Active) -> ApiError {
        if error.kind != ErrorKind::Timeout || !active.has_started() {
            return error;
        }
        let (limit, whose) = (duration::format(self.limit), self.whose);
        ApiError::new(error.kind, format!("{} (the limit was {limit}, by {whose})", error.message))
    }
}
