//! The story: a query builder asks which metrics, labels and values there are, in all the ways it has, of series in
//! memory, in files and in both. What it is told is what the series have, no more is looked for than it wants, and a
//! look-up that takes too long is given up.
//!
//! It would fail where the indexes and the series disagree, where a tier is forgotten, where a limit is passed over in
//! silence, or where a look-up keeps its place for as long as it likes.

use crate::support::daemon::Daemon;
use crate::support::http::Client;
use crate::support::seed;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
fn look_ups_keep_to_their_times() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let (mut client, mut random) = (daemon.client(), StdRng::seed_from_u64(seed()));
    // Each series has one sample; fields of a row have theirs at different times.
    let mut times: BTreeMap<(String, String, String), i64> = BTreeMap::new();
    let mut lines = String::new();
    for _ in 0..400 {
        let measurement = ["cpu", "mem", "disk"].choose(&mut random).expect("one of them");
        let field = ["used", "free"].choose(&mut random).expect("one of them");
        let (host, zone) = (random.random_range(0..20), random.random_range(0..3));
        let series = (format!("{measurement}_{field}"), format!("h{host}"), format!("z{zone}"));
        times.entry(series).or_insert_with(|| {
            let time = TIME_MS + random.random_range(0..30) * 60_000;
            lines += &format!("{measurement},host=h{host},zone=z{zone} {field}=1 {time}\n");
            time
        });
    }
    client.write(&lines);
    let series: Vec<(BTreeMap<&str, &str>, i64)> = times
        .iter()
        .map(|((name, host, zone), time)| {
            let labels = [("__name__", name.as_str()), ("db", "story"), ("host", host), ("zone", zone)];
            (BTreeMap::from(labels), *time)
        })
        .collect();
    type Passes<'a> = &'a dyn Fn(&BTreeMap<&str, &str>) -> bool;
    let selectors: [(&[&str], Passes<'_>); 5] = [
        (&[], &|_| true),
        (&["cpu_used"], &|labels| labels["__name__"] == "cpu_used"),
        (&["{host=~\"h1.*\"}"], &|labels| labels["host"].starts_with("h1")),
        (&["{__name__=~\".*_free\",zone!=\"z0\"}"], &|l| l["__name__"].ends_with("_free") && l["zone"] != "z0"),
        (&["mem_used", "{zone=\"z1\"}"], &|l| l["__name__"] == "mem_used" || l["zone"] == "z1"),
    ];
    for round in 0..150 {
        let from = random.random_range(-5..33);
        let to = from + random.random_range(0..8);
        let (from, to) = (TIME_MS + from * 60_000 - 1000, TIME_MS + to * 60_000 + 1000);
        let (selectors, passes) = selectors[round % selectors.len()];
        let within = series.iter().filter(|(labels, time)| passes(labels) && (from..=to).contains(time));
        let within: BTreeSet<_> = within.map(|(labels, _)| labels).collect();
        let (start, end) = ((from as f64 / 1000.0).to_string(), (to as f64 / 1000.0).to_string());
        let mut parameters = vec![("start", start.as_str()), ("end", end.as_str())];
        parameters.extend(selectors.iter().map(|selector| ("match[]", *selector)));
        let names = look_up(&mut client, "/api/v1/labels", &parameters);
        let want: Vec<&str> = if within.is_empty() { vec![] } else { vec!["__name__", "db", "host", "zone"] };
        assert_eq!(texts(&names), want, "labels of {parameters:?}");
        for label in ["__name__", "db", "host", "zone", "none"] {
            let values = look_up(&mut client, &format!("/api/v1/label/{label}/values"), &parameters);
            let want: BTreeSet<&str> = within.iter().filter_map(|labels| labels.get(label).copied()).collect();
            assert_eq!(texts(&values), want.into_iter().collect::<Vec<_>>(), "values of {label} of {parameters:?}");
        }
        if !selectors.is_empty() {
            let found = look_up(&mut client, "/api/v1/series", &parameters).0;
            let found: BTreeSet<String> = found.iter().map(Value::to_string).collect();
            let want: BTreeSet<String> = within.iter().map(|labels| serde_json::json!(labels).to_string()).collect();
            assert_eq!(found, want, "series of {parameters:?}");
        }
    }
    // In files, and of rows whose samples were sealed: nothing that lies beside.
    client.admin("/admin/seal");
    for (start, end, count) in [("0", "10", 0), ("1699999999", "1700001801", 20), ("1800000000", "1800000010", 0)] {
        for match_all in [&[][..], &[("match[]", "{db=\"story\"}")]] {
            let parameters = [&[("start", start), ("end", end)], match_all].concat();
            let hosts = look_up(&mut client, "/api/v1/label/host/values", &parameters).0;
            assert_eq!(hosts.len(), count, "{parameters:?}");
        }
    }
}

#[test]
fn the_cardinality_page_counts_what_there_is_once() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    let page =
        |client: &mut Client, limit: &str| client.get(&format!("/api/v1/status/tsdb{limit}")).json()["data"].clone();
    let none = page(&mut client, "");
    assert_eq!(none["headStats"]["numSeries"], 0, "{none}");
    assert!(none["headStats"]["minTime"].as_i64() > none["headStats"]["maxTime"].as_i64(), "upstream's way: {none}");
    for (db, host, time) in [("a", "h1", 5000), ("b", "h1", 7000), ("b", "h2", 6000)] {
        let lines =
            format!("load,host={host},zone=z used=1,free=2 {time}\ntext,host={host},kept=no words=\"x\" {time}");
        let answer = client.post(&format!("/write?db={db}&precision=ms"), &[], lines.as_bytes());
        assert!([204, 400].contains(&answer.status), "{answer:?}");
    }
    let want = serde_json::json!({
        "headStats": { "numSeries": 6, "numLabelPairs": 7, "chunkCount": 6, "minTime": 5000, "maxTime": 7000 },
        "seriesCountByMetricName": [{ "name": "load_free", "value": 3 }, { "name": "load_used", "value": 3 }],
        "labelValueCountByLabelName": [
            { "name": "__name__", "value": 2 }, { "name": "db", "value": 2 }, { "name": "host", "value": 2 },
            { "name": "zone", "value": 1 },
        ],
        "memoryInBytesByLabelName": [
            { "name": "__name__", "value": 38 }, { "name": "host", "value": 24 }, { "name": "zone", "value": 21 },
            { "name": "db", "value": 15 },
        ],
        "seriesCountByLabelValuePair": [
            { "name": "zone=z", "value": 6 }, { "name": "db=b", "value": 4 }, { "name": "host=h1", "value": 4 },
            { "name": "__name__=load_free", "value": 3 }, { "name": "__name__=load_used", "value": 3 },
            { "name": "db=a", "value": 2 }, { "name": "host=h2", "value": 2 },
        ],
    });
    assert_eq!(page(&mut client, ""), want);
    let limited = page(&mut client, "?limit=2");
    assert_eq!(limited["headStats"], want["headStats"]);
    for list in ["seriesCountByMetricName", "labelValueCountByLabelName", "seriesCountByLabelValuePair"] {
        assert_eq!(limited[list].as_array().map(Vec::as_slice), want[list].as_array().map(|all| &all[..2]), "{list}");
    }
    for bad in ["0", "-1", "x", "10001"] {
        let answer = client.get(&format!("/api/v1/status/tsdb?limit={bad}"));
        assert_eq!((answer.status, answer.json()["errorType"].as_str()), (400, Some("bad_data")), "{bad}");
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
