//! The running daemon: opens what everything needs, starts the parts, waits for a signal, stops the parts in reverse.
//!
//! Order:   store (replay included) -> schedule -> inlets -> API; the reverse on the way out, so that nothing is asked
//! of a part that is gone, and what was accepted is stored.
//! Signals: the first SIGTERM or SIGINT begins the shutdown, the second ends the process at once with 128 + signal.

mod backend;
mod logging;
mod observed;
mod parts;

pub use logging::LoggingError;
pub use parts::{Parts, Stop};

use crate::api::{self, Api, BindError, Server, ServerLimits};
use crate::clock::{SystemClock, wall_ms};
use crate::config::Config;
use crate::inlet::{Intake, TcpError, TcpInlet, UdpError, UdpInlet};
use crate::promql::{self, Engine};
use crate::schedule::Schedule;
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;
use crate::vfs::DiskVfs;
use backend::Daemon;
use observed::Observed;
use std::io;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Bytes of a request's head: Grafana and proxies send a few kilobytes.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Headers of a request.
const HEADERS_MAX: usize = 100;

/// A query may hold this much, however little memory there is.
const QUERY_MEMORY_LEAST: u64 = 1 << 20;

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
    /// The store cannot be opened.
    #[error("cannot open the data directory")]
    Store(#[from] StoreError),
    /// The UDP inlet cannot start.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The TCP inlet cannot start.
    #[error(transparent)]
    Tcp(#[from] TcpError),
    /// The HTTP server cannot start.
    #[error(transparent)]
    Http(#[from] BindError),
    /// There is no daemon without HTTP.
    #[error("http.listen is empty: the daemon needs an address to answer at")]
    NoHttp,
    /// A bug.
    #[error("{name} panicked while it started: this is a bug")]
    Panicked {
        /// Which part.
        name: &'static str,
    },
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
    let patience = config.http.drain_timeout;
    let mut parts = Parts::default();
    let outcome = match start(Arc::new(config), &telemetry, &mut parts).await {
        Ok(()) => {
            tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
            wait(stop, &mut parts).await
        }
        Err(error) => Err(error),
    };
    parts.stop(patience).await;
    tracing::info!("stopped");
    outcome
}

/// Starts the parts in the order above, each with `parts.start(name, |stop| future)`. What was started before an error
/// is stopped by the caller.
async fn start(config: Arc<Config>, telemetry: &Telemetry, parts: &mut Parts) -> Result<(), DaemonError> {
    let clock = SystemClock::shared();
    let started_ms = clock.now_ms();

    let store = {
        let (clock, config, telemetry) = (clock.clone(), config.clone(), telemetry.clone());
        let open = move || Store::open(DiskVfs::shared(), clock, config, telemetry);
        tokio::task::spawn_blocking(open).await.map_err(|_| DaemonError::Panicked { name: "store" })??
    };

    let schedule = Schedule::start(store.clone(), clock.clone(), &config).map_err(DaemonError::Runtime)?;
    parts.start("schedule", |stop| until_stopped(stop, move || schedule.stop()));

    let intake = Intake::new(store.clone(), telemetry.clone(), &config.http);
    if let Some(address) = config.udp.listen.0 {
        let udp = UdpInlet::start(address, &config.udp, intake.clone())?;
        tracing::info!(address = %udp.local_addr(), "taking lines by UDP");
        parts.start("udp", |stop| until_stopped(stop, move || udp.stop()));
    }
    if let Some(address) = config.tcp.listen.0 {
        let tcp = TcpInlet::bind(address, &config.tcp, intake.clone()).await?;
        tracing::info!(address = %tcp.local_addr().unwrap_or(address), "taking lines by TCP");
        parts.start("tcp", |stop| tcp.serve(stop));
    }

    let address = config.http.listen.0.ok_or(DaemonError::NoHttp)?;
    let server = Server::bind(address).await?;
    tracing::info!(address = %server.local_addr(), "serving HTTP");
    let api = Arc::new(api(&config, telemetry, &store, started_ms).with_intake(intake));
    let limits = ServerLimits {
        connections_max: config.http.max_connections,
        header_timeout: config.http.header_timeout,
        idle_timeout: config.http.idle_timeout,
        drain_timeout: config.http.drain_timeout,
        header_bytes_max: HEADER_BYTES_MAX,
        headers_max: HEADERS_MAX,
    };
    parts.start("api", move |stop| server.serve(api, limits, stop));
    Ok(())
}

/// The API in front of the engine and the store.
fn api(config: &Arc<Config>, telemetry: &Telemetry, store: &Arc<Store>, started_ms: i64) -> Api {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let or_cores = |setting: usize, factor: usize| if setting == 0 { cores * factor } else { setting };
    let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let query = &config.query;
    let concurrency = or_cores(query.concurrency, 2);
    let engine = Engine::new(promql::Options {
        lookback_ms: ms(query.lookback),
        threads: or_cores(query.threads, 1),
        limits: promql::Limits {
            text_bytes_max: usize::try_from(query.max_text_bytes).unwrap_or(usize::MAX),
            samples_max: query.max_samples,
            series_max: query.max_series as u64,
            bytes_max: match query.max_memory {
                0 => (store.pools().limit() / 4 / concurrency as u64).max(QUERY_MEMORY_LEAST),
                bytes => bytes,
            },
            subquery_steps_max: query.max_subquery_points as u64,
            ..promql::Limits::default()
        },
        ..promql::Options::default()
    })
    .with_pools(store.pools().clone());
    let daemon =
        Daemon { store: store.clone(), engine, config: config.clone(), telemetry: telemetry.clone(), started_ms };
    let metrics = {
        let (store, telemetry) = (store.clone(), telemetry.clone());
        move || {
            store.observe();
            telemetry.render()
        }
    };
    let options = api::Options {
        query_timeout: query.timeout,
        labels_timeout: query.labels_timeout,
        slow: query.slow,
        query_concurrency: concurrency,
        queue_timeout: query.queue_timeout,
        points_max: u32::try_from(query.max_points).unwrap_or(u32::MAX),
        body_timeout: config.http.body_timeout,
        tokens: config.token.clone(),
        open_metrics: config.http.open_metrics,
        cors_origin: config.http.cors_origin.clone(),
        now_ms: wall_ms,
    };
    Api::new(Arc::new(daemon), Arc::new(Observed(telemetry.clone())), metrics, options)
}

/// Waits to be told to stop, then stops something that blocks while it does.
async fn until_stopped(mut stop: Stop, end: impl FnOnce() + Send + 'static) {
    let _ = stop.wait_for(|stop| *stop).await; // an error says that the daemon is gone, which is a stop as well
    let _ = tokio::task::spawn_blocking(end).await; // a panic in there has been logged by the part itself
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
