//! Searches the rows of a database by their labels: for series, and for the names and values of labels.

use super::{Index, Slot};
use crate::memory::row::Row;
use crate::memory::schema::Field;
use hashbrown::HashMap;
use roaring::{MultiOps, RoaringBitmap};
use sealine_model::postings::{LabelIndex, TagIndex, name_passes, name_words};
use sealine_model::{Kind, Labels, LabelsKey, LimitedSet, METRIC_NAME, Matcher};
use std::cell::RefCell;
use std::sync::Arc;

/// The first and the last nanosecond that a look-up is about.
pub type Times = (i64, i64);

/// One series that memory has, or had until the last seal.
pub struct Selected {
    /// The metric's name.
    pub metric: Arc<str>,
    /// The key of its column.
    pub column: Arc<str>,
    /// The row that holds it.
    pub row: Arc<Row>,
    /// What tells its labels from all others.
    pub key: LabelsKey,
    /// The field, by its index in the row.
    pub field: u16,
    /// Of which kind its values are.
    pub kind: Kind,
}

impl Index {
    /// The series that pass the matchers.
    pub fn select(&self, matchers: &[Matcher]) -> Vec<Selected> {
        let names = self.metrics_passing(matchers);
        if names.is_empty() {
            return Vec::new();
        }
        let sets = self.view.select(self, matchers);
        let is_plain = self.view.is_plain(self);
        let mut found = Vec::new();
        for metric in names {
            for (rows, field) in self.rows_of(metric) {
                let rows = rows & &sets;
                sealine_base::work::count(1 + rows.len() as usize);
                for id in &rows {
                    let (row, schema) = self.row(id);
                    let Field { kind, column, .. } = &schema.fields[usize::from(field)];
                    let key = self.view.key(is_plain.then_some(row.tags_hash), &row.tags);
                    let (metric, column, kind) = (metric.clone(), column.clone(), *kind);
                    found.push(Selected { metric, column, row: row.clone(), key, field, kind });
                }
            }
        }
        found
    }

    /// Shows the labels of each series that passes the matchers, and may have a sample within the times, to
    /// `see`, until that says to stop.
    pub fn each_series(&self, matchers: &[Matcher], times: Times, mut see: impl FnMut(Labels) -> bool) {
        let sets = matchers.iter().any(|m| m.name() != METRIC_NAME).then(|| self.view.select(self, matchers));
        for metric in self.metrics_passing(matchers) {
            for (rows, field) in self.rows_of(metric) {
                let passing = sets.as_ref().map(|sets| rows & sets);
                for row in passing.as_ref().unwrap_or(rows).iter().map(|id| self.row(id).0) {
                    if row.may_have(Some(&[field]), times.0, times.1) && !see(self.view.series(metric, &row.tags)) {
                        return;
                    }
                }
            }
        }
    }

    /// The rows that have a metric, in several sets, each with the metric's field.
    fn rows_of(&self, metric: &str) -> impl Iterator<Item = (&RoaringBitmap, u16)> {
        let rows = |(schema, field): &(u32, u16)| {
            let (rows, field) = (self.schemas[*schema as usize].rows_with(*field), *field);
            rows.map(move |rows| (rows, field))
        };
        self.metrics.get(metric).into_iter().flatten().flat_map(rows)
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
            None => {
                sealine_base::work::count(self.metrics.len());
                self.metrics.keys().filter(|name| name_passes(matchers, name)).collect()
            }
        }
    }

    /// Adds the names of the labels that series have which pass the matchers and may have a sample within the times.
    pub fn label_names(&self, matchers: &[Matcher], times: Times, into: &mut LimitedSet<'_>) {
        let asked = Asked::new(self, matchers, times);
        let mut any = false;
        for (tag, values) in &self.tags {
            if into.is_over() {
                return;
            }
            let label = self.view.label(tag);
            if !into.has(&label) && values.values().any(|carry| asked.has_any(carry)) {
                into.add(&label);
                any = true;
            }
        }
        // Series need not have a tag.
        if any || asked.has_any(&self.all()) {
            into.add(METRIC_NAME);
            self.view.own().for_each(|(label, _)| into.add(label));
        }
    }

    /// Adds the values that `label` has in series which pass the matchers and may have a sample within the times.
    pub fn label_values(&self, label: &str, matchers: &[Matcher], times: Times, into: &mut LimitedSet<'_>) {
        if label == METRIC_NAME {
            let sets = matchers.iter().any(|m| m.name() != METRIC_NAME).then(|| self.view.select(self, matchers));
            for metric in self.metrics_passing(matchers) {
                if into.is_over() {
                    return;
                }
                let has_any = |(rows, field): (&RoaringBitmap, u16)| {
                    any_among(rows, sets.as_ref(), |id| self.row(id).0.may_have(Some(&[field]), times.0, times.1))
                };
                if self.rows_of(metric).any(has_any) {
                    into.add(metric);
                }
            }
        } else if let Some(value) = self.view.own_value(label) {
            if Asked::new(self, matchers, times).has_any(&self.all()) {
                into.add(value);
            }
        } else {
            let asked = Asked::new(self, matchers, times);
            let tags = self.tags.iter().filter(|(tag, _)| *self.view.label(tag) == *label);
            for (value, carry) in tags.flat_map(|(_, values)| values) {
                if into.is_over() {
                    return;
                }
                if asked.has_any(carry) {
                    into.add(value);
                }
            }
        }
    }

    /// The rows, in order of their numbers.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.rows.iter().flatten().map(|slot| &slot.row)
    }

    /// How many series each row has, by its number.
    pub fn series_by_row(&self) -> Vec<u32> {
        let series = |slot: &Slot| self.schemas[slot.schema as usize].of_row(slot.fields).fields.len() as u32;
        self.rows.iter().map(|slot| slot.as_ref().map_or(0, series)).collect()
    }

    /// Each tag with each of its values, and the rows that have it.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, &RoaringBitmap)> {
        self.tags.iter().flat_map(|(name, values)| values.iter().map(move |(value, rows)| (&**name, &**value, rows)))
    }

    /// Series of each metric.
    pub fn metric_sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.metrics.keys().map(|metric| (&**metric, self.rows_of(metric).map(|(rows, _)| rows.len()).sum()))
    }
}

/// Which rows a look-up asks for: those with a series that passes the matchers and may have a sample within the times.
struct Asked<'i> {
    index: &'i Index,
    /// The rows that pass the matchers on labels and have a metric that passes those on names; `None` for all.
    rows: Option<RoaringBitmap>,
    /// By schema, the fields whose metrics pass; `None` for all.
    fields: Option<HashMap<u32, Vec<u16>>>,
    times: Times,
    /// Rows whose samples were looked at already, so that a row with many labels is looked at once: those that may have
    /// one, and those that have none.
    seen: RefCell<(RoaringBitmap, RoaringBitmap)>,
}

impl<'i> Asked<'i> {
    fn new(index: &'i Index, matchers: &[Matcher], times: Times) -> Self {
        let (by_name, by_label) = matchers.iter().partition::<Vec<_>, _>(|m| m.name() == METRIC_NAME);
        let fields = (!by_name.is_empty()).then(|| {
            let mut fields: HashMap<u32, Vec<u16>> = HashMap::new();
            for (schema, field) in index.metrics_passing(matchers).into_iter().flat_map(|name| &index.metrics[name]) {
                fields.entry(*schema).or_default().push(*field);
            }
            fields
        });
        let named = fields.as_ref().map(|fields: &HashMap<u32, _>| -> RoaringBitmap {
            // Who has a field of a schema has all that come before it.
            let first = |fields: &Vec<u16>| fields.iter().copied().min().unwrap_or(0);
            let rows = |(schema, fields): (&u32, &Vec<u16>)| index.schemas[*schema as usize].rows_with(first(fields));
            fields.iter().flat_map(rows).union()
        });
        let rows = match (named, by_label.is_empty()) {
            (named, true) => named,
            (None, false) => Some(index.view.select(index, matchers)),
            (Some(named), false) => Some(named & index.view.select(index, matchers)),
        };
        Asked { index, rows, fields, times, seen: RefCell::default() }
    }

    /// Whether any of these rows is asked for.
    fn has_any(&self, rows: &RoaringBitmap) -> bool {
        any_among(rows, self.rows.as_ref(), |id| self.may_have(id))
    }

    /// Whether a row, which is among [`Self::rows`], may have a sample within the times.
    fn may_have(&self, id: u32) -> bool {
        let (have, lack) = &mut *self.seen.borrow_mut();
        if have.contains(id) || lack.contains(id) {
            return have.contains(id);
        }
        let slot = self.index.rows[id as usize].as_ref().expect("BUG: a label outlived its row");
        let fields = self.fields.as_ref().map(|fields| fields.get(&slot.schema).map_or(&[][..], Vec::as_slice));
        let may_have = slot.row.may_have(fields, self.times.0, self.times.1);
        if may_have { have } else { lack }.insert(id);
        may_have
    }
}

/// Rows of a value that are looked up one by one: bitmaps are compared by going through both, which for a value that
/// tells hosts apart would be once through all that is looked for.
const LOOKED_UP_MAX: u64 = 16;

/// Whether any of `rows` is among those that are looked for and `passes`; `None` looks for all.
fn any_among(rows: &RoaringBitmap, wanted: Option<&RoaringBitmap>, passes: impl Fn(u32) -> bool) -> bool {
    sealine_base::work::count(1 + rows.len() as usize);
    match wanted {
        None => rows.iter().any(passes),
        Some(wanted) if rows.len() <= LOOKED_UP_MAX => rows.iter().any(|row| wanted.contains(row) && passes(row)),
        Some(wanted) => (rows & wanted).iter().any(passes),
    }
}

impl TagIndex for Index {
    fn each_tag(&self, see: &mut dyn FnMut(&str)) {
        self.tags.keys().for_each(|tag| see(tag));
    }
}

impl LabelIndex for Index {
    fn all(&self) -> RoaringBitmap {
        self.rows.iter().enumerate().filter(|(_, slot)| slot.is_some()).map(|(id, _)| id as u32).collect()
    }

    fn add_value(&self, tag: &str, value: &str, into: &mut RoaringBitmap) {
        if let Some(rows) = self.tags.get(tag).and_then(|values| values.get(value)) {
            sealine_base::work::count(rows.len() as usize);
            *into |= rows;
        }
    }

    fn value_count(&self, tag: &str) -> usize {
        self.tags.get(tag).map_or(0, |values| values.len())
    }

    fn add_values(&self, tag: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap) {
        sealine_base::work::count(self.value_count(tag));
        for (_, rows) in self.tags.get(tag).into_iter().flatten().filter(|(value, _)| pass(value)) {
            sealine_base::work::count(rows.len() as usize);
            *into |= rows;
        }
    }
}
