//! What a field's values are, and how a column of them is kept: as 64-bit words that travel as `f64`.

use std::fmt;

/// What kind of values a column has. A field that changes its kind has several columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// `1.5`: the word is the value.
    Float = b'f',
    /// `7i`, as far as a float tells it exactly: the word is that float.
    Integer = b'i',
    /// `7i` beyond that: the word has the bits of the `i64`, but for [`NO_WORD`].
    WideInteger = b'I',
    /// `7u`, as far as a float tells it exactly: the word is that float.
    Unsigned = b'u',
    /// `7u` beyond that: the word has the bits of the `u64`, but for [`NO_WORD`].
    WideUnsigned = b'U',
    /// `true`: the word is 1 or 0.
    Boolean = b'b',
}

/// Every integer up to here, and down to its opposite, is a float.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

/// The bits that no column has as a word, so that memory can say with them that there is none. They are a NaN that is not
/// the one for staleness; a float that has them is kept as another NaN.
pub const NO_WORD: u64 = 0x7ff0_5ea1_ab5e_47ff;

/// Stands for the wide integer that would have these bits: it is too small to be wide itself.
const STAND_IN: u64 = 1;

fn to_wide(bits: u64) -> f64 {
    f64::from_bits(if bits == NO_WORD { STAND_IN } else { bits })
}

fn from_wide(word: f64) -> u64 {
    if word.to_bits() == STAND_IN { NO_WORD } else { word.to_bits() }
}

impl Kind {
    /// The kind that a letter stands for in our formats.
    pub fn from_letter(letter: u8) -> Option<Kind> {
        [Kind::Float, Kind::Integer, Kind::WideInteger, Kind::Unsigned, Kind::WideUnsigned, Kind::Boolean]
            .into_iter()
            .find(|kind| *kind as u8 == letter)
    }

    /// The column that an integer goes to, and its word there.
    #[inline]
    pub fn of_integer(value: i64) -> (Kind, f64) {
        match value.unsigned_abs() <= EXACT_INTEGER_MAX {
            true => (Kind::Integer, value as f64),
            false => (Kind::WideInteger, to_wide(value as u64)),
        }
    }

    /// The column that an unsigned integer goes to, and its word there.
    #[inline]
    pub fn of_unsigned(value: u64) -> (Kind, f64) {
        match value <= EXACT_INTEGER_MAX {
            true => (Kind::Unsigned, value as f64),
            false => (Kind::WideUnsigned, to_wide(value)),
        }
    }

    /// Whether words are not the values that PromQL sees.
    #[inline]
    pub fn is_wide(self) -> bool {
        matches!(self, Kind::WideInteger | Kind::WideUnsigned)
    }

    /// The value that PromQL sees: the closest float.
    #[inline]
    pub fn to_float(self, word: f64) -> f64 {
        match self {
            Kind::WideInteger => from_wide(word) as i64 as f64,
            Kind::WideUnsigned => from_wide(word) as f64,
            _ => word,
        }
    }

    /// A word as line protocol writes the value.
    pub fn show(self, word: f64) -> String {
        match self {
            Kind::Float => word.to_string(),
            Kind::Integer => format!("{}i", word as i64),
            Kind::WideInteger => format!("{}i", from_wide(word) as i64),
            Kind::Unsigned => format!("{}u", word as u64),
            Kind::WideUnsigned => format!("{}u", from_wide(word)),
            Kind::Boolean => (word != 0.0).to_string(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Float => "float",
            Kind::Integer => "integer",
            Kind::WideInteger => "wide integer",
            Kind::Unsigned => "unsigned",
            Kind::WideUnsigned => "wide unsigned",
            Kind::Boolean => "boolean",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back_to_the_digit() {
        let edge = EXACT_INTEGER_MAX as i64;
        for value in [0, -1, edge, -edge, edge + 1, -edge - 1, i64::MAX, i64::MIN, NO_WORD as i64] {
            let (kind, word) = Kind::of_integer(value);
            assert_eq!((kind.show(word), kind.to_float(word)), (format!("{value}i"), value as f64));
            assert_ne!(word.to_bits(), NO_WORD);
            assert_eq!(kind.is_wide(), value.unsigned_abs() > EXACT_INTEGER_MAX);
            assert_eq!(Kind::from_letter(kind as u8), Some(kind));
        }
        for value in [0, EXACT_INTEGER_MAX, EXACT_INTEGER_MAX + 1, u64::MAX, NO_WORD] {
            let (kind, word) = Kind::of_unsigned(value);
            assert_eq!((kind.show(word), kind.to_float(word)), (format!("{value}u"), value as f64));
        }
        assert_eq!((Kind::Boolean.show(1.0), Kind::Float.show(-0.0)), ("true".to_string(), "-0".to_string()));
    }
}
