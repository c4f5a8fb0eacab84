//! The story: a seal has written its chunk files, and then its log cannot be deleted, or only a part of it, since the
//! disk refuses or the power goes. What was written is there afterwards, exactly once.
//!
//! It would fail where the next seal's chunk file, which stands for all generations in its name, takes the place of one
//! that holds what is no longer in memory; or where a part of a log is replayed as if it were the whole.

use crate::support::disk::{Act, FaultyDisk};
use crate::support::library::{Content, config, open, open_on, read, write};
use sealine_base::clock::ManualClock;
use sealine_base::vfs::{DiskVfs, Vfs};
use std::fmt::Write;

const START_MS: i64 = 1_700_000_000_000;

/// A disk that unlinks so many segments of the log and then refuses.
fn stubborn(mut unlinks: usize) -> FaultyDisk {
    FaultyDisk::refusing(move |act, path| {
        let segment = act == Act::Unlink && path.extension().is_some_and(|end| end == "wal");
        let refused = segment && unlinks == 0;
        unlinks -= usize::from(segment && !refused);
        refused
    })
}

/// One point of many hosts; the first, which defines them, fills a segment.
fn point(number: i64) -> String {
    let mut lines = String::new();
    for host in 0..800 {
        let time = START_MS + number * 1000;
        writeln!(lines, "m,host=host-with-a-long-name-{host:060} v={} {time}", number * 1000 + host).expect("memory");
    }
    lines
}

fn samples(content: &Content) -> usize {
    content.values().map(Vec::len).sum()
}

#[test]
fn a_seal_that_cannot_delete_its_log_loses_nothing() {
    for unlinks in [0, 1, 2] {
        let data = tempfile::tempdir().expect("a folder for the test");
        let (clock, mut config) = (ManualClock::at(START_MS + 60_000), config(data.path()));
        config.wal.segment_bytes = 64 << 10;
        let disk = stubborn(unlinks);
        let store = open_on(disk.shared(), &config, &clock);
        (0..20).for_each(|number| _ = write(&store, &point(number)));
        let segments = DiskVfs.list(&data.path().join("wal")).expect("the log has a folder").len();
        assert!(segments > 2, "{segments} segments cannot show this");
        let want = read(&store, i64::MIN, i64::MAX);
        assert_eq!(samples(&want), 20 * 800);

        let error = store.seal().expect_err("the disk refuses").to_string();
        assert!(error.starts_with("cannot delete sealed log segments in "), "{error}");
        assert!(read(&store, i64::MIN, i64::MAX) == want, "{unlinks} unlinked: after the seal");

        write(&store, &point(20));
        disk.heal();
        store.seal().expect("the disk has come to its senses");
        let found = read(&store, i64::MIN, i64::MAX);
        assert_eq!(samples(&found), 21 * 800, "{unlinks} unlinked: after the next seal");
        drop(store);
        assert!(read(&open(&config, &clock), i64::MIN, i64::MAX) == found, "{unlinks} unlinked: after a restart");
    }
}

#[test]
fn a_restart_while_the_log_goes_loses_nothing() {
    for unlinks in [0, 1, 2] {
        let data = tempfile::tempdir().expect("a folder for the test");
        let (clock, mut config) = (ManualClock::at(START_MS + 60_000), config(data.path()));
        config.wal.segment_bytes = 64 << 10;
        let store = open_on(stubborn(unlinks).shared(), &config, &clock);
        (0..20).for_each(|number| _ = write(&store, &point(number)));
        let want = read(&store, i64::MIN, i64::MAX);
        store.seal().expect_err("the disk refuses");
        drop(store);

        let store = open(&config, &clock);
        assert!(read(&store, i64::MIN, i64::MAX) == want, "{unlinks} unlinked: after a restart");
        write(&store, &point(20));
        store.seal().expect("the store seals");
        let found = read(&store, i64::MIN, i64::MAX);
        assert_eq!(samples(&found), 21 * 800, "{unlinks} unlinked: after the next seal");
        drop(store);
        assert!(read(&open(&config, &clock), i64::MIN, i64::MAX) == found, "{unlinks} unlinked: after another restart");
    }
}
