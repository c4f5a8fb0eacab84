//! `topk`, `bottomk`, `limitk`: some series of each group, chosen anew at each step.

use super::Groups;
use crate::error::QueryError;
use crate::eval::{Held, Metric, Run, Scratch, Trimmed, Vector, spread};
use crate::functions::by_value;
use crate::grid::{ABSENT, is_absent};
use crate::plan::Grouping;
use hashbrown::HashMap;
use parking_lot::Mutex;
use sealine_model::Labels;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

/// Which series come first. Of equal values the one whose labels come first does: where storage holds a series, on
/// which its number in the vector depends, must not show in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Largest,
    Smallest,
    /// The first by their labels, whatever their values.
    First,
}

/// Keeps the first `counts[step]` series of each group at each step. The answer of an instant query is in rank order.
pub(super) fn rank<'q>(
    run: &'q Run<'q>,
    grouping: &Grouping,
    order: Order,
    counts: Vec<f64>,
    vector: &dyn Vector,
) -> Result<Held, QueryError> {
    let steps = counts.len();
    // More than there are series is all of them; less than one is none.
    let counts: Vec<usize> = counts.iter().map(|count| (*count as usize).min(vector.len())).collect();
    let ranking = Ranking::new(order, vector);
    let bytes = steps * size_of::<Best>();
    let mut groups: Groups<Vec<Best>> = Groups::new(run)?;
    let job = |indices: Range<usize>, scratch: &mut Scratch<'q>| {
        let mut part: Groups<Vec<Best>> = Groups::new(run)?;
        let mut column = scratch.take_column(steps);
        for index in indices {
            vector.fill(index, scratch, &mut column)?;
            let metric = if grouping.is_one() { Metric::empty() } else { grouping.of(&vector.metric(index)) };
            let best = part.entry(metric, bytes, || vec![Best::default(); steps])?;
            for (step, value) in column.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                best[step].add(&ranking, counts[step], (*value, index));
            }
        }
        scratch.give_column(column);
        Ok(part)
    };
    spread(run, vector.len(), job, |part| {
        for (metric, found) in part.found {
            let best = groups.entry(metric, bytes, || vec![Best::default(); steps])?;
            let mut held = 0;
            for (step, found) in found.into_iter().enumerate() {
                let before = best[step].0.len();
                found.0.into_iter().for_each(|entry| best[step].add(&ranking, counts[step], entry));
                held += best[step].0.len().saturating_sub(before);
            }
            run.budget.grow(&mut groups.hold, held * size_of::<(f64, usize)>())?;
        }
        Ok(())
    })?;
    let chosen = groups.found.into_iter().map(|(_, best)| best).collect();
    Held::made(run, collect(&ranking, &counts, chosen))
}

/// Turns what was chosen at each step back into series.
fn collect(ranking: &Ranking<'_>, counts: &[usize], groups: Vec<Vec<Best>>) -> Vec<(Metric, Trimmed)> {
    let steps = counts.len();
    let mut columns: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
    let mut ranked = Vec::new();
    for group in groups {
        for (step, mut best) in group.into_iter().enumerate() {
            best.cut(ranking, counts[step]);
            best.0.sort_by(|a, b| ranking.compare(a, b));
            best.0.truncate(counts[step]);
            for (value, index) in best.0 {
                columns.entry(index).or_default().push((step, value));
                ranked.push(index);
            }
        }
    }
    if steps != 1 {
        ranked = columns.keys().copied().collect();
    }
    let mut column = vec![ABSENT; steps];
    let series = ranked.into_iter().map(|index| {
        column.fill(ABSENT);
        columns[&index].iter().for_each(|(step, value)| column[*step] = *value);
        (ranking.vector.metric(index), Trimmed::of(&column))
    });
    series.collect()
}

/// Entries that are as good as the last one that is wanted: so many may wait to be told apart by their labels, which is
/// costly and in most cases not needed in the end.
const TIES_MAX: usize = 64;

/// An order over (value, number of the series).
struct Ranking<'a> {
    order: Order,
    vector: &'a dyn Vector,
    /// Labels of series that had to be told apart.
    labels: Mutex<HashMap<usize, Labels>>,
    /// Where each series stands among the labels of all; found out when too many had to be.
    places: OnceLock<Vec<usize>>,
}

impl<'a> Ranking<'a> {
    fn new(order: Order, vector: &'a dyn Vector) -> Self {
        Ranking { order, vector, labels: Mutex::default(), places: OnceLock::new() }
    }

    fn compare_values(&self, a: &(f64, usize), b: &(f64, usize)) -> Ordering {
        match self.order {
            Order::Largest => by_value(true, a.0, b.0),
            Order::Smallest => by_value(false, a.0, b.0),
            Order::First => Ordering::Equal,
        }
    }

    fn compare(&self, a: &(f64, usize), b: &(f64, usize)) -> Ordering {
        self.compare_values(a, b).then_with(|| match self.places.get() {
            Some(places) => places[a.1].cmp(&places[b.1]),
            None => self.labels(a.1).cmp(&self.labels(b.1)),
        })
    }

    fn labels(&self, series: usize) -> Labels {
        self.labels.lock().entry(series).or_insert_with(|| self.vector.metric(series).labels).clone()
    }

    /// Finds out all places at once, for when many are compared.
    fn place_all(&self) {
        self.places.get_or_init(|| places(self.vector));
    }
}

/// The place of each series in the order of their labels.
fn places(vector: &dyn Vector) -> Vec<usize> {
    let labels: Vec<Labels> = (0..vector.len()).map(|index| vector.metric(index).labels).collect();
    let mut sorted: Vec<usize> = (0..labels.len()).collect();
    sorted.sort_by(|a, b| labels[*a].cmp(&labels[*b]));
    let mut places = vec![0; sorted.len()];
    sorted.into_iter().enumerate().for_each(|(place, index)| places[index] = place);
    places
}

/// The best entries so far, and some that may be as good as the last of them; cut down whenever there are many more.
#[derive(Debug, Default, Clone)]
struct Best(Vec<(f64, usize)>);

impl Best {
    fn add(&mut self, ranking: &Ranking<'_>, count: usize, entry: (f64, usize)) {
        if count == 0 {
            return;
        }
        self.0.push(entry);
        if self.0.len() >= 2 * (count + TIES_MAX) {
            self.cut(ranking, count);
        }
    }

    /// Leaves those that are wanted and those that are as good as the last of them, unless these are too many.
    fn cut(&mut self, ranking: &Ranking<'_>, count: usize) {
        if self.0.len() <= count || count == 0 {
            return;
        }
        self.0.select_nth_unstable_by(count - 1, |a, b| ranking.compare_values(a, b));
        let last = self.0[count - 1];
        self.0.retain(|entry| ranking.compare_values(entry, &last) != Ordering::Greater);
        if self.0.len() > count + TIES_MAX {
            ranking.place_all();
            self.0.select_nth_unstable_by(count - 1, |a, b| ranking.compare(a, b));
            self.0.truncate(count);
        }
    }
}
