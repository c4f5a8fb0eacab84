//! One row: a tag set of a measurement, and the chunks of its fields that are not on disk yet.

use super::hot::{Hot, TAIL_LINES};
use super::lines::{Lines, fields_of};
use parking_lot::Mutex;
use sealine_codec::Overlay;
use sealine_codec::gorilla::{self, Chunk, ChunkError, chunks};
use sealine_model::{Labels, Samples, TimeUnit, partition_of};
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Lines that are encoded at once where they come together, as a replay brings them.
const RUN_LINES: usize = 64;

/// Chunks of fewer samples are worth joining with their neighbours, as those of samples that came late are.
const SHORT_SAMPLES: usize = 128;

/// Lines of one row, on their way into it ([`Row::extend`]).
pub type Run = Lines<RUN_LINES>;

/// A row and what memory holds of it.
pub struct Row {
    /// Number in its database's index.
    pub id: u32,
    /// Its tags, as clients call them.
    pub tags: Labels,
    /// `tags.hash128()`.
    pub tags_hash: u128,
    /// What the log knows of the row.
    pub log: LogMark,
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
    /// Whether its samples came late. Then they may lie in several partitions; otherwise they are in one.
    pub late: bool,
    /// The samples.
    pub chunk: Arc<Chunk>,
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
    pub fn new(id: u32, tags: Labels) -> Self {
        let tags_hash = tags.hash128();
        Row { id, tags, tags_hash, log: LogMark::default(), silent_seals: AtomicU32::new(0), hot: Mutex::default() }
    }

    /// Adds a line of `generation`, its time in nanoseconds; generations never go back.
    pub fn append(&self, generation: u64, time: i64, values: &[(u16, f64)]) -> Growth {
        let mut hot = self.hot.lock();
        let mut grown = hot.begin(generation);
        let fields = fields_of(values);
        if !hot.tail.fits(1, fields, values.len()) {
            grown += hot.encode_tail(0);
            hot.tail.clear();
            if !hot.tail.fits(1, fields, values.len()) {
                grown += hot.encode_line(time, fields, values);
                return grown;
            }
        }
        let before = hot.tail.heap_bytes() as isize;
        hot.tail.push(time, fields, values);
        grown.bytes += hot.tail.heap_bytes() as isize - before;
        let kept = hot.kept();
        let enough = if hot.is_closed() { self.first_lines().max(kept + 1) } else { TAIL_LINES };
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

    /// Adds lines of `generation`, at most [`Self::RUN_MAX`], and takes them out of `lines`.
    pub fn extend(&self, generation: u64, lines: &mut Run) -> Growth {
        let mut hot = self.hot.lock();
        let mut grown = hot.begin(generation);
        if !lines.fits(hot.tail.len(), hot.tail.fields(), hot.tail.values()) {
            grown += hot.encode_tail(0);
        }
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
        self.hot.lock().close_up_to(generation)
    }

    /// Adds what was closed in generations up to and including `generation` to `into`: chunks of one partition each; of a
    /// field, in the order in which they count. Returns the bytes of chunks that were made for it: where samples came
    /// late, those of a field that they lie among are sorted, so that whoever reads them from a file finds them in order.
    pub fn closed(&self, generation: u64, into: &mut Vec<Closed>) -> usize {
        let closed: Vec<Closed> = {
            let mut hot = self.hot.lock();
            hot.closed().iter().filter(|c| c.generation <= generation).cloned().collect()
        };
        let mut made = 0;
        for of_field in closed.chunk_by(|a, b| a.field == b.field) {
            if of_field.iter().any(|closed| closed.late) {
                made += sort(of_field, into);
            } else {
                into.extend_from_slice(of_field);
            }
        }
        made
    }

    /// Forgets the closed chunks of generations up to and including `generation`: they are on disk.
    /// Returns how many samples went, and the change in size.
    pub fn drop_closed(&self, generation: u64) -> (usize, Growth) {
        self.hot.lock().drop_closed(generation)
    }

    /// Whether the row holds no sample.
    pub fn is_empty(&self) -> bool {
        self.hot.lock().is_empty()
    }

    /// Whether one of these fields, or any where there is no list, may have a sample within `start..=end`: of chunks only
    /// the first and the last time are looked at.
    pub fn may_have(&self, fields: Option<&[u16]>, start: i64, end: i64) -> bool {
        self.hot.lock().may_have(fields, start, end)
    }

    /// How many chunks there are, samples of a field that are in none being one where the field has no open chunk; and the
    /// first and the last time. `None` where there is no sample.
    pub fn extent(&self) -> Option<(u64, i64, i64)> {
        self.hot.lock().extent()
    }

    /// Adds one field's samples within `start..=end` to a series.
    pub fn read(&self, field: u16, start: i64, end: i64, into: &mut Overlay<'_>) -> Result<(), ChunkError> {
        sealine_base::work::count(1);
        // Copied under the lock, decoded outside of it.
        let (chunks, newest) = self.hot.lock().copy(field, start, end);
        for chunk in chunks {
            gorilla::merge_decoded(&chunk.bytes, chunk.extent(), (start, end), into)?;
        }
        newest.into_iter().for_each(|(time, value)| into.sample(time, value));
        Ok(())
    }
}

impl Closed {
    /// Puts chunks in order by field, and those of a field as they count.
    pub(super) fn order(&self) -> (u16, u64, bool) {
        (self.field, self.generation, self.late)
    }

    /// Bytes that it takes.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Closed>() + size_of::<Chunk>() + self.chunk.bytes.len()
    }
}

/// Adds one field's chunks to `into`, in order and of one partition each; those that have samples which came late, or lie
/// among such, as new ones. Returns the bytes of these.
fn sort(closed: &[Closed], into: &mut Vec<Closed>) -> usize {
    let mut by_time: Vec<usize> = (0..closed.len()).collect();
    by_time.sort_by_key(|at| closed[*at].chunk.first);
    let (mut made, mut last) = (0, i64::MIN);
    let is_short = |closed: &Closed| closed.late || closed.chunk.count < SHORT_SAMPLES;
    let belong_together = |before: &usize, next: &usize| {
        let (before, next) = (&closed[*before], &closed[*next]);
        last = last.max(before.chunk.last);
        next.chunk.first <= last || (is_short(before) && is_short(next))
    };
    for among in by_time.chunk_by(belong_together) {
        match among {
            [at] if !closed[*at].late => into.push(closed[*at].clone()),
            _ => {
                let mut among = among.to_vec();
                among.sort_unstable(); // in which they count
                let sorted = join(&among.iter().map(|at| &closed[*at]).collect::<Vec<_>>());
                made += sorted.iter().map(Closed::heap_bytes).sum::<usize>();
                into.extend(sorted);
            }
        }
    }
    made
}

/// The samples of some chunks of a field, each time once, in new chunks of one partition each.
fn join(closed: &[&Closed]) -> Vec<Closed> {
    let (mut samples, mut sorted) = (Samples::default(), Vec::new());
    let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
    for Closed { chunk, .. } in closed {
        gorilla::merge_decoded(&chunk.bytes, chunk.extent(), (i64::MIN, i64::MAX), &mut overlay)
            .expect("BUG: a chunk in memory cannot be decoded");
    }
    overlay.finish().expect("BUG: something is finer than nanoseconds");
    let (mut times, mut values) = (&samples.times[..], &samples.values[..]);
    while let (Some(time), Some(newest)) = (times.first(), closed.last()) {
        let of_partition = within_partition(*time, times);
        let new = chunks(&times[..of_partition], &values[..of_partition]);
        sorted.extend(new.into_iter().map(|chunk| Closed { late: false, chunk: Arc::new(chunk), ..(*newest).clone() }));
        (times, values) = (&times[of_partition..], &values[of_partition..]);
    }
    sorted
}

/// How many of `times`, which are in order, lie in the partition of `first`.
pub(super) fn within_partition(first: i64, times: &[i64]) -> usize {
    let partition = partition_of(first);
    match times {
        [.., last] if partition_of(*last) == partition => times.len(),
        _ => times.iter().take_while(|time| partition_of(**time) == partition).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use sealine_model::PARTITION_NS;
    use std::collections::BTreeMap;

    fn row() -> Row {
        Row::new(TAIL_LINES as u32 - 1, Labels::empty()) // whose first tail is a full one
    }

    fn read(row: &Row, field: u16) -> Vec<(i64, f64)> {
        let mut samples = Samples::default();
        let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
        row.read(field, i64::MIN, i64::MAX, &mut overlay).unwrap();
        overlay.finish().expect("BUG: something is finer than nanoseconds");
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
                    let room = row.hot.lock().tail.heap_bytes() / (2 * 8); // a time and a value
                    assert!(room <= (2 * waits).max(4) && (room > 0) == (waits > 0), "{room} for {waits} lines");
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
            run.push(time, fields_of(&values), &values);
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
    fn samples_in_any_order_and_of_any_width_are_those_of_a_map() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..20 {
            let (row, mut run, mut held) = (row(), Run::default(), Growth::default());
            let fields = [2, 40, 600][rng.random_range(0..3)];
            let (span, wide) = (rng.random_range(50..5_000), rng.random_range(0..100));
            let (mut map, mut written) = (BTreeMap::<u16, BTreeMap<i64, f64>>::new(), 0);
            let flush = |run: &mut Run, held: &mut Growth, generation| *held += row.extend(generation, run);
            let mut generation = 1;
            for at in 0..3_000 {
                // Around midnight, and often the same millisecond again.
                let time = PARTITION_NS + rng.random_range(-span..span);
                let values: Vec<(u16, f64)> = match rng.random_range(0..100) {
                    dice if dice < wide => {
                        (0..rng.random_range(1..=fields)).map(|field| (field, f64::from(at))).collect()
                    }
                    _ => vec![(rng.random_range(0..fields), f64::from(at))],
                };
                values.iter().for_each(|(field, value)| {
                    map.entry(*field).or_default().insert(time, *value);
                });
                written += values.len();
                if run.len() == Row::RUN_MAX || !run.fits(1, fields_of(&values), values.len()) || rng.random_bool(0.05)
                {
                    flush(&mut run, &mut held, generation);
                    generation += u64::from(rng.random_bool(0.05));
                }
                if rng.random_bool(0.5) && run.fits(1, fields_of(&values), values.len()) {
                    run.push(time, fields_of(&values), &values);
                } else {
                    flush(&mut run, &mut held, generation);
                    held += row.append(generation, time, &values);
                }
            }
            flush(&mut run, &mut held, generation);
            let check = |what: &str, field: u16, got: Vec<(i64, f64)>| {
                let want: Vec<(i64, f64)> = map.get(&field).into_iter().flatten().map(|(t, v)| (*t, *v)).collect();
                assert!(got == want, "{what}, field {field} of {fields}: {} samples, want {}", got.len(), want.len());
            };
            (0..fields).for_each(|field| check("read", field, read(&row, field)));
            held += row.close(generation);
            (0..fields).for_each(|field| check("closed", field, read(&row, field)));
            let mut closed = Vec::new();
            row.closed(generation, &mut closed);
            assert!(closed.iter().all(|c| partition_of(c.chunk.first) == partition_of(c.chunk.last)));
            for field in 0..fields {
                let mut samples = Samples::default();
                let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
                for Closed { chunk, .. } in closed.iter().filter(|closed| closed.field == field) {
                    gorilla::merge_decoded(&chunk.bytes, chunk.extent(), (i64::MIN, i64::MAX), &mut overlay).unwrap();
                }
                overlay.finish().expect("BUG: something is finer than nanoseconds");
                check("for a file", field, samples.times.into_iter().zip(samples.values).collect());
            }
            let (samples, grown) = row.drop_closed(generation);
            held += grown;
            assert_eq!((samples, held), (written, Growth::default()), "what goes is what came");
        }
    }

    #[test]
    fn what_comes_late_makes_few_chunks_and_none_of_its_own_until_there_is_enough() {
        const N: i64 = 4_000;
        let two_senders = (0..N).map(|at| if at % 2 == 0 { N + at } else { at });
        let orders: [(&str, Vec<i64>); 4] = [
            ("in order", (0..N).collect()),
            ("newest first", (0..N).rev().collect()),
            ("two senders in turn", two_senders.collect()),
            ("shuffled", (0..N).map(|at| at * 2_003 % N).collect()),
        ];
        for (name, order) in orders {
            let (row, mut held) = (row(), Growth::default());
            for (at, time) in order.iter().enumerate() {
                held += row.append(1, time * 1000, &[(0, at as f64)]);
                assert!(at != 100 || held.chunks <= 2, "{name}: {held:?} after a hundred lines");
            }
            assert!(held.chunks <= 2 + N as isize / 100, "{name}: {held:?}");
            held += row.close(1);
            let mut closed = Vec::new();
            row.closed(1, &mut closed);
            assert!(
                closed.len() <= 8 && closed.is_sorted_by(|a, b| a.chunk.last < b.chunk.first),
                "{name}: sealed in order"
            );
            held += row.drop_closed(1).1;
            assert_eq!(held, Growth::default(), "{name}");
        }
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
        let midnight = 19_000 * PARTITION_NS;
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
