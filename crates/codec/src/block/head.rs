//! The head of a block: which columns follow, and where their pages are. docs/format/block.md has the layout.

use super::column::{Column, FORMAT_BYTES, Pages, format};
use super::line::{Counts, Line};
use super::values::{Encoded, Kind, Stored, Values, are_places};
use super::{Reference, SAMPLES_PER_BLOCK_MAX, SAMPLES_PER_PAGE};
use crate::Extent;
use crate::varint::{self, Cursor};
use sealine_model::TimeUnit;
use std::ops::Range;

/// In the first byte: what the values are (the low three bits), whether times have a column, whether the block is over
/// another, what times are counted in (two bits), and whether their column is one of 64 bits.
const ONE: u8 = 0;
const FLOATS: u8 = 1;
const DECIMALS_U16: u8 = 2;
const DECIMALS_U32: u8 = 3;
const DECIMALS_U64: u8 = 4;
const VALUES: u8 = 7;
const TIMES_COLUMN: u8 = 8;
const OVER: u8 = 16;
const UNIT_SHIFT: u32 = 5;
const WIDE_TIMES: u8 = 128;

/// In place of decimal places: values off a line are no decimals.
const NO_PLACES: u8 = 7;

/// What a head says.
pub(super) struct Head<'a> {
    pub times: Times<'a>,
    pub values: Values<'a>,
}

/// Where times come from.
pub(super) enum Times<'a> {
    /// Runs of equal steps of this many units.
    Runs { step: i64, runs: Vec<Run> },
    /// Units from one to the next, in 64 bits where they are wide, and the time that each page starts with.
    Column { firsts: Vec<i64>, is_wide: bool, column: Pages<'a> },
    /// They are those of another block.
    Others,
}

/// How times are written.
#[derive(Clone, Copy)]
pub(super) enum Written<'a> {
    /// In steps of this many units, most of them.
    Steps(i64),
    Column {
        column: &'a Column,
        is_wide: bool,
    },
    Of(Reference),
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

/// Times have no column where a run is at least this many samples long on average.
const RUN_SAMPLES_MIN: usize = 64;

/// The step of times that are mostly equally far apart, by their [`time_deltas`]. `None` where they are not.
pub(super) fn step_of(deltas: &[u64]) -> Option<i64> {
    let (first, deltas) = deltas.split_first()?; // the second again
    let equal = deltas.iter().all(|delta| delta == first);
    let step = if equal { *first } else { *deltas.to_vec().select_nth_unstable(deltas.len() / 2).1 };
    let runs = 1 + deltas.iter().filter(|delta| **delta != step).count();
    (runs == 1 || runs * RUN_SAMPLES_MIN <= deltas.len() + 1).then_some(step as i64)
}

/// Units from each time to the next, the first being the second again. `None` where times do not increase, or two are
/// further apart than an `i64` says.
pub(super) fn time_deltas(times: &[i64]) -> Option<Vec<u64>> {
    let delta = |pair: &[i64]| match pair {
        [a, b] => b.checked_sub(*a).filter(|delta| *delta > 0).map(|delta| delta as u64),
        _ => None,
    };
    let mut deltas = Vec::with_capacity(times.len());
    deltas.push(times.get(..2).map_or(Some(1), delta)?);
    for pair in times.windows(2) {
        deltas.push(delta(pair)?);
    }
    Some(deltas)
}

/// The bytes of a block of the pages `pages`, whose times are `times`, counted in `unit`.
pub(super) fn write(
    unit: TimeUnit,
    times: &[i64],
    written: Written<'_>,
    values: &Encoded,
    pages: Range<usize>,
) -> Vec<u8> {
    let mut out = Vec::new();
    let (form, time_column) = match written {
        Written::Steps(_) => (0, None),
        Written::Column { column, is_wide: false } => (TIMES_COLUMN, Some(column)),
        Written::Column { column, is_wide: true } => (TIMES_COLUMN | WIDE_TIMES, Some(column)),
        Written::Of(_) => (OVER, None),
    };
    let kind = match values.kind {
        Kind::One(_) => ONE,
        Kind::Floats => FLOATS,
        Kind::Decimals { width, .. } | Kind::OffLine { width, .. } => match width {
            Stored::U16 => DECIMALS_U16,
            Stored::U32 => DECIMALS_U32,
            Stored::U64 => DECIMALS_U64,
        },
    };
    out.push(kind | form | (unit.code() as u8) << UNIT_SHIFT);
    if time_column.is_some() || values.column.is_some() {
        out.extend_from_slice(&format());
    }
    match written {
        Written::Steps(step) => push_runs(&mut out, times, step),
        Written::Column { column, .. } => {
            let firsts = times.iter().step_by(SAMPLES_PER_PAGE);
            for (before, first) in firsts.clone().zip(firsts.skip(1)) {
                varint::push(&mut out, (first - before) as u64);
            }
            push_lengths(&mut out, column, pages.clone());
        }
        Written::Of(Reference { back, length }) => {
            varint::push(&mut out, back);
            varint::push(&mut out, length as u64);
        }
    }
    match values.kind {
        Kind::One(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        Kind::Floats => {}
        Kind::Decimals { places, base, .. } => {
            out.push(places);
            varint::push_signed(&mut out, base);
        }
        Kind::OffLine { line, counts, base, .. } => {
            out.extend_from_slice(&line.slope.to_bits().to_le_bytes());
            out.extend_from_slice(&line.offset.to_bits().to_le_bytes());
            out.push(match counts {
                Counts::Decimals(places) => places,
                Counts::Floats => NO_PLACES,
            });
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

/// What the block is over, if it is: read without the rest of the head.
pub(super) fn reference(bytes: &[u8]) -> Option<Reference> {
    let mut cursor = Cursor::new(bytes);
    let [form] = cursor.take_array()?;
    if form & OVER == 0 {
        return None;
    }
    let _: [u8; FORMAT_BYTES] = cursor.take_array()?;
    read_reference(&mut cursor)
}

fn read_reference(cursor: &mut Cursor<'_>) -> Option<Reference> {
    Some(Reference { back: cursor.read()?, length: cursor.read_len()? })
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
    /// What the head of a block says that has this extent. `None` where
    /// it is not in the form, or where columns do not fill the rest of the bytes.
    pub(super) fn parse(bytes: &'a [u8], Extent { unit, count, first, last }: Extent) -> Option<Head<'a>> {
        if !(1..=SAMPLES_PER_BLOCK_MAX).contains(&count) {
            return None;
        }
        let mut cursor = Cursor::new(bytes);
        let [form] = cursor.take_array()?;
        let span = (unit.floor(first), unit.floor(last));
        if (first, last) != (unit.ns(span.0), unit.ns(span.1)) || u64::from(form >> UNIT_SHIFT & 3) != unit.code() {
            return None;
        }
        let (has_times, is_over, has_values) = (form & TIMES_COLUMN != 0, form & OVER != 0, form & VALUES != ONE);
        let is_wide = form & WIDE_TIMES != 0;
        if is_wide && !has_times {
            return None;
        }
        let width = match form & VALUES {
            ONE | FLOATS => None,
            DECIMALS_U16 => Some(Stored::U16),
            DECIMALS_U32 => Some(Stored::U32),
            DECIMALS_U64 => Some(Stored::U64),
            _ => return None,
        };
        if is_over && (has_times || width.is_none()) {
            return None;
        }
        let format = if has_times || has_values { cursor.take_array()? } else { [0; FORMAT_BYTES] };
        let pages = count.div_ceil(SAMPLES_PER_PAGE);
        let mut runs = None;
        let mut firsts = Vec::new();
        let mut time_lengths = Vec::new();
        if is_over {
            read_reference(&mut cursor)?;
        } else if has_times {
            firsts.push(span.0);
            let mut before = span.0;
            for _ in 1..pages {
                before = before.checked_add(i64::try_from(cursor.read()?).ok()?)?;
                firsts.push(before);
            }
            time_lengths = read_lengths(&mut cursor, pages)?;
        } else {
            runs = Some(read_runs(&mut cursor, count, span)?);
        }
        let kind = match width {
            None if has_values => Kind::Floats,
            None => Kind::One(read_float(&mut cursor)?),
            Some(width) => {
                let line = match is_over {
                    true => Some(Line { slope: read_float(&mut cursor)?, offset: read_float(&mut cursor)? }),
                    false => None,
                };
                let ([places], base) = (cursor.take_array()?, cursor.read_signed()?);
                match line {
                    Some(line) if places == NO_PLACES => Kind::OffLine { line, counts: Counts::Floats, base, width },
                    _ if !are_places(places) => return None,
                    Some(line) => Kind::OffLine { line, counts: Counts::Decimals(places), base, width },
                    None => Kind::Decimals { places, base, width },
                }
            }
        };
        let value_lengths = if has_values { read_lengths(&mut cursor, pages)? } else { Vec::new() };
        let times = match runs {
            Some((step, runs)) => Times::Runs { step, runs },
            None if is_over => Times::Others,
            None => Times::Column {
                firsts,
                is_wide,
                column: take_column(&mut cursor, "times", format, count, &time_lengths)?,
            },
        };
        let mut values = || take_column(&mut cursor, "values", format, count, &value_lengths);
        let values = match kind {
            Kind::One(value) => Values::One(value),
            Kind::Floats => Values::Floats(values()?),
            Kind::Decimals { places, base, width } => Values::Decimals { places, base, width, column: values()? },
            Kind::OffLine { line, counts, base, width } => {
                Values::OffLine { line, counts, base, width, column: values()? }
            }
        };
        cursor.is_empty().then_some(Head { times, values })
    }
}

fn read_float(cursor: &mut Cursor<'_>) -> Option<f64> {
    Some(f64::from_bits(u64::from_le_bytes(cursor.take_array()?)))
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
