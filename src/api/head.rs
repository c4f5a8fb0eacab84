//! Reads the head of a request before hyper does: to write its address as HTTP wants it, and to say in a sentence what is
//! wrong with it. hyper refuses the same heads, with a status and no word.
//!
//! Clients send addresses with characters that should be percent-encoded: curl `"` and `{`, others what their users typed.
//! Whoever wrote the servers that they know took that, and there is no doubt about what is meant.

use super::error::quoted;
use super::framing::Framing;
use hyper::{StatusCode, Uri};
use std::ops::Range;

/// Bytes that an address may have.
const ADDRESS_BYTES_MAX: usize = 65_534;

/// How a TLS handshake begins.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a head may have.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes, the first line included.
    pub bytes_max: usize,
    /// Headers.
    pub headers_max: usize,
}

/// A head that hyper takes, once its address is replaced.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of it, the empty line at its end included.
    pub length: usize,
    /// Where the address is, and what is to stand there; `None` where it is well as it came.
    pub address: Option<(Range<usize>, Vec<u8>)>,
    /// How the body comes that follows.
    pub body: Framing,
}

/// Why a head is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadHead {
    /// The status of the answer.
    pub status: StatusCode,
    /// What is wrong, and what would be right.
    pub what: String,
    /// The path that was asked for, as far as one can tell.
    pub path: String,
}

/// Reads the head that `bytes` begin with; `None` if it is not complete yet.
pub fn read(bytes: &[u8], limits: &HeadLimits) -> Result<Option<Head>, BadHead> {
    let mut headers = vec![httparse::EMPTY_HEADER; limits.headers_max];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => Some(length),
        Ok(httparse::Status::Partial) => None,
        Err(error) => return Err(malformed(bytes, error, limits)),
    };
    if length.unwrap_or(bytes.len() + 1) > limits.bytes_max {
        let what = format!("the head of the request has more than the {} bytes that are allowed", limits.bytes_max);
        return Err(bad(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, what, bytes));
    }
    let (Some(length), Some(sent), Some(version)) = (length, request.path, request.version) else { return Ok(None) };
    let at = sent.as_ptr() as usize - bytes.as_ptr() as usize;
    let encoded = encode(sent.as_bytes());
    let address = encoded.as_deref().unwrap_or(sent.as_bytes());
    if address.len() > ADDRESS_BYTES_MAX {
        let what =
            format!("the address has {} bytes: want {ADDRESS_BYTES_MAX} at most, or a form in the body", address.len());
        return Err(bad(StatusCode::URI_TOO_LONG, what, bytes));
    }
    if Uri::try_from(address).is_err() {
        let what = format!("the address {} cannot be read: want a path such as /api/v1/query?query=up", quoted(sent));
        return Err(bad(StatusCode::BAD_REQUEST, what, bytes));
    }
    let body =
        framing(request.headers, version == 0).map_err(|what| bad(StatusCode::BAD_REQUEST, what.into(), bytes))?;
    Ok(Some(Head { length, address: encoded.map(|address| (at..at + sent.len(), address)), body }))
}

/// An address with what no address may have percent-encoded; `None` where there is nothing to do. What is encoded already
/// stays as it is.
fn encode(address: &[u8]) -> Option<Vec<u8>> {
    let must = |byte: u8| matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..);
    if !address.iter().any(|byte| must(*byte)) {
        return None;
    }
    let mut encoded = Vec::with_capacity(address.len() * 2);
    for byte in address {
        match must(*byte) {
            false => encoded.push(*byte),
            true => encoded.extend_from_slice(percent_encoding::percent_encode_byte(*byte).as_bytes()),
        }
    }
    Some(encoded)
}

/// How the body comes, by the rules of RFC 9112, section 6.3.
fn framing(headers: &[httparse::Header<'_>], is_http_1_0: bool) -> Result<Framing, &'static str> {
    let (mut length, mut chunked) = (None, None);
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if is_http_1_0 {
                return Err("HTTP/1.0 has no Transfer-Encoding: send a Content-Length");
            }
            let last = header.value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            chunked = Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        } else if header.name.eq_ignore_ascii_case("content-length") && chunked.is_none() {
            let digits = std::str::from_utf8(header.value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let Some(bytes) =
                digits.and_then(|digits| digits.parse::<u64>().ok()).filter(|bytes| *bytes < u64::MAX - 1)
            else {
                return Err("Content-Length is not a number of bytes");
            };
            if length.is_some_and(|other| other != bytes) {
                return Err("there are two Content-Lengths, and they differ");
            }
            length = Some(bytes);
        }
    }
    match (chunked, length) {
        (Some(true), _) => Ok(Framing::CHUNKED),
        (Some(false), _) => {
            Err("the body's Transfer-Encoding does not end in `chunked`: want that, or a Content-Length")
        }
        (None, length) => Ok(Framing::Sized(length.unwrap_or(0))),
    }
}

/// What to say of a client that leaves in the middle of a head.
pub fn cut_off(bytes: &[u8]) -> BadHead {
    let what = "the request ended before its head did: want an empty line behind the last header";
    bad(StatusCode::BAD_REQUEST, what.to_string(), bytes)
}

fn bad(status: StatusCode, what: String, bytes: &[u8]) -> BadHead {
    let path =
        first_line(bytes).split(' ').nth(1).and_then(|address| address.split('?').next()).unwrap_or("").to_string();
    BadHead { status, what, path }
}

/// What to say of bytes that are no head.
fn malformed(bytes: &[u8], error: httparse::Error, limits: &HeadLimits) -> BadHead {
    let (line, refuse) = (first_line(bytes), |status, what| bad(status, what, bytes));
    let words: Vec<&str> = line.split(' ').collect();
    let got = quoted(&line);
    match error {
        httparse::Error::TooManyHeaders => refuse(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!("the request has more than the {} headers that are allowed", limits.headers_max),
        ),
        _ if bytes[0] == TLS_HANDSHAKE => refuse(
            StatusCode::BAD_REQUEST,
            "this port speaks HTTP without TLS: ask with http:// in place of https://".to_string(),
        ),
        httparse::Error::Version if words.len() == 3 && words[2].starts_with("HTTP/") => refuse(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            format!("this server speaks HTTP/1.1, the request is {}", quoted(words[2])),
        ),
        httparse::Error::Version | httparse::Error::Token if words.len() > 3 => {
            refuse(StatusCode::BAD_REQUEST, format!("the address has a space in it: want %20 in its place, got {got}"))
        }
        httparse::Error::Version | httparse::Error::Token => refuse(
            StatusCode::BAD_REQUEST,
            format!("the request does not begin as HTTP does: want a line such as `GET /path HTTP/1.1`, got {got}"),
        ),
        error => refuse(
            StatusCode::BAD_REQUEST,
            format!("a header of the request cannot be read ({error}): want lines such as `Name: value`"),
        ),
    }
}

/// The first line that is not empty, with a mark for each byte that is no text.
fn first_line(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty()).unwrap_or_default();
    String::from_utf8_lossy(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes_max: 200, headers_max: 3 };

    fn address(sent: &[u8]) -> Option<String> {
        let bytes = [b"\r\nGET ", sent, b" HTTP/1.1\r\nHost: \"<x>\"\r\n\r\nrest"].concat();
        let head = read(&bytes, &LIMITS).unwrap().expect("it is complete");
        assert_eq!(&bytes[head.length..], b"rest");
        let (place, address) = head.address?;
        assert_eq!(&bytes[place], sent);
        Some(String::from_utf8(address).unwrap())
    }

    #[test]
    fn addresses_are_taken_as_they_are_meant() {
        for (sent, want) in [
            ("/api/v1/query?query=up&time=1", None),
            ("/q?a=%22%3C+1;'()*!$,:@/?[]~", None),
            ("/q?m[]=up{a=\"b\"}", Some("/q?m[]=up%7Ba=%22b%22%7D")),
            ("/q?a>1<2|3^4`5\\6#7", Some("/q?a%3E1%3C2%7C3%5E4%605%5C6%237")),
            ("/label/a\"b#c/values", Some("/label/a%22b%23c/values")),
            ("/q?a=ä🦀", Some("/q?a=%C3%A4%F0%9F%A6%80")),
            ("http://host:1/q?a=\"", Some("http://host:1/q?a=%22")),
        ] {
            assert_eq!(address(sent.as_bytes()), want.map(str::to_string), "{sent}");
        }
    }

    #[test]
    fn a_head_is_whole_or_waited_for() {
        let bytes = b"POST /write HTTP/1.1\r\nContent-Length: 5\r\n\r\nm v=1GET";
        for end in 0..43 {
            assert_eq!(read(&bytes[..end], &LIMITS), Ok(None), "{end}");
        }
        let head = read(bytes, &LIMITS).unwrap().unwrap();
        assert_eq!((head.length, head.address, head.body), (43, None, Framing::Sized(5)));
    }

    #[test]
    fn the_body_is_framed_as_the_headers_say() {
        for (headers, want) in [
            ("", Ok(Framing::Sized(0))),
            ("content-length: 07\r\n", Ok(Framing::Sized(7))),
            ("Content-Length: 7\r\nContent-Length: 7\r\n", Ok(Framing::Sized(7))),
            ("Transfer-Encoding: gzip, Chunked\r\n", Ok(Framing::CHUNKED)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", Ok(Framing::CHUNKED)),
            ("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", Ok(Framing::CHUNKED)),
            ("Content-Length: 7\r\nContent-Length: 8\r\n", Err("there are two Content-Lengths")),
            ("Content-Length: +7\r\n", Err("Content-Length is not a number")),
            ("Content-Length: 7, 7\r\n", Err("Content-Length is not a number")),
            ("Content-Length:\r\n", Err("Content-Length is not a number")),
            ("Content-Length: 18446744073709551615\r\n", Err("Content-Length is not a number")),
            ("Transfer-Encoding: gzip\r\n", Err("the body's Transfer-Encoding does not end")),
        ] {
            let bytes = format!("POST / HTTP/1.1\r\n{headers}\r\n");
            let got = read(bytes.as_bytes(), &LIMITS).map(|head| head.expect("it is complete").body);
            match want {
                Ok(body) => assert_eq!(got, Ok(body), "{headers}"),
                Err(sentence) => assert!(got.as_ref().is_err_and(|bad| bad.what.starts_with(sentence)), "{got:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_head_is_refused_with_a_sentence() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200));
        for (bytes, status, want) in [
            (&b"GET / HTTP/1.1\r\na: b\r\nc: d\r\ne: f\r\ng: h\r\n\r\n"[..], 431, "more than the 3 headers"),
            (long.as_bytes(), 431, "more than the 200 bytes"),
            (&long.as_bytes()[..200], 431, "more than the 200 bytes"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "speaks HTTP/1.1, the request is \"HTTP/2.0\""),
            (b"GET / HTTP/0.9\r\n\r\n", 505, "the request is \"HTTP/0.9\""),
            (b"GET /\r\n\r\n", 400, "want a line such as `GET /path HTTP/1.1`, got \"GET /\""),
            (b"GET /a b HTTP/1.1\r\n\r\n", 400, "has a space in it: want %20 in its place, got \"GET /a b HTTP/1.1\""),
            (b"GET /a\x01 HTTP/1.1\r\n\r\n", 400, "does not begin as HTTP does"),
            (b"hello\r\n", 400, "does not begin as HTTP does"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "ask with http:// in place of https://"),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "want lines such as `Name: value`"),
            (b"GET / HTTP/1.1\r\nname : value\r\n\r\n", 400, "want lines such as `Name: value`"),
            (b"GET http://[/ HTTP/1.1\r\n\r\n", 400, "the address \"http://[/\" cannot be read"),
            (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0 has no Transfer-Encoding"),
        ] {
            let refusal = read(bytes, &LIMITS).expect_err(&bytes.escape_ascii().to_string());
            assert_eq!(refusal.status.as_u16(), status, "{refusal:?}");
            assert!(refusal.what.contains(want) && refusal.what.len() < 300, "{refusal:?}");
        }
        assert_eq!(cut_off(b"POST /write?db=x HTTP/1.1\r\nHo").path, "/write");
    }
}
