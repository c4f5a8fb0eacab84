//! The default of every setting. `conf/sealine.toml` shows the same to users.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn local(port: u16) -> Address {
    std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("data"),
            http: Http {
                listen: local(8086),
                max_body_bytes: 32 * MIB,
                max_compressed_bytes: 32 * MIB,
                header_timeout: Duration::from_secs(5),
                body_timeout: Duration::from_secs(30),
                idle_timeout: MINUTE,
                drain_timeout: Duration::from_secs(7),
                max_connections: 1024,
                max_connections_per_ip: 512,
                cors_origin: "*".to_string(),
                open: false,
                open_metrics: false,
                tls: Tls { cert: PathBuf::new(), key: PathBuf::new() },
            },
            udp: Udp {
                listen: Listen(Some(local(8089))),
                database: "udp".to_string(),
                precision: Precision::Nanoseconds,
                receive_buffer_bytes: 16 * MIB,
                queue_bytes: 64 * MIB,
                open: false,
            },
            tcp: Tcp {
                listen: Listen(None),
                database: "tcp".to_string(),
                precision: Precision::Nanoseconds,
                max_connections: 256,
                open: false,
            },
            ingest: Ingest {
                max_line_bytes: 256 * KIB,
                max_key_bytes: 64 * KIB,
                max_tags: 256,
                max_fields: 4096,
                max_name_bytes: 256,
                max_value_bytes: 4 * KIB,
                max_future: 10 * MINUTE,
                max_samples_per_second: 0,
                max_errors_listed: 10,
                make_databases: true,
            },
            cardinality: Cardinality {
                max_series: 0,
                max_series_per_database: 0,
                max_series_per_measurement: 0,
                max_values_per_tag: 0,
                max_databases: 1000,
            },
            naming: Naming {
                template: "{measurement}_{field}".to_string(),
                elide_field: "value".to_string(),
                names: Names::Classic,
                db_label: true,
                string_fields: Vec::new(),
            },
            wal: Wal { sync: WalSync::Always, segment_bytes: 64 * MIB, max_bytes: 2 * GIB },
            seal: Seal { interval: 30 * MINUTE, wal_bytes: 512 * MIB, memory_bytes: 0 },
            merge: Merge { enabled: true, fan_in: 8 },
            retention: Retention { memory: 120 * MINUTE, disk: Duration::ZERO },
            disk: Disk { max_bytes: 0, min_free_bytes: 256 * MIB },
            memory: Memory { limit: MemoryLimit::Percent(60) },
            query: Query {
                lookback: 5 * MINUTE,
                timeout: Duration::from_secs(30),
                labels_timeout: Duration::from_secs(5),
                max_look_up_results: 100_000,
                max_samples: 50_000_000,
                max_series: 300_000,
                max_points: 11_000,
                max_subquery_points: 100_000,
                max_text_bytes: MIB,
                max_regex_steps: 200_000,
                max_memory: 0,
                concurrency: 0,
                queue_timeout: Duration::from_secs(10),
                threads: 0,
                slow: Duration::from_secs(5),
            },
            telemetry: Telemetry { store_interval: Duration::from_secs(10) },
            log: Log { level: "info".to_string(), format: LogFormat::Text },
            token: Vec::new(),
            database: Vec::new(),
        }
    }
}
