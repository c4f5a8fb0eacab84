//! The story: the disk is full, or fails, while the store logs, seals or merges. What was acknowledged stays readable and
//! survives a restart, what was not is refused with a reason, and once there is space again the work goes on.
//!
//! It would fail where half a record stays in the log before sound ones, where a seal lets go of what it could not write,
//! where a merge that failed takes the place of its sources, or where a log is trusted again after a failed sync.

use crate::support::disk::{Act, FaultyDisk};
use crate::support::library::{Content, config, open, open_on, read, try_write, write};
use sealine_base::clock::ManualClock;
use sealine_model::{MatchOp, Matcher, Samples, Source, SourceError};
use sealine_store::WalError;
use std::path::Path;

const START_MS: i64 = 1_700_000_000_000;

/// One sample of a series at a number of seconds.
fn line(second: i64) -> String {
    format!("m,host=a v={second} {}\n", START_MS + second * 1000)
}

/// What there is after these have been written.
fn content(seconds: impl IntoIterator<Item = i64>) -> Content {
    let samples = seconds.into_iter().map(|second| (START_MS + second * 1000, second as f64));
    Content::from([("m_v{host=\"a\"}".to_string(), samples.collect())])
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.to_string_lossy().ends_with(end)
}

#[test]
fn a_full_log_refuses_and_goes_on_when_there_is_space() {
    for (name, refused) in [("a segment cannot grow", Act::Append), ("a segment cannot be made", Act::Create)] {
        let data = tempfile::tempdir().expect("a folder for the test");
        let (clock, config) = (ManualClock::at(START_MS + 60_000), config(data.path()));
        let disk = FaultyDisk::refusing(|_, _| false);
        let store = open_on(disk.shared(), &config, &clock);
        if refused == Act::Append {
            write(&store, &line(0));
        }
        disk.refuse(move |act, path| act == refused && ends_with(path, ".wal"));
        for second in 1..4 {
            let error = try_write(&store, &line(second)).expect_err("the disk is full");
            assert!(matches!(error, WalError::Write { .. } | WalError::Create { .. }), "{name}: {error}");
        }
        let why = store.degraded().expect("it knows that it refuses");
        assert!(why.contains("log segment") && why.contains("the disk of this test refuses"), "{name}: {why}");
        disk.heal();
        write(&store, &line(4));
        assert_eq!(store.degraded(), None, "{name}");
        let want = content(if refused == Act::Append { vec![0, 4] } else { vec![4] });
        assert_eq!(read(&store, i64::MIN, i64::MAX), want, "{name}");
        drop(store);
        assert_eq!(read(&open(&config, &clock), i64::MIN, i64::MAX), want, "{name}: after a restart");
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let (clock, config) = (ManualClock::at(START_MS + 60_000), config(data.path()));
    let disk = FaultyDisk::refusing(|_, _| false);
    let store = open_on(disk.shared(), &config, &clock);
    write(&store, &line(0));
    disk.refuse(|act, path| act == Act::Sync && ends_with(path, ".wal"));
    let error = try_write(&store, &line(1)).expect_err("the sync fails");
    assert!(matches!(error, WalError::Sync { .. }), "{error}");
    disk.heal();
    let error = try_write(&store, &line(2)).expect_err("nothing is known of the disk any more");
    assert!(matches!(error, WalError::FailedEarlier), "{error}");
    assert!(store.status().wal_failed && store.degraded().is_some());
    assert_eq!(read(&store, i64::MIN, i64::MAX), content([0]), "queries go on");
    drop(store);
    let store = open(&config, &clock);
    write(&store, &line(3));
    let found = read(&store, i64::MIN, i64::MAX);
    assert!(
        found == content([0, 3]) || found == content([0, 1, 3]),
        "what was not acknowledged may be there: {found:?}"
    );
}

#[test]
fn a_seal_or_archive_that_fails_loses_nothing_and_is_done_later() {
    for (name, refused) in [
        ("no file can be made", Act::Create),
        ("no byte fits", Act::Append),
        ("no sync", Act::Sync),
        ("no name", Act::Rename),
    ] {
        let data = tempfile::tempdir().expect("a folder for the test");
        let (clock, config) = (ManualClock::at(START_MS + 60_000), config(data.path()));
        let disk = FaultyDisk::refusing(|_, _| false);
        let store = open_on(disk.shared(), &config, &clock);
        let full = move |act, path: &Path| act == refused && ends_with(path, ".chunks.tmp");
        for second in 0..3 {
            write(&store, &line(second * 2));
            disk.refuse(full);
            store.seal().expect_err("the disk is full");
            write(&store, &line(second * 2 + 1));
            assert_eq!(read(&store, i64::MIN, i64::MAX), content(0..second * 2 + 2), "{name}: {second}");
            disk.heal();
            store.seal().expect("there is space again");
            assert_eq!(read(&store, i64::MIN, i64::MAX), content(0..second * 2 + 2), "{name}: {second}, sealed");
        }
        disk.refuse(full);
        store.archive(true, &|| true).expect_err("the disk is full");
        assert_eq!(read(&store, i64::MIN, i64::MAX), content(0..6), "{name}: not archived");
        disk.heal();
        assert_eq!(store.archive(true, &|| true).expect("there is space again").archived, 1, "{name}");
        drop(store);
        assert_eq!(read(&open(&config, &clock), i64::MIN, i64::MAX), content(0..6), "{name}: after a restart");
    }
}

#[test]
fn a_read_that_fails_costs_the_questions_that_need_it_and_nothing_else() {
    const DAY_MS: i64 = 86_400_000;
    let data = tempfile::tempdir().expect("a folder for the test");
    let (clock, config) = (ManualClock::at(START_MS + 30 * DAY_MS), config(data.path()));
    let disk = FaultyDisk::refusing(|_, _| false);
    let store = open_on(disk.shared(), &config, &clock);
    for day in 0..3 {
        write(&store, &format!("m,host=a v={day} {}\n", START_MS + day * DAY_MS));
    }
    store.seal().expect("the store seals");
    let any = Matcher::new("__name__", MatchOp::Regex, ".+").expect("a plain expression");
    let ask = |day: i64| -> Result<Vec<f64>, SourceError> {
        let (start, end) = (START_MS + day * DAY_MS, START_MS + day * DAY_MS + 1);
        let reader = store.reader(None);
        let selection = reader.select(std::slice::from_ref(&any), start, end)?;
        let mut samples = Samples::default();
        (0..selection.len()).try_for_each(|index| selection.read(index, start, end, &mut samples))?;
        assert_eq!(selection.warnings(), Vec::<String>::new(), "a disk that fails is no damage");
        Ok(samples.values)
    };
    let middle = sealine_model::partition_of(sealine_model::ns_from_ms(START_MS + DAY_MS));
    let folder = sealine_store::parts::disk::day_name(middle);
    disk.refuse(move |act, path| act == Act::Read && path.to_string_lossy().contains(&folder));
    for round in 0..2 {
        assert_eq!(ask(0).expect("the disk gives this day"), [0.0], "round {round}");
        let error = ask(1).expect_err("the disk does not give this day").to_string();
        assert!(error.contains("storage cannot answer"), "{error}");
        assert_eq!(ask(2).expect("the disk gives this day"), [2.0], "round {round}");
    }
    disk.heal();
    assert_eq!(ask(1).expect("the disk gives it again"), [1.0]);
    assert!(!data.path().join("quarantine").exists(), "nothing is set aside for that");
}
