//! What one request adds: lines in their compact form and the rows they belong to. Written to the log as one record,
//! so that a request is in the log whole or not at all, and applied to memory from the same bytes.
//!
//! A record's payload, as docs/format/wal.md has it: the database, definitions of rows that this log has not named
//! yet, the row of each line, the lines.

use crate::codec::lines::{LineReader, LineWriter};
use crate::codec::varint::{self, Cursor};
use crate::memory::{Database, Databases, Field, Growth, NewRow, Row};
use crate::pools::Lease;
use crate::series::Labels;
use crate::wal::{Dictionary, Entry};
use hashbrown::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Lines of one database, parsed and resolved to rows.
pub struct Batch {
    pub(super) database: Arc<Database>,
    pub(super) rows: Vec<BatchRow>,
    pub(super) lines: LineWriter,
    /// The memory that it holds; given back once it is applied.
    lease: Lease,
    /// Bytes that it is expected to come to.
    expected: usize,
}

/// The row of one line.
pub(super) struct BatchRow {
    pub row: Arc<Row>,
    /// How many fields the row had when the line was resolved: the log must define as many.
    pub fields: u16,
}

impl Batch {
    /// No line yet.
    pub(super) fn new(database: Arc<Database>, lease: Lease) -> Self {
        Batch { database, rows: Vec::new(), lines: LineWriter::default(), lease, expected: 0 }
    }

    /// Tells its pool what it is going to hold, so that others do not count on it; 0 for what it holds.
    pub(super) fn expect(&mut self, bytes: usize) {
        self.expected = bytes;
        self.account();
    }

    /// Tells its pool what it holds by now. Says whether that is more than was expected.
    pub(super) fn account(&mut self) -> bool {
        let held = self.lines.capacity() + self.rows.capacity() * size_of::<BatchRow>();
        self.lease.set(held.max(self.expected));
        held > self.expected
    }

    /// Adds a line of a row.
    pub(super) fn push(&mut self, row: BatchRow, time: i64, values: &[(u16, f64)]) {
        self.rows.push(row);
        self.lines.push(time, values);
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Samples in it.
    pub fn samples(&self) -> usize {
        self.lines.samples()
    }

    /// Takes the lines into memory.
    pub(super) fn apply(&self, generation: u64) {
        let (mut reader, mut values) = (LineReader::new(self.lines.bytes()), Vec::new());
        let (mut grown, mut newest) = (Growth::default(), i64::MIN);
        for BatchRow { row, .. } in &self.rows {
            let Some(time) = reader.next(&mut values) else { break };
            newest = newest.max(time);
            grown += row.append(generation, time, &values);
        }
        self.database.held.saw(newest);
        assert!(reader.is_empty(), "BUG: a batch holds lines that cannot be read back");
        self.database.held.add(self.lines.samples() as i64, grown);
    }
}

impl Entry for Batch {
    fn bytes(&self) -> usize {
        self.lines.bytes().len() + self.rows.len() * size_of::<BatchRow>()
    }

    fn encode(&mut self, dictionary: &mut Dictionary, out: &mut Vec<u8>) {
        varint::push_bytes(out, self.database.name.as_bytes());
        let mut undefined: Vec<(&BatchRow, u32)> = Vec::new();
        for line in &self.rows {
            let mark = &line.row.log;
            if mark.dictionary.load(Relaxed) != dictionary.id {
                mark.dictionary.store(dictionary.id, Relaxed);
                mark.id.store(dictionary.rows, Relaxed);
                mark.fields.store(0, Relaxed);
                dictionary.rows += 1;
            }
            let defined = mark.fields.load(Relaxed);
            if defined < u32::from(line.fields) {
                mark.fields.store(u32::from(line.fields), Relaxed);
                undefined.push((line, defined));
            }
        }
        varint::push(out, undefined.len() as u64);
        if !undefined.is_empty() {
            let index = self.database.index.read();
            for (line, from) in undefined {
                let (row, schema) = index.row(line.row.id);
                let fields = &schema.fields[from as usize..usize::from(line.fields)];
                varint::push(out, u64::from(row.log.id.load(Relaxed)));
                varint::push_bytes(out, schema.measurement.as_bytes());
                varint::push_bytes(out, row.labels.as_bytes());
                varint::push(out, u64::from(from));
                varint::push(out, fields.len() as u64);
                for field in fields {
                    varint::push_bytes(out, &field.raw);
                    varint::push_bytes(out, field.metric.as_bytes());
                }
            }
        }
        varint::push(out, self.rows.len() as u64);
        let mut expected = 0;
        for line in &self.rows {
            let id = i64::from(line.row.log.id.load(Relaxed));
            varint::push_signed(out, id - expected);
            expected = id + 1;
        }
        out.extend_from_slice(self.lines.bytes());
    }
}

/// Applies records of a log that is read back: what [`Batch`] wrote, in the order of the log.
#[derive(Default)]
pub(super) struct Replay {
    generation: Option<u64>,
    /// By a row's number in this generation's log. A log numbers its rows 0, 1, 2 …, but a damaged one may hold any
    /// number: a map is as large as what was read, whatever that says.
    rows: HashMap<usize, LoggedRow>,
    /// Samples taken into memory.
    pub samples: u64,
    /// Records, or lines of them, that could not be applied: what defined their rows was lost to damage, or was for
    /// another database.
    pub orphans: u64,
}

struct LoggedRow {
    database: Arc<Database>,
    row: Arc<Row>,
    /// The row's field numbers now, by those it had in the log.
    fields: Vec<u16>,
}

impl Replay {
    /// Applies one record's payload.
    pub fn record(&mut self, databases: &Databases, generation: u64, payload: &[u8]) {
        if self.generation != Some(generation) {
            self.generation = Some(generation);
            self.rows.clear();
        }
        if self.parse(databases, generation, payload).is_none() {
            self.orphans += 1;
        }
    }

    fn parse(&mut self, databases: &Databases, generation: u64, payload: &[u8]) -> Option<()> {
        let mut cursor = Cursor::new(payload);
        let database = databases.get_or_create(cursor.read_str()?);
        for _ in 0..cursor.read()? {
            self.define(&database, &mut cursor)?;
        }
        let mut refs = cursor;
        let count = cursor.read()?;
        for _ in 0..count {
            cursor.read_signed()?;
        }
        refs.read()?;
        let (mut lines, mut values) = (LineReader::new(cursor.rest()), Vec::new());
        let (mut expected, mut grown, mut samples) = (0i64, Growth::default(), 0);
        for _ in 0..count {
            let id = refs.read_signed().and_then(|step| expected.checked_add(step));
            let (Some(id), Some(time)) = (id, lines.next(&mut values)) else { break };
            expected = id.saturating_add(1);
            let row = usize::try_from(id).ok().and_then(|id| self.rows.get(&id));
            let known = row.filter(|row| {
                let fields = row.fields.len();
                Arc::ptr_eq(&row.database, &database) && values.iter().all(|(field, _)| usize::from(*field) < fields)
            });
            let Some(row) = known else {
                self.orphans += 1;
                continue;
            };
            for (field, _) in &mut values {
                *field = row.fields[usize::from(*field)];
            }
            samples += values.len() as u64;
            database.held.saw(time);
            grown += row.row.append(generation, time, &values);
        }
        database.held.add(samples as i64, grown);
        self.samples += samples;
        lines.is_empty().then_some(())
    }

    /// Reads one definition and finds or makes the row.
    fn define(&mut self, database: &Arc<Database>, cursor: &mut Cursor<'_>) -> Option<()> {
        let id = cursor.read_len()?;
        let (measurement, labels) = (cursor.read_str()?, Labels::from_bytes(cursor.read_bytes()?)?);
        let from = cursor.read_len()?;
        let mut fields = Vec::new();
        for _ in 0..cursor.read()? {
            fields.push(Field { raw: cursor.read_bytes()?.into(), metric: cursor.read_str()?.into() });
        }
        let mut index = database.index.write();
        let number = index.define(None, &NewRow::new(measurement, &labels, &fields))?;
        let (row, schema) = index.row(number);
        let numbers = fields.iter().map(|field| schema.find(&field.raw, 0).map(|(field, _)| field));
        let numbers: Vec<u16> = numbers.collect::<Option<_>>()?;
        match self.rows.get_mut(&id) {
            Some(known) if from > 0 && known.fields.len() == from && Arc::ptr_eq(&known.database, database) => {
                known.fields.extend(numbers);
            }
            _ if from == 0 => {
                let known = LoggedRow { database: database.clone(), row: row.clone(), fields: numbers };
                self.rows.insert(id, known);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Writes what a record's payload says, for people to read.
pub fn dump_record(payload: &[u8], out: &mut dyn Write) -> io::Result<()> {
    match dump_payload(payload, out) {
        Some(written) => written,
        None => writeln!(out, "  the payload is not in the form of version 1"),
    }
}

fn dump_payload(payload: &[u8], out: &mut dyn Write) -> Option<io::Result<()>> {
    let mut text = String::new();
    let mut cursor = Cursor::new(payload);
    text.push_str(&format!("  database {:?}\n", cursor.read_str()?));
    for _ in 0..cursor.read()? {
        let (id, measurement, labels) = (cursor.read()?, cursor.read_str()?, Labels::from_bytes(cursor.read_bytes()?)?);
        text.push_str(&format!("  row {id} is {measurement:?} {labels}, fields from {}:", cursor.read()?));
        for _ in 0..cursor.read()? {
            let (raw, metric) = (cursor.read_bytes()?, cursor.read_str()?);
            text.push_str(&format!(" {}={metric}", String::from_utf8_lossy(raw)));
        }
        text.push('\n');
    }
    let (mut rows, mut expected) = (Vec::new(), 0i64);
    for _ in 0..cursor.read()? {
        let id = expected.checked_add(cursor.read_signed()?)?;
        expected = id.checked_add(1)?;
        rows.push(id);
    }
    let (mut lines, mut values) = (LineReader::new(cursor.rest()), Vec::new());
    for row in rows {
        let time = lines.next(&mut values)?;
        text.push_str(&format!("  row {row} at {time} ms:"));
        for (field, value) in &values {
            text.push_str(&format!(" {field}={value}"));
        }
        text.push('\n');
    }
    Some(out.write_all(text.as_bytes()))
}
