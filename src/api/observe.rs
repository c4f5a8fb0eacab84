//! What the API tells of itself, for metrics.

use std::time::Duration;

/// Hears of what happens. Called on the threads that serve: must be quick.
pub trait Observer: Send + Sync + 'static {
    /// A connection was opened.
    fn connection_opened(&self) {}
    /// A connection that was opened is gone.
    fn connection_closed(&self) {}
    /// A connection was turned away: there are as many as there may be.
    fn connection_refused(&self) {}
    /// A request has arrived at `route` (its path in the table, or `unknown`).
    fn request_started(&self, route: &'static str) {
        let _ = route;
    }
    /// The request was answered with `status` after `took`; `None` where the client left before.
    fn request_ended(&self, route: &'static str, status: Option<u16>, took: Duration) {
        let _ = (route, status, took);
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {}
