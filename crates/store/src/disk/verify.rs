//! Reads a chunk file whole: to say whether it is sound, or to show what is in it.

use super::file::{ChunkFile, ChunkRef};
use super::format::{FileInfo, TRAILER_BYTES};
use super::partition::FileName;
use super::{DiskError, Volume};
use sealine_base::causes;
use sealine_base::vfs::SharedVfs;
use sealine_codec::{Extent, Form, Overlay};
use sealine_model::{Column, PARTITION_NS, Samples, TimeUnit};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, where, as a sentence.
    pub what: String,
}

/// Reads every byte of a chunk file that means something and decodes every chunk. Returns what is wrong with it, and
/// how many samples are sound.
pub fn verify_file(vfs: &SharedVfs, path: &Path) -> (Vec<Fault>, u64) {
    let mut faults = Vec::new();
    let mut samples = 0;
    let mut fault = |error: &DiskError| {
        faults.push(Fault { path: path.to_path_buf(), what: causes::sentence(error) });
    };
    let walked = walk(vfs, path, &mut |file, _, _, chunks| {
        for chunk in chunks {
            match read_chunk(file, chunk) {
                Ok(_) => samples += chunk.extent.count as u64,
                Err(error) => fault(&error),
            }
        }
    });
    if let Err(error) = walked {
        fault(&error);
    }
    (faults, samples)
}

/// Writes what is in a chunk file for people to read. A chunk that cannot be read is shown with its fault.
pub fn dump(vfs: &SharedVfs, path: &Path, out: &mut dyn Write) -> Result<io::Result<()>, DiskError> {
    let file = open(vfs, path)?;
    let info = file.info()?;
    let mut written = describe(&info, file.bytes(), out);
    walk(vfs, path, &mut |file, column, set, chunks| {
        let tags = file.tags(set).unwrap_or_else(|_| sealine_model::Labels::empty());
        let mut show = || -> io::Result<()> {
            writeln!(out, "{} {tags}", Column::of(column))?;
            for chunk in chunks {
                let ChunkRef { at, length, form, extent: Extent { count, first, last, .. } } = chunk;
                let what = if *form == Form::Block { "block" } else { "chunk" };
                writeln!(out, "  {what} at byte {at}: {count} samples in {length} bytes, {first} to {last} ns")?;
                match read_chunk(file, chunk) {
                    Ok(samples) => {
                        for (time, value) in samples.times.iter().zip(&samples.values) {
                            writeln!(out, "    {time} {}", Column::of(column).kind().show(*value))?;
                        }
                    }
                    Err(error) => writeln!(out, "    {error}")?,
                }
            }
            Ok(())
        };
        if written.is_ok() {
            written = show();
        }
    })?;
    Ok(written)
}

/// What the trailer says, a line each.
fn describe(info: &FileInfo, file_bytes: u64, out: &mut dyn Write) -> io::Result<()> {
    let complete = if info.archived { " (an archive: the day was over, and came into this file)" } else { "" };
    let date = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| "?".into(), |at| at.to_string());
    let ((oldest, newest), (first, last)) = (info.times, info.generations);
    writeln!(out, "format version: {}{complete}", info.version)?;
    let midnight = date(info.partition.saturating_mul(PARTITION_NS));
    writeln!(out, "day: {} ({} days since 1970)", midnight.split('T').next().unwrap_or_default(), info.partition)?;
    writeln!(out, "generations: {first} to {last}")?;
    writeln!(out, "times: {oldest} to {newest} ns ({} to {})", date(oldest), date(newest))?;
    writeln!(out, "samples: {} in {} chunks of {} series", info.samples, info.chunks, info.series)?;
    let index_bytes = file_bytes.saturating_sub(info.index_at + TRAILER_BYTES as u64);
    writeln!(out, "chunks end at byte {}, entries at byte {}", info.entries_at, info.index_at)?;
    writeln!(out, "index: {index_bytes} bytes, CRC32C {:08x}", info.index_crc)
}

fn open(vfs: &SharedVfs, path: &Path) -> Result<ChunkFile, DiskError> {
    let bytes = vfs.open(path).and_then(|file| file.len()).map_err(DiskError::file("open chunk file", path))?;
    Ok(ChunkFile::found(Volume::unbounded(vfs.clone()), path.to_path_buf(), FileName { first: 0, last: 0 }, bytes))
}

/// What is done with a series: the file, the column's name, the number of the tag set, the chunks.
type Each<'a> = dyn FnMut(&ChunkFile, &str, u32, &[ChunkRef]) + 'a;

/// Gives every series to `each`.
fn walk(vfs: &SharedVfs, path: &Path, each: &mut Each<'_>) -> Result<(), DiskError> {
    let file = open(vfs, path)?;
    let index = file.index()?;
    for number in 0..index.column_count() {
        let (column, selection) = (index.column(number), file.series_of(number)?);
        for series in &selection.series {
            each(&file, column, series.set, selection.chunks_of(series));
        }
    }
    Ok(())
}

fn read_chunk(file: &ChunkFile, chunk: &ChunkRef) -> Result<Samples, DiskError> {
    let mut samples = Samples::default();
    let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
    file.read(std::slice::from_ref(chunk), i64::MIN, i64::MAX, &mut overlay)?;
    let whole = overlay.finish();
    debug_assert_eq!(whole, Ok(()), "nothing is finer");
    let (first, last) = (samples.times.first().copied(), samples.times.last().copied());
    let is = |time: Option<i64>, said: i64| time == Some(said) || [i64::MIN, i64::MAX].contains(&said);
    // Where the index says that a chunk of milliseconds reaches beyond nanoseconds, its samples there are passed over.
    if !is(first, chunk.extent.first) || !is(last, chunk.extent.last) {
        let got =
            first.zip(last).map_or("it is empty".into(), |(first, last)| format!("its times are {first} to {last}"));
        let what = format!("{got}, the index says {} to {}", chunk.extent.first, chunk.extent.last);
        return Err(DiskError::damaged(file.path(), chunk.at, what));
    }
    Ok(samples)
}
