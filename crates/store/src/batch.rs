//! What one request adds: lines in their compact form and the rows they belong to. Written to the log as one record,
//! so that a request is in the log whole or not at all, and applied to memory from the same bytes.
//!
//! A record's payload, as docs/format/wal.md has it: the database, definitions of rows that this log has not named
//! yet, the row of each line, the lines.

use super::stage::Unsettled;
use crate::memory::{Database, Growth, Row};
use crate::wal::{Dictionary, Entry, Record};
use sealine_base::pools::Lease;
use sealine_codec::lines::{LineReader, LineWriter, Version};
use sealine_codec::varint::{self, Cursor};
use sealine_model::{Column, Labels};
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
    pub(super) unsettled: Unsettled,
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
        Batch {
            unsettled: Unsettled::new(database.clone()),
            database,
            rows: Vec::new(),
            lines: LineWriter::default(),
            lease,
            expected: 0,
        }
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
    pub(super) fn apply(&mut self, generation: u64) {
        let (mut reader, mut values) = (LineReader::new(Version::Units, self.lines.bytes()), Vec::new());
        let (mut grown, mut newest) = (Growth::default(), i64::MIN);
        for BatchRow { row, .. } in &self.rows {
            let Some(time) = reader.next(&mut values) else { break };
            newest = newest.max(time);
            grown += row.append(generation, time, &values);
        }
        self.database.held.saw(newest);
        assert!(reader.is_empty(), "BUG: a batch holds lines that cannot be read back");
        self.database.held.add(self.lines.samples() as i64, grown);
        self.unsettled.settle();
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
                varint::push_bytes(out, row.tags.as_bytes());
                varint::push(out, u64::from(from));
                varint::push(out, fields.len() as u64);
                for field in fields {
                    varint::push_bytes(out, &field.raw);
                    varint::push_bytes(out, field.column.as_bytes());
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

/// Writes what a record's payload says, for people to read.
pub fn dump_record(record: Record<'_>, out: &mut dyn Write) -> io::Result<()> {
    match dump_payload(record, out) {
        Some(written) => written,
        None => writeln!(out, "  the payload is not in the form of version {}", record.version),
    }
}

/// The form in which a version of the log has lines.
pub(super) fn lines_of(version: u32) -> Version {
    if version == 1 { Version::Milliseconds } else { Version::Units }
}

fn dump_payload(record: Record<'_>, out: &mut dyn Write) -> Option<io::Result<()>> {
    let mut text = String::new();
    let mut cursor = Cursor::new(record.payload);
    text.push_str(&format!("  database {:?}\n", cursor.read_str()?));
    for _ in 0..cursor.read()? {
        let (id, measurement, tags) = (cursor.read()?, cursor.read_str()?, Labels::from_bytes(cursor.read_bytes()?)?);
        text.push_str(&format!("  row {id} is {measurement:?} {tags}, fields from {}:", cursor.read()?));
        for _ in 0..cursor.read()? {
            let (_, column) = (cursor.read_bytes()?, cursor.read_str()?);
            text.push_str(&format!(" {}", Column::of(column)));
        }
        text.push('\n');
    }
    let (mut rows, mut expected) = (Vec::new(), 0i64);
    for _ in 0..cursor.read()? {
        let id = expected.checked_add(cursor.read_signed()?)?;
        expected = id.checked_add(1)?;
        rows.push(id);
    }
    let (mut lines, mut values) = (LineReader::new(lines_of(record.version), cursor.rest()), Vec::new());
    for row in rows {
        let time = lines.next(&mut values)?;
        text.push_str(&format!("  row {row} at {time} ns:"));
        for (field, value) in &values {
            text.push_str(&format!(" {field}={value}"));
        }
        text.push('\n');
    }
    Some(out.write_all(text.as_bytes()))
}
