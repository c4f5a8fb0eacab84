//! The compact form of lines: what a request is staged as, what the log holds and what the memory tier applies.
//!
//! A body is a run of lines, each:
//!
//! | field | form |
//! |---|---|
//! | time | zigzag varint, minus the time of the line before (the first: minus 0), in the line's unit |
//! | shape | varint `count * 8 + unit * 2 + sparse` |
//! | values | `count` values; where `sparse` is 1 each stands behind its field's index as a varint, else they are fields 0, 1, 2 … |
//!
//! A value is a varint whose two low bits say how the rest is meant:
//! `0` a whole number (zigzag), `1` thousandths (zigzag), `2` nothing more here: eight bytes of IEEE 754 follow.
//! Which row a line belongs to is not in here: rows are named once a record, by whoever keeps the body.

use super::varint::{self, Cursor, unzigzag, zigzag};
use sealine_model::{TimeUnit, ns_from_ms};

const WHOLE: u64 = 0;
const THOUSANDTHS: u64 = 1;
const RAW: u64 = 2;

/// The bit that a number that ends with its varint never has.
const RAW_BIT: u32 = 1;

/// Numbers up to here, times four, still fit a varint without loss, and their thousandths divide exactly.
const EXACT_MAX: f64 = (1u64 << 52) as f64;

/// Fields of one row that a line may address: the index has to fit a `u16`.
pub const FIELDS_MAX: usize = u16::MAX as usize;

/// Appends lines to a body.
#[derive(Debug, Default, Clone)]
pub struct LineWriter {
    bytes: Vec<u8>,
    last_time: i64,
    lines: usize,
    samples: usize,
}

impl LineWriter {
    /// Appends one line of a time in nanoseconds. `values` are (index of the field in its row, value), at least one; no two share an index.
    pub fn push(&mut self, time: i64, values: &[(u16, f64)]) {
        let sparse = values.iter().enumerate().any(|(at, (field, _))| at != usize::from(*field));
        let (unit, step) = match time.checked_sub(self.last_time) {
            Some(step) => (TimeUnit::of(step), step),
            None => (TimeUnit::Nanoseconds, time.wrapping_sub(self.last_time)),
        };
        varint::push_signed(&mut self.bytes, unit.floor(step));
        varint::push(&mut self.bytes, (values.len() as u64) << 3 | unit.code() << 1 | u64::from(sparse));
        for (field, value) in values {
            if sparse {
                varint::push(&mut self.bytes, u64::from(*field));
            }
            push_value(&mut self.bytes, *value);
        }
        self.last_time = time;
        self.lines += 1;
        self.samples += values.len();
    }

    /// Bytes that it takes in memory.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The body so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many lines it holds.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// How many samples it holds.
    pub fn samples(&self) -> usize {
        self.samples
    }
}

#[inline]
fn push_value(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    if whole as f64 == value && value.abs() < EXACT_MAX && (whole != 0 || value.is_sign_positive()) {
        return varint::push(out, zigzag(whole) << 2 | WHOLE);
    }
    let scaled = (value * 1000.0).round();
    if scaled.abs() < EXACT_MAX && scaled != 0.0 && scaled / 1000.0 == value {
        return varint::push(out, zigzag(scaled as i64) << 2 | THOUSANDTHS);
    }
    varint::push(out, RAW);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// A value that its varint holds completely.
#[inline]
fn short_value(head: u64) -> Option<f64> {
    match head & 3 {
        WHOLE => Some(unzigzag(head >> 2) as f64),
        THOUSANDTHS => Some(unzigzag(head >> 2) as f64 / 1000.0),
        _ => None,
    }
}

#[inline]
fn read_value(cursor: &mut Cursor<'_>) -> Option<f64> {
    let head = cursor.read()?;
    match head {
        RAW => Some(f64::from_bits(u64::from_le_bytes(cursor.take_array()?))),
        _ => short_value(head),
    }
}

/// Reads the values of a line, from their shape on, and nothing behind them: `see` gets each with its field's index.
/// `None` where the bytes are not in the form.
#[inline]
pub fn read_values(version: Version, bytes: &[u8], see: impl FnMut(u16, f64)) -> Option<()> {
    walk(version, &mut Cursor::new(bytes), see).map(|_| ())
}

/// Looks at the shape of a line: how many values it has, where those are its row's first fields.
#[inline]
pub fn count_of_first(version: Version, bytes: &[u8]) -> Option<u16> {
    let Shape { count, is_sparse, .. } = read_shape(version, &mut Cursor::new(bytes))?;
    (!is_sparse).then_some(count)
}

/// Reads a line from its shape on. Returns its unit.
#[inline]
fn walk(version: Version, cursor: &mut Cursor<'_>, mut see: impl FnMut(u16, f64)) -> Option<TimeUnit> {
    let Shape { count, unit, is_sparse } = read_shape(version, cursor)?;
    let mut at = 0;
    while at < count {
        if is_sparse {
            let field = u16::try_from(cursor.read()?).ok()?;
            see(field, read_value(cursor)?);
            at += 1;
            continue;
        }
        cursor.read_short(usize::from(count - at), |head| {
            let value = short_value(head);
            if let Some(value) = value {
                see(at, value);
                at += 1;
            }
            value.is_some()
        });
        if at < count {
            see(at, read_value(cursor)?);
            at += 1;
        }
    }
    Some(unit)
}

/// What a line says before its values.
struct Shape {
    count: u16,
    unit: TimeUnit,
    is_sparse: bool,
}

#[inline]
fn read_shape(version: Version, cursor: &mut Cursor<'_>) -> Option<Shape> {
    let shape = cursor.read()?;
    let (count, unit) = match version {
        Version::Units => (shape >> 3, TimeUnit::from_code(shape >> 1)),
        Version::Milliseconds => (shape >> 1, TimeUnit::Milliseconds),
    };
    Some(Shape { count: u16::try_from(count).ok()?, unit, is_sparse: shape & 1 == 1 })
}

/// Passes over a line from its shape on. What it goes over in one step is not looked at: [`walk`] may refuse it.
#[inline]
fn pass(version: Version, cursor: &mut Cursor<'_>) -> Option<TimeUnit> {
    let mut values = *cursor;
    match read_shape(version, &mut values)? {
        Shape { count, unit, is_sparse: false } if values.skip_without(count.into(), RAW_BIT) => {
            *cursor = values;
            Some(unit)
        }
        _ => walk(version, cursor, |_, _| {}),
    }
}

/// In which form lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// That of version 1 of the log: times are milliseconds, and a shape is `count * 2 + sparse`. A time that nanoseconds do
    /// not reach comes as `i64::MIN` or `i64::MAX`, which no other is.
    Milliseconds,
    /// The one that is written.
    #[default]
    Units,
}

/// Reads the lines of a body.
pub struct LineReader<'a> {
    version: Version,
    body: &'a [u8],
    cursor: Cursor<'a>,
    /// In nanoseconds, or in milliseconds where those are what lines have.
    last_time: i64,
}

impl<'a> LineReader<'a> {
    /// Reads `body` from its first line.
    pub fn new(version: Version, body: &'a [u8]) -> Self {
        LineReader { version, body, cursor: Cursor::new(body), last_time: 0 }
    }

    /// Whether every line has been read.
    pub fn is_empty(&self) -> bool {
        self.cursor.is_empty()
    }

    /// Reads the next line: its values replace what `values` held, its time is returned, in nanoseconds.
    /// `None` at the end of the body, and where the bytes are not in the form (then [`Self::is_empty`] is false).
    #[inline]
    pub fn next(&mut self, values: &mut Vec<(u16, f64)>) -> Option<i64> {
        values.clear();
        let version = self.version;
        let (time, _) = self.line(|cursor| walk(version, cursor, |field, value| values.push((field, value))))?;
        Some(time)
    }

    /// Passes over the next line: gives its time, and where in the body [`read_values`] finds its values.
    /// `None` at the end of the body, and where it is seen that the bytes are not in the form, which it need not be.
    #[inline]
    pub fn skip(&mut self) -> Option<(i64, usize)> {
        let version = self.version;
        self.line(|cursor| pass(version, cursor))
    }

    #[inline]
    fn line(&mut self, values: impl FnOnce(&mut Cursor<'a>) -> Option<TimeUnit>) -> Option<(i64, usize)> {
        let mut cursor = self.cursor;
        let step = cursor.read_signed()?;
        let at = self.body.len() - cursor.rest().len();
        let unit = values(&mut cursor)?;
        self.cursor = cursor;
        Some((
            match self.version {
                Version::Units => {
                    self.last_time = self.last_time.wrapping_add(unit.ns(step));
                    self.last_time
                }
                Version::Milliseconds => {
                    self.last_time = self.last_time.wrapping_add(step);
                    ns_from_ms(self.last_time)
                }
            },
            at,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sealine_model::NS_PER_MS;

    type Lines = Vec<(i64, Vec<(u16, u64)>)>;

    /// Reads all lines, beside a reader that passes over them: it must go the same way.
    fn read_all(body: &[u8]) -> Option<Lines> {
        let (mut reader, mut values, mut lines) = (LineReader::new(Version::Units, body), Vec::new(), Vec::new());
        let mut skipping = LineReader::new(Version::Units, body);
        loop {
            let time = reader.next(&mut values);
            let skipped = skipping.skip();
            let Some(time) = time else { break };
            assert_eq!((skipped.map(|(time, _)| time), skipping.cursor.rest()), (Some(time), reader.cursor.rest()));
            let mut again = Vec::new();
            let read = skipped.and_then(|(_, at)| {
                read_values(Version::Units, &body[at..], |field, value| again.push((field, value)))
            });
            assert_eq!(read, Some(()));
            assert!(
                again.iter().zip(&values).all(|(one, other)| one.0 == other.0 && one.1.to_bits() == other.1.to_bits())
            );
            assert_eq!(again.len(), values.len());
            lines.push((time, values.iter().map(|(f, v)| (*f, v.to_bits())).collect()));
        }
        reader.is_empty().then_some(lines)
    }

    #[test]
    fn a_line_has_the_bytes_of_the_format_page() {
        let mut writer = LineWriter::default();
        writer.push(1000 * NS_PER_MS, &[(0, 58.0), (1, -1.0), (2, 0.5), (3, f64::MAX)]);
        writer.push(1010 * NS_PER_MS, &[(3, 0.0)]);
        let want = [
            &[2, 34][..],                                         // zigzag(1), 4 values, seconds, dense
            &[0xd0, 0x03, 4, 0xa1, 0x1f],                         // 116 << 2, 1 << 2, (1000 << 2) | 1
            &[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x7f], // raw
            &[20, 9, 3, 0], // zigzag(10), 1 value, milliseconds, sparse, field 3, 0
        ];
        assert_eq!(writer.bytes(), want.concat());
        assert_eq!((writer.lines(), writer.samples()), (2, 5));
    }

    #[test]
    fn lines_of_the_first_version_are_read() {
        let body = [&[0xd0, 0x0f, 4, 4, 8][..], &[20, 3, 1, 0]].concat();
        let (mut reader, mut values) = (LineReader::new(Version::Milliseconds, &body), Vec::new());
        assert_eq!(reader.next(&mut values), Some(1000 * NS_PER_MS));
        assert_eq!(values, [(0, -1.0), (1, 1.0)]);
        assert_eq!(reader.next(&mut values), Some(1010 * NS_PER_MS));
        assert_eq!((&values[..], reader.is_empty()), (&[(1, 0.0)][..], true));
        assert_eq!(count_of_first(Version::Milliseconds, &body[2..]), Some(2));
        for (ms, want) in [(-62_135_596_800_000i64, i64::MIN), (253_402_300_799_999, i64::MAX)] {
            let mut body = Vec::new();
            varint::push_signed(&mut body, ms);
            body.extend_from_slice(&[2, 4]);
            let mut reader = LineReader::new(Version::Milliseconds, &body);
            assert_eq!(reader.next(&mut values), Some(want), "{ms} ms are beyond nanoseconds");
        }
    }

    proptest! {
        #[test]
        fn lines_round_trip_bit_for_bit(lines in proptest::collection::vec(
            (any::<i64>(), proptest::collection::btree_map(0u16..40, prop_oneof![
                any::<u64>().prop_map(f64::from_bits),
                any::<i32>().prop_map(|v| f64::from(v) / 1000.0),
                any::<i64>().prop_map(|v| v as f64),
                Just(-0.0), Just(0.0),
            ], 1..12)), 0..20))
        {
            let mut writer = LineWriter::default();
            let mut want = Vec::new();
            for (time, values) in lines {
                let values: Vec<(u16, f64)> = values.into_iter().collect();
                writer.push(time, &values);
                want.push((time, values.iter().map(|(f, v)| (*f, v.to_bits())).collect::<Vec<_>>()));
            }
            prop_assert_eq!(read_all(writer.bytes()), Some(want));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_all(&bytes);
        }
    }
}
