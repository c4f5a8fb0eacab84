//! A chunk file that is whole, and how series are read from it.

use super::format::{
    Described, FILE_MAGIC, FILE_VERSION, FileInfo, HEADER_BYTES, MILLISECONDS_VERSION, TRAILER_BYTES, is_readable,
};
use super::index::{BlockRef, FileIndex};
use super::partition::FileName;
use super::{DiskError, Volume};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;
use sealine_base::pools::{Lease, Pool};
use sealine_base::vfs::{Handle, HandleId, VfsFile};
use sealine_codec::block::{self, Reference};
use sealine_codec::varint::Cursor;
use sealine_codec::{Extent, Form, Overlay, gorilla};
use sealine_model::{LabelView, Labels, METRIC_NAME, Matcher, NS_PER_MS, PARTITION_NS, ns_from_ms};
use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// One chunk file. Nothing of it is read before it is asked for.
pub struct ChunkFile {
    volume: Volume,
    path: PathBuf,
    name: FileName,
    bytes: u64,
    /// Finds its handle, while it has one.
    handle: HandleId,
    /// The trailer, once it was asked for: a file that is only counted gets no handle.
    info: OnceLock<FileInfo>,
    loaded: Mutex<Option<Arc<Loaded>>>,
    /// Whether it was asked for something since [`Self::was_used`] was.
    used: AtomicBool,
    /// The file up to the end of its chunks, while it is young.
    resident: RwLock<Option<Arc<Resident>>>,
    /// Set when another file holds all of this one: then it is unlinked with its last reader.
    superseded: AtomicBool,
    /// Set when a merge has met damage in it: the next one would as well.
    damaged: AtomicBool,
}

/// What is kept of a file once it has been asked for something.
struct Loaded {
    info: FileInfo,
    index: FileIndex,
    _counted: Lease,
}

/// Bytes of a file that are held in memory as well, and counted.
pub(super) struct Resident {
    bytes: Vec<u8>,
    counted: Lease,
}

impl Resident {
    /// The first bytes of a file.
    pub fn new(volume: &Volume, bytes: Vec<u8>) -> Resident {
        let mut counted = volume.pools.lease(Pool::Files);
        counted.set(bytes.capacity());
        Resident { bytes, counted }
    }

    /// Adds the bytes that come next in the file.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.counted.set(self.bytes.capacity());
    }

    /// No more bytes come.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.counted.set(self.bytes.capacity());
    }
}

/// The index of a file, which stays in memory for as long as somebody has this.
pub struct OpenIndex(Arc<Loaded>);

impl Deref for OpenIndex {
    type Target = FileIndex;

    fn deref(&self) -> &FileIndex {
        &self.0.index
    }
}

/// One series in a file, with those of its chunks that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSeries {
    /// The column, by its number in the file.
    pub column: u32,
    /// The tag set, by its number in the file.
    pub set: u32,
    /// Where its chunks are in [`FileSelection::chunks`].
    first_chunk: u32,
    chunk_count: u32,
}

/// Where a chunk is and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// Offset in the file.
    pub at: u64,
    /// Bytes, without the checksum behind them.
    pub length: usize,
    /// Whether it is a chunk or a block.
    pub form: Form,
    /// Its samples.
    pub extent: Extent,
}

/// Series of one file that passed the matchers.
#[derive(Default)]
pub struct FileSelection {
    /// The series in order of (column, set).
    pub series: Vec<FileSeries>,
    /// The chunks of all of them.
    pub chunks: Vec<ChunkRef>,
}

impl FileSelection {
    /// Bytes that it takes in memory.
    pub fn heap_bytes(&self) -> usize {
        self.series.capacity() * size_of::<FileSeries>() + self.chunks.capacity() * size_of::<ChunkRef>()
    }

    /// The chunks of one series, in the order in which they were written.
    pub fn chunks_of(&self, series: &FileSeries) -> &[ChunkRef] {
        &self.chunks[series.first_chunk as usize..][..series.chunk_count as usize]
    }
}

impl ChunkFile {
    /// A file that was found in its partition's folder.
    pub fn found(volume: Volume, path: PathBuf, name: FileName, bytes: u64) -> Self {
        let (info, loaded, used, resident, superseded, damaged) = Default::default();
        let handle = volume.handles.id();
        ChunkFile { volume, path, name, bytes, handle, info, loaded, used, resident, superseded, damaged }
    }

    /// A file that has just been written.
    pub(super) fn written(
        volume: Volume,
        path: PathBuf,
        name: FileName,
        info: FileInfo,
        bytes: u64,
        resident: Option<Resident>,
    ) -> Self {
        let file = ChunkFile::found(volume, path, name, bytes);
        let _ = file.info.set(info); // it was not set before
        *file.resident.write() = resident.map(Arc::new);
        file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which generations it holds.
    pub fn name(&self) -> FileName {
        self.name
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of its entries and index: what says which series there are, and where.
    pub fn described_bytes(&self) -> Result<u64, DiskError> {
        Ok(self.bytes.saturating_sub(self.info()?.entries_at))
    }

    /// Its trailer.
    pub fn info(&self) -> Result<FileInfo, DiskError> {
        if let Some(info) = self.info.get() {
            return Ok(*info);
        }
        let file = self.volume.vfs.open(&self.path).map_err(self.cannot_open())?;
        let info = self.read_info(&*file)?;
        Ok(*self.info.get_or_init(|| info))
    }

    /// Holds the file open from now on, so that queries which have it can read on when its name is gone, or another's. Says
    /// whether as many are held as may be, so that this one is not.
    pub fn hold_open(&self) -> Result<bool, DiskError> {
        let _ = self.info(); // while its name leads to it; a damaged one has none
        self.volume.handles.hold(self.handle, || self.volume.vfs.open(&self.path)).map_err(self.cannot_open())
    }

    /// Its name stays after all.
    pub fn may_close(&self) {
        self.volume.handles.let_go(self.handle);
    }

    /// Drops its index from memory; it is loaded again when it is needed. Returns the bytes that were freed.
    pub fn unload(&self) -> u64 {
        self.loaded.lock().take().map_or(0, |loaded| loaded.index.heap_bytes() as u64)
    }

    /// Whether its index is in memory.
    pub fn is_loaded(&self) -> bool {
        self.loaded.lock().is_some()
    }

    /// Whether anything was read of it since this was asked last.
    pub fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The index, which is read where it is not in memory.
    pub fn index(&self) -> Result<OpenIndex, DiskError> {
        self.load().map(OpenIndex)
    }

    /// The tags of a set.
    pub fn tags(&self, set: u32) -> Result<Labels, DiskError> {
        Ok(self.index()?.set(set))
    }

    /// Bytes that the file takes in memory: (resident chunks, index).
    pub fn memory_bytes(&self) -> (u64, u64) {
        let resident = self.resident.read().as_ref().map_or(0, |resident| resident.bytes.capacity() as u64);
        let index = self.loaded.lock().as_ref().map_or(0, |loaded| loaded.index.heap_bytes() as u64);
        (resident, index)
    }

    /// Keeps the chunks in memory from now on, or drops them from it.
    pub fn set_resident(&self, resident: bool) -> Result<(), DiskError> {
        if !resident {
            *self.resident.write() = None;
        } else if self.resident.read().is_none() {
            let loaded = self.load()?;
            let bytes = self.read_bytes(0, loaded.info.entries_at as usize)?;
            *self.resident.write() = Some(Arc::new(Resident::new(&self.volume, bytes)));
        }
        Ok(())
    }

    /// Whether its chunks are held in memory.
    pub fn is_resident(&self) -> bool {
        self.resident.read().is_some()
    }

    /// Keeps the file out of merges from now on: a part of it is damaged.
    pub fn mark_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Whether a merge has met damage in it.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Unlinks the file, which nobody reads.
    pub fn remove(self) -> Result<(), DiskError> {
        self.volume.vfs.remove_file(&self.path).map_err(DiskError::file("remove chunk file", &self.path))
    }

    /// Has the file unlinked when nobody reads it any more.
    pub fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    /// Whether a sample of it may lie within `start..=end`. Needs no index.
    fn overlaps(&self, start: i64, end: i64) -> Result<bool, DiskError> {
        let (oldest, newest) = self.info()?.times;
        Ok(oldest <= end && newest >= start)
    }

    /// The series that pass the matchers in this view, and have chunks within `start..=end`.
    pub fn select(
        &self,
        matchers: &[Matcher],
        view: &LabelView,
        start: i64,
        end: i64,
    ) -> Result<FileSelection, DiskError> {
        let mut selection = FileSelection::default();
        if !self.overlaps(start, end)? {
            return Ok(selection);
        }
        let loaded = self.load()?;
        let columns = loaded.index.names(view.naming()).columns_passing(matchers);
        if columns.is_empty() {
            return Ok(selection);
        }
        let sets = view.select(&loaded.index, matchers);
        for column in columns {
            self.scan_column(&loaded, column, Some(&sets), start, end, &mut selection)?;
        }
        Ok(selection)
    }

    /// The tag sets that have a series which passes the matchers; the times of the file's samples decide for all.
    pub fn sets_passing(
        &self,
        matchers: &[Matcher],
        view: &LabelView,
        start: i64,
        end: i64,
    ) -> Result<RoaringBitmap, DiskError> {
        if !self.overlaps(start, end)? {
            return Ok(RoaringBitmap::new());
        }
        let loaded = self.load()?;
        if !matchers.iter().any(|matcher| matcher.name() == METRIC_NAME) {
            return Ok(view.select(&loaded.index, matchers));
        }
        let selection = self.select(matchers, view, start, end)?;
        Ok(selection.series.iter().map(|series| series.set).collect())
    }

    /// Every series of a column with all its chunks.
    pub fn series_of(&self, column: usize) -> Result<FileSelection, DiskError> {
        let mut selection = FileSelection::default();
        self.scan_column(&*self.load()?, column, None, i64::MIN, i64::MAX, &mut selection)?;
        Ok(selection)
    }

    /// Adds the series of a column whose sets are among `sets`, reading only the blocks of entries that can hold them.
    fn scan_column(
        &self,
        loaded: &Loaded,
        column: usize,
        sets: Option<&RoaringBitmap>,
        start: i64,
        end: i64,
        into: &mut FileSelection,
    ) -> Result<(), DiskError> {
        let index = &loaded.index;
        for number in 0..index.block_count(column) {
            let block = index.block(column, number);
            let next_set = match number + 1 < index.block_count(column) {
                true => index.block(column, number + 1).first_set,
                false => u32::MAX,
            };
            if sets.is_some_and(|sets| sets.range_cardinality(block.first_set..next_set) == 0) {
                continue;
            }
            let entries_end = index
                .block_after(column, number)
                .map_or(loaded.info.index_at, |after| after.entries_at.saturating_add(loaded.info.entries_at));
            let at = block.entries_at.saturating_add(loaded.info.entries_at);
            let length = entries_end.checked_sub(at).filter(|_| entries_end <= loaded.info.index_at);
            let damaged = |what: &str| DiskError::damaged(&self.path, at, what);
            let length = length.ok_or_else(|| damaged("a block of entries lies outside the entries"))?;
            let bytes = self.read_bytes(at, length as usize)?;
            if crc32c::crc32c(&bytes) != block.crc {
                return Err(damaged("the checksum of a block of entries does not match"));
            }
            parse_block(&bytes, &block, column as u32, loaded, sets, (start, end), into)
                .ok_or_else(|| damaged("a block of entries is not in the form of its version"))?;
        }
        Ok(())
    }

    /// Adds the samples of chunks that [`Self::select`] found to a series.
    pub fn read(&self, chunks: &[ChunkRef], start: i64, end: i64, into: &mut Overlay<'_>) -> Result<(), DiskError> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        // A series' chunks lie behind one another: one read gets them all.
        let resident = self.resident.read().clone();
        let (base, read);
        let bytes: &[u8] = match &resident {
            Some(resident) => {
                base = 0;
                &resident.bytes
            }
            None => {
                base = first.at;
                read = self.read_bytes(base, (last.at - base) as usize + last.length + 4)?;
                &read
            }
        };
        for chunk in chunks {
            let damaged = |what: String| DiskError::damaged(&self.path, chunk.at, what);
            let body = self.checked(bytes, chunk.at - base, chunk.at, chunk.length)?;
            match chunk.form {
                Form::Chunk => gorilla::merge_decoded(body, chunk.extent, (start, end), into)
                    .map_err(|error| damaged(error.to_string()))?,
                Form::Block => {
                    let other = match block::reference(body) {
                        Some(reference) => Some(self.referred(chunk, reference, resident.as_deref())?),
                        None => None,
                    };
                    block::merge_decoded(body, other.as_deref(), chunk.extent, (start, end), into)
                        .map_err(|error| damaged(error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    /// The bytes of the block that a block is over.
    fn referred<'r>(
        &self,
        over: &ChunkRef,
        Reference { back, length }: Reference,
        resident: Option<&'r Resident>,
    ) -> Result<Cow<'r, [u8]>, DiskError> {
        let lies = || DiskError::damaged(&self.path, over.at, "the block that it is over lies outside the file");
        let at = over.at.checked_sub(back).ok_or_else(lies)?;
        if let Some(resident) = resident {
            return self.checked(&resident.bytes, at, at, length).map(Cow::Borrowed);
        }
        let mut bytes = self.read_bytes(at, length.checked_add(4).ok_or_else(lies)?)?;
        self.checked(&bytes, 0, at, length)?;
        bytes.truncate(length);
        Ok(Cow::Owned(bytes))
    }

    /// The bytes of a chunk that starts at `offset` of `bytes`, and at `at` of the file, if its checksum holds.
    fn checked<'b>(&self, bytes: &'b [u8], offset: u64, at: u64, length: usize) -> Result<&'b [u8], DiskError> {
        let range = || {
            let from = usize::try_from(offset).ok()?;
            Some(from..from.checked_add(length)?.checked_add(4)?)
        };
        let (body, crc) = range()
            .and_then(|range| bytes.get(range))
            .and_then(|bytes| bytes.split_last_chunk::<4>())
            .ok_or_else(|| DiskError::damaged(&self.path, at, "a chunk lies outside the file"))?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(DiskError::damaged(&self.path, at, "the checksum of a chunk does not match"));
        }
        Ok(body)
    }

    fn read_bytes(&self, at: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        if at.saturating_add(length as u64) > self.bytes {
            return Err(DiskError::damaged(&self.path, at, format!("{length} bytes from here lie behind its end")));
        }
        sealine_base::work::count(length);
        let mut bytes = vec![0; length];
        self.open()?.read_at(&mut bytes, at).map_err(DiskError::file("read chunk file", &self.path))?;
        Ok(bytes)
    }

    /// Its handle: the one that it has, or a new one.
    fn open(&self) -> Result<Handle, DiskError> {
        self.used.store(true, Ordering::Relaxed);
        self.volume.handles.get(self.handle, || self.volume.vfs.open(&self.path)).map_err(self.cannot_open())
    }

    fn cannot_open(&self) -> impl FnOnce(std::io::Error) -> DiskError {
        DiskError::file("open chunk file", &self.path)
    }

    /// Reads header and trailer.
    fn read_info(&self, file: &dyn VfsFile) -> Result<FileInfo, DiskError> {
        if self.bytes < (HEADER_BYTES + TRAILER_BYTES) as u64 {
            let what = format!("{} bytes are too few for a chunk file", self.bytes);
            return Err(DiskError::damaged(&self.path, 0, what));
        }
        let read =
            |into: &mut [u8], at: u64| file.read_at(into, at).map_err(DiskError::file("read chunk file", &self.path));
        let (mut header, mut trailer) = ([0; HEADER_BYTES], [0; TRAILER_BYTES]);
        read(&mut header, 0)?;
        if header[..8] != FILE_MAGIC {
            return Err(DiskError::damaged(&self.path, 0, "the file does not start as a chunk file does"));
        }
        let version = header[8..].first_chunk().map_or(0, |v| u32::from_le_bytes(*v));
        if !is_readable(version) {
            return Err(DiskError::Version { path: self.path.clone(), got: version, want: FILE_VERSION });
        }
        read(&mut trailer, self.bytes - TRAILER_BYTES as u64)?;
        FileInfo::decode(&self.path, &trailer, self.bytes)
    }

    /// Reads trailer and index, where that is not done.
    fn load(&self) -> Result<Arc<Loaded>, DiskError> {
        self.used.store(true, Ordering::Relaxed);
        let mut loaded = self.loaded.lock();
        if let Some(loaded) = &*loaded {
            return Ok(loaded.clone());
        }
        let file = self.open()?;
        let info = self.read_info(&*file)?;
        let info = *self.info.get_or_init(|| info);
        let trailer_at = self.bytes - TRAILER_BYTES as u64;
        let mut index = vec![0; (trailer_at - info.index_at) as usize];
        file.read_at(&mut index, info.index_at).map_err(DiskError::file("read chunk file", &self.path))?;
        let damaged = |what: &str| DiskError::damaged(&self.path, info.index_at, what);
        if crc32c::crc32c(&index) != info.index_crc {
            return Err(damaged("the checksum of the index does not match"));
        }
        let index = FileIndex::new(index, info.version)
            .ok_or_else(|| damaged("the index is not in the form of its version"))?;
        let mut counted = self.volume.pools.lease(Pool::Files);
        counted.set(index.heap_bytes());
        Ok(loaded.insert(Arc::new(Loaded { info, index, _counted: counted })).clone())
    }
}

impl Drop for ChunkFile {
    fn drop(&mut self) {
        self.volume.handles.close(self.handle);
        if *self.superseded.get_mut()
            && let Err(error) = self.volume.vfs.remove_file(&self.path)
        {
            // It is found again, and seen to be superseded, at the next start.
            tracing::warn!(path = %self.path.display(), %error, "a chunk file that is no longer needed cannot be removed");
        }
    }
}

/// Adds the series of one block. `None` where the bytes are not in the form, or name a set that the file does not have.
fn parse_block(
    bytes: &[u8],
    block: &BlockRef,
    column: u32,
    loaded: &Loaded,
    sets: Option<&RoaringBitmap>,
    (start, end): (i64, i64),
    into: &mut FileSelection,
) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    let (mut set, mut at) = (block.first_set, block.chunks_at);
    for _ in 0..block.series {
        set = set
            .checked_add(u32::try_from(cursor.read()?).ok()?)
            .filter(|set| (*set as usize) < loaded.index.set_count())?;
        if sets.is_some_and(|sets| !sets.contains(set)) {
            for _ in 0..cursor.read()? {
                let length = cursor.read()?;
                at = at.checked_add(length)?.checked_add(4).filter(|next| *next <= loaded.info.entries_at)?;
                cursor.skip(3)?; // count, first, last
            }
            continue;
        }
        let first_chunk = into.chunks.len();
        let in_ms = loaded.info.version <= MILLISECONDS_VERSION;
        let mut before =
            loaded.info.partition.wrapping_mul(if in_ms { PARTITION_NS / NS_PER_MS } else { PARTITION_NS });
        for _ in 0..cursor.read()? {
            let (length, described) = (cursor.read_len()?, cursor.read()?);
            let Described { count, unit, form } = Described::decode(loaded.info.version, described)?;
            let (step, length_of_time) = (cursor.read_signed()?, cursor.read()? as i64);
            let (first, last);
            if in_ms {
                // What nanoseconds do not reach ends where they do.
                let first_ms = before.wrapping_add(step);
                before = first_ms.wrapping_add(length_of_time);
                (first, last) = (ns_from_ms(first_ms), ns_from_ms(before));
            } else {
                first = unit.ns(unit.floor(before).wrapping_add(step));
                last = first.wrapping_add(unit.ns(length_of_time));
                before = last;
            }
            let next = at.checked_add(length as u64)?.checked_add(4).filter(|next| *next <= loaded.info.entries_at)?;
            if first <= end && last >= start {
                into.chunks.push(ChunkRef { at, length, form, extent: Extent { unit, count, first, last } });
            }
            at = next;
        }
        let chunk_count = into.chunks.len() - first_chunk;
        if chunk_count > 0 {
            let (first_chunk, chunk_count) = (u32::try_from(first_chunk).ok()?, chunk_count as u32);
            into.series.push(FileSeries { column, set, first_chunk, chunk_count });
        }
    }
    cursor.is_empty().then_some(())
}
