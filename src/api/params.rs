//! The parameters of a request: of its address, and of its body where that is a form.

use super::error::{ApiError, ErrorKind};
use crate::config::duration;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use std::error::Error;
use std::time::Duration;

/// A form, or another body that is no lines, may have this many bytes. Query texts are written by people and dashboards: kilobytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Parameters that a request may have: bounds what a form of nothing but `&` costs.
const PARAMS_MAX: usize = 10_000;

/// Names and values in the order in which they came, those of the body first.
#[derive(Debug, Default, Clone)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters of the address alone; its length is bounded by the limit on a request's head.
    pub fn of_uri(head: &Parts) -> Self {
        let mut params = Params::default();
        params.push_all(head.uri.query().unwrap_or("").as_bytes());
        params
    }

    /// The parameters of the form in `body`, then those of the address.
    ///
    /// Errors: `TooLarge` beyond 1 MiB or 10,000 parameters, `Timeout` where the body takes longer than `timeout`,
    /// `BadData` where it is not a form or does not arrive.
    pub async fn of_form<B>(head: &Parts, body: B, timeout: Duration) -> Result<Self, ApiError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut params = Params::default();
        let bytes = read_body(body, "form", timeout).await?;
        let kind = head.headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !bytes.is_empty() && !kind.is_empty() && !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(ApiError::bad_data(format!(
                "the body has the content type {kind:?}: want application/x-www-form-urlencoded"
            )));
        }
        let count = form_urlencoded::parse(&bytes).count();
        if count > PARAMS_MAX {
            let what = format!("the form in the body has {count} parameters: want {PARAMS_MAX} at most");
            return Err(ApiError::new(ErrorKind::TooLarge, what));
        }
        params.push_all(&bytes);
        params.push_all(head.uri.query().unwrap_or("").as_bytes());
        Ok(params)
    }

    /// These parameters.
    #[cfg(test)]
    pub fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        Params(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
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
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn push_all(&mut self, encoded: &[u8]) {
        self.0.extend(form_urlencoded::parse(encoded).into_owned());
    }
}

/// Reads a body of up to 1 MiB; `what` is what it should be.
pub(super) async fn read_body<B>(body: B, what: &str, timeout: Duration) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match tokio::time::timeout(timeout, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let what = format!("the {what} in the body has more than the {BODY_BYTES_MAX} bytes that are allowed");
            Err(ApiError::new(ErrorKind::TooLarge, what))
        }
        Ok(Err(error)) => Err(ApiError::bad_data(format!("the body did not arrive whole: {error}"))),
        Err(_) => {
            let limit = duration::format(timeout);
            Err(ApiError::new(
                ErrorKind::Timeout,
                format!("the body did not arrive within {limit} (http.body_timeout)"),
            ))
        }
    }
}
