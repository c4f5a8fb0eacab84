//! The grammar of one line, as nom parsers over bytes. This is the hot path: each byte is looked at once, and the key
//! only for its end.
//!
//! A parser that fails says where and what in [`Bad`]; the sentence is made later, by [`Bad::explain`].

use super::error::{Fault, LineError, excerpt};
use super::lines::{Field, Value};
use super::number::{any_number, integer, plain_number};
use super::scan::{closing_quote, ends_value, is_blank, key_end, name_end, token_end};
use super::text::{Name, RawString};
use memchr::memchr;
use nom::Err::Error;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while};
use nom::combinator::value;
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Parser};

/// What a parser of this grammar returns.
pub(super) type Parsed<'a, T> = IResult<&'a [u8], T, Bad<'a>>;

/// Where a line stopped making sense.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bad<'a> {
    /// The input from the bad byte on.
    pub at: &'a [u8],
    /// The name of the field that is bad, where it is a field.
    pub field: &'a [u8],
    pub what: What,
}

/// What was wrong there.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    NoFields,
    NoName,
    NoEquals,
    Value,
    Unterminated,
    AfterString,
    Fields { limit: usize },
    Time,
}

impl<'a> ParseError<&'a [u8]> for Bad<'a> {
    /// Only values are tried by nom's own parsers.
    fn from_error_kind(at: &'a [u8], _: ErrorKind) -> Self {
        Bad { at, field: &[], what: What::Value }
    }

    fn append(_: &'a [u8], _: ErrorKind, first: Self) -> Self {
        first
    }
}

/// A line without its fields, which go to the caller's memory.
pub(super) struct Head<'a> {
    pub key: &'a [u8],
    pub key_column: usize,
    pub time: Option<i64>,
    pub time_column: usize,
    /// Whether a field is a string, so that there may be newlines in the line.
    pub has_strings: bool,
}

/// The line at the start of `input`, up to its newline, which is left. Fills `fields`, which the caller has emptied.
#[inline]
pub(super) fn line<'a>(input: &'a [u8], fields_max: usize, fields: &mut Vec<Field<'a>>) -> Parsed<'a, Head<'a>> {
    let (from_key, _) = take_while(is_blank).parse_complete(input)?;
    let (rest, key) = key(from_key)?;
    let (rest, has_strings) = field_list(rest, input.len(), fields_max, fields)?;
    let from_time = spaces(rest);
    let (rest, time) = time(from_time)?;
    let column = |at: &[u8]| input.len() - at.len() + 1;
    Ok((rest, Head { key, key_column: column(from_key), time, time_column: column(from_time), has_strings }))
}

/// Measurement and tags as they stand, and the spaces after them.
#[inline]
fn key(input: &[u8]) -> Parsed<'_, &[u8]> {
    let no_fields = |at| Err(Error(Bad { at, field: &[], what: What::NoFields }));
    let Some(end) = key_end(input) else { return no_fields(input) };
    let (key, rest) = input.split_at(end);
    let rest = spaces(rest);
    if at_line_end(rest) { no_fields(rest) } else { Ok((rest, key)) }
}

/// Fields with commas between them. `length` is that of the input that starts with the line. Returns whether one of
/// them is a string.
#[inline]
fn field_list<'a>(
    mut input: &'a [u8],
    length: usize,
    fields_max: usize,
    fields: &mut Vec<Field<'a>>,
) -> Parsed<'a, bool> {
    let mut has_strings = false;
    loop {
        if fields.len() == fields_max {
            return Err(Error(Bad { at: input, field: &[], what: What::Fields { limit: fields_max } }));
        }
        let (from_value, name) = name(input)?;
        let (rest, value) = match plain_number(from_value) {
            Some(read) => read,
            None => any_value(from_value).map_err(|e| e.map(|bad| Bad { field: name, ..bad }))?,
        };
        has_strings |= matches!(value, Value::String(_));
        fields.push(Field { name: Name::new(name, length - input.len() + 1), value });
        match rest.split_first() {
            Some((b',', rest)) => input = rest,
            None | Some((b' ' | b'\n' | b'\r', _)) => return Ok((rest, has_strings)),
            Some(_) => return Err(Error(Bad { at: from_value, field: name, what: What::Value })),
        }
    }
}

/// A field's name and the equals sign after it.
#[inline]
fn name(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (name, rest) = input.split_at(name_end(input));
    let what = match rest.split_first() {
        Some((b'=', rest)) if !name.is_empty() => return Ok((rest, name)),
        _ if name.is_empty() => What::NoName,
        _ => What::NoEquals,
    };
    Err(Error(Bad { at: input, field: name, what }))
}

/// A value of any type. Not inlined, so that plain numbers, which do not get here, are read without a call.
#[inline(never)]
fn any_value(input: &[u8]) -> Parsed<'_, Value<'_>> {
    match input.first() {
        Some(b'"') => string(input),
        Some(b't' | b'T' | b'f' | b'F') => boolean(input),
        _ => any_number(input),
    }
}

fn boolean(input: &[u8]) -> Parsed<'_, Value<'_>> {
    alt((
        value(true, alt((tag("true"), tag("True"), tag("TRUE"), tag("t"), tag("T")))),
        value(false, alt((tag("false"), tag("False"), tag("FALSE"), tag("f"), tag("F")))),
    ))
    .map(Value::Boolean)
    .parse_complete(input)
}

/// A string, quotes and all. Its closing quote must end the value.
fn string(input: &[u8]) -> Parsed<'_, Value<'_>> {
    let unterminated = Err(Error(Bad { at: input, field: &[], what: What::Unterminated }));
    let Some((_, from_text)) = input.split_first() else { return unterminated };
    let Some(end) = closing_quote(from_text) else { return unterminated };
    let (text, rest) = (&from_text[..end], &from_text[end + 1..]);
    match ends_value(rest.first().copied()) {
        true => Ok((rest, Value::String(RawString(text)))),
        false => Err(Error(Bad { at: rest, field: &[], what: What::AfterString })),
    }
}

/// What follows the fields: perhaps a time, perhaps spaces, the end of the line.
#[inline]
fn time(input: &[u8]) -> Parsed<'_, Option<i64>> {
    if at_line_end(input) {
        return Ok((input, None));
    }
    let (rest, time) = integer(input)?;
    let rest = spaces(rest);
    match at_line_end(rest) {
        true => Ok((rest, Some(time))),
        false => Err(Error(Bad { at: input, field: &[], what: What::Time })),
    }
}

#[inline]
fn spaces(mut input: &[u8]) -> &[u8] {
    while let Some((b' ', rest)) = input.split_first() {
        input = rest;
    }
    input
}

/// Whether the line ends here, with or without a carriage return.
#[inline]
fn at_line_end(input: &[u8]) -> bool {
    matches!(input, [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..])
}

impl Bad<'_> {
    /// The error to report for a line at the start of an input of `length` bytes.
    #[cold]
    pub fn explain(&self, length: usize) -> LineError {
        LineError { fault: self.fault(), column: length - self.at.len() + 1 }
    }

    fn fault(&self) -> Fault {
        let field = excerpt(self.field);
        let token = &self.at[..token_end(self.at)];
        match self.what {
            What::NoFields => Fault::NoFields,
            What::NoName => Fault::EmptyFieldName,
            What::NoEquals => Fault::MissingFieldValue { field },
            What::Value => bad_value(field, token),
            What::Unterminated => Fault::UnterminatedString { field },
            What::AfterString => Fault::TextAfterString { field, got: excerpt(token) },
            What::Fields { limit } => Fault::TooManyFields { limit },
            What::Time => {
                let line_end = memchr(b'\n', self.at).unwrap_or(self.at.len());
                let text = self.at[..line_end].trim_ascii_end();
                let got = excerpt(text);
                if is_integer(text) { Fault::TimeOutOfRange { got } } else { Fault::BadTime { got } }
            }
        }
    }
}

/// Which fault it is that `token` has as a value.
fn bad_value(field: String, token: &[u8]) -> Fault {
    let got = excerpt(token);
    match token {
        [] => Fault::EmptyFieldValue { field },
        [integer @ .., b'i'] if is_integer(integer) => Fault::IntegerOutOfRange { field, got },
        [integer @ .., b'u'] if is_integer(integer) => Fault::UnsignedOutOfRange { field, got },
        // The standard library reads the same numbers, and the many spellings of the values that are none.
        _ => match std::str::from_utf8(token).ok().and_then(|text| text.parse::<f64>().ok()) {
            Some(_) if token.iter().any(u8::is_ascii_digit) => Fault::FloatOutOfRange { field, got },
            Some(_) => Fault::NotFinite { field, got },
            None => Fault::BadValue { field, got },
        },
    }
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}
