//! The story: a query builder asks which metrics, labels and values there are, in all the ways it has, of series in
//! memory, in files and in both. What it is told is what the series have, no more is looked for than it wants, and a
//! look-up that takes too long is given up.
//!
//! It would fail where the indexes and the series disagree, where a tier is forgotten, where a limit is passed over in
//! silence, or where a look-up keeps its place for as long as it likes.

mod support;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::daemon::Daemon;
use support::http::Client;
use support::seed;

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

const TRUNCATED: &str = "results truncated due to limit";

/// What a look-up answered: its results, and whether it said that there are more.
fn look_up(client: &mut Client, path: &str, parameters: &[(&str, &str)]) -> (Vec<Value>, bool) {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let answer = client.get(&format!("{path}?{query}"));
    assert_eq!(answer.status, 200, "{path}?{query}: {}", answer.text());
    let json = answer.json();
    let warnings =
        json.get("warnings").map(|warnings| warnings.as_array().expect("a list").clone()).unwrap_or_default();
    assert!(warnings.iter().all(|warning| warning == TRUNCATED), "{warnings:?}");
    (json["data"].as_array().expect("a list").clone(), !warnings.is_empty())
}

fn texts(found: &(Vec<Value>, bool)) -> Vec<&str> {
    found.0.iter().map(|value| value.as_str().expect("a text")).collect()
}

/// Each label of the series, with the values it has.
fn labels_of(series: &[Value]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in series.iter().flat_map(|series| series.as_object().expect("an object")) {
        labels.entry(name).or_default().insert(value.as_str().expect("a text"));
    }
    labels
}

/// Writes some series three times, the first two followed by a seal: so they are in two files, in memory, or in several.
fn fill(client: &mut Client, random: &mut StdRng) {
    for round in 0..3 {
        let mut lines = String::new();
        for _ in 0..60 {
            let measurement = ["cpu", "mem", "disk"].choose(random).expect("one of them");
            let (host, zone) = (random.random_range(0..30), random.random_range(0..3));
            let zone = if zone == 0 { String::new() } else { format!(",zone=z{zone}") };
            let field = ["used", "free"].choose(random).expect("one of them");
            lines += &format!("{measurement},host=h{host}{zone} {field}=1 {}\n", TIME_MS + round);
        }
        client.write(&lines);
        if round < 2 {
            client.admin("/admin/seal");
        }
    }
}

#[test]
fn names_and_values_are_those_of_the_series() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let (mut client, mut random) = (daemon.client(), StdRng::seed_from_u64(seed()));
    fill(&mut client, &mut random);
    let matchers = [
        "__name__=\"cpu_used\"",
        "__name__=~\"cpu_.*\"",
        "__name__!~\"mem.*\"",
        "__name__!=\"\"",
        "host=\"h1\"",
        "host=~\"h1.?\"",
        "host!=\"h2\"",
        "zone=\"\"",
        "zone!=\"\"",
        "zone=~\"z1|z2\"",
        "zone!~\"z1|\"",
        "none=\"\"",
        "none=\"x\"",
    ];
    for _ in 0..200 {
        let selectors: Vec<String> = (0..random.random_range(1..3))
            .map(|_| {
                let chosen: Vec<&str> = matchers.sample(&mut random, 2).copied().collect();
                // One that not every series passes must be among them.
                format!("{{db=\"story\",{}}}", chosen.join(","))
            })
            .collect();
        let parameters: Vec<(&str, &str)> = selectors.iter().map(|selector| ("match[]", selector.as_str())).collect();
        let series = look_up(&mut client, "/api/v1/series", &parameters);
        let labels = labels_of(&series.0);
        let names = look_up(&mut client, "/api/v1/labels", &parameters);
        assert_eq!(texts(&names), labels.keys().copied().collect::<Vec<_>>(), "the labels of {selectors:?}");
        for label in ["__name__", "host", "zone", "db", "none"] {
            let values = look_up(&mut client, &format!("/api/v1/label/{label}/values"), &parameters);
            let want: Vec<&str> = labels.get(label).into_iter().flatten().copied().collect();
            assert_eq!(texts(&values), want, "the values of {label} of {selectors:?}");
        }
        let distinct: BTreeSet<String> = series.0.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), series.0.len(), "no series twice for {selectors:?}");
    }
    // Without a selector, of everything.
    let all = look_up(&mut client, "/api/v1/series", &[("match[]", "{db!=\"\"}")]);
    let labels = labels_of(&all.0);
    assert_eq!(texts(&look_up(&mut client, "/api/v1/labels", &[])), labels.keys().copied().collect::<Vec<_>>());
    for label in ["__name__", "host", "zone"] {
        let values = look_up(&mut client, &format!("/api/v1/label/{label}/values"), &[]);
        assert_eq!(texts(&values), labels[label].iter().copied().collect::<Vec<_>>(), "{label}");
    }
}

#[test]
fn a_limit_cuts_off_and_says_so() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    let lines =
        |from: usize| (from..from + 50).map(|n| format!("cpu,host=h{n} a=1,b=2 {TIME_MS}\n")).collect::<String>();
    client.write(&lines(0));
    client.admin("/admin/seal");
    client.write(&lines(40));
    for (path, parameters, count) in [
        ("/api/v1/label/host/values", &[][..], 90),
        ("/api/v1/label/host/values", &[("match[]", "cpu_a")], 90),
        ("/api/v1/label/host/values", &[("match[]", "{host=~\"h[0-3].\"}")], 30),
        ("/api/v1/label/__name__/values", &[], 2),
        ("/api/v1/label/__name__/values", &[("match[]", "{host=\"h45\"}")], 2),
        ("/api/v1/labels", &[], 3),
        ("/api/v1/labels", &[("match[]", "cpu_b")], 3),
        ("/api/v1/series", &[("match[]", "cpu_a")], 90),
        ("/api/v1/series", &[("match[]", "cpu_a"), ("match[]", "cpu_b")], 180),
        ("/api/v1/series", &[("match[]", "{__name__!=\"\"}")], 180),
    ] {
        let whole = look_up(&mut client, path, parameters);
        assert_eq!((whole.0.len(), whole.1), (count, false), "{path} {parameters:?}");
        for limit in [1, count - 1, count, count + 1] {
            let text = limit.to_string();
            let limited = [parameters, &[("limit", text.as_str())]].concat();
            let (found, cut) = look_up(&mut client, path, &limited);
            assert_eq!((found.len(), cut), (limit.min(count), limit < count), "{path} {limited:?}");
            assert!(found.iter().all(|one| whole.0.contains(one)), "{path} {limited:?}: {found:?}");
            assert!(found.is_sorted_by_key(Value::as_str), "{path} {limited:?}: {found:?}");
        }
        let unlimited = look_up(&mut client, path, &[parameters, &[("limit", "0")]].concat());
        assert_eq!(unlimited, whole, "0 is no limit");
    }
}

#[test]
fn a_look_up_that_takes_too_long_is_given_up() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("query.labels_timeout", "1ms")]);
    let mut client = daemon.client();
    let line = |n: usize| format!("cpu,host=h{n},pair=p{} a=1 {TIME_MS}\n", n % 2);
    client.write(&(0..100_000).map(line).collect::<String>());
    for path in [
        "/api/v1/label/host/values",
        "/api/v1/label/host/values?match[]=%7Bpair%3D%22p1%22%7D",
        "/api/v1/series?match[]=cpu_a",
    ] {
        let answer = client.get(path);
        let json = answer.json();
        assert_eq!((answer.status, json["errorType"].as_str()), (503, Some("timeout")), "{path}: {}", answer.text());
        let sentence = json["error"].as_str().expect("a sentence");
        assert!(sentence.ends_with("(the limit was 1ms, by query.labels_timeout)"), "{path}: {sentence}");
    }
    assert_eq!(client.metric("sealine_queries_running"), 0.0);
}

#[test]
fn a_look_up_has_no_more_results_than_the_setting_allows() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("query.max_look_up_results", "3")]);
    let mut client = daemon.client();
    client.write(&(0..4).map(|n| format!("cpu,host=h{n} a=1 {TIME_MS}\n")).collect::<String>());
    let by_setting = format!("{TRUNCATED}: query.max_look_up_results allows 3; narrow match[] or raise it");
    for (path, results, warning) in [
        ("/api/v1/label/host/values", 3, Some(&*by_setting)),
        ("/api/v1/label/host/values?limit=0", 3, Some(&*by_setting)),
        ("/api/v1/label/host/values?limit=4", 3, Some(&*by_setting)),
        ("/api/v1/label/host/values?limit=3", 3, Some(TRUNCATED)),
        ("/api/v1/label/host/values?limit=2", 2, Some(TRUNCATED)),
        ("/api/v1/series?match[]=cpu_a", 3, Some(&*by_setting)),
        ("/api/v1/series?match[]=%7Bhost%3D~%22h[012]%22%7D", 3, None),
        ("/api/v1/labels", 3, None),
    ] {
        let json = client.get(path).json();
        assert_eq!(json["data"].as_array().map(Vec::len), Some(results), "{path}: {json}");
        assert_eq!(json["warnings"][0].as_str(), warning, "{path}: {json}");
    }
}
