//! Why a request was not answered, in the classes that the Prometheus HTTP API knows.

use super::auth::Refusal;
use hyper::StatusCode;
use sealine_base::excerpt::excerpt;
use std::fmt;

/// Bytes that a message repeats of what a client sent, as it writes them.
const QUOTED_BYTES_MAX: usize = 100;

/// What a client sent as a message repeats it: in quotes, and not all of it where it is long.
pub fn quoted(text: &str) -> String {
    // Escaped first and cut then: an escape may be ten times as long as what it stands for.
    let escaped = format!("{:?}", excerpt(text, QUOTED_BYTES_MAX));
    format!("\"{}\"", excerpt(&escaped[1..escaped.len() - 1], QUOTED_BYTES_MAX))
}

/// The class of an error. It decides the status code, and clients act on its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is at fault: 400.
    BadData,
    /// The request carries more than a limit allows: 413, with the error type `bad_data`.
    TooLarge,
    /// The query is well formed, but cannot be answered on this data or within the limits: 422.
    Execution,
    /// It took too long: 503.
    Timeout,
    /// It was ended from outside: 503.
    Canceled,
    /// The fault is ours or the machine's: 500.
    Internal,
    /// Not now; later, perhaps: 503.
    Unavailable,
    /// There is no such thing: 404.
    NotFound,
    /// The client is unknown: 401.
    Unauthorized,
    /// Who asks is known, and may not: 403.
    Forbidden,
    /// The path is right, the method is not: 405, with the error type `bad_data`.
    WrongMethod,
}

impl ErrorKind {
    /// What `errorType` says.
    pub fn word(self) -> &'static str {
        match self {
            ErrorKind::BadData | ErrorKind::TooLarge | ErrorKind::WrongMethod => "bad_data",
            ErrorKind::Execution => "execution",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Canceled => "canceled",
            ErrorKind::Internal => "internal",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Unauthorized => "unauthorized",
            ErrorKind::Forbidden => "forbidden",
        }
    }

    /// The status code of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            ErrorKind::BadData => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

/// A class and a sentence for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The class.
    pub kind: ErrorKind,
    /// What was wrong, and what would be right.
    pub message: String,
}

impl ApiError {
    /// An error of this class.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        ApiError { kind, message: message.into() }
    }

    /// The request is at fault.
    pub fn bad_data(message: impl Into<String>) -> Self {
        ApiError::new(ErrorKind::BadData, message)
    }

    /// One parameter of the request is at fault. Worded as upstream does, since clients look for it.
    pub fn parameter(name: &str, what: impl fmt::Display) -> Self {
        ApiError::bad_data(format!("invalid parameter {}: {what}", quoted(name)))
    }

    /// Blames `bad_data` on the parameter `name`; errors of other classes stay as they are.
    pub fn blame(self, name: &str) -> Self {
        match self.kind {
            ErrorKind::BadData => ApiError::parameter(name, self.message),
            _ => self,
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let kind = if refusal.is_about_identity() { ErrorKind::Unauthorized } else { ErrorKind::Forbidden };
        ApiError::new(kind, refusal.to_string())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_are_short_however_much_of_them_is_escaped() {
        for (text, want) in [("cpu", "\"cpu\""), ("a\"b\n", "\"a\\\"b\\n\""), ("", "\"\"")] {
            assert_eq!(quoted(text), want);
        }
        for long in ["x".repeat(1_000), "\u{1}".repeat(1_000), "\u{1}".repeat(90), "\u{202e}".repeat(40)] {
            let quoted = quoted(&long);
            assert!(quoted.ends_with("…\"") && quoted.len() <= QUOTED_BYTES_MAX + "\"…\"".len(), "{quoted}");
        }
    }
}
