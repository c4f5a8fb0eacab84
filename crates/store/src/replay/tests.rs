//! Payloads as a log has them and as damage leaves them, filled in by one worker and by several.

use super::numbered::{GAP_MAX, Numbered};
use super::*;
use crate::memory::CardinalityLimits;
use crate::wal;
use proptest::prelude::*;
use sealine_base::pools::Pools;
use sealine_codec::Overlay;
use sealine_codec::lines::LineWriter;
use sealine_codec::varint;
use sealine_model::{Labels, Naming, Samples, TimeUnit};
use std::collections::BTreeMap;

/// What a record says of a row.
#[derive(Debug, Clone)]
struct Definition {
    number: usize,
    host: u8,
    from: usize,
    fields: Vec<u8>,
}

/// A line: the number of its row, its time, its values.
type Line = (usize, i64, Vec<(u16, f64)>);

#[derive(Debug, Clone)]
struct Record {
    generation: u64,
    database: &'static str,
    definitions: Vec<Definition>,
    lines: Vec<Line>,
    /// Bytes that damage has left of the payload, in 255ths.
    left: u8,
}

impl Record {
    fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::push_bytes(&mut out, self.database.as_bytes());
        varint::push(&mut out, self.definitions.len() as u64);
        for definition in &self.definitions {
            varint::push(&mut out, definition.number as u64);
            varint::push_bytes(&mut out, b"cpu");
            let host = definition.host.to_string();
            varint::push_bytes(&mut out, Labels::from_pairs([("host", host.as_str())]).as_bytes());
            varint::push(&mut out, definition.from as u64);
            varint::push(&mut out, definition.fields.len() as u64);
            for field in &definition.fields {
                varint::push_bytes(&mut out, format!("f{field}").as_bytes());
                varint::push_bytes(&mut out, format!("cpu_f{field}").as_bytes());
            }
        }
        varint::push(&mut out, self.lines.len() as u64);
        let (mut expected, mut body) = (0, LineWriter::default());
        for (number, time, values) in &self.lines {
            varint::push_signed(&mut out, *number as i64 - expected);
            expected = *number as i64 + 1;
            body.push(*time, values);
        }
        out.extend_from_slice(body.bytes());
        out.truncate(out.len() * usize::from(self.left) / 255);
        out
    }
}

fn databases() -> Databases {
    let naming = |_: &str| Naming::default();
    Databases::new(naming, CardinalityLimits::default(), Arc::new(Pools::new(u64::MAX)))
}

/// Everything that databases hold: the samples of each series, and their figures.
type Held = (BTreeMap<String, Vec<(i64, u64)>>, Vec<(Arc<str>, u64, u64, Option<i64>)>);

fn held(databases: &Databases) -> Held {
    let (mut series, mut figures) = (BTreeMap::new(), Vec::new());
    for database in databases.all() {
        for selected in database.index.read().select(&[]) {
            let mut samples = Samples::default();
            let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
            selected.row.read(selected.field, i64::MIN, i64::MAX, &mut overlay).expect("chunks of our own");
            overlay.finish().unwrap();
            let bits = samples.times.into_iter().zip(samples.values.into_iter().map(f64::to_bits)).collect();
            series.insert(format!("{} {} {}", database.name, selected.metric, selected.row.tags), bits);
        }
        let counts = &database.held;
        figures.push((database.name.clone(), counts.samples(), counts.bytes(), counts.newest()));
    }
    (series, figures)
}

fn filled(records: &[Record], cores: usize) -> (Filled, Held) {
    let databases = databases();
    let ((), filled) = fill(&databases, cores, |into| {
        for record in records {
            into.take(wal::Record { version: 2, generation: record.generation, payload: &record.payload() });
        }
    })
    .expect("there are threads");
    (filled, held(&databases))
}

fn definition(number: usize, host: u8) -> Definition {
    Definition { number, host, from: 0, fields: vec![0, 1] }
}

fn record(generation: u64, definitions: Vec<Definition>, lines: Vec<Line>) -> Record {
    Record { generation, database: "d", definitions, lines, left: 255 }
}

#[test]
fn a_row_keeps_the_order_of_the_log_under_whatever_numbers_the_log_calls_it_by() {
    // Host 0 is row 0 of generation 1, row 1 of generation 2, and then, after a group that failed, row 2. The same
    // millisecond each time: what comes last counts.
    let mut records = vec![record(1, vec![definition(0, 0), definition(1, 1)], vec![(0, 5, vec![(0, 1.0)])])];
    for round in 0..1000 {
        let generation = 2 + round / 10;
        let number = 1 + round as usize % 2;
        let definitions = vec![definition(number, 0)];
        records.push(record(generation, definitions, vec![(number, 5, vec![(0, round as f64)])]));
    }
    for cores in 1..=4 {
        let (filled, (series, _)) = filled(&records, cores);
        assert_eq!(filled, Filled { samples: 1001, orphans: 0, unreachable: 0 });
        assert_eq!(series["d cpu_f0 {host=\"0\"}"], [(5, 999f64.to_bits())], "{cores} cores");
    }
}

#[test]
fn what_nobody_has_defined_is_counted_once() {
    let unknown_field = (0, 5, vec![(0, 1.0), (7, 1.0)]);
    let records = [
        record(1, vec![definition(0, 0)], vec![(0, 1, vec![(0, 1.0)]), (9, 2, vec![(0, 1.0)]), unknown_field]),
        Record { database: "other", ..record(1, vec![], vec![(0, 3, vec![(0, 1.0)])]) },
        record(2, vec![], vec![(0, 4, vec![(0, 1.0)])]), // rows are numbered anew
        Record { left: 250, ..record(2, vec![definition(0, 0)], vec![(0, 6, vec![(0, 1.0)]), (0, 7, vec![(0, 0.1)])]) },
    ];
    for cores in 1..=3 {
        let (filled, (series, _)) = filled(&records, cores);
        assert_eq!(filled, Filled { samples: 2, orphans: 5, unreachable: 0 }, "{cores} cores");
        assert_eq!(series["d cpu_f0 {host=\"0\"}"], [(1, 1f64.to_bits()), (6, 1f64.to_bits())]);
    }
}

#[test]
fn a_row_of_which_no_line_can_be_added_is_left_as_it_is() {
    // With a generation of its own, and as long as a stretch. What it did to the row would be missing from the figures.
    let lines = (0..20).map(|at| (0, at, vec![(0, at as f64 * 0.1)])).collect();
    let before = record(1, vec![definition(0, 0)], lines);
    let unknown = record(2, vec![definition(0, 0)], (0..60).map(|at| (0, at, vec![(7, 1.0)])).collect());
    let after = record(2, vec![definition(0, 0)], vec![(0, 100, vec![(0, 1.0)])]);
    assert!(unknown.payload().len() * 2 > STRETCH_BYTES);
    let with = filled(&[before.clone(), unknown, after.clone()], 1);
    let without = filled(&[before, after], 1);
    assert_eq!(with.0, Filled { samples: 21, orphans: 60, unreachable: 0 });
    assert_eq!(with.1, without.1);
}

#[test]
fn a_row_takes_the_room_of_the_fields_that_its_lines_have() {
    let figures = |fields: u8, values: &[(u16, f64)]| {
        let definition = Definition { fields: (0..fields).collect(), ..definition(0, 0) };
        let lines = (0..100).map(|at| (0, at, values.to_vec())).collect();
        let (filled, (_, figures)) = filled(&[record(1, vec![definition], lines)], 1);
        assert_eq!(filled, Filled { samples: 100 * values.len() as u64, orphans: 0, unreachable: 0 });
        figures
    };
    for values in [&[(0, 1.0), (1, 2.0)][..], &[(1, 2.0)], &[(2, 0.1), (0, 0.1)]] {
        assert_eq!(figures(200, values), figures(3, values), "{values:?}");
    }
}

#[test]
fn numbers_take_no_more_room_than_what_was_set() {
    let mut numbered = Numbered::default();
    for number in [usize::MAX, 1 << 40, GAP_MAX + 10, 3, GAP_MAX, GAP_MAX + 10] {
        numbered.set(number, number);
        assert_eq!(numbered.get(number), Some(&number));
        assert!(numbered.near.len() <= numbered.set + GAP_MAX + 1);
    }
    numbered.set(GAP_MAX + 10, 7);
    assert_eq!(
        (numbered.get(GAP_MAX + 10), numbered.get(4), numbered.get(usize::MAX)),
        (Some(&7), None, Some(&usize::MAX))
    );
}

fn any_record() -> impl Strategy<Value = Record> {
    let number = prop_oneof![8 => 0usize..6, 1 => Just(usize::MAX >> 2)];
    let fields = proptest::collection::vec(0u8..4, 0..3);
    let definition = (number.clone(), 0u8..6, 0usize..3, fields).prop_map(|(number, host, from, fields)| Definition {
        number,
        host,
        from: from.saturating_sub(1),
        fields,
    });
    let values = proptest::collection::btree_map(0u16..4, any::<i16>().prop_map(|v| f64::from(v) / 10.0), 0..4);
    let line =
        (number, 0i64..100, values).prop_map(|(number, time, values)| (number, time, values.into_iter().collect()));
    let left = prop_oneof![5 => Just(255u8), 1 => any::<u8>()];
    (
        1u64..4,
        prop_oneof![5 => Just("d"), 1 => Just("e")],
        proptest::collection::vec(definition, 0..4),
        proptest::collection::vec(line, 0..20),
        left,
    )
        .prop_map(|(generation, database, definitions, lines, left)| Record {
            generation,
            database,
            definitions,
            lines,
            left,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_number_of_workers_fills_in_the_same(
        mut records in proptest::collection::vec(any_record(), 0..40), ordered in any::<bool>())
    {
        if ordered {
            records.sort_by_key(|record| record.generation);
        }
        let alone = filled(&records, 1);
        for cores in [2, 3, 100] {
            prop_assert_eq!(&filled(&records, cores), &alone);
        }
    }
}
