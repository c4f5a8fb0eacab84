//! Writes query results as JSON, straight into bytes.
//!
//! A long answer is millions of `[time,"value"]`, so nothing here allocates a value. Numbers look as upstream
//! prints them: values are strings, with an exponent below 1e-6 and from 1e21 on; times are seconds, with three
//! decimals unless they are whole. Scalars and strings differ upstream, and so they do here: their values never have
//! an exponent, and their times have no zeros at the end.

use super::answer::{Point, Value};
use sealine_base::{clock, cores};
use sealine_model::Labels;

/// Appends the members `"resultType":…,"result":…` of a query's answer.
pub fn push_result(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Scalar(point) => {
            out.extend_from_slice(b"\"resultType\":\"scalar\",\"result\":[");
            push_time_short(out, point.time);
            out.extend_from_slice(b",\"");
            push_number(out, point.value, false);
            out.extend_from_slice(b"\"]");
        }
        Value::String(time, text) => {
            out.extend_from_slice(b"\"resultType\":\"string\",\"result\":[");
            push_time_short(out, *time);
            out.push(b',');
            push_text(out, text);
            out.push(b']');
        }
        Value::Vector(samples) => {
            out.extend_from_slice(b"\"resultType\":\"vector\",\"result\":[");
            push_list(out, samples, |out, (labels, point)| {
                out.extend_from_slice(b"{\"metric\":");
                push_labels(out, labels);
                out.extend_from_slice(b",\"value\":");
                push_point(out, *point);
                out.push(b'}');
            });
            out.push(b']');
        }
        Value::Matrix(series) => {
            out.extend_from_slice(b"\"resultType\":\"matrix\",\"result\":[");
            push_list(out, series, |out, series| {
                cores::give_way(clock::instant());
                out.extend_from_slice(b"{\"metric\":");
                push_labels(out, &series.labels);
                out.extend_from_slice(b",\"values\":[");
                push_list(out, &series.points, |out, point| push_point(out, *point));
                out.extend_from_slice(b"]}");
            });
            out.push(b']');
        }
    }
}

/// About as many bytes as [`push_result`] will append, so that a long answer is not moved about while it grows.
pub fn size_hint(value: &Value) -> usize {
    /// `[1435781451.781,"12345.678"],`
    const POINT_BYTES: usize = 30;
    /// What stands around the labels and the points of a series.
    const SERIES_BYTES: usize = 64;
    let of_labels = |labels: &Labels| SERIES_BYTES + 2 * labels.as_bytes().len();
    match value {
        Value::Scalar(_) => SERIES_BYTES,
        Value::String(_, text) => SERIES_BYTES + text.len(),
        Value::Vector(samples) => samples.iter().map(|(labels, _)| of_labels(labels) + POINT_BYTES).sum(),
        Value::Matrix(series) => {
            series.iter().map(|series| of_labels(&series.labels) + POINT_BYTES * series.points.len()).sum()
        }
    }
}

/// Appends items with commas between them.
pub fn push_list<T>(out: &mut Vec<u8>, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(out, item);
    }
}

/// Appends labels as an object, in their own order.
pub fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        push_text(out, value);
    }
    out.push(b'}');
}

/// Appends text in quotes.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            }
        }
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

fn push_point(out: &mut Vec<u8>, point: Point) {
    out.push(b'[');
    push_time(out, point.time);
    out.extend_from_slice(b",\"");
    push_number(out, point.value, true);
    out.extend_from_slice(b"\"]");
}

/// Milliseconds as seconds: `1`, `1.500`.
fn push_time(out: &mut Vec<u8>, time: i64) {
    if time < 0 {
        out.push(b'-');
    }
    let millis = time.unsigned_abs();
    push_integer(out, millis / 1000);
    let rest = (millis % 1000) as u16;
    if rest != 0 {
        let digit = |value: u16| b'0' + (value % 10) as u8;
        out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
    }
}

/// Milliseconds as seconds, without zeros at the end: `1`, `1.5`.
fn push_time_short(out: &mut Vec<u8>, time: i64) {
    push_time(out, time);
    if time % 1000 != 0 {
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn push_integer(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest decimal that reads back as `value`. With `exponents`, very small and very large numbers have one.
fn push_number(out: &mut Vec<u8>, value: f64, exponents: bool) {
    const EXACT: f64 = (1u64 << 53) as f64;
    if !value.is_finite() {
        let word: &[u8] = match value {
            f64::INFINITY => b"+Inf",
            f64::NEG_INFINITY => b"-Inf",
            _ => b"NaN",
        };
        return out.extend_from_slice(word);
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let size = value.abs();
    if size < EXACT && size as u64 as f64 == size {
        return push_integer(out, size as u64);
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(size);
    match shortest.split_once('e') {
        None => out.extend_from_slice(shortest.strip_suffix(".0").unwrap_or(shortest).as_bytes()),
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().expect("zmij prints an integer after the `e`");
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let fraction = if fraction == "0" { "" } else { fraction };
            if exponents && !(1e-6..1e21).contains(&size) {
                push_scientific(out, whole, fraction, exponent);
            } else {
                push_plain(out, whole, fraction, exponent);
            }
        }
    }
}

/// `whole.fraction` times ten to the `exponent`, the exponent with its sign and two digits at least.
fn push_scientific(out: &mut Vec<u8>, whole: &str, fraction: &str, exponent: i32) {
    out.extend_from_slice(whole.as_bytes());
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.abs() < 10 {
        out.push(b'0');
    }
    push_integer(out, u64::from(exponent.unsigned_abs()));
}

/// `whole.fraction` times ten to the `exponent`, without an exponent; `whole` is one digit.
fn push_plain(out: &mut Vec<u8>, whole: &str, fraction: &str, exponent: i32) {
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        out.extend_from_slice(whole.as_bytes());
        return out.extend_from_slice(fraction.as_bytes());
    }
    let exponent = exponent.unsigned_abs() as usize;
    out.extend_from_slice(whole.as_bytes());
    match fraction.len().checked_sub(exponent) {
        None | Some(0) => {
            out.extend_from_slice(fraction.as_bytes());
            out.extend(std::iter::repeat_n(b'0', exponent - fraction.len()));
        }
        Some(_) => {
            out.extend_from_slice(&fraction.as_bytes()[..exponent]);
            out.push(b'.');
            out.extend_from_slice(&fraction.as_bytes()[exponent..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn number(value: f64, exponents: bool) -> String {
        let mut out = Vec::new();
        push_number(&mut out, value, exponents);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_look_as_upstream_prints_them() {
        // In vectors and matrices | in scalars; the right-hand sides are what Prometheus 2.42 answered.
        for (value, want, want_scalar) in [
            (1.0, "1", "1"),
            (0.1, "0.1", "0.1"),
            (-2.5, "-2.5", "-2.5"),
            (-0.0, "-0", "-0"),
            (1e-7, "1e-07", "0.0000001"),
            (1.25e-7, "1.25e-07", "0.000000125"),
            (1e-6, "0.000001", "0.000001"),
            (1.5e-6, "0.0000015", "0.0000015"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1e+21", "1000000000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000", "123456789012345680000"),
            (9_007_199_254_740_993.0, "9007199254740992", "9007199254740992"),
            (1234567.125, "1234567.125", "1234567.125"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!(number(value, true), want);
            assert_eq!(number(value, false), want_scalar);
        }
        assert_eq!(number(5e-324, true), "5e-324");
        assert_eq!(number(-1.5e300, true), "-1.5e+300");
        assert_eq!(number(1e300, false), format!("1{}", "0".repeat(300)));
    }

    #[test]
    fn every_number_reads_back_as_itself() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        for _ in 0..20_000 {
            let value = f64::from_bits(random.random::<u64>());
            let near = random.random::<f64>() * 10f64.powi(random.random_range(-10..25));
            for value in [value, near].into_iter().filter(|value| value.is_finite()) {
                for exponents in [false, true] {
                    let text = number(value, exponents);
                    assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{text} (seed {seed})");
                    assert_eq!(text.contains('e'), exponents && value != 0.0 && !(1e-6..1e21).contains(&value.abs()));
                }
            }
        }
    }

    #[test]
    fn times_are_seconds() {
        for (time, want, want_short) in [
            (1_435_781_451_781, "1435781451.781", "1435781451.781"),
            (1_435_781_430_000, "1435781430", "1435781430"),
            (1_500, "1.500", "1.5"),
            (-450, "-0.450", "-0.45"),
            (7, "0.007", "0.007"),
            (10_000, "10", "10"),
            (0, "0", "0"),
            (i64::MIN, "-9223372036854775.808", "-9223372036854775.808"),
        ] {
            let (mut out, mut short) = (Vec::new(), Vec::new());
            push_time(&mut out, time);
            push_time_short(&mut short, time);
            assert_eq!((out.as_slice(), short.as_slice()), (want.as_bytes(), want_short.as_bytes()));
        }
    }

    #[test]
    fn text_agrees_with_serde() {
        for text in ["", "plain", "a\"b\\c", "\u{0}\u{1f}\u{7f}", "tab\tline\nreturn\r", "grün 🦀", "\u{8}\u{c}"] {
            let mut out = Vec::new();
            push_text(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
