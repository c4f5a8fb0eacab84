//! The story: two Telegrafs, one with each InfluxDB output, send while the daemon is killed, stopped, held, and out of
//! space, and some of their lines are poison. All that is lost in the end are the poison lines, and no batch is sent for
//! ever.
//!
//! It would fail where a refusal that ought to be tried again is worded so that Telegraf drops the batch, where a lasting
//! one is worded so that it is kept, where an answer leaves before its lines are durable, or where the good lines around
//! a poison one are refused with it.

mod support;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::daemon::Daemon;
use support::http::Answer;
use support::telegraf::{Agent, Fate, Figures, Output, fate};
use support::{eventually, seed};

const START_MS: i64 = 1_700_000_000_000;

/// One metric in so many is poison.
const POISON: u64 = 97;

/// Metrics that an agent gathers at a time, and how often.
const GATHERED: u64 = 20;
const INTERVAL: Duration = Duration::from_millis(20);

/// How often all faults come.
const ROUNDS: usize = 3;

/// No batch needs as many attempts, where every fault passes within seconds.
const ATTEMPTS_MAX: u32 = 100;

const SETTINGS: [(&str, &str); 2] = [("wal.segment_bytes", "64KiB"), ("seal.wal_bytes", "256KiB")];

/// A daemon that is told of a full disk by an error, not by a signal.
fn start(data: &Path) -> Daemon {
    Daemon::start_after("trap '' XFSZ", data, &SETTINGS)
}

/// Gathers and flushes until it is over and nothing waits. Returns how many metrics there were.
fn run(output: Output, address: &Mutex<SocketAddr>, over: &AtomicBool) -> (u64, Figures) {
    let (mut agent, mut gathered) = (Agent::new(output), 0);
    let mut not_before = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        for number in gathered..gathered + GATHERED {
            let value = if number % POISON == 0 { "poison" } else { "i" };
            let time = (START_MS + number as i64) * 1_000_000;
            agent.gather(format!("replica,output={output:?} n={number}{value} {time}"));
        }
        gathered += GATHERED;
        std::thread::sleep(INTERVAL);
        not_before = not_before.saturating_sub(INTERVAL);
        if not_before.is_zero() {
            let now = *address.lock().expect("nobody panics with it");
            not_before = agent.flush(now).unwrap_or_default();
        }
    }
    eventually("nothing waits any more", || {
        let now = *address.lock().expect("nobody panics with it");
        let _ = agent.flush(now);
        agent.is_idle().then_some(())
    });
    (gathered, agent.figures)
}

#[test]
fn of_what_telegraf_sends_only_poison_is_lost() {
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut daemon = start(data.path());
    let (address, over) = (Mutex::new(daemon.http()), AtomicBool::new(false));
    let (daemon, agents) = std::thread::scope(|scope| {
        let agents = [Output::V1, Output::V2].map(|output| {
            let (address, over) = (&address, &over);
            (output, scope.spawn(move || run(output, address, over)))
        });
        let mut pause = |from: u64, to: u64| std::thread::sleep(Duration::from_millis(rng.random_range(from..to)));
        for _ in 0..ROUNDS {
            pause(100, 300);
            daemon.stop();
            daemon = start(data.path());
            *address.lock().expect("nobody panics with it") = daemon.http();

            pause(100, 300);
            daemon.kill();
            pause(1, 300); // nobody listens
            daemon = start(data.path());
            *address.lock().expect("nobody panics with it") = daemon.http();

            pause(100, 300);
            daemon.limit_files(Some(0));
            pause(300, 600);
            daemon.limit_files(None);

            pause(100, 300);
            let signal = daemon.signals();
            signal(Signal::STOP);
            pause(1100, 1300); // longer than an agent waits for an answer
            signal(Signal::CONT);
        }
        over.store(true, Ordering::Relaxed);
        (daemon, agents.map(|(output, agent)| (output, agent.join().expect("the agent does not panic"))))
    });
    for (output, (gathered, figures)) in agents {
        println!("{output:?}: {gathered} metrics gathered; {figures:?}");
        assert_eq!(figures.forgotten, 0, "{output:?}: as many waited as it takes");
        assert!(figures.dropped > 0 && figures.kept > 0, "{output:?}: there was poison, and there were faults");
        assert!(figures.statuses.contains(&503), "{output:?}: the disk was full");
        assert!(figures.attempts_max < ATTEMPTS_MAX, "{output:?}: a batch is sent again and again");
        let query = format!("replica_n{{output=\"{output:?}\"}}[1d]");
        let found = daemon.client().query(&query, START_MS + gathered as i64);
        let found: BTreeSet<u64> = found.into_values().flatten().map(|(_, value)| value as u64).collect();
        let want: BTreeSet<u64> = (0..gathered).filter(|number| number % POISON != 0).collect();
        let missing: Vec<&u64> = want.difference(&found).take(5).collect();
        assert!(missing.is_empty(), "{output:?}: lost, such as {missing:?}");
        assert_eq!(found.len(), want.len(), "{output:?}: nothing was invented");
    }
    daemon.stop();
}

/// The replica itself: the table of what the outputs do.
#[test]
fn the_replica_judges_answers_as_telegraf_does() {
    for (status, kind, text, v1, v2) in [
        (204, "", "", Fate::Delivered, Fate::Delivered),
        (200, "", "", Fate::Kept, Fate::Delivered),
        (400, "application/json", "{}", Fate::Dropped, Fate::Dropped),
        (400, "text/plain", "no", Fate::Kept, Fate::Dropped),
        (401, "text/plain", "no", Fate::Kept, Fate::Kept),
        (401, "application/json", "{}", Fate::Dropped, Fate::Kept),
        (413, "application/json", "{}", Fate::Dropped, Fate::Halved),
        (429, "application/json", "{}", Fate::Dropped, Fate::Kept),
        (500, "application/json", "{}", Fate::Kept, Fate::Kept),
        (503, "application/json", "{\"error\":\"no space\"}", Fate::Kept, Fate::Kept),
        (503, "application/json", "{\"error\":\"partial write: no space\"}", Fate::Dropped, Fate::Kept),
    ] {
        let headers = [("content-type".to_string(), kind.to_string())].into_iter().collect();
        let answer = Answer { status, headers, body: text.into() };
        let got = [Output::V1, Output::V2].map(|output| fate(output, &answer));
        assert_eq!(got, [v1, v2], "{status} {kind} {text}");
    }
}
