//! What the HTTP server reports of itself, as metrics.

use crate::api::{Observer, Stage};
use sealine_telemetry::{Endpoint, HandshakeFailure, Outcome, RequestRejection, Telemetry};
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

    fn handshake_failed(&self, reason: HandshakeFailure) {
        self.0.tls.failed(reason).inc();
    }

    fn request_started(&self) {
        self.0.http.in_flight.inc();
    }

    fn request_ended(&self, _: &'static str, status: Option<u16>) {
        self.0.http.in_flight.dec();
        if let Some(reason) = status.and_then(rejection) {
            self.0.http.rejected(reason).inc();
        }
    }

    fn query_moved(&self, from: Option<Stage>, to: Option<Stage>) {
        let gauge = |stage| match stage {
            Stage::Waiting => &self.0.query.waiting,
            Stage::Running => &self.0.query.running,
        };
        from.into_iter().for_each(|stage| gauge(stage).dec());
        to.into_iter().for_each(|stage| gauge(stage).inc());
    }

    fn query_ended(&self, route: &'static str, outcome: Outcome, took: Duration, slow: bool) {
        self.0.query.ended(endpoint(route), outcome, took.as_secs_f64());
        if slow {
            self.0.query.slow.inc();
        }
    }
}

fn rejection(status: u16) -> Option<RequestRejection> {
    match status {
        401 | 403 => Some(RequestRejection::Forbidden),
        404 => Some(RequestRejection::NotFound),
        405 => Some(RequestRejection::Method),
        413 => Some(RequestRejection::BodyTooLarge),
        415 => Some(RequestRejection::Encoding),
        503 => Some(RequestRejection::Unavailable),
        _ => None,
    }
}

fn endpoint(route: &str) -> Endpoint {
    match route {
        "/api/v1/query" => Endpoint::Query,
        "/api/v1/query_range" => Endpoint::QueryRange,
        "/api/v1/series" => Endpoint::Series,
        "/api/v1/labels" => Endpoint::Labels,
        "/api/v1/label/*/values" => Endpoint::LabelValues,
        _ => Endpoint::Other,
    }
}
