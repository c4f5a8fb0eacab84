//! What the upstream scripts do not say: limits, cancellation, errors, and that threads do not show in the answer.

use super::*;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sealine_model::{Labels, Matcher, REGEX_STEPS_MAX, Samples, Selection, Source, SourceError};
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
fn notes_are_of_what_was_answered() {
    let counter = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"meta\"";
    let bucket = "bucket label \"le\" is missing or has a malformed value of \"\" for metric name \"meta\"";
    let quantile = |got| format!("quantile value should be between 0 and 1, got {got}");
    let ratio = |got, cap| format!("ratio value should be between -1 and 1, got {got}, capping to {cap}");
    let moving = "scalar(vector(time()) / 1000 - 1)"; // from -1 to 2.6 within the hour
    for (text, range, want) in [
        // One sample in the window, none, or no series: then there is no answer.
        ("rate(meta[30s])", NOON, vec![]),
        ("increase(meta[5m] @ 9000)", NOON, vec![]),
        ("rate(none[5m])", NOON, vec![]),
        ("rate(meta[30s])", HOUR, vec![]),
        ("rate(m_total[5m])", NOON, vec![]),
        ("irate(meta[5m])", NOON, vec![]),
        ("rate(meta[5m])", NOON, vec![counter.to_string()]),
        ("increase(meta[5m])", HOUR, vec![counter.to_string()]),
        ("quantile_over_time(2, none[5m])", NOON, vec![]),
        ("quantile_over_time(2, meta[5m] @ 9000)", NOON, vec![]),
        ("quantile_over_time(2, meta[5m])", NOON, vec![quantile("2")]),
        ("quantile_over_time(NaN, meta[5m])", HOUR, vec![quantile("NaN")]),
        ("histogram_quantile(0.5, none)", NOON, vec![]),
        ("histogram_quantile(0.5, meta @ 9000)", NOON, vec![]),
        ("histogram_quantile(0.5, meta)", HOUR, vec![bucket.to_string()]),
        ("histogram_quantile(-1, none)", NOON, vec![quantile("-1")]),
        ("quantile(1.5, none)", NOON, vec![quantile("1.5")]),
        (&format!("quantile({moving}, meta)"), HOUR, vec![quantile("-1"), quantile("2.6")]),
        (&format!("limit_ratio({moving}, meta)"), HOUR, vec![ratio("2.6", "1")]),
    ] {
        let Answer { warnings, infos, .. } = ask(text, range).unwrap_or_else(|error| panic!("{text}: {error}"));
        let notes: Vec<&str> = warnings.iter().chain(&infos).map(String::as_str).collect();
        let same =
            notes.len() == want.len() && notes.iter().zip(&want).all(|(note, want)| note.contains(want.as_str()));
        assert!(same, "{text}: {notes:?}");
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
        ("nope(m_total)", NOON, "bad_data", "1:1: parse error: unknown function with name \"nope\""),
        (
            "rate(m_total)",
            NOON,
            "bad_data",
            "1:6: parse error: expected type range vector in call to function \"rate\", got",
        ),
        ("rate(m_total[1m], 5)", NOON, "bad_data", "expected 1 argument(s) in call to \"rate\", got 2"),
        ("round()", NOON, "bad_data", "expected at least 1 argument(s) in call to \"round\", got 0"),
        (
            "day_of_week(meta, meta)",
            NOON,
            "bad_data",
            "expected at most 1 argument(s) in call to \"day_of_week\", got 2",
        ),
        (
            "topk(meta, meta)",
            NOON,
            "bad_data",
            "1:6: parse error: expected type scalar in parameter of topk, got instant",
        ),
        ("{}", NOON, "bad_data", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("meta{a=~\".*\"} + {b=\"\"}", NOON, "bad_data", "1:17: parse error: vector selector must contain"),
        ("1 + on (a) 2", NOON, "bad_data", "1:3: parse error: vector matching only allowed between instant vectors"),
        ("meta or on (a) group_left () meta", NOON, "bad_data", "no grouping allowed for \"or\" operation"),
        ("meta + on (a) group_left (a) meta", NOON, "bad_data", "label \"a\" must not occur in ON and GROUP clause"),
        ("meta + bool meta", NOON, "bad_data", "bool modifier can only be used on comparison operators"),
        ("meta[5m] + 1", NOON, "bad_data", "got range vector + scalar"),
        ("-\"a\"", NOON, "bad_data", "unary expression only allowed on expressions of type scalar or instant vector"),
        (
            "label_replace(meta, \"a\", \"\", \"b\", \"(\")",
            NOON,
            "execution",
            "missing closing ): `(` at byte 0 (1:35)",
        ),
        ("count_values(\"a\\xc5z\", meta)", NOON, "execution", "invalid label name \"a\\xc5z\" (1:14)"),
        ("\"a\\xc5z\"", NOON, "bad_data", "1:1: parse error: the string \"a\\xc5z\" is not valid UTF-8"),
        ("meta[meta]", NOON, "bad_data", "1:6: parse error: unexpected a selector, expected a duration such as 5m"),
        ("meta[1m/0]", NOON, "bad_data", "1:9: parse error: division by zero"),
        ("meta[1m==2]", NOON, "bad_data", "a duration cannot be made with the operator \"==\""),
        ("meta[5m-1h]", NOON, "bad_data", "the range must be greater than 0 and at least 1ms, got -3300s"),
        ("meta offset 40000y", NOON, "bad_data", "1:13: parse error: the offset is out of bounds"),
        ("meta @ NaN", NOON, "bad_data", "1:8: parse error: the timestamp for the @ modifier is out of bounds"),
        ("meta @ -1e13", NOON, "bad_data", "1:8: parse error: the timestamp for the @ modifier is out of bounds"),
        ("info(meta, meta)", NOON, "bad_data", "1:12: parse error: expected label selectors only"),
        ("m_total[5m]", HOUR, "bad_data", "invalid expression type \"range vector\" for range query"),
        ("\"text\"", HOUR, "bad_data", "invalid expression type \"string\" for range query"),
        ("1 > 2", NOON, "bad_data", "comparisons between scalars must use BOOL modifier"),
        ("m_total{a=~\"(\"}", NOON, "bad_data", "missing closing ): `(` at byte 0"),
        ("m_total[0s]", NOON, "bad_data", "greater than 0"),
        ("label_replace(m_total, \"\", \"\", \"\", \"\")", NOON, "execution", "invalid label name \"\""),
        ("label_replace(m_total, \"a\", \"\", \"b\", \"(\")", NOON, "execution", "invalid regular expression"),
        ("label_join(m_total, \"a\", \",\", \"\")", NOON, "execution", "invalid label name \"\""),
        ("m_total and 1", NOON, "bad_data", "set operator"),
        ("exp(NaN)", NOON, "bad_data", "expected type instant vector"),
        ("m_total / on (zone) meta", NOON, "execution", "many-to-one matching must be explicit"),
        ("meta / on (owner) m_total", NOON, "execution", "many-to-many matching not allowed"),
        ("label_replace(m_total, \"host\", \"\", \"\", \"\")", NOON, "execution", "same labelset"),
        ("topk(NaN, m_total)", NOON, "execution", "Parameter value is NaN"),
        ("topk(1e300, m_total)", NOON, "execution", "Scalar value 1e+300 overflows int64"),
        ("limitk(-Inf, m_total)", NOON, "execution", "Scalar value -Inf underflows int64"),
        ("m_total > on (zone) meta * 1e9", NOON, "execution", "many-to-one matching must be explicit"),
        ("double_exponential_smoothing(m_total[5m], 2, 0.5)", NOON, "execution", "invalid smoothing factor"),
    ] {
        let error = ask(text, range).expect_err(text);
        let got = match &error {
            QueryError::BadData(_) => "bad_data",
            QueryError::Execution(_) => "execution",
            _ => "another",
        };
        assert_eq!(got, kind, "{text}: {error}");
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
}

#[test]
fn a_subquery_may_have_no_step() {
    // Its steps are multiples of its own; a range that is shorter may lie between two of them.
    for step in 300..400 {
        let text = format!("max_over_time(rate(m_total[10m])[5m:{step}s])");
        ask(&text, NOON).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn what_nobody_meets_is_no_error() {
    for text in [
        // Two series of the right side look alike, but there is nothing on the left.
        "(m_total > 1e99) / on () meta",
        "m_total offset -2h * on () group_left () meta",
        // A factor is looked at where there are samples to smooth.
        "double_exponential_smoothing(nothing[5m], 2, 0.5)",
        "double_exponential_smoothing(m_total[5m], NaN, 0.5)",
        "double_exponential_smoothing(m_total[5m] offset -1h, 0.5, 0.1 * (time() < bool 0))",
    ] {
        ask(text, NOON).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn values_are_counted_before_they_are_grouped() {
    for (text, want) in [
        ("count_values(\"v\", meta)", "[({v=\"1\"}, 10.0)]"),
        ("count_values(\"zone\", meta)", "[({zone=\"1\"}, 10.0)]"),
        ("count_values by (owner) (\"owner\", meta)", "[({owner=\"1\"}, 10.0)]"),
        ("count_values without (zone) (\"v\", meta)", "[({owner=\"me\", v=\"1\"}, 10.0)]"),
        ("count_values without (zone) (\"zone\", meta)", "[({owner=\"me\"}, 10.0)]"),
        ("count_values without (zone) (\"__name__\", meta)", "[({owner=\"me\"}, 10.0)]"),
    ] {
        let Value::Vector(vector) = ask(text, NOON).unwrap().value else { panic!("an instant query gives a vector") };
        let got: Vec<_> = vector.iter().map(|(labels, point)| (labels, point.value)).collect();
        assert_eq!(format!("{got:?}"), want, "{text}");
    }
}

#[test]
fn a_sign_makes_the_time_that_of_the_step() {
    for (text, want) in [("timestamp((meta))", 1800.0), ("timestamp(+(meta))", 1830.0), ("timestamp(-meta)", 1830.0)] {
        let answer = ask(text, TimeRange::Instant { at: 1_830_000 }).unwrap();
        let Value::Vector(vector) = answer.value else { panic!("an instant query gives a vector") };
        assert_eq!(vector[0].1.value, want, "{text}");
    }
}

/// Where series lie in storage, and so their order in a selection, must not show.
#[test]
fn of_equal_values_those_are_chosen_whose_labels_come_first() {
    let mut made = Made::new(20, 1);
    made.0.reverse();
    for (text, want) in [
        ("topk(2, meta)", ["0", "1"]),
        ("bottomk(2, meta)", ["0", "1"]),
        ("limitk(2, meta)", ["0", "1"]),
        ("topk(2, meta{zone=\"7\"} * 3 or meta)", ["7", "0"]),
    ] {
        let answer = Engine::default().query(&made, &Request::new(text, NOON)).unwrap();
        let Value::Vector(vector) = answer.value else { panic!("an instant query gives a vector") };
        let zones: Vec<_> = vector.iter().map(|(labels, _)| labels.get("zone").unwrap()).collect();
        assert_eq!(zones, want, "{text}");
    }
}

#[test]
fn selectors_alone_give_their_matchers() {
    for (text, want) in [
        ("up", r#"__name__="up""#),
        (r#"up{job=~"a|b", x!=""}"#, r#"__name__="up" job=~"a|b" x!="""#),
        (r#"{"cpu.usage", host!~"x.*"}"#, r#"__name__="cpu.usage" host!~"x.*""#),
    ] {
        let matchers: Vec<String> =
            parse_selector(text, REGEX_STEPS_MAX).unwrap().iter().map(Matcher::to_string).collect();
        let mut got = matchers;
        got.sort();
        assert_eq!(got.join(" "), want, "{text}");
    }
    for text in ["", "up offset 1m", "up[5m]", "sum(up)", "1", "up @ 5", &"(".repeat(5000)] {
        let error = parse_selector(text, REGEX_STEPS_MAX).expect_err(text);
        assert!(matches!(error, QueryError::BadData(_)), "{text}");
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
        (Limits { samples_max: 1000, ..Limits::default() }, "for `m_total` (100 series, "),
        (Limits { samples_max: 1000, ..Limits::default() }, "1000 samples, most of it"),
        (Limits { samples_max: 1000, ..Limits::default() }, "raise `query.max_samples`"),
        (Limits { series_max: 99, ..Limits::default() }, "raise `query.max_series`"),
        (Limits { bytes_max: 10_000, ..Limits::default() }, "raise `query.max_memory`"),
        (Limits { steps_max: 100, ..Limits::default() }, "raise `query.max_points`"),
    ] {
        let engine = Engine::new(Options { limits, ..Options::default() });
        let error = engine.query(&source, &Request::new("m_total", HOUR)).expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
        assert!(matches!(error, QueryError::Execution(_) | QueryError::TooMuch { .. }), "{error}");
    }
    let error = ask("sum_over_time(m_total[100y:1ms])", NOON).expect_err("a subquery of 3e12 steps");
    assert!(error.to_string().contains("raise `query.max_subquery_points`"), "{error}");
}

#[test]
fn a_text_that_is_too_long_is_refused_unread() {
    let limits = Limits { text_bytes_max: 100, ..Limits::default() };
    let engine = Engine::new(Options { limits, ..Options::default() });
    let error = engine.query(&Made::new(1, 1), &Request::new(&"(".repeat(101), NOON)).expect_err("too long");
    let want = "the query has 101 bytes, 100 are allowed; shorten it or raise `query.max_text_bytes`";
    assert!(matches!(&error, QueryError::BadData(text) if text == want), "{error}");
}

/// Memory that was given back is free again: what a query may hold bounds what it holds at once, not in total.
#[test]
fn what_was_held_and_let_go_does_not_count() {
    let source = Made::new(100, 1);
    let sum = "sum by (host) (m_total)";
    let ask = |text: &str, bytes_max: u64| {
        let engine = Engine::new(Options { limits: Limits { bytes_max, ..Limits::default() }, ..Options::default() });
        engine.query(&source, &Request::new(text, HOUR)).map(|answer| answer.stats.bytes)
    };
    let once = ask(sum, u64::MAX).expect("no limit");
    assert!(once > 0);
    // Each of the counts is one series; the sums under them come and go.
    let many = vec![format!("count({sum})"); 40].join(" + ");
    let most = ask(&many, 3 * once).expect("the sums are not held at the same time");
    assert!(most < 3 * once, "{most} of {once}");
    ask(&many, once / 4).expect_err("one of them is too much");
}

/// Upstream counts a sample as often as a window sees it, under the step of that window.
#[test]
fn samples_are_counted_step_by_step() {
    let source = Made::new(2, 1);
    let range = TimeRange::Range { start: 600_000, end: 720_000, step: 60_000 };
    for (text, want) in [
        ("m_total", [2, 2, 2]),
        ("sum_over_time(m_total[1m])", [12, 12, 12]),
        ("max_over_time(sum_over_time(m_total[1m])[2m:1m])", [4, 4, 4]),
        ("m_total + m_total", [4, 4, 4]),
        ("time()", [0, 0, 0]),
    ] {
        let request = Request { count_steps: true, ..Request::new(text, range) };
        let answer = Engine::default().query(&source, &request).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(answer.stats.samples_per_step.as_deref(), Some(&want[..]), "{text}");
    }
}

#[test]
fn a_query_ends_when_it_is_late_or_unwanted() {
    let source = Made::new(20, 1);
    let mut late = Request::new("m_total", HOUR);
    late.deadline = Some(Instant::now() - Duration::from_secs(1));
    let error = Engine::default().query(&source, &late).expect_err("too late");
    assert!(matches!(error, QueryError::Timeout { .. }), "{error}");
    let unwanted = Request::new("m_total", HOUR);
    unwanted.cancel.cancel();
    let error = Engine::default().query(&source, &unwanted).expect_err("not wanted");
    assert!(matches!(error, QueryError::Canceled), "{error}");
}

#[test]
fn queries_may_nest_as_deep_as_is_allowed_and_no_deeper() {
    for (name, text) in [
        ("brackets", format!("{}m_total{}", "(".repeat(100), ")".repeat(100))),
        ("a chain", format!("m_total{}", " + 1".repeat(1000))),
        ("powers", format!("1{}", " ^ 1".repeat(100))),
        ("signs", format!("{}m_total", "-".repeat(100))),
        ("calls", format!("{}m_total{}", "abs(".repeat(100), ")".repeat(100))),
        ("chains in brackets", format!("{}m_total{}", "(1 + ".repeat(100), " - 2)".repeat(100))),
        ("sets", format!("m_total{}", " or m_total".repeat(50))),
    ] {
        ask(&text, NOON).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (text, want) in [
        ("(".repeat(10_000), "1:102: parse error: the query nests deeper than the 100 levels that are allowed"),
        (format!("1{}", "+1".repeat(1001)), "1:2002: parse error: the query has more operators, brackets and calls"),
    ] {
        let error = ask(&text, NOON).expect_err(want);
        assert!(error.to_string().starts_with(want), "{error}");
    }
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
            let outcome = {
                let ask = || engine.query(&source, &Request::new(&text, range)).map(drop);
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask))
            };
            assert!(outcome.is_ok(), "{text:?} panics, seed {seed}");
        }
    }
}
