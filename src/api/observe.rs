//! What the API reports of itself, for metrics.

use sealine_telemetry::{HandshakeFailure, Outcome};
use std::time::Duration;

/// How far a query has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for a place at the gate.
    Waiting,
    /// It has one.
    Running,
}

/// Hears of what happens. Called on the threads that serve: must be quick.
pub trait Observer: Send + Sync + 'static {
    /// A connection was opened.
    fn connection_opened(&self) {}
    /// A connection that was opened is gone.
    fn connection_closed(&self) {}
    /// A connection was turned away: there are as many as there may be.
    fn connection_refused(&self) {}
    /// A connection had no TLS handshake where it needs one.
    fn handshake_failed(&self, reason: HandshakeFailure) {
        let _ = reason;
    }
    /// A request has arrived.
    fn request_started(&self) {}
    /// A request at `route` (its path in the table, or `unknown`) was answered with `status`; `None` where the client left
    /// before.
    fn request_ended(&self, route: &'static str, status: Option<u16>) {
        let _ = (route, status);
    }
    /// A query or a look-up has come from one stage to the next; `None` is before it came, and after it ended.
    fn query_moved(&self, from: Option<Stage>, to: Option<Stage>) {
        let _ = (from, to);
    }
    /// A query or a look-up at `route` has ended `took` after its arrival; `slow` where that was logged.
    fn query_ended(&self, route: &'static str, outcome: Outcome, took: Duration, slow: bool) {
        let _ = (route, outcome, took, slow);
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {}
