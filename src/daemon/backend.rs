//! The daemon as the API sees it: engine, store and configuration behind one door.

use super::reload::{ReloadError, Requests};
use crate::api::{
    ApiError, Backend, Cancel, ErrorKind, Found, Metadata, NamedCount, QueryAnswer, QueryRequest, Readiness,
    RuntimeInfo, Scope, TsdbStatus,
};
use crate::config::Config;
use arc_swap::ArcSwap;
use sealine_base::causes;
use sealine_base::clock;
use sealine_base::cores;
use sealine_base::vfs::NoDescriptor;
use sealine_model::{Labels, SourceError};
use sealine_promql::{Engine, QueryError, Request};
use sealine_store::{Question, Reader, Stopped, Store, StoreError};
use sealine_telemetry::Telemetry;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Types of metrics are not known yet: what came by push has no help text either.
const UNKNOWN: &str = "unknown";

/// Engine, store and configuration.
pub struct Daemon {
    /// Everything that is kept.
    pub store: Arc<Store>,
    /// Evaluates queries.
    pub engine: ArcSwap<Engine>,
    /// The configuration in force.
    pub config: ArcSwap<Config>,
    /// Reads it again.
    pub reloads: Requests,
    /// What is counted.
    pub telemetry: Telemetry,
    /// When the daemon started, milliseconds since the epoch.
    pub started_ms: i64,
}

impl Daemon {
    /// A view of the store that gives up when the deadline passes or the client leaves.
    fn reader(&self, databases: Option<&[String]>, deadline: Instant, cancel: &Cancel) -> Reader {
        let cancel = cancel.clone();
        self.store.reader(databases).until(move || cancel.is_canceled() || clock::instant() >= deadline)
    }

    fn look_up<T>(
        &self,
        scope: &Scope,
        ask: impl FnOnce(&Reader, &Question<'_>) -> Result<(Vec<T>, Vec<String>), SourceError>,
    ) -> Result<Found<T>, ApiError> {
        cores::begin_question();
        let question = Question {
            selectors: &scope.selectors,
            start: scope.start_ms,
            end: scope.end_ms,
            enough: scope.limit.map_or(usize::MAX, |limit| limit.saturating_add(1)),
        };
        let reader = self.reader(scope.databases.as_deref(), scope.deadline, &scope.cancel);
        let found = ask(&reader, &question).map_err(|error| source_error(&error, &scope.cancel))?;
        Ok(Found { results: found.0, warnings: found.1 })
    }
}

impl Backend for Daemon {
    fn query(&self, request: QueryRequest) -> Result<QueryAnswer, ApiError> {
        cores::begin_question();
        let reader = self.reader(request.databases.as_deref(), request.deadline, &request.cancel);
        let request = Request {
            text: &request.text,
            range: request.range,
            lookback_ms: request.lookback_ms,
            deadline: Some(request.deadline),
            cancel: request.cancel,
            count_steps: request.count_steps,
        };
        self.engine.load().query(&reader, &request).map_err(|error| query_error(error, &request.cancel))
    }

    fn format_query(&self, text: &str) -> Result<String, ApiError> {
        self.engine.load().format(text).map_err(|error| query_error(error, &Cancel::default()))
    }

    fn series(&self, scope: &Scope) -> Result<Found<Labels>, ApiError> {
        self.look_up(scope, |reader, question| reader.series(question))
    }

    fn label_names(&self, scope: &Scope) -> Result<Found<String>, ApiError> {
        self.look_up(scope, |reader, question| reader.label_names(question))
    }

    fn label_values(&self, name: &str, scope: &Scope) -> Result<Found<String>, ApiError> {
        self.look_up(scope, |reader, question| reader.label_values(name, question))
    }

    fn metadata(&self, metric: Option<&str>, limit: Option<usize>) -> Vec<(String, Vec<Metadata>)> {
        let names = self.store.metric_names().into_iter().filter(|name| metric.is_none_or(|only| only == name));
        let names = names.take(limit.unwrap_or(usize::MAX));
        let unknown = || vec![Metadata { kind: UNKNOWN.into(), help: String::new(), unit: String::new() }];
        names.map(|name| (name, unknown())).collect()
    }

    fn tsdb_status(&self, limit: usize) -> TsdbStatus {
        let sizes = self.store.sizes(limit);
        let named = |list: Vec<(String, u64)>| -> Vec<NamedCount> {
            list.into_iter().map(|(name, value)| NamedCount { name, value }).collect()
        };
        TsdbStatus {
            series: sizes.series,
            label_pairs: sizes.label_pairs,
            chunks: sizes.chunks,
            oldest_ms: sizes.times.map(|(oldest, _)| oldest),
            newest_ms: sizes.times.map(|(_, newest)| newest),
            series_by_metric: named(sizes.metrics),
            values_by_label: named(sizes.labels),
            bytes_by_label: named(sizes.label_bytes),
            series_by_pair: named(sizes.pairs),
        }
    }

    fn runtime_info(&self) -> RuntimeInfo {
        let (config, telemetry) = (self.config.load(), &self.telemetry);
        let disk = config.retention.disk;
        RuntimeInfo {
            started_ms: self.started_ms,
            reload_succeeded: telemetry.config.reload_succeeded(),
            configured_ms: telemetry.config.in_force_since_ms(),
            data_dir: config.data_dir.clone(),
            corrupt_files: telemetry.disk.quarantined.get(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            retention: if disk.is_zero() { "for ever".into() } else { crate::config::duration::format(disk) },
        }
    }

    fn flags(&self) -> Vec<(String, String)> {
        self.config.load().flat()
    }

    fn config_text(&self) -> String {
        self.config.load().to_toml()
    }

    fn readiness(&self) -> Readiness {
        if self.store.wal_stats().failed {
            return Readiness::NotReady(
                "the log failed: writes are refused until a restart, queries are served".into(),
            );
        }
        self.store.degraded().map_or(Readiness::Ready, Readiness::Degraded)
    }

    fn databases(&self) -> Vec<String> {
        // Those that have a block are there before their first line.
        let mut names = self.store.database_names();
        names.extend(self.config.load().database.iter().map(|rules| rules.name.clone()));
        names.sort();
        names.dedup();
        names
    }

    fn retention(&self, database: &str) -> Duration {
        self.config.load().database(database).retention.disk
    }

    fn create_database(&self, name: &str) -> Result<(), ApiError> {
        self.store.create_database(name).map_err(|error| ApiError::bad_data(error.to_string()))
    }

    fn seal(&self) -> Result<serde_json::Value, ApiError> {
        let samples = self.store.seal().map_err(store_error)?;
        Ok(json!({ "samples": samples }))
    }

    fn archive(&self, force: bool) -> Result<serde_json::Value, ApiError> {
        let done = self.store.archive(force, &|| true).map_err(store_error)?;
        Ok(json!({ "archived": done.archived }))
    }

    fn reload(&self) -> Result<serde_json::Value, ApiError> {
        let done = self.reloads.reload().map_err(reload_error)?;
        Ok(json!(done))
    }

    fn status(&self) -> serde_json::Value {
        serde_json::to_value(self.store.status()).unwrap_or_default()
    }
}

fn query_error(error: QueryError, cancel: &Cancel) -> ApiError {
    let kind = match &error {
        QueryError::BadData(_) => ErrorKind::BadData,
        QueryError::Execution(_) | QueryError::TooMuch { .. } => ErrorKind::Execution,
        QueryError::Timeout { .. } => ErrorKind::Timeout,
        QueryError::Canceled => ErrorKind::Canceled,
        QueryError::Full(_) => ErrorKind::Unavailable,
        QueryError::Storage(error) => return source_error(error, cancel),
    };
    ApiError::new(kind, error.to_string())
}

fn source_error(error: &SourceError, cancel: &Cancel) -> ApiError {
    let told = || causes::sentence(error);
    let (kind, message) = match error.0.is::<Stopped>() {
        false if NoDescriptor::is_cause_of(error) => (ErrorKind::Unavailable, told()),
        false => (ErrorKind::Internal, told()),
        true if cancel.is_canceled() => (ErrorKind::Canceled, "the query was cancelled".to_string()),
        true => (ErrorKind::Timeout, "the search for series took too long".to_string()),
    };
    ApiError::new(kind, message)
}

fn store_error(error: StoreError) -> ApiError {
    let kind = if NoDescriptor::is_cause_of(&error) { ErrorKind::Unavailable } else { ErrorKind::Internal };
    ApiError::new(kind, causes::sentence(&error))
}

fn reload_error(error: ReloadError) -> ApiError {
    let kind = match &error {
        ReloadError::Stopping => ErrorKind::Unavailable,
        ReloadError::Config(_) | ReloadError::Log(_) | ReloadError::Tls(_) => ErrorKind::Execution,
    };
    ApiError::new(kind, causes::sentence(&error))
}
