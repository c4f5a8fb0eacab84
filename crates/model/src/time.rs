//! Times. The store has nanoseconds since the Unix epoch, from 1677 to 2262; PromQL has milliseconds.

/// Nanoseconds of a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;

/// The first nanosecond of a millisecond; of one that nanoseconds do not reach, the closest there is.
#[inline]
pub fn ns_from_ms(ms: i64) -> i64 {
    ms.saturating_mul(NS_PER_MS)
}

/// The first and the last nanosecond of a range of milliseconds. Where nanoseconds reach none of it, a range in which no time
/// lies.
#[inline]
pub fn ns_range(start_ms: i64, end_ms: i64) -> (i64, i64) {
    if start_ms > ms_of_ns(i64::MAX) || end_ms < ms_of_ns(i64::MIN) {
        return (i64::MAX, i64::MIN);
    }
    (ns_from_ms(start_ms), end_ms.saturating_mul(NS_PER_MS).saturating_add(NS_PER_MS - 1))
}

/// The millisecond that a time lies in.
#[inline]
pub fn ms_of_ns(ns: i64) -> i64 {
    ns.div_euclid(NS_PER_MS)
}

/// What a run of times is counted in: the coarsest unit that they are all multiples of, so that an agent which sends whole
/// seconds pays nothing for nanoseconds. The numbers are part of our formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum TimeUnit {
    /// What files and logs had before they had units.
    #[default]
    Milliseconds = 0,
    /// The coarsest.
    Seconds = 1,
    /// Thousandths of a millisecond.
    Microseconds = 2,
    /// The finest.
    Nanoseconds = 3,
}

impl TimeUnit {
    /// The unit with this number in our formats: of `code`, the two low bits.
    #[inline]
    pub fn from_code(code: u64) -> TimeUnit {
        match code & 3 {
            0 => TimeUnit::Milliseconds,
            1 => TimeUnit::Seconds,
            2 => TimeUnit::Microseconds,
            _ => TimeUnit::Nanoseconds,
        }
    }

    /// Its number in our formats.
    #[inline]
    pub fn code(self) -> u64 {
        self as u64
    }

    /// How long it is.
    #[inline]
    pub fn nanoseconds(self) -> i64 {
        match self {
            TimeUnit::Seconds => 1_000_000_000,
            TimeUnit::Milliseconds => NS_PER_MS,
            TimeUnit::Microseconds => 1_000,
            TimeUnit::Nanoseconds => 1,
        }
    }

    /// The coarsest unit that a time, or a difference of times, is a multiple of.
    #[inline]
    pub fn of(ns: i64) -> TimeUnit {
        // Each with a divisor that the compiler knows.
        if ns % 1_000_000_000 == 0 {
            TimeUnit::Seconds
        } else if ns % NS_PER_MS == 0 {
            TimeUnit::Milliseconds
        } else if ns % 1_000 == 0 {
            TimeUnit::Microseconds
        } else {
            TimeUnit::Nanoseconds
        }
    }

    /// The coarsest unit that all of these times are multiples of.
    #[inline]
    pub fn of_all(times: impl IntoIterator<Item = i64>) -> TimeUnit {
        times.into_iter().fold(TimeUnit::Seconds, |unit, time| unit.finer(TimeUnit::of(time)))
    }

    /// The finer one of two.
    #[inline]
    pub fn finer(self, other: TimeUnit) -> TimeUnit {
        if other.nanoseconds() < self.nanoseconds() { other } else { self }
    }

    /// A time in this unit, what is finer cut off towards the past.
    #[inline]
    pub fn floor(self, ns: i64) -> i64 {
        match self {
            TimeUnit::Seconds => ns.div_euclid(1_000_000_000),
            TimeUnit::Milliseconds => ns.div_euclid(NS_PER_MS),
            TimeUnit::Microseconds => ns.div_euclid(1_000),
            TimeUnit::Nanoseconds => ns,
        }
    }

    /// The first time in this unit that is not before `ns`.
    #[inline]
    pub fn ceil(self, ns: i64) -> i64 {
        let floor = self.floor(ns);
        if self.ns(floor) == ns { floor } else { floor + 1 }
    }

    /// Nanoseconds of so many. What no `i64` holds wraps around: a time that was counted comes back.
    #[inline]
    pub fn ns(self, count: i64) -> i64 {
        count.wrapping_mul(self.nanoseconds())
    }

    /// How many of `other` one of this is, where `other` is no coarser.
    #[inline]
    pub fn in_units_of(self, other: TimeUnit) -> Option<i64> {
        (self.nanoseconds() >= other.nanoseconds()).then(|| self.nanoseconds() / other.nanoseconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeUnit::{Microseconds, Milliseconds, Nanoseconds, Seconds};

    #[test]
    fn times_are_counted_in_the_coarsest_unit_that_keeps_them() {
        for (ns, unit, count) in [
            (0, Seconds, 0),
            (-7_000_000_000, Seconds, -7),
            (1_700_000_000_001_000_000, Milliseconds, 1_700_000_000_001),
            (-1_000, Microseconds, -1),
            (i64::MAX, Nanoseconds, i64::MAX),
            (i64::MIN, Nanoseconds, i64::MIN),
        ] {
            assert_eq!(TimeUnit::of(ns), unit, "{ns}");
            assert_eq!((unit.floor(ns), unit.ceil(ns), unit.ns(count)), (count, count, ns));
            assert_eq!(TimeUnit::from_code(unit.code()), unit);
        }
        assert_eq!((Seconds.floor(-1), Seconds.ceil(-1), Seconds.ceil(1)), (-1, 0, 1));
        assert_eq!(TimeUnit::of_all([0, 5_000_000, 2_000]), Microseconds);
        assert_eq!(TimeUnit::of_all([]), Seconds);
        assert_eq!((Seconds.in_units_of(Milliseconds), Nanoseconds.in_units_of(Milliseconds)), (Some(1000), None));
        for unit in [Seconds, Milliseconds, Microseconds, Nanoseconds] {
            // The ends of the range do not overflow.
            assert!(unit.ns(unit.ceil(i64::MIN)) <= unit.ns(unit.floor(i64::MAX)));
        }
    }

    #[test]
    fn milliseconds_hold_a_million_nanoseconds_each() {
        assert_eq!((ns_from_ms(-1), ns_range(-1, 0)), (-1_000_000, (-1_000_000, 999_999)));
        assert_eq!((ms_of_ns(-1), ms_of_ns(0), ms_of_ns(999_999)), (-1, 0, 0));
        assert_eq!(ns_range(i64::MIN, i64::MAX), (i64::MIN, i64::MAX));
        for (start, end) in [(i64::MIN, -9_223_372_036_856), (9_223_372_036_855, i64::MAX)] {
            assert_eq!(ns_range(start, end), (i64::MAX, i64::MIN), "no nanosecond lies in {start} to {end}");
        }
    }
}
