//! What the API asks of the rest of the daemon: the one door to the engine and the store.
//!
//! Every call may block: the API makes them on threads of their own, only so many at a time.

use super::answer::{Cancel, QueryAnswer, QueryRequest};
use super::error::ApiError;
use sealine_model::{Labels, Matcher};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Which series a question about labels covers.
#[derive(Debug, Clone)]
pub struct Scope {
    /// A series counts where all matchers of at least one list pass. No list at all: every series.
    pub selectors: Vec<Vec<Matcher>>,
    /// From here on, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Up to here, this millisecond included; not before `start_ms`.
    pub end_ms: i64,
    /// Results beyond this many are cut off by the API; `None` is no limit. A hint that allows to stop early: an
    /// answer that was cut short must hold at least one result more than this, so that a warning is given.
    pub limit: Option<usize>,
    /// Only series of these databases; `None` stands for all.
    pub databases: Option<Vec<String>>,
    /// When to give up.
    pub deadline: Instant,
    /// To be looked at while the question is answered.
    pub cancel: Cancel,
}

/// Results and sentences about what is missing from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// Each result once, sorted.
    pub results: Vec<T>,
    /// For the `warnings` of the answer.
    pub warnings: Vec<String>,
}

/// Whether the daemon takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Reads and writes are served.
    Ready,
    /// They are taken, but writes, or some reads, fail for longer than a moment; the sentence says why.
    Degraded(String),
    /// Not yet, or no longer; the sentence says why, and how far it has come.
    NotReady(String),
}

/// A name and a count, as in the lists of `/api/v1/status/tsdb`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NamedCount {
    /// What is counted.
    pub name: String,
    /// How many, or how many bytes.
    pub value: u64,
}

/// What the memory tier holds, for `/api/v1/status/tsdb`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TsdbStatus {
    /// Series in memory.
    pub series: u64,
    /// Different pairs of a label and a value.
    pub label_pairs: u64,
    /// Chunks in memory.
    pub chunks: u64,
    /// Oldest sample in memory, milliseconds since the Unix epoch; `None` where there is none.
    pub oldest_ms: Option<i64>,
    /// Newest sample in memory.
    pub newest_ms: Option<i64>,
    /// Metrics with the most series, largest first.
    pub series_by_metric: Vec<NamedCount>,
    /// Labels with the most values, largest first.
    pub values_by_label: Vec<NamedCount>,
    /// Labels whose values take the most bytes, largest first.
    pub bytes_by_label: Vec<NamedCount>,
    /// Pairs (`name=value`) with the most series, largest first.
    pub series_by_pair: Vec<NamedCount>,
}

/// How the daemon runs, for `/api/v1/status/runtimeinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// When it started, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Whether the configuration could be read when it was last read.
    pub reload_succeeded: bool,
    /// When the one in force was read, milliseconds since the Unix epoch.
    pub configured_ms: i64,
    /// Where its data lie.
    pub data_dir: PathBuf,
    /// Files that were found damaged since then.
    pub corrupt_files: u64,
    /// Threads that queries are spread over.
    pub threads: usize,
    /// How long samples are kept, in words.
    pub retention: String,
}

/// What is known about a metric besides its samples.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    /// `counter`, `gauge`, … or `unknown`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it means.
    pub help: String,
    /// What it is counted in.
    pub unit: String,
}

/// The daemon, as the API sees it.
pub trait Backend: Send + Sync + 'static {
    /// Answers a query. `ErrorKind::BadData` blames the query's text.
    fn query(&self, request: QueryRequest) -> Result<QueryAnswer, ApiError>;

    /// The query's text as it should be written. `ErrorKind::BadData` blames the text.
    fn format_query(&self, text: &str) -> Result<String, ApiError>;

    /// The label sets of the series in scope.
    fn series(&self, scope: &Scope) -> Result<Found<Labels>, ApiError>;

    /// The label names that the series in scope have.
    fn label_names(&self, scope: &Scope) -> Result<Found<String>, ApiError>;

    /// The values that label `name` has among the series in scope.
    fn label_values(&self, name: &str, scope: &Scope) -> Result<Found<String>, ApiError>;

    /// Metrics with what is known about each, sorted by name: `metric` alone, or all, at most `limit` of them.
    fn metadata(&self, metric: Option<&str>, limit: Option<usize>) -> Vec<(String, Vec<Metadata>)>;

    /// What the memory tier holds; each list has at most `limit` entries.
    fn tsdb_status(&self, limit: usize) -> TsdbStatus;

    /// How the daemon runs.
    fn runtime_info(&self) -> RuntimeInfo;

    /// The settings in force, as (key, value), sorted by key; secrets hidden.
    fn flags(&self) -> Vec<(String, String)>;

    /// The configuration in force, as a file would say it; secrets hidden.
    fn config_text(&self) -> String;

    /// Whether requests are taken. Called for every health check: must be quick.
    fn readiness(&self) -> Readiness;

    /// The databases, sorted.
    fn databases(&self) -> Vec<String>;

    /// How long samples of `database` stay on disk; zero is forever.
    fn retention(&self, database: &str) -> Duration;

    /// Makes sure that a database of this name can be written to and is listed from now on.
    fn create_database(&self, name: &str) -> Result<(), ApiError>;

    /// Seals all open chunks; returns once they are durable, with a summary for the client.
    fn seal(&self) -> Result<serde_json::Value, ApiError>;

    /// Archives what is due; with `force`, every partition.
    fn archive(&self, force: bool) -> Result<serde_json::Value, ApiError>;

    /// Reads the configuration again, and takes over what may change while the daemon runs; tells what did, and what
    /// waits for a restart. On an error everything stays as it was: `ErrorKind::Execution` blames the configuration.
    fn reload(&self) -> Result<serde_json::Value, ApiError>;

    /// The daemon's inner state, for its operator.
    fn status(&self) -> serde_json::Value;
}
