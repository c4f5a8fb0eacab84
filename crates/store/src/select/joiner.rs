//! Joins what was found into series: one metric and one label set are one series, wherever its samples are, and whichever
//! columns they are in.

use crate::disk::FileSeries;
use crate::memory::Row;
use hashbrown::{HashMap, HashSet};
use sealine_model::{Column, Kind, LabelView, LabelsKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Pairs of columns that an answer names; beyond that it says how many there are.
const NAMED_PAIRS_MAX: usize = 10;

/// Where samples of a series are.
pub enum Part {
    File { file: u32, series: FileSeries, kind: Kind },
    Memory { row: Arc<Row>, field: u16, kind: Kind },
}

/// A series, as PromQL sees it.
pub struct Series {
    pub metric: Arc<str>,
    /// Number of its database's view.
    pub view: u32,
    /// The column of its first part, and how its tags are spelled.
    column: u32,
    spelling: u64,
    /// Whether another part is of another column, or spelled otherwise.
    is_mixed: bool,
    /// Range in [`Joined::parts`].
    from: u32,
    to: u32,
}

struct Placed {
    series: u32,
    column: u32,
    spelling: u64,
    part: Part,
}

/// A column and the metric that it feeds, by their numbers.
#[derive(Clone, Copy)]
pub struct Feed {
    metric: u32,
    column: u32,
}

/// Collects parts under the series they belong to.
#[derive(Default)]
pub struct Joiner {
    metrics: Numbered,
    columns: Numbered,
    known: HashMap<(u32, u128), u32>,
    pub views: Vec<Arc<LabelView>>,
    series: Vec<Series>,
    parts: Vec<Placed>,
    /// The series that several columns or tag sets feed.
    mixed: Vec<u32>,
}

/// Series with their parts.
pub struct Joined {
    pub series: Vec<Series>,
    pub views: Vec<Arc<LabelView>>,
    /// By series; of one, in the order in which they count.
    parts: Vec<Placed>,
    mixed: Vec<u32>,
    /// The keys of columns, by their numbers.
    columns: Vec<Arc<str>>,
}

/// Texts, each with a number.
#[derive(Default)]
struct Numbered {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Numbered {
    fn number(&mut self, text: impl AsRef<str> + Into<Arc<str>>) -> u32 {
        if let Some(number) = self.numbers.get(text.as_ref()) {
            return *number;
        }
        let (text, number) = (text.into(), self.texts.len() as u32);
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }
}

impl Joiner {
    /// The column with this key, which feeds this metric.
    pub fn feed(&mut self, metric: &Arc<str>, column: impl AsRef<str> + Into<Arc<str>>) -> Feed {
        Feed { metric: self.metrics.number(metric.clone()), column: self.columns.number(column) }
    }

    /// Adds a part of the series with this metric and these labels, of the database whose view came last.
    pub fn add(&mut self, Feed { metric, column }: Feed, key: LabelsKey, part: Part) {
        let LabelsKey { labels, spelling } = key;
        let number = *self.known.entry((metric, labels)).or_insert_with(|| {
            let (metric, view) = (self.metrics.texts[metric as usize].clone(), self.views.len() as u32 - 1);
            self.series.push(Series { metric, view, column, spelling, is_mixed: false, from: 0, to: 0 });
            self.series.len() as u32 - 1
        });
        let series = &mut self.series[number as usize];
        if (series.column, series.spelling) != (column, spelling) && !series.is_mixed {
            series.is_mixed = true;
            self.mixed.push(number);
        }
        self.parts.push(Placed { series: number, column, spelling, part });
    }

    /// Bytes that it takes in memory, but for the names of metrics and columns.
    pub fn heap_bytes(&self) -> usize {
        let known = self.known.capacity() * size_of::<((u32, u128), u32)>();
        let series = self.series.capacity() * size_of::<Series>() + self.mixed.capacity() * size_of::<u32>();
        known + series + self.parts.capacity() * size_of::<Placed>()
    }

    /// Series with their parts together, in the order in which those were added. Parts in one file, or in memory, that are
    /// of different columns or tag sets come in order of these: nothing tells which was written first, and this order is one
    /// that neither a seal nor a start changes.
    pub fn finish(self) -> Joined {
        let Joiner { mut series, mut parts, mixed, views, columns: Numbered { texts: columns, .. }, .. } = self;
        parts.sort_by_key(|placed| placed.series);
        for (at, placed) in parts.iter().enumerate() {
            let series = &mut series[placed.series as usize];
            if series.to == 0 {
                series.from = at as u32;
            }
            series.to = at as u32 + 1;
        }
        if !mixed.is_empty() {
            let ranks = ranks(&columns);
            for number in &mixed {
                let Series { from, to, .. } = series[*number as usize];
                parts[from as usize..to as usize].sort_by_key(|placed| {
                    let file = if let Part::File { file, .. } = placed.part { file } else { u32::MAX };
                    (file, ranks[placed.column as usize], placed.spelling)
                });
            }
        }
        Joined { series, views, parts, mixed, columns }
    }
}

/// The place of each column in the order of their keys. What was kept as a metric was there before fields were.
fn ranks(columns: &[Arc<str>]) -> Vec<u32> {
    sealine_base::work::count(columns.len());
    let mut order: Vec<u32> = (0..columns.len() as u32).collect();
    order.sort_by_key(|number| {
        let key = &*columns[*number as usize];
        (field(key).is_some(), key)
    });
    let mut ranks = vec![0; columns.len()];
    order.iter().enumerate().for_each(|(rank, number)| ranks[*number as usize] = rank as u32);
    ranks
}

/// Measurement and field of a column, whatever its kind; `None` of one that was kept as a metric.
fn field(key: &str) -> Option<(&str, &str)> {
    match Column::of(key) {
        Column::Field { measurement, field, .. } => Some((measurement, field)),
        Column::Metric(_) => None,
    }
}

impl Joined {
    /// The parts of a series, in the order in which they count.
    pub fn parts(&self, series: usize) -> impl Iterator<Item = &Part> {
        self.placed(series).iter().map(|placed| &placed.part)
    }

    fn placed(&self, series: usize) -> &[Placed] {
        let Series { from, to, .. } = self.series[series];
        &self.parts[from as usize..to as usize]
    }

    /// A sentence for each two fields that naming makes one series here, of parts that may have samples.
    pub fn collisions(&self, may_have: impl Fn(&Part) -> bool) -> Vec<String> {
        let (mut met, mut sentences) = (HashSet::new(), BTreeSet::new());
        for series in &self.mixed {
            let mut first = None;
            for Placed { column, part, .. } in self.placed(*series as usize) {
                let Some(other) = field(&self.columns[*column as usize]) else { continue };
                match first {
                    None if may_have(part) => first = Some((*column, other)),
                    Some((one, field)) if field != other && !met.contains(&(one, *column)) && may_have(part) => {
                        met.insert((one, *column));
                        let ((m1, f1), (m2, f2)) = (field.min(other), field.max(other));
                        sentences.insert(format!(
                            "the metric {:?} merges the columns {m1:?}.{f1:?} and {m2:?}.{f2:?}: rename one, or change [naming]",
                            self.series[*series as usize].metric
                        ));
                    }
                    _ => {}
                }
            }
        }
        let more = sentences.len().saturating_sub(NAMED_PAIRS_MAX);
        let mut sentences: Vec<_> = sentences.into_iter().take(NAMED_PAIRS_MAX).collect();
        if more > 0 {
            sentences.push(format!("there are {more} more pairs of columns that metrics merge"));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealine_model::{Labels, Naming};

    const KEY: LabelsKey = LabelsKey { labels: 0, spelling: 0 };

    /// What is said of columns that all feed one series.
    fn collisions(columns: &[Column<'_>]) -> Vec<String> {
        let mut joiner = Joiner::default();
        joiner.views.push(Arc::new(LabelView::new(Arc::new(Naming::default()), "story")));
        let row = Arc::new(Row::new(0, Labels::empty()));
        for (field, column) in columns.iter().enumerate() {
            let feed = joiner.feed(&"m".into(), column.key());
            joiner.add(feed, KEY, Part::Memory { row: row.clone(), field: field as u16, kind: column.kind() });
        }
        let joined = joiner.finish();
        assert_eq!((joined.series.len(), joined.parts(0).count()), (1, columns.len()));
        joined.collisions(|_| true)
    }

    #[test]
    fn a_field_collides_neither_with_its_own_kinds_nor_with_what_was_kept_as_a_metric() {
        let field = |kind| Column::Field { measurement: "m", field: "value", kind };
        let columns = [field(Kind::Integer), Column::Metric("m"), field(Kind::Float), field(Kind::WideInteger)];
        assert_eq!(collisions(&columns), Vec::<String>::new());
    }

    #[test]
    fn each_pair_is_named_once_and_many_are_counted() {
        let field = |field, kind| Column::Field { measurement: "m", field, kind };
        let sentence =
            "the metric \"m\" merges the columns \"m\".\"a b\" and \"m\".\"a.b\": rename one, or change [naming]";
        let columns = [field("a.b", Kind::Float), field("a b", Kind::Integer), field("a b", Kind::Float)];
        assert_eq!(collisions(&columns), [sentence]);

        let names: Vec<String> = (0..14).map(|number| format!("f{number:02}")).collect();
        let columns: Vec<Column<'_>> = names.iter().map(|name| field(name, Kind::Float)).collect();
        let told = collisions(&columns);
        assert_eq!((told.len(), &*told[10]), (11, "there are 3 more pairs of columns that metrics merge"));
    }

    #[test]
    fn parts_in_memory_come_in_order_of_their_columns_behind_what_was_kept_as_a_metric() {
        let mut joiner = Joiner::default();
        joiner.views.push(Arc::new(LabelView::new(Arc::new(Naming::default()), "story")));
        let row = Arc::new(Row::new(0, Labels::empty()));
        let keys = ["m\0b\0f", "m\0a\0i", "z", "m\0a\0f"];
        for (field, key) in keys.into_iter().enumerate() {
            let feed = joiner.feed(&"m".into(), key);
            joiner.add(feed, KEY, Part::Memory { row: row.clone(), field: field as u16, kind: Kind::Float });
        }
        let joined = joiner.finish();
        let fields = joined.parts(0).map(|part| match part {
            Part::Memory { field, .. } => keys[usize::from(*field)],
            Part::File { .. } => "",
        });
        assert_eq!(fields.collect::<Vec<_>>(), ["z", "m\0a\0f", "m\0a\0i", "m\0b\0f"]);
    }
}
