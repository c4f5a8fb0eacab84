//! What must hold for any bytes as the parameters of a request: in the address and in a form they are the same, times
//! and ranges stay within what can be calculated with, and what is refused is refused in a sentence.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::http::request::Parts;
use sealine::api::influx::WriteTarget;
use sealine::api::{self, ApiError, ErrorKind, FormLimits, Params, TimeRange};
use std::sync::Arc;
use std::time::Duration;

/// Times are within plus and minus this many milliseconds.
const TIME_MS_MAX: i64 = i64::MAX / 4;

/// Steps of a range query.
const POINTS_MAX: u32 = 11_000;

/// Panics where a rule is broken.
pub fn check(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        values(text);
    }
    let form = match form(bytes) {
        Err(error) if error.kind == ErrorKind::TooLarge => return,
        form => form,
    };
    match &form {
        Ok(form) => requests(form),
        Err(error) => assert!(error.kind == ErrorKind::BadData && error.message.len() < 700, "{}", error.message),
    }
    // An address takes fewer bytes than a form does; where it takes them, they mean the same.
    if !bytes.contains(&b'#')
        && let Some(head) = std::str::from_utf8(bytes).ok().and_then(|text| head(&format!("/?{text}")))
    {
        assert_eq!(Params::of_uri(&head.uri), form, "in the address (left) and in a form");
    }
}

fn head(address: &str) -> Option<Parts> {
    Request::builder().uri(address).body(()).ok().map(|request| request.into_parts().0)
}

fn form(bytes: &[u8]) -> Result<Params, ApiError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let head = head("/").expect("an address");
    let body = Full::new(Bytes::copy_from_slice(bytes));
    let limits = FormLimits::for_texts(300 << 10, Duration::from_secs(10));
    runtime.block_on(Params::of_form(&head.headers, body, limits, &Arc::default()))
}

/// The text as a value of each kind.
fn values(text: &str) {
    match api::parse_time(text) {
        Ok(time) => assert!((-TIME_MS_MAX..=TIME_MS_MAX).contains(&time)),
        Err(what) => assert!(what.contains("valid timestamp")),
    }
    match api::parse_duration(text) {
        Ok(millis) => assert!(millis.abs() <= i64::MAX / 1_000_000),
        Err(what) => assert!(what.contains("valid duration")),
    }
    match api::parse_limit(text) {
        Ok(limit) => assert_ne!(limit, Some(0)),
        Err(error) => assert!(error.kind == ErrorKind::BadData),
    }
    assert!(api::unescape_label_name(text).len() <= text.len(), "it only gets shorter");
}

/// The parameters as those of each request.
fn requests(params: &Params) {
    match api::parse_range(params, POINTS_MAX) {
        Ok(TimeRange::Range { start, end, step }) => {
            assert!(start <= end && step > 0 && (end - start) / step <= i64::from(POINTS_MAX));
        }
        Ok(instant) => panic!("{instant:?} is no range"),
        Err(error) => assert!(error.kind == ErrorKind::BadData && !error.message.is_empty()),
    }
    match api::selectors(params, 256 << 10, 20_000) {
        Ok(lists) => assert!(lists.iter().all(|matchers| !matchers.iter().all(|m| m.matches_absent()))),
        Err(error) => assert!(error.kind == ErrorKind::BadData && error.message.contains("match[]")),
    }
    for target in [WriteTarget::of_v1(params), WriteTarget::of_v2(params), WriteTarget::of_v3(params)] {
        assert!(target.map_or_else(|error| !error.message.is_empty(), |target| !target.database.is_empty()));
    }
}
