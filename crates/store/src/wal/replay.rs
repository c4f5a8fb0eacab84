//! Reads the log at start-up, record by record, in no more memory than the largest record needs.
//!
//! A record that does not check out has one of two reasons. Where no sound record follows, the daemon or the machine
//! died while writing it: it was never answered for, and the file is cut there. Where a sound one follows, the bytes
//! rotted: a copy of the segment is set aside, the damage is reported, and reading goes on behind it.
//!
//! Where records may be answered for before they are synced, a power cut leaves holes as well: the disk writes what was
//! not synced in any order. A hole that no durable mark reaches ends the log, whatever stands behind it (`replay/scan.rs`).

mod plan;
mod repair;
mod scan;

use super::ReplayError;
use super::segment::{SegmentName, segments};
use scan::Segment;
use sealine_base::vfs::Vfs;
use std::collections::BTreeSet;
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
    /// The format's version, in which the payload is. Of a segment whose header has rotted, the one that it most likely had.
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
    let mut replayed = Replayed { next_lsn: 1, ..Replayed::default() };
    let all = segments(vfs, dir).map_err(file_error("list", dir))?;
    let begun: BTreeSet<u64> =
        all.iter().filter(|(name, _)| name.sequence == 0).map(|(name, _)| name.generation).collect();
    let (all, forgotten): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| begun.contains(&name.generation));
    for (name, _) in &forgotten {
        remove_sealed(vfs, &dir.join(name.to_string()))?;
    }
    vfs.sync_dir(dir).map_err(file_error("sync", dir))?;
    replayed.last_generation = all.iter().chain(&forgotten).map(|(name, _)| name.generation).max();
    replayed.missing_segments = all.windows(2).map(|pair| missing_between(pair[0].0, pair[1].0)).sum();
    for (at, (name, bytes)) in all.iter().enumerate() {
        let (path, last) = (dir.join(name.to_string()), at + 1 == all.len());
        let segment = Segment { path, generation: name.generation, bytes: *bytes, last };
        let found = scan::scan(vfs, &segment, replayed.next_lsn, &mut apply)?;
        replayed.records += found.records;
        replayed.bytes += found.bytes;
        replayed.next_lsn = found.next_lsn;
        let plan = plan::plan(&segment, found);
        for repair in plan.repairs {
            let repaired = repair.carry_out(vfs, &segment.path, quarantine);
            repaired.map_err(file_error(repair.what(), &segment.path))?;
        }
        replayed.torn_bytes += plan.torn_bytes;
        replayed.torn_records += plan.torn_records;
        replayed.damages.extend(plan.damages);
    }
    Ok(replayed)
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ReplayError {
    let path = path.to_path_buf();
    move |source| ReplayError::File { what, path, source }
}

fn remove_sealed(vfs: &dyn Vfs, path: &Path) -> Result<(), ReplayError> {
    tracing::info!(path = %path.display(), "the rest of a sealed generation's log is removed");
    vfs.remove_file(path).map_err(file_error("remove sealed log segment", path))
}

/// How many segments are not there between two that follow each other.
fn missing_between(before: SegmentName, after: SegmentName) -> u64 {
    let expected = if before.generation == after.generation { before.sequence.saturating_add(1) } else { 0 };
    if after.sequence <= expected {
        return 0;
    }
    let segment = SegmentName { generation: after.generation, sequence: expected };
    tracing::error!(%segment, before = %after, "the log has a gap: what these segments held is lost");
    u64::from(after.sequence - expected)
}

#[cfg(test)]
mod tests;
