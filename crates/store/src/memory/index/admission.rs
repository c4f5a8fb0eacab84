//! Whether a line may make the rows and fields that it needs, without making any: all of them, or none.

use super::{Index, NewRow};
use crate::memory::cardinality::Exceeded;
use hashbrown::HashSet;
use sealine_model::Labels;

impl Index {
    /// Whether a line may make what these rows have and the index lacks. The first is the line's own row, the others
    /// are those of its strings. Rows and fields that are there are never refused.
    pub fn admit<'a>(&self, rows: &[NewRow<'a>]) -> Result<(), Exceeded<'a>> {
        let Some(first) = rows.first() else { return Ok(()) };
        // Far from a limit, which is where an index mostly is, it needs no exact figure.
        let at_most = rows.iter().map(|row| row.fields.len().max(1) as u64).sum();
        if self.counts.room(first.measurement, at_most).is_err() {
            let more: u64 = rows.iter().map(|row| self.growth(row)).sum();
            if more > 0 {
                self.counts.room(first.measurement, more)?;
            }
        }
        if self.counts.cardinality.limits().tag_values_max == u64::MAX { Ok(()) } else { self.admit_values(rows) }
    }

    /// The series that `new` would add.
    fn growth(&self, new: &NewRow<'_>) -> u64 {
        let known = self.find(new.own).map(|id| self.row(id).1);
        let mut added: HashSet<&str> = new.fields.iter().map(|field| &*field.column).collect();
        added.retain(|column| !known.is_some_and(|known| known.has_column(column)));
        let fields = known.map_or(0, |known| known.fields.len()) + added.len();
        fields.max(1) as u64 - known.map_or(0, |known| known.counted())
    }

    fn admit_values<'a>(&self, rows: &[NewRow<'a>]) -> Result<(), Exceeded<'a>> {
        let max = self.counts.cardinality.limits().tag_values_max;
        let mut added: Vec<(&str, &str)> = Vec::new();
        for new in rows.iter().filter(|new| self.find(new.own).is_none()) {
            for (tag, value) in new.tags {
                let values = self.tags.get(tag);
                if values.is_some_and(|values| values.contains_key(value)) || added.contains(&(tag, value)) {
                    continue;
                }
                let have = values.map_or(0, |v| v.len()) + added.iter().filter(|(other, _)| *other == tag).count();
                if have as u64 >= max {
                    return Err(Exceeded::TagValues { measurement: rows[0].measurement, tag, value, max });
                }
                added.push((tag, value));
            }
        }
        Ok(())
    }

    /// Of these tags, the one with the most values, and how many; `None` where none has more than one. It is most
    /// likely what makes the series that are too many.
    pub fn widest<'a>(&self, tags: &'a Labels) -> Option<(&'a str, u64)> {
        let sizes = tags.into_iter().map(|(tag, _)| (tag, self.tags.get(tag).map_or(0, |values| values.len() as u64)));
        sizes.max_by_key(|(_, values)| *values).filter(|(_, values)| *values > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::cardinality::{Cardinality, CardinalityLimits};
    use crate::memory::{Field, hash_key};
    use sealine_model::{Column, Kind, Naming};
    use std::sync::Arc;

    fn fields(measurement: &str, names: &[&str]) -> Vec<Field> {
        let field = |n: &&str| {
            let column = Column::Field { measurement, field: n, kind: Kind::Float };
            Field::new(n.as_bytes().into(), column, &Naming::default())
        };
        names.iter().map(field).collect()
    }

    fn index(limits: CardinalityLimits) -> Index {
        Index::new(Arc::new(Cardinality::new(limits, Arc::default())), Arc::default())
    }

    /// Admits and makes a row, or says why not.
    fn make(index: &mut Index, measurement: &str, host: &str, names: &[&str]) -> Result<u32, String> {
        let (labels, fields) = (Labels::from_pairs([("dc", "eu"), ("host", host)]), fields(measurement, names));
        let new = NewRow::new(measurement, &labels, &fields);
        index.admit(&[new]).map_err(|exceeded| format!("{}: {exceeded}", exceeded.reason()))?;
        Ok(index.define(Some(hash_key(format!("{measurement},{host}").as_bytes())), &new).expect("few fields"))
    }

    #[test]
    fn each_limit_lets_its_last_one_in_and_names_itself_to_the_next() {
        let none = CardinalityLimits::default();
        for (name, limits, want) in [
            (
                "in total",
                CardinalityLimits { series_max: 3, ..none },
                "too_many_series: a new series of measurement `cpu` would pass the 3 series of cardinality.max_series",
            ),
            (
                "of a database",
                CardinalityLimits { database_series_max: 3, ..none },
                "too_many_database_series: a new series of measurement `cpu` would pass the 3 series of \
                 cardinality.max_series_per_database",
            ),
            (
                "of a measurement",
                CardinalityLimits { measurement_series_max: 3, ..none },
                "too_many_measurement_series: a new series of measurement `cpu` would pass the 3 series of \
                 cardinality.max_series_per_measurement",
            ),
            (
                "of a tag",
                CardinalityLimits { tag_values_max: 2, ..none },
                "too_many_tag_values: measurement `cpu`: the new value `c` of tag `host` would pass the 2 values of \
                 cardinality.max_values_per_tag",
            ),
        ] {
            let mut index = index(limits);
            make(&mut index, "cpu", "a", &["user", "idle"]).unwrap();
            make(&mut index, "cpu", "b", &["user"]).unwrap();
            let before = (index.len(), index.series());
            assert_eq!(before, (2, 3), "{name}");
            assert_eq!(make(&mut index, "cpu", "c", &["user"]), Err(want.to_string()), "{name}");
            assert_eq!((index.len(), index.series()), before, "{name}: a row that is refused leaves nothing behind");
            make(&mut index, "cpu", "a", &["idle"]).unwrap_or_else(|e| panic!("{name}: what is there goes on: {e}"));
        }
    }

    #[test]
    fn a_measurement_at_its_limit_leaves_others_alone() {
        let mut index = index(CardinalityLimits { measurement_series_max: 1, ..CardinalityLimits::default() });
        make(&mut index, "cpu", "a", &["user"]).unwrap();
        assert!(make(&mut index, "cpu", "b", &["user"]).is_err());
        make(&mut index, "mem", "a", &["free"]).unwrap();
    }

    #[test]
    fn a_new_field_is_a_new_series() {
        let mut index = index(CardinalityLimits { series_max: 3, ..CardinalityLimits::default() });
        make(&mut index, "cpu", "a", &["user"]).unwrap();
        assert!(make(&mut index, "cpu", "a", &["w", "x", "y"]).is_err(), "three more");
        make(&mut index, "cpu", "a", &["user", "idle", "wait"]).unwrap();
        assert!(make(&mut index, "cpu", "a", &["x"]).is_err(), "one more");
        assert_eq!(index.series(), 3);
    }

    #[test]
    fn a_row_without_numbers_counts_as_one_until_it_has_a_number() {
        let mut index = index(CardinalityLimits { series_max: 1, ..CardinalityLimits::default() });
        make(&mut index, "cpu", "a", &[]).unwrap();
        assert!(make(&mut index, "cpu", "b", &[]).is_err());
        make(&mut index, "cpu", "a", &["user"]).unwrap();
        assert!(make(&mut index, "cpu", "a", &["idle"]).is_err());
    }

    #[test]
    fn the_rows_of_one_line_are_taken_together_or_not_at_all() {
        let (one, two) = (Labels::from_pairs([("value", "x")]), Labels::from_pairs([("value", "y")]));
        let own = Labels::from_pairs([("host", "a")]);
        let (cpu, info) = (fields("cpu", &["user"]), fields("cpu", &["os_info"]));
        let rows = [NewRow::new("cpu", &own, &cpu), NewRow::new("", &one, &info), NewRow::new("", &two, &info)];
        let none = CardinalityLimits::default();
        for (name, limits, fits) in [
            ("series, too few", CardinalityLimits { series_max: 2, ..none }, false),
            ("series, enough", CardinalityLimits { series_max: 3, ..none }, true),
            ("values, too few", CardinalityLimits { tag_values_max: 1, ..none }, false),
            ("values, enough", CardinalityLimits { tag_values_max: 2, ..none }, true),
        ] {
            assert_eq!(index(limits).admit(&rows).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn what_is_forgotten_makes_room_in_its_database_and_in_total() {
        let limits = CardinalityLimits { series_max: 2, measurement_series_max: 2, ..CardinalityLimits::default() };
        let all = Arc::new(Cardinality::new(limits, Arc::default()));
        let (mut one, mut two) = (Index::new(all.clone(), Arc::default()), Index::new(all.clone(), Arc::default()));
        let id = make(&mut one, "cpu", "a", &["user", "idle"]).unwrap();
        assert!(make(&mut two, "cpu", "a", &["user"]).is_err(), "the limit is over all databases");
        assert_eq!((all.series(), one.forget(&[id]), all.series()), (2, 1, 0));
        make(&mut two, "cpu", "a", &["user"]).unwrap();
        make(&mut one, "cpu", "b", &["user"]).unwrap();
        assert_eq!(all.series(), 2);
    }

    #[test]
    fn a_replay_is_not_refused_and_counts() {
        let mut index = index(CardinalityLimits { series_max: 1, ..CardinalityLimits::default() });
        for host in ["a", "b"] {
            let (labels, fields) = (Labels::from_pairs([("host", host)]), fields("cpu", &["user"]));
            index.define(None, &NewRow::new("cpu", &labels, &fields)).expect("few fields");
        }
        assert_eq!((index.len(), index.series()), (2, 2));
        assert!(make(&mut index, "cpu", "c", &["user"]).is_err());
    }

    #[test]
    fn the_widest_label_is_the_one_with_the_most_values() {
        let mut index = index(CardinalityLimits::default());
        let labels = Labels::from_pairs([("dc", "eu"), ("host", "a")]);
        make(&mut index, "cpu", "a", &["user"]).unwrap();
        assert_eq!(index.widest(&labels), None);
        make(&mut index, "cpu", "b", &["user"]).unwrap();
        assert_eq!(index.widest(&labels), Some(("host", 2)));
    }
}
