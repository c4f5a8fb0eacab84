//! Fills memory from the log at a start, on all cores.
//!
//! One thread reads ([`Records`]): it gets the records in the order of the log, finds or makes the rows that they define,
//! and finds where each line begins. A row belongs to one worker, for as long as the start takes. A stretch of the log at
//! a time, each worker is told which lines are its own ([`Share`]), and adds them, a row after the other ([`Worker`]).
//!
//! So each row gets its lines in the order of the log, whichever generation they are of and whatever number the log
//! calls it by there. Between two rows no order counts: nothing is asked before all is in memory. That is why a worker may
//! take a stretch row by row. Of the rows of many series none is in the cache, so each is fetched once a stretch, and its
//! lines are encoded in long runs.

mod numbered;
mod records;
mod worker;

use crate::memory::{Database, Databases, Row};
use records::Records;
use sealine_codec::lines::{self, Version};
use std::io;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use worker::Worker;

/// Bytes that are handed over at a time, exceeded by at most one record: with ten fields a line, some 230,000 lines. The
/// more there are, the more of them meet in a row.
const STRETCH_BYTES: usize = if cfg!(test) { 512 } else { 9 << 20 };

/// Stretches that wait for a worker. When it is that far behind, the reader waits.
const STRETCHES_WAITING_MAX: usize = 1;

/// One thread reads for all of them, and is done with a line in a fraction of what a worker needs for it.
const WORKERS_MAX: usize = 16;

/// What was taken into memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filled {
    /// Samples.
    pub samples: u64,
    /// Records, or lines of them, that could not be applied: what defined their rows was lost to damage, or was for
    /// another database.
    pub orphans: u64,
    /// Lines of an earlier build whose times nanoseconds do not reach.
    pub unreachable: u64,
}

impl AddAssign for Filled {
    fn add_assign(&mut self, more: Filled) {
        self.samples += more.samples;
        self.orphans += more.orphans;
        self.unreachable += more.unreachable;
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
    thread::scope(|scope| {
        let start = |number| {
            let (hand, stretches) = sync_channel(STRETCHES_WAITING_MAX);
            let thread = thread::Builder::new().name(format!("replay-{number}"));
            let thread = thread.spawn_scoped(scope, move || Worker::new(number).run(stretches));
            thread.map(|thread| (hand, thread))
        };
        // Where one fails, the others end: nobody has stretches for them any more.
        let started: Vec<_> = (0..cores.clamp(1, WORKERS_MAX)).map(start).collect::<io::Result<_>>()?;
        let (hands, workers): (Vec<_>, Vec<_>) = started.into_iter().unzip();
        let mut records = Records::new(databases, hands);
        let outcome = read(&mut records);
        let mut filled = records.end();
        for worker in workers {
            filled += worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        Ok((outcome, filled))
    })
}

/// What the log says of a row: that it is there, or that it has further fields.
struct Definition {
    /// The row, by the worker's number: the next one, or one that was defined before.
    place: u32,
    database: Arc<Database>,
    row: Arc<Row>,
    /// The numbers that the fields have now, in the order in which the log numbers them.
    fields: Vec<u16>,
}

/// The numbers that the fields of a row have now, by those they have in the log.
enum Fields {
    /// The same: so many.
    Same(usize),
    /// Others, where some of its fields came from another dictionary.
    Other(Vec<u16>),
}

impl Fields {
    /// Adds further ones.
    fn extend(&mut self, more: &[u16]) {
        match self {
            Fields::Same(count) if more.iter().enumerate().all(|(at, number)| *count + at == usize::from(*number)) => {
                *count += more.len();
            }
            Fields::Same(count) => {
                let same = 0..*count as u16; // within the 65,535 fields of a row
                *self = Fields::Other(same.chain(more.iter().copied()).collect());
            }
            Fields::Other(numbers) => numbers.extend_from_slice(more),
        }
    }

    /// The number that a field has now. `None` where the log has not defined it.
    #[inline]
    fn number(&self, field: u16) -> Option<u16> {
        match self {
            Fields::Same(count) => (usize::from(field) < *count).then_some(field),
            Fields::Other(numbers) => numbers.get(usize::from(field)).copied(),
        }
    }

    /// How many values a line has, and the number that those of its fields are below now.
    #[inline]
    fn size_of(&self, version: Version, line: &[u8]) -> (usize, usize) {
        if let (Fields::Same(known), Some(count)) = (self, lines::count_of_first(version, line))
            && usize::from(count) <= *known
        {
            return (count.into(), count.into());
        }
        let (mut count, mut end) = (0, 0);
        let _ = lines::read_values(version, line, |field, _| {
            count += 1;
            end = self.number(field).map_or(end, |number| end.max(usize::from(number) + 1));
        }); // where it cannot be read, the next reader finds that as well
        (count, end)
    }
}

/// A stretch of the log.
struct Stretch {
    /// In which form its lines are.
    version: Version,
    /// Its lines.
    bytes: Vec<u8>,
    /// By worker: the lines that are its own, in the order of the log. A log calls a row by one number at a time.
    lines: Vec<Vec<Line>>,
}

impl Stretch {
    fn new(workers: usize) -> Self {
        Stretch { version: Version::default(), bytes: Vec::new(), lines: (0..workers).map(|_| Vec::new()).collect() }
    }

    /// Empties it, and keeps the memory for the next one: fresh memory is cleared by the kernel first.
    fn clear(&mut self) {
        self.bytes.clear();
        self.lines.iter_mut().for_each(Vec::clear);
    }

    /// Bytes that it holds.
    fn size(&self) -> usize {
        self.bytes.len() + self.lines.iter().map(|lines| lines.len() * size_of::<Line>()).sum::<usize>()
    }
}

/// What a worker gets.
struct Share {
    /// Which generation the stretch is of. A worker's rows are numbered anew in each.
    generation: u64,
    /// What the log has defined of the worker's rows since the last stretch.
    definitions: Vec<Definition>,
    stretch: Arc<Stretch>,
}

/// Where a line is.
#[derive(Default, Clone, Copy)]
struct Line {
    time: i64,
    /// Its row, by the worker's number.
    row: u32,
    /// Where in the stretch its values begin.
    values: u32,
}

#[cfg(test)]
mod tests;
