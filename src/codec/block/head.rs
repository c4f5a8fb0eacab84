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
    /// Runs of equal steps of so many milliseconds.
    Runs { step: i64, runs: Vec<Run> },
    /// Milliseconds from one to the next, and the time that each page starts with.
    Column { firsts: Vec<i64>, column: Pages<'a> },
}

/// Samples one step apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Number of its first sample, and how many there are.
    pub at: usize,
    pub count: usize,
    /// Time of its first sample.
    pub first: i64,
}

/// Times have no column where a run is so many samples long on average.
const RUN_SAMPLES_MIN: usize = 64;

/// The step of times that are mostly equally far apart. `None` where they are not.
pub(super) fn step_of(times: &[i64]) -> Option<i64> {
    let mut deltas: Vec<i64> = times.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let middle = deltas.len() / 2;
    let Some(first) = deltas.first() else { return Some(1) };
    let step = if deltas.iter().all(|delta| delta == first) { *first } else { *deltas.select_nth_unstable(middle).1 };
    let runs = 1 + deltas.iter().filter(|delta| **delta != step).count();
    (runs == 1 || runs * RUN_SAMPLES_MIN <= times.len()).then_some(step)
}

/// Milliseconds from each time to the next, the first being the second again. `None` where one does not fit, or times do
/// not increase.
pub(super) fn time_deltas(times: &[i64]) -> Option<Vec<u32>> {
    let delta = |pair: &[i64]| match pair {
        [a, b] => b.checked_sub(*a).and_then(|delta| u32::try_from(delta).ok()).filter(|delta| *delta > 0),
        _ => None,
    };
    let mut deltas = Vec::with_capacity(times.len());
    deltas.push(times.get(..2).map_or(Some(1), delta)?);
    for pair in times.windows(2) {
        deltas.push(delta(pair)?);
    }
    Some(deltas)
}

/// The bytes of a block of the pages `pages`, whose times are `times`: in a column, or else in steps.
pub(super) fn write(times: &[i64], steps: Result<i64, &Column>, values: &Encoded, pages: Range<usize>) -> Vec<u8> {
    let time_column = steps.err();
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
    match steps {
        Ok(step) => push_runs(&mut out, times, step),
        Err(column) => {
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

/// The step, how many runs end in front of another, and of each of those its samples and how far behind it the next starts.
fn push_runs(out: &mut Vec<u8>, times: &[i64], step: i64) {
    varint::push(out, step as u64);
    let ends: Vec<usize> = (1..times.len()).filter(|at| times[*at] - times[*at - 1] != step).collect();
    varint::push(out, ends.len() as u64);
    let mut from = 0;
    for end in ends {
        varint::push(out, (end - from) as u64);
        varint::push(out, (times[end] - times[end - 1]) as u64);
        from = end;
    }
}

/// The inverse of [`push_runs`]. `None` where runs do not end with the last sample.
fn read_runs(cursor: &mut Cursor<'_>, count: usize, span: (i64, i64)) -> Option<(i64, Vec<Run>)> {
    let signed = |number: u64| i64::try_from(number).ok().filter(|number| *number > 0);
    let last = |run: &Run, step: i64| step.checked_mul(run.count as i64 - 1)?.checked_add(run.first);
    let step = signed(cursor.read()?)?;
    let further = cursor.read_len().filter(|further| *further < count)?;
    let mut runs = Vec::with_capacity(further + 1);
    let (mut at, mut first) = (0, span.0);
    for _ in 0..further {
        let run = Run { at, count: cursor.read_len().filter(|samples| (1..count - at).contains(samples))?, first };
        first = last(&run, step)?.checked_add(signed(cursor.read()?)?)?;
        at += run.count;
        runs.push(run);
    }
    let run = Run { at, count: count - at, first };
    runs.push(run);
    (last(&run, step) == Some(span.1)).then_some((step, runs))
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
        let mut steps = None;
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
            steps = Some(read_runs(&mut cursor, count, span)?);
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
        let times = match steps {
            Some((step, runs)) => Times::Runs { step, runs },
            None => Times::Column { firsts, column: take_column(&mut cursor, "times", format, count, &time_lengths)? },
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
