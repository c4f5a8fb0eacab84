//! The daemon as the API sees it: engine, store and configuration behind one door.

use crate::api::{
    ApiError, Backend, ErrorKind, Found, Metadata, NamedCount, QueryAnswer, QueryRequest, Readiness, RuntimeInfo,
    Scope, TsdbStatus,
};
use crate::config::Config;
use crate::promql::{Engine, QueryError, Request, SourceError};
use crate::series::Labels;
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;
use serde_json::json;
use std::error::Error;
use std::sync::Arc;

/// Types of metrics are not known yet: what came by push has no help text either.
const UNKNOWN: &str = "unknown";

/// Engine, store and configuration.
pub struct Daemon {
    /// Everything that is kept.
    pub store: Arc<Store>,
    /// Evaluates queries.
    pub engine: Engine,
    /// As it is in force.
    pub config: Arc<Config>,
    /// What is counted.
    pub telemetry: Telemetry,
    /// When the daemon started, milliseconds since the epoch.
    pub started_ms: i64,
}

impl Backend for Daemon {
    fn query(&self, request: QueryRequest) -> Result<QueryAnswer, ApiError> {
        let reader = self.store.reader(request.db.as_deref());
        let request = Request {
            text: &request.text,
            range: request.range,
            lookback_ms: request.lookback_ms,
            deadline: Some(request.deadline),
            cancel: request.cancel,
        };
        self.engine.query(&reader, &request).map_err(query_error)
    }

    fn format_query(&self, text: &str) -> Result<String, ApiError> {
        self.engine.check(text).map_err(query_error)?;
        promql_parser::parser::parse(text).map(|query| query.prettify()).map_err(ApiError::bad_data)
    }

    fn series(&self, scope: &Scope) -> Result<Found<Labels>, ApiError> {
        let reader = self.store.reader(scope.db.as_deref());
        let found = reader.series(&scope.selectors, scope.start_ms, scope.end_ms).map_err(source_error)?;
        Ok(Found { results: found.0.into_iter().collect(), warnings: found.1 })
    }

    fn label_names(&self, scope: &Scope) -> Result<Found<String>, ApiError> {
        let reader = self.store.reader(scope.db.as_deref());
        let found = reader.label_names(&scope.selectors, scope.start_ms, scope.end_ms).map_err(source_error)?;
        Ok(Found { results: found.0.into_iter().collect(), warnings: found.1 })
    }

    fn label_values(&self, name: &str, scope: &Scope) -> Result<Found<String>, ApiError> {
        let reader = self.store.reader(scope.db.as_deref());
        let found = reader.label_values(name, &scope.selectors, scope.start_ms, scope.end_ms).map_err(source_error)?;
        Ok(Found { results: found.0.into_iter().collect(), warnings: found.1 })
    }

    fn metadata(&self, metric: Option<&str>, limit: Option<usize>) -> Vec<(String, Vec<Metadata>)> {
        let mut names: Vec<String> = self.store.sizes().metrics.into_iter().map(|(name, _)| name).collect();
        names.retain(|name| metric.is_none_or(|only| only == name));
        names.sort();
        names.truncate(limit.unwrap_or(usize::MAX));
        let unknown = || vec![Metadata { kind: UNKNOWN.into(), help: String::new(), unit: String::new() }];
        names.into_iter().map(|name| (name, unknown())).collect()
    }

    fn tsdb_status(&self, limit: usize) -> TsdbStatus {
        let sizes = self.store.sizes();
        let top = |mut list: Vec<(String, u64)>| -> Vec<NamedCount> {
            list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            list.truncate(limit);
            list.into_iter().map(|(name, value)| NamedCount { name, value }).collect()
        };
        TsdbStatus {
            series: sizes.metrics.iter().map(|(_, series)| series).sum(),
            label_pairs: sizes.labels.iter().map(|(_, values)| values).sum(),
            series_by_metric: top(sizes.metrics),
            values_by_label: top(sizes.labels),
            ..TsdbStatus::default()
        }
    }

    fn runtime_info(&self) -> RuntimeInfo {
        let disk = self.config.retention.disk;
        RuntimeInfo {
            started_ms: self.started_ms,
            data_dir: self.config.data_dir.clone(),
            corrupt_files: self.telemetry.disk.quarantined.get(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            retention: if disk.is_zero() { "for ever".into() } else { crate::config::duration::format(disk) },
        }
    }

    fn flags(&self) -> Vec<(String, String)> {
        self.config.flat()
    }

    fn config_text(&self) -> String {
        self.config.to_toml()
    }

    fn readiness(&self) -> Readiness {
        if self.store.wal_stats().failed {
            return Readiness::NotReady(
                "the log failed: writes are refused until a restart, queries are served".into(),
            );
        }
        Readiness::Ready
    }

    fn databases(&self) -> Vec<String> {
        self.store.database_names()
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

    fn status(&self) -> serde_json::Value {
        serde_json::to_value(self.store.status()).unwrap_or_default()
    }
}

fn query_error(error: QueryError) -> ApiError {
    let kind = match &error {
        QueryError::BadData(_) => ErrorKind::BadData,
        QueryError::Execution(_) | QueryError::TooMany { .. } => ErrorKind::Execution,
        QueryError::Timeout(_) => ErrorKind::Timeout,
        QueryError::Canceled => ErrorKind::Canceled,
        QueryError::Storage(_) => ErrorKind::Internal,
    };
    ApiError::new(kind, error.to_string())
}

fn source_error(error: SourceError) -> ApiError {
    ApiError::new(ErrorKind::Internal, error.to_string())
}

fn store_error(error: StoreError) -> ApiError {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    ApiError::new(ErrorKind::Internal, format!("{error}{cause}"))
}
