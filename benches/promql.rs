//! What queries cost over a real store whose data is sealed and archived: time beside that of one scan of the same
//! samples, and the most memory that a query takes.
//!
//! `make bench-query`, or `cargo bench --bench promql [-- part of a name]`, prints a row a query. `scans` is the time as
//! a multiple of the scan's, per sample: 1.0 is a query whose cost is to read each sample once. `peak` is the most
//! resident memory of a process that opens the store and runs nothing but this query.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and the kernel's figures")]

use sealine::config::Config;
use sealine_base::clock::ManualClock;
use sealine_base::vfs::DiskVfs;
use sealine_lineproto::Precision;
use sealine_promql::{Engine, Limits, Options, Request, TimeRange};
use sealine_store::Store;
use sealine_telemetry::Telemetry;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first argument of a run that measures one query.
const ALONE: &str = "--alone";

const DAY_MS: i64 = 86_400_000;
/// The midnight at which the data begins.
const START_MS: i64 = 19_700 * DAY_MS;

/// Two days of 1000 counters, a sample every 10 s: enough for a window of a day at every step of a day.
const DEEP: Shape = Shape { metric: "deep_total", series: 1000, samples: 17_280, every_ms: 10_000 };

/// An hour of 100,000 counters, a sample a minute.
const WIDE: Shape = Shape { metric: "wide_total", series: 100_000, samples: 60, every_ms: 60_000 };

struct Shape {
    metric: &'static str,
    series: usize,
    samples: i64,
    every_ms: i64,
}

impl Shape {
    fn end(&self) -> i64 {
        START_MS + (self.samples - 1) * self.every_ms
    }

    /// Counters that rise by 0 to 100, all written for one time after the other, as agents do.
    fn write(&self, store: &Store) {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 101
        };
        let mut values = vec![0; self.series];
        let mut lines = String::new();
        for sample in 0..self.samples {
            let time = START_MS + sample * self.every_ms;
            for (number, value) in values.iter_mut().enumerate() {
                *value += random();
                let (metric, zone) = (self.metric, number % 10);
                writeln!(lines, "{metric},host=host_{number},zone=zone_{zone} value={value} {time}").expect("a string");
            }
            if lines.len() > 4 << 20 || sample + 1 == self.samples {
                let mut stage = store.stage("bench", Precision::Milliseconds).expect("a short name");
                stage.add(lines.as_bytes(), 1);
                let (batch, report) = stage.finish();
                assert_eq!(report.refused, 0, "{:?}", report.first);
                store.append_blocking(batch).expect("the disk has room");
                lines.clear();
            }
        }
    }
}

fn open(data: &Path) -> Arc<Store> {
    let mut config = Config { data_dir: data.to_path_buf(), ..Config::default() };
    config.ingest.max_future = Duration::ZERO;
    config.retention.disk = Duration::ZERO;
    let clock = ManualClock::at(START_MS + 30 * DAY_MS);
    Store::open(DiskVfs::shared(), clock, config.store_options(), Telemetry::new()).expect("an empty folder opens")
}

/// What a query cost: the best time of some runs, the samples it read, the most memory its process had.
struct Cost {
    seconds: f64,
    samples: u64,
    peak_bytes: u64,
}

/// Runs a query in a process of its own, so that its peak is not hidden in what others left behind.
fn measure(data: &Path, text: &str, range: TimeRange) -> Cost {
    let this = std::env::current_exe().expect("the kernel knows what it runs");
    let numbers = [range.start(), range.end(), range.step()].map(|number| number.to_string());
    let output = Command::new(this).arg(ALONE).arg(data).arg(text).args(numbers).output().expect("it runs already");
    let answer = String::from_utf8_lossy(&output.stdout);
    let parts: Vec<f64> = answer.split_whitespace().filter_map(|part| part.parse().ok()).collect();
    let [seconds, samples, peak_bytes] = parts[..] else {
        panic!("{text}: {answer} {}", String::from_utf8_lossy(&output.stderr));
    };
    Cost { seconds, samples: samples as u64, peak_bytes: peak_bytes as u64 }
}

/// The other side of [`measure`].
fn measure_here(data: &Path, text: &str, start: i64, end: i64, step: i64) {
    let store = open(data);
    let limits = Limits { samples_max: u64::MAX, ..Limits::default() };
    let engine = Engine::new(Options { limits, ..Options::default() });
    let range = if step == 0 { TimeRange::Instant { at: start } } else { TimeRange::Range { start, end, step } };
    let (mut best, mut samples) = (f64::MAX, 0);
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = engine.query(&store.reader(None), &Request::new(text, range)).expect("the queries are correct");
        best = best.min(begun.elapsed().as_secs_f64());
        samples = answer.stats.samples;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    println!("{best} {samples} {}", peak_kib << 10);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, data, text, start, end, step] = &arguments[..]
        && mode == ALONE
    {
        let [start, end, step] = [start, end, step].map(|text| text.parse().expect("written by the other side"));
        return measure_here(Path::new(data), text, start, end, step);
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let data = tempfile::tempdir().expect("a temporary folder");
    let store = open(data.path());
    DEEP.write(&store);
    WIDE.write(&store);
    store.seal().expect("the disk has room");
    store.archive(true, &|| true).expect("the disk has room");
    drop(store);
    let data = data.path();

    let end = DEEP.end();
    let day = TimeRange::Range { start: end - DAY_MS, end, step: 60_000 };
    let hour = TimeRange::Range { start: end - 3_600_000, end, step: 60_000 };
    let instant = TimeRange::Instant { at: end };
    let wide = TimeRange::Range { start: START_MS, end: WIDE.end(), step: 15_000 };
    let wide_instant = TimeRange::Instant { at: WIDE.end() };
    let per_sample = |cost: &Cost| cost.seconds / cost.samples.max(1) as f64;
    let deep_scan = per_sample(&measure(data, "sum(count_over_time(deep_total[2d]))", instant));
    let wide_scan = per_sample(&measure(data, "sum(count_over_time(wide_total[1h]))", wide_instant));
    println!("{:<46} {:>9} {:>10} {:>10} {:>7} {:>9}", "query", "ms", "M samples", "ns/sample", "scans", "peak MiB");
    for (text, range, over, scan) in [
        ("sum(count_over_time(deep_total[2d]))", instant, "one scan", deep_scan),
        ("sum(avg_over_time(deep_total[1d]))", day, "1d by 1m", deep_scan),
        ("sum(sum_over_time(deep_total[1d]))", day, "1d by 1m", deep_scan),
        ("sum(max_over_time(deep_total[1d]))", day, "1d by 1m", deep_scan),
        ("sum(rate(deep_total[1d]))", day, "1d by 1m", deep_scan),
        ("sum(stddev_over_time(deep_total[1h]))", day, "1d by 1m", deep_scan),
        ("sum(quantile_over_time(0.9, deep_total[1h]))", hour, "1h by 1m", deep_scan),
        ("avg_over_time(deep_total[1d])", day, "1d by 1m", deep_scan),
        ("sum by (zone) (rate(deep_total[5m]))", day, "1d by 1m", deep_scan),
        ("topk(5, rate(deep_total[5m]))", day, "1d by 1m", deep_scan),
        ("sum(count_over_time(wide_total[1h]))", wide_instant, "one scan", wide_scan),
        ("sum(rate(wide_total[5m]))", wide, "1h by 15s", wide_scan),
        ("sum by (zone) (rate(wide_total[5m]))", wide, "1h by 15s", wide_scan),
        ("count(wide_total > 400)", wide, "1h by 15s", wide_scan),
        ("rate(wide_total[5m])", wide_instant, "instant", wide_scan),
    ] {
        if wanted.as_ref().is_some_and(|wanted| !text.contains(wanted.as_str())) {
            continue;
        }
        let cost = measure(data, text, range);
        println!(
            "{:<46} {:>9.1} {:>10.2} {:>10.2} {:>7.2} {:>9.1}",
            format!("{text}, {over}"),
            cost.seconds * 1e3,
            cost.samples as f64 / 1e6,
            per_sample(&cost) * 1e9,
            per_sample(&cost) / scan,
            cost.peak_bytes as f64 / f64::from(1 << 20),
        );
    }
}
