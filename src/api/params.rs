//! The parameters of a request: of its address, and of its body where that is a form.

use super::error::{ApiError, ErrorKind, quoted};
use crate::config::duration;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Uri;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use percent_encoding::percent_decode;
use sealine_base::pools::{Full, Lease, Pool, Pools};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that a form may have for what is not the text of a query.
const OTHER_BYTES_MAX: usize = 64 << 10;

/// Parameters that a request may have: bounds what a form of nothing but `&` costs.
const PARAMS_MAX: usize = 10_000;

/// What a form may be.
#[derive(Debug, Clone, Copy)]
pub struct FormLimits {
    /// Bytes that it may have.
    pub bytes_max: usize,
    /// The longest that it may take to arrive.
    pub time_max: Duration,
}

impl FormLimits {
    /// Of a form whose texts may have `text_bytes_max` bytes: each byte may be sent as three, `%7C`.
    pub fn for_texts(text_bytes_max: usize, time_max: Duration) -> Self {
        FormLimits { bytes_max: text_bytes_max.saturating_mul(3).saturating_add(OTHER_BYTES_MAX), time_max }
    }
}

/// Names and values in the order in which they came.
#[derive(Default, Clone)]
pub struct Params {
    pairs: Vec<(String, String)>,
    /// What they hold of the account of memory, where they came in a form.
    _held: Option<Arc<Lease>>,
}

impl PartialEq for Params {
    fn eq(&self, other: &Params) -> bool {
        self.pairs == other.pairs
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pairs.fmt(f)
    }
}

impl Params {
    /// The parameters of an address; its length is bounded by the limit on a request's head.
    ///
    /// Errors: `BadData` where an escape is none or a text is not UTF-8.
    pub fn of_uri(address: &Uri) -> Result<Self, ApiError> {
        Params::parse(address.query().unwrap_or("").as_bytes())
    }

    /// The parameters of the form in `body`.
    ///
    /// Errors: `TooLarge` beyond the limits or 10,000 parameters, `Timeout` where the body takes longer than it may,
    /// `BadData` where it is not a form, does not arrive, or as [`Self::of_uri`], `Unavailable` where the pools have no
    /// room for it.
    pub async fn of_form<B>(
        headers: &HeaderMap,
        body: B,
        limits: FormLimits,
        pools: &Arc<Pools>,
    ) -> Result<Self, ApiError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut held = pools.lease(Pool::Queries);
        let bytes = read_body(body, "form", limits, &mut held).await?;
        let kind = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !bytes.is_empty() && !kind.is_empty() && !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let got = quoted(kind);
            let what = format!("the body has the content type {got}: want application/x-www-form-urlencoded");
            return Err(ApiError::bad_data(what));
        }
        let count = pairs(&bytes).count();
        if count > PARAMS_MAX {
            let what = format!("the form in the body has {count} parameters: want {PARAMS_MAX} at most");
            return Err(ApiError::new(ErrorKind::TooLarge, what));
        }
        Ok(Params { _held: Some(Arc::new(held)), ..Params::parse(&bytes)? })
    }

    /// These, and behind them those of `more`.
    pub fn and(mut self, more: Params) -> Self {
        self.pairs.extend(more.pairs);
        self
    }

    fn parse(encoded: &[u8]) -> Result<Self, ApiError> {
        let read = |pair: &[u8]| {
            let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            let (name, value) = (&pair[..at], pair.get(at + 1..).unwrap_or_default());
            let name =
                decode(&spaced(name)).map_err(|what| ApiError::bad_data(format!("a parameter's name: {what}")))?;
            let value = decode(&spaced(value)).map_err(|what| ApiError::parameter(&name, what))?;
            Ok((name, value))
        };
        let pairs = pairs(encoded).map(read).collect::<Result<_, ApiError>>()?;
        Ok(Params { pairs, _held: None })
    }

    /// These parameters.
    #[cfg(test)]
    pub fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Params { pairs: pairs.collect(), _held: None }
    }

    /// The first value of `name`; `""` where there is none.
    pub fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// The first value of `name`, unless it is absent or empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.first(name)).filter(|value| !value.is_empty())
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What stands between `&`.
fn pairs(encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty())
}

/// In a form and in the query of an address, a `+` is a space.
fn spaced(encoded: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(b'+', encoded) {
        None => encoded.into(),
        Some(_) => encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>().into(),
    }
}

/// Reads percent-encoded UTF-8. Nothing is mended: what is put in the place of a byte that cannot be read makes one name
/// of two, and another query of a query.
pub fn decode(encoded: &[u8]) -> Result<String, String> {
    for at in memchr::memchr_iter(b'%', encoded) {
        let digits = encoded.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            let escape = &encoded[at..encoded.len().min(at + 3)];
            let got = quoted(&escape.escape_ascii().to_string());
            return Err(format!("{got} is not an escape: want % and two hexadecimal digits, and %25 for % itself"));
        }
    }
    let text = percent_decode(encoded).decode_utf8().map_err(|_| {
        format!("{} is not UTF-8, and all names and texts must be", quoted(&encoded.escape_ascii().to_string()))
    })?;
    Ok(text.into_owned())
}

/// The bytes of a body; `what` is what it should be. What is held meanwhile is told to `held`, and counts twice: as it
/// came, and as it is read.
pub(super) async fn read_body<B>(body: B, what: &str, limits: FormLimits, held: &mut Lease) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let FormLimits { bytes_max, time_max } = limits;
    let collect = async {
        let (mut body, mut bytes) = (Limited::new(body, bytes_max), Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            bytes.extend_from_slice(&data);
            held.set(2 * bytes.len());
            held.pools().admit_query(2 * bytes.len() as u64)?;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(bytes)
    };
    match tokio::time::timeout(time_max, pin!(collect)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) => Err(unread(&*error, what, bytes_max)),
        Err(_) => {
            let limit = duration::format(time_max);
            let sentence = format!("the body did not arrive within {limit} (http.body_timeout)");
            Err(ApiError::new(ErrorKind::Timeout, sentence))
        }
    }
}

/// Why a body, which should be `what`, was not read.
fn unread(error: &(dyn Error + Send + Sync + 'static), what: &str, bytes_max: usize) -> ApiError {
    if error.is::<LengthLimitError>() {
        let sentence = format!(
            "the {what} in the body has more than the {bytes_max} bytes that are allowed: shorten it (the limit on \
             forms follows `query.max_text_bytes`)"
        );
        ApiError::new(ErrorKind::TooLarge, sentence)
    } else if error.is::<Full>() {
        ApiError::new(ErrorKind::Unavailable, format!("the {what} was refused: {error}"))
    } else {
        ApiError::bad_data(format!("the body did not arrive whole: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        for (encoded, want) in [
            ("", Ok(&[][..])),
            ("&&", Ok(&[])),
            ("db=a", Ok(&[("db", "a")])),
            ("a=1&a=2&b", Ok(&[("a", "1"), ("a", "2"), ("b", "")])),
            ("a=b=c&=d", Ok(&[("a", "b=c"), ("", "d")])),
            ("a+b=c%20d%2Be", Ok(&[("a b", "c d+e")])),
            ("q=%c3%A4ä;%00", Ok(&[("q", "ää;\0")])),
            ("q=%EF%BF%BD", Ok(&[("q", "\u{fffd}")])),
            ("db=%ff", Err(r#"invalid parameter "db": "%ff" is not UTF-8"#)),
            ("db=%c0%80", Err(r#"invalid parameter "db": "%c0%80" is not UTF-8"#)),
            ("db=%ed%a0%80", Err(r#"invalid parameter "db": "%ed%a0%80" is not UTF-8"#)),
            ("db=a&db=%c3", Err(r#"invalid parameter "db": "%c3" is not UTF-8"#)),
            ("%6d=%zz", Err(r#"invalid parameter "m": "%zz" is not an escape"#)),
            ("m=100%", Err(r#"invalid parameter "m": "%" is not an escape"#)),
            ("m=%2", Err(r#"invalid parameter "m": "%2" is not an escape"#)),
            ("m=%2&x=1", Err(r#"invalid parameter "m": "%2" is not an escape"#)),
            ("m=%+1", Err(r#"invalid parameter "m": "% 1" is not an escape"#)),
            ("m=%%31", Err(r#"invalid parameter "m": "%%3" is not an escape"#)),
            ("%fe=1", Err(r#"a parameter's name: "%fe" is not UTF-8"#)),
            ("%=1", Err(r#"a parameter's name: "%" is not an escape"#)),
        ] {
            let got = Params::parse(encoded.as_bytes()).map_err(|error| error.message);
            match want {
                Ok(pairs) => assert_eq!(got, Ok(Params::of_pairs(pairs)), "{encoded}"),
                Err(sentence) => {
                    assert!(got.as_ref().is_err_and(|got| got.starts_with(sentence)), "{encoded}: {got:?}")
                }
            }
        }
        let raw = Params::parse(b"q=\xff").unwrap_err().message;
        assert_eq!(raw, r#"invalid parameter "q": "\\xff" is not UTF-8, and all names and texts must be"#);
    }
}
