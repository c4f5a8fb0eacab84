//! What once went wrong in the store, each with its name: a test a fault, through the store as a library.

#![allow(clippy::disallowed_methods, reason = "tests damage files by hand")]

use crate::support::disk::{Act, FaultyDisk};
use crate::support::library;
use sealine::config::{Config, Flags};
use sealine_base::clock::SystemClock;
use sealine_base::vfs::{DiskVfs, SharedVfs};
use sealine_lineproto::Precision;
use sealine_model::{Matcher, Samples, Source};
use sealine_store::Store;
use sealine_telemetry::Telemetry;
use std::path::Path;
use std::sync::Arc;

fn open(dir: &Path, vfs: SharedVfs, more: &[(&str, &str)]) -> Arc<Store> {
    let mut env: Vec<(std::ffi::OsString, std::ffi::OsString)> =
        vec![("SEALINE__DATA_DIR".into(), dir.as_os_str().into()), ("SEALINE__INGEST__MAX_FUTURE".into(), "0".into())];
    env.extend(more.iter().map(|(k, v)| (k.into(), v.into())));
    let config = Config::load(None, env, &Flags::default()).unwrap();
    Store::open(vfs, SystemClock::shared(), config.store_options(), Telemetry::new()).unwrap()
}
fn write(store: &Arc<Store>, text: &str) {
    let mut stage = store.stage("d", Precision::Milliseconds).unwrap();
    stage.add(text.as_bytes(), 1);
    let (batch, report) = stage.finish();
    assert_eq!(report.refused, 0, "{:?}", report.first);
    store.append_blocking(batch).unwrap();
}
fn count(store: &Arc<Store>) -> usize {
    let reader = store.reader(None);
    let selection = reader.select(&[Matcher::equal("__name__", "m_v")], i64::MIN + 1, i64::MAX - 1).unwrap();
    let mut all = 0;
    for at in 0..selection.len() {
        let mut samples = Samples::default();
        selection.read(at, i64::MIN + 1, i64::MAX - 1, &mut samples).unwrap();
        all += samples.len();
    }
    all
}

#[test]
fn an_archive_of_one_file_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), DiskVfs::shared(), &[]);
    write(&store, "m,h=a v=1 1600000000000\nm,h=a v=2 1600000010000\n");
    store.seal().unwrap();
    assert_eq!(count(&store), 2);
    store.archive(true, &|| true).unwrap();
    assert_eq!(count(&store), 2);
}

/// Refuses to unlink log segments once `first` of them are gone.
fn keeps_segments_after(mut first: usize) -> impl FnMut(Act, &Path) -> bool {
    move |act, path| {
        let segment = act == Act::Unlink && path.extension().is_some_and(|end| end == "wal");
        let refuse = segment && first == 0;
        first -= usize::from(segment && first > 0);
        refuse
    }
}

#[test]
fn a_log_that_cannot_be_deleted_costs_no_sample() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::refusing(keeps_segments_after(0));
    let store = open(dir.path(), disk.shared(), &[]);
    write(&store, "m,h=a v=1 1600000000000\n");
    assert!(store.seal().is_err());
    disk.heal();
    assert_eq!(count(&store), 1);
    write(&store, "m,h=a v=1 1600000010000\n");
    store.seal().unwrap();
    assert_eq!(count(&store), 2);
}

#[test]
fn a_crash_between_the_unlinks_of_two_segments_costs_no_sample() {
    let dir = tempfile::tempdir().unwrap();
    {
        // The first unlink works, then the machine stops.
        let disk = FaultyDisk::refusing(keeps_segments_after(1));
        let store = open(dir.path(), disk.shared(), &[("SEALINE__WAL__SEGMENT_BYTES", "1MiB")]);
        for host in 0..40 {
            let text: String =
                (0..20_000).map(|at| format!("m,h={host} v={at}.123456789 {}\n", 1_600_000_000_000i64 + at)).collect();
            write(&store, &text);
        }
        assert!(store.seal().is_err());
        assert_eq!(count(&store), 800_000);
    }
    let store = open(dir.path(), DiskVfs::shared(), &[]);
    assert_eq!(count(&store), 800_000);
    store.seal().unwrap();
    assert_eq!(count(&store), 800_000);
}

#[test]
fn any_number_of_spellings_of_a_row_is_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), DiskVfs::shared(), &[]);
    let tags = ["a=1", "b=2", "c=3", "d=4"];
    let mut time = 1_600_000_000_000i64;
    for x in 0..4 {
        for y in 0..4 {
            for z in 0..4 {
                for w in 0..4 {
                    let mut seen = [x, y, z, w];
                    seen.sort();
                    if seen == [0, 1, 2, 3] {
                        time += 1;
                        write(&store, &format!("m,{},{},{},{} v=1 {time}\n", tags[x], tags[y], tags[z], tags[w]));
                    }
                }
            }
        }
    }
    assert_eq!(count(&store), 24);
}

/// Definitions can be many times longer than the lines that need them.
#[test]
fn a_record_longer_than_the_reader_takes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let measurement = "m".repeat(256);
    let fields: Vec<String> = (0..4000).map(|at| format!("{at:x}=1")).collect();
    let fields = fields.join(",");
    let text: String = (0..320).map(|row| format!("{measurement},h={row} {fields} 1600000000000\n")).collect();
    {
        let store = open(dir.path(), DiskVfs::shared(), &[]);
        let mut stage = store.stage("d", Precision::Milliseconds).unwrap();
        stage.add(text.as_bytes(), 1);
        let error = store.append_blocking(stage.finish().0).unwrap_err().to_string();
        assert!(error.ends_with("a record may have 268435456: send smaller batches"), "{error}");
        write(&store, "m,h=a v=1 1600000000000\n");
        assert_eq!(store.status().databases["d"].memory.samples, 1);
    }
    let store = open(dir.path(), DiskVfs::shared(), &[]);
    assert_eq!(count(&store), 1);
}

/// A name that makes no folder would stop every seal, for all databases.
#[test]
fn strings_of_two_measurements_are_series_of_two_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = library::config(dir.path());
    config.naming.string_fields = vec!["*.os".into()];
    let clock = sealine_base::clock::ManualClock::at(1_700_000_000_000);
    let store = library::open(&config, &clock);
    for measurement in ["cpu", "mem"] {
        for os in ["x", "y"] {
            library::write(&store, &format!("{measurement},host=a os=\"{os}\" 1700000000000\n"));
        }
    }
    let series: Vec<String> = library::read(&store, i64::MIN, i64::MAX).into_keys().collect();
    let want = ["cpu_os_info{host=\"a\", value=\"x\"}", "cpu_os_info{host=\"a\", value=\"y\"}"];
    let want: Vec<String> = want.iter().flat_map(|w| [w.to_string(), w.replace("cpu", "mem")]).collect();
    assert_eq!(series.len(), 4, "{series:?}");
    assert!(want.iter().all(|w| series.contains(w)), "{series:?}");
}

#[test]
fn a_long_database_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), DiskVfs::shared(), &[]);
    for name in [String::new(), "x".repeat(81)] {
        assert!(store.stage(&name, Precision::Milliseconds).is_err(), "{name}");
    }
    let mut stage = store.stage(&"\u{1}".repeat(80), Precision::Milliseconds).unwrap();
    stage.add(b"m v=1 1600000000000\n", 1);
    store.append_blocking(stage.finish().0).unwrap();
    assert_eq!(store.seal().map_err(|error| error.to_string()), Ok(1));
}

/// The merge of its own partition fails, the partitions behind it are looked after all the same.
#[test]
fn one_rotten_chunk_does_not_stop_maintenance() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), DiskVfs::shared(), &[]);
    for day in 0..2i64 {
        for at in 0..8 {
            write(&store, &format!("m,h=a v=1 {}\n", 1_600_000_000_000i64 + day * 86_400_000 + at));
            store.seal().unwrap();
        }
    }
    let first = std::fs::read_dir(dir.path().join("db/d/2020-09-13")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    assert!(store.maintain(&|| true).is_err());
    assert_eq!(std::fs::read_dir(dir.path().join("db/d/2020-09-14")).unwrap().count(), 1, "the other day is merged");
}

/// The log counts against `disk.max_bytes`, but a seal shortens it: it is no reason to drop what is being written.
#[test]
fn a_long_log_does_not_take_the_newest_partition() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), DiskVfs::shared(), &[("SEALINE__DISK__MAX_BYTES", "4KiB")]);
    for day in 0..3i64 {
        write(&store, &format!("m,h=a v=1 {}\n", 1_600_000_000_000i64 + day * 86_400_000));
    }
    store.seal().unwrap();
    let text: String = (0..2000).map(|at| format!("m,h=b v={at}.5 {}\n", 1_600_172_800_000i64 + at)).collect();
    write(&store, &text);
    store.maintain(&|| true).unwrap();
    assert!(count(&store) > 2000, "the newest day stays, however long the log is");
}
