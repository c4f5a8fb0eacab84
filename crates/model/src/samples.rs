//! Samples of one series as two columns.

/// A staleness marker: this NaN, and no other, says that a series has ended (as Prometheus writes it).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Samples of one series as two columns of equal length. Times do not go back; several of one millisecond may be there
/// where they were told apart by nanoseconds.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Samples {
    /// Since the Unix epoch, in milliseconds for PromQL; in the store in nanoseconds.
    pub times: Vec<i64>,
    /// One value a time. The bits are kept: staleness markers are a NaN of their own.
    pub values: Vec<f64>,
}

impl Samples {
    /// Forgets the samples, keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
    }

    /// How many samples there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a sample at the end; `time` must not be before any time held.
    #[inline]
    pub fn push(&mut self, time: i64, value: f64) {
        self.times.push(time);
        self.values.push(value);
    }
}
