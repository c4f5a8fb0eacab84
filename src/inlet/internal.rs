//! The daemon's own metrics: what `/metrics` shows, stored every `telemetry.store_interval` in the database `_internal`
//! under the same names and labels, with the label `instance`. So dashboards of the daemon need no scraper.
//!
//! Times are multiples of the interval, whenever exactly the thread gets to it: equal steps take no room.

use super::{Intake, NotStored};
use sealine_base::causes;
use sealine_base::clock::SharedClock;
use sealine_model::{DATABASE_LABEL, LabelsBuilder, METRIC_NAME};
use sealine_store::INTERNAL_DATABASE;
use sealine_telemetry::OwnSample;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The label that distinguishes daemons, as scrapers call it.
const INSTANCE_LABEL: &str = "instance";

/// The thread. [`InternalInlet::stop`] ends it.
pub struct InternalInlet {
    /// Closed to end the thread.
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl InternalInlet {
    /// Starts to store samples of this `instance`, one of each metric `every` so often, at least a millisecond.
    pub fn start(every: Duration, instance: String, clock: SharedClock, intake: Intake) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
        let run = move || store_all_along(every_ms, &instance, &clock, &intake, &stopped);
        let thread = std::thread::Builder::new().name("internal".into()).spawn(run)?;
        Ok(InternalInlet { stop, thread })
    }

    /// Returns when what is under way is stored. Blocks.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that stores the daemon's own metrics panicked; this is a bug");
        }
    }
}

/// Runs on the thread until `stop` is closed.
fn store_all_along(every_ms: i64, instance: &str, clock: &SharedClock, intake: &Intake, stop: &Receiver<()>) {
    let mut failed = false;
    loop {
        let wait_ms = every_ms - clock.now_ms().rem_euclid(every_ms);
        match stop.recv_timeout(Duration::from_millis(wait_ms.unsigned_abs())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = clock.now_ms();
        let stored = store(now - now.rem_euclid(every_ms), instance, intake);
        match &stored {
            // A gap is logged once; the counters show how long it was.
            Err(error) if !failed => tracing::warn!(error, "the daemon's own metrics are not stored"),
            Ok(()) if failed => tracing::info!("the daemon's own metrics are stored again"),
            _ => {}
        }
        failed = stored.is_err();
    }
}

/// Stores one sample of each metric.
fn store(time: i64, instance: &str, intake: &Intake) -> Result<(), String> {
    intake.store.observe();
    let mut stage = intake.store.stage_internal();
    for (number, OwnSample { name, labels, value }) in (1..).zip(intake.telemetry.samples()) {
        let mut builder = LabelsBuilder::default();
        labels.iter().for_each(|(name, value)| _ = builder.set(name, value));
        builder.set(METRIC_NAME, &name).set(DATABASE_LABEL, INTERNAL_DATABASE).set(INSTANCE_LABEL, instance);
        stage.add_sample(&builder.build(), time, value, number);
    }
    let (batch, report) = stage.finish();
    let stored = match intake.store.admit_internal() {
        Ok(()) => intake.store.append_internal(batch).map_err(NotStored::from),
        Err(why) => Err(intake.not_now(why)),
    };
    intake.count(INTERNAL_DATABASE, &report, stored.is_err().then_some("unavailable"));
    match report.first.first() {
        Some(refusal) => Err(refusal.message.clone()),
        None => stored.map_err(|error| causes::sentence(&error)),
    }
}
