//! The story: somebody configures Sealine, makes mistakes, and is told what they are. Through the binary, since the
//! streams, the exit codes and the wording on the terminal are what that person has.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/sealine.toml");

/// Runs the binary in `folder` with these arguments and variables and nothing else in its environment.
fn sealine(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealine"));
    command.current_dir(folder).args(arguments).env_clear().envs(environment.iter().copied());
    command.output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("we print UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("we print UTF-8")
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("bad.toml");
    let mut file = tempfile::NamedTempFile::new_in(folder).expect("the test's folder is writable");
    file.write_all(text.as_bytes()).expect("the test's folder has space");
    file.persist(&path).expect("the test's folder takes names");
    path
}

#[test]
fn the_reference_file_is_good_and_what_is_printed_is_good_too() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let first = sealine(folder.path(), &["check-config", REFERENCE], &[]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(stderr(&first), format!("{REFERENCE} is a valid configuration\n"));
    assert!(stdout(&first).contains("[http]\n"), "{}", stdout(&first));
    file(folder.path(), &stdout(&first));
    let second = sealine(folder.path(), &["check-config", "bad.toml"], &[]);
    assert_eq!(second.status.code(), Some(0), "{}", stderr(&second));
    assert_eq!(stdout(&second), stdout(&first));
}

#[test]
fn the_environment_is_part_of_what_is_checked() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let environment = [("SEALINE__QUERY__TIMEOUT", "90s"), ("SEALINE__HTTP__OPEN_METRICS", "true")];
    let output = sealine(folder.path(), &["check-config", REFERENCE], &environment);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("timeout = \"1m30s\"\n"), "{}", stdout(&output));
    assert!(stdout(&output).contains("open_metrics = true\n"), "{}", stdout(&output));
}

#[test]
fn faults_are_sentences_and_come_all_at_once() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    file(folder.path(), "[http]\nlisten = \"localhost\"\n[wal]\nsyncc = \"always\"\n[merge]\nfan_in = 1\n");
    let output = sealine(folder.path(), &["check-config", "bad.toml"], &[("SEALINE__LOG__FORMAT", "xml")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "", "nothing is in force");
    let want = "\
error: the configuration has 4 faults:
  bad.toml:2: http.listen: got `localhost` without a port, want a host and a port such as 127.0.0.1:8086, \
localhost:8086 or [::1]:8086, or :8086 for all interfaces
  bad.toml:4: wal.syncc: there is no such key; did you mean wal.sync?
  bad.toml:6: merge.fan_in: got 1, want 2 to 64
  environment variable SEALINE__LOG__FORMAT: log.format: got `xml`, want \"text\" or \"json\"
";
    assert_eq!(stderr(&output), want);
}

#[test]
fn every_way_to_go_wrong_has_its_exit_code_and_names_its_cause() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    file(folder.path(), "[http\n");
    for (name, arguments, code, part) in [
        (
            "missing",
            &["check-config", "none.toml"][..],
            1,
            "error: cannot read the configuration file none.toml: No such",
        ),
        (
            "not_toml",
            &["check-config", "bad.toml"],
            1,
            "error: the configuration file bad.toml is not TOML: TOML parse error at line 1",
        ),
        (
            "serve_flag",
            &["serve", "--http", "here"],
            1,
            "  flag --http: http.listen: got `here` without a port, want a host",
        ),
        ("serve_file", &["serve", "--config", "none.toml"], 1, "error: cannot read the configuration file none.toml"),
        (
            "no_daemon",
            &["healthcheck", "--http", "127.0.0.1:1"],
            1,
            "error: the daemon at 127.0.0.1:1 does not answer: ",
        ),
        ("no_file", &["check-config"], 2, "<FILE>"),
        ("unknown", &["sevre"], 2, "similar subcommand"),
        ("nothing", &[], 2, "Usage: sealine <COMMAND>"),
    ] {
        let output = sealine(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(code), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{name}: {}", stderr(&output));
        for debug in ["Os {", "Error(", "panicked"] {
            assert!(!stderr(&output).contains(debug), "{name} shows {debug}: {}", stderr(&output));
        }
    }
}

#[test]
fn help_shows_an_example_and_the_exit_codes() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let output = sealine(folder.path(), &["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    for part in ["serve", "check-config", "verify", "dump", "healthcheck", "Example:", "Exit codes:"] {
        assert!(stdout(&output).contains(part), "{part} is not in {}", stdout(&output));
    }
    let version = sealine(folder.path(), &["--version"], &[]);
    assert_eq!(stdout(&version), concat!("sealine ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// A pipe whose reader is gone.
fn closed() -> std::io::PipeWriter {
    std::io::pipe().expect("there are pipes").1
}

#[test]
fn a_closed_pipe_ends_no_command_in_a_panic() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    file(folder.path(), "[http]\nlisten = 1\n");
    for name in ["db", "wal"] {
        DirBuilder::new().create(folder.path().join(name)).expect("the test's folder is writable");
    }
    let segment = "wal/00000000000000000001-0000000000.wal";
    let here = folder.path().to_str().expect("paths of tests are text");
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["serve", "--help"], 0),
        (&["check-config", REFERENCE], 0),
        (&["check-config", "bad.toml"], 1),
        (&["verify", here], 0),
        (&["verify", "nowhere"], 1),
        (&["dump", segment], 1),
        (&["token", "x", "--rights", "read"], 0),
        (&["healthcheck", "--http", "127.0.0.1:1"], 1),
        (&["serve", "--config", "bad.toml"], 1),
        (&["sevre"], 2),
    ] {
        for (out, error) in [(true, false), (false, true), (true, true)] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sealine"));
            command.current_dir(folder.path()).args(arguments).env_clear();
            command.stdout(if out { closed().into() } else { Stdio::null() });
            command.stderr(if error { closed().into() } else { Stdio::piped() });
            let output = command.output().expect("the binary runs");
            let closed = format!("{arguments:?} with standard output {out} and error {error}");
            assert_eq!(output.status.code(), Some(code), "{closed}: {}", stderr(&output));
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a device, not a file that a disk could lose")]
fn output_that_a_full_disk_does_not_take_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for arguments in [&["check-config", REFERENCE][..], &["token", "x", "--rights", "read"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealine"));
        let output = command.current_dir(folder.path()).args(arguments).stdout(full).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).starts_with("error: cannot write the output: No space left"), "{}", stderr(&output));
    }
}

/// A port that nobody listens at; somebody could take it before we do, but few run beside us.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn a_daemon_whose_log_nobody_reads_goes_on() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let http = format!("localhost:{}", free_port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealine"));
    command.current_dir(folder.path()).args(["serve", "--http", &http, "--udp", ""]).env_clear();
    let mut daemon = command.stdout(closed()).stderr(closed()).spawn().expect("the binary runs");
    let healthy = || sealine(folder.path(), &["healthcheck", "--http", &http], &[]).status.success();
    for _ in 0..600 {
        if healthy() || daemon.try_wait().expect("it is our child").is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let was = healthy();
    daemon.kill().expect("it is our child");
    daemon.wait().expect("it is our child");
    assert!(was, "the daemon serves at {http}");
}
