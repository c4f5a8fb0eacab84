//! The story: more is sent than can be taken, for longer than any buffer lasts; and the memory is small. What is taken
//! is kept, what is not is told so, and whoever asks is answered.
//!
//! It would fail where a queue has no bound, where memory is taken and not given back, where a refusal is anything but
//! 503 with `Retry-After`, where a refused body is stored in part, or where pages and queries wait behind writes.
//!
//! `SEALINE_OVERLOAD_SECONDS` makes it longer: `make overload`.

#![expect(clippy::disallowed_methods, reason = "a test waits in real time for a real process")]

use crate::support::control_group::ControlGroup;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Answer, Client};
use crate::turn;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const START_MS: i64 = 1_700_000_000_000;

/// Of one body: series, and points of each.
const SERIES: usize = 200;
const POINTS: usize = 100;

/// Of a body as it is written below; an eighth of a `memory.limit` of 64 MiB is this eight times.
const BODY_BYTES: usize = 1 << 20;

fn length() -> Duration {
    let given = std::env::var("SEALINE_OVERLOAD_SECONDS").ok();
    Duration::from_secs(given.map_or(4, |text| text.parse().expect("SEALINE_OVERLOAD_SECONDS is a number")))
}

/// The `number`th body of a sender: every time is later than those of the body before.
fn body(sender: usize, number: usize) -> String {
    let mut lines = String::with_capacity(BODY_BYTES + BODY_BYTES / 4);
    for point in 0..POINTS {
        let time = START_MS + (number * POINTS + point) as i64;
        for series in 0..SERIES {
            writeln!(lines, "load,sender=s{sender},series=n{series} v={} {time}", point * series).expect("memory");
        }
    }
    lines
}

/// What came of the bodies of one phase.
#[derive(Default)]
struct Tally {
    taken: AtomicU64,
    refused: AtomicU64,
}

/// A 503 is the one refusal that makes an agent try again, later.
fn check_refusal(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    let seconds = answer.headers.get("retry-after").map(|value| value.parse::<u64>());
    assert!(matches!(seconds, Some(Ok(1..=60))), "Retry-After of {answer:?}");
}

/// Sends bodies until told to stop; one that was refused is sent again. Returns how many were taken.
fn send(client: &mut Client, sender: usize, first: usize, tally: &Tally, stop: &AtomicBool) -> usize {
    let (mut number, mut lines) = (first, body(sender, first));
    while !stop.load(Relaxed) {
        let answer = client.post("/write?db=story&precision=ms", &[], lines.as_bytes());
        if answer.status == 204 {
            tally.taken.fetch_add(1, Relaxed);
            number += 1;
            lines = body(sender, number);
        } else {
            check_refusal(&answer);
            tally.refused.fetch_add(1, Relaxed);
            pause(200); // far sooner than an agent would
        }
    }
    number
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// `senders` senders for a while. Says how many bodies a second were taken.
fn phase(daemon: &Daemon, senders: &mut BTreeMap<usize, usize>, count: usize, length: Duration) -> (f64, Tally) {
    let (tally, stop, started) = (Tally::default(), AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..count)
            .map(|sender| {
                let (first, tally, stop) = (senders.get(&sender).copied().unwrap_or(0), &tally, &stop);
                scope.spawn(move || (sender, send(&mut daemon.client(), sender, first, tally, stop)))
            })
            .collect();
        pause(length.as_millis() as u64);
        stop.store(true, Relaxed);
        senders.extend(running.into_iter().map(|thread| thread.join().expect("a sender does not panic")));
    });
    (tally.taken.load(Relaxed) as f64 / started.elapsed().as_secs_f64(), tally)
}

/// What whoever asks has seen meanwhile.
#[derive(Debug, Default)]
struct Seen {
    rounds: u64,
    slowest: Duration,
    /// By pool, the most KiB that it had.
    pools: BTreeMap<String, u64>,
}

impl Seen {
    fn look(&mut self, metrics: &str) {
        let pools = metrics.lines().filter_map(|line| line.strip_prefix("sealine_memory_bytes{pool=\""));
        for (pool, bytes) in pools.filter_map(|rest| rest.split_once("\"} ")) {
            let most = self.pools.entry(pool.to_string()).or_default();
            *most = (bytes.parse::<f64>().expect("bytes are a number") as u64 >> 10).max(*most);
        }
    }
}

/// Asks for health, metrics and a count until told to stop: each must be answered.
fn ask(client: &mut Client, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Relaxed) {
        for path in ["/health", "/metrics", "/api/v1/query?query=count(load_v)&time=1700000000"] {
            let started = Instant::now();
            let answer = client.get(path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            seen.slowest = seen.slowest.max(started.elapsed());
            seen.look(answer.text());
        }
        seen.rounds += 1;
        pause(20);
    }
    seen
}

/// Sends a good and a bad line until told to stop. Returns how often it was told of the bad one, the `told` times before
/// included.
fn poison(client: &mut Client, mut told: u64, stop: &AtomicBool) -> u64 {
    while !stop.load(Relaxed) {
        let lines = format!("poison v=1 {}\npoison v= {START_MS}\n", START_MS + told as i64);
        let answer = client.post("/write?db=story&precision=ms", &[], lines.as_bytes());
        if answer.status == 400 {
            let answer = answer.json();
            assert_eq!((&answer["written"], &answer["dropped"]), (&1.into(), &1.into()));
            told += 1;
        } else {
            check_refusal(&answer);
        }
        pause(20);
    }
    told
}

/// A [`phase`] beside which somebody asks and somebody sends poison.
fn phase_beside_others(
    daemon: &Daemon,
    senders: &mut BTreeMap<usize, usize>,
    told: &mut u64,
    count: usize,
    length: Duration,
) -> (f64, Tally) {
    let (stop, told_before) = (AtomicBool::new(false), *told);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&mut daemon.client(), &stop));
        let poisoning = scope.spawn(|| poison(&mut daemon.client(), told_before, &stop));
        let (rate, tally) = phase(daemon, senders, count, length);
        stop.store(true, Relaxed);
        let seen = asking.join().expect("every page is answered");
        *told = poisoning.join().expect("the poison is told of");
        println!("{count} senders: {rate:.1} bodies a second taken, {} refused; {seen:?}", tally.refused.load(Relaxed));
        assert!(seen.rounds > 0 && *told > told_before, "{seen:?}, {} poison lines", *told - told_before);
        // A quarter of memory.limit, and what came between a look and a taking.
        assert!(seen.pools["buffers"] <= 24 << 10, "{seen:?}");
        (rate, tally)
    })
}

#[test]
fn three_times_what_can_be_taken_gives_204_and_503_and_loses_nothing() {
    let _turn = turn();
    let data = tempfile::tempdir().expect("a folder for the test");
    let settings = [("memory.limit", "64MiB"), ("query.max_samples", "1000000000")];
    let daemon = Daemon::start(data.path(), &settings);
    let mut senders = BTreeMap::new();
    let at_most = (64 << 20) / 4 / body(0, 0).len();
    let (few, many) = (at_most / 2, 3 * at_most);
    // All that differs between the measured phases is how many send: a store that has just begun, with nothing to archive
    // and few series to count, would take more.
    phase(&daemon, &mut senders, many, length() / 2);
    let mut told = 0;
    let (before, _) = phase_beside_others(&daemon, &mut senders, &mut told, few, length() / 2);
    let (rate, tally) = phase_beside_others(&daemon, &mut senders, &mut told, many, length());

    // Afterwards, the first that comes is taken.
    let ended = Instant::now();
    let mut client = daemon.client();
    eventually("writes are taken again", || {
        let answer = client.post("/write?db=story&precision=ms", &[], b"after v=1 1700000000000\n");
        (answer.status == 204).then_some(())
    });
    println!("taken again after {:?}", ended.elapsed());
    let (after, _) = phase_beside_others(&daemon, &mut senders, &mut told, few, length() / 2);
    println!("accepted under overload: {:.0} % of the peak", rate / before.max(after) * 100.0);
    assert!(tally.refused.load(Relaxed) > 0, "it was no overload");
    assert!(tally.taken.load(Relaxed) > 0, "nothing was taken");

    // All that was taken, and nothing that was refused.
    eventually("what was under way is given back", || {
        (client.metric("sealine_memory_bytes{pool=\"buffers\"}") == 0.0).then_some(())
    });
    assert_eq!(client.number("count_over_time(poison_v[1d])", START_MS + 3_600_000), told as f64);
    for (sender, taken) in senders {
        let count = format!("sum(count_over_time(load_v{{sender=\"s{sender}\"}}[1d]))");
        let found = client.number(&count, START_MS + 3_600_000);
        assert_eq!(found, (taken * SERIES * POINTS) as f64, "samples of sender {sender}");
    }
    let (_, most) = daemon.memory_bytes();
    println!("at most {} MiB resident with a memory.limit of 64 MiB", most >> 20);
    // The rest is the program, buffers of connections, the group that the log writes, and what the allocator keeps: it
    // does not grow with how long this takes.
    assert!(most < 6 * (64 << 20), "{most} bytes resident");
}

/// In a control group of 256 MiB, beyond which the kernel ends it, `memory.limit` is 60 % of that unless somebody says
/// otherwise: the rest is for the program, and for what the allocator keeps. Writes old series and ever new ones over HTTP,
/// more by UDP, seals, and asks for all of it, again and again.
#[test]
fn a_cap_of_256_mib_holds_under_a_mixed_load() {
    let _turn = turn();
    let data = tempfile::tempdir().expect("a folder for the test");
    let group = ControlGroup::with_memory(256 << 20);
    let daemon = match &group {
        Some(group) => Daemon::start_after(&group.enter(), data.path(), &[("seal.interval", "1s")]),
        None => {
            println!("no control group can be made here: memory.limit is set by hand");
            Daemon::start(data.path(), &[("memory.limit", "153MiB"), ("seal.interval", "1s")])
        }
    };
    let (stop, written, refused, asked) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (daemon, stop, written, refused) = (&daemon, &stop, &written, &refused);
            scope.spawn(move || {
                let mut client = daemon.client();
                for round in 0.. {
                    if stop.load(Relaxed) {
                        return;
                    }
                    let time = START_MS + round * 1000;
                    let mut lines = String::new();
                    for row in 0..5000 {
                        // One in ten is new in each round.
                        let row = if row < 4500 { row } else { row + round * 500 };
                        writeln!(lines, "mix,writer=w{writer},row=r{row} a={row},b={round}i,c=0.5 {time}")
                            .expect("memory");
                    }
                    let answer = client.post("/write?db=story&precision=ms", &[], lines.as_bytes());
                    match answer.status {
                        // In the end there are as many series as memory.limit lets in, and only old ones go on.
                        204 | 400 => _ = written.fetch_add(1, Relaxed),
                        _ => {
                            check_refusal(&answer);
                            refused.fetch_add(1, Relaxed);
                            pause(50);
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            while !stop.load(Relaxed) {
                for datagram in 0..50 {
                    let line = format!("packet,from=n{datagram} v={datagram}\n").repeat(20);
                    let _ = socket.send_to(line.as_bytes(), daemon.udp()); // what is lost is lost
                }
                pause(10);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = daemon.client();
                while !stop.load(Relaxed) {
                    for query in
                        ["sum(rate(mix_a[1h]))", "topk(5,mix_b)", "count(mix_c)", "quantile_over_time(0.9,mix_a[1h])"]
                    {
                        let query = form_urlencoded::byte_serialize(query.as_bytes()).collect::<String>();
                        let answer = client.get(&format!("/api/v1/query?query={query}&time=1700003600"));
                        assert!(
                            [200, 422, 503].contains(&answer.status),
                            "{query}: {} {}",
                            answer.status,
                            answer.text()
                        );
                        asked.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        pause(length().as_millis() as u64);
        stop.store(true, Relaxed);
    });
    let mut client = daemon.client();
    let limit = client.metric("sealine_memory_limit_bytes");
    assert!((153e6..162e6).contains(&limit), "60 % of 256 MiB: {limit}");
    let pools: Vec<String> = ["chunks", "index", "files", "queries", "buffers", "maintenance"]
        .iter()
        .map(|pool| {
            format!("{pool} {} KiB", client.metric(&format!("sealine_memory_bytes{{pool=\"{pool}\"}}")) as u64 >> 10)
        })
        .collect();
    let (now, most) = daemon.memory_bytes();
    println!(
        "{} bodies of 15,000 samples taken, {} refused, {} queries; accounted: {}; resident {} MiB, at most {} MiB",
        written.load(Relaxed),
        refused.load(Relaxed),
        asked.load(Relaxed),
        pools.join(", "),
        now >> 20,
        most >> 20
    );
    assert!(written.load(Relaxed) > 0 && asked.load(Relaxed) > 0, "both went on");
    assert!(most < 256 << 20, "{most} bytes resident");
    daemon.stop();
}
