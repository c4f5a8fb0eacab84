//! How the values of a block are kept: as one that does not change, as decimals, or as they are.

use super::column::{Column, Pages};
use super::line::{Counts, Line, number_of};
use super::unit;

/// Decimal places that are tried. What has more is mostly no decimal.
const PLACES_MAX: u8 = 6;

/// Above this not every integer is an `f64`.
const INTEGER_MAX: f64 = (1u64 << 53) as f64;

/// The width in which a column keeps decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    U16,
    U32,
    U64,
}

/// Which values there are, but for a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    One(f64),
    Floats,
    /// Integers which, with `base` added, are the values with their decimal point moved by `places`.
    Decimals {
        places: u8,
        base: i64,
        width: Stored,
    },
    /// Integers which, with `base` and what `line` gives added, are the values in `counts`.
    OffLine {
        line: Line,
        counts: Counts,
        base: i64,
        width: Stored,
    },
}

/// Values as they are written.
pub(super) struct Encoded {
    pub kind: Kind,
    /// None of an unchanged value.
    pub column: Option<Column>,
}

/// Values as they are read.
pub(super) enum Values<'a> {
    One(f64),
    Floats(Pages<'a>),
    Decimals { places: u8, base: i64, width: Stored, column: Pages<'a> },
    OffLine { line: Line, counts: Counts, base: i64, width: Stored, column: Pages<'a> },
}

/// What decimals with this many places are divided by.
pub(super) fn scale(places: u8) -> f64 {
    const SCALES: [f64; PLACES_MAX as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
    SCALES[usize::from(places.min(PLACES_MAX))]
}

/// Whether a reader knows that many decimal places.
pub(super) fn are_places(places: u8) -> bool {
    places <= PLACES_MAX
}

/// Encodes values, at least one. `None` where `pco` cannot.
pub(super) fn encode(values: &[f64]) -> Option<Encoded> {
    let first = *values.first()?;
    if values.iter().all(|value| value.to_bits() == first.to_bits()) {
        return Some(Encoded { kind: Kind::One(first), column: None });
    }
    let Some((places, integers)) = decimals(values) else {
        return Some(Encoded { kind: Kind::Floats, column: Some(floats(values)?) });
    };
    let (base, width, column) = pack(&integers)?;
    Some(Encoded { kind: Kind::Decimals { places, base, width }, column: Some(column) })
}

/// Encodes values, at least one, as what they are off a line through `others`, of which there are as many. `None` where
/// there is no line, or where `pco` cannot.
pub(super) fn encode_over(values: &[f64], others: &[f64]) -> Option<Encoded> {
    let off = |integer: &dyn Fn(usize) -> i64, line: &dyn Fn(f64) -> i64| -> Option<Vec<i64>> {
        others.iter().enumerate().map(|(at, other)| integer(at).checked_sub(line(*other))).collect()
    };
    let (line, counts, integers) = match decimals(values) {
        Some((places, integers)) => {
            let line = Line::through(others, |at| integers[at] as f64)?;
            (line, Counts::Decimals(places), off(&|at| integers[at], &|other| line.integer_at(other))?)
        }
        None => {
            let line = Line::through(others, |at| values[at])?;
            (line, Counts::Floats, off(&|at| number_of(values[at]), &|other| number_of(line.at(other)))?)
        }
    };
    let (base, width, column) = pack(&integers)?;
    Some(Encoded { kind: Kind::OffLine { line, counts, base, width }, column: Some(column) })
}

/// Integers as a column of what they are above the least of them. `None` where they are 2^63 apart, or `pco` cannot.
fn pack(integers: &[i64]) -> Option<(i64, Stored, Column)> {
    let base = *integers.iter().min()?;
    let range = integers.iter().max()?.checked_sub(base)?;
    let above = integers.iter().map(|integer| (integer - base) as u64);
    let (width, column) = if range <= i64::from(u16::MAX) {
        (Stored::U16, Column::compress(&above.map(|number| number as u16).collect::<Vec<_>>()))
    } else if range <= i64::from(u32::MAX) {
        (Stored::U32, Column::compress(&above.map(|number| number as u32).collect::<Vec<_>>()))
    } else {
        (Stored::U64, Column::compress(&above.collect::<Vec<_>>()))
    };
    Some((base, width, column?))
}

/// Values as they are: as counts of a unit and what rounding did to them, where that is shorter.
fn floats(values: &[f64]) -> Option<Column> {
    let plain = Column::compress(values)?;
    let counts = unit::of(values).and_then(|unit| Column::compress_counts(values, unit));
    Some(match counts {
        Some(counts) if counts.bytes() < plain.bytes() => counts,
        _ => plain,
    })
}

/// The values as integers, with the fewest decimal places that give back every one of them bit by bit; `None` where none
/// do. `-0.0`, infinities and NaN are no decimals.
fn decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut places = 0;
    for value in values {
        // A decimal has all the more places too: those before need not be tried again but for their size.
        while integer(*value, places).is_none() {
            places += 1;
            if places > PLACES_MAX {
                return None;
            }
        }
    }
    let integers: Option<Vec<i64>> = values.iter().map(|value| integer(*value, places)).collect();
    Some((places, integers?))
}

/// `value` with its decimal point moved, where that loses nothing.
#[inline]
fn integer(value: f64, places: u8) -> Option<i64> {
    let scale = scale(places);
    let integer = (value * scale).round();
    let back = integer.abs() <= INTEGER_MAX && (integer as i64 as f64 / scale).to_bits() == value.to_bits();
    back.then_some(integer as i64)
}
