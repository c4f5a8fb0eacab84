//! The unit of a line's time, as `?precision=` names it, and the way from there to milliseconds.

use std::fmt;
use std::str::FromStr;

/// Unit of the times of a request, the finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Precision {
    /// `n`, `ns`; what a request without a precision means.
    #[default]
    Nanoseconds,
    /// `u`, `us`, and with the micro sign or the Greek letter mu
    Microseconds,
    /// `ms`
    Milliseconds,
    /// `s`
    Seconds,
    /// `m`
    Minutes,
    /// `h`
    Hours,
}

/// A precision that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("precision {got:?} is unknown: use n, ns, u, us, ms, s, m or h")]
pub struct PrecisionError {
    got: String,
}

impl FromStr for Precision {
    type Err = PrecisionError;

    fn from_str(text: &str) -> Result<Self, PrecisionError> {
        match text {
            "n" | "ns" => Ok(Precision::Nanoseconds),
            "u" | "us" | "\u{b5}" | "\u{b5}s" | "\u{3bc}" | "\u{3bc}s" => Ok(Precision::Microseconds),
            "ms" => Ok(Precision::Milliseconds),
            "s" => Ok(Precision::Seconds),
            "m" => Ok(Precision::Minutes),
            "h" => Ok(Precision::Hours),
            _ => Err(PrecisionError { got: text.chars().take(32).collect() }),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Nanoseconds => "ns",
            Precision::Microseconds => "us",
            Precision::Milliseconds => "ms",
            Precision::Seconds => "s",
            Precision::Minutes => "m",
            Precision::Hours => "h",
        })
    }
}

impl Precision {
    /// A time of this unit in milliseconds, finer times floored (-1 ns is -1 ms); `None` where that leaves the `i64`.
    #[inline]
    pub fn to_millis(self, raw: i64) -> Option<i64> {
        match self {
            Precision::Nanoseconds => Some(raw.div_euclid(1_000_000)),
            Precision::Microseconds => Some(raw.div_euclid(1_000)),
            Precision::Milliseconds => Some(raw),
            Precision::Seconds => raw.checked_mul(1_000),
            Precision::Minutes => raw.checked_mul(60_000),
            Precision::Hours => raw.checked_mul(3_600_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_known_and_others_are_told_which_are() {
        for (spellings, want) in [
            (&["n", "ns"][..], Precision::Nanoseconds),
            (&["u", "us", "µ", "µs", "μ", "μs"], Precision::Microseconds),
            (&["ms"], Precision::Milliseconds),
            (&["s"], Precision::Seconds),
            (&["m"], Precision::Minutes),
            (&["h"], Precision::Hours),
        ] {
            for spelling in spellings {
                assert_eq!(spelling.parse(), Ok(want), "{spelling}");
            }
            assert_eq!(want.to_string().parse(), Ok(want));
        }
        for text in ["", "NS", "d", "msec"] {
            let error = text.parse::<Precision>().unwrap_err().to_string();
            assert_eq!(error, format!("precision {text:?} is unknown: use n, ns, u, us, ms, s, m or h"));
        }
    }

    #[test]
    fn times_floor_to_milliseconds() {
        use Precision::*;
        for (precision, raw, want) in [
            (Nanoseconds, 1_700_000_000_123_999_999, Some(1_700_000_000_123)),
            (Nanoseconds, 999_999, Some(0)),
            (Nanoseconds, -1, Some(-1)),
            (Nanoseconds, -1_000_000, Some(-1)),
            (Nanoseconds, -1_000_001, Some(-2)),
            (Nanoseconds, i64::MIN, Some(-9_223_372_036_855)),
            (Microseconds, 1_999, Some(1)),
            (Microseconds, -1, Some(-1)),
            (Milliseconds, i64::MIN, Some(i64::MIN)),
            (Seconds, -2, Some(-2_000)),
            (Seconds, i64::MAX / 1000, Some(9_223_372_036_854_775_000)),
            (Seconds, i64::MAX / 1000 + 1, None),
            (Minutes, 1, Some(60_000)),
            (Minutes, i64::MIN, None),
            (Hours, 472_222, Some(1_699_999_200_000)),
            (Hours, i64::MAX, None),
        ] {
            assert_eq!(precision.to_millis(raw), want, "{raw} {precision}");
        }
    }
}
