//! The times at which an expression is evaluated, and what a column of values over them looks like.
//!
//! A column holds one `f64` a step. A step without a value holds [`ABSENT`], which is bit for bit the staleness
//! marker: storage hands markers over as values, so a marker that a selector picks up is an absent value already.
//! Arithmetic never makes one (it quiets NaNs), moving never loses one.

/// "No value at this step": the staleness marker, a signalling NaN of its own.
pub(super) const ABSENT: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether there is no value.
#[inline(always)]
pub(super) fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT.to_bits()
}

/// Equidistant evaluation times. An instant query has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// The first time, in milliseconds.
    pub start: i64,
    /// Milliseconds from one time to the next; positive.
    pub step: i64,
    /// How many times there are.
    pub count: usize,
}

impl Grid {
    /// The grid of one time.
    pub fn instant(at: i64) -> Self {
        Grid { start: at, step: 1, count: 1 }
    }

    /// The times from `start` on, `step` apart, up to `end`. None where `end` is before `start`.
    pub fn new(start: i64, end: i64, step: i64) -> Self {
        let count = if end < start { 0 } else { ((end - start) / step) as usize + 1 };
        Grid { start, step, count }
    }

    /// Time number `index`.
    #[inline(always)]
    pub fn time(&self, index: usize) -> i64 {
        self.start + self.step * index as i64
    }

    /// The last time; `start` where there is none.
    pub fn end(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    /// All times.
    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..grid.count).map(move |index| grid.time(index))
    }
}

/// Where the time of a selector comes from: from the step, or fixed by `@`; then moved back by `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shift {
    /// The fixed time of `@`, in milliseconds.
    pub at: Option<i64>,
    /// Milliseconds to look back; negative looks ahead.
    pub offset: i64,
}

impl Shift {
    /// The time that is looked at when the step is at `time`.
    #[inline(always)]
    pub fn apply(&self, time: i64) -> i64 {
        self.at.unwrap_or(time) - self.offset
    }
}
