//! `limit_ratio`: a part of the series, chosen by the hash of their labels, so that it is the same part every time.
//!
//! And the same part that upstream chooses: its hash is this one, over the same bytes (each name and value with its
//! length in front) as long as none is longer than 127 bytes.

use crate::error::QueryError;
use crate::eval::{BoxedVector, Metric, Scratch, Vector};
use crate::grid::ABSENT;
use xxhash_rust::xxh64::xxh64;

/// The series of a vector whose hash falls within the ratio: from below where it is positive, the complementary
/// part from above where it is negative.
pub(super) struct Ratio<'q> {
    /// One a step, within -1 to 1.
    ratios: Vec<f64>,
    vector: BoxedVector<'q>,
}

impl<'q> Ratio<'q> {
    /// `ratios` has a value for every step.
    pub fn new(ratios: Vec<f64>, vector: BoxedVector<'q>) -> Self {
        Ratio { ratios, vector }
    }
}

impl Vector for Ratio<'_> {
    fn len(&self) -> usize {
        self.vector.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.vector.metric(index)
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        self.vector.fill(index, scratch, column)?;
        let position = xxh64(self.vector.metric(index).labels.as_bytes(), 0) as f64 / u64::MAX as f64;
        for (slot, ratio) in column.iter_mut().zip(&self.ratios) {
            let within = if *ratio >= 0.0 { position < *ratio } else { position >= 1.0 + *ratio };
            if !within {
                *slot = ABSENT;
            }
        }
        Ok(())
    }
}
