//! Gorilla chunks: `tsz` over a bit stream of 64-bit words.
//!
//! `tsz` encodes times and values as Pelkonen et al. do (Gorilla, VLDB 2015, section 4.1): open.rs has how a chunk that is
//! queried while it grows is written with it. The bytes are those that one long-lived encoder would have written (a test
//! holds this), without the end marker, which a chunk that knows its count does not need.
//!
//! Reading is our own (decoder.rs), since most of what a query does is that.
//!
//! What `tsz` cannot encode ends the chunk: time going back, a delta of deltas that does not fit its 32 bits.
//!
//! Times are counted in the coarsest unit that keeps them. In nanoseconds, 32 bits would end a chunk after two seconds; so
//! there `tsz` has milliseconds, and what is left of each time stands behind the bits.

mod decoder;
mod open;

use super::{Extent, Overlay};
use decoder::Decoder;
pub use open::OpenChunk;
use sealine_model::{NS_PER_MS, Samples, TimeUnit};

/// Samples of a chunk; bounds what a query decodes to find one sample.
pub const SAMPLES_PER_CHUNK_MAX: usize = 512;

/// A finished, immutable run of samples of one series.
///
/// Times do not go back but may repeat: of equal times the last one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What its times are counted in.
    pub unit: TimeUnit,
    /// How many samples there are, 1 to [`SAMPLES_PER_CHUNK_MAX`].
    pub count: usize,
    /// Time of the first sample, nanoseconds.
    pub first: i64,
    /// Time of the last sample, nanoseconds.
    pub last: i64,
    /// The bit stream, its last byte filled up with zeros; of nanoseconds, what is left of each time behind it.
    pub bytes: Box<[u8]>,
}

impl Chunk {
    /// What is known of it besides its bytes.
    pub fn extent(&self) -> Extent {
        Extent { unit: self.unit, count: self.count, first: self.first, last: self.last }
    }

    /// Encodes samples that are in order and need no cut.
    #[cfg(test)]
    fn of(times: &[i64], values: &[f64]) -> Chunk {
        let chunks = chunks(times, values);
        assert_eq!(chunks.len(), 1);
        chunks[0].clone()
    }
}

/// Encodes samples, in order of time, in the fewest chunks.
pub fn chunks(times: &[i64], values: &[f64]) -> Vec<Chunk> {
    let (mut chunks, mut times, mut values) = (Vec::new(), times, values);
    let mut counts = Vec::new();
    while let (Some(_), Some(value)) = (times.first(), values.first()) {
        let some = &times[..times.len().min(SAMPLES_PER_CHUNK_MAX)];
        let unit = TimeUnit::of_all(some.iter().copied());
        counts.clear();
        counts.extend(some.iter().map(|time| unit.floor(*time)));
        let mut open = OpenChunk::start(unit, counts[0], *value);
        let taken = 1 + open.append(&counts[1..], &values[1..]);
        chunks.push(open.to_chunk());
        (times, values) = (&times[taken..], &values[taken..]);
    }
    chunks
}

/// Times are signed, those of `tsz` are not: this keeps their order and their differences.
fn to_tsz(time: i64) -> u64 {
    (time as u64) ^ (1 << 63)
}

fn from_tsz(time: u64) -> i64 {
    (time ^ (1 << 63)) as i64
}

/// Why a chunk's bytes cannot be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bits end, or make no sense, before the last sample.
    #[error("the chunk's bits end at sample {got} of {want}")]
    Truncated {
        /// Samples that could be read.
        got: usize,
        /// Samples that the chunk should hold.
        want: usize,
    },
    /// Times go back.
    #[error("the chunk's times go back at sample {at}")]
    Disordered {
        /// Number of the sample, from 0.
        at: usize,
    },
}

/// Samples that are decoded before they are looked at.
const BATCH: usize = 128;

/// Appends the samples of a chunk that lie in `range` (both ends included, nanoseconds) to `into`; of equal times the last
/// one replaces the others. `into` must hold nothing later than the chunk's first sample. Times come in `out`, which must
/// be no coarser than the chunk's unit.
///
/// Errors: where `bytes` do not hold `count` samples in order, or go back behind what `into` holds. What was decoded until then stays in `into`.
pub fn decode(
    bytes: &[u8],
    Extent { unit, count, .. }: Extent,
    range: (i64, i64),
    out: TimeUnit,
    into: &mut Samples,
) -> Result<(), ChunkError> {
    if count == 0 {
        return Ok(());
    }
    sealine_base::work::count(count);
    if unit == TimeUnit::Nanoseconds {
        return decode_nanoseconds(bytes, count, range, into);
    }
    let factor = unit.in_units_of(out).unwrap_or(1);
    let (start, end) = (unit.ceil(range.0), unit.floor(range.1));
    let truncated = |got| ChunkError::Truncated { got, want: count };
    let mut decoder = Decoder::new(bytes).ok_or_else(|| truncated(0))?;
    let room = count.min(SAMPLES_PER_CHUNK_MAX);
    into.times.reserve(room);
    into.values.reserve(room);
    let mut batch = [0.0; BATCH];
    let (mut before, mut at) = (i64::MIN, 0);
    loop {
        let (time, value) = decoder.sample();
        let (time, value) = (from_tsz(time), f64::from_bits(value));
        if time < before {
            return Err(ChunkError::Disordered { at });
        }
        if time > end {
            return Ok(());
        }
        // Between `start` and `end` no product overflows.
        if time >= start {
            push(time * factor, value, into).ok_or(ChunkError::Disordered { at })?;
        }
        (before, at) = (time, at + 1);

        // Most that follow are one step apart: those of them that can lie in the range are decoded together.
        let step = decoder.delta();
        if step > 0 && decoder.is_steady() {
            let ahead = (end.saturating_sub(time) / step).min(BATCH as i64) as usize;
            let got = decoder.steady(&mut batch[..ahead.min(count - at)]);
            let early = (start.saturating_sub(time).saturating_sub(1) / step).clamp(0, got as i64) as usize;
            if let [value, values @ ..] = &batch[early..got] {
                let mut time = (time + step * (early as i64 + 1)) * factor; // not behind `end`, as are those that follow
                push(time, *value, into).ok_or(ChunkError::Disordered { at: at + early })?;
                let step = step * factor;
                into.times.extend(values.iter().map(|_| {
                    time += step;
                    time
                }));
                into.values.extend_from_slice(values);
            }
            (before, at) = (before + step * got as i64, at + got);
        }
        if at >= count {
            return Ok(());
        }
        decoder.advance().ok_or_else(|| truncated(at))?;
    }
}

/// [`decode`] where what is left of each time stands behind the bits.
#[cold]
fn decode_nanoseconds(
    bytes: &[u8],
    count: usize,
    (start, end): (i64, i64),
    into: &mut Samples,
) -> Result<(), ChunkError> {
    let truncated = |got| ChunkError::Truncated { got, want: count };
    let rest_bytes = count.checked_mul(4).filter(|rest| *rest <= bytes.len()).ok_or_else(|| truncated(0))?;
    let (bits, rest) = bytes.split_at(bytes.len() - rest_bytes);
    let mut decoder = Decoder::new(bits).ok_or_else(|| truncated(0))?;
    let mut before = i64::MIN;
    for (at, rest) in rest.as_chunks::<4>().0.iter().enumerate() {
        if at > 0 {
            decoder.advance().ok_or_else(|| truncated(at))?;
        }
        let (milliseconds, value) = decoder.sample();
        let time = from_tsz(milliseconds).wrapping_mul(NS_PER_MS).wrapping_add(i64::from(u32::from_le_bytes(*rest)));
        if time < before {
            return Err(ChunkError::Disordered { at });
        }
        if (start..=end).contains(&time) {
            push(time, f64::from_bits(value), into).ok_or(ChunkError::Disordered { at })?;
        }
        before = time;
    }
    Ok(())
}

/// Adds a sample that must not be older than those in `into`: in the place of the last where their times are equal.
fn push(time: i64, value: f64, into: &mut Samples) -> Option<()> {
    match (into.times.last(), into.values.last_mut()) {
        (Some(newest), Some(last)) if *newest == time => *last = value,
        (Some(newest), _) if *newest > time => return None,
        _ => into.push(time, value),
    }
    Some(())
}

/// Adds the samples of a chunk that lie in `range` (both ends included, nanoseconds) to a series.
pub fn merge_decoded(
    bytes: &[u8],
    extent: Extent,
    range: (i64, i64),
    into: &mut Overlay<'_>,
) -> Result<(), ChunkError> {
    into.piece(extent, range, |out, into| decode(bytes, extent, range, out, into))
}

#[cfg(test)]
mod tests;
