//! `sealine verify` and `sealine dump`, as an operator runs them: over a data directory with a log and a chunk file, whole
//! and damaged.

#![allow(clippy::disallowed_methods, reason = "tests damage files by hand")]

use sealine::config::{Config, Flags};
use sealine_base::clock::SystemClock;
use sealine_base::vfs::DiskVfs;
use sealine_lineproto::Precision;
use sealine_store::Store;
use sealine_telemetry::Telemetry;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A data directory with one sealed sample and one that is in the log alone.
fn data_dir(dir: &Path) {
    let environment = [("SEALINE__DATA_DIR".into(), dir.as_os_str().into())];
    let config = Config::load(None, environment, &Flags::default()).unwrap();
    let store =
        Store::open(DiskVfs::shared(), SystemClock::shared(), config.store_options(), Telemetry::new()).unwrap();
    for line in ["cpu,host=a user=1.5 1600000000000", "cpu,host=b user=7 1600000010000"] {
        let mut stage = store.stage("telegraf", Precision::Milliseconds).unwrap();
        stage.add(line.as_bytes(), 1);
        store.append_blocking(stage.finish().0).unwrap();
        if line.contains("host=a") {
            store.seal().unwrap();
        }
    }
}

fn sealine(command: &str, path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealine")).arg(command).arg(path).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The only file in a folder.
fn only(dir: &Path) -> PathBuf {
    let files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn verify_counts_what_is_sound_and_names_what_is_not() {
    let dir = tempfile::tempdir().unwrap();
    data_dir(dir.path());
    let whole = sealine("verify", dir.path());
    assert_eq!(
        (whole.status.code(), text(&whole.stdout).as_str()),
        (Some(0), "2 files, 1 sound samples in chunk files, 1 sound log records, 0 faults\n")
    );
    let file = only(&dir.path().join("db/telegraf/2020-09-13"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = sealine("verify", dir.path());
    assert_eq!(damaged.status.code(), Some(1));
    let want = format!("chunk file {} is damaged at byte 12: the checksum of a chunk does not match", file.display());
    assert!(text(&damaged.stdout).starts_with(&want), "{}", text(&damaged.stdout));
    assert!(text(&damaged.stderr).starts_with("error: "), "{}", text(&damaged.stderr));
}

#[test]
fn dump_shows_samples_of_chunk_files_and_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    data_dir(dir.path());
    let chunks = sealine("dump", &only(&dir.path().join("db/telegraf/2020-09-13")));
    let shown = text(&chunks.stdout);
    for line in [
        "format version: 4",
        "day: 2020-09-13 (18518 days since 1970)",
        "times: 1600000000000000000 to 1600000000000000000 ns (2020-09-13T12:26:40Z to 2020-09-13T12:26:40Z)",
        "samples: 1 in 1 chunks of 1 series",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no line {line:?} in {shown}");
    }
    assert!(!shown.contains("FileInfo"), "{shown}");
    assert!(
        shown.contains("\"cpu\".\"user\" (float) {host=\"a\"}") && shown.contains("1600000000000000000 1.5"),
        "{shown}"
    );
    let log = sealine("dump", &only(&dir.path().join("wal")));
    let shown = text(&log.stdout);
    assert!(shown.contains("row 0 is \"cpu\"") && shown.contains("row 0 at 1600000010000000000 ns: 0=7"), "{shown}");
    for (path, want) in [("lock", "is neither a chunk file"), ("none.wal", "is neither a chunk file")] {
        let refused = sealine("dump", &dir.path().join(path));
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains(want), "{}", text(&refused.stderr));
    }
    let foreign = sealine("verify", tempfile::tempdir().unwrap().path());
    assert!(text(&foreign.stderr).contains("is not a data directory"), "{}", text(&foreign.stderr));
}
