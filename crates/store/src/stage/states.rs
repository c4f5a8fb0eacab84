//! Ends the string that another one takes the place of: a staleness marker in its series, when the new one comes.

use super::Stage;
use crate::memory::{Database, KeyHash, Row, StateSample, hash_key};
use sealine_base::causes;
use sealine_model::{INFO_LABEL, Labels, METRIC_NAME, Matcher, STALE_NAN_BITS, Samples, Selection, SourceError};
use sealine_telemetry::notices::NoticeKind;
use std::sync::Arc;

/// How much of what lies ahead is read at once, in lookbacks: where nothing does, that costs nothing, and need not be
/// looked at again for as long.
const AHEAD_LOOKBACKS: i64 = 12;

/// A string of a line that was taken.
pub(super) struct KeptString {
    /// The row of its series.
    pub row: Arc<Row>,
    pub metric: Arc<str>,
    pub time: i64,
}

/// Strings of a batch that are not stored yet, but which states know of. Where it does not get stored they must forget.
pub(crate) struct Unsettled {
    database: Arc<Database>,
    is_open: bool,
}

impl Unsettled {
    pub fn new(database: Arc<Database>) -> Self {
        Unsettled { database, is_open: false }
    }

    pub fn open(&mut self) {
        self.is_open = true;
    }

    pub fn settle(&mut self) {
        self.is_open = false;
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if self.is_open {
            self.database.states.lock().clear();
        }
    }
}

impl Stage {
    /// Ends what the strings of the last line end. Takes the lock of the index by itself.
    #[cold]
    pub(super) fn end_states(&mut self, raw: &[u8]) {
        for KeptString { row, metric, time } in std::mem::take(&mut self.kept) {
            let Some(text) = row.tags.get(INFO_LABEL) else { continue };
            let base = self.database.view().labels(&row.tags).without(|label| label == INFO_LABEL);
            let key = hash_key(&[metric.as_bytes(), base.as_bytes()].join(&0));
            let ends = self.ends_of(key, &base, &metric, time, text);
            self.batch.unsettled.open();
            for (time, text) in ends {
                let labels = base.with(INFO_LABEL, &text).with(METRIC_NAME, &metric);
                // The line stays taken, so this is no refusal of it.
                if let Err(refused) = self.put_sample(&labels, time, f64::from_bits(STALE_NAN_BITS)) {
                    self.note(NoticeKind::Warning, "state_not_ended", raw, || {
                        format!("a state goes on beside the next: {refused}")
                    });
                }
            }
        }
    }

    fn ends_of(&self, key: KeyHash, base: &Labels, metric: &str, time: i64, text: &str) -> Vec<StateSample> {
        let lookback = self.terms.lookback;
        if let Some(ends) = self.database.states.lock().take(key, time, text, lookback) {
            return ends;
        }
        let ahead = lookback.saturating_mul(AHEAD_LOOKBACKS);
        let range = (time.saturating_sub(lookback), time.saturating_add(ahead));
        let stored = self.stored(base, metric, range);
        let mut states = self.database.states.lock();
        states.learn(key, range, time, stored);
        states.take(key, time, text, lookback).unwrap_or_default()
    }

    /// The strings that are stored of a state. Where they cannot be read it is as if there were none.
    fn stored(&self, base: &Labels, metric: &str, (from, to): (i64, i64)) -> Vec<StateSample> {
        let Some(store) = self.store.upgrade() else { return Vec::new() };
        let reader = store.reader(Some(&[self.database.name.to_string()]));
        let mut matchers = vec![Matcher::equal(METRIC_NAME, metric)];
        matchers.extend(base.iter().map(|(label, value)| Matcher::equal(label, value)));
        let mut found = Vec::new();
        let mut read = || -> Result<(), SourceError> {
            let selection = reader.find(&matchers, (from, to))?;
            let mut samples = Samples::default();
            for at in 0..selection.len() {
                let labels = selection.labels(at);
                let Some(text) = labels.get(INFO_LABEL) else { continue };
                if labels.without(|label| label == INFO_LABEL || label == METRIC_NAME) != *base {
                    continue; // has a label more
                }
                let text: Arc<str> = text.into();
                selection.read_exactly(at, (from, to), &mut samples)?;
                let stands = samples.values.iter().map(|value| value.to_bits() != STALE_NAN_BITS);
                let times = samples.times.iter().zip(stands).filter(|(_, stands)| *stands);
                found.extend(times.map(|(time, _)| (*time, text.clone())));
            }
            Ok(())
        };
        if let Err(error) = read() {
            tracing::warn!(
                error = causes::sentence(&error),
                metric,
                "the state before a new one cannot be read, and is not ended"
            );
        }
        found
    }
}
