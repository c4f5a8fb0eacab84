//! What was sent comes back: measurement, tags, field, kind and value to the digit, time to the nanosecond, out of the log,
//! memory, sealed files, archives, and a log that was read again. What `sealine dump` shows is what is compared.

#![allow(clippy::disallowed_methods, reason = "the test lists files")]

use crate::support::library;
use proptest::prelude::*;
use sealine_base::clock::ManualClock;
use sealine_base::vfs::DiskVfs;
use sealine_lineproto::Precision;
use sealine_model::{Column, Kind, Labels, Matcher, Samples, Source};
use sealine_store::Store;
use sealine_store::inspect;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// (column, tags, nanoseconds) to the value as line protocol writes it.
type Content = BTreeMap<(String, String, i64), String>;

const START_NS: i64 = 1_600_000_000_000_000_000;

/// What `sealine dump` shows of the chunk files.
fn dumped(dir: &Path) -> Content {
    let mut content = Content::new();
    for path in chunk_files(&dir.join("db")) {
        let mut shown = Vec::new();
        inspect::dump(&DiskVfs::shared(), &path, &mut shown).expect("the file is sound");
        let mut series = None;
        for line in String::from_utf8(shown).expect("text").lines() {
            if let Some((column, tags)) = line.split_once(" {").filter(|_| line.starts_with('"')) {
                series = Some((column.to_string(), format!("{{{tags}")));
            } else if let (Some(sample), Some((column, tags))) = (line.strip_prefix("    "), &series) {
                let (time, value) = sample.split_once(' ').expect("a time and a value");
                let time = time.parse().expect("nanoseconds");
                content.insert((column.clone(), tags.clone(), time), value.to_string());
            }
        }
    }
    content
}

fn chunk_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort(); // of a day, by generation: later files count
    entries.into_iter().flat_map(|path| if path.is_dir() { chunk_files(&path) } else { vec![path] }).collect()
}

#[derive(Debug, Clone)]
enum Sent {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
}

impl Sent {
    /// As a line has it, and as it is shown when it comes back.
    fn written(&self) -> (String, Kind, String) {
        match self {
            Sent::Float(value) => (format!("{value:?}"), Kind::Float, value.to_string()),
            Sent::Integer(value) => (format!("{value}i"), Kind::of_integer(*value).0, format!("{value}i")),
            Sent::Unsigned(value) => (format!("{value}u"), Kind::of_unsigned(*value).0, format!("{value}u")),
            Sent::Boolean(value) => (value.to_string(), Kind::Boolean, value.to_string()),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let edge = prop_oneof![
        Just(i64::MAX),
        Just(i64::MIN),
        Just(1i64 << 53),
        Just((1i64 << 53) + 1),
        Just(sealine_model::NO_WORD as i64),
        Just(-(1i64 << 53) - 1)
    ];
    let float = any::<f64>().prop_filter("line protocol has no others", |value| value.is_finite());
    prop_oneof![
        3 => float.prop_map(Sent::Float),
        1 => prop_oneof![Just(-0.0), Just(5e-324), Just(f64::MAX)].prop_map(Sent::Float),
        2 => any::<i64>().prop_map(Sent::Integer),
        2 => (-100i64..100).prop_map(Sent::Integer),
        1 => edge.prop_map(Sent::Integer),
        2 => any::<u64>().prop_map(Sent::Unsigned),
        1 => any::<bool>().prop_map(Sent::Boolean),
    ]
}

/// Names as lines write them, and as they are meant. Some of them become one under the naming rules.
const MEASUREMENTS: [(&str, &str); 4] =
    [("cpu", "cpu"), ("cpu_a", "cpu_a"), ("odd\\ name\\,é", "odd name,é"), ("température", "température")];
const FIELDS: [(&str, &str); 5] =
    [("a-b", "a-b"), ("a_b", "a_b"), ("a\\ b", "a b"), ("value", "value"), ("湿度", "湿度")];

/// Tag sets likewise. Three of them have the same labels, and one has a tag that is called as the database's label.
const TAGS: [(&str, &[(&str, &str)]); 6] = [
    ("host=h0", &[("host", "h0")]),
    ("a-b=x", &[("a-b", "x")]),
    ("a.b=x", &[("a.b", "x")]),
    ("a_b=x", &[("a_b", "x")]),
    ("db=d,host=h0", &[("db", "d"), ("host", "h0")]),
    ("dé\\ k\\==\\,\"\\ v", &[("dé k=", ",\" v")]),
];

fn open(dir: &Path) -> Arc<Store> {
    let mut config = library::config(dir);
    config.retention.disk = Duration::ZERO;
    config.naming.db_label = true;
    library::open(&config, &ManualClock::at(START_NS / 1_000_000))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_was_sent_comes_back_to_the_digit(lines in proptest::collection::vec(
        ((0usize..4, 0usize..5, 0usize..6), sent(), prop_oneof![
            3 => (0i64..200).prop_map(|at| START_NS + at * 10_000_000_000),
            2 => START_NS..START_NS + 1_000_000,
            1 => any::<i64>(),
        ]), 1..400))
    {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut want, mut store) = (Content::new(), open(dir.path()));
        for (at, lines) in lines.chunks(120).enumerate() {
            let mut text = String::new();
            for ((measurement, field, tags), value, time) in lines {
                let ((measurement, named), (field, called)) = (MEASUREMENTS[*measurement], FIELDS[*field]);
                let (tags, meant) = TAGS[*tags];
                let (value, kind, shown) = value.written();
                text.push_str(&format!("{measurement},{tags} {field}={value} {time}\n"));
                let column = Column::Field { measurement: named, field: called, kind }.to_string();
                want.insert((column, Labels::from_pairs(meant.iter().copied()).to_string(), *time), shown);
            }
            let mut stage = store.stage("d", Precision::Nanoseconds).expect("a good name");
            stage.add(text.as_bytes(), 1);
            let (batch, report) = stage.finish();
            prop_assert_eq!(report.refused, 0, "{:?}", report.first);
            store.append_blocking(batch).expect("the log takes it");
            match at {
                0 => drop(store.seal().expect("it seals")),
                1 => {
                    drop(store);
                    store = open(dir.path()); // the rest comes from the log
                }
                _ => {}
            }
        }
        // PromQL sees a value for each of these times.
        let reader = store.reader(None);
        let selection = reader.select(&[Matcher::equal("db", "d")], i64::MIN, i64::MAX).expect("it reads");
        let (mut samples, mut seen) = (Samples::default(), BTreeSet::new());
        for index in 0..selection.len() {
            let labels = selection.labels(index);
            prop_assert!(labels.get("a-b").is_none() && seen.insert(labels.clone()), "{labels} again");
            selection.read(index, i64::MIN, i64::MAX, &mut samples).expect("it reads");
            prop_assert!(!samples.is_empty());
        }
        drop(selection);
        drop(reader);
        store.seal().expect("it seals");
        let compare = |when: &str| {
            let got = dumped(dir.path());
            let differs = want.iter().find(|(key, value)| got.get(*key) != Some(value));
            assert!(differs.is_none() && got.len() == want.len(), "{when}: {} of {}, {differs:?}, got {:?}", got.len(), want.len(), differs.and_then(|(key, _)| got.get(key)));
        };
        compare("sealed");
        store.archive(true, &|| true).expect("it archives");
        compare("archived");
    }
}
