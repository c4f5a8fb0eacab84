//! Takes over a configuration that was changed while the daemon runs: on SIGHUP, and on `POST /-/reload`.
//!
//! One at a time, all of it or nothing: the configuration is read and checked as a whole, then what can fail is made, and
//! only then is anything changed. What changes is in [`Reloadable`], and nothing but this file changes it;
//! `config/reload.rs` knows which keys those are.

use super::backend::Daemon;
use super::certificate::Certified;
use super::logging::{self, LogLevel, LoggingError};
use super::{Stop, options};
use crate::api::Api;
use crate::config::{ConfigError, Origin, Reload};
use crate::tls::TlsError;
use sealine_base::causes;
use sealine_base::clock::wall_ms;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

/// Requests that may wait for a reload; the API sends one at a time.
const WAITING_MAX: usize = 4;

/// How often the files of the certificate are looked at; two looks that agree make a change.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a reload changes, each where it is used.
pub(super) struct Reloadable {
    /// Tokens, and what else requests go by.
    pub api: Arc<Api>,
    /// The configuration as it is shown, the engine, and the limits on cardinality.
    pub daemon: Arc<Daemon>,
    /// What is logged.
    pub log: LogLevel,
    /// What HTTP shows its clients, where it speaks TLS. It also changes when its files do.
    pub certified: Option<Certified>,
}

/// Why the configuration before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It cannot be read, is wrong, or cannot be taken over.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `log.level` cannot be used.
    #[error(transparent)]
    Log(#[from] LoggingError),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody is there to reload.
    #[error("the daemon is shutting down")]
    Stopping,
}

/// What a reload has come to, and what it answers.
pub(super) type Outcome = Result<Reloaded, ReloadError>;

/// Keys that were found changed.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Reloaded {
    /// Those in force now.
    pub changed: Vec<String>,
    /// Those that wait for a restart.
    pub needs_restart: Vec<String>,
}

/// Asks for reloads.
pub struct Requests(mpsc::Sender<oneshot::Sender<Outcome>>);

impl Requests {
    /// The sender and the receiver of requests.
    pub(super) fn channel() -> (Requests, mpsc::Receiver<oneshot::Sender<Outcome>>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Requests(sender), receiver)
    }

    /// Reloads, and returns when it is done. Blocks.
    pub fn reload(&self) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.0.blocking_send(answer).map_err(|_| ReloadError::Stopping)?;
        answered.blocking_recv().unwrap_or(Err(ReloadError::Stopping))
    }
}

/// The part of the daemon that reloads.
pub(super) struct Reloader {
    /// Where the configuration is read.
    pub origin: Origin,
    /// What it changes.
    pub reloadable: Reloadable,
}

impl Reloader {
    /// Reloads when it is asked to, until it is told to stop.
    pub async fn serve(
        mut self,
        mut hangup: Signal,
        mut requests: mpsc::Receiver<oneshot::Sender<Outcome>>,
        mut stop: Stop,
    ) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = hangup.recv() => drop(self.reload("SIGHUP")), // it is in the log
                _ = looks.tick(), if self.reloadable.certified.is_some() => self.look(),
                Some(answer) = requests.recv() => {
                    let _ = answer.send(self.reload("request")); // who asked may have left; it is in the log
                }
            }
        }
    }

    fn look(&mut self) {
        if let Some(certified) = &mut self.reloadable.certified {
            tokio::task::block_in_place(|| certified.look());
        }
    }

    /// Reloads, and logs what came of it.
    fn reload(&mut self, by: &str) -> Outcome {
        // The file may lie on a disk that makes one wait.
        let outcome = tokio::task::block_in_place(|| self.reloadable.reload(&self.origin));
        match &outcome {
            Ok(done) => {
                tracing::info!(by, changed = done.changed.join(", "), "configuration reloaded");
                if !done.needs_restart.is_empty() {
                    tracing::warn!("what was changed needs a restart: {}", done.needs_restart.join(", "));
                }
            }
            Err(error) => {
                self.reloadable.daemon.telemetry.config.refused();
                let why = causes::sentence(error);
                tracing::error!(by, "the configuration was not reloaded; the previous one stays in force: {why}");
            }
        }
        outcome
    }
}

impl Reloadable {
    fn reload(&mut self, origin: &Origin) -> Outcome {
        let Reloadable { api, daemon, log, certified } = self;
        let Reload { config, changed, needs_restart } = daemon.config.load().reload(&origin.load()?)?;
        let filter = logging::filter(&config.log.level)?;
        let replacement = certified.as_ref().map(|_| Certified::read(&config.http.tls)).transpose()?;

        if let (Some(certified), Some(replacement)) = (certified, replacement) {
            certified.take(replacement);
        }
        log.set(filter);
        daemon.store.limit_cardinality(config.cardinality_limits(daemon.store.pools().limit()));
        daemon.store.set_naming(config.store_options());
        daemon.engine.store(Arc::new(options::engine(&config, daemon.store.pools())));
        api.set_options(options::api(&config));
        daemon.telemetry.config.loaded(config.hash(), wall_ms());
        daemon.config.store(Arc::new(config));
        Ok(Reloaded { changed, needs_restart })
    }
}
