//! `limit_ratio`: a part of the series, chosen by the hash of their labels, so that it is the same part every time.

use crate::promql::error::QueryError;
use crate::promql::eval::{BoxedVector, Metric, Scratch, Vector};
use crate::promql::grid::ABSENT;

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
        let hash = self.vector.metric(index).labels.hash128();
        let position = (hash >> 64) as u64 as f64 / u64::MAX as f64;
        for (slot, ratio) in column.iter_mut().zip(&self.ratios) {
            let within = if *ratio >= 0.0 { position < *ratio } else { position >= 1.0 + *ratio };
            if !within {
                *slot = ABSENT;
            }
        }
        Ok(())
    }
}
