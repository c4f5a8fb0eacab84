//! What bounds a query: counts, bytes, and a client that may leave.

use sealine_model::REGEX_STEPS_MAX;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much one query may cost. A limit that is reached ends the query with [`super::QueryError::TooMuch`], which names
/// the setting (`query.…`) and the selector that costs most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the text may have. `query.max_text_bytes`
    pub text_bytes_max: usize,
    /// Steps of automata that its regular expressions may need. `query.max_regex_steps`
    pub regex_steps_max: u64,
    /// Samples that may be read from storage, each counted as often as it is read. `query.max_samples`
    pub samples_max: u64,
    /// Series that one selector may find. `query.max_series`
    pub series_max: u64,
    /// Bytes of intermediate results and of the answer that may be held at once. `query.max_memory`
    pub bytes_max: u64,
    /// Steps of the query. The API has a limit of its own, which names the smallest step that works.
    pub steps_max: u64,
    /// Steps of each subquery. `query.max_subquery_points`
    pub subquery_steps_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            text_bytes_max: 1 << 20,
            regex_steps_max: REGEX_STEPS_MAX,
            samples_max: 50_000_000,
            series_max: 300_000,
            bytes_max: 1 << 30,
            steps_max: 1_000_000,
            subquery_steps_max: 100_000,
        }
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
