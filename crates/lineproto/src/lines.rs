//! Walks a block line by line into memory that is used again for each.

use super::error::{Fault, LineError};
use super::grammar::{self, Head};
use super::key::Key;
use super::limits::Limits;
use super::precision::Precision;
use super::scan::{is_blank, is_comment, line_end, mark_length, without_nuls};
use super::text::{Name, RawString};
use memchr::{memchr, memchr_iter};
use nom::Err::{Error, Failure, Incomplete};

/// A field's value, of the type that the line gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `1`, `1.5`, `-2e3`; finite.
    Float(f64),
    /// `1i`
    Integer(i64),
    /// `1u`
    Unsigned(u64),
    /// `t`, `true`, `f`, `false` and their like
    Boolean(bool),
    /// `"text"`
    String(RawString<'a>),
}

/// One field of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// As it stands in the line.
    pub name: Name<'a>,
    /// What it was given.
    pub value: Value<'a>,
}

/// One good line. `'a` is the block's, `'b` that of the memory which the next line takes over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'b, 'a> {
    /// Measurement and tags, as they stand.
    pub key: Key<'a>,
    /// One or more, in the order of the line. A name may come twice: the later one counts.
    pub fields: &'b [Field<'a>],
    /// As written, in the unit that the request has agreed on. `None` where the line has no time.
    pub time: Option<i64>,
    /// Number of the line in what was sent, from 1. A line that goes on after a quoted newline has that of its start.
    pub number: u64,
    /// Byte offset of the line in the block.
    pub offset: usize,
    time_column: usize,
}

impl Line<'_, '_> {
    /// The line's time in nanoseconds since the Unix epoch, `None` where it has none.
    ///
    /// Errors: `Fault::TimeOutOfRange`, where the nanoseconds leave the `i64`.
    pub fn time_ns(&self, precision: Precision) -> Result<Option<i64>, LineError> {
        let Some(raw) = self.time else { return Ok(None) };
        precision.to_nanoseconds(raw).map(Some).ok_or_else(|| LineError {
            fault: Fault::TimeOutOfRange { got: format!("{raw}{precision}") },
            column: self.time_column,
        })
    }
}

/// Reads the lines of a block. Blank lines and comments are passed over; a bad line is reported and costs only itself.
#[derive(Debug)]
pub struct Lines<'a> {
    block: &'a [u8],
    limits: Limits,
    /// Where the next line starts.
    at: usize,
    /// Number of the line that starts at `at`.
    next_number: u64,
    number: u64,
    offset: usize,
    fields: Vec<Field<'a>>,
}

impl<'a> Lines<'a> {
    /// Starts at the first line of `block`, behind a byte order mark; the last line may have no newline.
    pub fn new(block: &'a [u8], limits: &Limits) -> Self {
        let at = mark_length(block);
        Lines { block, limits: *limits, at, next_number: 1, number: 0, offset: 0, fields: Vec::with_capacity(16) }
    }

    /// Counts from `number` instead of 1: for a block that is a later piece of what was sent.
    pub fn numbered_from(self, number: u64) -> Self {
        let at = if number == 1 { self.at } else { 0 };
        Lines { at, next_number: number, ..self }
    }

    /// Number of the line that was read last, good or bad; 0 before the first.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Byte offset in the block of the line that was read last.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes of the line that was read last, without its newline.
    pub fn raw(&self) -> &'a [u8] {
        &self.block[self.offset.min(self.block.len())..self.at.saturating_sub(1).min(self.block.len())]
    }

    /// The next line that is not blank and not a comment; `None` at the end of the block.
    #[inline]
    pub fn next_line(&mut self) -> Option<Result<Line<'_, 'a>, LineError>> {
        self.skip_empty();
        let rest = self.block.get(self.at..).filter(|rest| !rest.is_empty())?;
        (self.offset, self.number) = (self.at, self.next_number);
        self.fields.clear();
        // Two bytes beyond the limit tell that a line is over it, and bound how far a quote is looked for.
        let input = &rest[..rest.len().min(self.limits.line_bytes_max.saturating_add(2))];
        if let Ok((tail, head)) = grammar::line(input, self.limits.fields_max, &mut self.fields) {
            let end = input.len() - tail.len() + usize::from(tail.starts_with(b"\r"));
            if end <= self.limits.line_bytes_max && head.key.len() <= self.limits.key_bytes_max {
                self.pass(rest, end, head.has_strings);
                return Some(Ok(self.line(&head)));
            }
        }
        Some(self.line_alone(rest))
    }

    /// Reads the line at the start of `rest` a second time, cut out by the rule for where lines end: so what is wrong
    /// with it cannot depend on the lines after it, nor on the piece of a body it came in. That it is too long comes
    /// first, since a piece may show no more of it than that.
    #[cold]
    fn line_alone(&mut self, rest: &'a [u8]) -> Result<Line<'_, 'a>, LineError> {
        let Limits { line_bytes_max, key_bytes_max, fields_max, .. } = self.limits;
        let end = line_end(rest, line_bytes_max, false).unwrap_or(rest.len());
        self.pass(rest, end, true);
        if end > line_bytes_max {
            let fault = Fault::LineTooLong { limit: line_bytes_max };
            return Err(LineError { fault, column: line_bytes_max.saturating_add(1) });
        }
        self.fields.clear();
        match grammar::line(without_nuls(&rest[..end]), fields_max, &mut self.fields) {
            Ok((_, head)) if head.key.len() > key_bytes_max => {
                let fault = Fault::KeyTooLong { got: head.key.len(), limit: key_bytes_max };
                Err(LineError { fault, column: head.key_column })
            }
            Ok((_, head)) => Ok(self.line(&head)),
            Err(Error(bad) | Failure(bad)) => Err(bad.explain(end)),
            Err(Incomplete(_)) => unreachable!("BUG: every parser of the grammar is a complete one"),
        }
    }

    #[inline]
    fn line(&self, head: &Head<'a>) -> Line<'_, 'a> {
        Line {
            key: Key::new(head.key, head.key_column),
            fields: &self.fields,
            time: head.time,
            number: self.number,
            offset: self.offset,
            time_column: head.time_column,
        }
    }

    /// Steps over the line of `length` bytes at the start of `rest`, and its newline.
    #[inline]
    fn pass(&mut self, rest: &[u8], length: usize, has_inner_newlines: bool) {
        self.at += length + 1;
        self.next_number += 1;
        if has_inner_newlines {
            self.next_number += memchr_iter(b'\n', &rest[..length]).count() as u64;
        }
    }

    /// Moves to the first line that is neither blank nor a comment.
    #[inline]
    fn skip_empty(&mut self) {
        while let Some(&first) = self.block.get(self.at) {
            if first > b'#' {
                return;
            }
            let rest = &self.block[self.at..];
            let text = rest.iter().position(|&b| !is_blank(b)).unwrap_or(rest.len());
            let length = match rest.get(text) {
                Some(b'\n') | None if text <= self.limits.line_bytes_max => text,
                _ if is_comment(rest, text, self.limits.line_bytes_max) => memchr(b'\n', rest).unwrap_or(rest.len()),
                _ => return,
            };
            self.at += length + 1;
            self.next_number += 1;
        }
    }
}
