//! Joins chunk files of a partition: neighbours in the order in which they count, so that the order stays what it was.

use super::archive::Archive;
use super::file::{ChunkFile, FileSelection};
use super::partition::FileName;
use super::tag_sets::JoinedSets;
use super::writer::ChunkFileWriter;
use super::{DiskError, Volume};
use sealine_base::pools::Pool;
use sealine_base::{clock, cores};
use sealine_codec::{Overlay, gorilla};
use sealine_model::{Samples, TimeUnit};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The smallest size tier: files up to this many bytes count as equally small.
const TIER_BYTES: u64 = 256 << 10;

/// Memory that a merge takes beside the indexes, for each byte of index and entries that it merges: numbers of tag
/// sets, entries and index of the file to be.
const HELD_BY_DESCRIBED: usize = 4;

/// What a plan has to know of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its length.
    pub bytes: u64,
    /// Those of its bytes that describe its series: what a merge holds memory for.
    pub described: u64,
}

/// Which neighbours to merge, if any: a run of at least `fan_in` files of about one size or smaller, the smallest
/// size first. Each sample is then rewritten once a tier, and tiers grow by a factor of `fan_in`. No more than
/// `described_max` is described by those of one run.
pub fn plan_merge(files: &[Size], fan_in: usize, described_max: u64) -> Option<Range<usize>> {
    let fan_in = fan_in.max(2);
    let tier = |file: &Size| (file.bytes / TIER_BYTES + 1).ilog(fan_in as u64);
    let highest = files.iter().map(tier).max()?;
    for at_most in 0..=highest {
        for run in runs(files, described_max, |file| tier(file) <= at_most) {
            let sizes = files[run.clone()].iter().map(|file| file.bytes);
            let (all, largest) = (sizes.clone().sum::<u64>(), sizes.max().unwrap_or(0));
            // A large file is not rewritten for the sake of some small ones, unless they have become many.
            if run.len() >= fan_in && (all >= 2 * largest || run.len() >= 2 * fan_in) {
                return Some(run);
            }
        }
    }
    None
}

/// Neighbours that `may_join`, in runs that are as long as they may be: no more than `described_max` is described by one,
/// except for a single file that is larger.
pub fn runs(files: &[Size], described_max: u64, may_join: impl Fn(&Size) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut described = 0u64;
    for (at, file) in files.iter().enumerate().filter(|(_, file)| may_join(file)) {
        let all = described.saturating_add(file.described);
        match runs.last_mut() {
            Some(run) if run.end == at && all <= described_max => {
                run.end = at + 1;
                described = all;
            }
            _ => {
                runs.push(at..at + 1);
                described = file.described;
            }
        }
    }
    runs
}

/// Merges `files`, which are neighbours in the order in which they count, into one. Holds their indexes, the entries of
/// a column and the samples of a series at a time. With `archived` it writes blocks. `keep_on` is asked between series:
/// where it says no, the merge is abandoned.
pub fn merge(
    volume: &Volume,
    dir: &Path,
    files: &[Arc<ChunkFile>],
    resident: bool,
    archived: bool,
    keep_on: &dyn Fn() -> bool,
) -> Result<Option<ChunkFile>, DiskError> {
    let (Some(oldest), Some(newest)) = (files.first(), files.last()) else { return Ok(None) };
    let first = files.iter().map(|file| file.name().first).min().unwrap_or(oldest.name().first);
    let name = FileName { first, last: newest.name().last };
    let partition = oldest.info()?.partition;
    let described = files.iter().map(|file| file.described_bytes()).sum::<Result<u64, DiskError>>()?;
    let mut counted = volume.pools.lease(Pool::Maintenance);
    counted.set(described as usize * HELD_BY_DESCRIBED);
    let indexes = files.iter().map(|file| file.index()).collect::<Result<Vec<_>, _>>()?;
    let disordered = |at: usize| DiskError::damaged(files[at].path(), 0, "its tag sets are not in order");
    let sets = JoinedSets::of(&indexes).map_err(disordered)?;

    let mut columns: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, index) in indexes.iter().enumerate() {
        for column in 0..index.column_count() {
            columns.entry(index.column(column).to_string()).or_default().push((at, column));
        }
    }

    let mut writer = ChunkFileWriter::create(volume.clone(), dir, name, partition, resident, archived)?;
    let mut run = || -> Result<bool, DiskError> {
        let (mut samples, mut archive) = (Samples::default(), Archive::default());
        for (column, sources) in &columns {
            let found: Vec<(usize, FileSelection)> =
                sources.iter().map(|(at, m)| Ok((*at, files[*at].series_of(*m)?))).collect::<Result<_, DiskError>>()?;
            let mut series: Vec<(u32, usize, usize)> = Vec::new();
            for (source, (at, selection)) in found.iter().enumerate() {
                let joined = |set: u32| sets.number(*at, set);
                series.extend(selection.series.iter().enumerate().map(|(s, one)| (joined(one.set), source, s)));
            }
            series.sort_unstable();
            for same in series.chunk_by(|a, b| a.0 == b.0) {
                if !keep_on() {
                    return Ok(false);
                }
                cores::give_way(clock::instant());
                let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
                for (_, source, one) in same {
                    let (at, selection) = &found[*source];
                    let chunks = selection.chunks_of(&selection.series[*one]);
                    files[*at].read(chunks, i64::MIN, i64::MAX, &mut overlay)?;
                }
                overlay.finish().expect("BUG: something is finer than nanoseconds");
                let in_blocks = archived && archive.series(&mut writer, column, same[0].0, &samples)?;
                if !in_blocks {
                    writer.series(column, same[0].0, gorilla::chunks(&samples.times, &samples.values).iter())?;
                }
            }
        }
        Ok(true)
    };
    match run() {
        Ok(true) => {}
        Ok(false) => {
            writer.abandon();
            return Ok(None);
        }
        Err(error) => {
            writer.abandon();
            return Err(error);
        }
    }
    writer.finish(indexes[0].database(), &sets).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(bytes: &[u64], fan_in: usize) -> Option<Range<usize>> {
        plan_merge(
            &bytes.iter().map(|bytes| Size { bytes: *bytes, described: 1 }).collect::<Vec<_>>(),
            fan_in,
            u64::MAX,
        )
    }

    #[test]
    fn a_run_describes_no_more_than_it_may() {
        let sizes = |described: &[u64]| -> Vec<Size> {
            described.iter().map(|described| Size { bytes: 1, described: *described }).collect()
        };
        for (name, described, want, planned) in [
            ("nothing", &[][..], vec![], None),
            ("as many as are there", &[25, 25, 25, 26], vec![0..3, 3..4], Some(0..3)),
            ("as many as may", &[40, 60, 1, 99, 1], vec![0..2, 2..4, 4..5], None),
            ("one by itself is too large", &[10, 500, 30, 30, 30, 30], vec![0..1, 1..2, 2..5, 5..6], Some(2..5)),
        ] {
            assert_eq!(runs(&sizes(described), 100, |_| true), want, "{name}");
            assert_eq!(plan_merge(&sizes(described), 3, 100), planned, "{name}");
        }
        assert_eq!(runs(&sizes(&[1, 2, 3]), 100, |size| size.described != 2), [0..1, 2..3]);
    }

    #[test]
    fn small_neighbours_are_merged_first_and_a_large_file_is_left_alone() {
        const K: u64 = 1 << 10;
        const M: u64 = 1 << 20;
        for (name, sizes, want) in [
            ("nothing", &[][..], None),
            ("too few", &[K; 7], None),
            ("enough", &[K; 8], Some(0..8)),
            ("small ones behind a large one", &[100 * M, K, K, K, K, K, K, K, K], Some(1..9)),
            ("small ones around a large one", &[K, K, K, K, 100 * M, K, K, K, K], None),
            ("smaller ones join", &[3 * M, 3 * M, 3 * M, 3 * M, K, 3 * M, 3 * M, 3 * M], Some(0..8)),
            (
                "the smallest tier goes first",
                &[3 * M, 3 * M, 3 * M, 3 * M, 3 * M, 3 * M, 3 * M, 3 * M, K, K, K, K, K, K, K, K],
                Some(8..16),
            ),
        ] {
            assert_eq!(plan(sizes, 8), want, "{name}");
        }
    }

    #[test]
    fn files_stay_few_and_rewrites_logarithmic() {
        let (mut files, mut rewritten): (Vec<u64>, u64) = (Vec::new(), 0);
        let seals = 4000;
        for _ in 0..seals {
            files.push(200 << 10);
            while let Some(range) = plan(&files, 8) {
                let bytes: u64 = files[range.clone()].iter().sum();
                rewritten += bytes;
                files.splice(range, [bytes]);
            }
            assert!(files.len() <= 24, "{} files: {files:?}", files.len());
        }
        let written = seals * (200 << 10);
        assert!(rewritten < written * 6, "each byte was rewritten {} times", rewritten as f64 / written as f64);
    }
}
