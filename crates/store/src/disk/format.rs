//! The fixed parts of a chunk file: where it starts, where it ends, and what its end says.

use super::DiskError;
use sealine_codec::Form;
use sealine_model::{NS_PER_MS, TimeUnit};
use std::path::Path;

/// First bytes of a chunk file.
pub const FILE_MAGIC: [u8; 8] = *b"SEALCHNK";

/// Last bytes of a chunk file.
const TRAILER_MAGIC: [u8; 8] = *b"KNHCLAES";

/// The version that is written, the last one that this code reads. Each chunk says what its times are counted in, and
/// whether it is a block; sets are of tags.
pub const FILE_VERSION: u32 = 4;

/// Up to this version, sets are of labels: tags as PromQL called them, with the labels of the database.
pub const LABELS_VERSION: u32 = 3;

/// Up to this version, times are milliseconds.
pub const MILLISECONDS_VERSION: u32 = 2;

/// The first version of an archive, in which blocks may stand for chunks. In the version before it there are none.
const ARCHIVE_VERSION: u32 = 2;

/// Bytes before the first chunk: magic and version.
pub const HEADER_BYTES: usize = 12;

/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 112;

/// Series whose entries share a checksum: what is read to find one series.
pub const SERIES_PER_BLOCK: usize = 128;

/// Whether this code reads files of a version.
pub fn is_readable(version: u32) -> bool {
    (1..=FILE_VERSION).contains(&version)
}

/// What an entry says of a chunk besides its length and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    pub count: usize,
    pub unit: TimeUnit,
    pub form: Form,
}

impl Described {
    /// The number that stands for it.
    pub fn encode(self) -> u64 {
        (self.count as u64) << 3 | self.unit.code() << 1 | u64::from(self.form == Form::Block)
    }

    /// What a number stands for in a file of this version.
    pub fn decode(version: u32, number: u64) -> Option<Self> {
        let form = if number & 1 == 1 { Form::Block } else { Form::Chunk };
        let (count, unit, form) = match version {
            ..ARCHIVE_VERSION => (number, TimeUnit::Milliseconds, Form::Chunk),
            ARCHIVE_VERSION => (number >> 1, TimeUnit::Milliseconds, form),
            _ => (number >> 3, TimeUnit::from_code(number >> 1), form),
        };
        Some(Described { count: usize::try_from(count).ok()?, unit, form })
    }
}

/// What the trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileInfo {
    /// [`FILE_VERSION`], or one before it.
    pub version: u32,
    /// Days since the epoch: all times lie in this day.
    pub partition: i64,
    /// The first and last generation whose samples are in the file.
    pub generations: (u64, u64),
    /// Times of the oldest and the newest sample, nanoseconds.
    pub times: (i64, i64),
    /// Samples, duplicates included.
    pub samples: u64,
    /// Series.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Where the entries start: the end of the chunks.
    pub entries_at: u64,
    /// Where the index starts: the end of the entries. It ends where the trailer starts.
    pub index_at: u64,
    /// CRC32C of the index.
    pub index_crc: u32,
    /// Whether the partition was complete and in one file when this one was written.
    pub archived: bool,
}

/// The first bytes of a file.
pub fn encode_header(version: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&FILE_MAGIC);
    bytes[8..].copy_from_slice(&version.to_le_bytes());
    bytes
}

impl FileInfo {
    /// The trailer's bytes.
    pub fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = Vec::with_capacity(TRAILER_BYTES);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&u32::from(self.archived).to_le_bytes());
        for number in [self.partition, self.times.0, self.times.1] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let (first, last) = self.generations;
        for number in [first, last, self.samples, self.series, self.chunks, self.entries_at, self.index_at] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.index_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&TRAILER_MAGIC);
        let mut fixed = [0; TRAILER_BYTES];
        let start = TRAILER_BYTES - bytes.len();
        fixed[start..].copy_from_slice(&bytes);
        fixed
    }

    /// What the trailer of the file at `path` says. `length` is the file's length.
    pub fn decode(path: &Path, bytes: &[u8; TRAILER_BYTES], length: u64) -> Result<FileInfo, DiskError> {
        let offset = length - TRAILER_BYTES as u64;
        let damaged = |what: &str| DiskError::damaged(path, offset, what);
        let body = &bytes[TRAILER_BYTES - ENCODED_BYTES..];
        let (numbers, end) = body.split_at(ENCODED_BYTES - 16);
        let (crc, magic) = (&end[4..8], &end[8..]);
        if magic != TRAILER_MAGIC {
            return Err(damaged("the file does not end as a chunk file does"));
        }
        if crc != crc32c::crc32c(numbers).to_le_bytes() {
            return Err(damaged("the trailer's checksum does not match"));
        }
        let u32_at = |at: usize| numbers[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let u64_at = |at: usize| numbers[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        if !is_readable(u32_at(0)) {
            return Err(DiskError::Version { path: path.to_path_buf(), got: u32_at(0), want: FILE_VERSION });
        }
        let unit = if u32_at(0) <= MILLISECONDS_VERSION { NS_PER_MS } else { 1 };
        let time_at = |at: usize| (u64_at(at) as i64).saturating_mul(unit);
        let info = FileInfo {
            version: u32_at(0),
            archived: u32_at(4) & 1 == 1,
            partition: u64_at(8) as i64,
            times: (time_at(16), time_at(24)),
            generations: (u64_at(32), u64_at(40)),
            samples: u64_at(48),
            series: u64_at(56),
            chunks: u64_at(64),
            entries_at: u64_at(72),
            index_at: u64_at(80),
            index_crc: u32_at(88),
        };
        let ordered = [HEADER_BYTES as u64, info.entries_at, info.index_at, offset].is_sorted();
        ordered.then_some(info).ok_or_else(|| damaged("the parts of the file overlap"))
    }
}

/// Bytes of the trailer that mean something; zeros stand before them.
const ENCODED_BYTES: usize = 92 + 16;
const _: () = assert!(ENCODED_BYTES <= TRAILER_BYTES, "the trailer's fields have to fit it");

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> FileInfo {
        FileInfo {
            version: FILE_VERSION,
            partition: 19_675,
            generations: (3, 4),
            times: (1_699_920_000_000_000_000, 1_699_920_010_000_000_000),
            samples: 2,
            series: 1,
            chunks: 1,
            entries_at: 60,
            index_at: 70,
            index_crc: 0xdead_beef,
            archived: true,
        }
    }

    #[test]
    fn a_trailer_has_the_bytes_of_the_format_page() {
        let hex: String = info().encode().iter().map(|b| format!("{b:02x}")).collect();
        let want = concat!(
            "00000000",         // filling
            "04000000",         // version
            "01000000",         // archived
            "db4c000000000000", // partition 19675
            "000095c23b549717", // oldest sample
            "00e4a0163e549717", // newest sample
            "0300000000000000", // first generation
            "0400000000000000", // last generation
            "0200000000000000", // samples
            "0100000000000000", // series
            "0100000000000000", // chunks
            "3c00000000000000", // entries start
            "4600000000000000", // index starts
            "efbeadde",         // index checksum
            "00000000",         // filling
        );
        assert_eq!(&hex[..want.len()], want);
        assert_eq!(&hex[want.len() + 8..], "4b4e48434c414553");
    }

    #[test]
    fn every_flipped_bit_of_a_trailer_is_seen() {
        let bytes = info().encode();
        let decode = |bytes: &[u8; TRAILER_BYTES]| FileInfo::decode(Path::new("f"), bytes, 1000);
        assert_eq!(decode(&bytes).unwrap(), info());
        for bit in 32..TRAILER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let filling = (96..100).contains(&(bit / 8));
            assert_eq!(decode(&flipped).is_err(), !filling, "bit {bit}");
        }
        assert!(FileInfo::decode(Path::new("f"), &bytes, 150).is_err(), "index behind the end");
    }
}
