//! The running account of one query: what it has read, what it holds, and whether it may go on.

use super::error::{Heaviest, QueryError};
use super::limits::{Cancel, Limits};
use parking_lot::Mutex;
use sealine_base::excerpt::excerpt;
use sealine_base::pools::{Pool, Pools};
use sealine_base::{clock, cores};
use sealine_model::{METRIC_NAME, MatchOp, Matcher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Selectors are cut to this many bytes where a message names them.
const SELECTOR_BYTES_MAX: usize = 200;

/// Written by every worker, read by every worker; the counts stand alone, so relaxed ordering is enough.
pub(super) struct Budget {
    limits: Limits,
    started: Instant,
    deadline: Option<Instant>,
    cancel: Cancel,
    series: AtomicU64,
    samples: AtomicU64,
    held: Arc<AtomicU64>,
    held_most: AtomicU64,
    /// Where what all queries hold is counted.
    pools: Arc<Pools>,
    usages: Mutex<Vec<Arc<Usage>>>,
}

/// What one selector of the query has cost.
#[derive(Debug)]
pub(super) struct Usage {
    selector: String,
    series: u64,
    samples: AtomicU64,
}

/// Bytes that a part of the query holds; they are given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Hold {
    bytes: u64,
    held: Arc<AtomicU64>,
    pools: Arc<Pools>,
}

impl Hold {
    /// Takes over what another part holds.
    pub fn join(&mut self, mut other: Hold) {
        debug_assert!(Arc::ptr_eq(&self.held, &other.held), "both are of one query");
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.pools.add(Pool::Queries, -(self.bytes as i64));
    }
}

impl Budget {
    /// Opens the account now.
    pub fn new(limits: Limits, deadline: Option<Instant>, cancel: Cancel, pools: Arc<Pools>) -> Self {
        Budget {
            limits,
            started: clock::instant(),
            deadline,
            cancel,
            series: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            held: Arc::new(AtomicU64::new(0)),
            held_most: AtomicU64::new(0),
            pools,
            usages: Mutex::new(Vec::new()),
        }
    }

    /// Fails where the deadline passed or the client left. Asked once a series, and gives way to others there.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancel.is_canceled() {
            return Err(QueryError::Canceled);
        }
        let now = clock::instant();
        cores::give_way(now);
        match self.deadline {
            Some(deadline) if now >= deadline => {
                let (after, heaviest) = (now - self.started, self.heaviest());
                Err(QueryError::Timeout { after, heaviest })
            }
            _ => Ok(()),
        }
    }

    /// Opens the account of a selector that found `series` series.
    pub fn open(&self, matchers: &[Matcher], series: usize) -> Result<Arc<Usage>, QueryError> {
        let series = series as u64;
        self.series.fetch_add(series, Ordering::Relaxed);
        let (selector, samples) = (written(matchers), AtomicU64::new(0));
        let usage = Arc::new(Usage { selector, series, samples });
        self.usages.lock().push(Arc::clone(&usage));
        self.within(series, self.limits.series_max, "series in one selector", "query.max_series")?;
        Ok(usage)
    }

    /// Accounts for samples that were read for a selector.
    pub fn read_samples(&self, usage: &Usage, count: usize) -> Result<(), QueryError> {
        let count = count as u64;
        usage.samples.fetch_add(count, Ordering::Relaxed);
        let read = self.samples.fetch_add(count, Ordering::Relaxed) + count;
        self.within(read, self.limits.samples_max, "samples", "query.max_samples")
    }

    /// Accounts for bytes that are held until what is returned is dropped.
    pub fn hold(&self, bytes: usize) -> Result<Hold, QueryError> {
        let mut hold = Hold { bytes: 0, held: Arc::clone(&self.held), pools: Arc::clone(&self.pools) };
        self.grow(&mut hold, bytes)?;
        Ok(hold)
    }

    /// Accounts for more bytes in the same place.
    pub fn grow(&self, hold: &mut Hold, bytes: usize) -> Result<(), QueryError> {
        let bytes = bytes as u64;
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        hold.bytes += bytes;
        self.pools.add(Pool::Queries, bytes as i64);
        self.held_most.fetch_max(held, Ordering::Relaxed);
        self.pools.admit_query(held)?;
        self.within(held, self.limits.bytes_max, "bytes of memory", "query.max_memory")
    }

    /// Fails where the query has too many steps.
    pub fn plan_steps(&self, count: usize) -> Result<(), QueryError> {
        self.within(count as u64, self.limits.steps_max, "steps", "query.max_points")
    }

    /// Fails where a subquery has too many steps.
    pub fn plan_subquery(&self, count: usize) -> Result<(), QueryError> {
        self.within(count as u64, self.limits.subquery_steps_max, "steps in a subquery", "query.max_subquery_points")
    }

    /// Series found and samples read so far, and the most bytes that were held at once.
    pub fn totals(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.series), load(&self.samples), load(&self.held_most))
    }

    fn within(&self, count: u64, limit: u64, what: &'static str, setting: &'static str) -> Result<(), QueryError> {
        if count <= limit {
            return Ok(());
        }
        Err(QueryError::TooMuch { what, limit, setting, heaviest: self.heaviest() })
    }

    /// The selector that has read the most samples so far; of those that have read none, the one with the most series.
    fn heaviest(&self) -> Heaviest {
        let usages = self.usages.lock();
        let cost = |usage: &&Arc<Usage>| (usage.samples.load(Ordering::Relaxed), usage.series);
        Heaviest(usages.iter().max_by_key(cost).map(|usage| {
            let (samples, series) = cost(&usage);
            format!("`{}` ({series} series, {samples} samples so far)", usage.selector)
        }))
    }
}

/// Matchers as PromQL writes them: `up{job="a"}`.
fn written(matchers: &[Matcher]) -> String {
    let is_name = |matcher: &&Matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal;
    let name = matchers.iter().find(is_name).map_or("", Matcher::value);
    let others = matchers.iter().filter(|matcher| !is_name(matcher) || matcher.value() != name);
    let others: Vec<String> = others.map(Matcher::to_string).collect();
    let text = if others.is_empty() { name.to_string() } else { format!("{name}{{{}}}", others.join(",")) };
    excerpt(&text, SELECTOR_BYTES_MAX)
}
