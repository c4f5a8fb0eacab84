//! Names that become one: two fields of a row, two measurements or two tags whose names differ only in what naming takes
//! out. Their samples share a series of PromQL. This is seen when a row or a field is
//! made, so a line that is known pays nothing for it.

use super::{Index, KeyHash, NewRow, hash_key, own_key};
use sealine_model::{Column, Labels};
use sealine_telemetry::Names;

/// Measurements beside the first that are remembered of one metric.
const MEASUREMENTS_MAX: usize = 16;

/// A series that a second name feeds from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// Names of what.
    pub of: Names,
    /// The measurement of the line that showed it; empty where a series came by its labels.
    pub measurement: Box<str>,
    /// The name that was there.
    pub first: Box<str>,
    /// The one that came.
    pub second: Box<str>,
    /// What both became: a metric's name, or a label's.
    pub became: Box<str>,
}

/// What the field of a column is called.
fn name_of(column: &str) -> &str {
    match Column::of(column) {
        Column::Field { field, .. } => field,
        Column::Metric(name) => name,
    }
}

/// The hash of what finds a row by its labels, where its tags are called otherwise.
fn labels_key(measurement: &str, labels: &Labels) -> KeyHash {
    hash_key(&[&[0, 0], measurement.as_bytes(), &[0], labels.as_bytes()].concat())
}

impl Index {
    /// Looks whether a row that was just made has the labels of another one, which spells its tags otherwise. What a replay
    /// defines (`of_line` is false) was told before.
    pub(super) fn note_tags(&mut self, id: u32, new: &NewRow<'_>, of_line: bool) {
        let renames = new.tags.iter().any(|(tag, _)| self.view.renames(tag));
        if !renames && !self.has_renamed {
            return;
        }
        let labels = self.view.labels(new.tags);
        let key = labels_key(new.measurement, &labels);
        let other = self.find(key).or_else(|| self.find(own_key(new.measurement, &self.view.tags(&labels))));
        if renames {
            self.has_renamed = true;
            if self.find(key).is_none() {
                self.known.insert_unique(key.0, (key, id), |(key, _)| key.0);
            }
        }
        let Some(other) = other.filter(|other| of_line && *other != id) else { return };
        let first = &self.row(other).0.tags;
        // They have the same labels, and so as many tags.
        let differs = |(tag, _): &(&str, &str)| first.get(tag).is_none();
        let Some((second, _)) = new.tags.iter().find(differs) else { return };
        let became = self.view.label(second);
        let Some((first, _)) = first.iter().find(|(tag, _)| self.view.label(tag) == became) else { return };
        let [measurement, first, second] = [new.measurement, first, second].map(Into::into);
        let collision = Collision { of: Names::Tag, measurement, first, second, became: (*became).into() };
        self.collisions.push(collision);
    }

    /// Looks at the spellings that a row has from `had` on: whether one became the name of another, or feeds a series that
    /// another measurement's row feeds. What a replay defines (`of_line` is false) was told before.
    pub(super) fn note_fields(&mut self, id: u32, new: &NewRow<'_>, had: usize, of_line: bool) {
        let (_, schema) = self.row(id);
        let mut found = Vec::new();
        let mut shared = Vec::new();
        for field in schema.spelled_from(had) {
            let came = &schema.fields[usize::from(field)];
            let (metric, became) = (&came.metric, || (*came.metric).into());
            sealine_base::work::count(1);
            let Some(feeds) = self.metrics.get(metric) else { continue };
            let own = self.rows[id as usize].as_ref().map(|slot| slot.schema);
            let before = feeds.iter().find(|(schema, other)| Some(*schema) == own && *other < field);
            if let Some((_, before)) = before {
                // A field whose kind changes feeds its series twice, and is one field.
                let names = [&schema.fields[usize::from(*before)], came].map(|field| name_of(&field.column));
                if names[0] != names[1] {
                    let [first, second] = names.map(Into::into);
                    let measurement = new.measurement.into();
                    found.push(Collision { of: Names::Field, measurement, first, second, became: became() });
                }
                continue;
            }
            let Some((first, _)) = feeds.first() else { continue };
            let first = &self.schemas[*first as usize].measurement;
            let others = self.shared.get(metric).map(Vec::as_slice).unwrap_or_default();
            if **first != *new.measurement && !others.iter().any(|other| **other == *new.measurement) {
                shared.push(metric.clone());
            }
            for other in std::iter::once(first).chain(others).filter(|other| ***other != *new.measurement) {
                let feeds_it = |id| self.row(id).1.has_metric(metric);
                if self.find(own_key(other, new.tags)).is_some_and(feeds_it) {
                    let (first, second) = (other.clone(), new.measurement.into());
                    let of = Names::Measurement;
                    found.push(Collision { of, measurement: new.measurement.into(), first, second, became: became() });
                }
            }
        }
        if of_line {
            self.collisions.extend(found);
        }
        for metric in shared {
            let others = self.shared.entry(metric).or_default();
            if others.len() < MEASUREMENTS_MAX {
                others.push(new.measurement.into());
            }
        }
    }

    /// The collisions that [`Self::define`] has met since this was last asked.
    pub fn take_collisions(&mut self) -> Vec<Collision> {
        std::mem::take(&mut self.collisions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Field;
    use sealine_model::{Kind, Naming};

    /// Makes what a line needs that a client wrote; gives the collisions as texts.
    fn write(index: &mut Index, measurement: &str, tags: &[(&str, &str)], fields: &[&str]) -> Vec<String> {
        let naming = Naming { db_label: false, ..Naming::default() };
        let tags_of_row = Labels::from_pairs(tags.iter().copied());
        let field = |name: &&str| {
            let column = Column::Field { measurement, field: name, kind: Kind::Float };
            Field::new(name.as_bytes().into(), column, &naming)
        };
        let fields: Vec<Field> = fields.iter().map(field).collect();
        let new = NewRow::new(measurement, &tags_of_row, &fields);
        index.define(Some(hash_key(format!("{measurement}{tags:?}").as_bytes())), &new).unwrap();
        let said =
            |c: Collision| format!("{} {}: {} + {} = {}", c.of.as_str(), c.measurement, c.first, c.second, c.became);
        index.take_collisions().into_iter().map(said).collect()
    }

    #[test]
    fn two_fields_of_a_row_that_become_one_are_told_once_a_row() {
        let mut index = Index::default();
        let want = ["field m: a-b + a.b = m_a_b"];
        assert_eq!(write(&mut index, "m", &[("h", "a")], &["a-b", "a.b", "c"]), want, "in one line");
        assert!(write(&mut index, "m", &[("h", "a")], &["c", "a.b", "a-b", "d"]).is_empty(), "no second time");
        assert!(write(&mut index, "m", &[("h", "b")], &["a-b"]).is_empty());
        assert_eq!(write(&mut index, "m", &[("h", "b")], &["a.b"]), want, "in two lines");
        assert_eq!(write(&mut index, "m", &[("h", "c")], &["a-b", "a.b", "c"]), want, "of a schema that is known");
    }

    #[test]
    fn two_measurements_that_feed_one_series_are_told_and_those_that_feed_two_are_not() {
        let mut index = Index::default();
        assert!(write(&mut index, "cpu_load", &[("h", "a")], &["value"]).is_empty());
        assert!(write(&mut index, "cpu", &[("h", "b")], &["load"]).is_empty(), "other labels, another series");
        assert!(write(&mut index, "cpu", &[("h", "a")], &["user"]).is_empty(), "another metric");
        let want = ["measurement cpu: cpu_load + cpu = cpu_load"];
        assert_eq!(write(&mut index, "cpu", &[("h", "a")], &["user", "load"]), want);
        let want = ["measurement cpu_load: cpu + cpu_load = cpu_load"];
        assert_eq!(write(&mut index, "cpu_load", &[("h", "b")], &["value"]), want, "the other way round");
        let want =
            ["measurement cpu-load: cpu_load + cpu-load = cpu_load", "measurement cpu-load: cpu + cpu-load = cpu_load"];
        assert_eq!(write(&mut index, "cpu-load", &[("h", "a")], &["value"]), want, "and of three, both");
    }

    #[test]
    fn two_tags_that_become_one_label_of_one_row_are_told() {
        let mut index = Index::default();
        assert!(write(&mut index, "m", &[("a.b", "x"), ("c", "y")], &["v"]).is_empty());
        assert!(
            write(&mut index, "m", &[("c", "y"), ("a.b", "x")], &["v"]).is_empty(),
            "another order, the same names"
        );
        assert!(write(&mut index, "m", &[("a-b", "z")], &["v"]).is_empty(), "another value, another row");
        let want = ["tag m: a.b + a-b = a_b"];
        assert_eq!(write(&mut index, "m", &[("c", "y"), ("a-b", "x")], &["v"]), want);
        let want = ["tag m: a.b + a_b = a_b"];
        assert_eq!(write(&mut index, "m", &[("c", "y"), ("a_b", "x")], &["v"]), want, "one that needed no change");
    }

    #[test]
    fn what_a_replay_makes_was_told_before() {
        let mut index = Index::default();
        let column = Column::Field { measurement: "m", field: "v", kind: Kind::Float };
        let fields = [Field::new(b"v"[..].into(), column, &Naming::default())];
        for tag in ["a_b", "a-b"] {
            index.define(None, &NewRow::new("m", &Labels::from_pairs([(tag, "x")]), &fields)).unwrap();
        }
        assert!(index.take_collisions().is_empty());
        assert_eq!(write(&mut index, "m", &[("a.b", "x")], &["v"]), ["tag m: a-b + a.b = a_b"]);
    }
}
