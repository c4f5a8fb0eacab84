//! Reads the values of parameters: times, durations, limits. What is accepted, and how it is refused, is upstream's.

use super::error::{ApiError, quoted};
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use sealine_base::units;
use sealine_promql::TIME_MAX;

/// Times are held within plus and minus this many milliseconds (73 million years), so that adding and subtracting
/// ranges and offsets cannot overflow. Nothing lies beyond.
pub const TIME_MS_MAX: i64 = i64::MAX / 4;

/// What upstream's own clients send for "since the beginning" and "forever"; no calendar here reaches that far.
const BEFORE_ALL: &str = "-292273086-05-16T16:47:06Z";
const AFTER_ALL: &str = "292277025-08-18T07:12:54.999999999Z";

/// Reads seconds since the Unix epoch, with decimals, or RFC 3339; answers milliseconds.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        // Going through the whole seconds keeps `1435781451.781` from losing its last millisecond.
        let millis = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        // A float that is too large becomes the largest integer.
        return Ok((millis as i64).clamp(-TIME_MS_MAX, TIME_MS_MAX));
    }
    match text {
        BEFORE_ALL => Ok(-TIME_MS_MAX),
        AFTER_ALL => Ok(TIME_MS_MAX),
        _ => rfc_3339(text).ok_or_else(|| format!("cannot parse {} to a valid timestamp", quoted(text))),
    }
}

/// Reads a date, a time and an offset. By way of the civil calendar: a `jiff::Timestamp` ends a day before the year 9999
/// does, so that it can be told in every time zone.
fn rfc_3339(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let local = DateTime::from_parts(pieces.date(), pieces.time()?);
    let since_1970 = local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    let offset_s = pieces.to_numeric_offset()?.seconds();
    let millis = (since_1970.as_nanos() - i128::from(offset_s) * 1_000_000_000).div_euclid(1_000_000);
    i64::try_from(millis).ok()
}

/// Reads the time of parameter `name`; `default` where it is absent.
pub fn time_or(name: &str, text: &str, default: i64) -> Result<i64, ApiError> {
    if text.is_empty() {
        return Ok(default);
    }
    parse_time(text).map_err(|what| ApiError::parameter(name, format!("Invalid time value for '{name}': {what}")))
}

/// Checks that a query can be evaluated at `time`, which parameter `name` gave as `text`.
pub fn within_reach(name: &str, text: &str, time: i64) -> Result<i64, ApiError> {
    /// 1980 to 2100: what a number is likely to mean that was sent in another unit.
    const LIKELY_S: std::ops::Range<f64> = 315_532_800.0..4_102_444_800.0;
    if (-TIME_MAX..=TIME_MAX).contains(&time) {
        return Ok(time);
    }
    let sent = text.parse::<f64>().unwrap_or(0.0);
    let units = [("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)];
    let hint = units.iter().find(|(_, a_second)| LIKELY_S.contains(&(sent / a_second)));
    let hint = hint.map(|(unit, a_second)| format!("; in {unit} it would be {}", sent / a_second));
    let (got, hint, most) = (quoted(text), hint.unwrap_or_default(), TIME_MAX / 1000);
    let what = format!("{got} is out of range: want RFC 3339, or seconds since 1970, {most} at most{hint}");
    Err(ApiError::parameter(name, what))
}

/// Reads seconds, with decimals, or a duration such as `1h30m`; answers milliseconds, which may be negative.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    /// Upstream counts nanoseconds in 64 bits: 292 years.
    const MILLIS_MAX: f64 = (i64::MAX / 1_000_000) as f64;
    if let Ok(seconds) = text.parse::<f64>()
        && !seconds.is_nan()
    {
        // Rounded to microseconds first, or 1.001 would lose its last digit.
        let millis = ((seconds * 1e6).round() / 1000.0).trunc();
        return match millis.abs() <= MILLIS_MAX {
            true => Ok(millis as i64),
            false => Err(format!("cannot parse {} to a valid duration. It overflows int64", quoted(text))),
        };
    }
    units::millis(text)
        .filter(|millis| *millis as f64 <= MILLIS_MAX)
        .map(|millis| millis as i64)
        .ok_or_else(|| format!("cannot parse {} to a valid duration", quoted(text)))
}

/// Reads parameter `limit`: absent or 0 is no limit.
pub fn parse_limit(text: &str) -> Result<Option<usize>, ApiError> {
    match text.parse::<i64>() {
        _ if text.is_empty() => Ok(None),
        Ok(0) => Ok(None),
        Ok(limit @ 1..) => Ok(Some(usize::try_from(limit).unwrap_or(usize::MAX))),
        Ok(_) => Err(ApiError::parameter("limit", "limit must be non-negative")),
        Err(_) => Err(ApiError::parameter("limit", format!("cannot parse {} to a whole number", quoted(text)))),
    }
}

/// A label's name as it is meant: `U__` starts one whose odd characters are written as `_<hex>_` and whose
/// underscores are doubled. What does not follow that rule means itself.
pub fn unescape_label_name(name: &str) -> String {
    name.strip_prefix("U__").and_then(unescape).unwrap_or_else(|| name.to_string())
}

fn unescape(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('_') {
        name.push_str(before);
        match after.strip_prefix('_') {
            Some(after) => {
                name.push('_');
                rest = after;
            }
            None => {
                let (code, after) = after.split_once('_')?;
                let hex = !code.is_empty() && code.len() <= 6 && code.bytes().all(|b| b.is_ascii_hexdigit());
                name.push(hex.then(|| u32::from_str_radix(code, 16).ok()).flatten().and_then(char::from_u32)?);
                rest = after;
            }
        }
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        for (text, want) in [
            ("0", Some(0)),
            ("1435781451.781", Some(1_435_781_451_781)),
            ("1435781451.9996", Some(1_435_781_452_000)),
            ("-1.5", Some(-1500)),
            ("1e9", Some(1_000_000_000_000)),
            ("1e300", Some(TIME_MS_MAX)),
            ("-1e300", Some(-TIME_MS_MAX)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51.781+02:00", Some(1_435_774_251_781)),
            ("2015-07-01T20:10:51.781999999Z", Some(1_435_781_451_781)),
            ("1969-12-31T23:59:59.9999Z", Some(-1)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            ("9999-12-31T23:59:59.999999999Z", Some(253_402_300_799_999)),
            ("9999-12-31T23:59:59-23:59", Some(253_402_387_139_000)),
            ("0000-01-01T00:00:00Z", Some(-62_167_219_200_000)),
            ("0000-01-01T00:00:00+23:59", Some(-62_167_305_540_000)),
            (BEFORE_ALL, Some(-TIME_MS_MAX)),
            (AFTER_ALL, Some(TIME_MS_MAX)),
            ("", None),
            ("9999-12-31T24:00:00Z", None),
            ("10000-01-01T00:00:00Z", None),
            ("2015-02-29T00:00:00Z", None),
            ("2015-07-01T20:10:51", None),
            ("2015-07-01Z", None),
            ("NaN", None),
            ("inf", None),
            ("yesterday", None),
            ("2015-07-01", None),
        ] {
            match want {
                Some(want) => assert_eq!(parse_time(text), Ok(want), "{text}"),
                None => {
                    assert_eq!(parse_time(text), Err(format!("cannot parse {text:?} to a valid timestamp")))
                }
            }
        }
    }

    #[test]
    fn a_time_that_no_query_reaches_is_told_as_it_was_sent() {
        for (text, want) in [
            ("1000000000000", Ok(TIME_MAX)),
            ("-1000000000000", Ok(-TIME_MAX)),
            ("9999-12-31T23:59:59Z", Ok(253_402_300_799_000)),
            ("1000000000000.001", Err("; in milliseconds it would be 1000000000.000001")),
            ("-1000000000001", Err("")),
            ("1763800000000", Err("; in milliseconds it would be 1763800000")),
            ("1763800000123456", Err("; in microseconds it would be 1763800000.123456")),
            ("1763800000000000000", Err("; in nanoseconds it would be 1763800000")),
            ("-1e300", Err("")),
            (AFTER_ALL, Err("")),
        ] {
            let got = within_reach("end", text, parse_time(text).unwrap()).map_err(|error| error.message);
            let sentence = |hint| {
                let want = "want RFC 3339, or seconds since 1970, 1000000000000 at most";
                format!("invalid parameter \"end\": {text:?} is out of range: {want}{hint}")
            };
            assert_eq!(got, want.map_err(sentence), "{text}");
        }
    }

    #[test]
    fn what_is_long_is_not_repeated_whole() {
        let long = "9".repeat(100_000);
        let texts = [parse_time(&(long.clone() + "x")).unwrap_err(), parse_duration(&long).unwrap_err()];
        let errors = [within_reach("time", &long, i64::MAX).unwrap_err(), parse_limit(&long).unwrap_err()];
        for text in texts.into_iter().chain(errors.map(|error| error.message)) {
            assert!(text.len() < 300 && text.contains("999…\""), "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, want) in [
            ("1", Ok(1000)),
            ("0.25", Ok(250)),
            ("1.001", Ok(1001)),
            ("0.0001", Ok(0)),
            ("-3", Ok(-3000)),
            ("0", Ok(0)),
            ("1h30m", Ok(5_400_000)),
            ("1y2w3d4h5m6s7ms", Ok(33_019_506_007)),
            ("5m", Ok(300_000)),
            ("100ms", Ok(100)),
            ("1m1h", Err("cannot parse \"1m1h\" to a valid duration")),
            ("1m1m", Err("cannot parse \"1m1m\" to a valid duration")),
            ("1.5h", Err("cannot parse \"1.5h\" to a valid duration")),
            ("5", Ok(5000)),
            ("m", Err("cannot parse \"m\" to a valid duration")),
            ("", Err("cannot parse \"\" to a valid duration")),
            ("NaN", Err("cannot parse \"NaN\" to a valid duration")),
            ("293y", Err("cannot parse \"293y\" to a valid duration")),
            ("99999999999999999999y", Err("cannot parse \"99999999999999999999y\" to a valid duration")),
            ("1e10", Err("cannot parse \"1e10\" to a valid duration. It overflows int64")),
            ("1grün", Err("cannot parse \"1grün\" to a valid duration")),
        ] {
            assert_eq!(parse_duration(text), want.map_err(str::to_string), "{text}");
        }
    }

    #[test]
    fn limits_are_whole_numbers() {
        for (text, want) in [
            ("", Ok(None)),
            ("0", Ok(None)),
            ("7", Ok(Some(7))),
            ("-1", Err("invalid parameter \"limit\": limit must be non-negative")),
            ("x", Err("invalid parameter \"limit\": cannot parse \"x\" to a whole number")),
        ] {
            assert_eq!(parse_limit(text).map_err(|error| error.message), want.map_err(str::to_string), "{text}");
        }
    }

    #[test]
    fn escaped_label_names_are_unescaped() {
        for (name, want) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U______name____", "__name__"),
            ("U___1f980_", "🦀"),
            ("U__a_zz_b", "U__a_zz_b"),
            ("U__a_2e", "U__a_2e"),
            ("U__a_d800_", "U__a_d800_"),
            ("U__a_+2e_", "U__a_+2e_"),
        ] {
            assert_eq!(unescape_label_name(name), want);
        }
    }
}
