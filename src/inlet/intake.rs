//! The one way of lines into the store, whatever they come by: an inlet opens a delivery, fills it, and has it stored.
//! What becomes of the lines is counted and told here, and nowhere else.

use sealine_base::causes;
use sealine_lineproto::Precision;
use sealine_store::{BadDatabase, Collision, NotNow, Report, Stage, Store, Unit, WalError};
use sealine_telemetry::notices::{Notice, NoticeKind, Notices};
use sealine_telemetry::{InletMetrics, Names, Overwritten, Protocol, Suspect, Telemetry};
use std::net::IpAddr;
use std::sync::Arc;

/// Takes the lines of one protocol for the store, and counts what happens to them.
#[derive(Clone)]
pub struct Intake {
    pub(super) store: Arc<Store>,
    pub(super) telemetry: Telemetry,
    pub(super) notices: Notices,
    pub(super) protocol: Protocol,
}

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// It cannot be taken now.
    #[error("not stored")]
    NotNow(#[from] NotNow),
    /// The log did not take it.
    #[error("not stored")]
    Log(#[from] WalError),
}

impl Intake {
    /// An intake for `store`. What is wrong with lines goes to `notices`.
    pub fn new(store: Arc<Store>, telemetry: Telemetry, notices: Notices, protocol: Protocol) -> Self {
        Intake { store, telemetry, notices, protocol }
    }

    /// Begins a batch for `database`. Its times have this precision, as `unit` says.
    pub(super) fn open<'a>(
        &'a self,
        database: &'a str,
        precision: Precision,
        unit: Unit,
    ) -> Result<Delivery<'a>, BadDatabase> {
        let stage = self.store.stage(database, precision)?.with_unit(unit);
        Ok(Delivery { intake: self, database, stage })
    }

    /// What is counted of the protocol.
    pub(super) fn metrics(&self) -> &InletMetrics {
        self.telemetry.inlet(self.protocol)
    }

    /// Counts a write that is not taken now.
    pub(super) fn not_now(&self, why: NotNow) -> NotStored {
        self.metrics().refused(why.shortage()).inc();
        why.into()
    }

    /// Whether senders are answered. Then the answer says what was not stored, and who answers tells the log.
    fn answers(&self) -> bool {
        match self.protocol {
            Protocol::Http => true,
            Protocol::Udp | Protocol::Tcp | Protocol::Internal => false,
        }
    }

    /// Counts and tells what a batch came to.
    fn settle(
        &self,
        database: &str,
        client: IpAddr,
        mut report: Report,
        stored: Result<(), NotStored>,
    ) -> Result<Report, NotStored> {
        self.count(database, &report, stored.is_err().then_some("unavailable"));
        if let Err(error) = &stored
            && !self.answers()
            && report.lines > 0
        {
            let lost = ("unavailable", report.lines);
            self.notices.of_refusal(client, self.protocol, lost, causes::sentence(error));
        }
        self.tell(client, std::mem::take(&mut report.notices));
        stored.map(|()| report)
    }

    /// Counts what a batch came to; `lost` is why its good lines are not stored, where they are not. Tells the log of
    /// what is the same whoever sent it.
    pub(super) fn count(&self, database: &str, report: &Report, lost: Option<&'static str>) {
        let metrics = self.metrics();
        for collision in &report.collisions {
            metrics.collisions(collision.of).inc();
            self.tell_collision(database, collision);
        }
        for why in Suspect::ALL {
            metrics.suspect(why).inc_by(report.suspects[why as usize]);
        }
        for (reason, lines) in &report.reasons {
            metrics.rejected(reason, *lines);
        }
        match lost {
            None => {
                metrics.lines.inc_by(report.lines);
                metrics.samples.inc_by(report.samples);
                metrics.strings_dropped.inc_by(report.strings_dropped);
                metrics.overwritten(Overwritten::Field).inc_by(report.fields_overwritten);
            }
            Some(reason) if report.lines > 0 => metrics.rejected(reason, report.lines),
            Some(_) => {}
        }
    }

    /// Tells the log, once for each pair, of names that became one.
    fn tell_collision(&self, database: &str, collision: &Collision) {
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
        self.notices.of_name(pair, self.protocol.as_str(), notice);
    }

    /// Tells the log of a client's lines.
    fn tell(&self, client: IpAddr, notices: Vec<Notice>) {
        for notice in notices {
            self.notices.of_client(client, self.protocol.as_str(), notice);
        }
    }
}

/// Lines on their way into the store. Nothing of them is visible before it is stored.
pub(super) struct Delivery<'a> {
    pub intake: &'a Intake,
    database: &'a str,
    stage: Stage,
}

impl Delivery<'_> {
    /// Asks whether a batch is taken now that will hold about `bytes`, and reserves them. Asked before a line is parsed, so
    /// that what is refused costs next to nothing.
    pub fn admit(&mut self, bytes: u64) -> Result<(), NotStored> {
        self.intake.store.admit_write(bytes).map_err(|why| self.intake.not_now(why))?;
        self.stage.expect(bytes as usize);
        Ok(())
    }

    /// Whether memory has room for more than was reserved.
    pub fn go_on(&self) -> Result<(), NotNow> {
        Ok(self.intake.store.pools().admit_write(0)?)
    }

    /// Takes whole lines; `number` is that of the first. Says whether the batch holds more than was reserved.
    pub fn add(&mut self, block: &[u8], number: u64) -> bool {
        self.stage.add(block, number)
    }

    /// Whether lines were refused.
    pub fn has_bad_lines(&self) -> bool {
        self.stage.refused() > 0
    }

    /// Tells the log what there is to say about the lines since it was last told: they are of this client.
    pub fn tell(&mut self, client: IpAddr) {
        self.intake.tell(client, self.stage.take_notices());
    }

    /// Stores the batch. When this returns `Ok`, it is as durable as `wal.sync` says. `client` sent it, or the last of its
    /// lines.
    pub async fn store(self, client: IpAddr) -> Result<Report, NotStored> {
        let (batch, report) = self.stage.finish();
        let stored = self.intake.store.append(batch).await;
        self.intake.settle(self.database, client, report, stored.map_err(NotStored::from))
    }

    /// [`Self::store`] for threads that may block.
    pub fn store_blocking(self, client: IpAddr) -> Result<Report, NotStored> {
        let (batch, report) = self.stage.finish();
        let stored = self.intake.store.append_blocking(batch);
        self.intake.settle(self.database, client, report, stored.map_err(NotStored::from))
    }

    /// Stores nothing, since it was not admitted.
    pub fn lose(self, client: IpAddr, why: NotStored) -> Result<Report, NotStored> {
        let (_, report) = self.stage.finish();
        self.intake.settle(self.database, client, report, Err(why))
    }

    /// Stores nothing, since bad lines cost all.
    pub fn discard(mut self, client: IpAddr) -> Report {
        self.tell(client);
        let (_, report) = self.stage.finish();
        self.intake.count(self.database, &report, Some("beside_bad_lines"));
        report
    }
}
