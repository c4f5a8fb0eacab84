//! What is wrong with a query, and where in its text.

use std::fmt;

/// Something that cannot be read or does not fit, at a byte of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the byte.
    pub at: usize,
    /// What was found there and what would be right.
    pub sentence: String,
    /// Whether upstream would only find it while it evaluates.
    pub late: bool,
}

impl Fault {
    /// A fault at byte `at`.
    pub fn new(at: usize, sentence: impl Into<String>) -> Self {
        Fault { at, sentence: sentence.into(), late: false }
    }

    /// A fault that upstream would only find while it evaluates.
    pub fn late(at: usize, sentence: impl Into<String>) -> Self {
        Fault { late: true, ..Fault::new(at, sentence) }
    }

    /// The whole message, for the text that the fault is in: `1:5: parse error: …`; of a late one `… (1:5)`.
    pub fn in_text(&self, text: &str) -> String {
        let place = Lines::new(text).place(self.at);
        match self.late {
            false => format!("{place}: parse error: {}", self.sentence),
            true => format!("{} ({place})", self.sentence),
        }
    }
}

/// A place in a text: line and byte column, both from 1. Prints as `1:5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where the lines of a text start, so that positions are found quickly.
#[derive(Debug)]
pub struct Lines {
    /// Offset of each line's first byte; the first is 0.
    starts: Vec<usize>,
}

impl Lines {
    /// Looks through a text once.
    pub fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The place of byte `at`.
    pub fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at);
        Place { line, column: at - self.starts[line - 1] + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_bytes_from_one() {
        for (text, at, want) in
            [("ab", 0, "1:1"), ("ab\ncd", 2, "1:3"), ("ab\ncd", 4, "2:2"), ("ä(b)", 3, "1:4"), ("", 0, "1:1")]
        {
            assert_eq!(Lines::new(text).place(at).to_string(), want, "{text:?} at {at}");
        }
    }
}
