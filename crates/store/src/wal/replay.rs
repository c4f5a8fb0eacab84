//! Reads the log at start-up, record by record, in no more memory than the largest record needs.
//!
//! A record that does not check out has one of two reasons. Where no sound record follows, the daemon or the machine
//! died while writing it: it was never answered for, and the file is cut there. Where a sound one follows, the bytes
//! rotted: a copy of the segment is set aside, the damage is reported, and reading goes on behind it.
//!
//! Where records may be answered for before they are synced, a power cut leaves holes as well: the disk writes what was
//! not synced in any order. A hole that no durable mark reaches ends the log, whatever stands behind it (`is_hole`).

use super::ReplayError;
use super::reader::{READ_BYTES, SegmentReader, Step};
use super::record::{RECORD_HEADER_BYTES, RecordHeader};
use super::segment::{SEGMENT_HEADER_BYTES, SEGMENT_VERSION, SegmentName, segments};
use sealine_base::planted::{self, Bug};
use sealine_base::vfs::{Vfs, VfsFile};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

/// What a replay found.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Sound records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The number for the next record.
    pub next_lsn: u64,
    /// The highest generation there is a segment of.
    pub last_generation: Option<u64>,
    /// Bytes cut off as a torn tail.
    pub torn_bytes: u64,
    /// Sound records among them: they stood behind a hole in what was not synced.
    pub torn_records: u64,
    /// Segments that are not there though later ones of their generation are.
    pub missing_segments: u64,
    /// Stretches that could not be read, with sound records behind them.
    pub damages: Vec<Damage>,
}

/// A stretch of a segment that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where the stretch starts.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// A sound record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The format's version, in which the payload is. Of a segment whose header has rotted, the one that is written.
    pub version: u32,
    /// The generation that it belongs to.
    pub generation: u64,
    /// What its writer gave.
    pub payload: &'a [u8],
}

/// Reads every segment in `dir`, oldest first, and gives each sound record to `apply`.
/// Cuts torn tails; copies damaged segments to `quarantine`. A generation whose first segment is missing is in chunk
/// files, and a crash came while its log was being deleted: what is left of it is not read, and deleted.
pub fn replay(
    vfs: &dyn Vfs,
    dir: &Path,
    quarantine: &Path,
    mut apply: impl FnMut(Record<'_>),
) -> Result<Replayed, ReplayError> {
    let file_error = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| ReplayError::File { what, path, source }
    };
    let mut replayed = Replayed { next_lsn: 1, ..Replayed::default() };
    let all = segments(vfs, dir).map_err(file_error("list", dir))?;
    let begun: BTreeSet<u64> =
        all.iter().filter(|(name, _)| name.sequence == 0).map(|(name, _)| name.generation).collect();
    let (all, forgotten): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| begun.contains(&name.generation));
    for (name, _) in &forgotten {
        let path = dir.join(name.to_string());
        tracing::info!(path = %path.display(), "the rest of a sealed generation's log is removed");
        vfs.remove_file(&path).map_err(file_error("remove sealed log segment", &path))?;
        replayed.last_generation = Some(name.generation);
    }
    vfs.sync_dir(dir).map_err(file_error("sync", dir))?;
    for pair in all.windows(2).map(|pair| [pair[0].0, pair[1].0]) {
        let expected = if pair[0].generation == pair[1].generation { pair[0].sequence.saturating_add(1) } else { 0 };
        if pair[1].sequence > expected {
            let segment = SegmentName { generation: pair[1].generation, sequence: expected };
            tracing::error!(%segment, before = %pair[1], "the log has a gap: what these segments held is lost");
            replayed.missing_segments += u64::from(pair[1].sequence - expected);
        }
    }
    for (at, (name, bytes)) in all.iter().enumerate() {
        let path = dir.join(name.to_string());
        replayed.last_generation = replayed.last_generation.max(Some(name.generation));
        let file = vfs.open(&path).map_err(file_error("open log segment", &path))?;
        let mut reader = SegmentReader::new(&*file, *bytes);
        let mut damages = Vec::new();
        let last = at + 1 == all.len();
        let (mut relaxed, mut version) = (false, SEGMENT_VERSION);
        match reader.header().map_err(file_error("read log segment", &path))? {
            Some(header) if !(1..=SEGMENT_VERSION).contains(&header.version) => {
                return Err(ReplayError::Version { path, got: header.version, want: SEGMENT_VERSION });
            }
            Some(header) if header.generation == name.generation => {
                (relaxed, version) = (header.relaxed, header.version);
            }
            _ => damages.push(Damage {
                path: path.clone(),
                offset: 0,
                bytes: SEGMENT_HEADER_BYTES.min(*bytes as usize) as u64,
            }),
        }
        // A segment with a successor was synced before that was begun: it has no hole.
        let mark = match last && relaxed && !planted::is(Bug::ReadBehindHole) {
            true => Some(highest_mark(&*file, *bytes).map_err(file_error("read log segment", &path))?),
            false => None,
        };
        let (mut torn_at, mut durable, mut unsure, mut torn_records) = (None, 0, VecDeque::new(), 0);
        while let Some(step) = reader.next(replayed.next_lsn).map_err(file_error("read log segment", &path))? {
            match step {
                _ if torn_at.is_some() => torn_records += u64::from(matches!(step, Step::Record { .. })),
                Step::Record { offset, header } => {
                    apply(Record { version, generation: name.generation, payload: reader.payload() });
                    durable = durable.max(header.durable);
                    unsure.push_back((header.lsn, offset));
                    while unsure.front().is_some_and(|(lsn, _)| *lsn <= durable) {
                        unsure.pop_front();
                    }
                    replayed.records += 1;
                    replayed.bytes += (RECORD_HEADER_BYTES + header.length as usize) as u64;
                    replayed.next_lsn = header.lsn + 1;
                }
                Step::Damaged { offset, behind: None, .. } => torn_at = Some(offset),
                Step::Damaged { offset, behind: Some(behind), .. } if is_hole(mark, replayed.next_lsn, behind) => {
                    torn_at = Some(offset);
                }
                Step::Damaged { offset, bytes, .. } => damages.push(Damage { path: path.clone(), offset, bytes }),
            }
        }
        if last && !damages.is_empty() && *bytes <= SEGMENT_HEADER_BYTES as u64 {
            // The daemon died while it made this segment: nothing was in it.
            damages.clear();
            torn_at = None;
            vfs.remove_file(&path).map_err(file_error("remove empty log segment", &path))?;
        }
        if last && let Some((_, from)) = unsure.front() {
            let end = torn_at.unwrap_or(*bytes);
            make_durable(vfs, &path, *from, end).map_err(file_error("write again the end of log segment", &path))?;
        }
        if torn_records > 0 {
            keep_copy(vfs, &path, quarantine).map_err(file_error("copy to quarantine the log segment", &path))?;
        }
        if let Some(offset) = torn_at {
            if last {
                replayed.torn_bytes += *bytes - offset;
                replayed.torn_records += torn_records;
                let cut = vfs.open_append(&path).and_then(|mut f| f.truncate(offset).and_then(|()| f.sync()));
                cut.map_err(file_error("cut the torn tail of log segment", &path))?;
            } else {
                // Later segments are only begun once this one is synced, so its tail cannot be torn.
                damages.push(Damage { path: path.clone(), offset, bytes: *bytes - offset });
            }
        }
        if !damages.is_empty() {
            keep_copy(vfs, &path, quarantine).map_err(file_error("copy to quarantine the log segment", &path))?;
            replayed.damages.append(&mut damages);
        }
    }
    Ok(replayed)
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

/// Writes the end of the last segment again, with the same bytes, and syncs it: a process that was killed may have left
/// them with the kernel alone, and where its sync had failed the kernel takes them for written, so that another sync
/// does nothing. What a query sees from now on must not go with the next power cut.
fn make_durable(vfs: &dyn Vfs, path: &Path, from: u64, end: u64) -> io::Result<()> {
    let file = vfs.open(path)?;
    let mut at = from;
    while at < end {
        let mut block = vec![0; READ_BYTES.min((end - at) as usize)];
        file.read_at(&mut block, at)?;
        vfs.overwrite(path, &block, at)?;
        at += block.len() as u64;
    }
    Ok(())
}

/// Copies a damaged segment, so that it can be looked at after the seal has deleted it. A disk that is full keeps no copy,
/// and does not keep the daemon from starting either.
fn keep_copy(vfs: &dyn Vfs, path: &Path, quarantine: &Path) -> io::Result<()> {
    match set_aside(vfs, path, quarantine) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            tracing::error!(path = %path.display(), %error, "the disk is full: no copy of a damaged segment is kept");
            Ok(())
        }
        outcome => outcome,
    }
}

fn set_aside(vfs: &dyn Vfs, path: &Path, quarantine: &Path) -> io::Result<()> {
    vfs.create_dir_all(quarantine)?;
    let Some(name) = path.file_name() else { return Ok(()) };
    let (to, unfinished) = (quarantine.join(name), quarantine.join(name).with_extension("wal.tmp"));
    if vfs.open(&to).is_ok() {
        return Ok(()); // copied at an earlier start
    }
    let _ = vfs.remove_file(&unfinished); // what an earlier start did not finish
    let from = vfs.open(path)?;
    let mut copy = vfs.create(&unfinished)?;
    let mut copied = || -> io::Result<()> {
        let (mut at, length) = (0, from.len()?);
        while at < length {
            let mut block = vec![0; READ_BYTES.min((length - at) as usize)];
            from.read_at(&mut block, at)?;
            copy.append(&block)?;
            at += block.len() as u64;
        }
        copy.sync()
    };
    if let Err(error) = copied() {
        let _ = vfs.remove_file(&unfinished);
        return Err(error);
    }
    vfs.rename(&unfinished, &to)?;
    vfs.sync_dir(quarantine)
}

/// Describes every record of a segment, for `sealine dump` and `sealine verify`: `record` gets its offset and its header as
/// well; damage is returned.
pub fn dump(
    vfs: &dyn Vfs,
    path: &Path,
    mut record: impl FnMut(u64, &RecordHeader, Record<'_>),
) -> Result<(Option<u64>, Vec<Damage>), ReplayError> {
    let file_error = |source| ReplayError::File { what: "read log segment", path: path.to_path_buf(), source };
    let file = vfs.open(path).map_err(file_error)?;
    let length = file.len().map_err(file_error)?;
    let mut reader = SegmentReader::new(&*file, length);
    let header = reader.header().map_err(file_error)?;
    let mut damages = Vec::new();
    if header.is_none() {
        let bytes = length.min(SEGMENT_HEADER_BYTES as u64);
        damages.push(Damage { path: path.to_path_buf(), offset: 0, bytes });
    }
    let version = header.map_or(SEGMENT_VERSION, |header| header.version);
    let generation = header.map_or(0, |header| header.generation);
    let mut next_lsn = 0;
    while let Some(step) = reader.next(next_lsn).map_err(file_error)? {
        match step {
            Step::Record { offset, header } => {
                next_lsn = header.lsn + 1;
                record(offset, &header, Record { version, generation, payload: reader.payload() });
            }
            Step::Damaged { offset, bytes, .. } => damages.push(Damage { path: path.to_path_buf(), offset, bytes }),
        }
    }
    Ok((header.map(|header| header.generation), damages))
}

impl SegmentName {
    /// The name of the segment at a path.
    pub fn of(path: &Path) -> Option<SegmentName> {
        SegmentName::parse(path.file_name()?.to_str()?)
    }
}

#[cfg(test)]
mod tests;
