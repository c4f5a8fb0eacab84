//! Adds the lines of its rows, a stretch of the log at a time, and in it a row after the other.

use super::{Definition, Fields, Filled, Line, Share};
use crate::memory::{Database, Growth, Row, Run};
use sealine_codec::lines::{self, Version};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Adds the lines of its share of the rows.
#[derive(Default)]
pub(super) struct Worker {
    number: usize,
    generation: u64,
    rows: Vec<WorkersRow>,
    /// Rows that have lines in this stretch, in the order of their first ones.
    touched: Vec<u32>,
    /// The lines of this stretch, by row in that order; of a row, in the order of the log.
    sorted: Vec<Line>,
    /// Lines of one row.
    run: Run,
    /// The values of one line.
    values: Vec<(u16, f64)>,
    filled: Filled,
}

struct WorkersRow {
    database: Arc<Database>,
    row: Arc<Row>,
    fields: Fields,
    /// How many lines of this stretch it has.
    lines: u32,
    /// Where the next of them goes in the sorted ones; in the end, where they end.
    end: u32,
}

impl Worker {
    pub fn new(number: usize) -> Self {
        Worker { number, ..Worker::default() }
    }

    pub fn run(mut self, shares: Receiver<Share>) -> Filled {
        for share in shares {
            if self.generation != share.generation {
                self.generation = share.generation;
                self.rows.clear();
            }
            share.definitions.into_iter().for_each(|definition| self.define(definition));
            self.sort(&share.stretch.lines[self.number]);
            self.apply(share.stretch.version, &share.stretch.bytes);
        }
        self.filled
    }

    fn define(&mut self, Definition { place, database, row, fields }: Definition) {
        if place as usize == self.rows.len() {
            self.rows.push(WorkersRow { database, row, fields: Fields::Same(0), lines: 0, end: 0 });
        }
        self.rows[place as usize].fields.extend(&fields);
    }

    /// Sorts by row, with two looks at each line.
    fn sort(&mut self, lines: &[Line]) {
        self.touched.clear();
        for line in lines {
            let row = &mut self.rows[line.row as usize];
            if row.lines == 0 {
                self.touched.push(line.row);
            }
            row.lines += 1;
        }
        let mut end = 0;
        for number in &self.touched {
            let row = &mut self.rows[*number as usize];
            row.end = end;
            end += std::mem::take(&mut row.lines);
        }
        self.sorted.resize(lines.len(), Line::default());
        for line in lines {
            let row = &mut self.rows[line.row as usize];
            self.sorted[row.end as usize] = *line;
            row.end += 1;
        }
    }

    fn apply(&mut self, version: Version, bytes: &[u8]) {
        let mut of_database = OfDatabase::default();
        let mut from = 0;
        for (nth, number) in self.touched.iter().enumerate() {
            let row = &self.rows[*number as usize];
            let to = row.end as usize;
            if let Some(next) = self.touched.get(nth + 1) {
                // The next row's lines lie all over the stretch: asked for all at once, they come while this row's are
                // encoded.
                let next = &self.sorted[to..self.rows[*next as usize].end as usize];
                black_box(next.iter().fold(0, |sum, line| sum ^ bytes[line.values as usize]));
            }
            if !of_database.is(&row.database) {
                self.filled += of_database.end();
                of_database.database = Some(row.database.clone());
            }
            for line in &self.sorted[from..to] {
                let values = &bytes[line.values as usize..];
                let (count, fields) = row.fields.size_of(version, values);
                if !self.run.fits(1, fields, count) {
                    of_database.grown += row.row.extend(self.generation, &mut self.run);
                    if !self.run.fits(1, fields, count) {
                        match read_line(&row.fields, version, values, &mut self.values) {
                            Some(()) => {
                                of_database.grown += row.row.append(self.generation, line.time, &self.values);
                                of_database.saw(line.time, self.values.len());
                            }
                            None => self.filled.orphans += 1,
                        }
                        continue;
                    }
                }
                self.run.push_with(line.time, fields, count, |new| {
                    let (mut samples, mut known) = (0, true);
                    let read = lines::read_values(version, values, |field, value| {
                        match row.fields.number(field) {
                            Some(field) => new.set(field, value),
                            None => known = false,
                        }
                        samples += 1;
                    });
                    let is_line = known && read.is_some();
                    match is_line {
                        true => of_database.saw(line.time, samples),
                        false => self.filled.orphans += 1,
                    }
                    is_line
                });
                if self.run.len() == Row::RUN_MAX {
                    of_database.grown += row.row.extend(self.generation, &mut self.run);
                }
            }
            if !self.run.is_empty() {
                of_database.grown += row.row.extend(self.generation, &mut self.run);
            }
            from = to;
        }
        self.filled += of_database.end();
    }
}

/// Reads the values of a line. `None` where it cannot be read, or has a field that the log has not defined.
fn read_line(fields: &Fields, version: Version, line: &[u8], into: &mut Vec<(u16, f64)>) -> Option<()> {
    into.clear();
    let mut known = true;
    lines::read_values(version, line, |field, value| match fields.number(field) {
        Some(field) => into.push((field, value)),
        None => known = false,
    })?;
    known.then_some(())
}

/// What was added to rows of a database and not reported to it yet.
#[derive(Default)]
struct OfDatabase {
    database: Option<Arc<Database>>,
    samples: u64,
    newest: Option<i64>,
    grown: Growth,
}

impl OfDatabase {
    fn is(&self, database: &Arc<Database>) -> bool {
        self.database.as_ref().is_some_and(|this| Arc::ptr_eq(this, database))
    }

    #[inline]
    fn saw(&mut self, time: i64, samples: usize) {
        self.samples += samples as u64;
        self.newest = self.newest.max(Some(time));
    }

    fn end(&mut self) -> Filled {
        let told = std::mem::take(self);
        if let (Some(database), Some(newest)) = (told.database, told.newest) {
            database.held.saw(newest);
            database.held.add(told.samples as i64, told.grown);
        }
        Filled { samples: told.samples, ..Filled::default() }
    }
}
