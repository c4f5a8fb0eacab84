//! What memory holds of one row: its newest lines, and the chunks of its fields.

use super::late::Late;
use super::lines::Lines;
use super::row::{Closed, Growth, within_partition};
use sealine_base::planted::{self, Bug};
use sealine_codec::gorilla::{Chunk, OpenChunk};
use sealine_model::TimeUnit;
use std::sync::Arc;

/// Lines that are collected as they come before they are encoded. Encoding eight at a time costs one walk through a
/// series' state instead of eight.
pub(super) const TAIL_LINES: usize = 8;

/// The newest lines of a full tail that wait on, once a line of the row has come late: agents that send over several
/// connections overtake themselves by a few lines, and what comes behind what is encoded takes more room.
const LATE_LINES: usize = 4;

/// A row's samples. Those of a field count in this order: by generation; in one, chunks as they were begun, the open one
/// last, then what came late, in chunks or not, then the tail. What comes late is older than the newest sample of the open
/// chunk, and that only gets newer. So of its time there may be samples in chunks that were written before it, and none
/// that is written after it.
#[derive(Default)]
pub(super) struct Hot {
    /// The generation of all but the closed chunks.
    generation: u64,
    pub tail: Lines<TAIL_LINES>,
    /// Made when a line comes that is older than the one before it.
    late: Option<Box<Late>>,
    /// By field. One is missing where nothing has been encoded since the last seal.
    open: Vec<Option<OpenChunk>>,
    closed: Vec<Closed>,
    /// Whether the closed chunks are not by field, and of a field in the order in which they count.
    unsorted: bool,
}

/// Times of samples, as they came and counted in the coarsest unit that keeps them.
#[derive(Clone, Copy)]
struct Times<'a> {
    unit: TimeUnit,
    ns: &'a [i64],
    counts: &'a [i64],
}

impl<'a> Times<'a> {
    fn from(self, at: usize) -> Times<'a> {
        Times { ns: &self.ns[at..], counts: &self.counts[at..], ..self }
    }

    /// Appends samples to a chunk for as long as that can take them; returns how many.
    #[inline]
    fn append_to(self, chunk: &mut OpenChunk, values: &[f64]) -> usize {
        let of_partition = within_partition(chunk.last(), self.ns); // where its first sample is as well
        if chunk.unit() == self.unit {
            return chunk.append(&self.counts[..of_partition], values);
        }
        self.append_in_unit_of(chunk, of_partition, values)
    }

    #[cold]
    fn append_in_unit_of(self, chunk: &mut OpenChunk, count: usize, values: &[f64]) -> usize {
        let unit = chunk.unit();
        let fitting = self.ns[..count].iter().take_while(|time| unit.finer(TimeUnit::of(**time)) == unit);
        let counts: Vec<i64> = fitting.map(|time| unit.floor(*time)).collect();
        chunk.append(&counts, values)
    }
}

impl Hot {
    /// Makes sure that what is open is of this generation.
    #[inline]
    pub fn begin(&mut self, generation: u64) -> Growth {
        if self.generation == generation {
            return Growth::default();
        }
        let grown = self.close();
        self.generation = generation;
        grown
    }

    /// How many of the newest lines wait on when others are encoded.
    #[inline]
    pub fn kept(&self) -> usize {
        if self.late.is_some() { LATE_LINES } else { 0 }
    }

    /// Whether nothing was encoded since it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.open.is_empty()
    }

    /// Closes all, if it is of `generation` or an earlier one.
    pub fn close_up_to(&mut self, generation: u64) -> Growth {
        if self.generation <= generation { self.close() } else { Growth::default() }
    }

    /// Moves tail, open chunks and what came late over to the closed ones, and gives their memory back.
    fn close(&mut self) -> Growth {
        let mut grown = Growth::default();
        if self.tail.len() == TAIL_LINES || !planted::is(Bug::DropTail) {
            grown += self.encode_tail(0);
        }
        grown.bytes -= self.tail.heap_bytes() as isize;
        self.tail = Lines::default();
        grown.bytes -= (self.open.capacity() * size_of::<Option<OpenChunk>>()) as isize;
        for (field, open) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if let Some(open) = open {
                grown += self.close_chunk(field as u16, open);
            }
        }
        while let Some(field) = self.late.as_ref().and_then(|late| late.first()) {
            grown += self.close_late(field);
        }
        grown
    }

    /// The closed chunks, by field; of a field, in the order in which they count.
    pub fn closed(&mut self) -> &[Closed] {
        self.sort_closed();
        &self.closed
    }

    fn sort_closed(&mut self) {
        if self.unsorted {
            sealine_base::work::count(self.closed.len() * self.closed.len().ilog2() as usize);
            self.closed.sort_by_key(Closed::order);
            self.unsorted = false;
        }
    }

    /// Forgets the closed chunks of generations up to and including `generation`: they are on disk.
    /// Returns how many samples went, and the change in size.
    pub fn drop_closed(&mut self, generation: u64) -> (usize, Growth) {
        let (mut samples, mut grown) = (0, Growth::default());
        self.closed.retain(|closed| {
            let goes = closed.generation <= generation;
            if goes {
                samples += closed.chunk.count;
                grown += Growth { bytes: -(closed.heap_bytes() as isize), chunks: -1 };
            }
            !goes
        });
        self.closed.shrink_to_fit();
        (samples, grown)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        let late = self.late.as_ref().and_then(|late| late.first());
        self.closed.is_empty() && self.tail.is_empty() && late.is_none() && self.open.iter().all(Option::is_none)
    }

    /// Whether one of these fields, or any where there is no list, may have a sample within `start..=end`.
    pub fn may_have(&mut self, fields: Option<&[u16]>, start: i64, end: i64) -> bool {
        let overlaps = |(first, last): (i64, i64)| first <= end && last >= start;
        match fields {
            None => self.extents().any(overlaps),
            Some(fields) => {
                self.sort_closed();
                fields.iter().any(|field| self.extents_of(*field).any(overlaps))
            }
        }
    }

    /// How many chunks there are, and the first and the last time. `None` where there is no sample.
    pub fn extent(&self) -> Option<(u64, i64, i64)> {
        let is_open = |field: usize| self.open.get(field).is_some_and(Option::is_some);
        let tails = (0..self.tail.fields()).filter(|field| self.tail.has_field(*field) && !is_open(*field)).count();
        let late = self.late.as_ref().map_or(0, |late| late.fields());
        let chunks = self.closed.len() + self.open.iter().flatten().count() + late + tails;
        let (first, last) = self.extents().fold((i64::MAX, i64::MIN), |(a, b), (c, d)| (a.min(c), b.max(d)));
        (chunks > 0).then_some((chunks as u64, first, last))
    }

    /// The first and the last time of each chunk, and of what is in none.
    fn extents(&self) -> impl Iterator<Item = (i64, i64)> {
        let open = self.open.iter().flatten().map(|open| (open.first(), open.last()));
        let closed = self.closed.iter().map(|closed| (closed.chunk.first, closed.chunk.last));
        let late = self.late.iter().flat_map(|late| late.times());
        self.tail.times().chain(late).map(|time| (time, time)).chain(open).chain(closed)
    }

    /// Those of a field; the closed chunks are sorted.
    fn extents_of(&self, field: u16) -> impl Iterator<Item = (i64, i64)> {
        let open = self.open.get(usize::from(field)).into_iter().flatten().map(|open| (open.first(), open.last()));
        let closed = self.closed_of(field).iter().map(|closed| (closed.chunk.first, closed.chunk.last));
        let late = self.late.as_ref().map_or(&[][..], |late| late.samples(field));
        let single = self.tail.samples(field).chain(late.iter().copied()).map(|(time, _)| (time, time));
        open.chain(single).chain(closed)
    }

    /// The closed chunks of a field, where they are sorted.
    fn closed_of(&self, field: u16) -> &[Closed] {
        let closed = &self.closed[self.closed.partition_point(|closed| closed.field < field)..];
        &closed[..closed.partition_point(|closed| closed.field == field)]
    }

    /// The chunks of a field that overlap `start..=end`, and the samples within it that are in none, as they came.
    pub fn copy(&mut self, field: u16, start: i64, end: i64) -> (Vec<Arc<Chunk>>, Vec<(i64, f64)>) {
        let overlaps = |first: i64, last: i64| first <= end && last >= start;
        self.sort_closed();
        let (generation, closed) = (self.generation, self.closed_of(field));
        let (before, late) = closed.split_at(closed.partition_point(|c| (c.generation, c.late) < (generation, true)));
        let copies = |closed: &[Closed], into: &mut Vec<Arc<Chunk>>| {
            let closed = closed.iter().map(|closed| &closed.chunk);
            into.extend(closed.filter(|chunk| overlaps(chunk.first, chunk.last)).cloned());
        };
        let mut chunks = Vec::new();
        copies(before, &mut chunks);
        if let Some(Some(open)) = self.open.get(usize::from(field))
            && overlaps(open.first(), open.last())
        {
            chunks.push(Arc::new(open.to_chunk()));
        }
        copies(late, &mut chunks);
        let late = self.late.as_ref().map_or(&[][..], |late| late.samples(field));
        let newest = late.iter().copied().chain(self.tail.samples(field)).filter(|(time, _)| overlaps(*time, *time));
        (chunks, newest.collect())
    }

    /// Encodes the tail, but for the `kept` newest lines. Where none is left its memory goes: the next row to begin a tail
    /// has it, while it is still in the cache.
    pub fn encode_tail(&mut self, kept: usize) -> Growth {
        let mut tail = std::mem::take(&mut self.tail);
        let mut grown = self.encode(&mut tail, kept);
        if tail.is_empty() {
            grown.bytes -= tail.heap_bytes() as isize;
        } else {
            self.tail = tail;
        }
        grown
    }

    /// Encodes lines into the open chunks, field by field, except for this many of the newest.
    pub fn encode<const ROOM: usize>(&mut self, lines: &mut Lines<ROOM>, kept: usize) -> Growth {
        let fields = lines.fields();
        let mut grown = self.make_room(fields);
        sealine_base::work::count(fields * lines.len());
        let order = lines.order();
        if !order.as_they_came {
            self.late.get_or_insert_default();
        }
        let (done, waiting) = order.numbers().split_at(lines.len().saturating_sub(kept));
        // All fields of a line have one time: it is looked at once.
        let mut of_lines = [0i64; ROOM];
        let unit = TimeUnit::of_all(done.iter().map(|line| lines.time(usize::from(*line))));
        for line in done {
            of_lines[usize::from(*line)] = unit.floor(lines.time(usize::from(*line)));
        }
        let (mut times, mut counts, mut values) = ([0i64; ROOM], [0i64; ROOM], [0f64; ROOM]);
        for field in 0..fields {
            let mut present = 0;
            for (line, (time, value)) in done.iter().filter_map(|line| Some((line, lines.sample(*line, field)?))) {
                (times[present], counts[present], values[present]) = (time, of_lines[usize::from(*line)], value);
                present += 1;
            }
            let times = Times { unit, ns: &times[..present], counts: &counts[..present] };
            grown += self.encode_field(field, times, &values[..present]);
        }
        lines.keep(waiting);
        grown
    }

    /// Encodes one line, of fields below `fields`.
    pub fn encode_line(&mut self, time: i64, fields: usize, values: &[(u16, f64)]) -> Growth {
        let mut grown = self.make_room(fields);
        let unit = TimeUnit::of(time);
        for (field, value) in values {
            let times = Times { unit, ns: &[time], counts: &[unit.floor(time)] };
            grown += self.encode_field(usize::from(*field), times, &[*value]);
        }
        grown
    }

    /// Makes room for the open chunks of this many fields. Where fields come one by one, it is made for an eighth more.
    fn make_room(&mut self, fields: usize) -> Growth {
        let (had, room) = (self.open.len(), self.open.capacity());
        if fields <= had {
            return Growth::default();
        }
        if fields > room {
            sealine_base::work::count(fields);
            self.open.reserve_exact(fields.max(had + had / 8) - had);
        }
        self.open.resize_with(fields, || None);
        let more = (self.open.capacity() - room) * size_of::<Option<OpenChunk>>();
        Growth { bytes: more as isize, chunks: 0 }
    }

    /// Encodes samples of a field, in order of time.
    fn encode_field(&mut self, field: usize, mut times: Times<'_>, mut values: &[f64]) -> Growth {
        let mut grown = Growth::default();
        if let (Some(open), Some(first)) = (&self.open[field], times.ns.first())
            && *first < open.last()
        {
            let last = open.last();
            let late = times.ns.partition_point(|time| *time < last);
            grown += self.keep_late(field as u16, &times.ns[..late], &values[..late]);
            (times, values) = (times.from(late), &values[late..]);
        }
        while !times.ns.is_empty() {
            let open = &mut self.open[field];
            let before = open.as_ref().map_or(0, OpenChunk::heap_bytes) as isize;
            let taken = match open {
                Some(chunk) => times.append_to(chunk, values),
                None => {
                    grown.chunks += 1;
                    *open = Some(OpenChunk::start(times.unit, times.counts[0], values[0]));
                    1
                }
            };
            grown.bytes += open.as_ref().map_or(0, OpenChunk::heap_bytes) as isize - before;
            (times, values) = (times.from(taken), &values[taken..]);
            if taken == 0
                && let Some(full) = open.take()
            {
                grown += self.close_chunk(field as u16, full);
            }
        }
        grown
    }

    fn close_chunk(&mut self, field: u16, open: OpenChunk) -> Growth {
        let mut grown = self.push_closed(field, false, open.to_chunk());
        grown.bytes -= open.heap_bytes() as isize;
        grown.chunks -= 1;
        grown
    }

    fn push_closed(&mut self, field: u16, late: bool, chunk: Chunk) -> Growth {
        let closed = Closed { generation: self.generation, field, late, chunk: Arc::new(chunk) };
        let grown = Growth { bytes: closed.heap_bytes() as isize, chunks: 1 };
        self.unsorted |= self.closed.last().is_some_and(|last| last.order() > closed.order());
        self.closed.push(closed);
        grown
    }

    /// Keeps samples that are older than the open chunk's newest.
    fn keep_late(&mut self, field: u16, times: &[i64], values: &[f64]) -> Growth {
        let (mut grown, is_full) = self.late.get_or_insert_default().add(field, times, values);
        if is_full {
            grown += self.close_late(field);
        }
        grown
    }

    /// Closes what came late of a field.
    fn close_late(&mut self, field: u16) -> Growth {
        let Some(late) = &mut self.late else { return Growth::default() };
        let (chunks, mut grown) = late.take(field);
        for chunk in chunks {
            grown += self.push_closed(field, true, chunk);
        }
        grown
    }
}
