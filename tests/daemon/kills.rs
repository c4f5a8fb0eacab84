//! The story: the daemon is killed with `kill -9` at random moments under full load, by HTTP and by UDP, while it seals,
//! merges, archives and expires, and while it starts; many rounds over the same folder. The driver keeps its own book of
//! what was sent and answered, and compares all of it after each restart, sample by sample.
//!
//! It would fail where an answer leaves before the log is synced, where a query sees what is not durable, where a record
//! is read in part or overtakes one of the same connection, and where a kill leaves files that a start takes for whole.
//!
//! Another test kills it when its log is long, and says how long the start takes that reads it.
//!
//! `make kill ROUNDS=200` plays more rounds, with a longer log, than an ordinary run.

use crate::support::daemon::Daemon;
use crate::support::http::{Client, matrix, seconds};
use crate::support::ledger::{Compared, Ledger, value};
use crate::support::{eventually, number, seed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// 2023-11-14 22:00 UTC.
const START_MS: i64 = 1_699_999_200_000;
const HOUR_MS: i64 = 3_600_000;

/// How far the times of a round lie behind those of the round before: four rounds a day, so that days end and expire.
const ROUND_MS: i64 = 6 * HOUR_MS;

/// What a round of the store keeps at least.
const KEEP_MS: i64 = 24 * HOUR_MS;

/// Small segments and a seal as soon as there is one, so that kills land in everything that follows from it.
const SETTINGS: [(&str, &str); 7] = [
    ("wal.segment_bytes", "64KiB"),
    ("seal.wal_bytes", "64KiB"),
    ("seal.interval", "1s"),
    ("merge.fan_in", "2"),
    ("retention.disk", "1d"),
    ("udp.precision", "ms"),
    ("udp.receive_buffer_bytes", "4MiB"),
];

/// Requests on the way, by connection: one at a time, and several behind one another.
const PIPELINES: [usize; 4] = [1, 1, 8, 32];

/// Sockets that send datagrams, and how many each sends in a round at most: what the receive buffer holds in any case, so
/// that loopback loses none.
const SOCKETS: usize = 2;
const DATAGRAMS_MAX: usize = 1500;

/// The longest load of a round.
const LOAD_MAX: Duration = Duration::from_millis(400);

/// What all rounds came to.
#[derive(Default)]
struct Figures {
    requests: usize,
    datagrams: usize,
    unheard: u64,
    samples: u64,
    half_written: usize,
    starts: Vec<(Duration, u64)>,
    done: BTreeMap<&'static str, u64>,
}

#[test]
fn killed_at_random_moments_under_full_load_it_keeps_what_it_answered() {
    let (seed, rounds) = (seed(), number("SEALINE_KILL_ROUNDS", 20));
    let mut rng = StdRng::seed_from_u64(seed);
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut http: Vec<Ledger> = (0..PIPELINES.len()).map(|number| Ledger::new(&format!("http{number}"))).collect();
    let mut udp: Vec<Ledger> = (0..SOCKETS).map(|number| Ledger::new(&format!("udp{number}"))).collect();
    let mut figures = Figures::default();
    prime(data.path());
    let (mut daemon, _) = start(data.path());
    for round in 0..rounds {
        let buffer_is_small = daemon.log().iter().any(|line| line.contains("smaller receive buffer"));
        let first_ms = START_MS + round as i64 * ROUND_MS;
        let after = LOAD_MAX.mul_f64(rng.random_range(0.05..1.0));
        let log = load_and_kill(daemon, &mut http, &mut udp, first_ms, after, &mut rng);
        figures.count(&http, &udp, &log);
        figures.half_written += files(data.path(), ".tmp").len();
        let log_bytes = files(data.path(), ".wal").iter().sum();

        if rng.random_range(0..4) == 0 {
            for _ in 0..rng.random_range(1..3) {
                Daemon::start_and_kill(data.path(), &SETTINGS, Duration::from_millis(rng.random_range(0..60)));
            }
        }
        let (started, took) = start(data.path());
        daemon = started;
        println!("round {round}: killed after {after:?}, started in {took:?} with {} KiB of log", log_bytes >> 10);
        figures.starts.push((took, log_bytes));
        let mut client = daemon.client();
        figures.samples = 0;
        for (database, ledgers, in_order) in [("story", &mut http, true), ("udp", &mut udp, !buffer_is_small)] {
            let newest_ms = ledgers.iter().filter_map(Ledger::newest_ms).max().unwrap_or(first_ms);
            for ledger in ledgers {
                let compared = compare(&mut client, database, ledger, first_ms, newest_ms, in_order);
                figures.unheard += compared.unheard;
                figures.samples += compared.samples;
            }
        }
    }
    if rounds as i64 * ROUND_MS >= 2 * KEEP_MS + 24 * HOUR_MS {
        eventually("the first day expires", || {
            (daemon.client().number("count(kill_at)", START_MS) == 0.0).then_some(())
        });
    }
    daemon.stop();
    figures.print(rounds);
    assert!(figures.requests > 0 && figures.datagrams > 0, "there was load");
}

/// Lines of a request that makes the log long.
const LONG_LINES: u64 = 5000;

#[test]
fn killed_with_a_long_log_it_reads_all_of_it() {
    let megabytes = number("SEALINE_KILL_LOG_MIB", 8);
    let data = tempfile::tempdir().expect("a folder for the test");
    let (mut ledger, mut times) = (Ledger::new("long"), Vec::new());
    let settings =
        [("log.level", "info"), ("seal.interval", "1d"), ("seal.wal_bytes", "4GiB"), ("wal.max_bytes", "8GiB")];
    let daemon = Daemon::start(data.path(), &settings);
    let mut client = daemon.client();
    while client.metric("sealine_wal_disk_bytes") < (megabytes << 20) as f64 {
        let time_ms = START_MS + times.len() as i64 * 1000;
        client.write(&ledger.send(time_ms, LONG_LINES));
        times.push(time_ms);
    }
    daemon.kill();
    let log_bytes: u64 = files(data.path(), ".wal").iter().sum();
    let (daemon, took) = timed(|| Daemon::start(data.path(), &settings));
    let (mut client, end) = (daemon.client(), START_MS + times.len() as i64 * 1000);
    let got = client.number("sum(count_over_time({__name__=~\"kill_.+\"}[1d]))", end);
    assert_eq!(got, (times.len() as u64 * LONG_LINES * 2) as f64, "samples in all");
    for line in [0, LONG_LINES / 2, LONG_LINES - 1] {
        let found = client.query(&format!("kill_v{{line=\"{line}\"}}[1d]"), end);
        let want: Vec<(i64, f64)> = times.iter().map(|time| (*time, value("kill_v", line, *time))).collect();
        assert!(found.into_values().eq([want]), "line {line} has other samples than were written");
    }
    let (mib, seconds) = (log_bytes as f64 / 1_048_576.0, took.as_secs_f64());
    println!("a start with {mib:.0} MiB of log, {got} samples, took {seconds:.2} s: {:.0} MiB/s", mib / seconds);
}

/// Puts a first sample in each database while all is kept: without any, what is old is counted from now.
fn prime(data: &Path) {
    let daemon = Daemon::start(data, &[]);
    for database in ["story", "udp"] {
        let path = format!("/write?db={database}&precision=ms");
        let answer = daemon.client().post(&path, &[], format!("first v=1 {START_MS}").as_bytes());
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    daemon.kill();
}

/// Starts a daemon, and says how long that took until it was ready.
fn start(data: &Path) -> (Daemon, Duration) {
    let settings = [&SETTINGS[..], &[("log.level", "info,sealine::schedule=debug")]].concat();
    timed(|| Daemon::start(data, &settings))
}

/// What comes of `act`, and how long it took.
#[expect(clippy::disallowed_methods, reason = "a test measures a real process")]
fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (act(), started.elapsed())
}

/// Compares all that the daemon has of a sender.
fn compare(
    client: &mut Client,
    database: &str,
    ledger: &mut Ledger,
    first_ms: i64,
    newest_ms: i64,
    in_order: bool,
) -> Compared {
    let hours = (first_ms - START_MS + ROUND_MS) / HOUR_MS;
    let query = format!("{{__name__=~\"kill_.+\",sender=\"{}\",db=\"{database}\"}}[{hours}h]", ledger.name());
    let found = client.query(&query, first_ms + ROUND_MS - 1);
    ledger.compare(&found, newest_ms, KEEP_MS, in_order)
}

/// Full load on every connection, queries and admin actions beside it, and a kill in the middle of all that.
fn load_and_kill(
    daemon: Daemon,
    http: &mut [Ledger],
    udp: &mut [Ledger],
    first_ms: i64,
    after: Duration,
    rng: &mut StdRng,
) -> Vec<String> {
    let over = AtomicBool::new(false);
    let address = daemon.udp();
    let names: Vec<String> = http.iter().chain(&*udp).map(|ledger| ledger.name().to_string()).collect();
    let shown: BTreeMap<String, AtomicI64> = names.iter().map(|name| (name.clone(), AtomicI64::new(0))).collect();
    let log = std::thread::scope(|scope| {
        for (ledger, pipeline) in http.iter_mut().zip(PIPELINES) {
            let (client, rng) = (daemon.client(), StdRng::seed_from_u64(rng.random()));
            scope.spawn(move || write(client, ledger, pipeline, first_ms, rng));
        }
        for ledger in udp.iter_mut() {
            scope.spawn(|| send(address, ledger, first_ms, &over));
        }
        let client = daemon.client();
        scope.spawn(|| watch(client, &shown, first_ms));
        let (client, rng) = (daemon.client(), StdRng::seed_from_u64(rng.random()));
        scope.spawn(move || stir(client, rng));
        std::thread::sleep(after); // not to wait for something: the moment is what this is about
        let log = daemon.kill();
        over.store(true, Ordering::Relaxed);
        log
    });
    for ledger in http.iter_mut().chain(udp) {
        let time_ms = shown[ledger.name()].load(Ordering::Relaxed);
        if time_ms > 0 {
            ledger.shown(time_ms);
        }
    }
    log
}

/// Writes with up to `pipeline` requests on the way, until the connection breaks.
fn write(mut client: Client, ledger: &mut Ledger, pipeline: usize, first_ms: i64, mut rng: StdRng) {
    ledger.connect();
    let mut on_the_way = 0;
    for number in 0.. {
        // Some requests are longer than a segment's rest.
        let lines = if rng.random_range(0..64) == 0 { 200 } else { rng.random_range(1..5) };
        let body = ledger.send(first_ms + number * 1000, lines);
        let head = format!("POST /write?db=story&precision=ms HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        if client.send((head + &body).as_bytes()).is_err() {
            // What was answered before the end can still be read, mostly.
            while on_the_way > 0 && client.answer().is_ok_and(|answer| answer.status == 204) {
                ledger.answered();
                on_the_way -= 1;
            }
            return;
        }
        on_the_way += 1;
        while on_the_way >= pipeline {
            let Ok(answer) = client.answer() else { return };
            assert_eq!((answer.status, answer.text()), (204, ""), "a write of good lines");
            ledger.answered();
            on_the_way -= 1;
        }
    }
}

/// Sends datagrams until it is over, a few at a time.
fn send(address: std::net::SocketAddr, ledger: &mut Ledger, first_ms: i64, over: &AtomicBool) {
    ledger.connect();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for number in 0..DATAGRAMS_MAX {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let body = ledger.send(first_ms + number as i64 * 1000, 1 + number as u64 % 2);
        // Nobody may be there any more.
        let _ = socket.send_to(body.as_bytes(), address);
        if number % 16 == 15 {
            std::thread::sleep(Duration::from_millis(2)); // a pause, so that the load lasts as long as the round
        }
    }
}

/// Asks again and again for the newest request of each sender, until the connection breaks.
fn watch(mut client: Client, shown: &BTreeMap<String, AtomicI64>, first_ms: i64) {
    let query = format!("max by (sender) (max_over_time(kill_at{{line=\"0\"}}[{}s]))", ROUND_MS / 1000 - 1);
    let at = seconds(first_ms + ROUND_MS - 1000);
    let path = "/api/v1/query?".to_string()
        + &form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &query)
            .append_pair("time", &at)
            .finish();
    while let Ok(answer) = client.try_post(&path, &[], b"") {
        assert_eq!(answer.status, 200, "{}", answer.text());
        for (series, samples) in matrix(&answer.json()) {
            let sender = series.trim_start_matches("{sender=\"").trim_end_matches("\"}");
            shown[sender].store(samples[0].1 as i64 * 1000, Ordering::Relaxed);
        }
    }
}

/// Has it seal and archive at odd moments, until the connection breaks.
fn stir(mut client: Client, mut rng: StdRng) {
    loop {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..80)));
        let path = if rng.random_range(0..3) == 0 { "/admin/archive?force=1" } else { "/admin/seal" };
        if client.try_post(path, &[], b"").is_err() {
            return;
        }
    }
}

/// The sizes of all files below a folder whose names end so.
#[expect(clippy::disallowed_methods, reason = "a test looks at the folder of a daemon that is dead")]
fn files(folder: &Path, end: &str) -> Vec<u64> {
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let entry = entry.expect("the folder can be listed");
        if entry.path().is_dir() {
            sizes.extend(files(&entry.path(), end));
        } else if entry.path().to_string_lossy().ends_with(end) {
            sizes.push(entry.metadata().expect("the file is there").len());
        }
    }
    sizes
}

impl Figures {
    fn count(&mut self, http: &[Ledger], udp: &[Ledger], log: &[String]) {
        self.requests += http.iter().map(Ledger::kept).sum::<usize>();
        self.datagrams += udp.iter().map(Ledger::sent).sum::<usize>();
        for line in log {
            for (what, mark) in [("seals", "sealed "), ("merges", "merged: "), ("archives", "archived: ")] {
                let number = line.split_once(mark).map(|(_, rest)| rest.split(',').next().unwrap_or(""));
                let Some(number) = number else { continue };
                *self.done.entry(what).or_default() += number.parse().unwrap_or(1);
            }
            *self.done.entry("expiries").or_default() += u64::from(line.contains("partition expired"));
        }
    }

    fn print(&self, rounds: u64) {
        let Figures { requests, datagrams, unheard, samples, half_written, starts, done } = self;
        println!("{rounds} kills: {requests} requests answered or shown, {datagrams} datagrams sent");
        println!("{unheard} of both are there that nobody had heard of; {samples} samples in the end");
        println!("done between kills: {done:?}; files left half written: {half_written}");
        let longest = starts.iter().max().copied().unwrap_or_default();
        let largest = starts.iter().max_by_key(|(_, bytes)| *bytes).copied().unwrap_or_default();
        for (name, (took, bytes)) in [("the longest start", longest), ("that with the largest log", largest)] {
            println!("{name} took {took:?}, with {} KiB of log", bytes >> 10);
        }
    }
}
