//! When a certificate expires: as little of X.509 as it takes to find `notAfter` (RFC 5280, section 4.1).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// No certificate is so long that its length takes more.
const LENGTH_BYTES_MAX: usize = 4;

/// The version, which old certificates leave out.
const EXPLICIT_0: u8 = 0xa0;

/// Seconds since the Unix epoch; `None` where it is not a certificate that we understand.
pub fn of(certificate: &[u8]) -> Option<i64> {
    let mut rest = inside(&mut &*certificate, SEQUENCE)?;
    let mut rest = inside(&mut rest, SEQUENCE)?;
    if rest.first() == Some(&EXPLICIT_0) {
        value(&mut rest)?;
    }
    for _ in ["serial number", "signature", "issuer"] {
        value(&mut rest)?;
    }
    let mut validity = inside(&mut rest, SEQUENCE)?;
    value(&mut validity)?; // not before
    let (tag, text) = value(&mut validity)?;
    let text = std::str::from_utf8(text).ok()?;
    match tag {
        // Years from 1950 on, of two digits.
        UTC_TIME => seconds(&format!("{}{text}", if text < "50" { "20" } else { "19" })),
        GENERALIZED_TIME => seconds(text),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<i64> {
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// The content of the next value, which must have this tag.
fn inside<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (got, content) = value(rest)?;
    (got == tag).then_some(content)
}

/// The next value's tag and content; `rest` is then what is behind it.
fn value<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, length], mut behind) = rest.split_first_chunk::<2>()?;
    let mut bytes = usize::from(length);
    if length & 0x80 != 0 {
        let digits = usize::from(length & 0x7f);
        let (digits, after) = if digits > LENGTH_BYTES_MAX { None } else { behind.split_at_checked(digits) }?;
        bytes = digits.iter().try_fold(0_usize, |bytes, digit| bytes.checked_mul(256)?.checked_add((*digit).into()))?;
        behind = after;
    }
    let (content, after) = behind.split_at_checked(bytes)?;
    *rest = after;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(year: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_string()]).expect("a good name");
        params.not_after = rcgen::date_time_ymd(year, 2, 28);
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("it is made").der().to_vec()
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        // date -u -d 2031-02-28 +%s
        for (year, want) in [(2031, 1_930_003_200), (2049, 2_498_083_200), (2051, 2_561_155_200)] {
            assert_eq!(of(&made(year)), Some(want), "{year}");
        }
    }

    #[test]
    fn what_is_no_certificate_gives_nothing() {
        let good = made(2031);
        for length in 0..good.len() {
            assert_eq!(of(&good[..length]), None, "cut at {length}");
        }
        for at in 0..good.len().min(200) {
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                let _ = of(&bad); // whatever it gives, it comes back
            }
        }
        assert_eq!(of(&[0x30, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
