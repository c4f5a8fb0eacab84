//! What the upstream scripts do not say: limits, cancellation, errors, and that threads do not show in the answer.

use super::*;
use crate::series::{Labels, Matcher};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::time::{Duration, Instant};

/// `series` series named `m_total` in ten zones, a sample every 10 s for an hour; and a `meta` for each zone.
struct Made(Vec<(Labels, Samples)>);

impl Made {
    fn new(series: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut all = Vec::new();
        for number in 0..series {
            let (host, zone) = (number.to_string(), (number % 10).to_string());
            let mut samples = Samples::default();
            for index in 0..360 {
                samples.push(index * 10_000, random.random_range(-1e6..1e6));
            }
            let labels = Labels::from_pairs([("__name__", "m_total"), ("host", &host), ("zone", &zone)]);
            all.push((labels, samples));
        }
        for zone in 0..10 {
            let samples = Samples { times: (0..60).map(|minute| minute * 60_000).collect(), values: vec![1.0; 60] };
            let labels = [("__name__", "meta"), ("zone", &*zone.to_string()), ("owner", "me")];
            all.push((Labels::from_pairs(labels), samples));
        }
        Made(all)
    }
}

impl Source for Made {
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
        into.clear();
        let samples = &self.0[index].1;
        let pairs = samples.times.iter().zip(&samples.values);
        pairs.filter(|(time, _)| (start..=end).contains(*time)).for_each(|(time, value)| into.push(*time, *value));
        Ok(())
    }
}

const HOUR: TimeRange = TimeRange::Range { start: 0, end: 3_600_000, step: 30_000 };
const NOON: TimeRange = TimeRange::Instant { at: 1_800_000 };

fn ask(text: &str, range: TimeRange) -> Result<Answer, QueryError> {
    Engine::default().query(&Made::new(20, 1), &Request::new(text, range))
}

#[test]
fn answers_do_not_depend_on_threads() {
    let seed = rand::rng().next_u64();
    let source = Made::new(1500, seed);
    let engine = |threads| Engine::new(Options { threads, ..Options::default() });
    for text in [
        "m_total",
        "sum(rate(m_total[5m]))",
        "avg by (zone) (m_total)",
        "stddev without (host) (m_total)",
        "topk by (zone) (3, m_total)",
        "quantile(0.9, m_total)",
        "count_values(\"v\", floor(m_total / 1e5))",
        "m_total / on (zone) group_left (owner) meta",
        "m_total > 0 or on (zone) meta",
        "sum_over_time(m_total[10m])",
        "absent(m_total)",
        "scalar(sum(m_total)) + count(m_total)",
    ] {
        let one = engine(1).query(&source, &Request::new(text, HOUR)).unwrap();
        for threads in [2, 5] {
            let many = engine(threads).query(&source, &Request::new(text, HOUR)).unwrap();
            assert_eq!(format!("{:?}", one.value), format!("{:?}", many.value), "{text}, seed {seed}");
        }
    }
}

#[test]
fn windows_folded_in_parts_give_what_one_scan_gives() {
    let seed = rand::rng().next_u64();
    let source = Made::new(3, seed);
    let engine = Engine::default();
    for function in ["sum", "avg", "min", "max", "stddev", "stdvar", "ts_of_min", "ts_of_max", "count"] {
        let text = format!("{function}_over_time(m_total[20m])");
        let range = engine.query(&source, &Request::new(&text, HOUR)).unwrap();
        let Value::Matrix(matrix) = range.value else { panic!("a range query gives a matrix") };
        for series in matrix {
            for point in series.points {
                let at = TimeRange::Instant { at: point.time };
                let Value::Vector(vector) = engine.query(&source, &Request::new(&text, at)).unwrap().value else {
                    panic!("an instant query gives a vector")
                };
                let once = vector.iter().find(|(labels, _)| *labels == series.labels).unwrap().1.value;
                let close = (once - point.value).abs() <= 1e-9 * once.abs().max(1.0);
                assert!(close, "{text} at {}: {} in parts, {once} in one; seed {seed}", point.time, point.value);
            }
        }
    }
}

#[test]
fn errors_say_what_was_wrong() {
    for (text, range, kind, want) in [
        ("sum(", NOON, "bad_data", "parse error"),
        ("nope(m_total)", NOON, "bad_data", "unknown function"),
        ("rate(m_total)", NOON, "bad_data", "expected type"),
        ("m_total[5m]", HOUR, "bad_data", "invalid expression type \"range vector\" for range query"),
        ("\"text\"", HOUR, "bad_data", "invalid expression type \"string\" for range query"),
        ("1 > 2", NOON, "bad_data", "comparisons between scalars must use BOOL modifier"),
        ("m_total{a=~\"(\"}", NOON, "bad_data", "regex"),
        ("m_total[0s]", NOON, "bad_data", "greater than 0"),
        ("label_replace(m_total, \"\", \"\", \"\", \"\")", NOON, "bad_data", "invalid label name \"\""),
        ("m_total and 1", NOON, "bad_data", "set operator"),
        ("exp(NaN)", NOON, "bad_data", "expected type instant vector"),
        ("m_total / on (zone) meta", NOON, "execution", "many-to-one matching must be explicit"),
        ("meta / on (owner) m_total", NOON, "execution", "many-to-many matching not allowed"),
        ("label_replace(m_total, \"host\", \"\", \"\", \"\")", NOON, "execution", "same labelset"),
        ("topk(NaN, m_total)", NOON, "execution", "Parameter value is NaN"),
        ("double_exponential_smoothing(m_total[5m], 2, 0.5)", NOON, "execution", "invalid smoothing factor"),
    ] {
        let error = ask(text, range).expect_err(text);
        assert_eq!(error.error_type(), kind, "{text}: {error}");
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
}

#[test]
fn selectors_alone_give_their_matchers() {
    for (text, want) in [
        ("up", r#"__name__="up""#),
        (r#"up{job=~"a|b", x!=""}"#, r#"__name__="up" job=~"a|b" x!="""#),
        (r#"{"cpu.usage", host!~"x.*"}"#, r#"__name__="cpu.usage" host!~"x.*""#),
    ] {
        let matchers: Vec<String> = parse_selector(text).unwrap().iter().map(Matcher::to_string).collect();
        let mut got = matchers;
        got.sort();
        assert_eq!(got.join(" "), want, "{text}");
    }
    for text in ["", "{}", "up offset 1m", "up[5m]", "sum(up)", "1", "up @ 5", &"(".repeat(5000)] {
        let error = parse_selector(text).expect_err(text);
        assert_eq!(error.error_type(), "bad_data", "{text}");
    }
}

#[test]
fn the_end_is_the_one_that_was_asked_for() {
    let range = TimeRange::Range { start: 0, end: 100_000, step: 60_000 };
    for (text, want) in [("end()", 100.0), ("range()", 100.0), ("step()", 60.0), ("timestamp(m_total @ end())", 100.0)]
    {
        let Value::Matrix(matrix) = ask(text, range).unwrap().value else { panic!("a range query gives a matrix") };
        assert_eq!(matrix[0].points.iter().map(|p| p.value).collect::<Vec<_>>(), [want, want], "{text}");
    }
}

#[test]
fn times_that_make_no_sense_are_refused() {
    for (range, want) in [
        (TimeRange::Range { start: 0, end: 10, step: 0 }, "the step is 0ms"),
        (TimeRange::Range { start: 10, end: 0, step: 1 }, "before its start"),
        (TimeRange::Instant { at: i64::MIN }, "out of range"),
        (TimeRange::Range { start: 0, end: i64::MAX, step: 1 }, "out of range"),
    ] {
        let error = ask("m_total", range).expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
    }
    for text in ["m_total offset 292y", "m_total @ 1e12", "rate(m_total[290y])", "m_total offset -292y"] {
        ask(text, NOON).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn every_limit_ends_a_query_and_is_named() {
    let source = Made::new(100, 1);
    for (limits, want) in [
        (Limits { samples_max: 1000, ..Limits::default() }, "samples_max"),
        (Limits { series_max: 99, ..Limits::default() }, "series_max"),
        (Limits { points_max: 1000, ..Limits::default() }, "points_max"),
        (Limits { steps_max: 100, ..Limits::default() }, "steps_max"),
    ] {
        let engine = Engine::new(Options { limits, ..Options::default() });
        let error = engine.query(&source, &Request::new("m_total", HOUR)).expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
        assert_eq!((error.error_type(), error.status()), ("execution", 422));
    }
    let error = ask("sum_over_time(m_total[100y:1ms])", NOON).expect_err("a subquery of 3e12 steps");
    assert!(error.to_string().contains("steps_max"), "{error}");
}

#[test]
fn a_query_ends_when_it_is_late_or_unwanted() {
    let source = Made::new(20, 1);
    let mut late = Request::new("m_total", HOUR);
    late.deadline = Some(Instant::now() - Duration::from_secs(1));
    let error = Engine::default().query(&source, &late).expect_err("too late");
    assert_eq!((error.error_type(), error.status()), ("timeout", 503));
    let unwanted = Request::new("m_total", HOUR);
    unwanted.cancel.cancel();
    let error = Engine::default().query(&source, &unwanted).expect_err("not wanted");
    assert_eq!((error.error_type(), error.status()), ("canceled", 503));
}

#[test]
fn queries_may_nest_as_deep_as_is_allowed_and_no_deeper() {
    for (name, text) in [
        ("brackets", format!("{}m_total{}", "(".repeat(990), ")".repeat(990))),
        ("a chain", format!("m_total{}", " + 1".repeat(990))),
        ("powers", format!("1{}", " ^ 1".repeat(990))),
        ("signs", format!("{}m_total", "-".repeat(990))),
        ("calls", format!("{}m_total{}", "abs(".repeat(990), ")".repeat(990))),
        ("sets", format!("m_total{}", " or m_total".repeat(50))),
    ] {
        ask(&text, NOON).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let error = ask(&"(".repeat(100_000), NOON).expect_err("too deep");
    assert!(error.to_string().contains("of which 1000 are allowed"), "{error}");
}

/// Cuts, doubles and swaps pieces of correct queries: whatever comes of it is an answer or a sentence, never a panic.
#[test]
fn mangled_queries_do_not_panic() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (source, engine) = (Made::new(12, 1), Engine::default());
    let whole = [
        "sum by (zone, host) (rate(m_total{host=~\"1|2\", zone!=\"3\"}[5m] offset 1m)) > bool 0.5",
        "topk(3, m_total @ end()) without (zone) or on (zone) group_left (owner) meta",
        "label_replace(m_total, \"a\", \"$1-x\", 'host', `(.*)`) unless ignoring (a) m_total",
        "histogram_quantile(0.9, sum(m_total) by (le)) + fill_left (0) vector(time() % 60)",
        "avg_over_time((m_total - m_total offset -5m)[10m:1m] @ 1200) ^ 2 ^ -1e3",
        "count_values(\"v\", {__name__=~\"m.*\", \"utf8.name\"=\"\\u00e4\"}) atan2 quantile(NaN, -m_total)",
        "predict_linear(m_total[1h], 3600) == clamp(absent(nope), -Inf, +Inf) and info(meta)",
    ];
    for _ in 0..3000 {
        let mut text: Vec<char> = whole.choose(&mut random).unwrap().chars().collect();
        for _ in 0..random.random_range(1..4) {
            let from = random.random_range(0..text.len());
            let to = random.random_range(from..=text.len().min(from + 12));
            match random.random_range(0..4) {
                0 => drop(text.drain(from..to)),
                1 => text.extend_from_within(from..to),
                2 => text.insert(
                    from,
                    *['(', ')', '{', '"', '[', ']', '-', '0', '\\', 'é', '@', '\0'].choose(&mut random).unwrap(),
                ),
                _ => {
                    let other: Vec<char> = whole.choose(&mut random).unwrap().chars().collect();
                    text.splice(from..to, other[other.len() / 2..].iter().copied());
                }
            }
            if text.is_empty() {
                text.push('m');
            }
        }
        let text: String = text.into_iter().collect();
        for range in [NOON, TimeRange::Range { start: 0, end: 600_000, step: 60_000 }] {
            let outcome = std::panic::catch_unwind(|| engine.query(&source, &Request::new(&text, range)).map(drop));
            assert!(outcome.is_ok(), "{text:?} panics, seed {seed}");
        }
    }
}
