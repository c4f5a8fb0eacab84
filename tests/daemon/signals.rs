//! The story: somebody, or systemd, stops the daemon. One signal ends it in order and with success.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts the daemon on free ports with a folder of its own, and waits until it says that it is ready.
fn daemon(folder: &std::path::Path) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealine"));
    command.args(["serve", "--http", "127.0.0.1:0", "--udp", "", "--data-dir"]).arg(folder);
    let mut child = command.env_clear().stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut log = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
    let mut line = String::new();
    while !line.contains(" ready ") {
        line.clear();
        assert!(log.read_line(&mut line).expect("the log is text") > 0, "the daemon ended before it was ready");
    }
    (child, log)
}

#[test]
fn one_signal_ends_the_daemon_in_order() {
    for (name, signal) in [("SIGTERM", Signal::TERM), ("SIGINT", Signal::INT)] {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (mut child, log) = daemon(folder.path());
        kill_process(Pid::from_child(&child), signal).expect("the daemon is there");
        let rest: Vec<String> = log.lines().map(|line| line.expect("the log is text")).collect();
        let status = child.wait().expect("the daemon is our child");
        assert_eq!(status.code(), Some(0), "{name}: {rest:?}");
        assert!(rest.iter().any(|line| line.contains("shutting down")), "{name}: {rest:?}");
        assert!(rest.last().is_some_and(|line| line.contains("stopped")), "{name}: {rest:?}");
    }
}
