//! Numbers, eight digits at a step.
//!
//! Integers, times and short decimals, which is nearly all that agents send, are read here exactly. What is left (an
//! exponent, more digits than a float can hold) goes to `fast_float2`, which rounds as the standard does.

use super::grammar::{Bad, Parsed, What};
use super::lines::Value;
use super::scan::token_end;
use nom::Err::Error;

/// Up to this, every integer is a float of its own.
const EXACT_MAX: u64 = 1 << 53;

/// A run of at most this many digits cannot overflow a `u64`.
const DIGITS_MAX: usize = 19;

/// Powers of ten that are exact as a float: a division of two exact floats is rounded once, so it is the right one.
const POWERS_F64: [f64; DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19];

const POWERS_U64: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// A number as fields mostly have it, `1.5`, `-3i` or `12u`, and what follows it, which is the caller's to check. `None`
/// for what only [`any_number`] can tell.
///
/// Inlined, and without a call, so that the value stays in registers until it is where it belongs.
#[inline]
pub(super) fn plain_number(input: &[u8]) -> Option<(&[u8], Value<'_>)> {
    let (negative, unsigned) = sign(input);
    let (rest, whole) = digits(unsigned, 0);
    let count = unsigned.len() - rest.len();
    if count == 0 || count > DIGITS_MAX {
        return None;
    }
    match rest.split_first() {
        Some((b'i', rest)) => Some((rest, Value::Integer(signed(negative, whole)?))),
        Some((b'u', rest)) if !negative => Some((rest, Value::Unsigned(whole))),
        Some((b'.', tail)) => {
            let (rest, scaled) = digits(tail, whole);
            let decimals = tail.len() - rest.len();
            if count + decimals > DIGITS_MAX || scaled > EXACT_MAX || matches!(rest.first(), Some(b'e' | b'E')) {
                return None;
            }
            let float = scaled as f64 / POWERS_F64[decimals];
            Some((rest, Value::Float(if negative { -float } else { float })))
        }
        Some((b'e' | b'E' | b'u', _)) => None,
        _ if whole <= EXACT_MAX => Some((rest, Value::Float(if negative { -(whole as f64) } else { whole as f64 }))),
        _ => None,
    }
}

/// An integer without a suffix, as a time is: `1700000000000000000`.
#[inline]
pub(super) fn integer(input: &[u8]) -> Parsed<'_, i64> {
    let bad = Err(Error(Bad { at: input, field: &[], what: What::Time }));
    let (negative, unsigned) = sign(input);
    let (rest, whole) = digits(unsigned, 0);
    match unsigned.len() - rest.len() {
        0 => bad,
        1..=DIGITS_MAX => signed(negative, whole).map_or(bad, |integer| Ok((rest, integer))),
        // Leading zeros, or a number that fits no i64.
        _ => match parse_text(&input[..input.len() - rest.len()]) {
            Some(integer) => Ok((rest, integer)),
            None => bad,
        },
    }
}

/// Any number at all, by way of the standard library and `fast_float2`.
pub(super) fn any_number(input: &[u8]) -> Parsed<'_, Value<'_>> {
    let (token, rest) = input.split_at(token_end(input));
    let value = match token.split_last() {
        Some((b'i', integer)) => parse_text(integer).map(Value::Integer),
        Some((b'u', integer)) => parse_text(integer).map(Value::Unsigned),
        // Without a digit it is one of the spellings of NaN and infinity, which the grammar refuses.
        Some(_) if token.iter().any(u8::is_ascii_digit) => {
            let unsigned = token.strip_prefix(b"+").filter(|rest| !rest.starts_with(b"-")).unwrap_or(token);
            fast_float2::parse::<f64, _>(unsigned).ok().filter(|float| float.is_finite()).map(Value::Float)
        }
        _ => None,
    };
    match value {
        Some(value) => Ok((rest, value)),
        None => Err(Error(Bad { at: input, field: &[], what: What::Value })),
    }
}

/// Splits off a sign; true for a minus.
#[inline]
fn sign(input: &[u8]) -> (bool, &[u8]) {
    match input.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, input),
    }
}

/// The integer with that sign, if an `i64` holds it.
#[inline]
fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

fn parse_text<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends the decimal digits at the start of `input` to `number`. Wraps where there are too many: the caller counts.
#[inline]
fn digits(mut input: &[u8], mut number: u64) -> (&[u8], u64) {
    while let Some((bytes, rest)) = input.split_first_chunk() {
        let word = u64::from_le_bytes(*bytes) ^ 0x3030_3030_3030_3030;
        // Of a digit, 0x76 more leaves the top bit clear. A carry only reaches bytes above the first that is none.
        let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
        if others == 0 {
            number = number.wrapping_mul(100_000_000).wrapping_add(eight_digits(word));
            input = rest;
            continue;
        }
        let count = others.trailing_zeros() as usize / 8;
        // The digits move to the end of the word, so that zeros stand before them; by two steps, as `count` may be 0.
        let padded = word << (8 * (7 - count)) << 8;
        return (&input[count..], number.wrapping_mul(POWERS_U64[count]).wrapping_add(eight_digits(padded)));
    }
    while let Some((digit @ b'0'..=b'9', rest)) = input.split_first() {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        input = rest;
    }
    (input, number)
}

/// The number that eight decimal digits make, one a byte, the first in the lowest byte: pairs, then fours, then all.
#[inline]
fn eight_digits(word: u64) -> u64 {
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn digits_are_read_at_every_length_and_distance_from_the_end() {
        for count in 0..=19 {
            for tail in 0..=9 {
                let text = "9876543210123456789"[..count].to_string();
                let input = text.clone() + &"i,b=~: 1\n"[..tail];
                let (rest, number) = digits(input.as_bytes(), 0);
                assert_eq!(number.to_string(), if count == 0 { "0".to_string() } else { text }, "{input:?}");
                assert_eq!(rest.len(), input.len() - count, "{input:?}");
            }
        }
    }

    #[test]
    fn floats_round_as_the_standard_library_rounds() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..20_000 {
            let mut text = String::new();
            text.push_str(["", "-", "+"][rng.random_range(0..3)]);
            for _ in 0..rng.random_range(0..22) {
                text.push(char::from(rng.random_range(b'0'..=b'9')));
            }
            text.push(char::from(rng.random_range(b'0'..=b'9')));
            if rng.random_bool(0.7) {
                text.push('.');
                for _ in 0..rng.random_range(0..22) {
                    text.push(char::from(rng.random_range(b'0'..=b'9')));
                }
            }
            if rng.random_bool(0.2) {
                text.push_str(&format!("e{}", rng.random_range(-330..300)));
            }
            let want: f64 = text.parse().unwrap();
            let line = text.clone() + ",next=1";
            let got = plain_number(line.as_bytes()).map_or_else(|| any_number(line.as_bytes()), Ok);
            match got {
                Ok((rest, Value::Float(got))) => {
                    assert_eq!((got.to_bits(), rest), (want.to_bits(), &b",next=1"[..]), "{text}");
                }
                other => assert!(want.is_infinite(), "{text}: {other:?}"),
            }
        }
    }
}
