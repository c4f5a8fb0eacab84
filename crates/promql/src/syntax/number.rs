//! Numbers and durations: `1_000`, `0x1f`, `017`, `.5e-3`, `1h30m`, and durations as text.

use super::tree::Number;
use sealine_base::units::{self, UNITS};
use std::fmt::Write;

/// Reads the number or duration that `text` starts with, which starts with a digit or with a dot and a digit.
///
/// Gives how many bytes belong to it; the number is missing where they make no sense.
pub fn scan(text: &str) -> (usize, Option<Number>) {
    let length = length(text);
    let written = &text[..length];
    let number = number(written).map(|value| Number { value, duration: false });
    (
        length,
        number
            .or_else(|| units::millis(written).map(|millis| Number { value: millis as f64 / 1000.0, duration: true })),
    )
}

/// Letters, digits, dots and underscores, and a sign behind the `e` of an exponent.
fn length(text: &str) -> usize {
    let hex = text.len() > 1 && text.as_bytes()[..2].eq_ignore_ascii_case(b"0x");
    let bytes = text.as_bytes();
    let belongs = |at: usize| match bytes[at] {
        b'+' | b'-' => !hex && bytes[at - 1].eq_ignore_ascii_case(&b'e'),
        byte => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'),
    };
    (1..bytes.len()).find(|at| !belongs(*at)).unwrap_or(bytes.len())
}

fn number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let hex = bytes.len() > 2 && bytes[..2].eq_ignore_ascii_case(b"0x");
    let is_digit = |byte: &u8| if hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(is_digit);
    // An underscore stands between digits, or behind the `0x`.
    let is_placed = |at: usize| (digit(at.checked_sub(1)) || hex && at == 2) && digit(Some(at + 1));
    if !(0..bytes.len()).filter(|at| bytes[*at] == b'_').all(is_placed) {
        return None;
    }
    let plain: String = text.chars().filter(|character| *character != '_').collect();
    if hex {
        return u64::from_str_radix(&plain[2..], 16).ok().map(|number| number as f64);
    }
    let octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    if octal {
        return u64::from_str_radix(&plain, 8).ok().map(|number| number as f64);
    }
    // `parse` takes words such as `infinity` as numbers too, but those start with a letter.
    plain.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Seconds as a duration that reads back the same; `None` where they are not whole milliseconds.
///
/// Years and weeks are used only where nothing is left over: `90d` says more than `12w6d`.
pub fn duration_text(seconds: f64) -> Option<String> {
    let ms = (seconds.abs() * 1000.0).round();
    if !(ms < 2f64.powi(53) && ms / 1000.0 == seconds.abs()) {
        return None;
    }
    let mut rest = ms as u64;
    let mut text = if seconds.is_sign_negative() { "-".to_string() } else { String::new() };
    if rest == 0 {
        return Some(text + "0s");
    }
    for (unit, unit_ms) in UNITS {
        if matches!(unit, "y" | "w") && !rest.is_multiple_of(unit_ms) || rest < unit_ms {
            continue;
        }
        write!(text, "{}{unit}", rest / unit_ms).expect("writing to a string does not fail");
        rest %= unit_ms;
    }
    Some(text)
}

/// A number without exponent, `Inf`, `-Inf` or `NaN`. Prometheus writes `+Inf`, which before a `^` would read back as a
/// sign and an operand.
pub fn number_text(value: f64) -> String {
    match value {
        f64::INFINITY => "Inf".to_string(),
        f64::NEG_INFINITY => "-Inf".to_string(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_read() {
        for (text, length, want) in [
            ("5", 1, Some((5.0, false))),
            ("12.34e+6)", 8, Some((12.34e6, false))),
            ("2. ", 2, Some((2.0, false))),
            (".2", 2, Some((0.2, false))),
            ("1e3", 3, Some((1000.0, false))),
            ("1E-3+1", 4, Some((0.001, false))),
            ("0x1F+1", 4, Some((31.0, false))),
            ("0x1e+1", 4, Some((30.0, false))),
            ("0X_ff", 5, Some((255.0, false))),
            ("017", 3, Some((15.0, false))),
            ("018", 3, Some((18.0, false))),
            ("0.5", 3, Some((0.5, false))),
            ("1_000_000.5", 11, Some((1_000_000.5, false))),
            ("99999999999999999999", 20, Some((1e20, false))),
            ("5m]", 2, Some((300.0, true))),
            ("1h30m", 5, Some((5400.0, true))),
            ("1y2w3d4h5m6s7ms", 15, Some((33_019_506.007, true))),
            ("5414700001ms", 12, Some((5_414_700.001, true))),
            ("0s", 2, Some((0.0, true))),
            // What makes no sense is taken as a whole.
            ("1x", 2, None),
            ("0x", 2, None),
            ("0xg", 3, None),
            ("0x1ffffffffffffffff", 19, None),
            ("1__0", 4, None),
            ("1_", 2, None),
            ("1_e5", 4, None),
            ("1._5", 4, None),
            ("1.5m", 4, None),
            ("30m1h", 5, None),
            ("1m1m", 4, None),
            ("1hs", 3, None),
            ("1h30", 4, None),
            ("1e", 2, None),
            ("1e+", 3, None),
            ("1..2", 4, None),
            ("1.2.3", 5, None),
            ("0b1", 3, None),
            ("999999999999999y", 16, None),
        ] {
            let want = want.map(|(value, duration)| Number { value, duration });
            assert_eq!(scan(text), (length, want), "{text}");
        }
    }

    #[test]
    fn durations_are_written() {
        for (seconds, want) in [
            (0.0, Some("0s")),
            (-0.0, Some("-0s")),
            (300.0, Some("5m")),
            (-5400.0, Some("-1h30m")),
            (604_800.0, Some("1w")),
            (604_801.0, Some("7d1s")),
            (31_536_000.0, Some("1y")),
            (32_140_800.0, Some("372d")),
            (0.001, Some("1ms")),
            (5_414_700.001, Some("62d16h5m1ms")),
            (0.0001, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(duration_text(seconds).as_deref(), want, "{seconds}");
        }
    }
}
