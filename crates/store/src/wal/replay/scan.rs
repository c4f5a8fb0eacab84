//! Reads one segment and judges what it finds. Changes nothing.

use super::{Damage, Record};
use crate::wal::ReplayError;
use crate::wal::reader::{SegmentReader, Step};
use crate::wal::record::RECORD_HEADER_BYTES;
use crate::wal::segment::{SEGMENT_HEADER_BYTES, SEGMENT_VERSION};
use sealine_base::planted::{self, Bug};
use sealine_base::vfs::{Vfs, VfsFile};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

/// A segment that is to be read.
pub struct Segment {
    pub path: PathBuf,
    /// The generation in its name.
    pub generation: u64,
    /// The file's length.
    pub bytes: u64,
    /// Whether no other follows.
    pub last: bool,
}

/// What is in a segment.
#[derive(Default)]
pub struct Findings {
    /// Sound records, without those of the torn tail.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The number for the next record.
    pub next_lsn: u64,
    /// Stretches that could not be read, with sound records behind them.
    pub damages: Vec<Damage>,
    /// Where the log ends, if that is before the segment does.
    pub torn: Option<Torn>,
    /// Where the first record stands that no later one calls durable.
    pub unsure_from: Option<u64>,
}

/// The tail of a segment, which is no part of the log.
#[derive(Clone, Copy)]
pub struct Torn {
    /// Where it starts.
    pub offset: u64,
    /// Sound records in it.
    pub records: u64,
}

/// Reads a segment and gives each sound record to `apply`. `next_lsn` is the number for its first record.
pub fn scan(
    vfs: &dyn Vfs,
    segment: &Segment,
    next_lsn: u64,
    apply: &mut impl FnMut(Record<'_>),
) -> Result<Findings, ReplayError> {
    let Segment { path, generation, bytes, last } = segment;
    let file_error = |what| move |source| ReplayError::File { what, path: path.clone(), source };
    let file = vfs.open(path).map_err(file_error("open log segment"))?;
    let mut reader = SegmentReader::new(&*file, *bytes);
    let mut found = Findings { next_lsn, ..Findings::default() };
    let mut relaxed = false;
    let version = match reader.header().map_err(file_error("read log segment"))? {
        Some(header) if !(1..=SEGMENT_VERSION).contains(&header.version) => {
            return Err(ReplayError::Version { path: path.clone(), got: header.version, want: SEGMENT_VERSION });
        }
        Some(header) if header.generation == *generation => {
            relaxed = header.relaxed;
            header.version
        }
        _ => {
            let bytes = SEGMENT_HEADER_BYTES.min(*bytes as usize) as u64;
            found.damages.push(Damage { path: path.clone(), offset: 0, bytes });
            reader.likely_version().map_err(file_error("read log segment"))?
        }
    };
    // A segment with a successor was synced before that was begun: it has no hole.
    let mark = match *last && relaxed && !planted::is(Bug::ReadBehindHole) {
        true => Some(highest_mark(&*file, *bytes).map_err(file_error("read log segment"))?),
        false => None,
    };
    let (mut durable, mut unsure) = (0, VecDeque::new());
    while let Some(step) = reader.next(found.next_lsn).map_err(file_error("read log segment"))? {
        match (&mut found.torn, step) {
            (Some(torn), step) => torn.records += u64::from(matches!(step, Step::Record { .. })),
            (None, Step::Record { offset, header }) => {
                apply(Record { version, generation: *generation, payload: reader.payload() });
                durable = durable.max(header.durable);
                unsure.push_back((header.lsn, offset));
                while unsure.front().is_some_and(|(lsn, _)| *lsn <= durable) {
                    unsure.pop_front();
                }
                found.records += 1;
                found.bytes += (RECORD_HEADER_BYTES + header.length as usize) as u64;
                found.next_lsn = header.lsn + 1;
            }
            (None, Step::Damaged { offset, bytes, behind }) => match behind {
                Some(behind) if !is_hole(mark, found.next_lsn, behind) => {
                    found.damages.push(Damage { path: path.clone(), offset, bytes });
                }
                _ => found.torn = Some(Torn { offset, records: 0 }),
            },
        }
    }
    found.unsure_from = unsure.front().map(|(_, offset)| *offset);
    Ok(found)
}

/// Whether a stretch before the sound record numbered `behind` is a hole in what was not synced, rather than rot: `mark`
/// is the highest number that the segment calls durable, `None` where every record was synced before it was answered for.
/// Where no record is known before the stretch, those in front of `behind` may have had any number.
fn is_hole(mark: Option<u64>, next_lsn: u64, behind: u64) -> bool {
    let before = if next_lsn > 1 { next_lsn } else { behind } - 1;
    mark.is_some_and(|mark| mark <= before)
}

/// The highest number that a record of the segment calls durable.
fn highest_mark(file: &dyn VfsFile, length: u64) -> io::Result<u64> {
    let mut reader = SegmentReader::behind_header(file, length);
    let (mut mark, mut next_lsn) = (0, 0);
    while let Some(step) = reader.next(next_lsn)? {
        if let Step::Record { header, .. } = step {
            mark = mark.max(header.durable);
            next_lsn = header.lsn + 1;
        }
    }
    Ok(mark)
}
