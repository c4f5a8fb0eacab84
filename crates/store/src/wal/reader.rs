//! Walks through one segment: from record to record, and over what holds none.

use super::record::{RECORD_HEADER_BYTES, RECORD_MAGIC, RecordHeader};
use super::segment::{SEGMENT_HEADER_BYTES, SEGMENT_VERSION, SegmentHeader, decode_header, likely_version};
use sealine_base::planted::{self, Bug};
use sealine_base::vfs::VfsFile;
use std::io;

/// Bytes read at a time.
pub(super) const READ_BYTES: usize = 1 << 20;

/// One step through a segment.
pub(super) enum Step {
    Record {
        offset: u64,
        header: RecordHeader,
    },
    /// `behind` is the number of the sound record that follows, if one does.
    Damaged {
        offset: u64,
        bytes: u64,
        behind: Option<u64>,
    },
}

/// Walks through one segment.
pub(super) struct SegmentReader<'a> {
    file: &'a dyn VfsFile,
    length: u64,
    offset: u64,
    payload: Vec<u8>,
    /// A window of the file.
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> SegmentReader<'a> {
    /// Before the segment's header. `length` is the file's.
    pub fn new(file: &'a dyn VfsFile, length: u64) -> Self {
        SegmentReader { file, length, offset: 0, payload: Vec::new(), window: Vec::new(), window_at: 0 }
    }

    /// Behind the segment's header, whatever that is.
    pub fn behind_header(file: &'a dyn VfsFile, length: u64) -> Self {
        SegmentReader { offset: SEGMENT_HEADER_BYTES as u64, ..SegmentReader::new(file, length) }
    }

    /// The segment's header.
    pub fn header(&mut self) -> io::Result<Option<SegmentHeader>> {
        self.offset = SEGMENT_HEADER_BYTES as u64;
        let bytes = self.bytes::<SEGMENT_HEADER_BYTES>(0)?;
        Ok(bytes.and_then(|bytes| decode_header(&bytes)))
    }

    /// The version of the segment, where its header is not sound: as far as can be told.
    pub fn likely_version(&mut self) -> io::Result<u32> {
        let bytes = self.bytes::<SEGMENT_HEADER_BYTES>(0)?;
        Ok(bytes.map_or(SEGMENT_VERSION, |bytes| likely_version(&bytes)))
    }

    /// The payload of the record that the last step found.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The next record, or the next stretch that holds none. Records numbered below `next_lsn` are no records of this
    /// log: they are what a disk may still show of a file that stood there before.
    pub fn next(&mut self, next_lsn: u64) -> io::Result<Option<Step>> {
        if self.offset >= self.length {
            return Ok(None);
        }
        let offset = self.offset;
        if let Some(header) = self.record(offset, next_lsn)? {
            return Ok(Some(Step::Record { offset, header }));
        }
        let mut at = offset + 1;
        while let Some(candidate) = self.find_magic(at)? {
            if let Some(header) = self.record(candidate, next_lsn)? {
                self.offset = candidate;
                return Ok(Some(Step::Damaged { offset, bytes: candidate - offset, behind: Some(header.lsn) }));
            }
            at = candidate + 1;
        }
        self.offset = self.length;
        Ok(Some(Step::Damaged { offset, bytes: self.length - offset, behind: None }))
    }

    /// The record at `offset`, where a sound one is there; its payload is read and the reader moves behind it.
    fn record(&mut self, offset: u64, next_lsn: u64) -> io::Result<Option<RecordHeader>> {
        let header = self.bytes::<RECORD_HEADER_BYTES>(offset)?.and_then(|bytes| RecordHeader::decode(&bytes));
        let Some(header) = header.filter(|h| h.lsn >= next_lsn) else { return Ok(None) };
        let from = offset + RECORD_HEADER_BYTES as u64;
        if from + u64::from(header.length) > self.length {
            return Ok(None);
        }
        self.payload.resize(header.length as usize, 0);
        self.copy(from)?;
        if crc32c::crc32c(&self.payload) != header.payload_crc && !planted::is(Bug::SkipChecksum) {
            return Ok(None);
        }
        self.offset = from + u64::from(header.length);
        Ok(Some(header))
    }

    /// Fills the payload from `offset`: out of the window where it is there.
    fn copy(&mut self, offset: u64) -> io::Result<()> {
        let length = self.payload.len();
        if length > READ_BYTES {
            return self.file.read_at(&mut self.payload, offset);
        }
        self.fill(offset, length)?;
        let from = (offset - self.window_at) as usize;
        self.payload.copy_from_slice(&self.window[from..from + length]);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self, offset: u64) -> io::Result<Option<[u8; N]>> {
        if offset + N as u64 > self.length {
            return Ok(None);
        }
        self.fill(offset, N)?;
        let from = (offset - self.window_at) as usize;
        Ok(self.window[from..].first_chunk::<N>().copied())
    }

    /// Where the bytes that open a record stand next.
    fn find_magic(&mut self, mut offset: u64) -> io::Result<Option<u64>> {
        while offset + RECORD_HEADER_BYTES as u64 <= self.length {
            let bytes = READ_BYTES.min((self.length - offset) as usize);
            self.fill(offset, bytes)?;
            let from = (offset - self.window_at) as usize;
            if let Some(at) = memchr::memmem::find(&self.window[from..from + bytes], &RECORD_MAGIC) {
                return Ok(Some(offset + at as u64));
            }
            offset += (bytes - (RECORD_MAGIC.len() - 1)).max(1) as u64;
        }
        Ok(None)
    }

    /// Makes the window hold `bytes` bytes from `offset`; they must lie in the file.
    fn fill(&mut self, offset: u64, bytes: usize) -> io::Result<()> {
        if offset >= self.window_at && offset + bytes as u64 <= self.window_at + self.window.len() as u64 {
            return Ok(());
        }
        self.window.resize(READ_BYTES.max(bytes).min((self.length - offset) as usize), 0);
        self.window_at = offset;
        self.file.read_at(&mut self.window, offset).inspect_err(|_| self.window.clear())
    }
}
