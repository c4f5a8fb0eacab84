//! Samples of one series as two columns.

/// A staleness marker: this NaN, and no other, says that a series has ended (as Prometheus writes it).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Samples of one series as two columns of equal length, times strictly increasing.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Samples {
    /// Milliseconds since the Unix epoch.
    pub times: Vec<i64>,
    /// One value a time. The bits are kept: staleness markers are a NaN of their own.
    pub values: Vec<f64>,
}

impl Samples {
    /// Forgets the samples, keeps the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a sample at the end; `time` must be later than every time held.
    pub fn push(&mut self, time: i64, value: f64) {
        self.times.push(time);
        self.values.push(value);
    }

    /// Merges what `decode` appends, samples from `first` on that were written later: in place where nothing that is here
    /// is as late as that, else over what is here. Where `decode` fails, what it gave until then may stay.
    pub fn merge_decoded<E>(
        &mut self,
        first: i64,
        decode: impl FnOnce(&mut Samples) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.times.last().is_none_or(|last| *last < first) {
            return decode(self);
        }
        let mut newer = Samples::default();
        decode(&mut newer)?;
        self.merge_newer(&newer);
        Ok(())
    }

    /// Merges samples that were written later: where times are equal, theirs stand.
    pub fn merge_newer(&mut self, newer: &Samples) {
        let (Some(last), Some(first)) = (self.times.last(), newer.times.first()) else {
            self.times.extend_from_slice(&newer.times);
            self.values.extend_from_slice(&newer.values);
            return;
        };
        if first > last {
            self.times.extend_from_slice(&newer.times);
            self.values.extend_from_slice(&newer.values);
            return;
        }
        // Only what lies behind the first newer sample has to move.
        let from = self.times.partition_point(|time| time < first);
        let older = Samples { times: self.times.split_off(from), values: self.values.split_off(from) };
        let (mut a, mut b) = (0, 0);
        while a < older.len() && b < newer.len() {
            let (old, new) = (older.times[a], newer.times[b]);
            if old < new {
                self.push(old, older.values[a]);
            } else {
                self.push(new, newer.values[b]);
                b += 1;
            }
            a += usize::from(old <= new);
        }
        self.times.extend_from_slice(&older.times[a..]);
        self.values.extend_from_slice(&older.values[a..]);
        self.times.extend_from_slice(&newer.times[b..]);
        self.values.extend_from_slice(&newer.values[b..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn merging_is_what_a_map_does(parts in proptest::collection::vec(proptest::collection::btree_map(0i64..50, any::<u32>(), 0..20), 0..6)) {
            let (mut merged, mut map) = (Samples::default(), BTreeMap::new());
            for part in parts {
                let mut samples = Samples::default();
                for (time, value) in part {
                    samples.push(time, f64::from(value));
                    map.insert(time, f64::from(value));
                }
                merged.merge_newer(&samples);
            }
            prop_assert_eq!(merged.times, map.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(merged.values, map.values().copied().collect::<Vec<_>>());
        }
    }
}
