//! The unit of a line's time, as `?precision=` names it, and the way from there to nanoseconds.

use std::fmt;
use std::str::FromStr;

/// Unit of the times of a request, the finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Precision {
    /// Guessed for each time by its size, as InfluxDB 3 does if a request names none; mostly nanoseconds.
    Auto,
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

/// [`Precision::Auto`] takes times below this for seconds, below a thousand times this for milliseconds, and so on: it is
/// the year 2128.
const AUTO_SECONDS_MAX: u64 = 5_000_000_000;

/// What a precision may be called.
const WORDS: &str = "n, ns, u, us, ms, s, m or h";
const WORDS_OF_V3: &str = "auto, nanosecond, microsecond, millisecond or second";

/// A precision that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("precision {got:?} is unknown: use {want}")]
pub struct PrecisionError {
    got: String,
    want: &'static str,
}

impl PrecisionError {
    fn new(text: &str, want: &'static str) -> Self {
        PrecisionError { got: text.chars().take(32).collect(), want }
    }
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
            _ => Err(PrecisionError::new(text, WORDS)),
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
            Precision::Auto => "auto",
        })
    }
}

impl Precision {
    /// The precision that InfluxDB 3 calls so.
    pub fn of_v3(word: &str) -> Result<Self, PrecisionError> {
        match word {
            "auto" => Ok(Precision::Auto),
            "nanosecond" | "ns" | "n" => Ok(Precision::Nanoseconds),
            "microsecond" | "us" | "u" => Ok(Precision::Microseconds),
            "millisecond" | "ms" => Ok(Precision::Milliseconds),
            "second" | "s" => Ok(Precision::Seconds),
            _ => Err(PrecisionError::new(word, WORDS_OF_V3)),
        }
    }

    /// A time of this unit in nanoseconds; `None` where that leaves the `i64`, which reaches from 1677 to 2262.
    #[inline]
    pub fn to_nanoseconds(self, raw: i64) -> Option<i64> {
        raw.checked_mul(match self {
            Precision::Nanoseconds => 1,
            Precision::Microseconds => 1_000,
            Precision::Milliseconds => 1_000_000,
            Precision::Seconds => 1_000_000_000,
            Precision::Minutes => 60_000_000_000,
            Precision::Hours => 3_600_000_000_000,
            Precision::Auto => match raw.unsigned_abs() {
                size if size < AUTO_SECONDS_MAX => 1_000_000_000,
                size if size < AUTO_SECONDS_MAX * 1_000 => 1_000_000,
                size if size < AUTO_SECONDS_MAX * 1_000_000 => 1_000,
                _ => 1,
            },
        })
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
        for (word, want) in [
            ("auto", Precision::Auto),
            ("nanosecond", Precision::Nanoseconds),
            ("microsecond", Precision::Microseconds),
            ("millisecond", Precision::Milliseconds),
            ("second", Precision::Seconds),
            ("ms", Precision::Milliseconds),
        ] {
            assert_eq!(Precision::of_v3(word), Ok(want), "{word}");
        }
        let error = Precision::of_v3("minute").unwrap_err().to_string();
        assert_eq!(error, "precision \"minute\" is unknown: use auto, nanosecond, microsecond, millisecond or second");
        assert!("auto".parse::<Precision>().is_err(), "only InfluxDB 3 has it");
        for text in ["", "NS", "d", "msec"] {
            let error = text.parse::<Precision>().unwrap_err().to_string();
            assert_eq!(error, format!("precision {text:?} is unknown: use n, ns, u, us, ms, s, m or h"));
        }
    }

    #[test]
    fn times_are_nanoseconds_as_far_as_those_reach() {
        use Precision::*;
        for (precision, raw, want) in [
            (Nanoseconds, 1_700_000_000_123_999_999, Some(1_700_000_000_123_999_999)),
            (Nanoseconds, i64::MIN, Some(i64::MIN)),
            (Microseconds, -1, Some(-1_000)),
            (Milliseconds, 1_700_000_000_123, Some(1_700_000_000_123_000_000)),
            (Milliseconds, i64::MIN, None),
            (Seconds, -2, Some(-2_000_000_000)),
            (Seconds, 9_223_372_036, Some(9_223_372_036_000_000_000)),
            (Seconds, 9_223_372_037, None),
            (Minutes, 1, Some(60_000_000_000)),
            (Minutes, i64::MIN, None),
            (Hours, 472_222, Some(1_699_999_200_000_000_000)),
            (Hours, i64::MAX, None),
            (Auto, 1_700_000_000, Some(1_700_000_000_000_000_000)),
            (Auto, 4_999_999_999, Some(4_999_999_999_000_000_000)),
            (Auto, 5_000_000_000, Some(5_000_000_000_000_000)),
            (Auto, 4_999_999_999_999_999, Some(4_999_999_999_999_999_000)),
            (Auto, 5_000_000_000_000_000, Some(5_000_000_000_000_000)),
            (Auto, -1_700_000_000, Some(-1_700_000_000_000_000_000)),
            (Auto, i64::MIN, Some(i64::MIN)),
        ] {
            assert_eq!(precision.to_nanoseconds(raw), want, "{raw} {precision}");
        }
    }
}
