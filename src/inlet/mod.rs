//! Sockets to lines: bodies of HTTP requests, datagrams, streams; and the daemon's own metrics. What is good is stored, what is not is counted.

mod body;
mod drops;
mod internal;
mod tcp;
mod udp;

pub use body::{BodyError, Coding, Written};
pub use internal::InternalInlet;
pub use tcp::{TcpError, TcpInlet};
pub use udp::{UdpError, UdpInlet};

use crate::config::Http;
use crate::store::{Report, Store};
use crate::telemetry::{Protocol, Telemetry};
use std::sync::Arc;

/// Takes lines for the store, and counts what becomes of them.
#[derive(Clone)]
pub struct Intake {
    store: Arc<Store>,
    telemetry: Telemetry,
    limits: BodyLimits,
}

/// What a body of a request may be.
#[derive(Debug, Clone, Copy)]
struct BodyLimits {
    decoded_bytes_max: u64,
    compressed_bytes_max: u64,
    time_max: std::time::Duration,
}

impl Intake {
    /// An intake for `store` with the limits of the HTTP server.
    pub fn new(store: Arc<Store>, telemetry: Telemetry, http: &Http) -> Self {
        let limits = BodyLimits {
            decoded_bytes_max: http.max_body_bytes,
            compressed_bytes_max: http.max_compressed_bytes,
            time_max: http.body_timeout,
        };
        Intake { store, telemetry, limits }
    }

    /// Counts what a batch came to: call it when the batch is stored, or with `stored` false when it could not be.
    fn count(&self, protocol: Protocol, report: &Report, stored: bool) {
        let inlet = self.telemetry.inlet(protocol);
        for (reason, lines) in &report.reasons {
            inlet.rejected(reason, *lines);
        }
        if stored {
            inlet.lines.inc_by(report.lines);
            inlet.samples.inc_by(report.samples);
            inlet.strings_dropped.inc_by(report.strings_dropped);
            inlet.integers_rounded.inc_by(report.integers_rounded);
        } else if report.lines > 0 {
            inlet.rejected("unavailable", report.lines);
        }
    }
}
