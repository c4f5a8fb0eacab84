//! Which series of two vectors meet: those with the same signature.

use crate::eval::{Metric, Vector};
use crate::plan::Signature;
use hashbrown::HashMap;
use sealine_model::{Labels, METRIC_NAME};

impl Signature {
    /// The labels that decide where a series belongs.
    pub fn of(&self, labels: &Labels) -> Labels {
        match self {
            Signature::On(names) => labels.only(|name| names.iter().any(|on| on == name)),
            Signature::Ignoring(names) => {
                labels.without(|name| name == METRIC_NAME || names.iter().any(|ignored| ignored == name))
            }
        }
    }
}

/// The series of one side, and the number of the signature that each has.
pub(super) struct Side {
    pub metrics: Vec<Metric>,
    pub signatures: Vec<usize>,
}

/// Signatures of one or two vectors, numbered as they are met.
#[derive(Default)]
pub(super) struct Signatures {
    numbers: HashMap<Labels, usize>,
}

impl Signatures {
    /// Numbers the series of a vector.
    pub fn side(&mut self, signature: &Signature, vector: &dyn Vector) -> Side {
        let metrics: Vec<Metric> = (0..vector.len()).map(|index| vector.metric(index)).collect();
        let signatures = metrics.iter().map(|metric| self.number(signature.of(&metric.labels))).collect();
        Side { metrics, signatures }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    fn number(&mut self, signature: Labels) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(signature).or_insert(next)
    }
}
