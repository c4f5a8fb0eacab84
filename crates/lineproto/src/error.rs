//! Why a line is refused: a sentence for people, a label for counters, and the column.

use super::limits::setting;
use std::fmt;

/// Bytes of a refused piece of input that a message repeats.
const EXCERPT_BYTES_MAX: usize = 64;

/// A refused line. `to_string` is the fault's sentence; the line's number is known to [`Lines`](super::Lines).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct LineError {
    /// What is wrong.
    pub fault: Fault,
    /// Where, as the byte offset from the start of the line, plus 1.
    pub column: usize,
}

impl LineError {
    /// A stable label for counters: a few words in snake case, the same for every line with this kind of fault.
    pub fn reason(&self) -> &'static str {
        self.fault.reason()
    }
}

/// Which part of a line a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What stands before the tags.
    Measurement,
    /// Left of a tag's `=`.
    TagKey,
    /// Right of a tag's `=`.
    TagValue,
    /// Left of a field's `=`.
    FieldName,
    /// A quoted value.
    StringValue,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Measurement => "measurement",
            Part::TagKey => "tag key",
            Part::TagValue => "tag value",
            Part::FieldName => "field name",
            Part::StringValue => "string value",
        })
    }
}

/// What is wrong with a line. Texts are excerpts: at most 64 bytes, with control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant says what its fields hold")]
pub enum Fault {
    #[error("line is longer than the {limit} bytes of {}", setting::LINE_BYTES_MAX)]
    LineTooLong { limit: usize },
    #[error("measurement and tags have {got} bytes, more than the {limit} of {}", setting::KEY_BYTES_MAX)]
    KeyTooLong { got: usize, limit: usize },
    #[error("line has more than the {limit} fields of {}", setting::FIELDS_MAX)]
    TooManyFields { limit: usize },
    #[error("line has no fields")]
    NoFields,

    #[error("field has no name before its `=`")]
    EmptyFieldName,
    #[error("field `{field}` has no `=` and value")]
    MissingFieldValue { field: String },
    #[error("field `{field}` has nothing after its `=`")]
    EmptyFieldValue { field: String },
    #[error("field `{field}`: `{got}` is not a number, a boolean or a quoted string")]
    BadValue { field: String, got: String },
    #[error("field `{field}`: `{got}` is not a finite number and cannot be stored: leave the field out")]
    NotFinite { field: String, got: String },
    #[error("field `{field}`: `{got}` is outside the range of a 64-bit float, about -1.8e308 to 1.8e308")]
    FloatOutOfRange { field: String, got: String },
    #[error("field `{field}`: `{got}` is outside the range of a 64-bit integer, {} to {}", i64::MIN, i64::MAX)]
    IntegerOutOfRange { field: String, got: String },
    #[error("field `{field}`: `{got}` is outside the range of an unsigned 64-bit integer, 0 to {}", u64::MAX)]
    UnsignedOutOfRange { field: String, got: String },
    #[error("field `{field}`: unterminated string: its opening quote has no closing quote that ends the value")]
    UnterminatedString { field: String },
    #[error("field `{field}`: got `{got}` after the closing quote, want a comma, a space or the end of the line")]
    TextAfterString { field: String, got: String },

    #[error("timestamp `{got}` is not an integer")]
    BadTime { got: String },
    #[error("timestamp `{got}` is outside the range of times that can be kept")]
    TimeOutOfRange { got: String },

    #[error("line has no measurement")]
    EmptyMeasurement,
    #[error("tag has no key before its `=`")]
    EmptyTagKey,
    #[error("tag `{tag}` has no `=` and value")]
    MissingTagValue { tag: String },
    #[error("tag `{tag}` has an empty value: leave the tag out")]
    EmptyTagValue { tag: String },
    #[error("tag `{tag}` has a second `=`: write `\\=` for one that belongs to the value")]
    UnescapedEquals { tag: String },
    #[error("tag `{tag}` is given twice")]
    DuplicateTag { tag: String },
    #[error("line has {got} tags, more than the {limit} of {}", setting::TAGS_MAX)]
    TooManyTags { got: usize, limit: usize },
    #[error("{part} `{text}` has {got} bytes, more than the {limit} of {}", setting::NAME_BYTES_MAX)]
    NameTooLong { part: Part, text: String, got: usize, limit: usize },
    #[error("{part} `{text}` has {got} bytes, more than the {limit} of {}", setting::VALUE_BYTES_MAX)]
    ValueTooLong { part: Part, text: String, got: usize, limit: usize },
    #[error("{part} `{text}` is not valid UTF-8")]
    InvalidUtf8 { part: Part, text: String },
    #[error("{part} `{text}` contains the control character U+{code:04X}")]
    ControlCharacter { part: Part, text: String, code: u32 },
}

impl Fault {
    /// A stable label for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Fault::LineTooLong { .. } => "line_too_long",
            Fault::KeyTooLong { .. } => "key_too_long",
            Fault::TooManyFields { .. } => "too_many_fields",
            Fault::NoFields => "no_fields",
            Fault::EmptyFieldName => "empty_field_name",
            Fault::MissingFieldValue { .. } => "missing_field_value",
            Fault::EmptyFieldValue { .. } => "empty_field_value",
            Fault::BadValue { .. } => "bad_value",
            Fault::NotFinite { .. } => "not_finite",
            Fault::FloatOutOfRange { .. } => "float_out_of_range",
            Fault::IntegerOutOfRange { .. } => "integer_out_of_range",
            Fault::UnsignedOutOfRange { .. } => "unsigned_out_of_range",
            Fault::UnterminatedString { .. } => "unterminated_string",
            Fault::TextAfterString { .. } => "text_after_string",
            Fault::BadTime { .. } => "bad_time",
            Fault::TimeOutOfRange { .. } => "time_out_of_range",
            Fault::EmptyMeasurement => "empty_measurement",
            Fault::EmptyTagKey => "empty_tag_key",
            Fault::MissingTagValue { .. } => "missing_tag_value",
            Fault::EmptyTagValue { .. } => "empty_tag_value",
            Fault::UnescapedEquals { .. } => "unescaped_equals",
            Fault::DuplicateTag { .. } => "duplicate_tag",
            Fault::TooManyTags { .. } => "too_many_tags",
            Fault::NameTooLong { .. } => "name_too_long",
            Fault::ValueTooLong { .. } => "value_too_long",
            Fault::InvalidUtf8 { .. } => "invalid_utf8",
            Fault::ControlCharacter { .. } => "control_character",
        }
    }
}

/// What a message repeats of the input: safe to print, and short whatever was sent.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes[..bytes.len().min(EXCERPT_BYTES_MAX)].utf8_chunks() {
        for c in chunk.valid().chars() {
            match c.is_control() {
                true => text.extend(c.escape_default()),
                false => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if bytes.len() > EXCERPT_BYTES_MAX {
        text.push_str("...");
    }
    text
}
