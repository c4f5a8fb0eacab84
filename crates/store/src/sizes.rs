//! What the memory tier is made of, over all databases: which metrics, labels and values have the most series.

use super::Store;
use hashbrown::HashMap;
use roaring::RoaringBitmap;
use sealine_model::{METRIC_NAME, ms_of_ns};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Bytes of a label in a row besides its texts: their lengths.
const LENGTHS_BYTES: u64 = 2;

/// Counts over all databases; a metric, label or value of several counts once. Lists have their largest entries first.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Series.
    pub series: u64,
    /// Different pairs of a label and a value; `__name__` is a label.
    pub label_pairs: u64,
    /// Chunks; what a series has that is not encoded yet is one.
    pub chunks: u64,
    /// The first and the last time of samples, milliseconds since the epoch; `None` where there is none.
    pub times: Option<(i64, i64)>,
    /// Metrics, by series.
    pub metrics: Vec<(String, u64)>,
    /// Labels, by different values.
    pub labels: Vec<(String, u64)>,
    /// Labels, by the bytes of their texts: each row holds those of its labels, and a metric's name is held once.
    pub label_bytes: Vec<(String, u64)>,
    /// Pairs, written `name=value`, by series.
    pub pairs: Vec<(String, u64)>,
}

/// A size, and what has it: of equal sizes the first name counts as larger.
type Entry<'a> = (u64, Reverse<(&'a str, &'a str)>);

/// Keeps the `most` largest of what is added; of equal ones, the first by name.
struct Largest<'a> {
    most: usize,
    heap: BinaryHeap<Reverse<Entry<'a>>>,
}

impl<'a> Largest<'a> {
    fn new(most: usize) -> Self {
        Largest { most, heap: BinaryHeap::new() }
    }

    fn add(&mut self, name: (&'a str, &'a str), size: u64) {
        self.heap.push(Reverse((size, Reverse(name))));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    fn finish(self, write: impl Fn(&str, &str) -> String) -> Vec<(String, u64)> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted.map(|Reverse((size, Reverse((name, value))))| (write(name, value), size)).collect()
    }
}

/// How many of these rows have series, and how many they have, where each is given by how many it has.
fn add_up(rows: impl Iterator<Item = u32>) -> (u64, u64) {
    rows.filter(|series| *series > 0).fold((0, 0), |(rows, sum), series| (rows + 1, sum + u64::from(series)))
}

impl Store {
    /// What the memory tier is made of; each list has at most `most` entries.
    pub fn sizes(&self, most: usize) -> Sizes {
        let (databases, mut sizes) = (self.databases.all(), Sizes::default());
        // All at once, so that names are borrowed, not copied: there may be millions.
        let indexes: Vec<_> = databases.iter().map(|database| database.index.read()).collect();
        let mut metrics: HashMap<&str, u64> = HashMap::new();
        let mut labels: HashMap<Cow<'_, str>, (HashMap<&str, u64>, u64)> = HashMap::new();
        for index in &indexes {
            for (metric, series) in index.metric_sizes().filter(|(_, series)| *series > 0) {
                *metrics.entry(metric).or_default() += series;
            }
            let series_by_row = index.series_by_row();
            let view = index.view();
            let all = add_up(series_by_row.iter().copied());
            let some = |rows: &RoaringBitmap| add_up(rows.iter().map(|row| series_by_row[row as usize]));
            let own = view.own().map(|(label, value)| (Cow::from(label), value, all));
            let tags = index.pairs().map(|(tag, value, rows)| (view.label(tag), value, some(rows)));
            for (label, value, (rows, series)) in own.chain(tags) {
                if rows > 0 {
                    let each = (label.len() + value.len()) as u64 + LENGTHS_BYTES;
                    let (values, bytes) = labels.entry(label).or_default();
                    *values.entry(value).or_default() += series;
                    *bytes += rows * each;
                }
            }
            for (chunks, first, last) in index.rows().filter_map(|row| row.extent()) {
                sizes.chunks += chunks;
                let times = sizes.times.get_or_insert((first, last));
                *times = (times.0.min(first), times.1.max(last));
            }
        }
        sizes.times = sizes.times.map(|(first, last)| (ms_of_ns(first), ms_of_ns(last)));
        sizes.series = metrics.values().sum();
        if !metrics.is_empty() {
            let bytes = |metric: &&str| (METRIC_NAME.len() + metric.len()) as u64 + LENGTHS_BYTES;
            let bytes = metrics.keys().map(bytes).sum();
            labels.insert(METRIC_NAME.into(), (metrics.clone(), bytes));
        }
        let [mut by_series, mut by_values, mut by_bytes, mut pairs] = [0; 4].map(|_| Largest::new(most));
        metrics.iter().for_each(|(metric, series)| by_series.add((metric, ""), *series));
        for (label, (values, bytes)) in &labels {
            sizes.label_pairs += values.len() as u64;
            by_values.add((label, ""), values.len() as u64);
            by_bytes.add((label, ""), *bytes);
            values.iter().for_each(|(value, series)| pairs.add((label, value), *series));
        }
        let name = |name: &str, _: &str| name.to_string();
        (sizes.metrics, sizes.labels) = (by_series.finish(name), by_values.finish(name));
        (sizes.label_bytes, sizes.pairs) =
            (by_bytes.finish(name), pairs.finish(|name, value| format!("{name}={value}")));
        sizes
    }

    /// The metrics that have series in memory, sorted.
    pub fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for database in self.databases.all() {
            let index = database.index.read();
            let sizes = index.metric_sizes().filter(|(_, series)| *series > 0);
            names.extend(sizes.map(|(metric, _)| metric.to_string()));
        }
        names
    }
}
