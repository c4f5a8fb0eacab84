//! How long a daemon that was killed takes to be ready again, by what it finds: logs of several lengths, a million
//! series, ten thousand chunk files. The real binary, loaded over HTTP with its own defaults for the log, `kill -9`, and
//! then the median of three starts; each time from the start of the process to its message that it is ready.
//!
//! `cargo bench --bench start [-- MiB of log …]` prints one Markdown table; `make bench-start` draws a plot of it as well.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use support::daemon::Daemon;
use support::http::Client;

/// Lengths of log that are measured where no others are asked for, in MiB.
const LOGS_MIB: [u64; 5] = [64, 128, 256, 512, 1024];

/// Hosts with ten integer gauges each, as agents send them every ten seconds.
const HOSTS: usize = 4000;
const FIELDS: [&str; 10] =
    ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];

/// Series of one sample each.
const SERIES: usize = 1_000_000;

/// Chunk files: so many databases and days, and a file of each seal in each of them.
const DATABASES: usize = 10;
const DAYS: usize = 100;
const SEALS: usize = 10;

/// Lines of one body: a part of the hosts, and of the series.
const LINES: usize = 2000;

const START_MS: i64 = 1_699_920_000_000;
const DAY_MS: i64 = 86_400_000;

/// Nothing is sealed, merged or refused while the log grows.
const SETTINGS: [(&str, &str); 6] = [
    ("seal.wal_bytes", "64GiB"),
    ("wal.max_bytes", "64GiB"),
    ("seal.memory_bytes", "64GiB"),
    ("seal.interval", "1d"),
    ("merge.enabled", "false"),
    ("memory.limit", "200GiB"),
];

fn main() {
    let asked: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let logs = if asked.is_empty() { LOGS_MIB.to_vec() } else { asked };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("| what a start finds ({cores} cores) | on disk | seconds to ready |\n|---|---|---|");
    let folder = tempfile::tempdir().expect("a folder");
    let mut load = Load::new();
    for mib in logs {
        load.until(folder.path(), mib << 20);
        let what =
            format!("a log with {} million samples of {} series", load.samples / 1_000_000, HOSTS * FIELDS.len());
        row(&what, folder.path());
    }
    let folder = tempfile::tempdir().expect("a folder");
    write_series(folder.path());
    row(&format!("a log with one sample each of {SERIES} series"), folder.path());
    let folder = tempfile::tempdir().expect("a folder");
    write_files(folder.path());
    row(&format!("{} chunk files in {} partitions", DATABASES * DAYS * SEALS, DATABASES * DAYS), folder.path());
}

/// Measures starts on a folder, each of which is killed, and prints what they took.
fn row(what: &str, folder: &Path) {
    let mut took: Vec<Duration> = (0..3)
        .map(|_| {
            let started = Instant::now();
            let daemon = Daemon::start(folder, &SETTINGS);
            let took = started.elapsed();
            daemon.kill();
            took
        })
        .collect();
    took.sort();
    println!("| {what} | {} KiB | {:.2} |", size(folder) >> 10, took[1].as_secs_f64());
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it stays"));
    let bytes = |entry: std::fs::DirEntry| match entry.metadata().expect("it stays") {
        meta if meta.is_dir() => size(&entry.path()),
        meta => meta.len(),
    };
    entries.map(bytes).sum()
}

/// Hosts whose gauges walk between 0 and 100, by a normal deviate of about 1 a step.
struct Load {
    hosts: Vec<(String, [f64; FIELDS.len()])>,
    /// The hosts that come next, and their time.
    next: usize,
    time: i64,
    random: Random,
    samples: usize,
}

impl Load {
    fn new() -> Load {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let mut host = |number| {
            let tags = format!("cpu,hostname=host_{number},region=eu-west-1,rack={},os=Debian12,team=a", number % 100);
            (tags, std::array::from_fn(|_| random.unit() * 100.0))
        };
        let hosts = (0..HOSTS).map(&mut host).collect();
        Load { hosts, next: 0, time: START_MS, random, samples: 0 }
    }

    /// Writes on until the log has so many bytes; then the daemon is killed.
    fn until(&mut self, folder: &Path, bytes: u64) {
        let daemon = Daemon::start(folder, &SETTINGS);
        std::thread::scope(|scope| {
            let mut client = daemon.client();
            let (give, bodies) = std::sync::mpsc::sync_channel::<String>(2);
            scope.spawn(move || bodies.into_iter().for_each(|body| write(&mut client, "d", &body)));
            while size(&folder.join("wal")) < bytes {
                give.send(self.body()).expect("it takes bodies until there are no more");
            }
        });
        daemon.kill();
    }

    /// A line of each of the next hosts.
    fn body(&mut self) -> String {
        let mut body = String::new();
        for (tags, gauges) in &mut self.hosts[self.next..self.next + LINES] {
            body.push_str(tags);
            for (at, (gauge, field)) in gauges.iter_mut().zip(FIELDS).enumerate() {
                *gauge = (*gauge + self.random.normal()).clamp(0.0, 100.0);
                body.push(if at == 0 { ' ' } else { ',' });
                write!(body, "usage_{field}={}i", *gauge as i64).expect("memory");
            }
            writeln!(body, " {}", self.time).expect("memory");
        }
        self.samples += LINES * FIELDS.len();
        self.next = (self.next + LINES) % HOSTS;
        if self.next == 0 {
            self.time += 10_000;
        }
        body
    }
}

fn write(client: &mut Client, database: &str, body: &str) {
    let answer = client.post(&format!("/write?db={database}&precision=ms"), &[], body.as_bytes());
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// xorshift: the same load in every run.
struct Random(u64);

impl Random {
    /// Between 0 and 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The sum of twelve uniform deviates has a variance of 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Leaves a log that defines all series and has a sample of each.
fn write_series(folder: &Path) {
    let daemon = Daemon::start(folder, &SETTINGS);
    let mut client = daemon.client();
    for first in (0..SERIES).step_by(LINES) {
        let mut body = String::new();
        for host in first..first + LINES {
            writeln!(body, "flood,dc=eu,rack=r{},host=h{host} v={host} {START_MS}", host % 100).expect("memory");
        }
        write(&mut client, "d", &body);
    }
    daemon.kill();
}

/// Leaves chunk files, and no log.
fn write_files(folder: &Path) {
    let daemon = Daemon::start(folder, &SETTINGS);
    let mut client = daemon.client();
    for seal in 0..SEALS {
        for database in 0..DATABASES {
            let mut body = String::new();
            for day in 0..DAYS as i64 {
                writeln!(body, "m,host=a v={seal} {}", START_MS - day * DAY_MS + seal as i64).expect("memory");
            }
            write(&mut client, &format!("d{database}"), &body);
        }
        let answer = client.post("/admin/seal", &[], b"");
        assert!(answer.status / 100 == 2, "{}", answer.text());
    }
    daemon.kill();
}
