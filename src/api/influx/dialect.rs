//! How each InfluxDB reports an error, so that its clients find the sentence where they look for it.

use crate::api::reply::Reply;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

/// Paths of InfluxDB are also found below this prefix, for clients that share one address with others.
pub const PREFIX: &str = "/influx";

/// Seconds after which an agent may send again what could not be taken.
const RETRY_AFTER_S: &str = "2";

const V1_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");
const V2_CODE: HeaderName = HeaderName::from_static("x-platform-error-code");

/// The version of InfluxDB whose path it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/write`, `/query` and what else has no version in its path.
    V1,
    /// `/api/v2/…`
    V2,
    /// `/api/v3/…`
    V3,
}

impl Dialect {
    /// By the path of a request or of a route.
    pub fn of(path: &str) -> Self {
        let path = path.strip_prefix(PREFIX).unwrap_or(path);
        match path {
            _ if path.starts_with("/api/v2/") => Dialect::V2,
            _ if path.starts_with("/api/v3/") => Dialect::V3,
            _ => Dialect::V1,
        }
    }

    /// An error: `{"error":"…"}` of version 1, `{"code":"…","message":"…"}` of version 2, `{"error":"…","data":null}` of
    /// version 3. One that passes, 503, says when to try again.
    pub fn refuse(self, status: StatusCode, what: &str) -> Reply {
        self.refuse_with(status, what, json!({}))
    }

    /// An error with the members of `more`, an object, besides; they go before those of the version.
    pub fn refuse_with(self, status: StatusCode, what: &str, more: Value) -> Reply {
        let mut body = match self {
            Dialect::V1 => json!({ "error": what }),
            Dialect::V2 => json!({ "code": code(status), "message": what }),
            Dialect::V3 => json!({ "error": what, "data": null }),
        };
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        let header = match self {
            Dialect::V1 => Some((V1_ERROR, what)),
            Dialect::V2 => body["code"].as_str().map(|code| (V2_CODE, code)),
            Dialect::V3 => None,
        };
        let mut reply = Reply::json_value(status, &body);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            reply = reply.with(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        // A sentence that cannot stand in a header stands in the body only.
        match header.and_then(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?))) {
            Some((name, value)) => reply.with(name, value),
            None => reply,
        }
    }
}

/// InfluxDB 2's word for a status.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported media type",
        StatusCode::UNPROCESSABLE_ENTITY => "unprocessable entity",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "invalid",
        _ => "internal error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_finds_the_sentence_where_it_looks() {
        let no = StatusCode::UNAUTHORIZED;
        for (path, want, header) in [
            ("/write", r#"{"error":"no"}"#, ("x-influxdb-error", "no")),
            ("/influx/query", r#"{"error":"no"}"#, ("x-influxdb-error", "no")),
            ("/api/v2/write", r#"{"code":"unauthorized","message":"no"}"#, ("x-platform-error-code", "unauthorized")),
            (
                "/influx/api/v2/x",
                r#"{"code":"unauthorized","message":"no"}"#,
                ("x-platform-error-code", "unauthorized"),
            ),
            ("/api/v3/write_lp", r#"{"data":null,"error":"no"}"#, ("content-type", "application/json")),
        ] {
            let reply = Dialect::of(path).refuse(no, "no");
            assert_eq!((reply.status, String::from_utf8_lossy(&reply.body).as_ref()), (no, want), "{path}");
            assert_eq!(reply.headers[header.0], header.1, "{path}");
        }
        let reply = Dialect::V1.refuse(no, "two\nlines");
        assert!(!reply.headers.contains_key("x-influxdb-error"), "it cannot stand in a header");
    }
}
