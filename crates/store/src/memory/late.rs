//! Samples that came late, until there are enough of them for a chunk.

use super::row::Growth;
use sealine_codec::gorilla::{Chunk, chunks};
use std::collections::BTreeMap;

/// Samples of a field that are kept as they came. Sorted they make a chunk, whatever their order was: a sender that
/// goes backwards, or several in turn, make few chunks and not one a line.
const SAMPLES_MAX: usize = 128;

/// About how many bytes a field takes here without its samples.
const FIELD_BYTES: isize = 48;

const SAMPLE_BYTES: usize = size_of::<(i64, f64)>();

/// Samples by field, as they came.
#[derive(Default)]
pub(super) struct Late {
    fields: BTreeMap<u16, Vec<(i64, f64)>>,
}

impl Late {
    /// A field that has samples here.
    pub fn first(&self) -> Option<u16> {
        self.fields.first_key_value().map(|(field, _)| *field)
    }

    /// How many fields have samples here.
    pub fn fields(&self) -> usize {
        self.fields.len()
    }

    /// The times of all samples.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        self.fields.values().flatten().map(|(time, _)| *time)
    }

    /// The samples of a field.
    pub fn samples(&self, field: u16) -> &[(i64, f64)] {
        self.fields.get(&field).map_or(&[], Vec::as_slice)
    }

    /// Adds samples of a field. Says whether these are enough for a chunk.
    pub fn add(&mut self, field: u16, times: &[i64], values: &[f64]) -> (Growth, bool) {
        let mut grown = Growth::default();
        let samples = self.fields.entry(field).or_insert_with(|| {
            grown = Growth { bytes: FIELD_BYTES, chunks: 1 };
            Vec::new()
        });
        let before = samples.capacity();
        samples.extend(times.iter().copied().zip(values.iter().copied()));
        grown.bytes += ((samples.capacity() - before) * SAMPLE_BYTES) as isize;
        (grown, samples.len() >= SAMPLES_MAX)
    }

    /// Takes the samples of a field, as chunks.
    pub fn take(&mut self, field: u16) -> (Vec<Chunk>, Growth) {
        let Some(mut samples) = self.fields.remove(&field) else { return Default::default() };
        let bytes = FIELD_BYTES + (samples.capacity() * SAMPLE_BYTES) as isize;
        sealine_base::work::count(samples.len());
        samples.sort_by_key(|(time, _)| *time); // stable: of equal times the one written last counts
        let (times, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
        (chunks(&times, &values), Growth { bytes: -bytes, chunks: -1 })
    }
}
