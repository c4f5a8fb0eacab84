//! The running daemon: opens what everything needs, starts the parts, waits for a signal, stops the parts in reverse.
//!
//! Order:   store (replay included) -> schedule -> inlets -> reload -> API; the reverse on the way out, so that nothing
//! is asked of a part that is gone, and what was accepted is stored.
//! Signals: the first SIGTERM or SIGINT begins the shutdown, the second ends the process at once with 128 + signal;
//! SIGHUP reads the configuration again.

mod active_query_tracker;
mod backend;
mod certificate;
mod logging;
mod observed;
mod options;
mod parts;
mod reload;

pub use logging::LoggingError;
pub use parts::{Parts, Stop};
pub use reload::{ReloadError, Reloaded};

use crate::api::{Api, Server, ServerLimits};
use crate::config::{Address, Config, Origin, ResolveError, Tcp};
use crate::inlet::{HttpInlet, Intake, InternalInlet, TcpInlet, UdpError, UdpInlet};
use crate::schedule::Schedule;
use crate::sockets::ListenError;
use crate::tls::TlsError;
use active_query_tracker::ActiveQueryTracker;
use arc_swap::ArcSwap;
use backend::Daemon;
use certificate::Certified;
use logging::LogLevel;
use observed::Observed;
use reload::{Reloadable, Reloader, Requests};
use sealine_base::clock::SystemClock;
use sealine_base::cores::{self, Slice};
use sealine_base::machine::{self, OpenFiles};
use sealine_base::vfs::DiskVfs;
use sealine_store::{Store, StoreError};
use sealine_telemetry::notices::Notices;
use sealine_telemetry::{Protocol, Telemetry};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Bytes of a request's head: Grafana and proxies send a few kilobytes.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Headers of a request.
const HEADERS_MAX: usize = 100;

/// Clients beyond the limit that are answered with a refusal at a time: the limit on connections divided by this.
const REFUSALS_PART: usize = 8;

/// The least and the most that those may be.
const REFUSALS: (usize, usize) = (4, 64);

/// How often notices that wait are logged.
const TELL_EVERY: Duration = Duration::from_secs(1);

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
    /// HTTP or the TCP inlet cannot start.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no certificate to show, or it cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address to listen at leads nowhere.
    #[error("cannot listen as {setting} says")]
    Address {
        /// The setting.
        setting: &'static str,
        /// What is wrong with its name.
        source: ResolveError,
    },
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

/// A thread that may block stays for so long after its last work. Where the system gives no new threads, those that
/// stayed answer: a query that waits for a thread would wait in vain.
const THREADS_STAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs the daemon until a signal stops it. Call it once a process: it sets up the process's log. `config` is what was
/// read from `origin`, where a reload reads it again.
pub fn run(config: Config, origin: Origin) -> Result<(), DaemonError> {
    let log = logging::start(&config.log)?;
    if let Err(error) = OpenFiles::raise_limit() {
        tracing::warn!(%error, "the soft limit on open files cannot be raised to the hard one");
    }
    let telemetry = Telemetry::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("sealine")
        .on_thread_start(|| cores::ask_for(Slice::Write))
        .thread_keep_alive(THREADS_STAY)
        .build()
        .map_err(DaemonError::Runtime)?;
    // Never driven: what it has is threads. One is there from the start.
    let queries = tokio::runtime::Builder::new_current_thread()
        .thread_name("query")
        .thread_keep_alive(THREADS_STAY)
        .on_thread_start(|| cores::ask_for(Slice::Question))
        .build()
        .map_err(DaemonError::Runtime)?;
    drop(queries.spawn_blocking(|| ()));
    runtime.block_on(serve(config, origin, log, telemetry, queries.handle().clone()))
}

async fn serve(
    config: Config,
    origin: Origin,
    log: LogLevel,
    telemetry: Telemetry,
    queries: Handle,
) -> Result<(), DaemonError> {
    let stop = stop_signal()?;
    // From here on it does not end the process; one that comes before everything runs is heeded then.
    let hangup = signal(SignalKind::hangup()).map_err(DaemonError::Signals)?;
    let patience = config.http.drain_timeout;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %origin.file.as_deref().map_or("none".into(), absolute),
        data_dir = %absolute(&config.data_dir),
        "starting"
    );
    let mut parts = Parts::default();
    let outcome = match start(Arc::new(config), (origin, log, hangup), &telemetry, queries, &mut parts).await {
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

/// A path that is the same wherever one stands; as it is, where the working folder is gone.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).as_deref().unwrap_or(path).display().to_string()
}

/// Starts the parts in the order above, each with `parts.start(name, |stop| future)`. What was started before an error
/// is stopped by the caller.
async fn start(
    config: Arc<Config>,
    (origin, log, hangup): (Origin, LogLevel, Signal),
    telemetry: &Telemetry,
    queries: Handle,
    parts: &mut Parts,
) -> Result<(), DaemonError> {
    let clock = SystemClock::shared();
    let started_ms = clock.now_ms();
    // Before the log is replayed, which may take its time.
    let tls = &config.http.tls;
    let certified = if tls.is_on() { Some(Certified::open(tls, telemetry)?) } else { None };
    let http = resolve("http.listen", &config.http.listen).await?;
    let udp = resolve_if_on("udp.listen", config.udp.listen.0.as_ref()).await?;
    let tcp = resolve_if_on("tcp.listen", config.tcp.listen.0.as_ref()).await?;

    let store = {
        let (clock, options, telemetry) = (clock.clone(), config.store_options(), telemetry.clone());
        let open = move || Store::open(DiskVfs::shared(), clock, options, telemetry);
        tokio::task::spawn_blocking(open).await.map_err(|_| DaemonError::Panicked { name: "store" })??
    };

    let schedule = Schedule::start(store.clone(), clock.clone(), &config).map_err(DaemonError::Runtime)?;
    parts.start("schedule", |stop| until_stopped(stop, move || schedule.stop()));

    let notices = Notices::new(clock.clone());
    parts.start("notices", |stop| tell(notices.clone(), stop));

    let intake = |protocol| Intake::new(store.clone(), telemetry.clone(), notices.clone(), protocol);
    if let Some(addresses) = udp {
        let udp = UdpInlet::start(&addresses, &config.udp, intake(Protocol::Udp))?;
        tracing::info!(address = %udp.local_addr(), "taking lines by UDP");
        parts.start("udp", |stop| until_stopped(stop, move || udp.stop()));
    }
    let open_files = OpenFiles::of_process();
    let mut room = open_files.connections;
    if let Some(addresses) = tcp {
        let connections = within("tcp.max_connections", config.tcp.max_connections, room / 4);
        room -= connections;
        let settings = Tcp { max_connections: connections, ..config.tcp.clone() };
        let tcp = TcpInlet::bind(&addresses, &settings, intake(Protocol::Tcp))?;
        tracing::info!(address = %tcp.local_addr(), "taking lines by TCP");
        parts.start("tcp", |stop| tcp.serve(stop));
    }

    let pools = store.pools().clone();
    let server = Server::bind(&http)?.with_tls(certified.as_ref().map(Certified::acceptor));
    tracing::info!(address = %server.local_addr(), tls = certified.is_some(), "serving HTTP");
    if let Some(every) = Some(config.telemetry.store_interval).filter(|every| !every.is_zero()) {
        let instance = format!("{}:{}", machine::host_name(), server.local_addr().port());
        let internal = InternalInlet::start(every, instance, clock, intake(Protocol::Internal));
        let internal = internal.map_err(DaemonError::Runtime)?;
        parts.start("internal", |stop| until_stopped(stop, move || internal.stop()));
    }
    let inlet = HttpInlet::new(intake(Protocol::Http), &config.http);
    let (reloads, requests) = Requests::channel();
    let daemon = Arc::new(Daemon {
        engine: ArcSwap::from_pointee(options::engine(&config, &pools)),
        store,
        config: ArcSwap::new(config.clone()),
        reloads,
        telemetry: telemetry.clone(),
        started_ms,
    });
    let api = Arc::new(api(&config, &daemon).with_inlet(inlet).with_pools(pools).with_query_threads(queries));
    telemetry.config.loaded(config.hash(), started_ms);
    let reloader = Reloader { origin, reloadable: Reloadable { api: api.clone(), daemon, log, certified } };
    parts.start("reload", |stop| reloader.serve(hangup, requests, stop));

    let refusals_max = (room / (REFUSALS_PART + 1)).clamp(REFUSALS.0, REFUSALS.1);
    let limits = ServerLimits {
        connections_max: within(
            "http.max_connections",
            config.http.max_connections,
            room.saturating_sub(refusals_max).max(1),
        ),
        refusals_max,
        connections_per_ip_max: config.http.max_connections_per_ip,
        header_timeout: config.http.header_timeout,
        idle_timeout: config.http.idle_timeout,
        drain_timeout: config.http.drain_timeout,
        header_bytes_max: HEADER_BYTES_MAX,
        headers_max: HEADERS_MAX,
    };
    let tracker = ActiveQueryTracker::new(DiskVfs::shared(), &config.data_dir);
    tracker.log_unfinished();
    let asked = Arc::clone(&api);
    parts.start("running-queries", |stop| tracker.keep(asked, stop));
    parts.start("api", move |stop| server.serve(api, limits, stop));
    Ok(())
}

/// The socket addresses that a setting stands for. A name is looked up beside other work, which may take seconds.
async fn resolve(setting: &'static str, address: &Address) -> Result<Vec<SocketAddr>, DaemonError> {
    let address = address.clone();
    let resolved = tokio::task::spawn_blocking(move || address.resolve()).await;
    let resolved = resolved.map_err(|_| DaemonError::Panicked { name: setting })?;
    resolved.map_err(|source| DaemonError::Address { setting, source })
}

async fn resolve_if_on(
    setting: &'static str,
    address: Option<&Address>,
) -> Result<Option<Vec<SocketAddr>>, DaemonError> {
    match address {
        Some(address) => resolve(setting, address).await.map(Some),
        None => Ok(None),
    }
}

/// As many connections as a setting says, or as the file descriptors allow.
fn within(setting: &'static str, wanted: usize, room: usize) -> usize {
    if wanted > room {
        tracing::warn!(
            setting,
            wanted,
            room,
            "the limit on open files leaves room for fewer connections: raise it (ulimit -n, LimitNOFILE)"
        );
    }
    wanted.min(room)
}

/// The API in front of the daemon.
fn api(config: &Config, daemon: &Arc<Daemon>) -> Api {
    let metrics = {
        let (store, telemetry) = (daemon.store.clone(), daemon.telemetry.clone());
        move || {
            store.observe();
            telemetry.render()
        }
    };
    let observer = Arc::new(Observed(daemon.telemetry.clone()));
    Api::new(daemon.clone(), observer, metrics, options::api(config))
}

/// Logs the notices that have waited long enough, and at the end all there are.
async fn tell(notices: Notices, mut stop: Stop) {
    while tokio::time::timeout(TELL_EVERY, stop.wait_for(|stop| *stop)).await.is_err() {
        notices.tell_due();
    }
    notices.tell_all();
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
