//! What a query has cost, as `stats` asks for it, under upstream's names.

use super::answer::{QueryStats, TimeRange};
use super::params::Params;
use serde_json::{Value, json};
use std::time::Duration;

/// How much the client wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stats {
    /// Nothing: `stats` is absent or empty.
    None,
    /// Totals.
    Totals,
    /// Also what each step looked at: `stats=all`.
    EachStep,
}

impl Stats {
    /// What the request asks for.
    pub fn of(params: &Params) -> Self {
        match params.first("stats") {
            "" => Stats::None,
            "all" => Stats::EachStep,
            _ => Stats::Totals,
        }
    }

    /// The member `stats` of the answer, of a query over `range` that waited for `queued`; `None` where nothing was
    /// asked. What we do not tell apart is 0.
    ///
    /// Samples are counted as upstream does: once for each step whose window they are in.
    pub fn to_json(self, stats: &QueryStats, range: TimeRange, queued: Duration) -> Option<Value> {
        if self == Stats::None {
            return None;
        }
        let steps = stats.samples_per_step.as_deref();
        let mut samples = json!({
            "totalQueryableSamples": steps.map_or(stats.samples, |steps| steps.iter().sum()),
            "peakSamples": stats.bytes / size_of::<f64>() as u64,
        });
        if self == Stats::EachStep {
            let second = |step: usize| (range.start() + range.step() * step as i64) as f64 / 1000.0;
            let pairs = steps.unwrap_or_default().iter().enumerate().map(|(step, count)| json!([second(step), count]));
            samples["totalQueryableSamplesPerStep"] = pairs.collect();
        }
        let seconds = stats.elapsed.as_secs_f64();
        Some(json!({
            "timings": {
                "evalTotalTime": seconds,
                "resultSortTime": 0.0,
                "queryPreparationTime": 0.0,
                "innerEvalTime": seconds,
                "execQueueTime": queued.as_secs_f64(),
                "execTotalTime": seconds + queued.as_secs_f64(),
            },
            "samples": samples,
            "seriesFetched": stats.series,
        }))
    }
}
