//! What writes cost beside those who disturb them: many slow and idle connections, and heavy queries. It measures and
//! prints; how long is too long is not for a test to say, which shares its machine. `make latency` runs it.

use crate::support::daemon::Daemon;
use crate::support::http::{Client, seconds};
use crate::support::load::{Fleet, START_MS, STEP_MS};
use crate::turn;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_secs(5);

const IDLE: usize = 2_000;
const SLOW: usize = 500;
const ASKING: usize = 4;

const SETTINGS: [(&str, &str); 5] = [
    ("http.max_connections", "5000"),
    ("http.max_connections_per_ip", "0"),
    ("http.header_timeout", "1h"),
    ("http.idle_timeout", "1h"),
    ("query.timeout", "10m"),
];

/// Writes one request after another; gives the time that half of them and 99 in 100 of them took at most.
#[expect(clippy::disallowed_methods, reason = "a test measures a real process")]
fn measure(name: &str, client: &mut Client, fleet: &mut Fleet) -> (Duration, Duration) {
    let (started, mut took) = (Instant::now(), Vec::new());
    while started.elapsed() < SPAN {
        let body = fleet.request().body;
        let sent = Instant::now();
        client.write(&body);
        took.push(sent.elapsed());
    }
    took.sort();
    let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("{name}: {} writes, p50 {half:?}, p99 {most:?}", took.len());
    (half, most)
}

#[test]
#[ignore = "it measures, and asserts nothing: make latency"]
fn writes_beside_slow_connections_and_heavy_queries() {
    let _turn = turn();
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &SETTINGS);
    let (mut client, mut fleet) = (daemon.client(), Fleet::new("fleet", 50, 1));
    (0..2_000).for_each(|_| client.write(&fleet.request().body));
    let before = measure("alone", &mut client, &mut fleet);

    let over = AtomicBool::new(false);
    let beside_slow = std::thread::scope(|scope| {
        let connect = || TcpStream::connect(daemon.http()).expect("the daemon listens");
        let idle: Vec<TcpStream> = (0..IDLE).map(|_| connect()).collect();
        let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| connect()).collect();
        for stream in &mut slow {
            stream.write_all(b"POST /write?db=story HTTP/1.1\r\nX-Slow: ").expect("the daemon takes it");
        }
        let over = &over;
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                slow.iter_mut().for_each(|stream| stream.write_all(b"x").expect("the daemon takes it"));
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let name = format!("beside {SLOW} slow and {IDLE} idle connections");
        let figures = measure(&name, &mut client, &mut fleet);
        over.store(true, Ordering::Relaxed);
        drop(idle);
        figures
    });

    let over = AtomicBool::new(false);
    let beside_queries = std::thread::scope(|scope| {
        let (over, daemon) = (&over, &daemon);
        for _ in 0..ASKING {
            scope.spawn(move || {
                let mut client = daemon.client();
                let (start, end) = (seconds(START_MS), seconds(START_MS + 2_000 * STEP_MS));
                let query = "sum%20by%20(host)%20(rate(%7B__name__=~%22.%2B%22%7D%5B1h%5D))";
                let target =
                    format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={}", 2 * STEP_MS / 1000);
                while !over.load(Ordering::Relaxed) {
                    // Answers are read and not looked into: that would be work on the same cores.
                    assert_eq!(client.get(&target).status, 200);
                }
            });
        }
        let figures = measure(&format!("beside {ASKING} clients with heavy queries"), &mut client, &mut fleet);
        over.store(true, Ordering::Relaxed);
        figures
    });
    for (name, figures) in [("slow and idle connections", beside_slow), ("heavy queries", beside_queries)] {
        let ratio = |now: Duration, before: Duration| now.as_secs_f64() / before.as_secs_f64();
        println!("{name}: p50 x {:.2}, p99 x {:.2}", ratio(figures.0, before.0), ratio(figures.1, before.1));
    }
}
