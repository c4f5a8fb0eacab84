//! `topk`, `bottomk`, `limitk`: some series of each group, chosen anew at each step.

use super::Groups;
use crate::promql::error::QueryError;
use crate::promql::eval::{Held, Metric, Run, Scratch, Trimmed, Vector, spread};
use crate::promql::functions::by_value;
use crate::promql::grid::{ABSENT, is_absent};
use crate::promql::plan::Grouping;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

/// Which series come first. Of equal values the one that comes first in the vector does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Largest,
    Smallest,
    /// The first in the vector, whatever their values.
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
    let mut groups: Groups<Vec<Best>> = Groups::new();
    let job = |indices: Range<usize>, scratch: &mut Scratch<'q>| {
        let mut part: Groups<Vec<Best>> = Groups::new();
        let mut column = scratch.take_column(steps);
        for index in indices {
            vector.fill(index, scratch, &mut column)?;
            let metric = if grouping.is_one() { Metric::empty() } else { grouping.of(&vector.metric(index)) };
            let best = part.entry(metric, || vec![Best::default(); steps]);
            for (step, value) in column.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                best[step].add(order, counts[step], (*value, index));
            }
        }
        scratch.give_column(column);
        Ok(part)
    };
    spread(run, vector.len(), job, |part| {
        for (metric, found) in part.found {
            let best = groups.entry(metric, || vec![Best::default(); steps]);
            let mut held = 0;
            for (step, found) in found.into_iter().enumerate() {
                let before = best[step].0.len();
                found.0.into_iter().for_each(|entry| best[step].add(order, counts[step], entry));
                held += best[step].0.len().saturating_sub(before);
            }
            run.budget.hold_points(held)?;
        }
        Ok(())
    })?;
    let chosen = groups.found.into_iter().map(|(_, best)| best).collect();
    Ok(collect(vector, order, &counts, chosen))
}

/// Turns what was chosen at each step back into series.
fn collect(vector: &dyn Vector, order: Order, counts: &[usize], groups: Vec<Vec<Best>>) -> Held {
    let steps = counts.len();
    let mut columns: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
    let mut ranked = Vec::new();
    for group in groups {
        for (step, mut best) in group.into_iter().enumerate() {
            best.cut(order, counts[step]);
            best.0.sort_by(|a, b| order.compare(a, b));
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
        (vector.metric(index), Trimmed::of(&column))
    });
    Held { series: series.collect() }
}

impl Order {
    fn compare(self, a: &(f64, usize), b: &(f64, usize)) -> Ordering {
        let values = match self {
            Order::Largest => by_value(true, a.0, b.0),
            Order::Smallest => by_value(false, a.0, b.0),
            Order::First => Ordering::Equal,
        };
        values.then(a.1.cmp(&b.1))
    }
}

/// The best entries so far: at most twice as many as are wanted, cut down whenever there are more.
#[derive(Debug, Default, Clone)]
struct Best(Vec<(f64, usize)>);

impl Best {
    fn add(&mut self, order: Order, count: usize, entry: (f64, usize)) {
        if count == 0 {
            return;
        }
        self.0.push(entry);
        if self.0.len() >= 2 * count + 8 {
            self.cut(order, count);
        }
    }

    fn cut(&mut self, order: Order, count: usize) {
        if self.0.len() > count && count > 0 {
            self.0.select_nth_unstable_by(count - 1, |a, b| order.compare(a, b));
            self.0.truncate(count);
        }
    }
}
