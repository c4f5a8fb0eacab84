//! Durations as people write them: `100ms`, `30s`, `5m`, `1h30m`, `7d`, `0`.
//!
//! Units: `ms`, `s`, `m`, `h`, `d` (24 hours), `w` (7 days), `y` (365 days), each at most once, from large to small.
//! Only `0` may stand without one. Usable as `#[serde(with = "duration")]` on a `std::time::Duration`.

use super::scalar::Scalar;
use sealine_base::units::{self, UNITS};
use serde::de::{self, Deserialize, Deserializer};
use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("got `{0}`, want a duration such as 100ms, 30s, 5m, 1h30m or 7d")]
pub struct DurationError(String);

/// Reads a duration; the resolution is a millisecond, the largest about 292 million years (`i64` milliseconds).
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let millis = if text == "0" { Some(0) } else { units::millis(text) };
    match millis.filter(|millis| i64::try_from(*millis).is_ok()) {
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => Err(DurationError(text.to_string())),
    }
}

/// Writes a duration so that [`parse`] reads it back; what is below a millisecond is cut off. Weeks and years are
/// written as days, since `30d` says more than `4w2d`.
pub fn format(duration: Duration) -> String {
    // Beyond u64 milliseconds there is nothing that `parse` could have read.
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0".to_string();
    }
    let mut text = String::new();
    for (name, millis) in &UNITS[2..] {
        if left >= *millis {
            text.push_str(&format!("{}{name}", left / millis));
            left %= millis;
        }
    }
    text
}

pub(super) fn serialize<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*value))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&Scalar::deserialize(deserializer)?.to_string()).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (text, millis, written) in [
            ("0", 0, "0"),
            ("100ms", 100, "100ms"),
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("2h", 7_200_000, "2h"),
            ("7d", 604_800_000, "7d"),
            ("1w", 604_800_000, "7d"),
            ("1y1d", 31_622_400_000, "366d"),
            ("1d2h3m4s5ms", 93_784_005, "1d2h3m4s5ms"),
            ("0s", 0, "0"),
        ] {
            let duration = parse(text).expect(text);
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(format(duration), written, "{text}");
            assert_eq!(parse(written), Ok(duration), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_named() {
        for text in ["", "5", "s", "-1s", "1.5h", "1s1m", "1m1m", "1 m", "1M", "1µs", "99999999999y", "300000000y"] {
            let want = format!("got `{text}`, want a duration such as 100ms, 30s, 5m, 1h30m or 7d");
            assert_eq!(parse(text).unwrap_err().to_string(), want);
        }
    }
}
