//! Names and strings as they stand in a line, and what they say once escapes are resolved.
//!
//! A backslash is an escape only before the bytes that its place in the line lists; before any other byte it stands
//! for itself, so `C:\temp` is written as it is.

use super::error::{Fault, LineError, Part, excerpt};
use super::limits::Limits;
use memchr::memchr;
use std::borrow::Cow;

/// What a backslash may stand before in a measurement.
pub(super) const MEASUREMENT_ESCAPES: &[u8] = b", ";
/// What a backslash may stand before in a tag key, a tag value and a field name.
pub(super) const NAME_ESCAPES: &[u8] = b",= ";
/// What a backslash may stand before between quotes.
const STRING_ESCAPES: &[u8] = b"\"\\";

/// A field's name as it stands in the line. Equal bytes are equal names, wherever they stand.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    raw: &'a [u8],
    column: usize,
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<'a> Name<'a> {
    #[inline]
    pub(super) fn new(raw: &'a [u8], column: usize) -> Self {
        Name { raw, column }
    }

    /// The bytes, escapes untouched; never empty.
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Resolves the escapes and checks the name.
    ///
    /// Errors: the name is longer than `name_bytes_max`, not UTF-8, or has a control character.
    pub fn parse(&self, limits: &Limits) -> Result<Cow<'a, str>, LineError> {
        checked(Part::FieldName, self.raw, NAME_ESCAPES, limits)
            .map_err(|fault| LineError { fault, column: self.column() })
    }

    /// Where the name stands: its byte offset from the start of the line, plus 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

/// The bytes between a string's quotes as they stand in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawString<'a>(pub(super) &'a [u8]);

impl<'a> RawString<'a> {
    /// The bytes, escapes untouched.
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// Resolves the escapes. Newlines and other control characters are part of the text.
    ///
    /// Errors: the text is longer than `value_bytes_max`, or not UTF-8. The column is that of the field's name.
    pub fn parse(&self, limits: &Limits) -> Result<Cow<'a, str>, Fault> {
        checked(Part::StringValue, self.0, STRING_ESCAPES, limits)
    }
}

/// The text that `raw` stands for, if it is one that `part` may have.
pub(super) fn checked<'a>(part: Part, raw: &'a [u8], escapes: &[u8], limits: &Limits) -> Result<Cow<'a, str>, Fault> {
    let bytes = unescape(raw, escapes);
    let got = bytes.len();
    match part {
        Part::TagValue | Part::StringValue if got > limits.value_bytes_max => {
            return Err(Fault::ValueTooLong { part, text: excerpt(&bytes), got, limit: limits.value_bytes_max });
        }
        Part::Measurement | Part::TagKey | Part::FieldName if got > limits.name_bytes_max => {
            return Err(Fault::NameTooLong { part, text: excerpt(&bytes), got, limit: limits.name_bytes_max });
        }
        _ => {}
    }
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    let text = text.ok_or_else(|| Fault::InvalidUtf8 { part, text: excerpt(raw) })?;
    if part == Part::StringValue {
        return Ok(text);
    }
    // Most names are ASCII, where a look at each byte tells; beyond it there are the C1 controls.
    let is_plain = text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control());
    match if is_plain { None } else { text.chars().find(|c| c.is_control()) } {
        Some(c) => Err(Fault::ControlCharacter { part, text: excerpt(text.as_bytes()), code: c.into() }),
        None => Ok(text),
    }
}

/// Drops each backslash that stands before one of `escapes`.
fn unescape<'a>(raw: &'a [u8], escapes: &[u8]) -> Cow<'a, [u8]> {
    if memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        match tail.split_first() {
            Some((&next, after)) if byte == b'\\' && escapes.contains(&next) => {
                bytes.push(next);
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_stands_for_itself_unless_its_place_gives_it_a_meaning() {
        for (raw, measurement, name, string) in [
            (r"plain", r"plain", r"plain", r"plain"),
            (r"a\,b", r"a,b", r"a,b", r"a\,b"),
            (r"a\ b", r"a b", r"a b", r"a\ b"),
            (r"a\=b", r"a\=b", r"a=b", r"a\=b"),
            (r#"a\"b"#, r#"a\"b"#, r#"a\"b"#, r#"a"b"#),
            (r"a\\b", r"a\\b", r"a\\b", r"a\b"),
            (r"a\\,b", r"a\,b", r"a\,b", r"a\,b"),
            (r"C:\temp\", r"C:\temp\", r"C:\temp\", r"C:\temp\"),
        ] {
            for (escapes, want) in [(MEASUREMENT_ESCAPES, measurement), (NAME_ESCAPES, name), (STRING_ESCAPES, string)]
            {
                assert_eq!(unescape(raw.as_bytes(), escapes), want.as_bytes(), "{raw} with {escapes:?}");
            }
        }
    }
}
