//! The story: a day sees more series than the index of one file may describe in the memory that there is, since they come
//! and go. Merges and the archive keep them in several files, each small enough, and nobody who asks can tell.
//!
//! It would fail where a merge took memory by what a day has instead of by `memory.limit`, where a query held the
//! indexes of all files at once, where an archive were made again for each series that comes late, or where a sample
//! counted twice or not at all.

#![expect(clippy::disallowed_methods, reason = "a test looks at the folder itself")]

use crate::support::library::{config, open, read, write};
use sealine::config::Config;
use sealine_base::clock::ManualClock;
use sealine_base::pools::Pool;
use sealine_base::vfs::DiskVfs;
use sealine_store::parts::disk::{ChunkFile, FileName, Volume};
use sealine_store::{Question, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const START_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 86_400_000;

const SEALS: usize = 20;

/// Hosts that write between two seals, a tenth of them always, the others never again.
const HOSTS: usize = 4000;

fn small(data: &Path) -> Config {
    let mut config = config(data);
    config.memory.limit = "48MiB".parse().expect("a size");
    config.merge.fan_in = 3;
    config
}

/// The chunk files of the one day.
fn chunk_files(data: &Path) -> Vec<PathBuf> {
    let day = data.join("db/story/2023-11-14");
    let entries = std::fs::read_dir(day).expect("the day has a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}

/// Bytes of entries and index in a file, and whether it is an archive.
fn described(path: &Path) -> (u64, bool) {
    let bytes = path.metadata().expect("it is there").len();
    let name = FileName { first: 1, last: 1 };
    let file = ChunkFile::found(Volume::unbounded(DiskVfs::shared()), path.to_path_buf(), name, bytes);
    let (described, info) = (file.described_bytes(), file.info());
    (described.expect("it is sound"), info.expect("it is sound").archived)
}

fn fill(store: &Arc<Store>) {
    for seal in 0..SEALS {
        let host = |host: usize| if host < HOSTS / 10 { host } else { seal * HOSTS + host };
        let time = START_MS + seal as i64 * 10_000;
        let lines: String = (0..HOSTS).map(|h| format!("m,host=h{},seal=all v={seal} {time}\n", host(h))).collect();
        assert_eq!(write(store, &lines).refused, 0);
        store.seal().expect("the disk takes it");
        store.maintain(&|| true).expect("the disk takes it");
    }
}

#[test]
fn a_day_of_very_many_series_is_archived_in_several_files() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let clock = ManualClock::at(START_MS + 600_000);
    let store = open(&small(data.path()), &clock);
    fill(&store);
    let all = read(&store, i64::MIN, i64::MAX);
    let once = SEALS * (HOSTS - HOSTS / 10);
    assert_eq!(all.len(), once + HOSTS / 10, "series");
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), SEALS * HOSTS, "samples");

    let max = store.pools().limit() / 32;
    clock.jump_to(START_MS + 30 * DAY_MS);
    assert!(store.archive(true, &|| true).expect("the disk takes it").archived > 0);
    let files: Vec<_> = chunk_files(data.path()).iter().map(|path| described(path)).collect();
    assert!(files.len() > 1 && files.len() < SEALS, "{files:?}");
    assert!(files.iter().all(|(bytes, archived)| *archived && *bytes <= max), "at most {max}: {files:?}");
    assert_eq!(store.pools().bytes(Pool::Maintenance), 0, "what it took is given back");
    assert_eq!(read(&store, i64::MIN, i64::MAX), all);
    assert_eq!(store.archive(true, &|| true).expect("there is nothing to do").archived, 0);

    // What comes late goes into the last of them, the others stay what they are.
    let before = chunk_files(data.path());
    write(&store, &format!("m,host=late,seal=all v=1 {START_MS}\n"));
    store.seal().expect("the disk takes it");
    assert_eq!(store.archive(true, &|| true).expect("the disk takes it").archived, 1);
    let after = chunk_files(data.path());
    let kept = after.iter().filter(|path| before.contains(path)).count();
    assert_eq!((after.len(), kept), (before.len(), before.len() - 1), "{before:?} {after:?}");
    let mut wanted = all;
    wanted.extend(read(&store, START_MS, START_MS).into_iter().filter(|(series, _)| series.contains("late")));
    assert_eq!(wanted.len(), once + HOSTS / 10 + 1);
    assert_eq!(read(&store, i64::MIN, i64::MAX), wanted);
    drop(store);
    assert_eq!(read(&open(&small(data.path()), &clock), i64::MIN, i64::MAX), wanted, "after a start");
}

#[test]
fn a_query_over_many_files_lets_go_of_one_index_before_it_takes_the_next() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let store = open(&small(data.path()), &ManualClock::at(START_MS + 30 * DAY_MS));
    fill(&store);
    store.archive(true, &|| true).expect("the disk takes it");
    let pools = store.pools();
    let hosts = || {
        let question = Question { selectors: &[], start: i64::MIN, end: i64::MAX, enough: usize::MAX };
        store.reader(None).label_values("host", &question).expect("the store answers").0.len()
    };
    let all = hosts();
    assert_eq!(all, SEALS * (HOSTS - HOSTS / 10) + HOSTS / 10);
    let whole = pools.bytes(Pool::Files);
    // Something else has all but what half of the files take.
    let others = pools.limit() * 7 / 10 - pools.total();
    pools.set(Pool::Chunks, pools.bytes(Pool::Chunks) + others + whole / 2);
    store.shed();
    assert_eq!(hosts(), all);
    assert!(pools.bytes(Pool::Files) <= whole / 2 + 1, "{} of {whole} bytes", pools.bytes(Pool::Files));
}
