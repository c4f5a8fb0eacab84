//! Shows a segment for people, and checks it; changes nothing.

use super::ReplayError;
use super::reader::{SegmentReader, Step};
use super::record::RecordHeader;
use super::replay::{Damage, Record};
use super::segment::SEGMENT_HEADER_BYTES;
use sealine_base::vfs::Vfs;
use std::path::Path;

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
    let version = match header {
        Some(header) => header.version,
        None => reader.likely_version().map_err(file_error)?,
    };
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
