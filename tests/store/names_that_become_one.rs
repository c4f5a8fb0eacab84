//! The story: two fields, or two measurements, have one name in PromQL. Both are kept, a query sees one series of them, and its
//! answer says so.
//!
//! It would fail where an answer does not say that it merged, where it says so of what it did not merge, or where a seal, a
//! merge or a start changes which of two values counts though the design says that it does not.

use crate::support::library::{config, open, write};
use sealine_base::clock::ManualClock;
use sealine_lineproto::Precision;
use sealine_model::{Matcher, Samples, Source};
use sealine_store::Store;
use std::path::Path;
use std::sync::Arc;

/// 2023-11-14 22:13:20 UTC.
const TIME_MS: i64 = 1_700_000_000_000;

const HOUR_MS: i64 = 3_600_000;

fn store(dir: &Path) -> Arc<Store> {
    open(&config(dir), &ManualClock::at(TIME_MS + HOUR_MS))
}

/// The values of the one series of a metric, and the warnings.
fn ask(store: &Arc<Store>, metric: &str, (start, end): (i64, i64)) -> (Vec<f64>, Vec<String>) {
    let reader = store.reader(None);
    let selection = reader.select(&[Matcher::equal("__name__", metric)], start, end).expect("it reads");
    assert_eq!(selection.len(), 1, "{metric}");
    let mut samples = Samples::default();
    selection.read(0, start, end, &mut samples).expect("it reads");
    (samples.values, selection.warnings())
}

fn merges(metric: &str, one: &str, other: &str) -> Vec<String> {
    vec![format!("the metric {metric:?} merges the columns {one} and {other}: rename one, or change [naming]")]
}

#[test]
fn in_memory_and_in_a_file_the_same_value_counts_and_the_answer_names_both_fields() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut opened = store(data.path());
    // `a-b` comes before `a.b`, whichever was written first.
    write(&opened, &format!("m,host=a a.b=2,a-b=1 {TIME_MS}\nm,host=a a.b=2 {}\n", TIME_MS - 1));
    write(&opened, &format!("n.o,host=a x=2 {TIME_MS}\n"));
    write(&opened, &format!("n-o,host=a x=1 {TIME_MS}\nn-o,host=a x=1 {}\n", TIME_MS + 1));
    write(&opened, &format!("kind v=1i {TIME_MS}\nkind v=1.5 {}\n", TIME_MS + 1));
    for when in ["in memory", "in memory, after a start", "sealed", "sealed, after a start", "archived"] {
        if when.ends_with("a start") {
            drop(opened);
            opened = store(data.path());
        }
        match when {
            "sealed" => assert!(opened.seal().expect("it seals") > 0),
            "archived" => assert_eq!(opened.archive(true, &|| true).expect("it archives").archived, 1),
            _ => {}
        }
        let all = (i64::MIN, i64::MAX);
        let want = (vec![2.0, 2.0], merges("m_a_b", "\"m\".\"a-b\"", "\"m\".\"a.b\""));
        assert_eq!(ask(&opened, "m_a_b", all), want, "{when}");
        let want = (vec![2.0, 1.0], merges("n_o_x", "\"n-o\".\"x\"", "\"n.o\".\"x\""));
        assert_eq!(ask(&opened, "n_o_x", all), want, "{when}");
        assert_eq!(ask(&opened, "kind_v", all), (vec![1.0, 1.5], Vec::new()), "kinds of one field, {when}");
    }
}

#[test]
fn of_two_generations_the_later_counts_until_a_merge_makes_them_one() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let opened = store(data.path());
    let value = |when: &str| match ask(&opened, "m_a_b", (i64::MIN, i64::MAX)) {
        (values, warnings) if values.len() == 1 && warnings.len() == 1 => values[0],
        other => panic!("{when}: {other:?}"),
    };
    write(&opened, &format!("m a.b=2 {TIME_MS}\n"));
    opened.seal().expect("it seals");
    write(&opened, &format!("m a-b=1 {TIME_MS}\n"));
    assert_eq!(value("a file and memory"), 1.0);
    opened.seal().expect("it seals");
    assert_eq!(value("two files"), 1.0);
    opened.archive(true, &|| true).expect("it archives");
    assert_eq!(value("one file"), 2.0, "what was written first is in a column behind the other");
}

#[test]
fn an_answer_is_silent_where_one_of_two_fields_has_no_sample() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let opened = store(data.path());
    write(&opened, &format!("m a.b=2 {TIME_MS}\nm a-b=1 {}\n", TIME_MS + HOUR_MS));
    for when in ["in memory", "sealed"] {
        for (time, value) in [(TIME_MS, 2.0), (TIME_MS + HOUR_MS, 1.0)] {
            assert_eq!(ask(&opened, "m_a_b", (time, time)), (vec![value], Vec::new()), "{when}");
        }
        opened.seal().expect("it seals");
    }
}

#[test]
fn two_spellings_of_a_tag_are_one_series_and_the_label_itself_counts_first() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut opened = store(data.path());
    write(&opened, &format!("m,a.b=x v=2 {TIME_MS}\nm,a_b=x v=1 {TIME_MS}\nm,a_b=x v=1 {}\n", TIME_MS + 1));
    write(&opened, &format!("n,a.b=x v=2 {TIME_MS}\nn,a-b=x v=3 {TIME_MS}\nn,a-b=x v=4 {}\n", TIME_MS + 1));
    let all = (i64::MIN, i64::MAX);
    let of_two = ask(&opened, "n_v", all).0;
    for when in ["in memory", "after a start", "sealed", "archived"] {
        match when {
            "after a start" => {
                drop(opened);
                opened = store(data.path());
            }
            "sealed" => assert!(opened.seal().expect("it seals") > 0),
            "archived" => assert_eq!(opened.archive(true, &|| true).expect("it archives").archived, 1),
            _ => {}
        }
        assert_eq!(ask(&opened, "m_v", all).0, [2.0, 1.0], "{when}");
        assert_eq!(ask(&opened, "n_v", all).0, of_two, "{when}");
    }
}

#[test]
fn a_tag_that_is_called_as_a_label_of_another_database_joins_its_series() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut config = config(data.path());
    config.naming.db_label = true;
    let opened = open(&config, &ManualClock::at(TIME_MS + HOUR_MS));
    for (database, line) in
        [("story", format!("m,rp=week v=1 {TIME_MS}")), ("story/week", format!("m v=2 {}", TIME_MS + 1))]
    {
        let mut stage = opened.stage(database, Precision::Milliseconds).expect("a good name");
        stage.add(line.as_bytes(), 1);
        opened.append_blocking(stage.finish().0).expect("the log takes it");
    }
    for when in ["in memory", "sealed"] {
        assert_eq!(ask(&opened, "m_v", (i64::MIN, i64::MAX)).0, [1.0, 2.0], "{when}");
        opened.seal().expect("it seals");
    }
}
