//! What the engine reads from: the one door between queries and storage, narrow enough for a test to stand in.

use crate::series::{Labels, Matcher};

/// Samples of one series as two columns of equal length, times strictly increasing.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Samples {
    /// Milliseconds since the Unix epoch.
    pub times: Vec<i64>,
    /// One value a time. The bits are kept: staleness markers are a NaN of their own.
    pub values: Vec<f64>,
}

impl Samples {
    /// Forgets the samples, keeps the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a sample at the end; `time` must be later than every time held.
    pub fn push(&mut self, time: i64, value: f64) {
        self.times.push(time);
        self.values.push(value);
    }
}

/// Why storage could not answer.
#[derive(Debug, thiserror::Error)]
#[error("storage cannot answer: {0}")]
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

    /// Sentences about data that is missing from the answer (a damaged file); for the response's `warnings`.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
