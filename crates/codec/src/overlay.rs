//! One series from many pieces: of two samples with one time, that of the later piece counts.

use crate::Extent;
use sealine_model::{Kind, Samples, TimeUnit};

/// Puts pieces of a series together. They come in the order in which they were written, and their times may lie anywhere.
///
/// Times come out in the unit that the reader asked for. Where a piece has finer ones, which it cannot give back, the
/// reader is told in the end, and reads again in nanoseconds.
///
/// Where each piece is later than those before it, as it mostly is, it is decoded into its place. What is not is put
/// aside as it comes, and merged in the end, two pieces at a time: n log n, however many there are and however they overlap.
pub struct Overlay<'a> {
    /// In order of time.
    into: &'a mut Samples,
    /// What was written later than `into`, or is later in time than all of it; as it came.
    aside: Vec<(i64, f64)>,
    /// Where the runs of `aside` end, in each of which no time is before the one in front of it.
    runs: Vec<usize>,
    /// The last time in `into` and `aside`.
    last: Option<i64>,
    piece: Samples,
    /// What times are in.
    unit: TimeUnit,
    /// Whether there was a piece with finer times.
    met_finer: bool,
    /// The kind of what comes, where its words are not the values that are wanted.
    wide: Option<Kind>,
}

/// Some times are finer than the unit that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finer;

impl<'a> Overlay<'a> {
    /// Starts with no sample; what comes is in `into`, with times in `unit`, after [`Self::finish`].
    pub fn new(into: &'a mut Samples, unit: TimeUnit) -> Self {
        into.clear();
        let (aside, runs, piece) = (Vec::new(), Vec::new(), Samples::default());
        Overlay { into, aside, runs, last: None, piece, unit, met_finer: false, wide: None }
    }

    /// What comes from now on are words of this kind; the values of PromQL are wanted of them. Without this, words stay.
    pub fn next_kind(&mut self, kind: Kind) {
        self.wide = kind.is_wide().then_some(kind);
    }

    /// Adds what lies in `range` (nanoseconds) of a piece: what `decode` appends, in order of time and in the unit it is
    /// told. Where `decode` fails, what it gave until then may stay. A piece with finer times than were asked for is not
    /// decoded.
    pub(super) fn piece<E>(
        &mut self,
        extent: Extent,
        range: (i64, i64),
        decode: impl FnOnce(TimeUnit, &mut Samples) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(factor) = extent.unit.in_units_of(self.unit) else {
            self.met_finer = true;
            return Ok(());
        };
        let first = extent.unit.ceil(extent.first.max(range.0)).wrapping_mul(factor); // none of its samples is before
        if self.last.is_none_or(|last| last < first) {
            let held = self.into.len();
            let decoded = decode(self.unit, self.into);
            to_floats(self.wide, &mut self.into.values[held..]);
            self.last = self.into.times.last().copied().max(self.last);
            return decoded;
        }
        self.piece.clear();
        decode(self.unit, &mut self.piece)?;
        to_floats(self.wide, &mut self.piece.values);
        sealine_base::work::count(self.piece.len());
        self.last = self.piece.times.last().copied().max(self.last);
        self.aside.extend(self.piece.times.iter().copied().zip(self.piece.values.iter().copied()));
        self.runs.push(self.aside.len());
        Ok(())
    }

    /// Adds a sample; its time is in nanoseconds.
    #[inline]
    pub fn sample(&mut self, time: i64, value: f64) {
        if self.unit != TimeUnit::Nanoseconds && self.unit.finer(TimeUnit::of(time)) != self.unit {
            self.met_finer = true;
            return;
        }
        let time = self.unit.floor(time);
        let value = self.wide.map_or(value, |kind| kind.to_float(value));
        if self.last.is_none_or(|last| last < time) {
            self.into.push(time, value);
            self.last = Some(time);
        } else {
            self.aside.push((time, value));
            self.runs.push(self.aside.len());
        }
    }

    /// Merges in what was put aside.
    ///
    /// Errors: where there were finer times. Then `into` is of no use.
    pub fn finish(self) -> Result<(), Finer> {
        let Overlay { into, mut aside, runs, .. } = self;
        if self.met_finer {
            return Err(Finer);
        }
        let Some(first) = aside.iter().map(|(time, _)| *time).min() else { return Ok(()) };
        let from = into.times.partition_point(|time| *time < first); // what lies before stays where it is
        let mut samples: Vec<(i64, f64)> = into.times.drain(from..).zip(into.values.drain(from..)).collect();
        let ends = std::iter::once(0).chain(runs).map(|end| samples.len() + end).collect();
        samples.append(&mut aside);
        for (time, value) in merge(samples, ends) {
            match into.values.last_mut() {
                Some(last) if into.times.last() == Some(&time) => *last = value,
                _ => into.push(time, value),
            }
        }
        Ok(())
    }
}

/// Words of a wide kind as the values that PromQL sees.
#[inline]
fn to_floats(wide: Option<Kind>, values: &mut [f64]) {
    if let Some(kind) = wide {
        values.iter_mut().for_each(|word| *word = kind.to_float(*word));
    }
}

/// One run of all, of which each is in order of time and ends where `ends` says. Of equal times the one written last comes
/// last. A sort that does not know the runs takes three times as long.
fn merge(mut samples: Vec<(i64, f64)>, mut ends: Vec<usize>) -> Vec<(i64, f64)> {
    let mut merged = Vec::with_capacity(samples.len());
    while ends.len() > 1 {
        sealine_base::work::count(samples.len());
        let (mut start, mut new_ends) = (0, Vec::with_capacity(ends.len().div_ceil(2)));
        for pair in ends.chunks(2) {
            let (middle, end) = (pair[0], pair[pair.len() - 1]);
            merge_two(&samples[start..middle], &samples[middle..end], &mut merged);
            new_ends.push(end);
            start = end;
        }
        std::mem::swap(&mut samples, &mut merged);
        merged.clear();
        ends = new_ends;
    }
    samples
}

fn merge_two<'a>(mut earlier: &'a [(i64, f64)], mut later: &'a [(i64, f64)], into: &mut Vec<(i64, f64)>) {
    if let ([.., last], [first, ..]) = (later, earlier)
        && last.0 < first.0
    {
        (earlier, later) = (later, earlier); // a sender that goes backwards
    } else if !matches!((earlier, later), ([.., last], [first, ..]) if last.0 <= first.0) {
        while let ([one, ..], [other, ..]) = (earlier, later) {
            // Without a branch that nobody can foresee.
            let takes_later = other.0 < one.0;
            into.push(if takes_later { *other } else { *one });
            earlier = &earlier[usize::from(!takes_later)..];
            later = &later[usize::from(takes_later)..];
        }
    }
    into.extend_from_slice(earlier);
    into.extend_from_slice(later);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    proptest! {
        #[test]
        fn pieces_give_what_a_map_gives(
            pieces in proptest::collection::vec((0i64..50, proptest::collection::btree_map(0i64..20, any::<u32>(), 0..20)), 0..8),
            single in any::<bool>(),
        ) {
            let (mut samples, mut map) = (Samples::default(), BTreeMap::new());
            let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
            for (start, piece) in pieces {
                let piece: Vec<(i64, f64)> = piece.into_iter().map(|(time, value)| (start + time, f64::from(value))).collect();
                map.extend(piece.iter().copied());
                if single {
                    piece.iter().rev().for_each(|(time, value)| overlay.sample(*time, *value));
                    continue;
                }
                let extent = Extent { unit: TimeUnit::Nanoseconds, count: piece.len(), first: start, last: start + 19 };
                let decoded: Result<(), Infallible> = overlay.piece(extent, (i64::MIN, i64::MAX), |_, into| {
                    piece.iter().for_each(|(time, value)| into.push(*time, *value));
                    Ok(())
                });
                prop_assert!(decoded.is_ok());
            }
            prop_assert_eq!(overlay.finish(), Ok(()));
            prop_assert_eq!(samples.times, map.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(samples.values, map.values().copied().collect::<Vec<_>>());
        }
    }
}
