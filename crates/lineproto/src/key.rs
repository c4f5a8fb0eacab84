//! The key of a line: measurement and tags, raw until somebody needs to know what they are.

use super::error::{Fault, LineError, Part, excerpt};
use super::limits::Limits;
use super::scan::name_end;
use super::text::{MEASUREMENT_ESCAPES, NAME_ESCAPES, checked};
use memchr::memchr_iter;
use nom::bytes::complete::take;
use nom::character::complete::char;
use nom::combinator::{cond, opt};
use nom::{IResult, Parser};
use std::borrow::Cow;

/// `measurement[,tag=value...]` as it stands in a line. Equal bytes are equal keys, wherever they stand.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    raw: &'a [u8],
    column: usize,
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

/// A tag's key and value.
pub type Tag<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What a key says. Text is borrowed from the line unless it had escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// What is measured; not empty.
    pub measurement: Cow<'a, str>,
    /// Keys and values in the order of the line; neither is empty, and no key comes twice.
    pub tags: Vec<Tag<'a>>,
}

impl<'a> Key<'a> {
    #[inline]
    pub(super) fn new(raw: &'a [u8], column: usize) -> Self {
        Key { raw, column }
    }

    /// The bytes as they stand in the line, escapes untouched.
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Splits the key and resolves the escapes of its parts.
    ///
    /// Errors: the measurement, a tag's key or value is empty or missing, too long, not UTF-8, or has a control
    /// character; a tag comes twice; there are too many. The column is that of the part.
    pub fn parse(&self, limits: &Limits) -> Result<KeyParts<'a>, LineError> {
        let fail = |at: &[u8], fault| LineError { fault, column: self.column + self.raw.len() - at.len() };

        let (raw, mut rest) = self.raw.split_at(measurement_end(self.raw));
        if raw.is_empty() {
            return Err(fail(self.raw, Fault::EmptyMeasurement));
        }
        let measurement =
            checked(Part::Measurement, raw, MEASUREMENT_ESCAPES, limits).map_err(|f| fail(self.raw, f))?;

        let commas = memchr_iter(b',', rest).count();
        let mut tags = Vec::with_capacity(commas.min(limits.tags_max));
        while let Ok((after, raw)) = raw_tag(rest) {
            tags.push(raw.resolve(limits).map_err(|(at, fault)| fail(at, fault))?);
            if after.first() == Some(&b'=') {
                return Err(fail(after, Fault::UnescapedEquals { tag: excerpt(raw.key) }));
            }
            rest = after;
        }
        if tags.len() > limits.tags_max {
            return Err(fail(self.raw, Fault::TooManyTags { got: tags.len(), limit: limits.tags_max }));
        }
        match duplicate(&tags) {
            Some(key) => Err(fail(self.raw, Fault::DuplicateTag { tag: excerpt(key.as_bytes()) })),
            None => Ok(KeyParts { measurement, tags }),
        }
    }
}

/// One tag as it stands; `value` is `None` without an equals sign. What starts with `from_` reaches to the key's end, and
/// so tells the column.
struct RawTag<'a> {
    from_key: &'a [u8],
    key: &'a [u8],
    from_value: &'a [u8],
    value: Option<&'a [u8]>,
}

impl<'a> RawTag<'a> {
    /// The tag's key and value, or what is wrong with it and where.
    fn resolve(&self, limits: &Limits) -> Result<Tag<'a>, (&'a [u8], Fault)> {
        let tag = || excerpt(self.key);
        if self.key.is_empty() {
            return Err((self.from_key, Fault::EmptyTagKey));
        }
        let value = self.value.ok_or_else(|| (self.from_key, Fault::MissingTagValue { tag: tag() }))?;
        if value.is_empty() {
            return Err((self.from_value, Fault::EmptyTagValue { tag: tag() }));
        }
        let key = checked(Part::TagKey, self.key, NAME_ESCAPES, limits).map_err(|fault| (self.from_key, fault))?;
        let value = checked(Part::TagValue, value, NAME_ESCAPES, limits).map_err(|fault| (self.from_value, fault))?;
        Ok((key, value))
    }
}

/// Length of the measurement: up to the first unescaped comma.
fn measurement_end(key: &[u8]) -> usize {
    memchr_iter(b',', key).find(|&at| at == 0 || key[at - 1] != b'\\').unwrap_or(key.len())
}

/// A comma and the tag behind it.
fn raw_tag(input: &[u8]) -> IResult<&[u8], RawTag<'_>> {
    let (from_key, _) = char(',')(input)?;
    let (from_equals, key) = part(from_key)?;
    let (from_value, equals) = opt(char('=')).parse(from_equals)?;
    let (rest, value) = cond(equals.is_some(), part).parse(from_value)?;
    Ok((rest, RawTag { from_key, key, from_value, value }))
}

/// The key or the value of a tag. A line's key has no unescaped space and no newline, so what ends the name of a field
/// ends these too.
fn part(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take(name_end(input))(input)
}

/// A tag key that comes twice. Most senders sort their tags, which is seen at a glance.
fn duplicate<'t>(tags: &'t [Tag<'_>]) -> Option<&'t str> {
    if tags.is_sorted_by(|(a, _), (b, _)| a < b) {
        return None;
    }
    let mut keys: Vec<&str> = tags.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
