//! Sizes as people write them: `4096`, `256KiB`, `32MiB`, `1GiB`.
//!
//! Units: none or `B` for bytes, then `KiB`, `MiB`, `GiB`, `TiB`, each 1024 times the one before. Usable as
//! `#[serde(with = "size")]` on a `u64` of bytes.

use super::scalar::Scalar;
use serde::de::{self, Deserialize, Deserializer};

const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("got `{0}`, want a size such as 4096, 256KiB, 32MiB or 1GiB")]
pub struct SizeError(String);

/// Reads a size in bytes. A space before the unit is allowed.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let fault = || SizeError(text.to_string());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| fault())?;
    let factor = match text[digits..].trim_start() {
        "" | "B" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(fault)?.1,
    };
    number.checked_mul(factor).ok_or_else(fault)
}

/// Writes a size in the largest unit that leaves no fraction.
pub fn format(bytes: u64) -> String {
    match UNITS.iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}

pub(super) fn serialize<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*value))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    parse(&Scalar::deserialize(deserializer)?.to_string()).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, bytes, written) in [
            ("0", 0, "0"),
            ("4096", 4096, "4KiB"),
            ("4097B", 4097, "4097"),
            ("256KiB", 262_144, "256KiB"),
            ("32 MiB", 33_554_432, "32MiB"),
            ("1024MiB", 1 << 30, "1GiB"),
            ("3TiB", 3 << 40, "3TiB"),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(format(bytes), written, "{text}");
            assert_eq!(parse(written), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_named() {
        for text in ["", "MiB", "-1", "1.5GiB", "32MB", "1mib", "99999999999999999999", "99999999TiB"] {
            let want = format!("got `{text}`, want a size such as 4096, 256KiB, 32MiB or 1GiB");
            assert_eq!(parse(text).unwrap_err().to_string(), want);
        }
    }
}
