//! A folder of the formats before times had units (log version 1, chunk files of versions 1 and 2) opens, reads the same, and
//! is brought into the formats of today without a loss, whenever the machine stops.
//!
//! `before_units/` was written by the daemon of commit 1e9caa0, which was killed: a day in an archive of two generations, a
//! day in a file of chunks, and a log that nobody has sealed. What was written into it is computed again here.
//!
//! `before_tags/` (log version 2, chunk files of version 3) was written by a later one, which kept tags as PromQL calls them.

#![allow(clippy::disallowed_methods, reason = "the test copies a folder")]

use sealine::config::{Config, Flags};
use sealine_base::clock::ManualClock;
use sealine_base::vfs::DiskVfs;
use sealine_lineproto::Precision;
use sealine_model::{MatchOp, Matcher, Samples, Source};
use sealine_store::Store;
use sealine_telemetry::Telemetry;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const DAY_ONE_MS: i64 = 1_600_000_000_000;
const DAY_TWO_MS: i64 = DAY_ONE_MS + 3 * 86_400_000;
const STEP_MS: i64 = 10_000;

/// Series to samples.
type Content = BTreeMap<String, Vec<(i64, f64)>>;

fn written() -> Content {
    let mut content = Content::new();
    let mut add = |series: String, time: i64, value: f64| content.entry(series).or_default().push((time, value));
    let cpu = |field: &str, host: &str| format!("cpu_usage_{field}{{db=\"story\", dc=\"eu\", host=\"{host}\"}}");
    for host in ["a", "b"] {
        for at in 0..600i64 {
            add(cpu("user", host), DAY_ONE_MS + at * STEP_MS, (at % 97) as f64);
            add(cpu("idle", host), DAY_ONE_MS + at * STEP_MS, (at % 97) as f64 / 10.0);
        }
        for at in 0..60i64 {
            add(cpu("user", host), DAY_TWO_MS + at * STEP_MS, at as f64);
            add(cpu("idle", host), DAY_TWO_MS + at * STEP_MS, at as f64 / 8.0);
        }
    }
    for at in (0..600i64).step_by(7) {
        let series = "odd_name_va_lue{db=\"story\", ta_g=\"x\"}";
        add(series.into(), DAY_ONE_MS + at * STEP_MS, at as f64 * 0.1 + 0.05);
    }
    for at in (0..600i64).step_by(50) {
        let state = ["on", "off"][(at / 50 % 2) as usize];
        let series = format!("pump_state_info{{db=\"story\", host=\"a\", value=\"{state}\"}}");
        add(series, DAY_ONE_MS + at * STEP_MS, 1.0);
    }
    for (ms, value) in [(1, 1.0), (2, 3.0), (3, 2.0)] {
        add("jitter_v{db=\"story\"}".into(), DAY_TWO_MS + ms, value);
    }
    content
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn folder() -> tempfile::TempDir {
    folder_of("before_units")
}

fn folder_of(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store").join(name), dir.path());
    dir
}

fn open(dir: &Path) -> Arc<Store> {
    let set = |key: &str, value: &str| (key.into(), value.into());
    let env = [
        set("SEALINE__DATA_DIR", dir.to_str().unwrap()),
        set("SEALINE__RETENTION__DISK", "0"),
        set("SEALINE__MERGE__FAN_IN", "2"),
    ];
    let config = Config::load(None, env, &Flags::default()).unwrap();
    let clock = ManualClock::at(DAY_TWO_MS + 3_600_000);
    Store::open(DiskVfs::shared(), clock, config.store_options(), Telemetry::new()).unwrap()
}

fn read(store: &Arc<Store>) -> Content {
    let reader = store.reader(None);
    let any = Matcher::new("__name__", MatchOp::Regex, ".+").unwrap();
    let selection = reader.select(&[any], i64::MIN, i64::MAX).unwrap();
    let read = |at: usize| {
        let mut samples = Samples::default();
        selection.read(at, i64::MIN, i64::MAX, &mut samples).unwrap();
        (selection.labels(at).to_string(), samples.times.into_iter().zip(samples.values).collect())
    };
    let content = (0..selection.len()).map(read).collect();
    assert_eq!(selection.warnings(), Vec::<String>::new());
    content
}

fn check(store: &Arc<Store>, want: &Content, when: &str) {
    let got = read(store);
    assert!(got.keys().eq(want.keys()), "{when}: {:?}, want {:?}", got.keys(), want.keys());
    for (series, want) in want {
        let differs = got[series].iter().zip(want).find(|(got, want)| got != want);
        assert_eq!((differs, got[series].len()), (None, want.len()), "{series}, {when}");
    }
}

fn write(store: &Arc<Store>, lines: &str) {
    let mut stage = store.stage("story", Precision::Nanoseconds).unwrap();
    stage.add(lines.as_bytes(), 1);
    let (batch, report) = stage.finish();
    assert_eq!(report.refused, 0, "{:?}", report.first);
    store.append_blocking(batch).unwrap();
}

#[test]
fn a_log_from_before_units_whose_header_has_rotted_is_read_as_what_it_is() {
    let dir = folder();
    let segment = dir.path().join("wal/0000000004-000000.wal");
    for byte in [9, 20] {
        let mut bytes = fs::read(&segment).unwrap();
        bytes[byte] ^= 1;
        fs::write(&segment, &bytes).unwrap();
        check(&open(dir.path()), &written(), &format!("byte {byte} has rotted"));
    }
}

#[test]
fn a_day_that_nanoseconds_do_not_reach_stays_as_it_is() {
    let dir = folder();
    let day = dir.path().join("db/story/0001-01-01");
    copy(&dir.path().join("db/story/2020-09-16"), &day);
    let store = open(dir.path());
    check(&store, &written(), "beside such a day");
    store.maintain(&|| true).unwrap();
    store.archive(true, &|| true).unwrap();
    assert_eq!(fs::read_dir(day).unwrap().count(), 1, "what is in it cannot be asked for, and is not taken away");
}

#[test]
fn a_folder_from_before_units_reads_the_same_and_moves_into_the_formats_of_today() {
    let dir = folder();
    let mut want = written();
    check(&open(dir.path()), &want, "as it was left");
    let store = open(dir.path());
    // Behind what the old log has, and between two of its milliseconds.
    let ns = |ms: i64| ms * 1_000_000;
    let cpu = format!("cpu,host=a,dc=eu usage_user=7i,usage_idle=1.5 {}\n", ns(DAY_TWO_MS + 600_000));
    write(&store, &format!("{cpu}jitter v=1.5 {}\njitter v=9 {}\n", ns(DAY_TWO_MS + 1) + 500, ns(DAY_TWO_MS + 3)));
    for (field, value) in [("user", 7.0), ("idle", 1.5)] {
        let series = format!("cpu_usage_{field}{{db=\"story\", dc=\"eu\", host=\"a\"}}");
        want.get_mut(&series).unwrap().push((DAY_TWO_MS + 600_000, value));
    }
    let jitter = want.get_mut("jitter_v{db=\"story\"}").unwrap();
    *jitter = [(1, 1.0), (1, 1.5), (2, 3.0), (3, 9.0)].map(|(ms, value)| (DAY_TWO_MS + ms, value)).to_vec();
    check(&store, &want, "with lines of today");
    drop(store);
    check(&open(dir.path()), &want, "from a log of both versions");
    let store = open(dir.path());
    store.seal().unwrap();
    check(&store, &want, "sealed");
    store.maintain(&|| true).unwrap();
    check(&store, &want, "merged");
    write(&store, &format!("cpu,host=a,dc=eu usage_user=1i {}\n", ns(DAY_ONE_MS) + 1));
    let series = "cpu_usage_user{db=\"story\", dc=\"eu\", host=\"a\"}";
    want.get_mut(series).unwrap().insert(1, (DAY_ONE_MS, 1.0));
    store.seal().unwrap();
    store.archive(true, &|| true).unwrap();
    check(&store, &want, "archived again, with what came late");
    drop(store);
    check(&open(dir.path()), &want, "and after a start");
}

#[test]
fn a_folder_from_before_tags_reads_the_same_and_what_is_sent_again_counts() {
    let dir = folder_of("before_tags");
    let series = |labels: &str| format!("m_v{{{labels}}}");
    let (start, step) = (DAY_ONE_MS, STEP_MS);
    let mut want = Content::new();
    for (labels, samples) in [
        (r#"a_b="x", db="story""#, vec![(start, 1.0), (start + step, 1.0), (start + 2 * step, 2.0)]),
        (r#"db="story", exported_db="q", host="a""#, vec![(start, 1.0), (start + 2 * step, 2.0)]),
        (r#"db="story", host="a""#, vec![(start, 1.0), (start + 2 * step, 2.0)]),
        (r#"db="story", host="b", te_st="y""#, vec![(start, 1.0)]),
        (r#"db="story", host="c", te_st="y""#, vec![(start + 2 * step, 2.0)]),
        (r#"db="story", exported_rp="z", rp="week""#, vec![(start, 1.0)]),
    ] {
        want.insert(series(labels), samples);
    }
    let mut store = open(dir.path());
    check(&store, &want, "as it was left");

    // The same clients correct what they sent; for them nothing has changed.
    let (first, last) = (start * 1_000_000, (start + 2 * step) * 1_000_000);
    let keys = ["a-b=x", "db=q,host=a", "host=a"];
    write(&store, &keys.map(|tags| format!("m,{tags} v=7i {first}\nm,{tags} v=8i {last}\n")).concat());
    for labels in [r#"a_b="x", db="story""#, r#"db="story", exported_db="q", host="a""#, r#"db="story", host="a""#] {
        let samples = want.get_mut(&series(labels)).unwrap();
        samples.first_mut().unwrap().1 = 7.0;
        samples.last_mut().unwrap().1 = 8.0;
    }
    check(&store, &want, "sent again");
    drop(store);
    store = open(dir.path());
    check(&store, &want, "sent again, after a start");
    store.seal().unwrap();
    check(&store, &want, "sealed");
    store.archive(true, &|| true).unwrap();
    check(&store, &want, "archived");
    drop(store);
    check(&open(dir.path()), &want, "archived, after a start");
}
