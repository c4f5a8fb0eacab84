//! Fills memory from the log at a start, on all cores.
//!
//! One thread reads: it gets the records in the order of the log ([`Records::take`]) and finds or makes the rows that
//! they define. What it has read it hands, a stretch at a time, to every worker. A row belongs to one worker, for as
//! long as the start takes: that one adds the row's lines, by the same [`Row::append`] as when they came, and passes over
//! the lines of other rows.
//!
//! So each row gets its lines in the order of the log, whichever generation they are of and whatever number the log
//! calls it by there. Between two rows no order counts: nothing is asked before all is in memory.

use crate::codec::lines::LineReader;
use crate::codec::varint::Cursor;
use crate::memory::{Database, Databases, Field, Growth, NewRow, Row};
use crate::series::Labels;
use hashbrown::HashMap;
use std::io;
use std::ops::{AddAssign, Range};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes of records that are handed over at a time, exceeded by at most one record: few enough to stay in a core's
/// cache.
const STRETCH_BYTES: usize = 256 << 10;

/// Stretches that wait for a worker. When it is that far behind, the reader waits.
const STRETCHES_WAITING_MAX: usize = 4;

/// Each worker walks over the lines of all others, so more of them than this gain little.
const WORKERS_MAX: usize = 8;

/// How far a row's number may lie beyond those that were defined before it and still have a place in [`Numbered::near`].
const GAP_MAX: usize = 1 << 16;

/// What was taken into memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filled {
    /// Samples.
    pub samples: u64,
    /// Records, or lines of them, that could not be applied: what defined their rows was lost to damage, or was for
    /// another database.
    pub orphans: u64,
}

impl AddAssign for Filled {
    fn add_assign(&mut self, more: Filled) {
        self.samples += more.samples;
        self.orphans += more.orphans;
    }
}

/// Runs `read`, which gives all records of the log to what it is called with; when this returns, they are in memory.
///
/// Errors: the system gives no threads; then nothing was read.
pub(super) fn fill<R>(
    databases: &Databases,
    cores: usize,
    read: impl FnOnce(&mut Records) -> R,
) -> io::Result<(R, Filled)> {
    let share = cores.clamp(1, WORKERS_MAX);
    thread::scope(|scope| {
        let start = |number| {
            let (hand, stretches) = sync_channel(STRETCHES_WAITING_MAX);
            let work = move || Worker { number, share, ..Worker::default() }.run(stretches);
            let thread = thread::Builder::new().name(format!("replay-{number}")).spawn_scoped(scope, work);
            thread.map(|thread| (hand, thread))
        };
        // Where one fails, the others end: nobody has stretches for them any more.
        let started: Vec<_> = (0..share).map(start).collect::<io::Result<_>>()?;
        let (hands, workers): (Vec<_>, Vec<_>) = started.into_iter().unzip();
        let mut records = Records {
            databases,
            hands,
            generation: None,
            rows: Numbered::default(),
            next: Stretch::default(),
            orphans: 0,
        };
        let outcome = read(&mut records);
        let mut filled = records.end();
        for worker in workers {
            filled += worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        Ok((outcome, filled))
    })
}

/// A row as a generation's log has defined it so far.
#[derive(Clone)]
struct LoggedRow {
    database: Arc<Database>,
    row: Arc<Row>,
    fields: Fields,
}

/// The numbers that the fields of a row have now, by those they have in the log.
#[derive(Clone)]
enum Fields {
    /// The same: so many.
    Same(usize),
    /// Others, where some of its fields came from another dictionary.
    Other(Arc<[u16]>),
}

impl Fields {
    /// How many the log has defined.
    fn count(&self) -> usize {
        match self {
            Fields::Same(count) => *count,
            Fields::Other(numbers) => numbers.len(),
        }
    }

    /// These, and further ones.
    fn with(&self, more: &[u16]) -> Fields {
        let known: Vec<u16> = match self {
            Fields::Same(count) => (0..*count as u16).collect(), // within the 65,535 fields of a row
            Fields::Other(numbers) => numbers.to_vec(),
        };
        let all = [&known, more].concat();
        match all.iter().enumerate().all(|(at, number)| at == usize::from(*number)) {
            true => Fields::Same(all.len()),
            false => Fields::Other(all.into()),
        }
    }

    /// Puts the numbers of now in the place of those of the log. Says whether it has defined all of them.
    #[inline]
    fn translate(&self, values: &mut [(u16, f64)]) -> bool {
        let known = values.iter().all(|(field, _)| usize::from(*field) < self.count());
        if known && let Fields::Other(numbers) = self {
            values.iter_mut().for_each(|(field, _)| *field = numbers[usize::from(*field)]);
        }
        known
    }
}

/// Something that the log says, for every worker.
enum Step {
    /// What follows is of this generation: its rows are numbered from 0 again.
    Generation(u64),
    /// From here on, lines of the row with this number are lines of this row.
    Row(usize, LoggedRow),
    /// Lines of rows of a database.
    Lines {
        database: Arc<Database>,
        count: u64,
        /// Where in the stretch the numbers of their rows stand.
        rows: Range<usize>,
        /// Where in the stretch the lines stand.
        lines: Range<usize>,
    },
}

/// Steps, in the order of the log, and the bytes that they are about.
#[derive(Default)]
struct Stretch {
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

/// Where the records go.
pub(super) struct Records<'a> {
    databases: &'a Databases,
    hands: Vec<SyncSender<Arc<Stretch>>>,
    generation: Option<u64>,
    rows: Numbered<LoggedRow>,
    /// What is handed over next.
    next: Stretch,
    orphans: u64,
}

impl Records<'_> {
    /// Takes the payload of the log's next record.
    pub fn take(&mut self, generation: u64, payload: &[u8]) {
        if self.generation != Some(generation) {
            self.generation = Some(generation);
            self.rows = Numbered::default();
            self.next.steps.push(Step::Generation(generation));
        }
        if self.read(payload).is_none() {
            self.orphans += 1;
        }
        if self.next.bytes.len() + self.next.steps.len() * size_of::<Step>() >= STRETCH_BYTES {
            self.hand_over();
        }
    }

    fn read(&mut self, payload: &[u8]) -> Option<()> {
        let mut cursor = Cursor::new(payload);
        let database = self.databases.get_or_create(cursor.read_str()?);
        for _ in 0..cursor.read()? {
            self.define(&database, &mut cursor)?;
        }
        let count = cursor.read()?;
        let rows = cursor.rest();
        for _ in 0..count {
            cursor.read_signed()?;
        }
        let lines = cursor.rest();
        let at = self.next.bytes.len();
        self.next.bytes.extend_from_slice(rows);
        let (middle, end) = (at + rows.len() - lines.len(), at + rows.len());
        self.next.steps.push(Step::Lines { database, count, rows: at..middle, lines: middle..end });
        Some(())
    }

    /// Reads one definition and finds or makes the row.
    fn define(&mut self, database: &Arc<Database>, cursor: &mut Cursor<'_>) -> Option<()> {
        let number = cursor.read_len()?;
        let (measurement, labels) = (cursor.read_str()?, Labels::from_bytes(cursor.read_bytes()?)?);
        let from = cursor.read_len()?;
        let mut fields = Vec::new();
        for _ in 0..cursor.read()? {
            fields.push(Field { raw: cursor.read_bytes()?.into(), metric: cursor.read_str()?.into() });
        }
        let mut index = database.index.write();
        let id = index.define(None, &NewRow::new(measurement, &labels, &fields))?;
        let (row, schema) = index.row(id);
        let added = fields.iter().map(|field| schema.find(&field.raw, 0).map(|(field, _)| field));
        let added: Vec<u16> = added.collect::<Option<_>>()?;
        let known = match self.rows.get(number) {
            _ if from == 0 => &Fields::Same(0),
            Some(known) if known.fields.count() == from && Arc::ptr_eq(&known.database, database) => &known.fields,
            _ => return None,
        };
        let row = LoggedRow { database: database.clone(), row: row.clone(), fields: known.with(&added) };
        self.rows.set(number, row.clone());
        self.next.steps.push(Step::Row(number, row));
        Some(())
    }

    fn hand_over(&mut self) {
        let stretch = Arc::new(std::mem::take(&mut self.next));
        for hand in &self.hands {
            let _ = hand.send(stretch.clone()); // a worker that has panicked is met at the end
        }
    }

    /// Hands over what is left, and tells the workers that no more comes.
    fn end(mut self) -> Filled {
        self.hand_over();
        Filled { samples: 0, orphans: self.orphans }
    }
}

/// What a worker knows of a row.
enum Place {
    /// It is its own.
    Here(LoggedRow),
    /// It belongs to another one.
    Elsewhere,
}

/// Adds the lines of its share of the rows.
#[derive(Default)]
struct Worker {
    number: usize,
    /// How many workers there are.
    share: usize,
    generation: u64,
    rows: Numbered<Place>,
    /// The values of one line.
    values: Vec<(u16, f64)>,
    filled: Filled,
}

impl Worker {
    fn run(mut self, stretches: Receiver<Arc<Stretch>>) -> Filled {
        for stretch in stretches {
            for step in &stretch.steps {
                match step {
                    Step::Generation(generation) => {
                        self.generation = *generation;
                        self.rows = Numbered::default();
                    }
                    // By its number in the index: a row keeps that, while each dictionary of the log has another for it.
                    Step::Row(number, row) if row.row.id as usize % self.share == self.number => {
                        self.rows.set(*number, Place::Here(row.clone()));
                    }
                    Step::Row(number, _) => self.rows.set(*number, Place::Elsewhere),
                    Step::Lines { database, count, rows, lines } => {
                        self.apply(database, *count, &stretch.bytes[rows.clone()], &stretch.bytes[lines.clone()]);
                    }
                }
            }
        }
        self.filled
    }

    fn apply(&mut self, database: &Arc<Database>, count: u64, rows: &[u8], lines: &[u8]) {
        let (mut rows, mut lines) = (Cursor::new(rows), LineReader::new(lines));
        let (mut expected, mut newest) = (0i64, i64::MIN);
        let (mut grown, mut samples, mut orphans) = (Growth::default(), 0, 0);
        let first = self.number == 0; // counts what is nobody's
        for _ in 0..count {
            let Some(number) = rows.read_signed().and_then(|step| expected.checked_add(step)) else { break };
            expected = number.saturating_add(1);
            let place = usize::try_from(number).ok().and_then(|number| self.rows.get(number));
            let Some(Place::Here(row)) = place else {
                let Some(_) = lines.skip() else { break };
                orphans += u64::from(first && place.is_none());
                continue;
            };
            let Some(time) = lines.next(&mut self.values) else { break };
            if !Arc::ptr_eq(&row.database, database) || !row.fields.translate(&mut self.values) {
                orphans += 1;
                continue;
            }
            samples += self.values.len() as u64;
            newest = newest.max(time);
            grown += row.row.append(self.generation, time, &self.values);
        }
        orphans += u64::from(first && !lines.is_empty()); // the record, which says less than it holds
        database.held.saw(newest);
        database.held.add(samples as i64, grown);
        self.filled += Filled { samples, orphans };
    }
}

/// Things by the numbers of rows. A log numbers its rows 0, 1, 2 …, but a damaged one may hold any number: this is as
/// large as what was put in, whatever the numbers say.
struct Numbered<T> {
    near: Vec<Option<T>>,
    far: HashMap<usize, T>,
    /// How many were set.
    set: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { near: Vec::new(), far: HashMap::new(), set: 0 }
    }
}

impl<T> Numbered<T> {
    #[inline]
    fn get(&self, number: usize) -> Option<&T> {
        self.near.get(number).and_then(Option::as_ref).or_else(|| self.far.get(&number))
    }

    fn set(&mut self, number: usize, thing: T) {
        self.set += 1;
        if number >= self.near.len() {
            if number > self.set + GAP_MAX {
                self.far.insert(number, thing);
                return;
            }
            self.near.resize_with(number + 1, || None);
        }
        self.near[number] = Some(thing); // what may be far under this number is older, and is not looked at any more
    }
}

#[cfg(test)]
mod tests;
