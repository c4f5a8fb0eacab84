//! How large a line and its parts may be. Every limit is a setting, and a refusal names it.

/// What the settings behind [`Limits`] are called in the configuration file.
pub mod setting {
    /// [`Limits::line_bytes_max`](super::Limits::line_bytes_max)
    pub const LINE_BYTES_MAX: &str = "ingest.max_line_bytes";
    /// [`Limits::key_bytes_max`](super::Limits::key_bytes_max)
    pub const KEY_BYTES_MAX: &str = "ingest.max_key_bytes";
    /// [`Limits::tags_max`](super::Limits::tags_max)
    pub const TAGS_MAX: &str = "ingest.max_tags";
    /// [`Limits::name_bytes_max`](super::Limits::name_bytes_max)
    pub const NAME_BYTES_MAX: &str = "ingest.max_name_bytes";
    /// [`Limits::value_bytes_max`](super::Limits::value_bytes_max)
    pub const VALUE_BYTES_MAX: &str = "ingest.max_value_bytes";
    /// [`Limits::fields_max`](super::Limits::fields_max)
    pub const FIELDS_MAX: &str = "ingest.max_fields";
}

/// The limits of one line. The defaults are those of peers where they have one; what is as large as its limit is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a line without its newline: 256 KiB. Also how far the end of a quoted string is looked for, so it
    /// bounds what a stray quote can cost.
    pub line_bytes_max: usize,
    /// Bytes of a key as it stands in the line, escapes included: 64 KiB.
    pub key_bytes_max: usize,
    /// Tags of a line: 40.
    pub tags_max: usize,
    /// Bytes of a measurement, a tag key or a field name, escapes resolved: 256.
    pub name_bytes_max: usize,
    /// Bytes of a tag value or of a string that is kept, escapes resolved: 4096.
    pub value_bytes_max: usize,
    /// Fields of a line: 4096.
    pub fields_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line_bytes_max: 256 << 10,
            key_bytes_max: 64 << 10,
            tags_max: 256,
            name_bytes_max: 256,
            value_bytes_max: 4096,
            fields_max: 4096,
        }
    }
}
