//! The story: datagrams come faster than anyone can take them, the largest there are and plain garbage among them. What
//! is lost is counted to the last line: sent is stored, or refused, or dropped by the kernel, since we take no more than we
//! can hold.
//!
//! It would fail where a drop is not counted or counted twice, where a datagram costs its neighbours lines, or where
//! writes by HTTP are lost beside the blast.

use crate::support::daemon::Daemon;
use crate::support::http::Client;
use crate::support::{eventually, seed};
use crate::turn;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const START_MS: i64 = 1_700_000_000_000;

/// Lines of each datagram, whatever is in it: so a lost datagram is that many lost lines.
const LINES: u64 = 4;

/// The largest datagram that IPv4 has.
const LARGEST: usize = 65_507;

const SENDERS: usize = 3;
const BLAST: Duration = Duration::from_secs(2);

/// How long the daemon is held in the middle: nobody empties the socket, so the kernel has to drop.
const HELD: Duration = Duration::from_millis(200);

/// Buffers that a blast fills, the kernel's and ours.
const SETTINGS: [(&str, &str); 3] =
    [("udp.precision", "ms"), ("udp.receive_buffer_bytes", "256KiB"), ("udp.queue_bytes", "128KiB")];

/// A datagram of four lines. `number` tells it from all others of its sender.
fn datagram(sender: usize, number: u64, rng: &mut StdRng) -> Vec<u8> {
    let good = |line: u64| format!("blast,sender={sender},line={line} v={number} {}\n", START_MS + number as i64);
    match rng.random_range(0..100) {
        0..70 => (0..LINES).map(good).collect::<String>().into_bytes(),
        70..85 => format!("{}bad\n{}cut,host=a v=", good(0), good(1)).into_bytes(),
        85..98 => garbage(rng),
        _ => largest(sender, number),
    }
}

/// Four lines of any bytes, without the two that could make them fewer or more.
fn garbage(rng: &mut StdRng) -> Vec<u8> {
    let line = |rng: &mut StdRng| -> Vec<u8> {
        let byte = |_| Some(rng.random::<u8>()).filter(|byte| !b"\n\r\"".contains(byte)).unwrap_or(b' ');
        [b"x".to_vec(), (0..200).map(byte).collect()].concat()
    };
    (0..LINES).map(|_| line(rng)).collect::<Vec<_>>().join(&b'\n')
}

/// Four good lines of very many fields.
fn largest(sender: usize, number: u64) -> Vec<u8> {
    let mut text = String::new();
    for line in 0..LINES {
        let end = LARGEST * (line as usize + 1) / LINES as usize;
        write!(text, "large,sender={sender},line={line} v={number}").expect("memory");
        let time = format!(" {}\n", START_MS + number as i64);
        for field in 0.. {
            let next = format!(",field{field}={field}i");
            if text.len() + next.len() + time.len() > end {
                break;
            }
            text += &next;
        }
        let zeros = end - text.len() - time.len(); // as digits of the last integer
        text.insert_str(text.rfind('=').expect("a line has fields") + 1, &"0".repeat(zeros));
        text += &time;
    }
    assert_eq!(text.len(), LARGEST);
    text.into_bytes()
}

/// The daemon's own figures on datagrams.
#[derive(Debug, Clone, Copy)]
struct Counts {
    datagrams: u64,
    kernel_drops: u64,
    stored: u64,
    refused: u64,
}

fn counts(client: &mut Client) -> Counts {
    let page = client.get("/metrics");
    let sum = |start: &str| -> u64 {
        let values =
            page.text().lines().filter(|line| line.starts_with(start)).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<f64>().expect("a metric's value is a number") as u64).sum()
    };
    Counts {
        datagrams: sum("sealine_udp_datagrams_total "),
        kernel_drops: sum("sealine_udp_kernel_drops_total "),
        stored: sum("sealine_ingested_lines_total{protocol=\"udp\"}"),
        refused: sum("sealine_rejected_lines_total{protocol=\"udp\""),
    }
}

/// What the kernel says that it dropped of a socket's datagrams.
#[expect(clippy::disallowed_methods, reason = "/proc is the kernel's answer, not a file")]
fn dropped(address: SocketAddr) -> u64 {
    let sockets = std::fs::read_to_string("/proc/net/udp").expect("the kernel tells");
    let port = format!(":{:04X}", address.port());
    let socket = sockets.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&port)));
    let drops = socket.and_then(|line| line.split_whitespace().last()).expect("the socket is open");
    drops.parse().expect("a number of datagrams")
}

/// Sends until it is over; says how many datagrams.
fn blast(sender: usize, address: SocketAddr, seed: u64, over: &AtomicBool) -> u64 {
    let mut rng = StdRng::seed_from_u64(seed);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    // Made before, so that it is sent as fast as it goes.
    let mut all: Vec<Vec<u8>> = (0..512).map(|number| datagram(sender, number, &mut rng)).collect();
    all.push(largest(sender, 512));
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        sent += u64::from(socket.send_to(&all[sent as usize % all.len()], address).is_ok());
    }
    sent
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test measures a real process")]
fn what_a_blast_of_datagrams_loses_is_counted_to_the_last_line() {
    let _turn = turn();
    let (seed, data) = (seed(), tempfile::tempdir().expect("a folder for the test"));
    let daemon = Daemon::start(data.path(), &SETTINGS);
    let (address, signal, over) = (daemon.udp(), daemon.signals(), AtomicBool::new(false));
    let (mut client, mut writer) = (daemon.client(), daemon.client());
    let written = AtomicU64::new(0);
    let started = Instant::now();
    let sent: u64 = std::thread::scope(|scope| {
        let over = &over;
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || blast(sender, address, seed ^ sender as u64, over)))
            .collect();
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let number = written.fetch_add(1, Ordering::Relaxed);
                writer.write(&format!("beside v={number} {}", START_MS + number as i64));
            }
        });
        std::thread::sleep(BLAST / 2);
        signal(Signal::STOP);
        std::thread::sleep(HELD);
        signal(Signal::CONT);
        std::thread::sleep(BLAST / 2);
        over.store(true, Ordering::Relaxed);
        senders.into_iter().map(|sender| sender.join().expect("the sender does not panic")).sum()
    });
    println!("{:.0} datagrams a second", sent as f64 / started.elapsed().as_secs_f64());

    // The kernel tells of its drops with the next datagram that it keeps; here no other comes.
    eventually("every datagram is accounted for", || {
        let counts = counts(&mut client);
        assert!(counts.datagrams + counts.kernel_drops <= sent, "more than the {sent} that were sent: {counts:?}");
        (counts.datagrams + counts.kernel_drops == sent).then_some(())
    });
    let lines = |counts: Counts| counts.stored + counts.refused + LINES * counts.kernel_drops;
    eventually("every line is accounted for", || (lines(counts(&mut client)) >= LINES * sent).then_some(()));
    let counts = counts(&mut client);
    println!("{sent} datagrams of {LINES} lines: {counts:?}");
    assert_eq!(lines(counts), LINES * sent, "{counts:?}");
    assert_eq!(counts.kernel_drops, dropped(address), "the kernel's own figure");
    assert!(counts.stored > 0 && counts.refused > 0 && counts.kernel_drops > 0, "too gentle: {counts:?}");

    let written = written.into_inner();
    let at = START_MS + 3_600_000;
    assert_eq!(client.number("count_over_time(beside_v[2h])", at), written as f64, "writes beside the blast");
    let values = client.query("{__name__=~\"(blast|large)_v\"}[2h]", at);
    for (series, samples) in &values {
        for (time, value) in samples {
            assert_eq!(*value, (time - START_MS) as f64, "{series}: a value that was not sent");
        }
    }
    assert!(values.keys().any(|series| series.starts_with("large")), "one of the largest datagrams came through");
    daemon.stop();
}

/// What datagrams may take while they wait to be stored, and what one of the burst has.
const QUEUE_BYTES: u64 = 16 << 20;
const BURST: u64 = 96 << 20;

/// What the daemon has accounted for as buffers.
fn buffers(client: &mut Client) -> u64 {
    client.metric("sealine_memory_bytes{pool=\"buffers\"}") as u64
}

#[test]
fn what_a_burst_took_is_given_back() {
    let _turn = turn();
    let data = tempfile::tempdir().expect("a folder for the test");
    let settings =
        [("udp.queue_bytes", "16MiB"), ("udp.precision", "ms"), ("tcp.listen", "127.0.0.1:0"), ("tcp.precision", "ms")];
    let daemon = Daemon::start(data.path(), &settings);
    let mut client = daemon.client();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let lines = |name: &str, count: u64| -> String {
        (0..count).map(|number| format!("{name},number={number} v=1 {START_MS}\n")).collect()
    };
    let datagram = lines("burst", 1200);
    socket.send_to(datagram.as_bytes(), daemon.udp()).expect("the daemon listens");
    eventually("a datagram is stored", || (client.number("count(burst_v)", START_MS) > 0.0).then_some(()));
    eventually("nothing waits", || (buffers(&mut client) == 0).then_some(()));
    let (resident, _) = daemon.memory_bytes();

    // A connection that has sent much, and then rests in the middle of a line.
    let mut stream = std::net::TcpStream::connect(daemon.tcp()).expect("the daemon listens");
    let text = lines("rests", 20_000) + "rests,number=";
    std::io::Write::write_all(&mut stream, text.as_bytes()).expect("the daemon reads");
    let mut sent = 0;
    while sent < BURST {
        // An error says that the kernel has no buffer for it: then it is lost, as others are.
        sent += socket.send_to(datagram.as_bytes(), daemon.udp()).unwrap_or(0) as u64;
    }
    println!("{} KiB of buffers after {} MiB", buffers(&mut client) >> 10, sent >> 20);
    eventually("buffers are given back", || (buffers(&mut client) < 64).then_some(()));
    assert_eq!(client.number("count(rests_v)", START_MS), 20_000.0, "the connection was read to its end");
    client.admin("/admin/seal");
    // What else has grown is accounted for: rows, for the most part.
    let pools = ["chunks", "index", "files", "queries", "buffers", "maintenance"];
    eventually("memory is given back", || {
        let held = pools.map(|pool| client.metric(&format!("sealine_memory_bytes{{pool=\"{pool}\"}}")) as u64);
        (daemon.memory_bytes().0 < resident + held.iter().sum::<u64>() + 2 * QUEUE_BYTES).then_some(())
    });
    drop(stream);
    daemon.stop();
}
