//! What the daemon counts about itself, for `/metrics` and for the database `_internal`: created once, passed down, no
//! globals.
//!
//! Each group is a struct of ready handles: what runs for every line adds to an atomic and looks nothing up. A counter
//! is written by whoever does the thing, and read by [`Telemetry::render`] and [`Telemetry::samples`] only; readers may see one counter ahead of
//! another.
//!
//! Names are `sealine_<what>_<unit>`, with `_total` on counters, as Prometheus asks for.

mod groups;
mod labels;
pub mod notices;
mod process;
mod register;
mod samples;
#[cfg(test)]
mod tests;

pub use groups::{
    ConfigMetrics, DiskMetrics, HttpMetrics, InletMetrics, MemoryMetrics, QueryMetrics, SealMetrics, TcpMetrics,
    TierMetrics, TlsMetrics, UdpMetrics, WalMetrics,
};
pub use labels::{
    Endpoint, HandshakeFailure, Names, Outcome, Overwritten, Protocol, RequestRejection, Shortage, Suspect, Tier,
};
pub use samples::OwnSample;

use prometheus::{Registry, TextEncoder};
use register::Register;
use std::sync::Arc;

/// The content type of what [`Telemetry::render`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric of the process. Cloning shares them.
#[derive(Clone)]
pub struct Telemetry(Arc<Metrics>);

/// The groups, one a part of the daemon.
pub struct Metrics {
    registry: Registry,
    /// The configuration.
    pub config: ConfigMetrics,
    /// What came in, by protocol: see [`Metrics::inlet`].
    inlets: [InletMetrics; Protocol::ALL.len()],
    /// The HTTP server.
    pub http: HttpMetrics,
    /// TLS below HTTP.
    pub tls: TlsMetrics,
    /// The UDP inlet.
    pub udp: UdpMetrics,
    /// The TCP inlet.
    pub tcp: TcpMetrics,
    /// The write-ahead log.
    pub wal: WalMetrics,
    /// What is held, by tier: see [`Metrics::tier`].
    tiers: [TierMetrics; Tier::ALL.len()],
    /// The account of memory.
    pub memory: MemoryMetrics,
    /// Sealing.
    pub seal: SealMetrics,
    /// Merging, archiving, expiry and damage.
    pub disk: DiskMetrics,
    /// Queries.
    pub query: QueryMetrics,
}

impl Telemetry {
    /// A fresh registry with every metric at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let register = Register(&registry);
        register
            .gauge_with("sealine_build_info", "1, with the version as a label.", "version", env!("CARGO_PKG_VERSION"))
            .set(1);
        register.collector(process::ProcessCollector::new());
        let config = ConfigMetrics::new(&register);
        let http = HttpMetrics::new(&register);
        let tls = TlsMetrics::new(&register);
        let udp = UdpMetrics::new(&register);
        let tcp = TcpMetrics::new(&register);
        let wal = WalMetrics::new(&register);
        let memory = MemoryMetrics::new(&register);
        let seal = SealMetrics::new(&register);
        let disk = DiskMetrics::new(&register);
        let query = QueryMetrics::new(&register);
        let (inlets, tiers) = (InletMetrics::all(&register), TierMetrics::all(&register));
        Telemetry(Arc::new(Metrics {
            registry,
            config,
            inlets,
            http,
            tls,
            udp,
            tcp,
            wal,
            tiers,
            memory,
            seal,
            disk,
            query,
        }))
    }

    /// All metrics in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // It can only fail on a metric without samples or without a name; tests render every one.
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text).expect("BUG: a metric cannot be encoded");
        text
    }

    /// The samples that [`Self::render`] puts into text.
    pub fn samples(&self) -> Vec<OwnSample> {
        samples::samples(&self.registry.gather())
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new()
    }
}

impl std::ops::Deref for Telemetry {
    type Target = Metrics;

    fn deref(&self) -> &Metrics {
        &self.0
    }
}

impl Metrics {
    /// The counters of what arrives by `protocol`.
    pub fn inlet(&self, protocol: Protocol) -> &InletMetrics {
        &self.inlets[protocol as usize]
    }

    /// The gauges of what `tier` holds.
    pub fn tier(&self, tier: Tier) -> &TierMetrics {
        &self.tiers[tier as usize]
    }
}
