//! Searches the rows of a database by their labels: for series, and for the names and values of labels.

use super::Index;
use crate::memory::row::Row;
use crate::series::postings::{LabelIndex, name_passes, name_words, select_sets};
use crate::series::{Gathering, Labels, METRIC_NAME, Matcher};
use roaring::{MultiOps, RoaringBitmap};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One series that memory has, or had until the last seal.
pub struct Selected {
    /// The metric's name.
    pub metric: Arc<str>,
    /// The row that holds it.
    pub row: Arc<Row>,
    /// The field, by its index in the row.
    pub field: u16,
}

impl Index {
    /// The series that pass the matchers.
    pub fn select(&self, matchers: &[Matcher]) -> Vec<Selected> {
        let names = self.metrics_passing(matchers);
        if names.is_empty() {
            return Vec::new();
        }
        let sets = select_sets(self, matchers);
        let mut found = Vec::new();
        for metric in names {
            for (schema, field) in &self.metrics[metric] {
                for id in &(&self.schemas[*schema as usize].rows & &sets) {
                    found.push(Selected { metric: metric.clone(), row: self.row(id).0.clone(), field: *field });
                }
            }
        }
        found
    }

    /// Shows the name and the labels of each series that passes the matchers to `see`, until that says to stop.
    pub fn each_series(&self, matchers: &[Matcher], mut see: impl FnMut(&str, &Labels) -> bool) {
        let sets = matchers.iter().any(|m| m.name() != METRIC_NAME).then(|| select_sets(self, matchers));
        for metric in self.metrics_passing(matchers) {
            for (schema, _) in &self.metrics[metric] {
                let rows = &self.schemas[*schema as usize].rows;
                let passing = sets.as_ref().map(|sets| rows & sets);
                for id in passing.as_ref().unwrap_or(rows) {
                    if !see(metric, &self.row(id).0.labels) {
                        return;
                    }
                }
            }
        }
    }

    /// Metric names that pass the matchers on names.
    fn metrics_passing(&self, matchers: &[Matcher]) -> Vec<&Arc<str>> {
        match name_words(matchers) {
            Some(names) => {
                let mut names: Vec<_> =
                    names.iter().filter_map(|n| self.metrics.get_key_value(n)).map(|(n, _)| n).collect();
                names.sort();
                names.dedup();
                names.retain(|name| name_passes(matchers, name));
                names
            }
            None => self.metrics.keys().filter(|name| name_passes(matchers, name)).collect(),
        }
    }

    /// Adds the names of the labels that series passing the matchers have.
    pub fn label_names(&self, matchers: &[Matcher], into: &mut Gathering<'_>) {
        let rows = self.rows_with_metric(matchers);
        if rows.as_ref().map_or(!self.is_empty(), |rows| !rows.is_empty()) {
            into.add(METRIC_NAME);
        }
        for (name, values) in &self.labels {
            if into.is_over() {
                return;
            }
            if !into.has(name) && values.values().any(|carry| is_among(carry, rows.as_ref())) {
                into.add(name);
            }
        }
    }

    /// Adds the values that `label` has in series passing the matchers.
    pub fn label_values(&self, label: &str, matchers: &[Matcher], into: &mut Gathering<'_>) {
        if label == METRIC_NAME {
            let sets = matchers.iter().any(|m| m.name() != METRIC_NAME).then(|| select_sets(self, matchers));
            for metric in self.metrics_passing(matchers) {
                if into.is_over() {
                    return;
                }
                let feeds = &self.metrics[metric];
                if feeds.iter().any(|(schema, _)| is_among(&self.schemas[*schema as usize].rows, sets.as_ref())) {
                    into.add(metric);
                }
            }
        } else if let Some(values) = self.labels.get(label) {
            let rows = self.rows_with_metric(matchers);
            for (value, carry) in values {
                if into.is_over() {
                    return;
                }
                if is_among(carry, rows.as_ref()) {
                    into.add(value);
                }
            }
        }
    }

    /// The rows that have a series passing the matchers; `None` for all of them, where there is no matcher.
    fn rows_with_metric(&self, matchers: &[Matcher]) -> Option<RoaringBitmap> {
        let (by_name, by_label) = matchers.iter().partition::<Vec<_>, _>(|m| m.name() == METRIC_NAME);
        let named = (!by_name.is_empty()).then(|| {
            let feeds = self.metrics_passing(matchers).into_iter().flat_map(|metric| &self.metrics[metric]);
            let schemas: BTreeSet<u32> = feeds.map(|(schema, _)| *schema).collect();
            schemas.iter().map(|schema| &self.schemas[*schema as usize].rows).union()
        });
        match (named, by_label.is_empty()) {
            (named, true) => named,
            (None, false) => Some(select_sets(self, matchers)),
            (Some(named), false) => Some(named & select_sets(self, matchers)),
        }
    }

    /// Distinct values of each label.
    pub fn label_sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.labels.iter().map(|(name, values)| (&**name, values.len() as u64))
    }

    /// Series of each metric.
    pub fn metric_sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.metrics.iter().map(|(metric, feeds)| {
            (&**metric, feeds.iter().map(|(schema, _)| self.schemas[*schema as usize].rows.len()).sum())
        })
    }
}

/// Rows of a value that are looked up one by one: bitmaps are compared by going through both, which for a value that
/// tells hosts apart would be once through all that is looked for.
const LOOKED_UP_MAX: u64 = 16;

/// Whether any of `rows` is among those that are looked for; `None` looks for all.
fn is_among(rows: &RoaringBitmap, wanted: Option<&RoaringBitmap>) -> bool {
    wanted.map_or(!rows.is_empty(), |wanted| match rows.len() {
        ..=LOOKED_UP_MAX => rows.iter().any(|row| wanted.contains(row)),
        _ => !rows.is_disjoint(wanted),
    })
}

impl LabelIndex for Index {
    fn all(&self) -> RoaringBitmap {
        self.rows.iter().enumerate().filter(|(_, slot)| slot.is_some()).map(|(id, _)| id as u32).collect()
    }

    fn add_value(&self, label: &str, value: &str, into: &mut RoaringBitmap) {
        if let Some(rows) = self.labels.get(label).and_then(|values| values.get(value)) {
            *into |= rows;
        }
    }

    fn value_count(&self, label: &str) -> usize {
        self.labels.get(label).map_or(0, |values| values.len())
    }

    fn add_values(&self, label: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap) {
        for (_, rows) in self.labels.get(label).into_iter().flatten().filter(|(value, _)| pass(value)) {
            *into |= rows;
        }
    }
}
