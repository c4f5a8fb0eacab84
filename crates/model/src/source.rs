//! What a query reads samples from: the store is one, and so is a map in a test. It is neither PromQL's nor the store's,
//! so that these two need not know each other.

use crate::{Labels, Matcher, Samples};

/// Why storage could not answer.
#[derive(Debug, thiserror::Error)]
#[error("storage cannot answer")]
pub struct SourceError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Somewhere series are kept.
pub trait Source: Send + Sync {
    /// The series that pass every matcher and may have samples in `start..=end` (milliseconds, both ends included).
    /// Reads the index only, never a sample. The answer is a view of one moment: what is written later is not in it.
    fn select(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Box<dyn Selection + '_>, SourceError>;
}

/// The series that a selector found. They are numbered `0..len()`, in no order that means anything; each has labels
/// of its own. Several threads may read different series at once.
pub trait Selection: Send + Sync {
    /// How many series were found.
    fn len(&self) -> usize;

    /// Whether none was found.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of series `index`, metric name included. May be costly: ask where the output needs them.
    fn labels(&self, index: usize) -> Labels;

    /// Replaces what `into` holds by the samples of series `index` within `start..=end`: sorted, of equal times only
    /// the one written last. Decodes no chunk outside the range.
    fn read(&self, index: usize, start: i64, end: i64, into: &mut Samples) -> Result<(), SourceError>;

    /// Sentences about data that is missing from the answer (a damaged file), and about what is one series here and was
    /// meant to be several; for the response's `warnings`.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
