//! Requests to the store and all that it answers.

use super::model::{Key, Model, Request};
use crate::support::library::{self, DATABASE};
use rand::RngExt;
use rand::rngs::StdRng;
use sealine_lineproto::Precision;
use sealine_store::{Store, WalError};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

pub const DAY_MS: i64 = 86_400_000;

/// A request that was not sent yet.
pub struct Draft {
    lines: String,
    pub request: Request,
}

impl Draft {
    /// Some lines, mostly about now, sometimes late, sometimes for a time that was written before.
    pub fn random(rng: &mut StdRng, now: i64) -> Draft {
        let (mut lines, mut samples) = (String::new(), BTreeMap::new());
        for _ in 0..rng.random_range(1..40) {
            let host = rng.random_range(0..5);
            let back = match rng.random_range(0..10) {
                0 => rng.random_range(0..2 * DAY_MS),
                1 => 0,
                _ => rng.random_range(0..600_000),
            };
            let time = now - back / 1000 * 1000;
            let mut fields = Vec::new();
            for field in ["a", "b", "value"] {
                if fields.is_empty() || rng.random_bool(0.4) {
                    let value = f64::from(rng.random_range(0..1000)) / 8.0;
                    let name = if field == "value" { "m".to_string() } else { format!("m_{field}") };
                    samples.insert((format!("{name}{{host=\"h{host}\"}}"), time), value.to_bits());
                    fields.push(format!("{field}={value}"));
                }
            }
            writeln!(lines, "m,host=h{host} {} {time}", fields.join(",")).expect("a string");
        }
        Draft { lines, request: Request { samples } }
    }

    /// Sends it, and tells the model what came of it, and whether all so far is synced.
    pub fn send(self, store: &Store, model: &mut Model) -> Result<(), WalError> {
        let mut stage = store.stage(DATABASE, Precision::Milliseconds).expect("a short name");
        stage.add(self.lines.as_bytes(), 1);
        let (batch, report) = stage.finish();
        assert_eq!(report.refused, 0, "{:?}", report.first);
        let outcome = store.append_blocking(batch);
        match &outcome {
            Ok(()) => model.acknowledge(self.request),
            Err(_) => model.doubt(self.request),
        }
        note_synced(store, model);
        outcome
    }
}

/// Tells the model where nothing waits to be synced.
pub fn note_synced(store: &Store, model: &mut Model) {
    if store.wal_stats().unsynced_bytes == 0 {
        model.keep();
    }
}

/// All that the store has, each sample by its series and time.
pub fn read(store: &Arc<Store>) -> Result<BTreeMap<Key, u64>, String> {
    let content = library::try_read(store, i64::MIN, i64::MAX)?;
    let series = content.into_iter().flat_map(|(labels, samples)| {
        samples.into_iter().map(move |(time, value)| ((labels.clone(), time), value.to_bits()))
    });
    Ok(series.collect())
}
