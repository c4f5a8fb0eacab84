//! Reads the records of the log, and assigns their lines to workers.

use super::numbered::Numbered;
use super::{Definition, Filled, Line, STRETCH_BYTES, Share, Stretch};
use crate::batch::lines_of;
use crate::memory::{Database, Databases, Field, NewRow, Row};
use crate::wal::{LABELS_VERSION, Record};
use sealine_codec::lines::{LineReader, Version};
use sealine_codec::varint::Cursor;
use sealine_model::{Column, Labels};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Rows with numbers next to each other that go to the same worker: they often come one behind the other in the log, and
/// then a worker fetches less of what lies between its own lines.
const NEIGHBOURS: usize = 8;

/// Where the records go.
pub(crate) struct Records<'a> {
    databases: &'a Databases,
    generation: u64,
    rows: Numbered<LoggedRow>,
    /// Whether rows of the record that is being read are defined by their labels.
    has_labels: bool,
    /// What is handed over next.
    next: Stretch,
    workers: Vec<Hand>,
    /// Stretches that were handed over: one that all workers are done with is filled again.
    handed: VecDeque<Arc<Stretch>>,
    orphans: u64,
    /// Lines of times that nanoseconds do not reach.
    unreachable: u64,
}

/// The way to a worker.
struct Hand {
    to: SyncSender<Share>,
    /// Rows of this generation that it has, or gets with this stretch.
    known: u32,
    definitions: Vec<Definition>,
}

/// A row as a generation's log has defined it so far.
struct LoggedRow {
    place: Place,
    database: Arc<Database>,
    row: Arc<Row>,
    /// How many of its fields the log has defined.
    fields: usize,
}

/// Who has a row.
#[derive(Clone, Copy)]
struct Place {
    worker: u32,
    row: u32,
}

impl<'a> Records<'a> {
    pub(super) fn new(databases: &'a Databases, hands: Vec<SyncSender<Share>>) -> Self {
        let workers: Vec<_> = hands.into_iter().map(|to| Hand { to, known: 0, definitions: Vec::new() }).collect();
        Records {
            databases,
            generation: 0,
            rows: Numbered::default(),
            has_labels: false,
            next: Stretch::new(workers.len()),
            workers,
            handed: VecDeque::new(),
            orphans: 0,
            unreachable: 0,
        }
    }

    /// Takes the log's next record.
    pub fn take(&mut self, record: Record<'_>) {
        let lines = lines_of(record.version);
        self.has_labels = record.version <= LABELS_VERSION;
        if self.generation != record.generation {
            self.hand_over();
            self.generation = record.generation;
            self.rows = Numbered::default();
            self.workers.iter_mut().for_each(|worker| worker.known = 0);
        }
        if self.next.version != lines {
            self.hand_over();
            self.next.version = lines;
        }
        if self.read(record.payload).is_none() {
            self.orphans += 1;
        }
        let definitions: usize = self.workers.iter().map(|worker| worker.definitions.len()).sum();
        if self.next.size() + definitions * size_of::<Definition>() >= STRETCH_BYTES {
            self.hand_over();
        }
    }

    /// `None` where the record says less than it holds.
    fn read(&mut self, payload: &[u8]) -> Option<()> {
        let mut cursor = Cursor::new(payload);
        let database = self.databases.get_or_create(cursor.read_str()?);
        for _ in 0..cursor.read()? {
            self.define(&database, &mut cursor)?;
        }
        let count = cursor.read()?;
        let mut rows = cursor;
        for _ in 0..count {
            cursor.read_signed()?;
        }
        let base = self.next.bytes.len();
        self.next.bytes.extend_from_slice(cursor.rest());
        let mut lines = LineReader::new(self.next.version, cursor.rest());
        let mut expected = 0i64;
        for _ in 0..count {
            let number = expected.checked_add(rows.read_signed()?)?;
            expected = number.saturating_add(1);
            let (time, at) = lines.skip()?;
            if self.next.version == Version::Milliseconds && [i64::MIN, i64::MAX].contains(&time) {
                self.unreachable += 1;
                continue;
            }
            match usize::try_from(number).ok().and_then(|number| self.rows.get(number)) {
                Some(row) if Arc::ptr_eq(&row.database, &database) => {
                    // A stretch has a few MiB, and one record of at most 256 MiB.
                    let line = Line { time, row: row.place.row, values: (base + at) as u32 };
                    self.next.lines[row.place.worker as usize].push(line);
                }
                _ => self.orphans += 1,
            }
        }
        lines.is_empty().then_some(())
    }

    /// Reads one definition and finds or makes the row.
    fn define(&mut self, database: &Arc<Database>, cursor: &mut Cursor<'_>) -> Option<()> {
        let number = cursor.read_len()?;
        let (measurement, mut tags) = (cursor.read_str()?, Labels::from_bytes(cursor.read_bytes()?)?);
        let from = cursor.read_len()?;
        let (mut fields, mut index) = (Vec::new(), database.index.write());
        if self.has_labels {
            tags = index.view().tags(&tags);
        }
        for _ in 0..cursor.read()? {
            let (raw, column) = (cursor.read_bytes()?, cursor.read_str()?);
            fields.push(match self.next.version {
                // What fields were is not in there: their series go on as metrics.
                Version::Milliseconds => Field::of_metric(column),
                Version::Units => Field::new(raw.into(), Column::of(column), index.view().naming()),
            });
        }
        let id = index.define(None, &NewRow::new(measurement, &tags, &fields))?;
        let (row, schema) = index.row(id);
        let number_of =
            |(at, field): (usize, &Field)| schema.find(&field.raw, field.kind, from + at).map(|(number, _)| number);
        let numbers: Vec<u16> = fields.iter().enumerate().map(number_of).collect::<Option<_>>()?;
        let row = row.clone();
        drop(index);
        let place = match self.rows.get(number) {
            _ if from == 0 => self.place(&row),
            Some(known) if known.fields == from && Arc::ptr_eq(&known.row, &row) => known.place,
            _ => return None,
        };
        let known = LoggedRow { place, database: database.clone(), row: row.clone(), fields: from + numbers.len() };
        self.rows.set(number, known);
        let definition = Definition { place: place.row, database: database.clone(), row, fields: numbers };
        self.workers[place.worker as usize].definitions.push(definition);
        Some(())
    }

    /// Gives a row to a worker: always to the same, by the number in the index, which a row keeps while each dictionary
    /// of the log has another for it.
    fn place(&mut self, row: &Row) -> Place {
        let worker = row.id as usize / NEIGHBOURS % self.workers.len();
        let hand = &mut self.workers[worker];
        hand.known += 1;
        Place { worker: worker as u32, row: hand.known - 1 }
    }

    fn hand_over(&mut self) {
        let mut next = match self.handed.pop_front().map(Arc::try_unwrap) {
            Some(Ok(free)) => free,
            Some(Err(busy)) => {
                self.handed.push_front(busy);
                Stretch::new(self.workers.len())
            }
            None => Stretch::new(self.workers.len()),
        };
        next.clear();
        next.version = self.next.version;
        let stretch = Arc::new(std::mem::replace(&mut self.next, next));
        for worker in &mut self.workers {
            let definitions = std::mem::take(&mut worker.definitions);
            // One that has panicked is met at the end.
            let _ = worker.to.send(Share { generation: self.generation, definitions, stretch: stretch.clone() });
        }
        self.handed.push_back(stretch);
    }

    /// Hands over what is left, and ends the workers' input. Returns how many lines were left out.
    pub(super) fn end(mut self) -> Filled {
        self.hand_over();
        Filled { samples: 0, orphans: self.orphans, unreachable: self.unreachable }
    }
}
