//! Writes one chunk file, series by series, in one pass and in memory that grows with series, not with samples.

use super::file::{ChunkFile, Resident};
use super::format::{Described, FILE_VERSION, FileInfo, SERIES_PER_BLOCK, encode_header};
use super::index_writer::{TagSets, encode_index};
use super::partition::FileName;
use super::{DiskError, Volume};
use sealine_base::planted::{self, Bug};
use sealine_base::vfs::VfsFile;
use sealine_codec::block::Block;
use sealine_codec::gorilla::Chunk;
use sealine_codec::{Extent, Form, varint};
use sealine_model::{Labels, PARTITION_NS};
use std::path::{Path, PathBuf};

/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// A chunk file that is being written: give it every series in order, then the tag sets.
pub struct ChunkFileWriter {
    volume: Volume,
    /// The file's name until it is whole, and then.
    from: PathBuf,
    to: PathBuf,
    name: FileName,
    file: Box<dyn VfsFile>,
    /// Bytes not written yet, and the offset of the first.
    buffer: Vec<u8>,
    written: u64,
    /// A copy of the chunks, where the file is to stay resident.
    resident: Option<Resident>,
    info: FileInfo,
    entries: Vec<u8>,
    columns: Vec<ColumnEntries>,
    last_set: u32,
}

/// A chunk or a block on its way into a file.
pub struct Piece<'a> {
    form: Form,
    extent: Extent,
    bytes: &'a [u8],
}

impl<'a> From<&'a Chunk> for Piece<'a> {
    fn from(chunk: &'a Chunk) -> Self {
        Piece { form: Form::Chunk, extent: chunk.extent(), bytes: &chunk.bytes }
    }
}

impl<'a> From<&'a Block> for Piece<'a> {
    fn from(block: &'a Block) -> Self {
        Piece { form: Form::Block, extent: block.extent(), bytes: &block.bytes }
    }
}

/// Where the series of a column stand.
pub(super) struct ColumnEntries {
    pub name: Box<str>,
    pub series: u64,
    pub blocks: Vec<EntryBlock>,
}

/// Where the entries of up to [`SERIES_PER_BLOCK`] series stand.
pub(super) struct EntryBlock {
    pub first_set: u32,
    /// Offset from the start of the entries.
    pub entries_at: u64,
    /// Offset of the first chunk in the file.
    pub chunks_at: u64,
    /// CRC32C of the entries.
    pub crc: u32,
}

impl ChunkFileWriter {
    /// Starts the file `name` in the folder of its partition, which must exist. `resident` keeps a copy in memory;
    /// `archived` says that the partition is complete and comes into this one file.
    pub fn create(
        volume: Volume,
        dir: &Path,
        name: FileName,
        partition: i64,
        resident: bool,
        archived: bool,
    ) -> Result<Self, DiskError> {
        let to = dir.join(name.to_string());
        let from = dir.join(format!("{name}.tmp"));
        let created = match volume.vfs.create(&from) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Left over by an attempt that failed.
                volume.vfs.remove_file(&from).and_then(|()| volume.vfs.create(&from))
            }
            created => created,
        };
        let info = FileInfo {
            version: FILE_VERSION,
            partition,
            generations: (name.first, name.last),
            times: (i64::MAX, i64::MIN),
            archived,
            ..FileInfo::default()
        };
        Ok(ChunkFileWriter {
            file: created.map_err(DiskError::file("create chunk file", &from))?,
            resident: resident.then(|| Resident::new(&volume, Vec::new())),
            volume,
            from,
            to,
            name,
            buffer: encode_header(FILE_VERSION).to_vec(),
            written: 0,
            info,
            entries: Vec::new(),
            columns: Vec::new(),
            last_set: 0,
        })
    }

    /// Adds a series: a column and the number of its tag set, both never going back, and its chunks or blocks, at least
    /// one, in the order in which they were written. Of equal times in two of them the later one counts.
    pub fn series<'a>(
        &mut self,
        column: &str,
        set: u32,
        chunks: impl ExactSizeIterator<Item = impl Into<Piece<'a>>>,
    ) -> Result<(), DiskError> {
        if self.columns.last().is_none_or(|last| *last.name != *column) {
            self.close_block();
            self.columns.push(ColumnEntries { name: column.into(), series: 0, blocks: Vec::new() });
        }
        let chunks_at = self.at();
        let entries_at = self.entries.len() as u64;
        let new_block = self.columns.last().is_some_and(|m| m.series % SERIES_PER_BLOCK as u64 == 0);
        if new_block {
            self.close_block();
            self.last_set = set;
        }
        if let Some(column) = self.columns.last_mut() {
            if new_block {
                column.blocks.push(EntryBlock { first_set: set, entries_at, chunks_at, crc: 0 });
            }
            column.series += 1;
        }
        assert!(set >= self.last_set, "BUG: series were not given in order");
        varint::push(&mut self.entries, u64::from(set - self.last_set));
        varint::push(&mut self.entries, chunks.len() as u64);
        self.last_set = set;
        let mut before = self.info.partition.wrapping_mul(PARTITION_NS);
        for chunk in chunks {
            let Piece { form, extent: Extent { unit, count, first, last }, bytes } = chunk.into();
            varint::push(&mut self.entries, bytes.len() as u64);
            varint::push(&mut self.entries, Described { count, unit, form }.encode());
            varint::push_signed(&mut self.entries, unit.floor(first).wrapping_sub(unit.floor(before)));
            varint::push(&mut self.entries, unit.floor(last).wrapping_sub(unit.floor(first)) as u64);
            before = last;
            self.buffer.extend_from_slice(bytes);
            self.buffer.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
            self.info.times = (self.info.times.0.min(first), self.info.times.1.max(last));
            self.info.samples += count as u64;
            self.info.chunks += 1;
        }
        self.info.series += 1;
        if self.buffer.len() >= WRITE_BYTES { self.write_out() } else { Ok(()) }
    }

    /// Where the next chunk will start.
    pub(super) fn at(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Bytes of chunks that it was given.
    pub(super) fn read_back(&self, at: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; length];
        match at.checked_sub(self.written) {
            Some(at) => bytes.copy_from_slice(&self.buffer[at as usize..][..length]),
            // What is written is written by whole series.
            None => self.file.read_at(&mut bytes, at).map_err(DiskError::file("read chunk file", &self.from))?,
        }
        Ok(bytes)
    }

    /// Writes what indexes the series, makes the file durable and gives it its name. `sets` are the tag sets by
    /// number. Returns the file, ready to be read.
    /// Where that fails, nothing of it stays.
    pub fn finish<'a>(mut self, database: &str, sets: &impl TagSets<'a>) -> Result<ChunkFile, DiskError> {
        match self.write_end(database, sets) {
            Ok((bytes, resident)) => {
                Ok(ChunkFile::written(self.volume, self.to, self.name, self.info, bytes, resident))
            }
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Writes all that follows the chunks and names the file. Returns its length and the copy of its chunks.
    fn write_end<'a>(&mut self, database: &str, sets: &impl TagSets<'a>) -> Result<(u64, Option<Resident>), DiskError> {
        self.close_block();
        self.info.entries_at = self.at();
        self.write_out()?;
        if let Some(resident) = &mut self.resident {
            resident.shrink();
        }
        let resident = self.resident.take();
        let mut end = std::mem::take(&mut self.entries);
        self.info.index_at = self.info.entries_at + end.len() as u64;
        let index = encode_index(database, &self.columns, sets);
        self.info.index_crc = crc32c::crc32c(&index);
        end.extend_from_slice(&index);
        end.extend_from_slice(&self.info.encode());
        let dir = self.to.parent().unwrap_or(Path::new("."));
        self.file.append(&end).map_err(DiskError::file("write chunk file", &self.from))?;
        self.file.sync().map_err(DiskError::file("sync chunk file", &self.from))?;
        self.volume.vfs.rename(&self.from, &self.to).map_err(DiskError::file("name chunk file", &self.to))?;
        if !planted::is(Bug::NoFolderSync) {
            self.volume.vfs.sync_dir(dir).map_err(DiskError::file("sync folder", dir))?;
        }
        Ok((self.info.index_at + (index.len() + super::TRAILER_BYTES) as u64, resident))
    }

    /// Gives up: nothing of the file stays.
    pub fn abandon(self) {
        if let Err(error) = self.volume.vfs.remove_file(&self.from) {
            tracing::warn!(path = %self.from.display(), %error, "an unfinished chunk file cannot be removed; it stays until the next start");
        }
    }

    /// Ends the current block of entries with its checksum.
    fn close_block(&mut self) {
        if let Some(block) = self.columns.last_mut().and_then(|column| column.blocks.last_mut())
            && block.crc == 0
        {
            block.crc = crc32c::crc32c(&self.entries[block.entries_at as usize..]);
        }
    }

    fn write_out(&mut self) -> Result<(), DiskError> {
        self.file.append(&self.buffer).map_err(DiskError::file("write chunk file", &self.from))?;
        if let Some(resident) = &mut self.resident {
            resident.extend(&self.buffer);
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Tag sets that are all in memory, in byte order of their tags.
impl<'a> TagSets<'a> for Vec<&'a Labels> {
    fn count(&self) -> u32 {
        self.len() as u32
    }

    fn pairs(&self, set: u32) -> impl Iterator<Item = (&'a str, &'a str)> {
        self[set as usize].iter()
    }

    fn hash(&self, set: u32) -> u128 {
        self[set as usize].hash128()
    }
}
