//! A segment: one file of the log, `wal/<generation>-<sequence>.wal`.

use super::record::{RECORD_HEADER_BYTES, RecordHeader};
use sealine_base::vfs::{Vfs, VfsFile};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

const SEGMENT_MAGIC: [u8; 8] = *b"SEALWAL\0";

/// The version that this code writes. It reads those before it as well.
pub const SEGMENT_VERSION: u32 = 3;

/// Up to this version, rows are defined by their labels: tags as PromQL called them, with the labels of the database.
pub const LABELS_VERSION: u32 = 2;

/// Added to the version where records may be answered for before they are synced (`wal.sync` is not `always`): a hole in
/// what was not synced is then no rot. A version that does not know it refuses the segment.
const RELAXED: u32 = 1 << 16;

/// Bytes of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 24;

/// What a segment's file is called. They sort as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The generation whose entries it holds.
    pub generation: u64,
    /// Its number within the generation, from 0.
    pub sequence: u32,
}

impl SegmentName {
    /// The name in a file name; `None` for files that are not segments.
    pub fn parse(name: &str) -> Option<SegmentName> {
        let (generation, sequence) = name.strip_suffix(".wal")?.split_once('-')?;
        let parsed = SegmentName { generation: generation.parse().ok()?, sequence: sequence.parse().ok()? };
        (parsed.to_string() == name).then_some(parsed)
    }

    /// The name of the segment at a path.
    pub fn of(path: &Path) -> Option<SegmentName> {
        SegmentName::parse(path.file_name()?.to_str()?)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}-{:06}.wal", self.generation, self.sequence)
    }
}

/// The segments in a folder with their lengths, in order.
pub fn segments(vfs: &dyn Vfs, dir: &Path) -> io::Result<Vec<(SegmentName, u64)>> {
    let entries = vfs.list(dir)?.into_iter().filter(|entry| !entry.is_dir);
    let mut found: Vec<_> = entries.filter_map(|e| Some((SegmentName::parse(&e.name)?, e.bytes))).collect();
    found.sort();
    Ok(found)
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The format's version.
    pub version: u32,
    /// The generation whose entries it holds.
    pub generation: u64,
    /// Whether records may have been answered for before they were synced.
    pub relaxed: bool,
}

/// The header of a segment of this version.
pub fn encode_header(generation: u64, relaxed: bool) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let version = if relaxed { SEGMENT_VERSION | RELAXED } else { SEGMENT_VERSION };
    bytes[0..8].copy_from_slice(&SEGMENT_MAGIC);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes[12..20].copy_from_slice(&generation.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a segment's header says, or `None` where it is not one.
pub fn decode_header(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Option<SegmentHeader> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (generation, rest) = rest.split_first_chunk()?;
    let (crc, _) = rest.split_first_chunk()?;
    let sound = *magic == SEGMENT_MAGIC && u32::from_le_bytes(*crc) == crc32c::crc32c(&bytes[..20]);
    let (version, generation) = (u32::from_le_bytes(*version), u64::from_le_bytes(*generation));
    sound.then_some(SegmentHeader { version: version & !RELAXED, generation, relaxed: version & RELAXED != 0 })
}

/// The version of a segment whose header has rotted: what its lowest byte says, as far as that can be.
pub fn likely_version(header: &[u8; SEGMENT_HEADER_BYTES]) -> u32 {
    let version = u32::from(header[8]);
    if (1..=SEGMENT_VERSION).contains(&version) { version } else { SEGMENT_VERSION }
}

/// A segment that is being written.
pub struct SegmentWriter {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes written, the header included.
    pub bytes: u64,
    file: Box<dyn VfsFile>,
}

impl SegmentWriter {
    /// Creates a segment whose header and name are durable when this returns. `relaxed` says that records may be answered
    /// for before they are synced.
    pub fn create(vfs: &dyn Vfs, dir: &Path, name: SegmentName, relaxed: bool) -> Result<Self, (PathBuf, io::Error)> {
        let path = dir.join(name.to_string());
        let create = || {
            let mut file = vfs.create(&path)?;
            let header = encode_header(name.generation, relaxed);
            let written = file.append(&header).and_then(|()| file.sync()).and_then(|()| vfs.sync_dir(dir));
            if let Err(error) = written {
                let _ = vfs.remove_file(&path); // an empty segment holds nothing: left over, it is skipped on replay
                return Err(error);
            }
            Ok(file)
        };
        match create() {
            Ok(file) => Ok(SegmentWriter { path, bytes: SEGMENT_HEADER_BYTES as u64, file }),
            Err(error) => Err((path, error)),
        }
    }

    /// Appends whole records. Where that fails, cuts off what was written of them; where that fails too, answers
    /// `Err(None)` in the second place: the file's end is unknown.
    pub fn append(&mut self, records: &[u8]) -> Result<(), (io::Error, Option<()>)> {
        match self.file.append(records) {
            Ok(()) => {
                self.bytes += records.len() as u64;
                Ok(())
            }
            Err(error) => {
                let cut = self.file.truncate(self.bytes).and_then(|()| self.file.sync());
                Err((error, cut.ok()))
            }
        }
    }

    /// Makes everything appended durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// Appends a record to a group that is about to be written. `write` appends the payload.
pub fn push_record(group: &mut Vec<u8>, lsn: u64, durable: u64, write: impl FnOnce(&mut Vec<u8>)) {
    let at = group.len();
    group.resize(at + RECORD_HEADER_BYTES, 0);
    write(group);
    let payload = &group[at + RECORD_HEADER_BYTES..];
    let header =
        RecordHeader { length: payload.len() as u32, lsn, durable, payload_crc: crc32c::crc32c(payload) }.encode();
    group[at..at + RECORD_HEADER_BYTES].copy_from_slice(&header);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_foreign_ones_do_not() {
        let name = SegmentName { generation: 12, sequence: 3 };
        assert_eq!(name.to_string(), "0000000012-000003.wal");
        assert_eq!(SegmentName::parse("0000000012-000003.wal"), Some(name));
        for foreign in ["12-3.wal", "0000000012-000003.wal.bad", "x-000003.wal", "+000000012-000003.wal", ""] {
            assert_eq!(SegmentName::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_segment_header_has_the_bytes_of_the_format_page() {
        let bytes = encode_header(5, false);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(&hex[..40], "5345414c57414c00030000000500000000000000");
        assert_eq!(decode_header(&bytes), Some(SegmentHeader { version: 3, generation: 5, relaxed: false }));
        let bytes = encode_header(5, true);
        assert_eq!(bytes[8..12], [3, 0, 1, 0], "a version that does not know it takes it for a later one");
        assert_eq!(decode_header(&bytes), Some(SegmentHeader { version: 3, generation: 5, relaxed: true }));
    }
}
