//! The story: the system gives the daemon no new threads any more, as where a user's limit on processes is reached. What
//! it has goes on: writes, queries by one thread, seals; nobody waits for ever, and once there are threads all is as before.
//!
//! It would fail where a thread that cannot begin is a panic, or where a query is left to a thread that never comes.

use crate::support::daemon::Daemon;
use crate::support::trials::{Missing, Ran, Test};
use rustix::process::{Resource, getrlimit};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const START_MS: i64 = 1_700_000_000_000;

/// Threads that rest would leave within this time by themselves, if nothing kept them.
const REST: Duration = Duration::from_secs(11);

/// A user without rights; root is held back by no limit.
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// What a shell does to be nobody, where it is root.
fn as_nobody() -> String {
    format!("[ $(id -u) -ne 0 ] || exec {NOBODY} \"$0\" \"$@\"")
}

/// Whether nobody may run the daemon, where we are root.
fn nobody_can_run_it() -> bool {
    let try_it = format!("[ $(id -u) -ne 0 ] || {NOBODY} {} --version", env!("CARGO_BIN_EXE_sealine"));
    Command::new("/bin/sh").args(["-c", &try_it]).output().is_ok_and(|output| output.status.success())
}

/// How many threads the daemon's user may have, as far as the daemon goes by it; `soft` as `prlimit` spells it.
fn allow_threads(daemon: &Daemon, soft: &str) {
    let limit = format!("prlimit --pid {} --nproc={soft}:", daemon.id());
    let set = format!("[ $(id -u) -ne 0 ] && exec {limit}; exec {NOBODY} {limit}");
    let status = Command::new("/bin/sh").args(["-c", &set]).status();
    assert!(status.is_ok_and(|status| status.success()), "{set}");
}

fn give_to_all(folder: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).expect("the folder is ours");
}

pub const TESTS: &[Test] =
    &[("without_new_threads_it_goes_on_with_those_that_it_has", without_new_threads_it_goes_on_with_those_that_it_has)];

fn without_new_threads_it_goes_on_with_those_that_it_has() -> Ran {
    if !nobody_can_run_it() {
        let why = "nothing holds back root, and the user 65534 cannot run the daemon from here";
        return Err(Missing(why.into()));
    }
    let data = tempfile::tempdir().expect("a folder for the test");
    give_to_all(data.path());
    let daemon = Daemon::start_after(&as_nobody(), data.path(), &[("query.threads", "4")]);
    let mut client = daemon.client();
    let lines =
        |at: i64| (0..200).map(|host| format!("load,host=h{host} v={at} {}\n", START_MS + at)).collect::<String>();
    client.write(&lines(0));
    std::thread::sleep(REST); // threads that would leave have left
    allow_threads(&daemon, "1");
    for at in 1..=20 {
        client.write(&lines(at));
        // Many at once: more than there are threads for.
        let mut clients: Vec<_> = (0..8).map(|_| daemon.client()).collect();
        let question =
            format!("GET /api/v1/query?query=sum(load_v)&time={} HTTP/1.1\r\nHost: x\r\n\r\n", START_MS / 1000 + 1);
        for client in &mut clients {
            client.send(question.as_bytes()).expect("the daemon listens");
        }
        for client in &mut clients {
            let answer = client.answer().expect("it is answered");
            assert_eq!(answer.json()["data"]["result"][0]["value"][1], (at * 200).to_string(), "{}", answer.text());
        }
    }
    client.admin("/admin/seal");
    assert_eq!(client.get("/metrics").status, 200);
    let most = getrlimit(Resource::Nproc).maximum;
    allow_threads(&daemon, &most.map_or("unlimited".to_string(), |most| most.to_string()));
    assert_eq!(client.number("sum(load_v)", START_MS + 1000), 4000.0);
    let log = daemon.log().concat();
    assert!(!log.contains("panic"), "{log}");
    daemon.stop();
    Ok(())
}
