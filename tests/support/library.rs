//! The store as a library: opened on a folder, with a clock that a story moves.

use sealine::config::Config;
use sealine_base::causes;
use sealine_base::clock::ManualClock;
use sealine_base::vfs::{DiskVfs, SharedVfs};
use sealine_lineproto::Precision;
use sealine_model::{MatchOp, Matcher, Samples, Source};
use sealine_store::{Report, Store, StoreError, WalError};
use sealine_telemetry::Telemetry;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The database that stories write to.
pub const DATABASE: &str = "story";

/// Series as they print, each with its samples: milliseconds and value.
pub type Content = BTreeMap<String, Vec<(i64, f64)>>;

/// A configuration for `data` that takes times of any age and from any future.
pub fn config(data: &Path) -> Config {
    let mut config = Config { data_dir: data.to_path_buf(), ..Config::default() };
    config.ingest.max_future = std::time::Duration::ZERO;
    config.naming.db_label = false;
    config
}

/// Opens the store on the machine's disk.
pub fn open(config: &Config, clock: &Arc<ManualClock>) -> Arc<Store> {
    open_on(DiskVfs::shared(), config, clock)
}

/// Opens the store on another disk.
pub fn open_on(vfs: SharedVfs, config: &Config, clock: &Arc<ManualClock>) -> Arc<Store> {
    open_on_result(vfs, config, clock).unwrap_or_else(|error| panic!("the store does not open: {error}"))
}

/// [`open_on`], where it may fail.
pub fn open_on_result(vfs: SharedVfs, config: &Config, clock: &Arc<ManualClock>) -> Result<Arc<Store>, StoreError> {
    Store::open(vfs, clock.clone(), config.store_options(), Telemetry::new())
}

/// Writes lines with times in milliseconds; says what became of them.
pub fn write(store: &Store, lines: &str) -> Report {
    try_write(store, lines).unwrap_or_else(|error| panic!("the log does not take it: {error}"))
}

/// [`write`], where the log may refuse.
pub fn try_write(store: &Store, lines: &str) -> Result<Report, WalError> {
    let mut stage = store.stage(DATABASE, Precision::Milliseconds).expect("a short name");
    stage.add(lines.as_bytes(), 1);
    let (batch, report) = stage.finish();
    store.append_blocking(batch).map(|()| report)
}

/// Every series with its samples within `start..=end`; series without one there are left out.
pub fn read(store: &Arc<Store>, start: i64, end: i64) -> Content {
    try_read(store, start, end).unwrap_or_else(|what| panic!("{what}"))
}

/// [`read`], where the store may answer with an error, a warning, or what no store should: the sentence says which.
pub fn try_read(store: &Arc<Store>, start: i64, end: i64) -> Result<Content, String> {
    let any = Matcher::new("__name__", MatchOp::Regex, ".+").expect("a plain expression");
    let reader = store.reader(None);
    let selection = reader.select(&[any], start, end).map_err(|error| causes::sentence(&error))?;
    let (mut content, mut samples) = (Content::new(), Samples::default());
    for index in 0..selection.len() {
        selection.read(index, start, end, &mut samples).map_err(|error| causes::sentence(&error))?;
        let labels = selection.labels(index).to_string();
        if !samples.times.is_sorted_by(|a, b| a < b) {
            return Err(format!("times of {labels} do not increase strictly: {:?}", samples.times));
        }
        if samples.is_empty() {
            continue;
        }
        let pairs = samples.times.iter().copied().zip(samples.values.iter().copied()).collect();
        if content.insert(labels, pairs).is_some() {
            return Err(format!("a series twice in one selection: {}", selection.labels(index)));
        }
    }
    match selection.warnings().as_slice() {
        [] => Ok(content),
        warnings => Err(format!("a sound disk gives warnings: {warnings:?}")),
    }
}
