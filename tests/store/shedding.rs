//! The story: memory runs short, and things give way one after the other: what files hold, heavy queries, writes. All
//! of it comes back when there is room, and no answer changes but those that say to try again.
//!
//! It would fail where a step comes too early or not at all, where a file that was let go of is not read again, or where
//! what a query or a batch held is not given back.

use crate::support::library::{config, open, read, write};
use sealine_base::clock::ManualClock;
use sealine_base::pools::{Pool, Step};
use sealine_model::{MatchOp, Matcher, Samples, Source};
use sealine_promql::{Cancel, Engine, QueryError, Request, TimeRange};
use sealine_store::Store;
use std::sync::Arc;

const START_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 86_400_000;

/// Sealed days, each with a chunk file.
const DAYS: i64 = 5;

/// A store with a file for each day, of which the last is young enough to be resident.
fn store(data: &std::path::Path) -> Arc<Store> {
    let mut config = config(data);
    config.memory.limit = "64MiB".parse().expect("a size");
    let store = open(&config, &ManualClock::at(START_MS + DAYS * DAY_MS));
    for day in 0..DAYS {
        let time = START_MS + (day + 1) * DAY_MS;
        write(&store, &(0..500).map(|host| format!("m,host=h{host} v={day} {time}\n")).collect::<String>());
        store.seal().expect("the disk takes it");
    }
    store
}

/// A store whose memory is in use up to this part of its limit, in hundredths, by something else.
fn fill(store: &Store, percent: u64) {
    let pools = store.pools();
    pools.set(Pool::Queries, 0);
    let others = pools.total();
    pools.set(Pool::Queries, (pools.limit() * percent / 100).saturating_sub(others));
}

#[test]
fn files_let_go_of_what_they_hold_and_are_read_again() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let store = store(data.path());
    let all = read(&store, i64::MIN, i64::MAX);
    assert_eq!(all.values().map(Vec::len).sum::<usize>() as i64, 500 * DAYS);
    store.shed();
    let held = store.pools().bytes(Pool::Files);
    assert!(held > 0, "files that were read hold their indexes");

    fill(&store, 69);
    store.shed();
    assert_eq!(store.pools().bytes(Pool::Files), held, "there is no need yet");
    fill(&store, 75);
    store.shed();
    assert_eq!(store.pools().bytes(Pool::Files), 0, "all of it, for it is not enough");
    assert_eq!(read(&store, i64::MIN, i64::MAX), all, "and it is read again");
    store.shed();
    assert_eq!(store.pools().bytes(Pool::Files), 0);
    fill(&store, 0);
    store.maintain(&|| true).expect("the disk gives it");
    assert_eq!(read(&store, i64::MIN, i64::MAX), all);
    store.shed();
    assert_eq!(store.pools().bytes(Pool::Files), held, "there is room again, for the chunks of the young one too");
}

#[test]
fn a_reader_goes_on_while_its_files_are_let_go_of_and_archived_under_their_own_name() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let store = store(data.path());
    let all = read(&store, i64::MIN, i64::MAX);
    let reader = store.reader(None);
    let any = Matcher::new("__name__", MatchOp::Equal, "m_v").expect("plain");
    let selection = reader.select(&[any], i64::MIN, i64::MAX).expect("the store answers");
    fill(&store, 75);
    store.shed();
    let archived = store.archive(true, &|| true).expect("the disk takes it").archived;
    assert_eq!(archived as i64, DAYS, "each from one file, which leaves its name to the archive");
    store.shed();
    let mut samples = Samples::default();
    for index in 0..selection.len() {
        selection.read(index, i64::MIN, i64::MAX, &mut samples).expect("what was selected can be read");
        assert_eq!(samples.times.len() as i64, DAYS);
    }
    assert_eq!(selection.warnings(), Vec::<String>::new());
    drop(selection);
    assert_eq!(read(&store, i64::MIN, i64::MAX), all);
}

#[test]
fn heavy_queries_are_refused_before_writes_are_and_small_ones_are_not() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let store = store(data.path());
    let engine = Engine::default().with_pools(store.pools().clone());
    let ask = |text: &str| {
        let end = START_MS + DAYS * DAY_MS;
        let range = TimeRange::Range { start: START_MS, end, step: (end - START_MS) / 1000 };
        let (deadline, cancel) = (None, Cancel::default());
        let request = Request { text, range, lookback_ms: Some(DAY_MS), deadline, cancel, count_steps: false };
        engine.query(&store.reader(None), &request).map(drop)
    };
    let (heavy, small) = ("sort(m_v)", "sum(m_v{host=\"h1\"})");
    for (percent, refuses_queries, refuses_writes) in
        [(0, false, false), (60, false, false), (85, true, false), (95, true, true)]
    {
        fill(&store, percent);
        match ask(heavy) {
            Ok(()) => assert!(!refuses_queries, "at {percent} %"),
            Err(QueryError::Full(full)) => {
                assert!(refuses_queries, "at {percent} %: {full}");
                assert!(full.to_string().contains("memory.limit"), "{full}");
            }
            Err(error) => panic!("at {percent} %: {error}"),
        }
        ask(small).expect("small queries go on");
        assert_eq!(store.pools().admit_write(0).is_err(), refuses_writes, "at {percent} %");
    }
    fill(&store, 0);
    let before = store.pools().total();
    ask(heavy).expect("there is room");
    write(&store, &format!("m,host=h1 v=1 {}\n", START_MS + DAY_MS));
    assert_eq!(store.pools().bytes(Pool::Buffers), 0, "the batch has given back what it held");
    assert!(store.pools().total() <= before + (1 << 20) && !store.pools().is_due(Step::Seal), "the query too");
}
