//! Arithmetic and comparisons between vectors: finds out which series meet, then computes each pair on demand.

use super::signature::{Side, Signatures};
use super::{keeps_name, outcome};
use crate::error::QueryError;
use crate::eval::{BoxedVector, Held, Metric, Nothing, Renamed, Run, Scratch, Vector};
use crate::grid::{ABSENT, is_absent};
use crate::plan::{Group, Matching, Operator, Signature};
use sealine_model::{Labels, LabelsBuilder};
use std::cell::OnceCell;

/// Combines two vectors. "Many" is the side that may have several series for one of the other: the one that
/// `group_left` or `group_right` names, the left without either.
pub(crate) fn combine<'q>(
    run: &'q Run<'q>,
    operator: Operator,
    bool: bool,
    matching: &Matching,
    left: BoxedVector<'q>,
    right: BoxedVector<'q>,
    steps: usize,
) -> Result<BoxedVector<'q>, QueryError> {
    let swapped = matches!(matching.group, Group::Right(_));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    // Upstream turns the sides for `group_right` but not the fill values: `fill_left` then fills the right side.
    let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
    if many.len() == 0 && fill_many.is_none() || one.len() == 0 && fill_one.is_none() {
        return Ok(Box::new(Nothing));
    }
    // A series of the "one" side is asked for once for each of the many.
    let one: BoxedVector<'q> = match matching.group {
        Group::OneToOne => one,
        _ => Box::new(Held::of(run, &*one, steps)?),
    };
    let mut signatures = Signatures::default();
    let many_side = signatures.side(&matching.signature, &*many);
    let one_side = signatures.side(&matching.signature, &*one);
    let mut groups = vec![Members::default(); signatures.len()];
    many_side.signatures.iter().enumerate().for_each(|(index, group)| groups[*group].many.push(index));
    one_side.signatures.iter().enumerate().for_each(|(index, group)| groups[*group].one.push(index));
    let there = OnceCell::new();
    let check = Check { run, matching, steps, many: &*many, one: &*one, one_side: &one_side, there };
    for group in &groups {
        check.group(group)?;
    }
    let naming = Naming { matching, drop_name: !keeps_name(operator, bool), many: &many_side, one: &one_side };
    let (mut pairs, mut metrics) = (Vec::new(), Vec::new());
    for group in &groups {
        for &many in &group.many {
            for &one in &group.one {
                pairs.push(Pair::Both { many, one });
                metrics.push(naming.of(Some(many), Some(one)));
            }
            if let Some(value) = fill_one {
                pairs.push(Pair::Many { many, unless: group.one.clone(), value });
                metrics.push(naming.of(Some(many), None));
            }
        }
        if let Some(value) = fill_many {
            for &one in &group.one {
                pairs.push(Pair::One { one, unless: group.many.clone(), value });
                metrics.push(naming.of(None, Some(one)));
            }
        }
    }
    let pairs = Pairs { operator, bool, swapped, many, one, pairs };
    let sentence = "multiple matches for labels: grouping labels must ensure unique matches";
    Ok(Renamed::new(Box::new(pairs), metrics).into_merged_or(sentence))
}

/// The series with one signature.
#[derive(Debug, Default, Clone)]
struct Members {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Finds series that should not meet at the same step. Groups with one series a side, the rule, cost nothing.
struct Check<'a, 'q> {
    run: &'q Run<'q>,
    matching: &'a Matching,
    steps: usize,
    many: &'a dyn Vector,
    one: &'a dyn Vector,
    one_side: &'a Side,
    /// The steps at which the many have any value; found out when it first matters.
    there: OnceCell<Vec<bool>>,
}

impl Check<'_, '_> {
    fn group(&self, group: &Members) -> Result<(), QueryError> {
        let one_to_one = self.matching.group == Group::OneToOne;
        let filled = self.matching.fill_right.is_some();
        let many_meet = one_to_one && group.many.len() > 1 && (filled || !group.one.is_empty());
        if group.one.len() < 2 && !many_meet {
            return Ok(());
        }
        let mut scratch = self.run.scratch();
        let mut column = vec![ABSENT; self.steps];
        // Which series of the "one" side has the value at each step.
        let mut holder: Vec<Option<usize>> = vec![None; self.steps];
        for &index in &group.one {
            self.one.fill(index, &mut scratch, &mut column)?;
            for (step, _) in column.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                if let Some(other) = holder[step].replace(index)
                    && self.looks_at(step)?
                {
                    return Err(self.duplicates(other, index));
                }
            }
        }
        if !one_to_one {
            return Ok(());
        }
        let mut taken = vec![false; self.steps];
        for &index in &group.many {
            self.many.fill(index, &mut scratch, &mut column)?;
            for (step, _) in column.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                // Whether a comparison lets the pair pass does not matter.
                if std::mem::replace(&mut taken[step], true) && (filled || holder[step].is_some()) {
                    let sentence =
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                    return Err(QueryError::Execution(sentence.into()));
                }
            }
        }
        Ok(())
    }

    /// Whether the operator is at work at a step: without fill values it is not where the other side has nothing at all.
    fn looks_at(&self, step: usize) -> Result<bool, QueryError> {
        if self.matching.fill_left.is_some() || self.matching.fill_right.is_some() {
            return Ok(true);
        }
        if let Some(there) = self.there.get() {
            return Ok(there[step]);
        }
        let mut scratch = self.run.scratch();
        let (mut there, mut column) = (vec![false; self.steps], vec![ABSENT; self.steps]);
        for index in 0..self.many.len() {
            self.many.fill(index, &mut scratch, &mut column)?;
            there.iter_mut().zip(&column).for_each(|(there, value)| *there |= !is_absent(*value));
        }
        Ok(self.there.get_or_init(|| there)[step])
    }

    fn duplicates(&self, a: usize, b: usize) -> QueryError {
        let [a, b] = [a, b].map(|index| &self.one_side.metrics[index].labels);
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        let group = Braced(&self.matching.signature.of(a)).to_string();
        let side = if matches!(self.matching.group, Group::Right(_)) { "left" } else { "right" };
        let (first, second) = (Braced(first), Braced(second));
        QueryError::Execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }
}

/// Labels as upstream's messages print them, the name among them.
struct Braced<'a>(&'a Labels);

impl std::fmt::Display for Braced<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        write!(f, "{{{}}}", pairs.join(", "))
    }
}

/// What the result of a pair is called.
struct Naming<'a> {
    matching: &'a Matching,
    drop_name: bool,
    many: &'a Side,
    one: &'a Side,
}

impl Naming<'_> {
    fn of(&self, many: Option<usize>, one: Option<usize>) -> Metric {
        let metric = |side: &Side, index: usize| side.metrics[index].clone();
        let signature =
            |side: &Side, index: usize| Metric::kept(self.matching.signature.of(&side.metrics[index].labels));
        let (mut metric, other) = match (many, one) {
            (Some(many), Some(one)) => (metric(self.many, many), metric(self.one, one)),
            (Some(many), None) => (metric(self.many, many), signature(self.many, many)),
            (None, Some(one)) => (signature(self.one, one), metric(self.one, one)),
            (None, None) => return Metric::empty(),
        };
        match &self.matching.group {
            Group::OneToOne => {
                metric.labels = match &self.matching.signature {
                    Signature::On(names) => metric.labels.only(|name| names.iter().any(|on| on == name)),
                    Signature::Ignoring(names) if names.is_empty() => metric.labels,
                    Signature::Ignoring(names) => metric.labels.without(|name| names.iter().any(|other| other == name)),
                }
            }
            Group::Left(copied) | Group::Right(copied) if copied.is_empty() => {}
            Group::Left(copied) | Group::Right(copied) => {
                let mut labels: LabelsBuilder = metric.labels.to_builder();
                for name in copied {
                    labels.set(name, other.labels.get(name).unwrap_or_default());
                }
                metric.labels = labels.build();
            }
        }
        metric.drop_name |= self.drop_name;
        metric
    }
}

/// What meets to make one series of the result.
enum Pair {
    Both {
        many: usize,
        one: usize,
    },
    /// A series of the many and a value in place of the missing others.
    Many {
        many: usize,
        unless: Vec<usize>,
        value: f64,
    },
    /// The other way round.
    One {
        one: usize,
        unless: Vec<usize>,
        value: f64,
    },
}

struct Pairs<'q> {
    operator: Operator,
    bool: bool,
    /// Whether "many" is the right side.
    swapped: bool,
    many: BoxedVector<'q>,
    one: BoxedVector<'q>,
    pairs: Vec<Pair>,
}

impl Vector for Pairs<'_> {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn metric(&self, _: usize) -> Metric {
        // `combine` names the pairs.
        Metric::empty()
    }

    fn fill(&self, index: usize, scratch: &mut Scratch<'_>, column: &mut [f64]) -> Result<(), QueryError> {
        let mut other = scratch.take_column(column.len());
        match &self.pairs[index] {
            Pair::Both { many, one } => {
                self.many.fill(*many, scratch, column)?;
                self.one.fill(*one, scratch, &mut other)?;
            }
            Pair::Many { many, unless, value } => {
                stand_in(&*self.one, unless, *value, scratch, &mut other)?;
                self.many.fill(*many, scratch, column)?;
            }
            Pair::One { one, unless, value } => {
                stand_in(&*self.many, unless, *value, scratch, column)?;
                self.one.fill(*one, scratch, &mut other)?;
            }
        }
        for (many, one) in column.iter_mut().zip(&other) {
            let (left, right) = if self.swapped { (*one, *many) } else { (*many, *one) };
            *many = match is_absent(left) || is_absent(right) {
                true => ABSENT,
                false => outcome(self.operator, self.bool, left, right, left),
            };
        }
        scratch.give_column(other);
        Ok(())
    }
}

/// `value` at every step at which none of the series `unless` has one.
fn stand_in(
    vector: &dyn Vector,
    unless: &[usize],
    value: f64,
    scratch: &mut Scratch<'_>,
    column: &mut [f64],
) -> Result<(), QueryError> {
    let mut other = scratch.take_column(column.len());
    column.fill(value);
    for &index in unless {
        vector.fill(index, scratch, &mut other)?;
        column.iter_mut().zip(&other).filter(|(_, other)| !is_absent(**other)).for_each(|(slot, _)| *slot = ABSENT);
    }
    scratch.give_column(other);
    Ok(())
}
