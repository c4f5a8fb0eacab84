//! What must hold for any text as a query: it is refused in a sentence or answered, and the way it is formatted means
//! the same and is formatted the same.

use sealine_base::clock;
use sealine_model::{Labels, Matcher, Samples, Selection, Source, SourceError};
use sealine_promql::{Engine, Limits, Options, QueryError, Request, TimeRange, parse_selector};
use std::time::Duration;

/// Milliseconds between two samples.
const STEP_MS: i64 = 15_000;

/// Samples of a series.
const SAMPLES: i64 = 60;

/// A query must have ended within this time of its deadline; a build that looks for faults is slow.
const LATE_MAX: Duration = Duration::from_secs(4);

/// Panics where a rule is broken.
pub fn check(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let engine = Engine::new(options(2 << 10));
    if let Ok(matchers) = parse_selector(text, 20_000) {
        assert!(matchers.iter().all(|matcher| !matcher.to_string().is_empty()));
    }
    let formatted = match (engine.check(text), engine.format(text)) {
        (Ok(()), Ok(formatted)) => formatted,
        (Err(a), Err(b)) => {
            assert!(matches!(a, QueryError::BadData(_) | QueryError::Execution(_)), "{a:?}");
            assert!(a.to_string() == b.to_string() && !a.to_string().is_empty());
            assert!(query(&engine, text, INSTANT).is_err(), "what does not pass the check is not answered");
            return;
        }
        (check, format) => panic!("the check says {check:?}, the formatter {format:?}"),
    };
    // White space and line breaks make it longer.
    let roomy = Engine::new(options(1 << 20));
    assert_eq!(roomy.format(&formatted).as_ref().ok(), Some(&formatted), "formatted twice");
    for range in [INSTANT, TimeRange::Range { start: 0, end: SAMPLES * STEP_MS, step: 2 * STEP_MS }] {
        let (as_it_came, as_formatted) = (query(&engine, text, range), query(&roomy, &formatted, range));
        // A deadline comes when it comes; messages may tell the place in the text.
        let timed_out = [&as_it_came, &as_formatted].iter().any(|a| matches!(a, Err(QueryError::Timeout { .. })));
        if !timed_out {
            assert_eq!(told(&as_it_came), told(&as_formatted), "{formatted}");
        }
    }
}

const INSTANT: TimeRange = TimeRange::Instant { at: SAMPLES * STEP_MS };

fn options(text_bytes_max: usize) -> Options {
    let limits = Limits {
        text_bytes_max,
        regex_steps_max: 20_000,
        samples_max: 100_000,
        series_max: 100,
        bytes_max: 16 << 20,
        steps_max: 1000,
        subquery_steps_max: 1000,
    };
    Options { threads: 1, limits, ..Options::default() }
}

fn query(engine: &Engine, text: &str, range: TimeRange) -> Result<sealine_promql::Answer, QueryError> {
    let begun = clock::instant();
    let deadline = Some(begun + Duration::from_secs(1));
    let answer = engine.query(&Few, &Request { deadline, ..Request::new(text, range) });
    let took = clock::instant() - begun;
    assert!(took < Duration::from_secs(1) + LATE_MAX, "it took {took:?}");
    answer
}

fn told(answer: &Result<sealine_promql::Answer, QueryError>) -> String {
    match answer {
        Ok(answer) => format!("{:?}", answer.value),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            format!("an error: {:?}", std::mem::discriminant(error))
        }
    }
}

/// A source of a few series: counters, gauges that are not always there, a histogram.
struct Few;

/// The name, the labels, and the value of each sample.
type Series = (&'static str, &'static [(&'static str, &'static str)], fn(i64) -> f64);

const SERIES: [Series; 7] = [
    ("up", &[("job", "a"), ("host", "x")], |_| 1.0),
    ("up", &[("job", "b"), ("host", "y")], |at| (at % 2) as f64),
    ("cpu_seconds_total", &[("job", "a"), ("host", "x")], |at| (at % 40) as f64 * 2.5),
    ("temperature", &[("host", "x")], |at| if at % 7 == 0 { f64::NAN } else { (at - 30) as f64 / 3.0 }),
    ("latency_bucket", &[("le", "0.1")], |at| at as f64),
    ("latency_bucket", &[("le", "1")], |at| at as f64 * 1.5),
    ("latency_bucket", &[("le", "+Inf")], |at| at as f64 * 2.0),
];

struct Found(Vec<usize>);

impl Source for Few {
    fn select(&self, matchers: &[Matcher], _: i64, _: i64) -> Result<Box<dyn Selection + '_>, SourceError> {
        let passes = |at: &usize| matchers.iter().all(|m| m.matches(labels(*at).get(m.name()).unwrap_or("")));
        Ok(Box::new(Found((0..SERIES.len()).filter(passes).collect())))
    }
}

fn labels(at: usize) -> Labels {
    let (name, pairs, _) = SERIES[at];
    Labels::from_pairs(pairs.iter().copied().chain([("__name__", name)]))
}

impl Selection for Found {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        labels(self.0[index])
    }

    fn read(&self, index: usize, start: i64, end: i64, into: &mut Samples) -> Result<(), SourceError> {
        into.clear();
        for at in 0..SAMPLES {
            let time = at * STEP_MS;
            if (start..=end).contains(&time) {
                into.push(time, SERIES[self.0[index]].2(at));
            }
        }
        Ok(())
    }
}
