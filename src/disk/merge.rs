//! Joins chunk files of a partition: neighbours in the order in which they count, so that the order stays what it was.

use super::DiskError;
use super::file::{ChunkFile, FileSelection};
use super::partition::FileName;
use super::writer::ChunkFileWriter;
use crate::codec::block::{self, Block};
use crate::codec::gorilla::{Chunk, OpenChunk};
use crate::series::{Labels, Samples};
use crate::vfs::SharedVfs;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The smallest size tier: files up to this many bytes count as equally small.
const TIER_BYTES: u64 = 256 << 10;

/// An archive keeps a series of fewer samples in chunks: there a block saves little, and takes long to find that.
const BLOCK_SAMPLES_MIN: usize = 128;

/// Which neighbours to merge, if any: a run of at least `fan_in` files of about one size or smaller, the smallest
/// size first. Each sample is then rewritten once a tier, and tiers grow by a factor of `fan_in`.
pub fn plan_merge(bytes: &[u64], fan_in: usize) -> Option<Range<usize>> {
    let fan_in = fan_in.max(2);
    let tier = |bytes: u64| (bytes / TIER_BYTES + 1).ilog(fan_in as u64);
    let highest = bytes.iter().map(|b| tier(*b)).max()?;
    for at_most in 0..=highest {
        let mut start = 0;
        for end in 0..=bytes.len() {
            if end == bytes.len() || tier(bytes[end]) > at_most {
                let run = &bytes[start..end];
                let (all, largest) = (run.iter().sum::<u64>(), run.iter().max().copied().unwrap_or(0));
                // A large file is not rewritten for the sake of some small ones, unless they have become many.
                if run.len() >= fan_in && (all >= 2 * largest || run.len() >= 2 * fan_in) {
                    return Some(start..end);
                }
                start = end + 1;
            }
        }
    }
    None
}

/// Merges `files`, which are neighbours in the order in which they count, into one. Holds the labels of all series
/// and the samples of one at a time. With `archived` it writes blocks. `keep_on` is asked between series: where it says no, nothing comes of the merge.
pub fn merge(
    vfs: &SharedVfs,
    dir: &Path,
    files: &[Arc<ChunkFile>],
    resident: bool,
    archived: bool,
    keep_on: &dyn Fn() -> bool,
) -> Result<Option<ChunkFile>, DiskError> {
    let (Some(oldest), Some(newest)) = (files.first(), files.last()) else { return Ok(None) };
    let first = files.iter().map(|file| file.name().first).min().unwrap_or(oldest.name().first);
    let name = FileName { first, last: newest.name().last };
    let (partition, database) = (oldest.info()?.partition, oldest.with_index(|index| index.database().to_string())?);
    let (sets, numbers) = join_sets(files)?;

    let mut metrics: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        file.with_index(|index| {
            for metric in 0..index.metric_count() {
                metrics.entry(index.metric(metric).to_string()).or_default().push((at, metric));
            }
        })?;
    }

    let mut writer = ChunkFileWriter::create(vfs.clone(), dir, name, partition, resident, archived)?;
    let mut run = || -> Result<bool, DiskError> {
        let mut samples = Samples::default();
        for (metric, sources) in &metrics {
            let found: Vec<(usize, FileSelection)> =
                sources.iter().map(|(at, m)| Ok((*at, files[*at].series_of(*m)?))).collect::<Result<_, DiskError>>()?;
            let mut series: Vec<(u32, usize, usize)> = Vec::new();
            for (source, (at, selection)) in found.iter().enumerate() {
                let number = |set: u32| numbers[*at][set as usize];
                series.extend(selection.series.iter().enumerate().map(|(s, one)| (number(one.set), source, s)));
            }
            series.sort_unstable();
            for same in series.chunk_by(|a, b| a.0 == b.0) {
                if !keep_on() {
                    return Ok(false);
                }
                samples.clear();
                for (_, source, one) in same {
                    let (at, selection) = &found[*source];
                    let chunks = selection.chunks_of(&selection.series[*one]);
                    files[*at].read(chunks, i64::MIN, i64::MAX, &mut samples)?;
                }
                match archived.then(|| blocks(&samples)).flatten() {
                    Some(blocks) => writer.series(metric, same[0].0, blocks.iter())?,
                    None => writer.series(metric, same[0].0, chunks(&samples).iter())?,
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
    writer.finish(&database, &sets.iter().collect::<Vec<_>>()).map(Some)
}

/// The label sets of all files in order, and by file the new number of each of its sets.
fn join_sets(files: &[Arc<ChunkFile>]) -> Result<(Vec<Labels>, Vec<Vec<u32>>), DiskError> {
    let mut all: Vec<(Labels, usize, u32)> = Vec::new();
    let mut numbers = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let count = file.with_index(|index| {
            all.extend((0..index.set_count() as u32).map(|set| (index.set(set), at, set)));
            index.set_count()
        })?;
        numbers.push(vec![0; count]);
    }
    all.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let mut sets: Vec<Labels> = Vec::new();
    for (labels, at, set) in all {
        if sets.last() != Some(&labels) {
            sets.push(labels);
        }
        numbers[at][set as usize] = sets.len() as u32 - 1;
    }
    Ok((sets, numbers))
}

/// Samples as blocks, where there are enough of them.
fn blocks(samples: &Samples) -> Option<Vec<Block>> {
    if samples.len() < BLOCK_SAMPLES_MIN { None } else { block::encode(&samples.times, &samples.values) }
}

/// Samples as as few chunks as may be.
fn chunks(samples: &Samples) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let (mut times, mut values) = (&samples.times[..], &samples.values[..]);
    while let (Some(time), Some(value)) = (times.first(), values.first()) {
        let mut open = OpenChunk::start(*time, *value);
        let taken = 1 + open.append(&times[1..], &values[1..]);
        chunks.push(open.to_chunk());
        (times, values) = (&times[taken..], &values[taken..]);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(plan_merge(sizes, 8), want, "{name}");
        }
    }

    #[test]
    fn files_stay_few_and_rewrites_logarithmic() {
        let (mut files, mut rewritten): (Vec<u64>, u64) = (Vec::new(), 0);
        let seals = 4000;
        for _ in 0..seals {
            files.push(200 << 10);
            while let Some(range) = plan_merge(&files, 8) {
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
