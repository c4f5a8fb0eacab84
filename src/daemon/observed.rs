//! What the HTTP server tells of itself, as metrics.

use crate::api::Observer;
use crate::telemetry::{Endpoint, Outcome, RequestRejection, Telemetry};
use std::time::Duration;

/// Counts connections, requests and queries.
pub struct Observed(pub Telemetry);

impl Observer for Observed {
    fn connection_opened(&self) {
        self.0.http.connections.inc();
    }

    fn connection_closed(&self) {
        self.0.http.connections.dec();
    }

    fn connection_refused(&self) {
        self.0.http.rejected(RequestRejection::Unavailable).inc();
    }

    fn request_started(&self, _route: &'static str) {
        self.0.http.in_flight.inc();
    }

    fn request_ended(&self, route: &'static str, status: Option<u16>, took: Duration) {
        self.0.http.in_flight.dec();
        if let Some(reason) = status.and_then(rejection) {
            self.0.http.rejected(reason).inc();
        }
        if let Some(endpoint) = endpoint(route) {
            self.0.query.ended(endpoint, outcome(status), took.as_secs_f64());
        }
    }
}

fn rejection(status: u16) -> Option<RequestRejection> {
    match status {
        401 | 403 => Some(RequestRejection::Forbidden),
        404 => Some(RequestRejection::NotFound),
        405 => Some(RequestRejection::Method),
        408 => Some(RequestRejection::Timeout),
        413 => Some(RequestRejection::BodyTooLarge),
        415 => Some(RequestRejection::Encoding),
        503 => Some(RequestRejection::Unavailable),
        _ => None,
    }
}

fn endpoint(route: &str) -> Option<Endpoint> {
    match route {
        "/api/v1/query" => Some(Endpoint::Query),
        "/api/v1/query_range" => Some(Endpoint::QueryRange),
        "/api/v1/series" => Some(Endpoint::Series),
        "/api/v1/labels" => Some(Endpoint::Labels),
        _ if route.starts_with("/api/v1/label/") => Some(Endpoint::LabelValues),
        _ => None,
    }
}

fn outcome(status: Option<u16>) -> Outcome {
    match status {
        None => Outcome::Cancelled,
        Some(200..=299) => Outcome::Ok,
        Some(422) => Outcome::Limit,
        Some(503) => Outcome::Timeout,
        Some(500..) => Outcome::Failed,
        Some(_) => Outcome::Invalid,
    }
}
