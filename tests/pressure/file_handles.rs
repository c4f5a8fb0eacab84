//! The story: far more clients connect than the daemon has file handles for, while it needs some itself for its log and
//! its files. It waits rather than spins, what it answers for stays, and once the clients go all is as before.
//!
//! It would fail where connections may take the handles that the log needs, where a failed accept is tried again at
//! once, where a log or a file that cannot be opened is taken for a damaged one, or where what failed for want of a
//! handle is never tried again.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::Client;
use crate::turn;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const START_MS: i64 = 1_700_000_000_000;

/// What the daemon may have open; a fresh one has about fifteen.
const HANDLES: u32 = 64;

/// Clients that want to be served, all at once.
const CROWD: usize = 500;

/// Requests of one that was there before them.
const REQUESTS: usize = 300;

/// Segments and seals as small as can be: handles are wanted all the time.
const SETTINGS: [(&str, &str); 4] =
    [("wal.segment_bytes", "64KiB"), ("seal.wal_bytes", "64KiB"), ("seal.interval", "1s"), ("merge.fan_in", "2")];

/// How often a client looks whether it is time to go.
const LOOK: Duration = Duration::from_millis(200);

/// The span in which the daemon should do nothing.
const REST: Duration = Duration::from_secs(2);

/// One sample of a series of this name, and enough others that new segments are begun often.
fn body(name: &str) -> String {
    let filler = (0..100).map(|line| format!("filler,name={name},line={line} v=1 {START_MS}\n"));
    format!("{name} v=1 {START_MS}\n{}", filler.collect::<String>())
}

/// Writes; says whether it was stored, or was to come again.
fn write(client: &mut Client, name: &str) -> Option<bool> {
    let answer = client.try_post("/write?db=story&precision=ms", &[], body(name).as_bytes()).ok()?;
    assert!([204, 503].contains(&answer.status), "neither stored nor refused for now: {answer:?}");
    assert_eq!(answer.status == 503, answer.headers.contains_key("retry-after"), "{answer:?}");
    Some(answer.status == 204)
}

/// Connects, writes once, and stays until it is time to go. Says whether what it wrote was stored.
fn one_of_many(address: SocketAddr, name: &str, served: &AtomicU64, go: &AtomicBool) -> bool {
    while !go.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::try_connect(address, LOOK) else { continue };
        client.give_up_after(LOOK);
        let head =
            format!("POST /write?db=story&precision=ms HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body(name).len());
        if client.send((head + &body(name)).as_bytes()).is_err() {
            continue;
        }
        // Nobody hears it while it waits to be accepted; an answer comes in one piece or not at all.
        let answer = loop {
            match client.answer() {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && !go.load(Ordering::Relaxed) => {}
                answer => break answer,
            }
        };
        let stored = answer.is_ok_and(|answer| answer.status == 204);
        served.fetch_add(u64::from(stored), Ordering::Relaxed);
        while stored && !go.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK); // holds its connection
        }
        if stored {
            return true;
        }
        std::thread::sleep(LOOK); // it was told that there are too many
    }
    false
}

#[test]
fn without_file_handles_it_waits_and_loses_nothing() {
    let _turn = turn();
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start_after(&format!("ulimit -n {HANDLES}"), data.path(), &SETTINGS);
    let (address, mut early, mut kept) = (daemon.http(), daemon.client(), Vec::new());
    let (served, go) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut refused, mut spent) = (0, Duration::ZERO);
    std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..CROWD)
            .map(|number| format!("crowd{number}"))
            .map(|name| scope.spawn(|| one_of_many(address, &name, &served, &go).then_some(name)))
            .collect();
        for number in 0..REQUESTS {
            let name = format!("early{number}");
            match write(&mut early, &name).expect("a connection that is served goes on") {
                true => kept.push(name),
                false => refused += 1,
            }
            std::thread::sleep(Duration::from_millis(2)); // so that the crowd comes in between
        }
        let before = daemon.processor_time();
        std::thread::sleep(REST); // the span that is looked at
        spent = daemon.processor_time() - before;
        go.store(true, Ordering::Relaxed);
        kept.extend(crowd.into_iter().filter_map(|one| one.join().expect("a client does not panic")));
    });
    let served = served.into_inner();
    println!("{served} of {CROWD} were served; {refused} of {REQUESTS} early requests were to come again");
    println!("{spent:?} of processor time in {REST:?}; {} lines of log", daemon.log().len());
    assert_eq!(refused, 0, "the log has handles of its own");
    assert!(spent < REST / 2, "it spins");
    assert!(served < CROWD as u64, "there were handles for all");

    eventually("a new client is served", || write(&mut daemon.client(), "late")?.then_some(()));
    kept.push("late".to_string());
    assert!(early.admin("/admin/seal").is_object(), "a seal finds handles");
    check("once they are gone", &mut early, &kept);
    daemon.kill();
    let daemon = Daemon::start(data.path(), &SETTINGS);
    check("after a restart", &mut daemon.client(), &kept);
    assert!(!data.path().join("quarantine").exists(), "nothing was taken for damaged");
}

/// Whether all is there that was stored.
fn check(when: &str, client: &mut Client, kept: &[String]) {
    let found = client.query("{__name__=~\"(early|crowd|late).*\"}", START_MS);
    for name in kept {
        assert!(found.contains_key(&format!("{name}_v{{}}")), "{when}: {name} was stored, and is gone");
    }
}

/// Files that a question asks for: more than may be open.
const DAYS: i64 = 150;

const DAY_MS: i64 = 86_400_000;

/// What the daemon may have open while it answers that question.
const FEW: usize = 256;

/// How many descriptors the daemon has, and how many of them are chunk files.
fn open_files(daemon: &Daemon) -> (usize, usize) {
    #[expect(clippy::disallowed_methods, reason = "/proc is the kernel's answer, not a file")]
    let entries = std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).expect("the daemon runs");
    let targets: Vec<_> = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
    let chunks = targets.iter().filter(|target| target.to_string_lossy().contains(".chunks"));
    (targets.len(), chunks.count())
}

/// Sets the soft limit on open files of a running daemon.
fn allow_files(daemon: &Daemon, soft: u64) {
    let process = Pid::from_raw(daemon.id().cast_signed());
    let limit = Rlimit { current: Some(soft), maximum: Some(FEW as u64) };
    prlimit(process, Resource::Nofile, limit).expect("the daemon is ours");
}

/// A sample a day in each database, sealed: so many files each.
fn write_days(client: &mut Client, databases: &[&str]) {
    let days: String = (0..DAYS).map(|day| format!("steps v={day} {}\n", START_MS - day * DAY_MS)).collect();
    for database in databases {
        let answer = client.post(&format!("/write?db={database}&precision=ms"), &[], days.as_bytes());
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    client.admin("/admin/seal");
}

/// Asks for all days; returns the status and how many samples came.
fn ask_for_days(client: &mut Client) -> (u16, usize) {
    let (start, end) = ((START_MS - (DAYS - 1) * DAY_MS) / 1000, START_MS / 1000);
    let query = "sum(last_over_time(steps_v[1d]))";
    let answer = client.get(&format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=86400"));
    let series = answer.json()["data"]["result"][0]["values"].as_array().map_or(0, Vec::len);
    (answer.status, series)
}

/// What `/health` says: its status and message.
fn health(client: &mut Client) -> (u16, String, String) {
    let answer = client.get("/health");
    let text = |member: &str| answer.json()[member].as_str().unwrap_or_default().to_string();
    (answer.status, text("status"), text("message"))
}

#[test]
fn a_question_about_more_files_than_may_be_open_takes_no_handle_from_the_log() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start_after(&format!("ulimit -n {FEW}"), data.path(), &[]);
    let mut client = daemon.client();
    write_days(&mut client, &["one", "two"]);
    for round in 0..3 {
        assert_eq!(ask_for_days(&mut client), (200, DAYS as usize), "round {round}");
        client.admin("/admin/seal"); // so that the next write needs a new segment
        assert_eq!(write(&mut client, &format!("after{round}")), Some(true));
        let (all, chunk_files) = open_files(&daemon);
        assert!(chunk_files <= FEW / 4, "{chunk_files} chunk files are open, {all} descriptors in all");
        assert_eq!(health(&mut client).1, "pass");
    }

    // Less than it has open: what is idle goes, and nobody notices.
    let (all, _) = open_files(&daemon);
    allow_files(&daemon, all as u64 / 2);
    client.admin("/admin/seal");
    assert_eq!(write(&mut client, "sparing"), Some(true));
    assert_eq!(ask_for_days(&mut client), (200, DAYS as usize));
    assert_eq!(health(&mut client).1, "pass");

    // None at all: it says so wherever it is asked, with what to do.
    allow_files(&daemon, 3);
    assert_eq!(write(&mut client, "open_segment"), Some(true), "what it has open it can write to");
    let refused = client.post("/admin/seal", &[], b"");
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("which is its limit: raise it (ulimit -n"), "{}", refused.text());
    let refused = client.post("/write?db=story&precision=ms", &[], body("refused").as_bytes());
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("which is its limit: raise it (ulimit -n"), "{}", refused.text());
    let query = format!("/api/v1/query?query=steps_v&time={}", (START_MS - DAY_MS) / 1000);
    let refused = client.get(&query);
    assert_eq!((refused.status, &refused.json()["errorType"]), (503, &"unavailable".into()), "{}", refused.text());
    assert!(refused.text().contains("which is its limit: raise it (ulimit -n"), "{}", refused.text());
    let (status, word, message) = health(&mut client);
    assert_eq!((status, word.as_str()), (503, "fail"));
    assert!(message.contains("files cannot be opened"), "{message}");
    assert_eq!(client.get("/-/healthy").status, 200, "a restart would not help");

    let logs = |what: &str| daemon.log().iter().any(|line| line.contains(what)).then_some(());
    eventually("the log tells", || logs("files cannot be opened"));
    allow_files(&daemon, FEW as u64);
    eventually("it finds out by itself", || (health(&mut client).1 == "pass").then_some(()));
    assert_eq!(write(&mut client, "again"), Some(true));
    assert_eq!(ask_for_days(&mut client), (200, DAYS as usize));
    eventually("the log tells", || logs("files can be opened again"));
    daemon.stop();
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start_after("ulimit -S -n 64; ulimit -H -n 300", data.path(), &[]);
    let metrics = daemon.client().get("/metrics").text().to_string();
    assert!(metrics.contains("\nprocess_max_fds 300\n"), "{metrics}");
    daemon.stop();
}
