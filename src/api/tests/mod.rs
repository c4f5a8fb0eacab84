//! The API over real sockets, in front of a backend in memory.

mod active;
mod client;
mod double;
mod shapes;
mod sockets;
mod writers;

use super::*;
use crate::inlet::BadLines;
use client::Client;
use double::{Double, Recorder};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// 2015-07-01T20:10:51.781Z
const NOW_MS: i64 = 1_435_781_451_781;

/// A server on a port of its own, stopped when it is dropped.
struct Stand {
    backend: Arc<Double>,
    recorder: Arc<Recorder>,
    address: SocketAddr,
    shutdown: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl Stand {
    async fn start() -> Self {
        Stand::with(options(), limits()).await
    }

    async fn with(options: Options, limits: ServerLimits) -> Self {
        let (backend, recorder) = (Arc::new(Double::default()), Arc::new(Recorder::default()));
        let metrics = || "sealine_up 1\n".to_string();
        let (door, observer): (Arc<dyn Backend>, Arc<dyn Observer>) = (backend.clone(), recorder.clone());
        let api = Arc::new(Api::new(door, observer, metrics, options));
        let server = Server::bind(&[SocketAddr::from(([127, 0, 0, 1], 0))]).unwrap();
        let address = server.local_addr();
        let (shutdown, stopped) = watch::channel(false);
        let served = tokio::spawn(server.serve(api, limits, stopped));
        Stand { backend, recorder, address, shutdown, served }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }
}

fn options() -> Options {
    Options {
        query_timeout: Duration::from_secs(30),
        labels_timeout: Duration::from_secs(5),
        look_up_results_max: 100_000,
        text_bytes_max: 256 << 10,
        regex_steps_max: sealine_model::REGEX_STEPS_MAX,
        slow: Duration::ZERO,
        query_concurrency: 4,
        queue_timeout: Duration::from_secs(10),
        points_max: 11_000,
        body_timeout: Duration::from_secs(5),
        tokens: Vec::new(),
        open_metrics: false,
        cors_origin: "*".to_string(),
        now_ms: || NOW_MS,
    }
}

fn limits() -> ServerLimits {
    ServerLimits {
        connections_max: 64,
        refusals_max: 8,
        connections_per_ip_max: 0,
        header_timeout: Duration::from_secs(5),
        header_bytes_max: 16 << 10,
        headers_max: 64,
        idle_timeout: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(10),
    }
}
