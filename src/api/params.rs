//! The parameters of a request: of its address, and of its body where that is a form.

use super::error::{ApiError, ErrorKind};
use crate::config::duration;
use crate::pools::{Full, Lease, Pool, Pools};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
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

/// Names and values in the order in which they came, those of the body first.
#[derive(Default, Clone)]
pub struct Params {
    pairs: Vec<(String, String)>,
    /// What they hold of the account of memory, where they came in a form.
    _held: Option<Arc<Lease>>,
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pairs.fmt(f)
    }
}

impl Params {
    /// The parameters of the address alone; its length is bounded by the limit on a request's head.
    pub fn of_uri(head: &Parts) -> Self {
        let mut params = Params::default();
        params.push_all(head.uri.query().unwrap_or("").as_bytes());
        params
    }

    /// The parameters of the form in `body`, then those of the address.
    ///
    /// Errors: `TooLarge` beyond the limits or 10,000 parameters, `Timeout` where the body takes longer than it may,
    /// `BadData` where it is not a form or does not arrive, `Unavailable` where the pools have no room for it.
    pub async fn of_form<B>(head: &Parts, body: B, limits: FormLimits, pools: &Arc<Pools>) -> Result<Self, ApiError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut params = Params::default();
        let mut held = pools.lease(Pool::Queries);
        let bytes = read_body(body, "form", limits, &mut held).await?;
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
        params._held = Some(Arc::new(held));
        params.push_all(head.uri.query().unwrap_or("").as_bytes());
        Ok(params)
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

    fn push_all(&mut self, encoded: &[u8]) {
        self.pairs.extend(form_urlencoded::parse(encoded).into_owned());
    }
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
