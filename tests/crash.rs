//! The story: the daemon is killed with `kill -9` at the worst moments, and started again on the same folder. What was
//! answered with 204 is all there, exactly once; what was not answered is there as a whole request or not at all.
//!
//! It would fail where an answer leaves before the log is synced, where a request's record can be read in part, where a
//! seal lets go of its log too early or leaves it too late, or where a merge that was cut short is taken for a whole one.

mod support;

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::daemon::Daemon;
use support::http::Client;
use support::load::{Fleet, START_MS, STEP_MS};
use support::{eventually, seed};

/// Small segments, so that a generation has several.
const SETTINGS: [(&str, &str); 2] = [("wal.segment_bytes", "64KiB"), ("merge.fan_in", "2")];

/// The same with a seal a second under load.
const SEALING: [(&str, &str); 3] = [SETTINGS[0], SETTINGS[1], ("seal.wal_bytes", "64KiB")];

/// Hosts on each of the two connections; a host has sixteen series.
const HOSTS: usize = 40;

/// Series that are compared sample by sample each time; the number of samples is compared over all.
const SERIES_COMPARED: usize = 12;

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
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let (mut fleets, mut rng) = (fleets(seed), StdRng::seed_from_u64(seed));
    let mut written = 0;
    for round in 0..4 {
        let daemon = Daemon::start(data.path(), &SEALING);
        let answered = AtomicU64::new(0);
        let answers = rng.random_range(1..80);
        let kill = daemon.killer();
        let unanswered = std::thread::scope(|scope| {
            let writers = fleets.each_mut().map(|fleet| scope.spawn(|| write_until_killed(&daemon, fleet, &answered)));
            eventually("the daemon answers", || (answered.load(Ordering::Relaxed) >= answers).then_some(()));
            kill();
            writers.map(|writer| writer.join().expect("the writer does not panic"))
        });
        daemon.kill();
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

/// Writes until the connection breaks. Returns the time of the request that was not answered.
fn write_until_killed(daemon: &Daemon, fleet: &mut Fleet, answered: &AtomicU64) -> i64 {
    let mut client = daemon.client();
    loop {
        let request = fleet.request();
        match client.try_post("/write?db=story&precision=ms", &[], request.body.as_bytes()) {
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
    for round in 0..6 {
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
    for round in 0..5 {
        seal_thrice(&daemon, &mut fleets);
        kill_during(daemon, "/admin/archive?force=1", took, &mut rng);
        daemon = restart_and_check(&format!("round {round}"), data.path(), &fleets, &mut rng);
    }
    daemon.client().admin("/admin/archive?force=1");
    check("archived after all", &mut daemon.client(), &fleets, &mut rng);
    daemon.stop();
}
