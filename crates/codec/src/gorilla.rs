//! Gorilla chunks: `tsz` over a bit stream of 64-bit words.
//!
//! `tsz` encodes times and values as Pelkonen et al. do (Gorilla, VLDB 2015, section 4.1). Its encoder owns what it
//! writes to and can be neither read nor cloned while it is open, which a chunk that is queried while it grows cannot
//! live with. So an [`OpenChunk`] keeps the words and the few numbers an encoder remembers, and makes an encoder for
//! each run of samples: one that is taught the state by two samples written to nowhere, then writes on where the last
//! one stopped. The bytes are those that one long-lived encoder would have written (a test holds this), without the
//! end marker, which a chunk that knows its count does not need.
//!
//! There is no plainer way that costs no more. An encoder that lived in the chunk would need no lesson, but its state
//! cannot be read, so the time and the delta that say what comes next would be kept twice: 96 bytes a chunk and not 64.
//! Nor can what it writes to be reached from outside, so each bit would go through a shared handle instead of a register.
//!
//! Reading is our own (decoder.rs), since most of what a query does is that.
//!
//! What `tsz` cannot encode ends the chunk: time going back, a delta of deltas that does not fit its 32 bits.
//!
//! Times are counted in the coarsest unit that keeps them. In nanoseconds, 32 bits would end a chunk after two seconds; so
//! there `tsz` has milliseconds, and what is left of each time stands behind the bits.

mod decoder;

use super::{Extent, Overlay};
use decoder::Decoder;
use sealine_model::{NS_PER_MS, Samples, TimeUnit};
use std::cell::Cell;
use tsz::stream::Write;
use tsz::{Bit, DataPoint, Encode, StdEncoder};

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

/// Words that an open chunk makes room for at once, at least.
const WORDS_MORE_MIN: usize = 4;

/// A chunk that still grows. Its times are given to it in its own unit.
#[derive(Debug)]
pub struct OpenChunk {
    /// The bits, from the high end of each word: `full` words that are full, and room for more.
    words: Box<[u64]>,
    /// The word that is not full. It lies here, so that a run of samples that does not fill it touches no other memory: of
    /// the chunks of many series none is in the cache.
    word: u64,
    full: u16,
    /// Bits still free in `word`, 1 to 64.
    free: u8,
    /// Of nanoseconds: what is left of each time beyond the milliseconds that `tsz` has.
    #[expect(clippy::box_collection, reason = "few chunks have it, and all pay for its room")]
    rest: Option<Box<Vec<u32>>>,
    count: u16,
    unit: TimeUnit,
    // What a `tsz` encoder remembers between two samples.
    time: i64,
    delta: u64,
    value_bits: u64,
    /// Zeros around the last window that was written out; 64 before there is one.
    leading: u8,
    trailing: u8,
}

impl OpenChunk {
    /// A chunk with its first sample.
    pub fn start(unit: TimeUnit, time: i64, value: f64) -> Self {
        let is_finest = unit == TimeUnit::Nanoseconds;
        let first = if is_finest { time.div_euclid(NS_PER_MS) } else { time };
        let mut chunk = OpenChunk {
            words: Box::default(),
            word: 0,
            full: 0,
            free: 64,
            rest: is_finest.then(|| Box::new(vec![rest_of(time)])),
            count: 0,
            unit,
            time: first,
            delta: 0,
            value_bits: value.to_bits(),
            leading: 64,
            trailing: 64,
        };
        chunk.write(&[first], &[value]);
        chunk
    }

    /// What its times are counted in.
    #[inline]
    pub fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// Time of the last sample, nanoseconds.
    #[inline]
    pub fn last(&self) -> i64 {
        self.ns(self.time, |rest| rest.last())
    }

    /// Time of the first sample, nanoseconds. It is what the bits begin with, which are memory that is in no cache.
    pub fn first(&self) -> i64 {
        self.ns(from_tsz(self.words[0]), |rest| rest.first())
    }

    #[inline]
    fn ns(&self, time: i64, of_rest: impl FnOnce(&[u32]) -> Option<&u32>) -> i64 {
        match &self.rest {
            None => self.unit.ns(time),
            Some(rest) => time.wrapping_mul(NS_PER_MS).wrapping_add(of_rest(rest).map_or(0, |rest| i64::from(*rest))),
        }
    }

    /// How many samples it holds.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// Bytes it takes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, |rest| size_of::<Vec<u32>>() + rest.capacity() * 4);
        size_of_val(&*self.words) + rest
    }

    /// Appends samples from the front for as long as the chunk can take them; returns how many. Where that is fewer
    /// than there are, the chunk is to be finished and another one started. They are in order of time, which may begin
    /// before the chunk's last.
    pub fn append(&mut self, times: &[i64], values: &[f64]) -> usize {
        if self.rest.is_some() {
            return self.append_nanoseconds(times, values);
        }
        let taken = self.takes(times);
        if taken > 0 {
            self.write(&times[..taken], &values[..taken]);
        }
        taken
    }

    #[cold]
    fn append_nanoseconds(&mut self, times: &[i64], values: &[f64]) -> usize {
        let in_order = times.first().map_or(0, |first| if *first >= self.last() { times.len() } else { 0 });
        let room = SAMPLES_PER_CHUNK_MAX - self.count();
        let milliseconds: Vec<i64> =
            times[..in_order.min(room)].iter().map(|time| time.div_euclid(NS_PER_MS)).collect();
        let taken = self.takes(&milliseconds);
        if taken > 0 {
            self.write(&milliseconds[..taken], &values[..taken]);
        }
        if let Some(rest) = &mut self.rest {
            rest.extend(times[..taken].iter().map(|time| rest_of(*time)));
        }
        taken
    }

    /// Encodes samples, at least one, that `tsz` can encode.
    fn write(&mut self, times: &[i64], values: &[f64]) {
        let (mut before, mut leading, mut trailing) =
            (self.value_bits, u32::from(self.leading), u32::from(self.trailing));
        let (lesson, taught) = self.lesson();
        let start = if taught > 0 { lesson[0].get_time() } else { to_tsz(times[0]) };
        let muted = Cell::new(taught > 0);
        let mut encoder = StdEncoder::new(start, Pen::new(self, &muted));
        // One call for the lesson and the samples: so it becomes a part of the loop, and the encoder's state, and the
        // pen's, lie in registers.
        for at in 0..taught + times.len() {
            let point = match lesson[..taught].get(at) {
                Some(point) => *point,
                None => {
                    let at = at - taught;
                    muted.set(false);
                    let xor = values[at].to_bits() ^ before;
                    before = values[at].to_bits();
                    // Which of them opens a window nobody can foresee: without a branch, since the encoder has one already.
                    let (zeros_before, zeros_behind) = (xor.leading_zeros(), xor.trailing_zeros());
                    let opens = (xor != 0) & ((zeros_before < leading) | (zeros_behind < trailing));
                    leading = if opens { zeros_before } else { leading };
                    trailing = if opens { zeros_behind } else { trailing };
                    DataPoint::new(to_tsz(times[at]), values[at])
                }
            };
            encoder.encode(point);
        }
        drop(encoder);
        let (last, before_last) = match times {
            [.., before_last, last] => (*last, *before_last),
            [last] => (*last, self.time),
            [] => return,
        };
        (self.time, self.delta) = (last, to_tsz(last) - to_tsz(before_last));
        (self.value_bits, self.leading, self.trailing) = (before, leading as u8, trailing as u8); // 64 at most
        self.count += times.len() as u16; // there are no more than a chunk has room for
    }

    /// How many samples with these times `tsz` can encode behind those that are there.
    fn takes(&self, times: &[i64]) -> usize {
        debug_assert!(times.is_sorted());
        let times = &times[..times.len().min(SAMPLES_PER_CHUNK_MAX - self.count())];
        let (mut time, mut delta) = (self.time, self.delta as i64);
        // No delta on the way is longer than the whole way, and no delta of deltas longer than the longest delta.
        let is_short = |way: i64| (0..=i64::from(i32::MAX)).contains(&way);
        if let [first, .., last] = times
            && *first >= time
            && last.checked_sub(time).is_some_and(is_short)
            && is_short(delta)
        {
            return times.len();
        }
        for (at, next) in times.iter().enumerate() {
            let fits = next.checked_sub(time).is_some_and(|step| {
                let dod = step.wrapping_sub(delta);
                delta = step;
                step >= 0 && dod > i64::from(i32::MIN) && dod <= i64::from(i32::MAX)
            });
            if !fits {
                return at;
            }
            time = *next;
        }
        times.len()
    }

    /// Samples that put an encoder into the state that the last one was left in, and how many of them there are: a first
    /// one, `delta` before the last, whose value differs from the last in just the bits that open the remembered window;
    /// then the last sample itself, where it was not the first. They are to be written to nowhere.
    fn lesson(&self) -> ([DataPoint; 2], usize) {
        let time = to_tsz(self.time);
        let window = match self.leading {
            64 => 0,
            leading => 1 << (63 - leading) | 1 << self.trailing,
        };
        let first = DataPoint::new(time - self.delta, f64::from_bits(self.value_bits ^ window));
        ([first, DataPoint::new(time, f64::from_bits(self.value_bits))], self.count().min(2))
    }

    /// A finished copy of what has been written so far.
    pub fn to_chunk(&self) -> Chunk {
        let mut bytes = self.to_bytes();
        for rest in self.rest.iter().flat_map(|rest| rest.iter()) {
            bytes.extend_from_slice(&rest.to_le_bytes());
        }
        sealine_base::work::count(bytes.len());
        let (unit, count) = (self.unit, self.count());
        Chunk { unit, count, first: self.first(), last: self.last(), bytes: bytes.into() }
    }

    /// Adds a full word.
    #[inline]
    fn push_word(&mut self, word: u64) {
        let at = usize::from(self.full);
        if at == self.words.len() {
            self.grow();
        }
        self.words[at] = word;
        self.full += 1; // a chunk has less than a thousand, whatever its samples
    }

    /// Makes room for an eighth more words. Were it doubled, more than a quarter of it would be empty, and chunks that fill
    /// together, as those of many agents do, would all be given new pages in the same request.
    #[cold]
    fn grow(&mut self) {
        let mut words = std::mem::take(&mut self.words).into_vec();
        let more = (words.len() / 8).max(WORDS_MORE_MIN);
        words.reserve_exact(more);
        words.resize(words.len() + more, 0);
        self.words = words.into_boxed_slice();
    }

    /// The last byte is filled up with zeros.
    fn to_bytes(&self) -> Vec<u8> {
        let full = &self.words[..usize::from(self.full)];
        let used = 64 - usize::from(self.free);
        let mut bytes = Vec::with_capacity(full.len() * 8 + used.div_ceil(8));
        full.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
        bytes.extend_from_slice(&self.word.to_be_bytes()[..used.div_ceil(8)]);
        bytes
    }
}

/// What a time has beyond its milliseconds.
fn rest_of(ns: i64) -> u32 {
    ns.rem_euclid(NS_PER_MS) as u32
}

/// Times are signed, those of `tsz` are not: this keeps their order and their differences.
fn to_tsz(time: i64) -> u64 {
    (time as u64) ^ (1 << 63)
}

fn from_tsz(time: u64) -> i64 {
    (time ^ (1 << 63)) as i64
}

/// What an encoder writes with: it goes on where the bits end. It has the last word in its own hand, where the
/// compiler can keep it in a register, and gives it back in the end.
struct Pen<'a> {
    chunk: &'a mut OpenChunk,
    word: u64,
    free: u32,
    /// While set, writes go nowhere.
    muted: &'a Cell<bool>,
}

impl<'a> Pen<'a> {
    fn new(chunk: &'a mut OpenChunk, muted: &'a Cell<bool>) -> Self {
        let (word, free) = (chunk.word, chunk.free.into());
        Pen { chunk, word, free, muted }
    }
}

impl Drop for Pen<'_> {
    #[inline]
    fn drop(&mut self) {
        (self.chunk.word, self.chunk.free) = (self.word, self.free as u8); // 64 at most
    }
}

impl Write for Pen<'_> {
    #[inline]
    fn write_bit(&mut self, bit: Bit) {
        self.write_bits(bit.to_u64(), 1);
    }

    #[inline]
    fn write_byte(&mut self, byte: u8) {
        self.write_bits(u64::from(byte), 8);
    }

    /// `num` is 1 to 64 in every call that tsz makes.
    #[inline]
    fn write_bits(&mut self, bits: u64, num: u32) {
        if self.muted.get() {
            return;
        }
        let bits = bits & (u64::MAX >> (64 - num));
        if num < self.free {
            self.free -= num;
            self.word |= bits << self.free;
        } else {
            let over = num - self.free;
            self.chunk.push_word(self.word | bits >> over);
            self.free = 64 - over;
            self.word = if over == 0 { 0 } else { bits << self.free };
        }
    }

    /// Never called by us: the bits stay where they were written.
    fn close(self) -> Box<[u8]> {
        Box::default()
    }
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
