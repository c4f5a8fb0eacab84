//! What a column is called: the measurement, the field, and the kind of its values, as the client said them.

use crate::{Kind, Naming};
use std::fmt;

/// Stands between the parts of a key: no name in line protocol has it.
const BETWEEN: char = '\0';

/// A column of a row, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// A field of a line.
    Field {
        /// The measurement, unescaped.
        measurement: &'a str,
        /// The field, unescaped.
        field: &'a str,
        /// Of which kind its values are.
        kind: Kind,
    },
    /// What came as a metric, or was kept as one before fields were: this is its name, and its values are floats.
    Metric(&'a str),
}

impl<'a> Column<'a> {
    /// What a key says.
    pub fn of(key: &'a str) -> Column<'a> {
        let parts = || {
            let (measurement, rest) = key.split_once(BETWEEN)?;
            let (field, letter) = rest.split_once(BETWEEN)?;
            let [letter] = *letter.as_bytes() else { return None };
            Some(Column::Field { measurement, field, kind: Kind::from_letter(letter)? })
        };
        parts().unwrap_or(Column::Metric(key))
    }

    /// The key: columns of a measurement are neighbours in its order. Part of our formats.
    pub fn key(&self) -> String {
        match self {
            Column::Field { measurement, field, kind } => {
                format!("{measurement}{BETWEEN}{field}{BETWEEN}{}", *kind as u8 as char)
            }
            Column::Metric(name) => name.to_string(),
        }
    }

    /// The kind of its values.
    pub fn kind(&self) -> Kind {
        match self {
            Column::Field { kind, .. } => *kind,
            Column::Metric(_) => Kind::Float,
        }
    }

    /// What PromQL calls it under these rules.
    pub fn metric(&self, naming: &Naming) -> String {
        match self {
            Column::Field { measurement, field, .. } => naming.metric(measurement, field),
            Column::Metric(name) => name.to_string(),
        }
    }
}

/// As people read it: `"cpu"."usage" (integer)`, or the name of the metric.
impl fmt::Display for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Column::Field { measurement, field, kind } => write!(f, "{measurement:?}.{field:?} ({kind})"),
            Column::Metric(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        for column in [
            Column::Field { measurement: "cpu", field: "usage user", kind: Kind::Integer },
            Column::Field { measurement: "", field: "", kind: Kind::WideUnsigned },
            Column::Metric("up"),
            Column::Metric(""),
        ] {
            assert_eq!(Column::of(&column.key()), column);
        }
        assert_eq!(Column::of("a\0b"), Column::Metric("a\0b"), "what is no key of ours is a name");
        let naming = Naming::default();
        assert_eq!(Column::of("kernel\0file-max\0i").metric(&naming), "kernel_file_max");
        assert_eq!(Column::of("file-max").metric(&naming), "file-max");
    }
}
