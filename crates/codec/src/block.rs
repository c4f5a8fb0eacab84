//! Blocks: what an archive keeps of a series, up to a day of it, a quarter to a half of its size as chunks.
//!
//! In:     samples of one series in order, each time once. Out: blocks, most of them a day long, a few where it is noisy.
//! Layout: a head, then times and values as columns of `pco` (docs/format/block.md). A column has one description and
//!         pages of [`SAMPLES_PER_PAGE`] that can be read with it one by one: a query decodes the pages that it needs.
//! Cases:  times in steps, but for some gaps, take no column, an unchanged value none of values. Values that are decimals, as what
//!         agents send mostly is, are kept as integers. Every value comes back with the bits that it had.
//! Over:   a block may be over another, of a series whose values tell its own but for a little: it has that one's times, and
//!         of its values what they are off a line through those. What the other is over does not matter: it is over none.

mod column;
mod head;
mod line;
mod unit;
mod values;

use super::{Extent, Overlay};
use column::{Column, Pages};
use head::{Head, Run, Times, Written};
use line::{Counts, Line, number_of, value_of};
use pco::data_types::Number;
use sealine_model::{Samples, TimeUnit};
use std::ops::Range;
use values::{Stored, Values};

/// Samples that are decoded together: what a query for one sample costs at most, and what a page's description is
/// spread over.
pub const SAMPLES_PER_PAGE: usize = 512;

/// Samples of a block; bounds the memory that writing or reading one takes.
pub const SAMPLES_PER_BLOCK_MAX: usize = 16_384;

/// A block takes no further page from here on: what a query reads and sums to get at one of them.
const BLOCK_BYTES: usize = 16 << 10;

/// A finished, immutable run of samples of one series, times strictly increasing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What its times are counted in.
    pub unit: TimeUnit,
    /// How many samples there are, 1 to [`SAMPLES_PER_BLOCK_MAX`].
    pub count: usize,
    /// Time of the first sample, nanoseconds.
    pub first: i64,
    /// Time of the last sample, nanoseconds.
    pub last: i64,
    /// Head and columns.
    pub bytes: Box<[u8]>,
}

/// Where the block is that another one is over: both are in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// How many bytes it starts before the other.
    pub back: u64,
    /// Its bytes.
    pub length: usize,
}

impl Block {
    /// What is known of it besides its bytes.
    pub fn extent(&self) -> Extent {
        Extent { unit: self.unit, count: self.count, first: self.first, last: self.last }
    }
}

/// Why a block's bytes cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The head is cut off, or says what cannot be.
    #[error("the head of the block is not in the form of docs/format/block.md")]
    Head,
    /// What `pco` makes of a column's description.
    #[error("the block's {column} cannot be decoded: {why}")]
    Description {
        /// Times or values.
        column: &'static str,
        /// What is wrong, in the words of `pco`.
        why: String,
    },
    /// What `pco` makes of a page.
    #[error("page {page} of the block's {column} cannot be decoded: {why}")]
    Page {
        /// Times or values.
        column: &'static str,
        /// Number of the page, from 0.
        page: usize,
        /// What is wrong, in the words of `pco`.
        why: String,
    },
    /// It is over another block and that was not given, or is itself over one; or it is over none and one was given.
    #[error("the block is not over the block that it was read with")]
    Reference,
    /// Times go back, or do not start and end where they should.
    #[error("the block's times are not those that its head and its index entry speak of")]
    Times,
}

/// Encodes samples of one series, times strictly increasing, as blocks behind one another. `None` where times do not
/// increase, or are centuries apart.
pub fn encode(times: &[i64], values: &[f64]) -> Option<Vec<Block>> {
    let mut blocks = Vec::new();
    let parts = times.len().div_ceil(SAMPLES_PER_BLOCK_MAX).max(1);
    // Parts of about one length, of whole pages.
    let length = times.len().div_ceil(parts).next_multiple_of(SAMPLES_PER_PAGE);
    for (times, values) in times.chunks(length.max(1)).zip(values.chunks(length.max(1))) {
        encode_part(times, values, &mut blocks)?;
    }
    Some(blocks)
}

/// One description for all, then as many blocks as their bytes ask for.
fn encode_part(times: &[i64], values: &[f64], blocks: &mut Vec<Block>) -> Option<()> {
    let unit = TimeUnit::of_all(times.iter().copied());
    let times: Vec<i64> = times.iter().map(|time| unit.floor(*time)).collect();
    let deltas = head::time_deltas(&times)?;
    let time_column;
    let steps = match head::step_of(&deltas) {
        Some(step) => Written::Steps(step),
        None => {
            let narrow: Option<Vec<u32>> = deltas.iter().map(|delta| u32::try_from(*delta).ok()).collect();
            time_column =
                narrow.as_ref().map_or_else(|| Column::compress(&deltas), |narrow| Column::compress(narrow))?;
            Written::Column { column: &time_column, is_wide: narrow.is_none() }
        }
    };
    let values = values::encode(values)?;
    let page_bytes = |page: usize| {
        let of = |column: Option<&Column>| column.map_or(0, |column| column.page(page).len() + 2);
        let times = if let Written::Column { column, .. } = steps { Some(column) } else { None };
        of(times) + of(values.column.as_ref())
    };
    let pages = times.len().div_ceil(SAMPLES_PER_PAGE);
    let mut from = 0;
    while from < pages {
        let (mut to, mut bytes) = (from + 1, page_bytes(from));
        while to < pages && bytes < BLOCK_BYTES {
            bytes += page_bytes(to);
            to += 1;
        }
        let times = &times[from * SAMPLES_PER_PAGE..times.len().min(to * SAMPLES_PER_PAGE)];
        let (first, last) = (unit.ns(*times.first()?), unit.ns(*times.last()?));
        let bytes = head::write(unit, times, steps, &values, from..to).into();
        blocks.push(Block { unit, count: times.len(), first, last, bytes });
        from = to;
    }
    Some(())
}

/// Encodes samples as a block over another, whose samples have the same times and the values `others`. `None` where there
/// is no line from these to `values`. Whether the block is any shorter than one over none is for the caller to see.
///
/// `unit` is that of the other block.
pub fn encode_over(
    unit: TimeUnit,
    times: &[i64],
    values: &[f64],
    others: &[f64],
    reference: Reference,
) -> Option<Block> {
    let (first, last) = (*times.first()?, *times.last()?);
    if times.len() > SAMPLES_PER_BLOCK_MAX || values.len() != times.len() || others.len() != times.len() {
        return None;
    }
    let values = values::encode_over(values, others)?;
    let bytes = head::write(unit, times, Written::Of(reference), &values, 0..times.len().div_ceil(SAMPLES_PER_PAGE));
    Some(Block { unit, count: times.len(), first, last, bytes: bytes.into() })
}

/// Where the block is that this one is over; `None` where it is over none.
pub fn reference(bytes: &[u8]) -> Option<Reference> {
    head::reference(bytes)
}

/// Appends the samples of a block that lie in `range` (both ends included) to `into`, which must hold nothing later than
/// the first of them. Only the pages that overlap the range are decoded. Times come in `out`, which must be no coarser than
/// the block's unit.
///
/// `other` is the block that this one is over, where it is over one: the extent is the other's too.
/// Errors: where `bytes` do not hold that. What was decoded until then stays in `into`.
pub fn decode(
    bytes: &[u8],
    other: Option<&[u8]>,
    extent: Extent,
    range: (i64, i64),
    out: TimeUnit,
    into: &mut Samples,
) -> Result<(), BlockError> {
    let Extent { unit, count, last, .. } = extent;
    let parse = |bytes| Head::parse(bytes, extent).ok_or(BlockError::Head);
    let (head, other) = (parse(bytes)?, other.map(parse).transpose()?);
    if matches!(head.times, Times::Others) != other.is_some() {
        return Err(BlockError::Reference);
    }
    sealine_base::work::count(count);
    let held = into.len();
    let factor = unit.in_units_of(out).unwrap_or(1);
    let (range, last) = ((unit.ceil(range.0), unit.floor(range.1)), unit.floor(last));
    let wanted = match other.as_ref().map_or(&head.times, |other| &other.times) {
        Times::Runs { step, runs } => push_runs(*step, runs, range, factor, &mut into.times),
        Times::Column { firsts, is_wide: false, column } => {
            push_times::<u32>(firsts, column, last, range, factor, &mut into.times)?
        }
        Times::Column { firsts, is_wide: true, column } => {
            push_times::<u64>(firsts, column, last, range, factor, &mut into.times)?
        }
        Times::Others => return Err(BlockError::Reference),
    };
    let mut others = Vec::new();
    let decoded = match &other {
        Some(other) => read_values(&other.values, &[], wanted.clone(), &mut others),
        None => Ok(()),
    };
    let decoded = decoded.and_then(|()| read_values(&head.values, &others, wanted, &mut into.values));
    into.times.truncate(into.values.len()); // the columns stay equally long
    let disordered = held > 0 && into.times.get(held).is_some_and(|first| *first <= into.times[held - 1]);
    if disordered {
        into.times.truncate(held);
        into.values.truncate(held);
        return Err(BlockError::Times);
    }
    decoded
}

/// Adds the samples of a block that lie in `range` to a series. Otherwise as [`decode`].
pub fn merge_decoded(
    bytes: &[u8],
    other: Option<&[u8]>,
    extent: Extent,
    range: (i64, i64),
    into: &mut Overlay<'_>,
) -> Result<(), BlockError> {
    into.piece(extent, range, |out, into| decode(bytes, other, extent, range, out, into))
}

/// Pushes the times of runs that lie within `range`, as multiples of `factor`. Returns which samples they are of.
fn push_runs(step: i64, runs: &[Run], range: (i64, i64), factor: i64, into: &mut Vec<i64>) -> Range<usize> {
    let first = runs.partition_point(|run| run.first <= range.0).saturating_sub(1);
    let mut wanted = 0..0;
    for run in runs[first..].iter().take_while(|run| run.first <= range.1) {
        // How many of the run lie before a time.
        let before = |time: i128| {
            let steps = (time - i128::from(run.first) + i128::from(step) - 1).div_euclid(i128::from(step));
            steps.clamp(0, run.count as i128) as usize
        };
        let (from, to) = (before(i128::from(range.0)), before(i128::from(range.1) + 1));
        if from < to {
            // The last time of the run was computed when the head was read, so all of them fit.
            let mut time = (run.first + step * from as i64) * factor;
            let step = step.wrapping_mul(factor);
            into.push(time);
            into.extend((from + 1..to).map(|_| {
                time += step;
                time
            }));
            wanted = if wanted.is_empty() { run.at + from } else { wanted.start }..run.at + to;
        }
    }
    wanted
}

/// Pushes the times within `range` of the pages that overlap it, as multiples of `factor`. Returns which samples they are of.
fn push_times<T: Number + Default + Into<u64>>(
    firsts: &[i64],
    column: &Pages<'_>,
    last: i64,
    range: (i64, i64),
    factor: i64,
    into: &mut Vec<i64>,
) -> Result<Range<usize>, BlockError> {
    let from_page = firsts.partition_point(|first| *first <= range.0).saturating_sub(1);
    let to_page = firsts.partition_point(|first| *first <= range.1);
    if range.0 > range.1 || from_page >= to_page {
        return Ok(0..0);
    }
    let first_sample = from_page * SAMPLES_PER_PAGE;
    let samples = first_sample..column.count.min(to_page * SAMPLES_PER_PAGE);
    let mut times: Vec<i64> = Vec::with_capacity(samples.len());
    column.read(samples.clone(), &mut |deltas: &[T]| {
        let at = first_sample + times.len();
        let starts_a_page = at.is_multiple_of(SAMPLES_PER_PAGE);
        // A page's first time is in the head, its delta is not looked at.
        let start = firsts[at / SAMPLES_PER_PAGE];
        let mut time = if starts_a_page { start } else { times.last().copied().unwrap_or(start) };
        times.extend(deltas.iter().enumerate().map(|(number, delta)| {
            let delta = if starts_a_page && number == 0 { 0 } else { (*delta).into() as i64 };
            time = time.saturating_add(delta);
            time
        }));
    })?;
    let end_is_off = match firsts.get(to_page) {
        Some(next) => times.last().is_some_and(|time| time >= next),
        None => times.last() != Some(&last),
    };
    if end_is_off || !times.is_sorted_by(|a, b| a < b) {
        return Err(BlockError::Times);
    }
    let from = times.partition_point(|time| *time < range.0);
    let to = times.partition_point(|time| *time <= range.1);
    into.extend(times[from..to].iter().map(|time| time.wrapping_mul(factor)));
    Ok(first_sample + from..first_sample + to)
}

/// Pushes the values of the samples `wanted`; `others` are those that the block has which this one is over.
fn read_values(
    values: &Values<'_>,
    others: &[f64],
    wanted: Range<usize>,
    into: &mut Vec<f64>,
) -> Result<(), BlockError> {
    into.reserve(wanted.len());
    match values {
        Values::One(value) => into.extend(wanted.map(|_| *value)),
        Values::Floats(column) => column.read(wanted, &mut |floats: &[f64]| into.extend_from_slice(floats))?,
        Values::Decimals { places, base, width, column } => {
            let (base, scale) = (*base, values::scale(*places));
            // `base` and the numbers are sound in every block that was written here; otherwise the result is some value.
            let value = |number: u64| base.wrapping_add(number as i64) as f64 / scale;
            // A processor makes several such numbers of 32 bits at once, of 64 bits one by one.
            let narrow = i32::try_from(base).ok().filter(|base| base.checked_add(i32::from(u16::MAX)).is_some());
            match (width, narrow) {
                (Stored::U16, Some(base)) => column.read(wanted, &mut |some: &[u16]| {
                    let integers = some.iter().map(|number| f64::from(base + i32::from(*number)));
                    match *places {
                        0 => into.extend(integers),
                        _ => into.extend(integers.map(|integer| integer / scale)),
                    }
                })?,
                (Stored::U16, None) => {
                    column.read(wanted, &mut |some: &[u16]| into.extend(some.iter().map(|n| value(u64::from(*n)))))?;
                }
                (Stored::U32, _) => {
                    column.read(wanted, &mut |some: &[u32]| into.extend(some.iter().map(|n| value(u64::from(*n)))))?;
                }
                (Stored::U64, _) => {
                    column.read(wanted, &mut |some: &[u64]| into.extend(some.iter().map(|n| value(*n))))?
                }
            }
        }
        Values::OffLine { line, counts, base, width, column } => {
            let (line, counts, base) = (*line, *counts, *base);
            match width {
                Stored::U16 => off_line::<u16>(line, counts, base, column, wanted, others, into)?,
                Stored::U32 => off_line::<u32>(line, counts, base, column, wanted, others, into)?,
                Stored::U64 => off_line::<u64>(line, counts, base, column, wanted, others, into)?,
            }
        }
    }
    Ok(())
}

/// Pushes the values of the samples `wanted`, which are off a line through `others`.
fn off_line<T: Number + Into<u64>>(
    line: Line,
    counts: Counts,
    base: i64,
    column: &Pages<'_>,
    wanted: Range<usize>,
    others: &[f64],
    into: &mut Vec<f64>,
) -> Result<(), BlockError> {
    let start = into.len();
    column.read(wanted, &mut |numbers: &[T]| {
        let others = others.get(into.len() - start..).unwrap_or_default();
        let off = numbers.iter().map(|number| base.wrapping_add((*number).into() as i64));
        let pairs = others.iter().zip(off);
        match counts {
            Counts::Decimals(places) => {
                let scale = values::scale(places);
                into.extend(pairs.map(|(other, off)| line.integer_at(*other).wrapping_add(off) as f64 / scale));
            }
            Counts::Floats => {
                into.extend(pairs.map(|(other, off)| value_of(number_of(line.at(*other)).wrapping_add(off))));
            }
        }
    })
}

#[cfg(test)]
mod tests;
