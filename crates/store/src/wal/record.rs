//! One record: a header with checksums of its own, then the payload.

/// First bytes of every record, to find the next one behind damage.
pub const RECORD_MAGIC: [u8; 4] = *b"SLRC";

/// Bytes of a record's header.
pub const RECORD_HEADER_BYTES: usize = 32;

/// A longer payload is refused when written and taken for damage when read: bounds what a length read from disk can
/// make us allocate. A request is at most `http.max_body_bytes` and its compact form is smaller.
pub const RECORD_BYTES_MAX: usize = 256 << 20;

/// The highest number that a record may have. No log gets there; numbers of a forged one cannot make sums overflow.
pub const LSN_MAX: u64 = i64::MAX as u64;

/// What stands in front of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes of the payload.
    pub length: u32,
    /// The record's number: more than that of every record before it that is still in the log.
    pub lsn: u64,
    /// The highest number known to be durable when this record was written.
    pub durable: u64,
    /// CRC32C of the payload.
    pub payload_crc: u32,
}

impl RecordHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.lsn.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.durable.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header in these bytes, or `None` where they are not one.
    pub fn decode(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<RecordHeader> {
        let [m0, m1, m2, m3, l0, l1, l2, l3, rest @ ..] = *bytes;
        let (lsn, rest) = rest.split_first_chunk()?;
        let (durable, rest) = rest.split_first_chunk()?;
        let (payload_crc, rest) = rest.split_first_chunk()?;
        let (crc, _) = rest.split_first_chunk()?;
        let header = RecordHeader {
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            lsn: u64::from_le_bytes(*lsn),
            durable: u64::from_le_bytes(*durable),
            payload_crc: u32::from_le_bytes(*payload_crc),
        };
        let sound = [m0, m1, m2, m3] == RECORD_MAGIC
            && u32::from_le_bytes(*crc) == crc32c::crc32c(&bytes[..28])
            && header.length as usize <= RECORD_BYTES_MAX
            && header.lsn <= LSN_MAX;
        sound.then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_bytes_of_the_format_page() {
        let header = RecordHeader { length: 3, lsn: 7, durable: 6, payload_crc: crc32c::crc32c(b"abc") };
        let bytes = header.encode();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "534c52430300000007000000000000000600000000000000b73f4b36c4bbdb57");
        assert_eq!(RecordHeader::decode(&bytes), Some(header));
        for bit in 0..RECORD_HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&flipped), None, "bit {bit}");
        }
        for (lsn, is_one) in [(LSN_MAX, true), (LSN_MAX + 1, false), (u64::MAX, false)] {
            let bytes = RecordHeader { lsn, ..header }.encode();
            assert_eq!(RecordHeader::decode(&bytes).is_some(), is_one, "{lsn}");
        }
    }
}
