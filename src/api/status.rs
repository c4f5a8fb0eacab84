//! `/api/v1/status/…` and `/api/v1/metadata`, the lists of upstream that are always empty here, health, `/metrics`.

use super::backend::Readiness;
use super::error::ApiError;
use super::reply::Reply;
use super::{Call, args};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

/// The Prometheus release whose HTTP API this one follows. Grafana decides by it what it may ask: from 2.24 on, label
/// values with `match[]`; from 3.0 on, names in UTF-8. Ranges are open on the left, as they are since 3.0.
pub const PROMETHEUS_VERSION: &str = "3.5.0";

/// Entries in each list of `/api/v1/status/tsdb`, unless `limit` says otherwise; and the most it may say.
const TSDB_ENTRIES: usize = 10;
const TSDB_ENTRIES_MAX: usize = 10_000;

/// Which program this is.
pub async fn build_info(_: Call) -> Result<Reply, ApiError> {
    Reply::success(&json!({
        "version": PROMETHEUS_VERSION,
        "revision": concat!("sealine-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// How it runs. What only means something in Go is 0 or empty.
pub async fn runtime_info(call: Call) -> Result<Reply, ApiError> {
    let now_ms = (call.api.now_ms)();
    let info = call.api.page(|api| Ok(api.backend.runtime_info())).await?;
    Reply::success(&json!({
        "startTime": rfc_3339(info.started_ms),
        "CWD": info.data_dir,
        "serverTime": rfc_3339(now_ms),
        "reloadConfigSuccess": info.reload_succeeded,
        "lastConfigTime": rfc_3339(info.configured_ms),
        "corruptionCount": info.corrupt_files,
        "goroutineCount": 0,
        "GOMAXPROCS": info.threads,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": info.retention,
    }))
}

/// What the memory tier holds.
pub async fn tsdb(call: Call) -> Result<Reply, ApiError> {
    let (api, params) = call.params().await?;
    let limit = match params.given("limit").map(str::parse::<usize>) {
        None => TSDB_ENTRIES,
        Some(Ok(limit @ 1..=TSDB_ENTRIES_MAX)) => limit,
        Some(_) => {
            return Err(ApiError::bad_data(format!("limit must be a positive number, {TSDB_ENTRIES_MAX} at most")));
        }
    };
    let status = api.page(move |api| Ok(api.backend.tsdb_status(limit))).await?;
    Reply::success(&json!({
        "headStats": {
            "numSeries": status.series,
            "numLabelPairs": status.label_pairs,
            "chunkCount": status.chunks,
            // Upstream's way to say that there is no sample.
            "minTime": status.oldest_ms.unwrap_or(i64::MAX),
            "maxTime": status.newest_ms.unwrap_or(i64::MIN),
        },
        "seriesCountByMetricName": status.series_by_metric,
        "labelValueCountByLabelName": status.values_by_label,
        "memoryInBytesByLabelName": status.bytes_by_label,
        "seriesCountByLabelValuePair": status.series_by_pair,
    }))
}

/// The settings in force.
pub async fn flags(call: Call) -> Result<Reply, ApiError> {
    let flags = call.api.page(|api| Ok(api.backend.flags())).await?;
    let flags: serde_json::Map<_, _> = flags.into_iter().map(|(key, value)| (key, value.into())).collect();
    Reply::success(&flags)
}

/// The configuration in force. It is TOML; the member is called `yaml` since that is where clients look.
pub async fn config(call: Call) -> Result<Reply, ApiError> {
    let text = call.api.page(|api| Ok(api.backend.config_text())).await?;
    Reply::success(&json!({ "yaml": text }))
}

/// How far the log was replayed; upstream counts segments, we are either done or not answering yet.
pub async fn wal_replay(_: Call) -> Result<Reply, ApiError> {
    Reply::success(&json!({ "min": 0, "max": 0, "current": 0 }))
}

/// The queries and look-ups under way, the oldest first. It takes no place at a gate, so it answers when all are taken.
pub async fn active_queries(call: Call) -> Result<Reply, ApiError> {
    Reply::success(&call.api.active.to_json())
}

/// What is known about metrics.
pub async fn metadata(call: Call) -> Result<Reply, ApiError> {
    let (api, params) = call.params().await?;
    let number = |name: &str| {
        args::parse_limit(params.first(name)).map_err(|_| ApiError::bad_data(format!("{name} must be a number")))
    };
    let (limit, limit_per_metric) = (number("limit")?, number("limit_per_metric")?);
    let metric = params.given("metric").map(str::to_string);
    let metadata = api.page(move |api| Ok(api.backend.metadata(metric.as_deref(), limit))).await?;
    let entries = metadata.into_iter().take(limit.unwrap_or(usize::MAX)).map(|(metric, mut known)| {
        known.truncate(limit_per_metric.unwrap_or(usize::MAX));
        (metric, json!(known))
    });
    Reply::success(&entries.collect::<serde_json::Map<_, _>>())
}

/// Rules: none are kept here.
pub async fn rules(_: Call) -> Result<Reply, ApiError> {
    Reply::success(&json!({ "groups": [] }))
}

/// Alerts: none are kept here.
pub async fn alerts(_: Call) -> Result<Reply, ApiError> {
    Reply::success(&json!({ "alerts": [] }))
}

/// Targets: nothing is scraped.
pub async fn targets(_: Call) -> Result<Reply, ApiError> {
    Reply::success(&json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {} }))
}

/// Alertmanagers: there are none.
pub async fn alertmanagers(_: Call) -> Result<Reply, ApiError> {
    Reply::success(&json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))
}

/// An empty list: metadata of targets, exemplars.
pub async fn nothing(_: Call) -> Result<Reply, ApiError> {
    Reply::success(&json!([]))
}

/// 200 as long as the process serves.
pub async fn healthy(_: Call) -> Reply {
    Reply::text(StatusCode::OK, "Sealine is healthy.\n")
}

/// 200 while requests are taken, 503 otherwise.
pub async fn ready(call: Call) -> Reply {
    match call.api.backend.readiness() {
        Readiness::Ready | Readiness::Degraded(_) => Reply::text(StatusCode::OK, "Sealine is ready.\n"),
        Readiness::NotReady(why) => {
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("Sealine is not ready: {why}\n"))
        }
    }
}

/// The daemon's own metrics, as text.
pub async fn metrics(call: Call) -> Result<Reply, ApiError> {
    let text = call.api.page(|api| Ok((api.metrics)())).await?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(Reply::text(StatusCode::OK, text).with(CONTENT_TYPE, kind))
}

/// Milliseconds since the Unix epoch as a date; an empty text where no calendar reaches.
pub fn rfc_3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}
