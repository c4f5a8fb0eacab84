//! The running daemon: opens what everything needs, starts the parts, waits for a signal, stops the parts in reverse.
//!
//! Order:   store (replay included) -> schedule -> inlets -> API; the reverse on the way out, so that nothing is asked
//! of a part that is gone, and what was accepted is stored.
//! Signals: the first SIGTERM or SIGINT begins the shutdown, the second ends the process at once with 128 + signal.

mod logging;
mod parts;

pub use logging::LoggingError;
pub use parts::{Parts, Stop};

use crate::config::Config;
use crate::telemetry::Telemetry;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Why the daemon did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Our own log cannot be set up.
    #[error("cannot set up the log")]
    Logging(#[from] LoggingError),
    /// No threads, or no event queue.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// No signal handlers.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// A part that should run until it is told to stop ended by itself; its own log line says why.
    #[error("the part {name} ended by itself")]
    PartEnded {
        /// Which part.
        name: &'static str,
    },
}

/// Runs the daemon until a signal stops it. Call it once a process: it sets up the process's log.
pub fn run(config: Config) -> Result<(), DaemonError> {
    logging::start(&config.log)?;
    let telemetry = Telemetry::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("sealine")
        .build()
        .map_err(DaemonError::Runtime)?;
    runtime.block_on(serve(config, telemetry))
}

async fn serve(config: Config, telemetry: Telemetry) -> Result<(), DaemonError> {
    let stop = stop_signal()?;
    let mut parts = Parts::default();
    let outcome = match start(&config, &telemetry, &mut parts).await {
        Ok(()) => {
            tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
            wait(stop, &mut parts).await
        }
        Err(error) => Err(error),
    };
    parts.stop(config.http.drain_timeout).await;
    tracing::info!("stopped");
    outcome
}

/// Starts the parts in the order above, each with `parts.start(name, |stop| future)`. What was started before an error
/// is stopped by the caller.
async fn start(config: &Config, _telemetry: &Telemetry, _parts: &mut Parts) -> Result<(), DaemonError> {
    // 1. The store: open the data folder, replay the log.
    // 2. The schedule: seal, merge, archive, expire.
    // 3. The inlets: UDP, TCP.
    // 4. The API: HTTP last, since whoever reaches it may use all of the above.
    tracing::warn!(data_dir = %config.data_dir.display(), "no store and no listener in this build");
    Ok(())
}

/// Until the first signal, or until a part ends that should not have.
async fn wait(mut stop: Stop, parts: &mut Parts) -> Result<(), DaemonError> {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => Ok(()),
        name = parts.ended() => Err(DaemonError::PartEnded { name }),
    }
}

/// Turns true with the first SIGTERM or SIGINT.
fn stop_signal() -> Result<Stop, DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let first = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = first.as_raw_value(), "shutting down; a second signal ends at once");
        // Nobody may be left to hear it, when the start failed.
        let _ = sender.send(true);
        let second = either(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = second.as_raw_value(), "second signal: ending at once");
        std::process::exit(128 + second.as_raw_value());
    });
    Ok(receiver)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> SignalKind {
    tokio::select! {
        _ = terminate.recv() => SignalKind::terminate(),
        _ = interrupt.recv() => SignalKind::interrupt(),
    }
}
