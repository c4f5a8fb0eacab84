//! `info`: adds to each series the labels of the info series (`target_info`) that describe the same target.

use crate::error::QueryError;
use crate::eval::{BoxedVector, Columns, Metric, Renamed, Run, Scratch, Trimmed, Vector, columns};
use crate::grid::{ABSENT, is_absent};
use hashbrown::HashMap;
use sealine_model::{Labels, METRIC_NAME, Matcher};

/// The labels that say which target a series is about.
const IDENTITY: [&str; 2] = ["instance", "job"];

/// Enriches `vector` by the series of `infos`, whose values are the times of their samples. `names` matches the names
/// of info series; `data` says which of their labels to take (all where it is empty).
pub(crate) fn info<'q>(
    run: &'q Run<'q>,
    vector: BoxedVector<'q>,
    infos: BoxedVector<'q>,
    names: &[Matcher],
    data: &[Matcher],
    steps: usize,
) -> Result<BoxedVector<'q>, QueryError> {
    let Columns { columns: seen, hold: _hold } = columns(run, &*infos, steps)?;
    let found = seen.into_iter().enumerate().map(|(index, seen)| (infos.metric(index).labels, seen));
    let mut targets: HashMap<Labels, Vec<(Labels, Trimmed)>> = HashMap::new();
    for (labels, seen) in found {
        targets.entry(identity(&labels)).or_default().push((labels, seen));
    }
    let optional = data.iter().all(Matcher::matches_absent);
    let (mut parts, mut metrics) = (Vec::new(), Vec::new());
    for index in 0..vector.len() {
        let metric = vector.metric(index);
        let target = identity(&metric.labels);
        let is_info = is_info(names, metric.labels.metric_name());
        let described = targets.get(&target).filter(|_| !is_info && !target.is_empty());
        let Some(described) = described else {
            if optional || is_info {
                parts.push((index, None));
                metrics.push(metric);
            }
            continue;
        };
        for (labels, mask) in phases(&metric.labels, described, data, optional, steps)? {
            parts.push((index, Some(mask)));
            metrics.push(Metric { labels, ..metric });
        }
    }
    Ok(Renamed::new(Box::new(Phased { vector, parts }), metrics).into_merged())
}

/// Whether a series is one of those that others are enriched with.
fn is_info(names: &[Matcher], name: &str) -> bool {
    names.iter().all(|matcher| matcher.matches(name))
}

fn identity(labels: &Labels) -> Labels {
    labels.only(|name| IDENTITY.contains(&name))
}

/// The label sets that a series has over time, each with the steps at which it has them.
fn phases(
    base: &Labels,
    described: &[(Labels, Trimmed)],
    data: &[Matcher],
    optional: bool,
    steps: usize,
) -> Result<Vec<(Labels, Vec<bool>)>, QueryError> {
    let mut phases: Vec<(Vec<usize>, Vec<bool>)> = Vec::new();
    for step in 0..steps {
        let newest = newest(described, step)?;
        if newest.is_empty() && !optional {
            continue;
        }
        let at = phases.iter().position(|(chosen, _)| *chosen == newest).unwrap_or(phases.len());
        if at == phases.len() {
            phases.push((newest, vec![false; steps]));
        }
        phases[at].1[step] = true;
    }
    let enriched = phases.into_iter().map(|(chosen, mask)| {
        let infos = chosen.iter().map(|index| &described[*index].0);
        Ok((enrich(base, infos, data)?, mask))
    });
    enriched.collect()
}

/// The info series that hold at a step: of each metric name the one with the newest sample.
fn newest(described: &[(Labels, Trimmed)], step: usize) -> Result<Vec<usize>, QueryError> {
    let mut chosen: Vec<usize> = Vec::new();
    for (index, (labels, seen)) in described.iter().enumerate() {
        let time = seen.at(step);
        if is_absent(time) {
            continue;
        }
        let rival = chosen.iter_mut().find(|other| described[**other].0.metric_name() == labels.metric_name());
        let Some(other) = rival else {
            chosen.push(index);
            continue;
        };
        let (other_labels, other_seen) = &described[*other];
        if other_seen.at(step) == time {
            let sentence =
                format!("found duplicate series for info metric: {other_labels} and {labels}, both at {time}s");
            return Err(QueryError::Execution(sentence));
        }
        if other_seen.at(step) < time {
            *other = index;
        }
    }
    Ok(chosen)
}

/// The labels of a series and of its info series. What the series has stays; info series must agree.
fn enrich<'a>(base: &Labels, infos: impl Iterator<Item = &'a Labels>, data: &[Matcher]) -> Result<Labels, QueryError> {
    let mut enriched = base.to_builder();
    let mut added: HashMap<&str, &str> = HashMap::new();
    for labels in infos {
        let wanted = |name: &str| data.is_empty() || data.iter().any(|matcher| matcher.name() == name);
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME && wanted(name)) {
            if base.get(name).is_some() {
                continue;
            }
            if added.insert(name, value).is_some_and(|other| other != value) {
                return Err(QueryError::Execution(format!("conflicting label {name:?} in the info series of {base}")));
            }
            enriched.set(name, value);
        }
    }
    Ok(enriched.build())
}

/// Parts of the series of a vector.
struct Phased<'q> {
    vector: BoxedVector<'q>,
    /// The series, and the steps that are given out; all where `None`.
    parts: Vec<(usize, Option<Vec<bool>>)>,
}

impl Vector for Phased<'_> {
    fn len(&self) -> usize {
        self.parts.len()
    }

    fn metric(&self, index: usize) -> Metric {
        self.vector.metric(self.parts[index].0)
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let (series, mask) = &self.parts[index];
        self.vector.fill(*series, scratch, column)?;
        if let Some(mask) = mask {
            column.iter_mut().zip(mask).filter(|(_, given)| !**given).for_each(|(slot, _)| *slot = ABSENT);
        }
        Ok(())
    }
}
