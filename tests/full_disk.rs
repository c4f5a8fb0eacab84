//! The story: the disk is full, or fails, while the store logs, seals or merges. What was acknowledged stays readable and
//! survives a restart, what was not is refused with a reason, and once there is space again the work goes on.
//!
//! It would fail where half a record stays in the log before sound ones, where a seal lets go of what it could not write,
//! where a merge that failed takes the place of its sources, or where a log is trusted again after a failed sync.

mod support;

use sealine::clock::ManualClock;
use sealine::wal::WalError;
use std::path::Path;
use support::disk::{Act, FaultyDisk};
use support::library::{Content, config, open, open_on, read, try_write, write};

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
        disk.heal();
        write(&store, &line(4));
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
    assert!(store.status().wal_failed);
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
