//! Cuts a body that arrives in pieces where lines end, so that parsing the pieces gives what parsing the whole would.
//!
//! Whether a newline ends a line can depend on bytes that have not come yet: an opening quote before it may still find
//! its closing one. The wait is bounded, because a string must close within the first `line_bytes_max` bytes of its
//! line. So a buffer of that size and one piece is all that a reader needs.

use super::limits::Limits;
use super::scan::line_end;
use memchr::{memchr, memchr_iter, memrchr};

/// Remembers, from one piece of a body to the next, what the bytes that are gone said.
#[derive(Debug)]
pub struct Splitter {
    line_bytes_max: usize,
    /// The start of an over-long line has been handed out; what comes up to its newline is dropped.
    in_long_line: bool,
    /// Number of the line that the next bytes belong to.
    number: u64,
}

/// What a [`Splitter`] makes of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split<'b> {
    /// Whole lines, for [`Lines`](super::Lines). The last one has no newline where it is over-long (then it is an
    /// error whatever follows) or the last of the body.
    pub lines: &'b [u8],
    /// Number of the first of them, for [`Lines::numbered_from`](super::Lines::numbered_from).
    pub number: u64,
    /// The start of a line whose end has not come: at most `line_bytes_max` bytes, to be put before the next piece.
    pub rest: &'b [u8],
}

impl Splitter {
    /// Starts at the beginning of a body.
    pub fn new(limits: &Limits) -> Self {
        Splitter { line_bytes_max: limits.line_bytes_max, in_long_line: false, number: 1 }
    }

    /// Splits `buffer`: what the last call left, with the next piece behind it. `last` says that nothing follows.
    ///
    /// Takes time in proportion to the buffer.
    pub fn split<'b>(&mut self, buffer: &'b [u8], last: bool) -> Split<'b> {
        let mut start = 0;
        if self.in_long_line {
            let Some(newline) = memchr(b'\n', buffer) else {
                return Split { lines: &[], number: self.number, rest: &[] };
            };
            start = newline + 1;
            self.in_long_line = false;
            self.number += 1;
        }
        let mut end = if last { buffer.len() } else { start + whole_lines(&buffer[start..], self.line_bytes_max) };
        if buffer.len() - end > self.line_bytes_max {
            self.in_long_line = true;
            end = buffer.len();
        }
        let (lines, number) = (&buffer[start..end], self.number);
        self.number += memchr_iter(b'\n', lines).count() as u64;
        Split { lines, number, rest: &buffer[end..] }
    }
}

/// Bytes up to the last newline that ends a line whatever may follow.
fn whole_lines(buffer: &[u8], line_bytes_max: usize) -> usize {
    if memchr(b'"', buffer).is_none() {
        return memrchr(b'\n', buffer).map_or(0, |newline| newline + 1);
    }
    let mut end = 0;
    while let Some(length) = line_end(&buffer[end..], line_bytes_max, true) {
        end += length + 1;
    }
    end
}
