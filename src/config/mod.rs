//! Everything that can be set. `conf/sealine.toml` is the same list for users, and a test holds the two together.
//!
//! A value comes from the last of these that has it: the default (defaults.rs), the file, the environment
//! (`SEALINE__SECTION__KEY`), a flag. load.rs puts them together, check.rs knows which values make sense.
//!
//! Names: a bound starts with `max_`, a number of bytes ends in `_bytes`, unless it is of memory; times carry their own
//! unit (`30s`).
//! In a bound or a retention, 0 means "none" where the key's description says so, and is refused elsewhere.

mod address;
mod check;
mod defaults;
pub mod duration;
mod fault;
mod load;
mod reload;
mod scalar;
mod show;
pub mod size;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod tree;
mod values;

pub use address::{Address, Listen, ResolveError};
pub use fault::{ConfigError, Fault};
pub use load::Flags;
pub use reload::{Origin, Reload};
use sealine_lineproto::Precision;
use sealine_model::split_policy;
pub use token::{Right, Token, TokenHash};
pub use values::{LogFormat, MemoryLimit, Names, WalSync};

use scalar::{count, list, switch, text};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration. [`Config::load`] gives one that was checked; `default()` passes the same checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The folder that holds the write-ahead log and the chunk files; made when it is not there.
    pub data_dir: PathBuf,
    /// HTTP: writes, queries and administration.
    pub http: Http,
    /// Line protocol in datagrams.
    pub udp: Udp,
    /// Line protocol over plain TCP.
    pub tcp: Tcp,
    /// Limits on lines.
    pub ingest: Ingest,
    /// Limits on how many series there may be.
    pub cardinality: Cardinality,
    /// How lines become series, where no database says otherwise.
    pub naming: Naming,
    /// The write-ahead log.
    pub wal: Wal,
    /// When memory goes to disk.
    pub seal: Seal,
    /// Joining chunk files.
    pub merge: Merge,
    /// How long samples stay, where no database says otherwise.
    pub retention: Retention,
    /// The disk as a whole.
    pub disk: Disk,
    /// Memory as a whole.
    pub memory: Memory,
    /// Limits on queries.
    pub query: Query,
    /// Our own metrics.
    pub telemetry: Telemetry,
    /// Our own log.
    pub log: Log,
    /// Who may do what over HTTP; with none, everyone who reaches the address may read and write.
    pub token: Vec<Token>,
    /// Databases and policies with rules of their own: what their block does not set was filled in, that of a policy from
    /// its database's block, others from the sections above.
    pub database: Vec<DatabaseRules>,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// The address to listen on; cannot be off. Port 0 takes a free one.
    #[serde(with = "text")]
    pub listen: Address,
    /// The longest body after decompression.
    #[serde(with = "size")]
    pub max_body_bytes: u64,
    /// The longest body as it travels.
    #[serde(with = "size")]
    pub max_compressed_bytes: u64,
    /// A client must have sent its request's head within this time.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// A client must have sent its request's body within this time.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// A connection without a request is closed after this time.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// On shutdown, running requests get this long to end.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// Connections beyond this many are answered with 503 and closed.
    #[serde(with = "count")]
    pub max_connections: usize,
    /// The same for those of one address; 0 sets no limit.
    #[serde(with = "count")]
    pub max_connections_per_ip: usize,
    /// What `Access-Control-Allow-Origin` says; empty sends no such header.
    pub cors_origin: String,
    /// Whether it may listen beyond this machine without tokens.
    #[serde(with = "switch")]
    pub open: bool,
    /// Whether `/metrics` asks for no token where the rest does.
    #[serde(with = "switch")]
    pub open_metrics: bool,
    /// TLS on its connections.
    pub tls: Tls,
}

/// `[http.tls]`: both files, or neither.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// The server's certificate and those that it was signed by, in PEM; empty for no TLS.
    pub cert: PathBuf,
    /// The key of the certificate, in PEM.
    pub key: PathBuf,
}

impl Tls {
    /// Whether connections speak TLS.
    pub fn is_on(&self) -> bool {
        !self.cert.as_os_str().is_empty()
    }
}

/// `[udp]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Udp {
    /// The address to listen on, or off.
    #[serde(with = "text")]
    pub listen: Listen,
    /// The database that the samples go to.
    pub database: String,
    /// The unit of the times in the lines.
    #[serde(with = "text")]
    pub precision: Precision,
    /// The kernel's receive buffer to ask for; it may give less, see `net.core.rmem_max`.
    #[serde(with = "size")]
    pub receive_buffer_bytes: u64,
    /// Datagrams read but not yet stored; beyond this they are dropped and counted.
    #[serde(with = "size")]
    pub queue_bytes: u64,
    /// Whether it may listen beyond this machine: datagrams carry no token.
    #[serde(with = "switch")]
    pub open: bool,
}

/// `[tcp]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tcp {
    /// The address to listen on, or off.
    #[serde(with = "text")]
    pub listen: Listen,
    /// The database that the samples go to.
    pub database: String,
    /// The unit of the times in the lines.
    #[serde(with = "text")]
    pub precision: Precision,
    /// Connections beyond this many are closed at once.
    #[serde(with = "count")]
    pub max_connections: usize,
    /// Whether it may listen beyond this machine: these connections carry no token.
    #[serde(with = "switch")]
    pub open: bool,
}

/// `[ingest]`: a line beyond a limit is rejected and counted, the lines around it are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ingest {
    /// The longest line.
    #[serde(with = "size")]
    pub max_line_bytes: u64,
    /// The longest measurement with its tags, as it stands in the line.
    #[serde(with = "size")]
    pub max_key_bytes: u64,
    /// The most tags of a line.
    #[serde(with = "count")]
    pub max_tags: usize,
    /// The most fields of a line.
    #[serde(with = "count")]
    pub max_fields: usize,
    /// The longest measurement, tag name or field name.
    #[serde(with = "size")]
    pub max_name_bytes: u64,
    /// The longest tag value.
    #[serde(with = "size")]
    pub max_value_bytes: u64,
    /// How far a time may lie ahead of the server's clock; 0 checks nothing.
    #[serde(with = "duration")]
    pub max_future: Duration,
    /// Samples a second of all writes together, beyond which they are refused with 503; 0 sets no limit.
    #[serde(with = "count")]
    pub max_samples_per_second: u64,
    /// How many bad lines an answer names; it counts them all. 0 names none.
    #[serde(with = "count")]
    pub max_errors_listed: usize,
    /// Whether a write makes a database or policy that is not there.
    #[serde(with = "switch")]
    pub make_databases: bool,
}

/// `[cardinality]`: a line that would make a series beyond a limit is rejected; series that are there go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cardinality {
    /// Series in memory, of all databases; 0 derives it from `memory.limit`.
    #[serde(with = "count")]
    pub max_series: u64,
    /// Series in memory of one database; 0 sets no limit.
    #[serde(with = "count")]
    pub max_series_per_database: u64,
    /// Series in memory of one measurement of a database; 0 sets no limit.
    #[serde(with = "count")]
    pub max_series_per_measurement: u64,
    /// Values of one tag key of a database, in memory; 0 sets no limit.
    #[serde(with = "count")]
    pub max_values_per_tag: u64,
    /// Databases; 0 sets no limit.
    #[serde(with = "count")]
    pub max_databases: u64,
}

/// `[naming]`: from a line's measurement, tags and fields to series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Naming {
    /// The metric's name, made from `{measurement}` and `{field}`.
    pub template: String,
    /// A field of this name gives the measurement alone as the metric's name; empty elides none.
    pub elide_field: String,
    /// What happens to characters outside `[a-zA-Z0-9_:]`.
    #[serde(with = "text")]
    pub names: Names,
    /// Whether series carry their database as the label `db`, and their retention policy as `rp`.
    #[serde(with = "switch")]
    pub db_label: bool,
    /// String fields to keep, as `measurement.field` (`*` stands for any text), each as the label `value` of an
    /// `_info` series. Other strings are dropped and counted.
    #[serde(with = "list")]
    pub string_fields: Vec<String>,
}

/// `[wal]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wal {
    /// What an answer of 204 promises.
    #[serde(with = "text")]
    pub sync: WalSync,
    /// A new segment file starts after this much.
    #[serde(with = "size")]
    pub segment_bytes: u64,
    /// With this much log not yet sealed, writes are refused with 503: it bounds how long a start takes.
    #[serde(with = "size")]
    pub max_bytes: u64,
}

/// `[seal]`: whichever comes first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// Seal this long after the last time.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Seal when the log since the last time is this long.
    #[serde(with = "size")]
    pub wal_bytes: u64,
    /// Seal when open chunks take this much memory; 0 derives it from `memory.limit`.
    #[serde(with = "size")]
    pub memory_bytes: u64,
}

/// `[merge]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Merge {
    /// Whether chunk files are merged and archived at all.
    #[serde(with = "switch")]
    pub enabled: bool,
    /// How many files of about one size make one of the next.
    #[serde(with = "count")]
    pub fan_in: usize,
}

/// `[retention]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// Samples younger than this are answered from memory, as far as `memory.limit` allows.
    #[serde(with = "duration")]
    pub memory: Duration,
    /// Samples older than this go, a day at a time; 0 keeps them forever.
    #[serde(with = "duration")]
    pub disk: Duration,
}

/// `[disk]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// With more than this in chunk files, the oldest days go first; 0 sets no bound.
    #[serde(with = "size")]
    pub max_bytes: u64,
    /// With less than this free, writes are refused with 503; 0 sets no bound.
    #[serde(with = "size")]
    pub min_free_bytes: u64,
}

/// `[memory]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What the daemon plans with.
    #[serde(with = "text")]
    pub limit: MemoryLimit,
}

/// `[query]`: a query beyond a limit ends with an error that names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// How far back an instant looks for a sample.
    #[serde(with = "duration")]
    pub lookback: Duration,
    /// The longest run of a query; a request's `timeout` may lower it.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// The longest run of a look-up of series, labels or label values.
    #[serde(with = "duration")]
    pub labels_timeout: Duration,
    /// The most results of such a look-up; 0 sets no limit.
    #[serde(with = "count")]
    pub max_look_up_results: usize,
    /// The most samples that a query reads.
    #[serde(with = "count")]
    pub max_samples: u64,
    /// The most series that a query reads.
    #[serde(with = "count")]
    pub max_series: usize,
    /// The most steps of a range query.
    #[serde(with = "count")]
    pub max_points: usize,
    /// The most steps of a subquery.
    #[serde(with = "count")]
    pub max_subquery_points: usize,
    /// The longest text of a query.
    #[serde(with = "size")]
    pub max_text_bytes: u64,
    /// The most steps of automata that the regular expressions of a query need.
    pub max_regex_steps: u64,
    /// The most memory that one query holds; 0 is a quarter of the machine's over the queries that run at once.
    #[serde(with = "size")]
    pub max_memory: u64,
    /// Queries that run at once; 0 is twice the number of cores.
    #[serde(with = "count")]
    pub concurrency: usize,
    /// A query waits at most this long for its turn, then 503.
    #[serde(with = "duration")]
    pub queue_timeout: Duration,
    /// Threads that queries share; 0 is one a core.
    #[serde(with = "count")]
    pub threads: usize,
    /// Queries that take at least this long are logged, with who asked; 0 logs none.
    #[serde(with = "duration")]
    pub slow: Duration,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// How often what `/metrics` shows is stored in [`INTERNAL_DATABASE`](sealine_store::INTERNAL_DATABASE); 0 stores none of it.
    #[serde(with = "duration")]
    pub store_interval: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`; parts may differ: `info,sealine_store::wal=debug`.
    pub level: String,
    /// How a line looks.
    #[serde(with = "text")]
    pub format: LogFormat,
}

/// The rules of one database, or of one retention policy, whose name is `database/policy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseRules {
    /// The database's name.
    pub name: String,
    /// How long its samples stay.
    pub retention: Retention,
    /// How its lines become series.
    pub naming: Naming,
}

impl Config {
    /// The rules of database `name`: its own block; where it is a policy, that of its database; or the general sections.
    pub fn database(&self, name: &str) -> DatabaseRules {
        let block = |name: &str| self.database.iter().find(|rules| rules.name == name);
        match block(name).or_else(|| block(split_policy(name).0)) {
            Some(rules) => DatabaseRules { name: name.to_string(), ..rules.clone() },
            None => {
                DatabaseRules { name: name.to_string(), retention: self.retention.clone(), naming: self.naming.clone() }
            }
        }
    }
}
