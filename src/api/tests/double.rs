//! A backend in memory, and an observer that counts.

use super::super::answer::*;
use super::super::backend::*;
use super::super::error::{ApiError, ErrorKind};
use super::super::observe::{Observer, Stage};
use super::super::params::Params;
use super::super::selector;
use parking_lot::Mutex;
use sealine_model::{Labels, Matcher};
use sealine_telemetry::Outcome;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Two series of `up`, one of `load`, each 1, 2, 3 … once a minute for ten minutes before the test's time. As queries it
/// knows numbers, strings, selectors, and words that ask for trouble.
pub struct Double {
    series: Vec<Series>,
    pub created: Mutex<Vec<String>>,
    pub seen: Mutex<Vec<QueryRequest>>,
    pub not_ready: Mutex<Option<String>>,
    /// Queries that wait to be cancelled, and that were.
    pub hanging: AtomicU64,
    pub canceled: AtomicU64,
}

impl Default for Double {
    fn default() -> Self {
        let sets = [
            vec![("__name__", "load"), ("path", "a\"\\b")],
            vec![("__name__", "up"), ("db", "telegraf"), ("job", "node")],
            vec![("__name__", "up"), ("db", "other"), ("job", "web")],
        ];
        let points = || (1..=10).map(|n| Point { time: super::NOW_MS - (10 - n) * 60_000, value: n as f64 }).collect();
        let series = sets.map(|set| Series { points: points(), labels: Labels::from_pairs(set) });
        Double {
            series: series.into(),
            created: Mutex::default(),
            seen: Mutex::default(),
            not_ready: Mutex::default(),
            hanging: AtomicU64::new(0),
            canceled: AtomicU64::new(0),
        }
    }
}

impl Double {
    fn select(&self, selectors: &[Vec<Matcher>], databases: Option<&[String]>) -> impl Iterator<Item = &Series> {
        let passes = |labels: &Labels, matchers: &Vec<Matcher>| {
            matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or("")))
        };
        self.series.iter().filter(move |series| {
            let selected = selectors.is_empty() || selectors.iter().any(|matchers| passes(&series.labels, matchers));
            selected && databases.is_none_or(|only| only.iter().any(|one| series.labels.get("db") == Some(one)))
        })
    }

    fn scoped(&self, scope: &Scope) -> impl Iterator<Item = &Series> {
        let (start, end) = (scope.start_ms, scope.end_ms);
        let within = move |point: &Point| (start..=end).contains(&point.time);
        self.select(&scope.selectors, scope.databases.as_deref()).filter(move |series| series.points.iter().any(within))
    }

    fn hang(&self, cancel: &Cancel) -> ApiError {
        self.hanging.fetch_add(1, Ordering::SeqCst);
        while !cancel.is_canceled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.canceled.fetch_add(1, Ordering::SeqCst);
        ApiError::new(ErrorKind::Canceled, "the query was cancelled")
    }
}

fn found<T: Ord>(results: impl Iterator<Item = T>) -> Found<T> {
    Found { results: results.collect::<BTreeSet<_>>().into_iter().collect(), warnings: Vec::new() }
}

impl Backend for Double {
    fn query(&self, request: QueryRequest) -> Result<QueryAnswer, ApiError> {
        self.seen.lock().push(request.clone());
        let (start, end, step) = match request.range {
            TimeRange::Instant { at } => (at, at, 1),
            TimeRange::Range { start, end, step } => (start, end, step),
        };
        let instant = matches!(request.range, TimeRange::Instant { .. });
        let value = match request.text.as_str() {
            "" => return Err(ApiError::bad_data("1:1: parse error: no expression found in input")),
            text if text.trim_end() == "hang" => return Err(self.hang(&request.cancel)),
            "panic" => panic!("asked for by a test"),
            "too_much" => return Err(ApiError::new(ErrorKind::Execution, "the query needs more than 5 samples")),
            "late" => return Err(ApiError::new(ErrorKind::Timeout, "the query was given up after 1s")),
            "broken" => return Err(ApiError::new(ErrorKind::Internal, "storage cannot answer: disk on fire")),
            "nap" => {
                std::thread::sleep(Duration::from_millis(300));
                Value::String(start, "rested".to_string())
            }
            text if text.starts_with('"') => Value::String(start, text.trim_matches('"').to_string()),
            text => match text.parse() {
                Ok(value) if instant => Value::Scalar(Point { time: start, value }),
                Ok(value) => {
                    let points = (start..=end).step_by(step as usize).map(|time| Point { time, value }).collect();
                    Value::Matrix(vec![Series { labels: Labels::empty(), points }])
                }
                Err(_) => {
                    let params = Params::of_pairs(&[("match[]", text)]);
                    let selectors = selector::selectors(&params, 1 << 20, sealine_model::REGEX_STEPS_MAX)
                        .map_err(|error| ApiError::bad_data(error.message))?;
                    let chosen = self.select(&selectors, request.databases.as_deref());
                    let at = |series: &Series, time| series.points.iter().rfind(|point| point.time <= time).copied();
                    if instant {
                        let samples = chosen.filter_map(|series| {
                            let point = at(series, end)?;
                            Some((series.labels.clone(), Point { time: end, ..point }))
                        });
                        Value::Vector(samples.collect())
                    } else {
                        let rows = chosen.map(|series| Series {
                            labels: series.labels.clone(),
                            points: (start..=end)
                                .step_by(step as usize)
                                .filter_map(|time| Some(Point { time, ..at(series, time)? }))
                                .collect(),
                        });
                        Value::Matrix(rows.collect())
                    }
                }
            },
        };
        let stats = QueryStats {
            series: 1,
            samples: 20,
            samples_per_step: request.count_steps.then(|| vec![2, 3]),
            bytes: 80,
            elapsed: Duration::ZERO,
        };
        Ok(QueryAnswer { value, warnings: Vec::new(), infos: Vec::new(), stats })
    }

    fn format_query(&self, text: &str) -> Result<String, ApiError> {
        match text {
            "" => Err(ApiError::bad_data("1:1: parse error: no expression found in input")),
            text => Ok(text.split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }

    fn series(&self, scope: &Scope) -> Result<Found<Labels>, ApiError> {
        Ok(found(self.scoped(scope).map(|series| series.labels.clone())))
    }

    fn label_names(&self, scope: &Scope) -> Result<Found<String>, ApiError> {
        let mut names = found(self.scoped(scope).flat_map(|series| series.labels.iter().map(|(n, _)| n.to_string())));
        names.warnings.push("one file is damaged".to_string());
        Ok(names)
    }

    fn label_values(&self, name: &str, scope: &Scope) -> Result<Found<String>, ApiError> {
        Ok(found(self.scoped(scope).filter_map(|series| series.labels.get(name).map(str::to_string))))
    }

    fn metadata(&self, metric: Option<&str>, limit: Option<usize>) -> Vec<(String, Vec<Metadata>)> {
        let known = || Metadata { kind: "gauge".into(), help: "Whether it is up.".into(), unit: String::new() };
        let metrics = ["load", "up"].into_iter().filter(|name| metric.is_none_or(|metric| metric == *name));
        metrics.take(limit.unwrap_or(usize::MAX)).map(|name| (name.to_string(), vec![known()])).collect()
    }

    fn tsdb_status(&self, limit: usize) -> TsdbStatus {
        let count = |name: &str, value| NamedCount { name: name.to_string(), value };
        let mut series_by_metric = vec![count("up", 2), count("load", 1)];
        series_by_metric.truncate(limit);
        TsdbStatus { series: 3, label_pairs: 7, chunks: 3, series_by_metric, ..TsdbStatus::default() }
    }

    fn runtime_info(&self) -> RuntimeInfo {
        RuntimeInfo {
            started_ms: super::NOW_MS - 1_781,
            reload_succeeded: true,
            configured_ms: super::NOW_MS - 1_781,
            data_dir: PathBuf::from("data"),
            corrupt_files: 0,
            threads: 2,
            retention: "2h in memory".to_string(),
        }
    }

    fn flags(&self) -> Vec<(String, String)> {
        vec![("data_dir".to_string(), "data".to_string()), ("http.listen".to_string(), "127.0.0.1:8086".to_string())]
    }

    fn config_text(&self) -> String {
        "data_dir = \"data\"\n".to_string()
    }

    fn readiness(&self) -> Readiness {
        self.not_ready.lock().clone().map_or(Readiness::Ready, Readiness::NotReady)
    }

    fn databases(&self) -> Vec<String> {
        self.created.lock().clone()
    }

    fn retention(&self, database: &str) -> Duration {
        Duration::from_secs(if database == "short" { 7 * 86_400 } else { 0 })
    }

    fn create_database(&self, name: &str) -> Result<(), ApiError> {
        let mut created = self.created.lock();
        if !created.iter().any(|known| known == name) {
            created.push(name.to_string());
        }
        Ok(())
    }

    fn seal(&self) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!({ "chunks": 3 }))
    }

    fn archive(&self, force: bool) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!({ "force": force }))
    }

    fn reload(&self) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!({ "changed": [], "needs_restart": [] }))
    }

    fn status(&self) -> serde_json::Value {
        serde_json::json!({ "generation": 7 })
    }
}

/// Counts what it hears.
#[derive(Default)]
pub struct Recorder {
    pub open: AtomicI64,
    pub refused: AtomicU64,
    pub in_flight: AtomicI64,
    pub ended: Mutex<Vec<(&'static str, Option<u16>)>>,
    pub waiting: AtomicI64,
    pub running: AtomicI64,
    pub queries: Mutex<Vec<(&'static str, Outcome, bool)>>,
}

impl Observer for Recorder {
    fn connection_opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    fn connection_closed(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn connection_refused(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    fn request_started(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    fn request_ended(&self, route: &'static str, status: Option<u16>) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.ended.lock().push((route, status));
    }

    fn query_moved(&self, from: Option<Stage>, to: Option<Stage>) {
        let count = |stage| if stage == Stage::Waiting { &self.waiting } else { &self.running };
        from.into_iter().for_each(|stage| _ = count(stage).fetch_sub(1, Ordering::SeqCst));
        to.into_iter().for_each(|stage| _ = count(stage).fetch_add(1, Ordering::SeqCst));
    }

    fn query_ended(&self, route: &'static str, outcome: Outcome, _: Duration, slow: bool) {
        self.queries.lock().push((route, outcome, slow));
    }
}
