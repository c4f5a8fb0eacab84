//! How fast queries run over samples that lie decoded in memory: 1000 series, a day at 10 s each.
//!
//! `cargo bench --bench promql [-- part of a name]` prints a row a query: time, and nanoseconds a sample read. Reading
//! here is one copy, so what is left is the engine's own work.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use sealine::promql::{Engine, Options, Request, Samples, Selection, Source, SourceError, TimeRange};
use sealine::series::{Labels, Matcher};
use std::time::{Duration, Instant};

const SERIES: usize = 1000;
const STEP_MS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_700_006_400_000;

struct Memory(Vec<(Labels, Samples)>);

impl Source for Memory {
    fn select(&self, matchers: &[Matcher], _: i64, _: i64) -> Result<Box<dyn Selection + '_>, SourceError> {
        let passes = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or_default()));
        Ok(Box::new(Found(self.0.iter().filter(|(labels, _)| passes(labels)).collect())))
    }
}

struct Found<'a>(Vec<&'a (Labels, Samples)>);

impl Selection for Found<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.0[index].0.clone()
    }

    fn read(&self, index: usize, start: i64, end: i64, into: &mut Samples) -> Result<(), SourceError> {
        let samples = &self.0[index].1;
        let from = samples.times.partition_point(|time| *time < start);
        let to = samples.times.partition_point(|time| *time <= end);
        into.clear();
        into.times.extend_from_slice(&samples.times[from..to]);
        into.values.extend_from_slice(&samples.values[from..to]);
        Ok(())
    }
}

fn memory() -> Memory {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 101
    };
    let series = (0..SERIES).map(|number| {
        let (host, zone) = (format!("host_{number}"), format!("zone_{}", number % 10));
        let labels = [("__name__", "m_total"), ("host", &host), ("zone", &zone)];
        let (mut samples, mut value) = (Samples::default(), 0);
        for time in (START_MS..START_MS + DAY_MS).step_by(STEP_MS as usize) {
            value += random();
            samples.push(time, value as f64);
        }
        (Labels::from_pairs(labels), samples)
    });
    Memory(series.collect())
}

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let source = memory();
    let engine = Engine::new(Options::default());
    let (start, end) = (START_MS, START_MS + DAY_MS - STEP_MS);
    let minute = TimeRange::Range { start, end, step: 60_000 };
    let instant = TimeRange::Instant { at: end };
    let late = TimeRange::Range { start: end - 3_600_000, end, step: 60_000 };
    println!("{:<52} {:>10} {:>12} {:>12}", "query", "ms", "M samples", "ns a sample");
    for (name, text, range) in [
        ("selector, 1 m", "m_total", minute),
        ("sum(selector), 1 m", "sum(m_total)", minute),
        ("sum by (zone) (rate 5m), 1 m", "sum by (zone) (rate(m_total[5m]))", minute),
        ("sum by (host) (rate 5m), 1 m", "sum by (host) (rate(m_total[5m]))", minute),
        ("max_over_time 1m, 1 m", "max_over_time(m_total[1m])", minute),
        ("max_over_time 1h, 1 m", "max_over_time(m_total[1h])", minute),
        ("avg_over_time 1d, 1 m", "avg_over_time(m_total[1d])", minute),
        ("avg_over_time 1d, last hour", "avg_over_time(m_total[1d])", late),
        ("avg_over_time 1d, instant", "avg_over_time(m_total[1d])", instant),
        ("stddev_over_time 1h, 1 m", "stddev_over_time(m_total[1h])", minute),
        ("quantile_over_time 1h, last hour", "quantile_over_time(0.9, m_total[1h])", late),
        ("deriv 1h, last hour", "deriv(m_total[1h])", late),
        ("topk(5, rate 5m), 1 m", "topk(5, rate(m_total[5m]))", minute),
        ("quantile(0.9, rate 5m), 1 m", "quantile(0.9, rate(m_total[5m]))", minute),
        ("rate / rate, 1 m", "rate(m_total[5m]) / rate(m_total[10m])", minute),
        ("selector > scalar, instant", "m_total > 400000", instant),
    ] {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let request = Request::new(text, range);
        let (mut best, mut samples) = (Duration::MAX, 0);
        for _ in 0..3 {
            let begun = Instant::now();
            let answer = engine.query(&source, &request).expect("the queries above are correct");
            best = best.min(begun.elapsed());
            samples = answer.stats.samples;
        }
        let nanoseconds = best.as_nanos() as f64 / samples.max(1) as f64;
        println!("{name:<52} {:>10.1} {:>12.2} {nanoseconds:>12.2}", best.as_secs_f64() * 1e3, samples as f64 / 1e6);
    }
}
