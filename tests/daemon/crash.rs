//! The story: the daemon is killed with `kill -9` at the worst moments, stopped, or held for a while, and started again on
//! the same folder. What was answered with 204 is all there, exactly once; what was not answered is there as a whole
//! request or not at all.
//!
//! It would fail where an answer leaves before the log is synced, where a request's record can be read in part, where a
//! seal lets go of its log too early or leaves it too late, or where a merge that was cut short is taken for a whole one.

use crate::support::daemon::Daemon;
use crate::support::http::Client;
use crate::support::load::{Fleet, START_MS, STEP_MS};
use crate::support::{eventually, number, seed};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Small segments, so that a generation has several.
const SETTINGS: [(&str, &str); 2] = [("wal.segment_bytes", "64KiB"), ("merge.fan_in", "2")];

/// The same with a seal a second under load.
const SEALING: [(&str, &str); 3] = [SETTINGS[0], SETTINGS[1], ("seal.wal_bytes", "64KiB")];

/// Hosts on each of the two connections; a host has sixteen series.
const HOSTS: usize = 40;

/// Series that are compared sample by sample each time; the number of samples is compared over all.
const SERIES_COMPARED: usize = 12;

const UNSYNCED: &str = "sealine_wal_unsynced_bytes";

/// Longer than all points of a story take.
const RANGE: &str = "11d";

fn fleets(seed: u64) -> [Fleet; 2] {
    [Fleet::new("east", HOSTS, seed), Fleet::new("west", HOSTS, seed ^ 1)]
}

/// Writes `points` points of each fleet, on a connection each; every request has to be answered with 204.
fn write(daemon: &Daemon, fleets: &mut [Fleet; 2], points: usize) {
    std::thread::scope(|scope| {
        for fleet in fleets {
            scope.spawn(|| {
                let mut client = daemon.client();
                (0..points).for_each(|_| client.write(&fleet.request().body));
            });
        }
    });
}

/// Compares what the daemon has with the models.
fn check(name: &str, client: &mut Client, fleets: &[Fleet; 2], rng: &mut StdRng) {
    let at = START_MS + 10 * 86_400_000;
    let want: u64 = fleets.iter().map(Fleet::samples).sum();
    let got = client.number(&format!("sum(count_over_time({{__name__=~\".+\"}}[{RANGE}]))"), at);
    assert_eq!(got, want as f64, "{name}: samples in all");
    for fleet in fleets {
        for (series, samples) in fleet.model.iter().sample(rng, SERIES_COMPARED) {
            let found = client.query(&format!("{series}[{RANGE}]"), at);
            assert_eq!(found.len(), 1, "{name}: {series}");
            let got = found.into_values().next().unwrap_or_default();
            let want: Vec<(i64, f64)> = samples.iter().map(|(time, value)| (*time, *value)).collect();
            assert!(got == want, "{name}: {series} has other samples than were written:\n{got:?}\n{want:?}");
        }
    }
}

#[test]
fn killed_right_after_the_last_answer_nothing_is_lost() {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let mut fleets = fleets(seed);
    let daemon = Daemon::start(data.path(), &SETTINGS);
    write(&daemon, &mut fleets, 60);
    daemon.kill();
    let daemon = Daemon::start(data.path(), &SETTINGS);
    check("after the kill", &mut daemon.client(), &fleets, &mut StdRng::seed_from_u64(seed));
}

#[test]
fn killed_in_the_middle_of_the_load_requests_are_there_whole_or_not_at_all() {
    interrupted_under_load(6, |daemon, _| {
        daemon.kill();
    });
}

#[test]
fn stopped_in_the_middle_of_the_load_it_ends_in_order_and_keeps_what_it_answered() {
    interrupted_under_load(3, |daemon, signal| {
        signal(Signal::TERM);
        let ended = daemon.wait();
        assert!(ended.success(), "{ended}");
    });
}

#[test]
fn killed_while_it_stops_it_keeps_what_it_answered() {
    interrupted_under_load(4, |daemon, signal| {
        signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(rand::random_range(0..30))); // the moment is what this is about
        daemon.kill();
    });
}

/// Lets `end` end the daemon under load, and compares after a restart; so many rounds.
fn interrupted_under_load(rounds: usize, end: impl Fn(Daemon, &dyn Fn(Signal))) {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let (mut fleets, mut rng) = (fleets(seed), StdRng::seed_from_u64(seed));
    let mut written = 0;
    for round in 0..rounds {
        let daemon = Daemon::start(data.path(), &SEALING);
        let answered = AtomicU64::new(0);
        let answers = rng.random_range(1..80);
        let (signal, address) = (daemon.signals(), daemon.http());
        let unanswered = std::thread::scope(|scope| {
            let writers = fleets.each_mut().map(|fleet| scope.spawn(|| write_until_ended(address, fleet, &answered)));
            eventually("the daemon answers", || (answered.load(Ordering::Relaxed) >= answers).then_some(()));
            end(daemon, &signal);
            writers.map(|writer| writer.join().expect("the writer does not panic"))
        });
        written += answered.into_inner();

        let daemon = Daemon::start(data.path(), &SETTINGS);
        let mut client = daemon.client();
        for (fleet, unanswered) in fleets.iter_mut().zip(unanswered) {
            let each = (HOSTS * 16) as f64;
            let query = format!("sum(count_over_time({{__name__=~\".+\",host=~\"{}-.*\"}}[1m]))", fleet.name());
            let got = client.query_range(&query, START_MS, unanswered, STEP_MS);
            let got: BTreeMap<i64, f64> = got.into_values().flatten().collect();
            let last = got.get(&unanswered).copied().unwrap_or(0.0);
            assert!(last == 0.0 || last == each, "round {round}: {last} of {each} samples of a request are there");
            if last == 0.0 {
                fleet.forget(unanswered);
            }
            for time in fleet.times() {
                assert_eq!(got.get(&time), Some(&each), "round {round}: what was answered is there, at {time}");
            }
        }
        check(&format!("round {round}"), &mut client, &fleets, &mut rng);
    }
    println!("{written} requests were answered");
}

/// Writes until the connection breaks or the daemon says that it stops. Returns the time of the request that was not
/// answered with 204.
fn write_until_ended(address: SocketAddr, fleet: &mut Fleet, answered: &AtomicU64) -> i64 {
    let mut client = Client::connect(address);
    loop {
        let request = fleet.request();
        match client.try_post("/write?db=story&precision=ms", &[], request.body.as_bytes()) {
            Ok(answer) if answer.status == 503 => return request.time_ms,
            Ok(answer) => assert_eq!((answer.status, answer.text()), (204, "")),
            Err(_) => return request.time_ms,
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does something to the daemon in a thread of its own and kills it at a random moment of that.
fn kill_during(daemon: Daemon, path: &str, took: Duration, rng: &mut StdRng) {
    let mut client = daemon.client();
    let kill = daemon.killer();
    let moment = took.mul_f64(rng.random_range(0.0..1.2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Most often the connection breaks before the answer.
            let _ = client.try_post(path, &[], b"");
        });
        std::thread::sleep(moment); // not to wait for something: the moment is what this is about
        kill();
    });
    daemon.kill();
}

/// Does the same in peace, to know how long it takes.
#[expect(clippy::disallowed_methods, reason = "a test measures a real process")]
fn time(client: &mut Client, path: &str) -> Duration {
    let started = Instant::now();
    client.admin(path);
    started.elapsed()
}

fn restart_and_check(name: &str, data: &Path, fleets: &[Fleet; 2], rng: &mut StdRng) -> Daemon {
    let daemon = Daemon::start(data, &SETTINGS);
    check(name, &mut daemon.client(), fleets, rng);
    daemon
}

#[test]
fn killed_in_the_middle_of_a_seal_nothing_is_lost_or_there_twice() {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let (mut fleets, mut rng) = (fleets(seed), StdRng::seed_from_u64(seed));
    let mut daemon = Daemon::start(data.path(), &SETTINGS);
    write(&daemon, &mut fleets, 20);
    let took = time(&mut daemon.client(), "/admin/seal");
    for round in 0..10 {
        write(&daemon, &mut fleets, 20);
        kill_during(daemon, "/admin/seal", took, &mut rng);
        daemon = restart_and_check(&format!("round {round}"), data.path(), &fleets, &mut rng);
        if round % 2 == 1 {
            daemon.client().admin("/admin/seal");
            check(&format!("round {round}, sealed after all"), &mut daemon.client(), &fleets, &mut rng);
        }
    }
    daemon.stop();
}

#[test]
fn killed_in_the_middle_of_merges_nothing_is_lost_or_there_twice() {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let (mut fleets, mut rng) = (fleets(seed), StdRng::seed_from_u64(seed));
    let mut daemon = Daemon::start(data.path(), &SETTINGS);
    let seal_thrice = |daemon: &Daemon, fleets: &mut [Fleet; 2]| {
        for _ in 0..3 {
            write(daemon, fleets, 6);
            daemon.client().admin("/admin/seal");
        }
    };
    seal_thrice(&daemon, &mut fleets);
    let took = time(&mut daemon.client(), "/admin/archive?force=1");
    for round in 0..8 {
        seal_thrice(&daemon, &mut fleets);
        kill_during(daemon, "/admin/archive?force=1", took, &mut rng);
        daemon = restart_and_check(&format!("round {round}"), data.path(), &fleets, &mut rng);
    }
    daemon.client().admin("/admin/archive?force=1");
    check("archived after all", &mut daemon.client(), &fleets, &mut rng);
    daemon.stop();
}

/// The metric says what a power cut could take at this moment; a kill takes none of it.
#[test]
fn what_is_answered_for_before_it_is_synced_is_told() {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let mut fleets = fleets(seed);
    let daemon = Daemon::start(data.path(), &[("wal.sync", "interval:1m")]);
    write(&daemon, &mut fleets, 3);
    let mut client = daemon.client();
    let (unsynced, log) = (client.metric(UNSYNCED), client.metric("sealine_wal_disk_bytes"));
    assert!(unsynced > 10_000.0, "{unsynced} bytes");
    assert!(log >= unsynced, "{log} bytes of log");
    client.admin("/admin/seal");
    assert_eq!(client.metric(UNSYNCED), 0.0, "a seal syncs what it seals");
    write(&daemon, &mut fleets, 3);
    assert!(client.metric(UNSYNCED) > 0.0);
    daemon.kill();
    let daemon = Daemon::start(data.path(), &[("wal.sync", "interval:1ms")]);
    check("after the kill", &mut daemon.client(), &fleets, &mut StdRng::seed_from_u64(seed));
    write(&daemon, &mut fleets, 3);
    eventually("the interval passes", || (daemon.client().metric(UNSYNCED) == 0.0).then_some(()));
    let another = tempfile::tempdir().expect("another folder");
    let always = Daemon::start(another.path(), &[]);
    always.client().write("m value=1");
    assert_eq!(always.client().metric(UNSYNCED), 0.0);
}

/// What each agent sends while the daemon is held.
const REQUESTS: u64 = 150;

/// An agent that gives up on an answer sends the same again, and does not know that the first was heard as well.
#[test]
fn held_for_a_while_it_counts_what_was_sent_again_once() {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let mut fleets = fleets(seed);
    let daemon = Daemon::start(data.path(), &SETTINGS);
    let (signal, address) = (daemon.signals(), daemon.http());
    let tries = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let writers = fleets.each_mut().map(|fleet| {
            scope.spawn(|| {
                for _ in 0..REQUESTS {
                    let request = fleet.request();
                    let heard = || {
                        let mut client = Client::connect(address);
                        client.give_up_after(Duration::from_millis(300));
                        tries.fetch_add(1, Ordering::Relaxed);
                        let path = "/write?db=story&precision=ms";
                        let answer = client.try_post(path, &[], request.body.as_bytes()).ok()?;
                        (answer.status == 204).then_some(())
                    };
                    eventually("the request is answered", heard);
                }
            })
        });
        eventually("some are answered", || (tries.load(Ordering::Relaxed) > 10).then_some(()));
        signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(number("SEALINE_STOP_SECONDS", 2))); // longer than the agents wait for an answer
        signal(Signal::CONT);
        for writer in writers {
            writer.join().expect("the writer does not panic");
        }
    });
    assert!(tries.into_inner() > 2 * REQUESTS, "nothing had to be sent again");
    check("after the pause", &mut daemon.client(), &fleets, &mut StdRng::seed_from_u64(seed));
}
