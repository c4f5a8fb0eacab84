//! How the values of a block are kept: as one that does not change, as decimals, or as they are.

use super::column::{Column, Pages};
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
}

/// What decimals with so many places are divided by.
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
    let base = *integers.iter().min()?;
    let range = integers.iter().max()? - base; // both are at most 2^53 from 0
    let above = integers.iter().map(|integer| (integer - base) as u64);
    let (width, column) = if range <= i64::from(u16::MAX) {
        (Stored::U16, Column::compress(&above.map(|number| number as u16).collect::<Vec<_>>()))
    } else if range <= i64::from(u32::MAX) {
        (Stored::U32, Column::compress(&above.map(|number| number as u32).collect::<Vec<_>>()))
    } else {
        (Stored::U64, Column::compress(&above.collect::<Vec<_>>()))
    };
    Some(Encoded { kind: Kind::Decimals { places, base, width }, column: Some(column?) })
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
