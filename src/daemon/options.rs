//! What the engine and the API are set to, from the configuration in force.

use crate::api;
use crate::config::Config;
use sealine_base::clock::wall_ms;
use sealine_base::pools::Pools;
use sealine_promql::{Engine, Limits, Options};
use std::sync::Arc;
use std::time::Duration;

/// A query may hold this much, however little memory there is.
const QUERY_MEMORY_LEAST: u64 = 1 << 20;

/// The engine, as `[query]` has it; what its queries hold is counted in `pools`.
pub(super) fn engine(config: &Config, pools: &Arc<Pools>) -> Engine {
    let query = &config.query;
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Engine::new(Options {
        lookback_ms: ms(query.lookback),
        threads: or_cores(query.threads, 1),
        limits: Limits {
            text_bytes_max: usize::try_from(query.max_text_bytes).unwrap_or(usize::MAX),
            regex_steps_max: query.max_regex_steps,
            samples_max: query.max_samples,
            series_max: query.max_series as u64,
            bytes_max: match query.max_memory {
                0 => (pools.limit() / 4 / or_cores(query.concurrency, 2) as u64).max(QUERY_MEMORY_LEAST),
                bytes => bytes,
            },
            subquery_steps_max: query.max_subquery_points as u64,
            ..Limits::default()
        },
        ..Options::default()
    })
    .with_pools(pools.clone())
}

/// The API's options, as `[query]`, `[http]` and the tokens have them.
pub(super) fn api(config: &Config) -> api::Options {
    let query = &config.query;
    api::Options {
        query_timeout: query.timeout,
        labels_timeout: query.labels_timeout,
        look_up_results_max: query.max_look_up_results,
        text_bytes_max: usize::try_from(query.max_text_bytes).unwrap_or(usize::MAX),
        regex_steps_max: query.max_regex_steps,
        slow: query.slow,
        query_concurrency: or_cores(query.concurrency, 2),
        queue_timeout: query.queue_timeout,
        points_max: u32::try_from(query.max_points).unwrap_or(u32::MAX),
        body_timeout: config.http.body_timeout,
        tokens: config.token.clone(),
        open_metrics: config.http.open_metrics,
        cors_origin: config.http.cors_origin.clone(),
        now_ms: wall_ms,
    }
}

/// A setting that is derived from the number of cores where it is 0.
fn or_cores(setting: usize, factor: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if setting == 0 { cores * factor } else { setting }
}
