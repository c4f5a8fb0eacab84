//! The units that durations are written in, wherever they are written: settings, parameters, queries, messages.

use std::time::Duration;

/// Milliseconds in each unit, from large to small. A day has 24 hours, a week 7 days, a year 365.
pub const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The units that a duration is written in, from large to small.
const SPOKEN: [(&str, u64); 6] = [
    ("y", UNITS[0].1),
    ("d", UNITS[2].1),
    ("h", UNITS[3].1),
    ("min", UNITS[4].1),
    ("s", UNITS[5].1),
    ("ms", UNITS[6].1),
];

/// A time as people say it, in messages: `3 y 62 d`, `1 h 30 min`, `5 s`. The two largest units that it has, cut off
/// behind them.
pub fn spoken(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let Some(largest) = SPOKEN.iter().position(|(_, unit)| millis >= *unit) else { return "0 ms".to_string() };
    let (mut left, mut parts) = (millis, Vec::new());
    for (name, unit) in SPOKEN.iter().skip(largest).take(2) {
        if left >= *unit {
            parts.push(format!("{} {name}", left / unit));
        }
        left %= unit;
    }
    parts.join(" ")
}

/// A duration as a difference of times in nanoseconds, which reach 292 years.
pub fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Sums up whole numbers with units, `1h30m`, in milliseconds: each unit once at most, from large to small.
///
/// `None` where the text is anything else, or the sum too large for 64 bits.
pub fn millis(text: &str) -> Option<u64> {
    let (mut rest, mut units, mut total) = (text, &UNITS[..], 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (rest[..digits].parse::<u64>().ok()?, &rest[digits..digits + letters]);
        let place = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(units[place].1)?)?;
        (rest, units) = (&rest[digits + letters..], &units[place + 1..]);
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_two_largest_units() {
        for (millis, want) in [
            (0, "0 ms"),
            (1, "1 ms"),
            (1_000, "1 s"),
            (1_500, "1 s 500 ms"),
            (10 * 60_000, "10 min"),
            (90 * 60_000 + 999, "1 h 30 min"),
            (3_600_000 + 59_000, "1 h"),
            (86_400_000, "1 d"),
            (99_999_966_000, "3 y 62 d"),
            (u64::MAX, "584942417 y 129 d"),
        ] {
            assert_eq!(spoken(Duration::from_millis(millis)), want);
        }
    }

    #[test]
    fn units_are_summed_up() {
        for (text, want) in [
            ("1h30m", Some(5_400_000)),
            ("1y2w3d4h5m6s7ms", Some(33_019_506_007)),
            ("0s", Some(0)),
            ("18446744073709551615ms", Some(u64::MAX)),
            ("18446744073709551616ms", None),
            ("18446744073709551s616ms", None),
            ("", None),
            ("5", None),
            ("m", None),
            ("1m1h", None),
            ("1m1m", None),
            ("1.5h", None),
            ("-1h", None),
            ("1grün", None),
        ] {
            assert_eq!(millis(text), want, "{text}");
        }
    }
}
