//! The story: far more clients connect than the daemon has file handles for, while it needs some itself for its log and
//! its files. It waits rather than spins, what it answers for stays, and once the clients go all is as before.
//!
//! It would fail where connections may take the handles that the log needs, where a failed accept is tried again at
//! once, where a log or a file that cannot be opened is taken for a damaged one, or where what failed for want of a
//! handle is never tried again.

mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::daemon::Daemon;
use support::eventually;
use support::http::Client;

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
