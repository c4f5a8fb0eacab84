//! The head of a block: which columns follow, and where their pages are. docs/format/block.md has the layout.

use super::column::{Column, FORMAT_BYTES, Pages, format};
use super::values::{Encoded, Kind, Stored, Values, are_places};
use super::{SAMPLES_PER_BLOCK_MAX, SAMPLES_PER_PAGE};
use crate::codec::varint::{self, Cursor};
use std::ops::Range;

/// In the first byte: what the values are (the low three bits), and whether times have a column. The other bits are zero,
/// and anything else is for a later version.
const ONE: u8 = 0;
const FLOATS: u8 = 1;
const DECIMALS_U16: u8 = 2;
const DECIMALS_U32: u8 = 3;
const DECIMALS_U64: u8 = 4;
const VALUES: u8 = 7;
const TIMES_COLUMN: u8 = 8;

/// What a head says.
pub(super) struct Head<'a> {
    pub times: Times<'a>,
    pub values: Values<'a>,
}

/// Where times come from.
pub(super) enum Times<'a> {
    /// Equal steps of so many milliseconds.
    Steps(i64),
    /// Milliseconds from one to the next, and the time that each page starts with.
    Column { firsts: Vec<i64>, column: Pages<'a> },
}

/// Milliseconds from each time to the next, the first being the second again; `Some(None)` where all are equal. `None`
/// where one does not fit, or times do not increase.
pub(super) fn time_deltas(times: &[i64]) -> Option<Option<Vec<u32>>> {
    let delta = |pair: &[i64]| match pair {
        [a, b] => b.checked_sub(*a).and_then(|delta| u32::try_from(delta).ok()).filter(|delta| *delta > 0),
        _ => None,
    };
    let Some(step) = times.get(..2) else { return Some(None) };
    let step = delta(step)?;
    let mut deltas = Vec::with_capacity(times.len());
    deltas.push(step);
    for pair in times.windows(2) {
        deltas.push(delta(pair)?);
    }
    Some(deltas.iter().any(|delta| *delta != step).then_some(deltas))
}

/// The bytes of a block of the pages `pages`, whose times are `times`.
pub(super) fn write(times: &[i64], time_column: Option<&Column>, values: &Encoded, pages: Range<usize>) -> Vec<u8> {
    let mut out = Vec::new();
    let kind = match values.kind {
        Kind::One(_) => ONE,
        Kind::Floats => FLOATS,
        Kind::Decimals { width: Stored::U16, .. } => DECIMALS_U16,
        Kind::Decimals { width: Stored::U32, .. } => DECIMALS_U32,
        Kind::Decimals { width: Stored::U64, .. } => DECIMALS_U64,
    };
    out.push(kind | if time_column.is_some() { TIMES_COLUMN } else { 0 });
    if time_column.is_some() || values.column.is_some() {
        out.extend_from_slice(&format());
    }
    match time_column {
        None => varint::push(&mut out, times.get(1).map_or(1, |second| (second - times[0]) as u64)),
        Some(column) => {
            let firsts = times.iter().step_by(SAMPLES_PER_PAGE);
            for (before, first) in firsts.clone().zip(firsts.skip(1)) {
                varint::push(&mut out, (first - before) as u64);
            }
            push_lengths(&mut out, column, pages.clone());
        }
    }
    match values.kind {
        Kind::One(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        Kind::Floats => {}
        Kind::Decimals { places, base, .. } => {
            out.push(places);
            varint::push_signed(&mut out, base);
        }
    }
    if let Some(column) = &values.column {
        push_lengths(&mut out, column, pages.clone());
    }
    for column in [time_column, values.column.as_ref()].into_iter().flatten() {
        out.extend_from_slice(column.description());
        pages.clone().for_each(|page| out.extend_from_slice(column.page(page)));
    }
    out
}

fn push_lengths(out: &mut Vec<u8>, column: &Column, pages: Range<usize>) {
    varint::push(out, column.description().len() as u64);
    pages.for_each(|page| varint::push(out, column.page(page).len() as u64));
}

impl<'a> Head<'a> {
    /// What the head of a block says that has `count` samples, the first and the last at the times `span`. `None` where
    /// it is not in the form, or where columns do not fill the rest of the bytes.
    pub(super) fn parse(bytes: &'a [u8], count: usize, span: (i64, i64)) -> Option<Head<'a>> {
        if !(1..=SAMPLES_PER_BLOCK_MAX).contains(&count) {
            return None;
        }
        let mut cursor = Cursor::new(bytes);
        let [form] = cursor.take_array()?;
        if form & !(VALUES | TIMES_COLUMN) != 0 {
            return None;
        }
        let (has_times, has_values) = (form & TIMES_COLUMN != 0, form & VALUES != ONE);
        let format = if has_times || has_values { cursor.take_array()? } else { [0; FORMAT_BYTES] };
        let pages = count.div_ceil(SAMPLES_PER_PAGE);
        let mut step = 0;
        let mut firsts = Vec::new();
        let mut time_lengths = Vec::new();
        if has_times {
            firsts.push(span.0);
            let mut before = span.0;
            for _ in 1..pages {
                before = before.checked_add(i64::try_from(cursor.read()?).ok()?)?;
                firsts.push(before);
            }
            time_lengths = read_lengths(&mut cursor, pages)?;
        } else {
            step = i64::try_from(cursor.read()?).ok().filter(|step| *step > 0)?;
            let last = step.checked_mul(count as i64 - 1).and_then(|all| span.0.checked_add(all));
            if last != Some(span.1) {
                return None;
            }
        }
        let mut kind = match form & VALUES {
            ONE => Kind::One(f64::from_bits(u64::from_le_bytes(cursor.take_array()?))),
            FLOATS => Kind::Floats,
            DECIMALS_U16 => Kind::Decimals { places: 0, base: 0, width: Stored::U16 },
            DECIMALS_U32 => Kind::Decimals { places: 0, base: 0, width: Stored::U32 },
            DECIMALS_U64 => Kind::Decimals { places: 0, base: 0, width: Stored::U64 },
            _ => return None,
        };
        if let Kind::Decimals { places, base, .. } = &mut kind {
            [*places] = cursor.take_array()?;
            *base = cursor.read_signed()?;
            if !are_places(*places) {
                return None;
            }
        }
        let value_lengths = if has_values { read_lengths(&mut cursor, pages)? } else { Vec::new() };
        let times = match has_times {
            true => Times::Column { firsts, column: take_column(&mut cursor, "times", format, count, &time_lengths)? },
            false => Times::Steps(step),
        };
        let mut values = || take_column(&mut cursor, "values", format, count, &value_lengths);
        let values = match kind {
            Kind::One(value) => Values::One(value),
            Kind::Floats => Values::Floats(values()?),
            Kind::Decimals { places, base, width } => Values::Decimals { places, base, width, column: values()? },
        };
        cursor.is_empty().then_some(Head { times, values })
    }
}

/// The length of a column's description and of each of its pages.
fn read_lengths(cursor: &mut Cursor<'_>, pages: usize) -> Option<Vec<usize>> {
    (0..=pages).map(|_| cursor.read_len()).collect()
}

fn take_column<'a>(
    cursor: &mut Cursor<'a>,
    name: &'static str,
    format: [u8; FORMAT_BYTES],
    count: usize,
    lengths: &[usize],
) -> Option<Pages<'a>> {
    let (description, pages) = lengths.split_first()?;
    let description = cursor.take(*description)?;
    let pages = pages.iter().map(|length| cursor.take(*length)).collect::<Option<_>>()?;
    Some(Pages { name, format, count, description, pages })
}
