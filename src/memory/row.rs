//! One row: a tag set of a measurement, and the chunks of its fields that are not on disk yet.

use super::lines::Lines;
use crate::codec::gorilla::{self, Chunk, ChunkError, OpenChunk};
use crate::planted::{self, Bug};
use crate::series::{Labels, Samples, partition_of};
use parking_lot::Mutex;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

/// Lines that are collected as they come before they are encoded. Encoding eight at a time costs one walk through a
/// series' state instead of eight.
const TAIL_LINES: usize = 8;

/// The newest lines of a full tail that wait on, once a line of the row has come late: agents that send over several
/// connections overtake themselves by a few lines, and each line that comes behind what is encoded ends a chunk.
const LATE_LINES: usize = 4;

/// Lines that are encoded at once where they come together, as a replay brings them.
const RUN_LINES: usize = 64;

/// Lines of one row, on their way into it ([`Row::extend`]).
pub type Run = Lines<RUN_LINES>;

/// A row and what memory holds of it.
pub struct Row {
    /// Number in its database's index.
    pub id: u32,
    /// Tags as labels, `db` included where that is on; no metric name.
    pub labels: Labels,
    /// `labels.hash128()`: with the metric's name, the identity of a series in every tier.
    pub set: u128,
    /// What the log knows of the row.
    pub log: LogMark,
    /// The time of the last line that was staged, in nanoseconds, beyond the `i64` modulo 2^64. Says which lines differ in
    /// what is not kept of their times. Whoever stages a line of the row writes it; nothing is decided on its order.
    pub last_ns: AtomicI64,
    /// Seals in a row that found no sample here.
    pub silent_seals: AtomicU32,
    hot: Mutex<Hot>,
}

/// Which dictionary of the log has defined a row, and how. Read and written by the log's thread alone; atomic only
/// because rows are shared, so every access is relaxed.
#[derive(Default)]
pub struct LogMark {
    /// The dictionary that the other two are about (`wal::Dictionary::id`).
    pub dictionary: AtomicU64,
    /// The row's number in it.
    pub id: AtomicU32,
    /// How many of the row's fields it has defined.
    pub fields: AtomicU32,
}

/// A finished chunk that waits to be sealed.
#[derive(Debug, Clone)]
pub struct Closed {
    /// The generation whose log holds its samples.
    pub generation: u64,
    /// The field, by its index in the row's schema.
    pub field: u16,
    /// The samples; all in one partition.
    pub chunk: Arc<Chunk>,
}

#[derive(Default)]
struct Hot {
    /// The generation of the tail and the open chunks.
    generation: u64,
    tail: Lines<TAIL_LINES>,
    /// Whether a line has come that was older than the one before it.
    late: bool,
    /// By field. One is missing where nothing has been encoded since the last seal.
    open: Vec<Option<OpenChunk>>,
    /// In the order in which they were closed.
    closed: Vec<Closed>,
}

/// By how much the chunks of a row grew, or shrank.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Bytes on the heap.
    pub bytes: isize,
    /// Chunks, open and closed.
    pub chunks: isize,
}

impl AddAssign for Growth {
    fn add_assign(&mut self, more: Growth) {
        self.bytes += more.bytes;
        self.chunks += more.chunks;
    }
}

impl Row {
    /// A row without samples.
    pub fn new(id: u32, labels: Labels) -> Self {
        let set = labels.hash128();
        Row {
            id,
            labels,
            set,
            log: LogMark::default(),
            last_ns: AtomicI64::new(i64::MIN),
            silent_seals: AtomicU32::new(0),
            hot: Mutex::default(),
        }
    }

    /// Adds a line of `generation`; generations never go back.
    pub fn append(&self, generation: u64, time: i64, values: &[(u16, f64)]) -> Growth {
        let mut hot = self.hot.lock();
        let mut grown = hot.begin(generation);
        let before = hot.tail.heap_bytes() as isize;
        hot.tail.push(time, values);
        grown.bytes += hot.tail.heap_bytes() as isize - before;
        let kept = hot.kept();
        let enough = if hot.open.is_empty() { self.first_lines().max(kept + 1) } else { TAIL_LINES };
        if hot.tail.len() >= enough {
            grown += hot.encode_tail(kept);
        }
        grown
    }

    /// How many lines are encoded first: as many as the row's number says, so that rows which get their lines together
    /// fill their tails one after the other. Otherwise each eighth round of all agents would have all the work to do.
    fn first_lines(&self) -> usize {
        self.id as usize % TAIL_LINES + 1
    }

    /// How many lines a run may hold before it has to go into the row: those of a tail find room in it.
    pub const RUN_MAX: usize = RUN_LINES - TAIL_LINES;

    /// How many of these values take the place of one that came just before them.
    pub fn overwrites(&self, time: i64, values: &[(u16, f64)]) -> u64 {
        let hot = self.hot.lock();
        let is_there = |field: u16| {
            let open = hot.open.get(usize::from(field)).and_then(Option::as_ref);
            hot.tail.has(time, field) || open.is_some_and(|open| open.last() == time)
        };
        values.iter().filter(|(field, _)| is_there(*field)).count() as u64
    }

    /// Adds lines of `generation`, at most [`Self::RUN_MAX`], and takes them out of `lines`.
    pub fn extend(&self, generation: u64, lines: &mut Run) -> Growth {
        let mut hot = self.hot.lock();
        let mut grown = hot.begin(generation);
        lines.prepend(&hot.tail);
        hot.tail.clear();
        if lines.len() >= TAIL_LINES {
            let kept = hot.kept();
            grown += hot.encode(lines, kept);
        }
        let before = hot.tail.heap_bytes() as isize;
        hot.tail.prepend(lines);
        grown.bytes += hot.tail.heap_bytes() as isize - before;
        lines.clear();
        grown
    }

    /// Closes what was written in generations up to and including `generation`, so that [`Self::closed`] has it all.
    pub fn close(&self, generation: u64) -> Growth {
        let mut hot = self.hot.lock();
        if hot.generation <= generation { hot.close() } else { Growth::default() }
    }

    /// Adds the closed chunks of generations up to and including `generation` to `into`.
    pub fn closed(&self, generation: u64, into: &mut Vec<Closed>) {
        into.extend(self.hot.lock().closed.iter().filter(|c| c.generation <= generation).cloned());
    }

    /// Forgets the closed chunks of generations up to and including `generation`: they are on disk.
    /// Returns how many samples went, and the change in size.
    pub fn drop_closed(&self, generation: u64) -> (usize, Growth) {
        let mut hot = self.hot.lock();
        let (mut samples, mut grown) = (0, Growth::default());
        hot.closed.retain(|closed| {
            let goes = closed.generation <= generation;
            if goes {
                samples += closed.chunk.count;
                grown += Growth { bytes: -(closed.heap_bytes() as isize), chunks: -1 };
            }
            !goes
        });
        hot.closed.shrink_to_fit();
        (samples, grown)
    }

    /// Whether the row holds no sample.
    pub fn is_empty(&self) -> bool {
        let hot = self.hot.lock();
        hot.closed.is_empty() && hot.tail.is_empty() && hot.open.iter().all(Option::is_none)
    }

    /// Whether one of these fields, or any where there is no list, may have a sample within `start..=end`: of chunks only
    /// the first and the last time are looked at.
    pub fn may_have(&self, fields: Option<&[u16]>, start: i64, end: i64) -> bool {
        let wanted = |field: u16| fields.is_none_or(|fields| fields.contains(&field));
        self.hot.lock().extents().any(|(field, first, last)| wanted(field) && first <= end && last >= start)
    }

    /// How many chunks there are, the samples of a field that are not encoded yet being one where the field has no open
    /// chunk; and the first and the last time. `None` where there is no sample.
    pub fn extent(&self) -> Option<(u64, i64, i64)> {
        let hot = self.hot.lock();
        let in_tail = |field: u16| hot.tail.has_field(usize::from(field));
        let is_open = |field: u16| hot.open.get(usize::from(field)).is_some_and(Option::is_some);
        let tails = (0..hot.tail.fields() as u16).filter(|field| in_tail(*field) && !is_open(*field)).count();
        let chunks = hot.closed.len() + hot.open.iter().flatten().count() + tails;
        let (first, last) = hot.extents().fold((i64::MAX, i64::MIN), |(a, b), (_, c, d)| (a.min(c), b.max(d)));
        (chunks > 0).then_some((chunks as u64, first, last))
    }

    /// Merges one field's samples within `start..=end` into `into`, over what is there: what was written later counts.
    pub fn read(&self, field: u16, start: i64, end: i64, into: &mut Samples) -> Result<(), ChunkError> {
        let (mut chunks, tail): (Vec<Arc<Chunk>>, Samples);
        {
            let hot = self.hot.lock();
            let overlaps = |first: i64, last: i64| first <= end && last >= start;
            let closed = hot.closed.iter().filter(|c| c.field == field && overlaps(c.chunk.first, c.chunk.last));
            chunks = closed.map(|c| c.chunk.clone()).collect();
            if let Some(Some(open)) = hot.open.get(usize::from(field))
                && overlaps(open.first(), open.last())
            {
                chunks.push(Arc::new(open.to_chunk()));
            }
            tail = hot.tail.sorted(field, start, end);
        }
        for chunk in chunks {
            gorilla::merge_decoded(&chunk.bytes, chunk.count, chunk.first, (start, end), into)?;
        }
        into.merge_newer(&tail);
        Ok(())
    }
}

impl Closed {
    fn heap_bytes(&self) -> usize {
        size_of::<Closed>() + size_of::<Chunk>() + self.chunk.bytes.len()
    }
}

impl Hot {
    /// Field, first and last time of each chunk, and of each sample that is not encoded yet.
    fn extents(&self) -> impl Iterator<Item = (u16, i64, i64)> {
        let numbered = |(field, open): (usize, &Option<OpenChunk>)| {
            open.as_ref().map(|open| (field as u16, open.first(), open.last()))
        };
        let open = self.open.iter().enumerate().filter_map(numbered);
        let closed = self.closed.iter().map(|closed| (closed.field, closed.chunk.first, closed.chunk.last));
        let tail = self.tail.samples().map(|(field, time)| (field as u16, time, time));
        tail.chain(open).chain(closed)
    }

    /// Makes sure that what is open is of this generation.
    fn begin(&mut self, generation: u64) -> Growth {
        if self.generation == generation {
            return Growth::default();
        }
        let grown = self.close();
        self.generation = generation;
        grown
    }

    /// How many of the newest lines wait on when others are encoded.
    fn kept(&self) -> usize {
        if self.late { LATE_LINES } else { 0 }
    }

    /// Moves tail and open chunks over to the closed ones, and gives their memory back.
    fn close(&mut self) -> Growth {
        let mut grown = Growth::default();
        if self.tail.len() == TAIL_LINES || !planted::is(Bug::DropTail) {
            grown += self.encode_tail(0);
        }
        grown.bytes -= self.tail.heap_bytes() as isize;
        self.tail = Lines::default();
        grown.bytes -= (self.open.len() * size_of::<Option<OpenChunk>>()) as isize;
        for (field, open) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if let Some(open) = open {
                grown.bytes += close_chunk(&mut self.closed, self.generation, field as u16, open);
            }
        }
        grown
    }

    fn encode_tail(&mut self, kept: usize) -> Growth {
        let mut tail = std::mem::take(&mut self.tail);
        let grown = self.encode(&mut tail, kept);
        self.tail = tail;
        grown
    }

    /// Encodes lines into the open chunks, field by field, but for the newest, of which so many are kept.
    fn encode<const ROOM: usize>(&mut self, lines: &mut Lines<ROOM>, kept: usize) -> Growth {
        let mut grown = Growth::default();
        let fields = lines.fields();
        if self.open.len() < fields {
            grown.bytes += ((fields - self.open.len()) * size_of::<Option<OpenChunk>>()) as isize;
            self.open.reserve_exact(fields - self.open.len());
            self.open.resize_with(fields, || None);
        }
        let order = lines.order();
        self.late |= !order.as_they_came;
        let (done, waiting) = order.numbers().split_at(lines.len() - kept);
        let (mut times, mut values) = ([0i64; ROOM], [0f64; ROOM]);
        for field in 0..fields {
            let mut present = 0;
            for (time, value) in done.iter().filter_map(|line| lines.sample(*line, field)) {
                (times[present], values[present]) = (time, value);
                present += 1;
            }
            grown += self.encode_field(field, &times[..present], &values[..present]);
        }
        lines.keep(waiting);
        grown
    }

    /// Encodes samples of a field, in order of time.
    fn encode_field(&mut self, field: usize, mut times: &[i64], mut values: &[f64]) -> Growth {
        let mut grown = Growth::default();
        while !times.is_empty() {
            let open = &mut self.open[field];
            let before = open.as_ref().map_or(0, OpenChunk::heap_bytes) as isize;
            let taken = match open {
                Some(chunk) => chunk.append(&times[..within_partition(chunk.first(), times)], values),
                None => {
                    grown.chunks += 1;
                    *open = Some(OpenChunk::start(times[0], values[0]));
                    1
                }
            };
            grown.bytes += open.as_ref().map_or(0, OpenChunk::heap_bytes) as isize - before;
            (times, values) = (&times[taken..], &values[taken..]);
            if taken == 0
                && let Some(full) = open.take()
            {
                self.late |= times[0] < full.last();
                grown.bytes += close_chunk(&mut self.closed, self.generation, field as u16, full);
            }
        }
        grown
    }
}

/// How many of `times`, which are in order, lie in the partition of `first`.
fn within_partition(first: i64, times: &[i64]) -> usize {
    let partition = partition_of(first);
    match times {
        [.., last] if partition_of(*last) == partition => times.len(),
        _ => times.iter().take_while(|time| partition_of(**time) == partition).count(),
    }
}

fn close_chunk(closed: &mut Vec<Closed>, generation: u64, field: u16, open: OpenChunk) -> isize {
    let done = Closed { generation, field, chunk: Arc::new(open.to_chunk()) };
    let grown = done.heap_bytes() as isize - open.heap_bytes() as isize;
    closed.push(done);
    grown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::PARTITION_MS;

    fn row() -> Row {
        Row::new(TAIL_LINES as u32 - 1, Labels::empty()) // whose first tail is a full one
    }

    fn read(row: &Row, field: u16) -> Vec<(i64, f64)> {
        let mut samples = Samples::default();
        row.read(field, i64::MIN, i64::MAX, &mut samples).unwrap();
        samples.times.into_iter().zip(samples.values).collect()
    }

    #[test]
    fn every_line_can_be_read_as_soon_as_it_is_there() {
        let row = row();
        for at in 0..100i64 {
            row.append(1, at * 10, &[(0, at as f64), (1, -at as f64)]);
            let want: Vec<_> = (0..=at).map(|t| (t * 10, t as f64)).collect();
            assert_eq!(read(&row, 0), want);
        }
        assert_eq!(read(&row, 1).len(), 100);
        assert_eq!(read(&row, 2), []);
    }

    #[test]
    fn fields_that_come_late_or_not_always_keep_their_own_times() {
        let row = row();
        for at in 0..40i64 {
            match at % 3 {
                0 => row.append(1, at, &[(0, at as f64)]),
                _ => row.append(1, at, &[(0, at as f64), (3, at as f64)]),
            };
        }
        let want: Vec<_> = (0..40i64).filter(|t| t % 3 != 0).map(|t| (t, t as f64)).collect();
        assert_eq!(read(&row, 3), want);
        assert_eq!(read(&row, 1), []);
    }

    #[test]
    fn lines_that_overtake_each_other_do_not_end_chunks() {
        let row = row();
        let mut held = Growth::default();
        for at in 0..400i64 {
            let time = (at ^ 1) * 10; // pairs come the wrong way round, now and then in two tails
            held += row.append(1, time - 5, &[(0, time as f64), (1, 1.0)]);
            let seen = read(&row, 0);
            assert_eq!(seen.len() as i64, at + 1, "every line is there once");
            assert!(seen.is_sorted_by(|a, b| a.0 < b.0), "in order: {seen:?}");
        }
        // One where it is found out that they come late, and then no more.
        assert!(held.chunks <= 4, "{held:?}");
        row.append(1, 3975, &[(0, -1.0)]);
        assert!(read(&row, 0).contains(&(3975, -1.0)), "of one time, the later counts, encoded or not");
        row.close(1);
        assert!(read(&row, 0).contains(&(3975, -1.0)));
        assert_eq!(read(&row, 0).len(), 400);
    }

    #[test]
    fn rows_that_get_their_lines_together_encode_them_in_turn() {
        for id in 0..TAIL_LINES {
            let row = Row::new(id as u32, Labels::empty());
            for generation in 1..=2 {
                for at in 0..=id as i64 {
                    row.append(generation, generation as i64 * 1000 + at, &[(0, 1.0)]);
                    let waits = row.hot.lock().tail.len();
                    assert_eq!(waits, if at == id as i64 { 0 } else { at as usize + 1 }, "row {id}");
                }
            }
            // Of a row whose lines come late, some wait on: with few lines, all of them.
            row.append(2, 0, &[(0, 2.0)]);
            for at in 0..7 {
                row.append(2, 3000 - at, &[(0, 2.0)]);
            }
            row.append(3, 4000, &[(0, 3.0)]);
            assert_eq!(read(&row, 0).len(), 2 * (id + 1) + 9, "row {id}");
        }
    }

    #[test]
    fn runs_of_lines_give_the_samples_that_single_lines_give() {
        let mut random = 7u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        let (single, runs) = (row(), row());
        let (mut run, mut held, mut generation) = (Run::default(), Growth::default(), 1);
        for at in 0..5_000u64 {
            let time = (at - below(8).min(at)) as i64 * 1000;
            let values: Vec<(u16, f64)> =
                (0..4).filter(|field| below(5) > *field).map(|field| (field as u16, at as f64)).collect();
            single.append(generation, time, &values);
            run.push(time, &values);
            if run.len() == Row::RUN_MAX || below(20) == 0 {
                held += runs.extend(generation, &mut run);
                assert!(run.is_empty());
                assert!((0..5).all(|field| read(&runs, field) == read(&single, field)), "line {at}");
                generation += u64::from(below(30) == 0);
            }
        }
        held += runs.extend(generation, &mut run);
        assert_eq!(read(&runs, 0), read(&single, 0));
        held += runs.close(generation);
        held += runs.drop_closed(generation).1;
        assert_eq!(held, Growth::default());
    }

    #[test]
    fn a_seal_takes_the_old_generation_and_leaves_the_new_one() {
        let row = row();
        for at in 0..20 {
            row.append(1, at, &[(0, 1.0)]);
        }
        row.append(2, 20, &[(0, 2.0)]);
        row.close(1);
        let mut closed = Vec::new();
        row.closed(1, &mut closed);
        assert_eq!(closed.iter().map(|c| c.chunk.count).sum::<usize>(), 20);
        assert_eq!(read(&row, 0).len(), 21);
        assert_eq!(row.drop_closed(1).0, 20);
        assert_eq!(read(&row, 0), [(20, 2.0)]);
        assert!(!row.is_empty());
        row.close(2);
        row.drop_closed(2);
        assert!(row.is_empty());
    }

    #[test]
    fn a_row_may_have_samples_where_its_chunks_and_its_tail_are() {
        let row = row();
        assert_eq!((row.extent(), row.may_have(None, i64::MIN, i64::MAX)), (None, false));
        row.append(1, 1000, &[(0, 1.0), (2, 1.0)]); // waits in the tail
        assert_eq!(row.extent(), Some((2, 1000, 1000)));
        let may = |fields: &[u16], start, end| row.may_have(Some(fields), start, end);
        assert!(may(&[0], 1000, 1000) && may(&[1, 2], 0, 5000) && row.may_have(None, 0, 1000));
        assert!(!may(&[1], 0, 5000) && !may(&[], 0, 5000) && !may(&[0], 0, 999) && !may(&[0], 1001, 5000));
        for at in 0..40 {
            row.append(1, 2000 + at, &[(0, 1.0)]); // open chunks
        }
        assert_eq!(row.extent(), Some((2, 1000, 2039)));
        assert!(may(&[0], 2039, 2039) && may(&[2], 1000, 1000) && !may(&[2], 1001, 5000) && !may(&[0], 2040, 5000));
        row.append(2, 9000, &[(1, 1.0)]); // closes them
        assert_eq!(row.extent(), Some((3, 1000, 9000)));
        assert!(may(&[1], 9000, 9000) && may(&[0], 1500, 1600) && !may(&[1], 0, 8999));
        row.close(2);
        row.drop_closed(2);
        assert_eq!((row.extent(), row.may_have(None, i64::MIN, i64::MAX)), (None, false));
    }

    #[test]
    fn chunks_do_not_cross_midnight() {
        let row = row();
        let midnight = 19_000 * PARTITION_MS;
        for at in -50..50 {
            row.append(1, midnight + at * 10, &[(0, at as f64)]);
        }
        row.close(1);
        let mut closed = Vec::new();
        row.closed(1, &mut closed);
        assert_eq!(closed.len(), 2);
        for c in closed {
            assert_eq!(partition_of(c.chunk.first), partition_of(c.chunk.last));
        }
        assert_eq!(read(&row, 0).len(), 100);
    }

    #[test]
    fn bytes_are_accounted_for_to_the_last() {
        let row = row();
        let mut held = Growth::default();
        for at in 0..1000i64 {
            held += row.append(1, at * 7919 % 1000, &[(0, at as f64 * 0.1), ((at % 5) as u16, 1.0)]);
        }
        assert!(held.bytes > 0 && held.chunks >= 5);
        held += row.close(1);
        held += row.drop_closed(1).1;
        assert_eq!(held, Growth::default());
    }
}
