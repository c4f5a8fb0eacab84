//! The queries and look-ups under way, each from its arrival until nothing works for it any more.
//!
//! An [`Active`] is held by the request's handler and by the work that it has started; the last one to drop it ends
//! it. So a query whose client has left stays on the list for as long as it holds a place at the gate. How it ended is
//! reported to the observer and, if it was slow, logged (`slow`).

use super::caller::Caller;
use super::error::{ApiError, ErrorKind};
use super::observe::{Observer, Stage};
use super::{slow, status};
use parking_lot::Mutex;
use sealine_base::clock;
use sealine_base::excerpt::excerpt;
use sealine_telemetry::Outcome;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// Bytes that are kept of a query's text.
const TEXT_BYTES_MAX: usize = 2048;

/// Bytes that are kept of a path, and of a time as the client wrote it.
const WORD_BYTES_MAX: usize = 200;

/// Every query under way.
pub struct ActiveQueries {
    observer: Arc<dyn Observer>,
    next_id: AtomicU64,
    entries: Mutex<BTreeMap<u64, Weak<Active>>>,
}

/// What was asked, as the client wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The route in the table.
    pub route: &'static str,
    /// The path.
    pub path: String,
    /// PromQL, or the selectors of a look-up.
    pub text: String,
    /// `time`, `start`, `end`, `step`: those that were given.
    pub times: Vec<(&'static str, String)>,
}

/// One query under way.
pub struct Active {
    list: Arc<ActiveQueries>,
    id: u64,
    asked: Asked,
    caller: Caller,
    /// If it takes at least this long it is logged; never, where this is zero.
    slow: Duration,
    arrived: Instant,
    arrived_ms: i64,
    started: OnceLock<Instant>,
    outcome: OnceLock<Outcome>,
    cost: OnceLock<Cost>,
}

/// What a query that was answered has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Samples that were read.
    pub samples: u64,
    /// Series that selectors found.
    pub series: u64,
}

impl ActiveQueries {
    /// An empty list.
    pub fn new(observer: Arc<dyn Observer>) -> Arc<Self> {
        Arc::new(ActiveQueries { observer, next_id: AtomicU64::new(1), entries: Mutex::default() })
    }

    /// A query has arrived, and waits for its turn. Where it takes at least `slow`, which is not zero, it is logged.
    pub fn arrived(self: &Arc<Self>, mut asked: Asked, caller: Caller, now_ms: i64, slow: Duration) -> Arc<Active> {
        asked.text = excerpt(&asked.text, TEXT_BYTES_MAX);
        asked.path = excerpt(&asked.path, WORD_BYTES_MAX);
        asked.times.iter_mut().for_each(|(_, time)| *time = excerpt(time, WORD_BYTES_MAX));
        // Relaxed: the number only has to be one of its own.
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (started, outcome, cost) = Default::default();
        let (list, arrived) = (Arc::clone(self), clock::instant());
        let active = Active { list, id, asked, caller, slow, arrived, arrived_ms: now_ms, started, outcome, cost };
        let active = Arc::new(active);
        self.entries.lock().insert(id, Arc::downgrade(&active));
        self.observer.query_moved(None, Some(Stage::Waiting));
        active
    }

    /// Those under way, the oldest first, as `/api/v1/status/active_queries` shows them.
    pub fn to_json(&self) -> Value {
        // The handles outlive the lock: letting go of the last one takes it again.
        let entries: Vec<Arc<Active>> = self.entries.lock().values().filter_map(Weak::upgrade).collect();
        entries.iter().map(|active| active.to_json()).collect()
    }

    /// Those that have run for at least so long, a JSON object a line, without what changes while they run.
    pub fn long_running(&self, least: Duration) -> String {
        let entries: Vec<Arc<Active>> = self.entries.lock().values().filter_map(Weak::upgrade).collect();
        let now = clock::instant();
        let long = entries.iter().filter(|active| active.started.get().is_some_and(|at| now - *at >= least));
        long.map(|active| Value::Object(active.described()).to_string() + "\n").collect()
    }
}

impl Active {
    /// Its turn has come.
    pub fn start(&self) {
        if self.started.set(clock::instant()).is_ok() {
            self.list.observer.query_moved(Some(Stage::Waiting), Some(Stage::Running));
        }
    }

    /// Whether its turn has come.
    pub fn has_started(&self) -> bool {
        self.started.get().is_some()
    }

    /// Notes what it has cost.
    pub fn set_cost(&self, cost: Cost) {
        let _ = self.cost.set(cost); // it is set once
    }

    /// What it has cost, where it was answered.
    pub fn cost(&self) -> Option<Cost> {
        self.cost.get().copied()
    }

    /// Notes how it ended, as the client is told. A query without such a note was abandoned by its client.
    pub fn settle<T>(&self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let outcome = match &result {
            Ok(_) => Outcome::Ok,
            Err(error) => match error.kind {
                ErrorKind::BadData
                | ErrorKind::TooLarge
                | ErrorKind::WrongMethod
                | ErrorKind::NotFound
                | ErrorKind::Unauthorized
                | ErrorKind::Forbidden => Outcome::Invalid,
                ErrorKind::Execution => Outcome::Limit,
                ErrorKind::Timeout if !self.has_started() => Outcome::Queue,
                ErrorKind::Timeout => Outcome::Timeout,
                ErrorKind::Canceled => Outcome::Cancelled,
                ErrorKind::Internal | ErrorKind::Unavailable => Outcome::Failed,
            },
        };
        let _ = self.outcome.set(outcome);
        result
    }

    /// What was asked.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// By whom.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// How long it has waited for its turn.
    pub fn waited(&self) -> Duration {
        self.started.get().copied().unwrap_or_else(clock::instant) - self.arrived
    }

    fn to_json(&self) -> Value {
        let age = clock::instant() - self.arrived;
        let mut entry = self.described();
        entry.insert("id".into(), json!(self.id));
        entry.insert("state".into(), json!(if self.has_started() { "running" } else { "waiting" }));
        entry.insert("ageSeconds".into(), json!(age.as_secs_f64()));
        entry.insert("queueSeconds".into(), json!(self.waited().as_secs_f64()));
        Value::Object(entry)
    }

    /// What stays as it is while it runs.
    fn described(&self) -> Map<String, Value> {
        let mut entry = Map::new();
        entry.insert("path".into(), json!(self.asked.path));
        entry.insert("query".into(), json!(self.asked.text));
        entry.extend(self.asked.times.iter().map(|(name, time)| (name.to_string(), json!(time))));
        entry.insert("arrived".into(), json!(status::rfc_3339(self.arrived_ms)));
        entry.insert("client".into(), json!(self.caller.client.to_string()));
        entry.extend(self.caller.told().map(|(name, value)| (name.to_string(), json!(value))));
        entry
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.list.entries.lock().remove(&self.id);
        let stage = if self.has_started() { Stage::Running } else { Stage::Waiting };
        self.list.observer.query_moved(Some(stage), None);
        let outcome = self.outcome.get().copied().unwrap_or(Outcome::Cancelled);
        let took = clock::instant() - self.arrived;
        let is_slow = !self.slow.is_zero() && took >= self.slow;
        if is_slow {
            slow::log(self, outcome, took);
        }
        self.list.observer.query_ended(self.asked.route, outcome, took, is_slow);
    }
}
