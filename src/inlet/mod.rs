//! Sockets to lines: bodies of HTTP requests, datagrams, streams; and the daemon's own metrics. What is good is stored,
//! what is not is counted and logged.

mod body;
mod drops;
mod internal;
mod tcp;
mod udp;

pub use body::{BadLines, BodyError, Coding, Written};
pub use internal::InternalInlet;
pub use tcp::{TcpError, TcpInlet};
pub use udp::{UdpError, UdpInlet};

use crate::config::Http;
use sealine_store::{Collision, Report, Store};
use sealine_telemetry::notices::{Notice, NoticeKind, Notices};
use sealine_telemetry::{Names, Overwritten, Protocol, Suspect, Telemetry};
use std::net::IpAddr;
use std::sync::Arc;

/// Takes lines for the store, and counts what happens to them.
#[derive(Clone)]
pub struct Intake {
    store: Arc<Store>,
    telemetry: Telemetry,
    notices: Notices,
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
    /// An intake for `store` with the limits of the HTTP server. What is wrong with lines goes to `notices`.
    pub fn new(store: Arc<Store>, telemetry: Telemetry, notices: Notices, http: &Http) -> Self {
        let limits = BodyLimits {
            decoded_bytes_max: http.max_body_bytes,
            compressed_bytes_max: http.max_compressed_bytes,
            time_max: http.body_timeout,
        };
        Intake { store, telemetry, notices, limits }
    }

    /// Logs what clients send wrongly.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// A client's lines go to the database for lines without one.
    pub fn no_database(&self, client: IpAddr, database: &str) {
        let reason = Suspect::NoDatabase;
        self.telemetry.inlet(Protocol::Http).suspect(reason).inc();
        let message = format!("a write names no database and goes to `{database}`: send the parameter db");
        let notice =
            Notice { kind: NoticeKind::Hint, reason: reason.as_str(), count: 1, first: "/write".to_string(), message };
        self.notices.of_client(client, Protocol::Http.as_str(), notice);
    }

    /// Tells the log that something was not taken of a client, which was nothing that can be shown.
    fn refuse(&self, protocol: Protocol, client: IpAddr, (reason, count): (&'static str, u64), message: &str) {
        let (first, message) = (String::new(), message.to_string());
        let notice = Notice { kind: NoticeKind::Refusal, reason, count, first, message };
        self.notices.of_client(client, protocol.as_str(), notice);
    }

    /// Tells the log of a client's lines.
    fn tell(&self, protocol: Protocol, client: IpAddr, notices: Vec<Notice>) {
        for notice in notices {
            self.notices.of_client(client, protocol.as_str(), notice);
        }
    }

    /// Tells the log, once for each pair, of names that became one.
    fn tell_collision(&self, protocol: Protocol, database: &str, collision: &Collision) {
        let Collision { of, measurement, first, second, became } = collision;
        let what = match of {
            Names::Field => format!("the fields `{first}` and `{second}` of measurement `{measurement}`"),
            Names::Tag => format!("the tags `{first}` and `{second}` of measurement `{measurement}`"),
            Names::Measurement => format!("fields of the measurements `{first}` and `{second}`"),
        };
        let notice = Notice {
            kind: NoticeKind::Warning,
            reason: of.as_str(),
            count: 1,
            first: became.to_string(),
            message: format!(
                "{what} in database `{database}` have one name here, `{became}`: of two values for one series and \
                 time one is lost. Rename one, or change [naming] (names = \"utf8\", template, elide_field)"
            ),
        };
        let pair = format!("{database}\0{measurement}\0{first}\0{second}\0{became}");
        self.notices.of_name(pair, protocol.as_str(), notice);
    }

    /// Counts a body that bad lines cost completely, and logs them.
    fn count_none(&self, client: IpAddr, report: &mut Report) {
        let inlet = self.telemetry.inlet(Protocol::Http);
        for (reason, lines) in &report.reasons {
            inlet.rejected(reason, *lines);
        }
        if report.lines > 0 {
            inlet.rejected("beside_bad_lines", report.lines);
        }
        self.tell(Protocol::Http, client, std::mem::take(&mut report.notices));
    }

    /// Counts what a batch came to: call it when the batch is stored, or with `stored` false when it could not be. Tells
    /// the log of what is the same whoever sent it; the notices of the report, to which more may come, go to [`Self::tell`].
    fn count(&self, protocol: Protocol, database: &str, report: &mut Report, stored: bool) {
        let inlet = self.telemetry.inlet(protocol);
        for collision in &report.collisions {
            inlet.collisions(collision.of).inc();
            self.tell_collision(protocol, database, collision);
        }
        for why in Suspect::ALL {
            inlet.suspect(why).inc_by(report.suspects[why as usize]);
        }
        for (reason, lines) in &report.reasons {
            inlet.rejected(reason, *lines);
        }
        if stored {
            inlet.lines.inc_by(report.lines);
            inlet.samples.inc_by(report.samples);
            inlet.strings_dropped.inc_by(report.strings_dropped);
            inlet.overwritten(Overwritten::Field).inc_by(report.fields_overwritten);
        } else if report.lines > 0 {
            inlet.rejected("unavailable", report.lines);
        }
    }
}
