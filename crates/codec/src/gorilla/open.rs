//! Chunks that still grow.
//!
//! The encoder of `tsz` owns what it writes to and can be neither read nor cloned while it is open, which a chunk that is
//! queried while it grows cannot live with. So an [`OpenChunk`] keeps the words and the few numbers an encoder remembers,
//! and makes an encoder for each run of samples: one that is taught the state by two samples written to nowhere, then
//! writes on where the last one stopped.
//!
//! There is no plainer way that costs no more. An encoder that lived in the chunk would need no lesson, but its state
//! cannot be read, so the time and the delta that say what comes next would be kept twice: 96 bytes a chunk and not 64.
//! Nor can what it writes to be reached from outside, so each bit would go through a shared handle instead of a register.

use super::{Chunk, SAMPLES_PER_CHUNK_MAX, from_tsz, to_tsz};
use sealine_model::{NS_PER_MS, TimeUnit};
use std::cell::Cell;
use tsz::stream::Write;
use tsz::{Bit, DataPoint, Encode, StdEncoder};

/// Words that an open chunk makes room for at once, at least.
pub(super) const WORDS_MORE_MIN: usize = 4;

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
