//! An answer, before HTTP has it.

use super::error::ApiError;
use super::json;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::io::Write;

/// Smaller bodies are sent as they are: they fit into a packet or two.
const GZIP_BYTES_MIN: usize = 1024;

/// Larger bodies are compressed on a thread of their own: this many take about a millisecond.
const GZIP_BYTES_INLINE: usize = 64 << 10;

/// Status, headers, body.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The headers, but for those that follow from the body.
    pub headers: HeaderMap,
    /// The body, not compressed.
    pub body: Vec<u8>,
    /// Whether the refusal was logged.
    pub is_told: bool,
}

impl Reply {
    /// A status without a body.
    pub fn empty(status: StatusCode) -> Self {
        Reply { status, headers: HeaderMap::new(), body: Vec::new(), is_told: false }
    }

    /// The same reply, whose refusal was logged.
    pub fn told(self) -> Self {
        Reply { is_told: true, ..self }
    }

    /// JSON that is written already.
    pub fn json(status: StatusCode, body: Vec<u8>) -> Self {
        let mut reply = Reply { status, headers: HeaderMap::new(), body, is_told: false };
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply
    }

    /// Any small value as JSON.
    pub fn json_value(status: StatusCode, value: &serde_json::Value) -> Self {
        Reply::json(status, value.to_string().into_bytes())
    }

    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let mut reply = Reply { status, headers: HeaderMap::new(), body: text.into().into_bytes(), is_told: false };
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        reply
    }

    /// The Prometheus API's envelope around `data`.
    pub fn success(data: &(impl Serialize + ?Sized)) -> Result<Self, ApiError> {
        let mut body = br#"{"status":"success","data":"#.to_vec();
        serde_json::to_writer(&mut body, data).map_err(|error| {
            ApiError::new(super::ErrorKind::Internal, format!("the answer cannot be written as JSON: {error}"))
        })?;
        body.push(b'}');
        Ok(Reply::json(StatusCode::OK, body))
    }

    /// With this header besides.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// As HTTP wants it, compressed where that pays and `gzip` says that the client takes it.
    pub async fn into_response(mut self, gzip: bool) -> Response<Full<Bytes>> {
        if self.body.len() > GZIP_BYTES_MIN && !self.headers.contains_key(header::CONTENT_ENCODING) {
            self.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            if gzip {
                self = self.compress().await;
            }
        }
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    async fn compress(mut self) -> Self {
        let body = std::mem::take(&mut self.body);
        let compressed = if body.len() <= GZIP_BYTES_INLINE {
            Ok(gzipped(body))
        } else {
            tokio::task::spawn_blocking(move || gzipped(body)).await
        };
        match compressed {
            Ok(Ok(compressed)) => {
                self.body = compressed;
                self.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                self
            }
            // Neither can fail: the sink is memory, and nothing stops the task but the end of the runtime.
            Ok(Err(_)) | Err(_) => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Compresses and frees the original.
fn gzipped(body: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(&body)?;
    encoder.finish()
}

/// Whether the client takes gzip, by its `Accept-Encoding`.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = || headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let weight = |wanted: &str| {
        values().flat_map(|value| value.split(',')).find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next().filter(|coding| coding.eq_ignore_ascii_case(wanted))?;
            let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            Some(weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// The Prometheus API's envelope around an error.
impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let mut body = br#"{"status":"error","errorType":""#.to_vec();
        body.extend_from_slice(error.kind.word().as_bytes());
        body.extend_from_slice(br#"","error":"#);
        json::push_text(&mut body, &error.message);
        body.push(b'}');
        let status = error.kind.status();
        let reply = Reply::json(status, body);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => reply.with(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => reply,
        }
    }
}

impl From<Result<Reply, ApiError>> for Reply {
    fn from(result: Result<Reply, ApiError>) -> Self {
        result.unwrap_or_else(Reply::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_the_client_takes_it() {
        for (values, want) in [
            (&["gzip"][..], true),
            (&["deflate, GZIP;q=0.5"], true),
            (&["br", "gzip"], true),
            (&["*"], true),
            (&["*;q=0.1"], true),
            (&["gzip;q=0, *"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip;q=much"], false),
            (&["identity"], false),
            (&["xgzip"], false),
            (&[""], false),
            (&[], false),
        ] {
            let headers =
                values.iter().map(|value| (header::ACCEPT_ENCODING, HeaderValue::from_static(value))).collect();
            assert_eq!(accepts_gzip(&headers), want, "{values:?}");
        }
    }
}
