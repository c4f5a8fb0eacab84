//! The metrics, a struct a part of the daemon. The help texts are the documentation for users; they say what is
//! counted, the doc comments here add what a caller must know.

use super::labels::{
    Endpoint, HandshakeFailure, Names, Outcome, Overwritten, Protocol, RequestRejection, Shortage, Suspect, Tier,
};
use super::register::Register;
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};
use sealine_base::pools::Pool;
use std::array::from_fn;

/// What came in by one protocol. Lines and samples count once they are stored.
pub struct InletMetrics {
    /// Lines stored.
    pub lines: IntCounter,
    /// Samples stored.
    pub samples: IntCounter,
    /// Bytes of line protocol, decompressed, good or bad.
    pub bytes: IntCounter,
    /// Fields dropped since they are strings.
    pub strings_dropped: IntCounter,
    protocol: &'static str,
    rejected: IntCounterVec,
    refused: [IntCounter; Shortage::ALL.len()],
    collisions: [IntCounter; Names::ALL.len()],
    overwritten: [IntCounter; Overwritten::ALL.len()],
    suspect: [IntCounter; Suspect::ALL.len()],
}

impl InletMetrics {
    pub(super) fn all(register: &Register) -> [Self; Protocol::ALL.len()] {
        let by = &["protocol"][..];
        let lines = register.counters("sealine_ingested_lines_total", "Lines stored.", by);
        let samples = register.counters("sealine_ingested_samples_total", "Samples stored.", by);
        let bytes = register.counters("sealine_ingested_bytes_total", "Line protocol received, decompressed.", by);
        let strings = register.counters("sealine_strings_dropped_total", "String fields that were not stored.", by);
        let rejected = register.counters(
            "sealine_rejected_lines_total",
            "Lines that were not stored, by reason.",
            &["protocol", "reason"],
        );
        let refused = register.counters(
            "sealine_refused_writes_total",
            "Bodies, and batches of datagrams, that were refused for now, by what is short.",
            &["protocol", "reason"],
        );
        let collisions = register.counters(
            "sealine_name_collisions_total",
            "Series that two names feed since naming makes them one, by what they name; told when the second name comes.",
            &["protocol", "reason"],
        );
        let overwritten = register.counters(
            "sealine_overwritten_samples_total",
            "Samples that another one of the same series and time took the place of, by why there were two.",
            &["protocol", "reason"],
        );
        let suspect = register.counters(
            "sealine_suspect_lines_total",
            "Lines that were taken and hardly mean what their sender thinks, by reason.",
            &["protocol", "reason"],
        );
        Protocol::ALL.map(|protocol| {
            let protocol = protocol.as_str();
            // Shows that nothing was rejected yet; the other reasons appear with their first line.
            rejected.with_label_values(&[protocol, "unavailable"]);
            InletMetrics {
                lines: lines.with_label_values(&[protocol]),
                samples: samples.with_label_values(&[protocol]),
                bytes: bytes.with_label_values(&[protocol]),
                strings_dropped: strings.with_label_values(&[protocol]),
                protocol,
                rejected: rejected.clone(),
                refused: Shortage::ALL.map(|short| refused.with_label_values(&[protocol, short.as_str()])),
                collisions: Names::ALL.map(|of| collisions.with_label_values(&[protocol, of.as_str()])),
                overwritten: Overwritten::ALL.map(|why| overwritten.with_label_values(&[protocol, why.as_str()])),
                suspect: Suspect::ALL.map(|why| suspect.with_label_values(&[protocol, why.as_str()])),
            }
        })
    }

    /// Counts lines that were not stored. Reasons come from a closed list in the code: `LineError::reason` and the few
    /// that the store adds. Looks the reason up: call it once a batch.
    pub fn rejected(&self, reason: &'static str, lines: u64) {
        self.rejected.with_label_values(&[self.protocol, reason]).inc_by(lines);
    }

    /// Series that two names of this feed.
    pub fn collisions(&self, of: Names) -> &IntCounter {
        &self.collisions[of as usize]
    }

    /// Samples that another took the place of.
    pub fn overwritten(&self, why: Overwritten) -> &IntCounter {
        &self.overwritten[why as usize]
    }

    /// Lines that were taken and look wrong.
    pub fn suspect(&self, why: Suspect) -> &IntCounter {
        &self.suspect[why as usize]
    }

    /// Writes that were refused for now, since this is short.
    pub fn refused(&self, short: Shortage) -> &IntCounter {
        &self.refused[short as usize]
    }
}

/// The configuration, under the names that Prometheus and Alertmanager have for theirs.
pub struct ConfigMetrics {
    reload_succeeded: IntGauge,
    in_force_since: Gauge,
    hash: IntGauge,
}

impl ConfigMetrics {
    pub(super) fn new(register: &Register) -> Self {
        ConfigMetrics {
            reload_succeeded: register.gauge(
                "sealine_config_last_reload_successful",
                "Whether the configuration was good when it was last read; else the one before is in force.",
            ),
            in_force_since: register.float_gauge(
                "sealine_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read, since the Unix epoch.",
            ),
            hash: register.gauge(
                "sealine_config_hash",
                "A number that changes with the configuration in force, as far as it is shown.",
            ),
        }
    }

    /// Notes that a configuration with this hash, of at most 53 bits, came into force at `now_ms`.
    pub fn loaded(&self, hash: u64, now_ms: i64) {
        self.reload_succeeded.set(1);
        self.in_force_since.set(now_ms as f64 / 1000.0);
        self.hash.set(hash as i64);
    }

    /// Notes that one was read and not taken.
    pub fn refused(&self) {
        self.reload_succeeded.set(0);
    }

    /// Whether the last one that was read was taken.
    pub fn reload_succeeded(&self) -> bool {
        self.reload_succeeded.get() == 1
    }

    /// When the one in force was read, milliseconds since the epoch.
    pub fn in_force_since_ms(&self) -> i64 {
        (self.in_force_since.get() * 1000.0).round() as i64
    }
}

/// The HTTP server.
pub struct HttpMetrics {
    /// Connections that are open.
    pub connections: IntGauge,
    /// Requests being served.
    pub in_flight: IntGauge,
    rejected: [IntCounter; RequestRejection::ALL.len()],
}

impl HttpMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let rejected =
            register.counters("sealine_rejected_requests_total", "Requests not served, by reason.", &["reason"]);
        HttpMetrics {
            connections: register.gauge("sealine_http_connections", "HTTP connections that are open."),
            in_flight: register.gauge("sealine_http_requests_in_flight", "HTTP requests being served."),
            rejected: RequestRejection::ALL.map(|reason| rejected.with_label_values(&[reason.as_str()])),
        }
    }

    /// Requests not served for this reason.
    pub fn rejected(&self, reason: RequestRejection) -> &IntCounter {
        &self.rejected[reason as usize]
    }
}

/// TLS below HTTP.
pub struct TlsMetrics {
    /// Whether the files of the certificate were good when they were last read; 1 without TLS.
    pub read_succeeded: IntGauge,
    /// When the certificate in use expires, seconds since the epoch; 0 without TLS or if it is unknown.
    pub expires: IntGauge,
    failed: [IntCounter; HandshakeFailure::ALL.len()],
}

impl TlsMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let failed = register.counters(
            "sealine_tls_handshake_failures_total",
            "Connections without a TLS handshake where one is needed, by reason.",
            &["reason"],
        );
        let metrics = TlsMetrics {
            read_succeeded: register.gauge(
                "sealine_tls_certificate_last_reload_successful",
                "Whether the certificate's files were good when last read; else the one before is in use.",
            ),
            expires: register.gauge(
                "sealine_tls_certificate_expiry_timestamp_seconds",
                "When the certificate in use expires, since the Unix epoch; 0 without TLS.",
            ),
            failed: HandshakeFailure::ALL.map(|reason| failed.with_label_values(&[reason.as_str()])),
        };
        metrics.read_succeeded.set(1);
        metrics
    }

    /// Connections without a handshake for this reason.
    pub fn failed(&self, reason: HandshakeFailure) -> &IntCounter {
        &self.failed[reason as usize]
    }
}

/// The UDP inlet.
pub struct UdpMetrics {
    /// Datagrams read from the socket.
    pub datagrams: IntCounter,
    /// Datagrams that the kernel reports as dropped: the socket's buffer was full.
    pub kernel_drops: IntCounter,
}

impl UdpMetrics {
    pub(super) fn new(register: &Register) -> Self {
        UdpMetrics {
            datagrams: register.counter("sealine_udp_datagrams_total", "Datagrams read from the socket."),
            kernel_drops: register.counter(
                "sealine_udp_kernel_drops_total",
                "Datagrams that the kernel dropped since the socket's buffer was full.",
            ),
        }
    }
}

/// The TCP inlet.
pub struct TcpMetrics {
    /// Connections that are open.
    pub connections: IntGauge,
}

impl TcpMetrics {
    pub(super) fn new(register: &Register) -> Self {
        TcpMetrics { connections: register.gauge("sealine_tcp_connections", "TCP inlet connections that are open.") }
    }
}

/// The write-ahead log.
pub struct WalMetrics {
    /// Bytes appended.
    pub written_bytes: IntCounter,
    /// How long each fdatasync took, in seconds.
    pub fsync_duration: Histogram,
    /// Syncs that failed.
    pub fsync_failures: IntCounter,
    /// Bytes appended and not yet durable.
    pub unsynced_bytes: IntGauge,
    /// How long the oldest of those has waited, in seconds.
    pub unsynced_age: Gauge,
    /// Bytes of all segments on disk.
    pub disk_bytes: IntGauge,
    /// Segments that the start missed between others.
    pub missing_segments: IntCounter,
}

impl WalMetrics {
    pub(super) fn new(register: &Register) -> Self {
        WalMetrics {
            written_bytes: register.counter("sealine_wal_written_bytes_total", "Bytes appended to the log."),
            fsync_duration: register.durations("sealine_wal_fsync_duration_seconds", "How long syncs of the log take."),
            fsync_failures: register.counter("sealine_wal_fsync_failures_total", "Syncs of the log that failed."),
            unsynced_bytes: register.gauge("sealine_wal_unsynced_bytes", "Bytes of the log not yet durable."),
            unsynced_age: register.float_gauge(
                "sealine_wal_unsynced_age_seconds",
                "How long the oldest byte of the log has waited to be durable.",
            ),
            disk_bytes: register.gauge("sealine_wal_disk_bytes", "Size of the log on disk."),
            missing_segments: register
                .counter("sealine_wal_missing_segments_total", "Segments of the log that the start missed."),
        }
    }
}

/// What one tier holds.
pub struct TierMetrics {
    /// Series with at least one chunk in the tier; those in several files of the disk count in each.
    pub series: IntGauge,
    /// Chunks.
    pub chunks: IntGauge,
    /// Bytes of chunks and of what finds them.
    pub bytes: IntGauge,
}

impl TierMetrics {
    pub(super) fn all(register: &Register) -> [Self; Tier::ALL.len()] {
        let by = &["tier"][..];
        let series = register.gauges("sealine_tier_series", "Series in the tier; on disk, those of each file.", by);
        let chunks = register.gauges("sealine_tier_chunks", "Chunks in the tier.", by);
        let bytes = register.gauges("sealine_tier_bytes", "Bytes in the tier, index included.", by);
        Tier::ALL.map(|tier| TierMetrics {
            series: series.with_label_values(&[tier.as_str()]),
            chunks: chunks.with_label_values(&[tier.as_str()]),
            bytes: bytes.with_label_values(&[tier.as_str()]),
        })
    }
}

/// The account of memory.
pub struct MemoryMetrics {
    /// `memory.limit` in bytes.
    pub limit: IntGauge,
    /// Indexes of chunk files and chunks of young ones that were dropped from memory.
    pub files_dropped: IntCounter,
    pools: [IntGauge; Pool::ALL.len()],
}

impl MemoryMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let pools = register.gauges("sealine_memory_bytes", "Memory that is accounted for, by pool.", &["pool"]);
        MemoryMetrics {
            limit: register.gauge("sealine_memory_limit_bytes", "What all pools may hold together: memory.limit."),
            files_dropped: register.counter(
                "sealine_memory_files_dropped_total",
                "Times that a chunk file's index or chunks were let go of since memory was short.",
            ),
            pools: Pool::ALL.map(|pool| pools.with_label_values(&[pool.as_str()])),
        }
    }

    /// Bytes of a pool.
    pub fn pool(&self, pool: Pool) -> &IntGauge {
        &self.pools[pool as usize]
    }
}

/// Sealing.
pub struct SealMetrics {
    /// Seals done.
    pub done: IntCounter,
    /// Seals that failed; the log stays.
    pub failures: IntCounter,
    /// How long each took, in seconds.
    pub duration: Histogram,
}

impl SealMetrics {
    pub(super) fn new(register: &Register) -> Self {
        SealMetrics {
            done: register.counter("sealine_seals_total", "Seals done: memory written to chunk files."),
            failures: register.counter("sealine_seal_failures_total", "Seals that failed; their log was kept."),
            duration: register.durations("sealine_seal_duration_seconds", "How long seals take."),
        }
    }
}

/// What happens to chunk files.
pub struct DiskMetrics {
    /// Merges done.
    pub merges: IntCounter,
    /// Archives done: last merges of a partition.
    pub archives: IntCounter,
    /// Merges and archives that failed; their sources stay.
    pub merge_failures: IntCounter,
    /// Partitions dropped by `retention.disk` or `disk.max_bytes`.
    pub expiries: IntCounter,
    /// Files put aside since they are damaged.
    pub quarantined: IntCounter,
    /// Bytes free where the data is.
    pub free_bytes: IntGauge,
}

impl DiskMetrics {
    pub(super) fn new(register: &Register) -> Self {
        DiskMetrics {
            merges: register.counter("sealine_merges_total", "Merges of chunk files done."),
            archives: register.counter("sealine_archives_total", "Archives of partitions done."),
            merge_failures: register
                .counter("sealine_merge_failures_total", "Merges and archives that failed; their files were kept."),
            expiries: register.counter("sealine_partitions_expired_total", "Partitions dropped by retention or size."),
            quarantined: register.counter("sealine_files_quarantined_total", "Damaged files put aside."),
            free_bytes: register.gauge("sealine_disk_free_bytes", "Space left on the disk that has the data."),
        }
    }
}

/// Queries.
pub struct QueryMetrics {
    /// Queries being evaluated.
    pub running: IntGauge,
    /// Queries that wait for their turn.
    pub waiting: IntGauge,
    /// Queries that took at least `query.slow`, each with a line in the log.
    pub slow: IntCounter,
    /// Samples read.
    pub samples_read: IntCounter,
    /// Queries that met columns which naming makes one series.
    pub name_collisions: IntCounter,
    ended: [[IntCounter; Outcome::ALL.len()]; Endpoint::ALL.len()],
    durations: [Histogram; Endpoint::ALL.len()],
}

impl QueryMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let ended = register.counters("sealine_queries_total", "Queries ended, by outcome.", &["endpoint", "outcome"]);
        let durations = register.durations_by(
            "sealine_query_duration_seconds",
            "How long queries take, queue included.",
            &["endpoint"],
        );
        QueryMetrics {
            running: register.gauge("sealine_queries_running", "Queries being evaluated."),
            waiting: register.gauge("sealine_queries_waiting", "Queries that wait for their turn."),
            slow: register
                .counter("sealine_slow_queries_total", "Queries that took at least query.slow, and are logged."),
            samples_read: register.counter("sealine_query_samples_read_total", "Samples read by queries."),
            name_collisions: register.counter(
                "sealine_query_name_collisions_total",
                "Queries that met columns which naming makes one series.",
            ),
            ended: from_fn(|at| {
                let endpoint = Endpoint::ALL[at].as_str();
                Outcome::ALL.map(|outcome| ended.with_label_values(&[endpoint, outcome.as_str()]))
            }),
            durations: Endpoint::ALL.map(|endpoint| durations.with_label_values(&[endpoint.as_str()])),
        }
    }

    /// Counts a query that ended after `seconds`.
    pub fn ended(&self, endpoint: Endpoint, outcome: Outcome, seconds: f64) {
        self.ended[endpoint as usize][outcome as usize].inc();
        self.durations[endpoint as usize].observe(seconds);
    }
}
