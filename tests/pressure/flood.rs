//! The story: a fleet as large as the memory allows, and then somebody sends ten times as many new series. The fleet
//! goes on being stored and asked for, the flood is refused by name, and neither memory nor a restart suffers.
//!
//! It would fail where refused lines leave something behind, where they hold up those that are taken, or where one of
//! them is lost from the count. `make flood` sends ten million against a million.

#![expect(clippy::disallowed_methods, reason = "times are told, not judged")]

use crate::support::daemon::Daemon;
use crate::support::http::{Answer, Client};
use crate::turn;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const START_MS: i64 = 1_700_000_000_000;

/// Lines of one body.
const LINES: usize = 10_000;

/// Those who send the flood.
const SENDERS: usize = 4;

/// Bytes of `memory.limit` for each series that there may be.
const BYTES_PER_SERIES: usize = 2 << 10;

/// A number from the environment.
fn given(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A line for each of these hosts, with one field.
fn lines(hosts: std::ops::Range<usize>, time: i64) -> String {
    let mut lines = String::new();
    for host in hosts {
        writeln!(lines, "flood,dc=eu,rack=r{},host=h{host} v={host} {time}", host % 100).expect("memory");
    }
    lines
}

fn post(client: &mut Client, lines: &str) -> Answer {
    client.post("/write?db=story&precision=ms", &[], lines.as_bytes())
}

/// Writes the old series once more. Returns how long the slowest body took.
fn write_old(client: &mut Client, series: usize, time: i64) -> Duration {
    let mut worst = Duration::ZERO;
    for first in (0..series).step_by(LINES) {
        let body = lines(first..(first + LINES).min(series), time);
        let started = Instant::now();
        let answer = post(client, &body);
        assert_eq!((answer.status, answer.text()), (204, ""), "old series go on");
        worst = worst.max(started.elapsed());
    }
    worst
}

#[test]
fn a_flood_of_new_series_leaves_the_old_ones_and_the_memory_alone() {
    let _turn = turn();
    let (max, flood) = (given("SEALINE_FLOOD_MAX", 20_000), given("SEALINE_FLOOD_SERIES", 200_000));
    let data = tempfile::tempdir().expect("a folder for the test");
    let limit = max * BYTES_PER_SERIES;
    let settings = [("memory.limit", limit.to_string())];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    let daemon = Daemon::start(data.path(), &settings);
    let mut client = daemon.client();
    let started = Instant::now();
    write_old(&mut client, max, START_MS);
    let full = daemon.memory_bytes().0;
    println!("{max} series after {:?}: {} MiB resident", started.elapsed(), full >> 20);

    let (next, dropped, over) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let started = Instant::now();
    let (took, rounds, worst) = std::thread::scope(|scope| {
        let old = scope.spawn(|| {
            let (mut client, mut worst, mut rounds) = (daemon.client(), Duration::ZERO, 0);
            while !over.load(Relaxed) || rounds == 0 {
                rounds += 1;
                worst = worst.max(write_old(&mut client, max, START_MS + rounds * 1000));
            }
            (rounds, worst)
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = daemon.client();
                    loop {
                        let first = next.fetch_add(LINES, Relaxed);
                        if first >= flood {
                            return;
                        }
                        let answer = post(&mut client, &lines(max + first..max + (first + LINES).min(flood), START_MS));
                        assert_eq!(answer.status, 400, "{}", answer.text());
                        let answer = answer.json();
                        let line = &answer["lines"][0];
                        assert_eq!((&answer["written"], &line["reason"]), (&0.into(), &"too_many_series".into()));
                        dropped.fetch_add(answer["dropped"].as_u64().expect("a number"), Relaxed);
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().expect("the flood is refused in order"));
        let took = started.elapsed();
        over.store(true, Relaxed);
        let (rounds, worst) = old.join().expect("old series are taken");
        (took, rounds, worst)
    });
    let (_, most) = daemon.memory_bytes();
    println!(
        "{flood} new series refused in {took:?} beside {rounds} rounds of the old ones, their slowest body in \
         {worst:?}; at most {} MiB resident with a memory.limit of {} MiB",
        most >> 20,
        limit >> 20
    );
    assert_eq!(dropped.load(Relaxed), flood as u64);
    let too_many = "sealine_rejected_lines_total{protocol=\"http\",reason=\"too_many_series\"}";
    assert_eq!(client.metric(too_many), flood as f64);
    assert_eq!(client.metric("sealine_tier_series{tier=\"memory\"}"), max as f64);
    let count = "sum(count_over_time(flood_v{host=~\"h[0-9]\"}[1d]))"; // of ten hosts: there may be more than a query may have
    assert_eq!(client.number(count, START_MS + 3_600_000), 10.0 * (rounds + 1) as f64);
    let allowed = limit as u64 + (128 << 20); // the daemon itself, and what the allocator keeps
    assert!(most < allowed, "{most} bytes resident");

    daemon.kill();
    let started = Instant::now();
    let daemon = Daemon::start(data.path(), &settings);
    println!("started again after {:?}, {} MiB resident", started.elapsed(), daemon.memory_bytes().0 >> 20);
    let mut client = daemon.client();
    assert_eq!(client.number(count, START_MS + 3_600_000), 10.0 * (rounds + 1) as f64);
    write_old(&mut client, max, START_MS + (rounds + 1) * 1000);
    assert_eq!(post(&mut client, &lines(max..max + 1, START_MS)).status, 400, "and no new one");
}
