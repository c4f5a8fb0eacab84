//! The story: dashboards ask too much, ask wrongly, ask all at once, and leave before they are answered. Each is told
//! which setting is in the way, none keeps the others waiting for longer than the settings say, and whoever runs the
//! daemon can see who asked.
//!
//! It would fail where a query that nobody waits for keeps its place, where a refusal does not name its setting, where
//! a hostile text is not refused, or where a slow query leaves no trace.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Answer, Client};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// 2023-11-14 22:13:20 UTC, in seconds.
const TIME_S: i64 = 1_700_000_000;

/// Series of `load`, each with a sample every ten seconds for two hours.
const HOSTS: usize = 200;
const SAMPLES: i64 = 720;

/// How long a query goes on that nobody stops.
const UNATTENDED: Duration = Duration::from_secs(60);

/// Takes many seconds: each of 11,000 steps sorts an hour of each series, and that again and again.
static LONG: LazyLock<String> = LazyLock::new(|| ["quantile_over_time(0.9, load[1h])"; 20].join(" + "));

/// The same of one series, so that there is no next series to stop at.
static LONG_OF_ONE: LazyLock<String> = LazyLock::new(|| ["quantile_over_time(0.9, long[5h])"; 20].join(" + "));

struct Story {
    daemon: Daemon,
    _data: tempfile::TempDir,
}

impl Story {
    /// A daemon with these settings, in which the series above are.
    fn start(settings: &[(&str, &str)]) -> Story {
        let data = tempfile::tempdir().expect("a folder for the test");
        let daemon = Daemon::start(data.path(), settings);
        let story = Story { daemon, _data: data };
        let mut client = story.client();
        let lines = (0..HOSTS).map(|host| {
            let line = |at: i64| format!("load,host=h{host} value={} {}\n", at * 7 % 13, (TIME_S + 10 * at) * 1000);
            (0..SAMPLES).map(line).collect::<String>()
        });
        lines.for_each(|lines| client.write(&lines));
        let line = |at: i64| format!("long value={} {}\n", at * 7919 % 104_729, (TIME_S + 7200 - at) * 1000);
        client.write(&(0..30_000).map(line).collect::<String>());
        story
    }

    fn client(&self) -> Client {
        self.daemon.client()
    }

    /// Asks for a query over 11,000 steps, and does not wait for the answer.
    fn begin(&self, query: &str) -> Client {
        let mut client = self.client();
        let target = target("/api/v1/query_range", &range(query));
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nX-Dashboard-Uid: wall\r\nX-Panel-Id: 4\r\n\r\n");
        client.send(request.as_bytes()).expect("the daemon listens");
        client
    }

    /// What is under way.
    fn active(&self) -> Vec<Value> {
        let answer = self.client().get("/api/v1/status/active_queries").json();
        answer["data"].as_array().expect("a list").clone()
    }

    /// Waits until a query runs.
    fn until_running(&self) -> Value {
        eventually("a query runs", || self.active().into_iter().find(|query| query["state"] == "running"))
    }
}

fn range(query: &str) -> [(&str, String); 4] {
    let (start, end) = (TIME_S + 7200 - 10_999, TIME_S + 7200);
    [("query", query.to_string()), ("start", start.to_string()), ("end", end.to_string()), ("step", "1".to_string())]
}

fn target(path: &str, parameters: &[(&str, String)]) -> String {
    format!("{path}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish())
}

/// An instant query at the end of the samples.
fn ask(client: &mut Client, query: &str, more: &[(&str, &str)]) -> Answer {
    let parameters = [("query", query), ("time", "1700007200")];
    let parameters = parameters.iter().chain(more);
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    client.post("/api/v1/query", FORM, form.as_bytes())
}

/// The header of what [`form`] makes.
const FORM: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded")];

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The class and the sentence of a refusal.
fn refusal(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer:?}")).to_string();
    (answer.status, text("errorType"), text("error"))
}

#[expect(clippy::disallowed_methods, reason = "a test takes the time of a real process")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed())
}

#[test]
fn a_query_that_gets_no_turn_is_told_so_with_the_settings() {
    let story = Story::start(&[("query.concurrency", "1"), ("query.queue_timeout", "300ms")]);
    let _hog = story.begin(&LONG);
    story.until_running();
    let (answer, took) = timed(|| ask(&mut story.client(), "1", &[]));
    let want = "query timed out in query queue: none of the 1 places (query.concurrency) came free within 300ms \
                (query.queue_timeout)";
    assert_eq!(refusal(&answer), (503, "timeout".into(), want.into()));
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(took >= Duration::from_millis(300), "{took:?}");
    // What needs no place answers.
    for page in ["/-/ready", "/metrics", "/api/v1/status/tsdb", "/api/v1/status/buildinfo"] {
        assert_eq!(story.client().get(page).status, 200, "{page}");
    }
    let mut client = story.client();
    assert_eq!(client.metric("sealine_queries_running"), 1.0);
    assert_eq!(client.metric("sealine_queries_total{endpoint=\"query\",outcome=\"queue\"}"), 1.0);
}

#[test]
fn a_client_that_leaves_frees_its_place_within_a_second() {
    let story = Story::start(&[("query.concurrency", "1"), ("query.queue_timeout", "2m"), ("query.timeout", "1m")]);
    for (name, query) in [("many series", &**LONG), ("one series", &**LONG_OF_ONE)] {
        let hog = story.begin(query);
        let running = story.until_running();
        assert_eq!(
            (&running["query"], &running["dashboardUid"], &running["panelId"]),
            (&query.into(), &"wall".into(), &"4".into())
        );
        let mut next = story.client();
        drop(hog);
        let (answer, took) = timed(|| ask(&mut next, "1", &[]));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(took < UNATTENDED / 3, "{name}: the place came free after {took:?}");
        eventually("nothing is under way", || story.active().is_empty().then_some(()));
    }
    let cancelled = story.client().metric("sealine_queries_total{endpoint=\"query_range\",outcome=\"cancelled\"}");
    assert_eq!(cancelled, 2.0);
}

#[test]
fn a_query_gets_no_more_time_than_the_request_or_the_setting_gives() {
    let story = Story::start(&[("query.timeout", "400ms")]);
    for (query, timeout, limit) in [
        (&**LONG, "100ms", "(the limit was 100ms, by the parameter timeout)"),
        (&**LONG_OF_ONE, "1h", "(the limit was 400ms, by query.timeout)"),
        (&**LONG_OF_ONE, "0.2", "(the limit was 200ms, by the parameter timeout)"),
    ] {
        let parameters = [&range(query)[..], &[("timeout", timeout.to_string())]].concat();
        let answer = story.client().get(&target("/api/v1/query_range", &parameters));
        let (status, kind, sentence) = refusal(&answer);
        assert_eq!((status, &*kind), (503, "timeout"), "{sentence}");
        assert!(sentence.ends_with(limit), "{sentence}");
    }
}

#[test]
fn each_limit_refuses_with_the_name_of_its_setting() {
    let story = Story::start(&[
        ("query.max_samples", "10000"),
        ("query.max_series", "100"),
        ("query.max_points", "500"),
        ("query.max_subquery_points", "1000"),
        ("query.max_text_bytes", "1KiB"),
        ("query.max_memory", "1MiB"),
    ]);
    let mut client = story.client();
    let long_text = format!("1{}", " + 1".repeat(300));
    let hosts = |count: usize| {
        format!("load{{host=~\"h({})\"}}", (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join("|"))
    };
    for (query, status, kind, want) in [
        (&*format!("sum_over_time({}[2h])", hosts(12)), 200, "", ""),
        (&format!("sum_over_time({}[2h])", hosts(20)), 422, "execution", "query.max_samples"),
        (&hosts(100), 200, "", ""),
        (&hosts(101), 422, "execution", "query.max_series"),
        ("sum_over_time(vector(1)[999s:1s])", 200, "", ""),
        ("sum_over_time(vector(1)[1005s:1s])", 422, "execution", "query.max_subquery_points"),
        (&long_text, 400, "bad_data", "query.max_text_bytes"),
        ("sum_over_time((vector(1) + vector(1))[999s:1s])", 200, "", ""),
    ] {
        let answer = ask(&mut client, query, &[]);
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        if status != 200 {
            let (_, got, sentence) = refusal(&answer);
            assert_eq!(got, kind, "{query}");
            assert!(sentence.contains(want), "{query}: {sentence}");
        }
    }
    let sentence = refusal(&ask(&mut client, "sum(load{host=\"h1\"}) + sum(sum_over_time(long[5h]))", &[])).2;
    assert!(
        sentence.contains("`long`") && !sentence.contains("h1"),
        "it names the selector that costs most: {sentence}"
    );
    // A hundred series of five hundred points, 16 bytes each, take most of 1 MiB; twice that does not fit.
    let twice = format!("{0} or label_replace({0}, \"x\", \"y\", \"\", \"\")", hosts(80));
    for (query, status) in [(hosts(80), 200), (twice, 422)] {
        let range =
            [("query", query), ("start", "1700000000".into()), ("end", "1700000499".into()), ("step", "1".into())];
        let answer = client.get(&target("/api/v1/query_range", &range));
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 422 {
            assert!(refusal(&answer).2.contains("`query.max_memory`"), "{}", answer.text());
        }
    }
    for (end, status) in [(499, 200), (500, 200), (501, 400)] {
        let answer = client.get(&format!("/api/v1/query_range?query=1&start=0&end={end}&step=1"));
        assert_eq!(answer.status, status, "{end}: {}", answer.text());
    }
    let range = format!(
        "/api/v1/query_range?{}",
        "query=load%7Bhost%3D~%22h..%3F%22%7D&start=1700000000&end=1700000499&step=1"
    );
    let answer = client.get(&range);
    let (status, kind, sentence) = refusal(&answer);
    assert_eq!((status, &*kind), (422, "execution"), "{sentence}");
    assert!(sentence.contains("query.max_memory") || sentence.contains("query.max_samples"), "{sentence}");
}

/// What Grafana makes of a variable with "All" chosen: each name with its dots escaped, in a string that doubles that.
fn all_of(hosts: impl Iterator<Item = String>) -> String {
    hosts.map(|host| host.replace('.', r"\\.").replace('-', r"\\-")).collect::<Vec<_>>().join("|")
}

#[test]
fn a_variable_with_twenty_thousand_hosts_is_a_set() {
    let story = Story::start(&[]);
    let mut client = story.client();
    let names = |more: bool| {
        let strangers = (0..20_000).map(|n| format!("ip-10-0-{}-{}.eu.example.net", n / 250, n % 250));
        all_of(strangers.chain((0..150).map(|n| format!("h{n}")).filter(move |_| more)))
    };
    let all = names(true);
    assert!(all.len() > 600_000, "{}", all.len());
    for (matchers, want) in [
        (format!("host=~\"{all}\""), 150),
        (format!("host!~\"{all}\""), 50),
        (format!("host=~\"^({all})$\""), 150),
        (format!("host=~\"(?:{all})(:9100)?\""), 150),
        (format!("host=~\"h1|({})\"", all.replace('|', ".*|")), 200),
        (format!("host=~\"(?i)H({})\"", (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>().join("|")), 200),
        (format!("host=~\"{}\"", names(false)), 0),
    ] {
        let shown = &matchers[..60];
        let asked =
            form(&[("query", &format!("count(load{{{matchers}}}) or vector(0)")), ("time", &TIME_S.to_string())]);
        let answer = client.post("/api/v1/query", FORM, asked.as_bytes());
        assert_eq!(answer.status, 200, "{shown}: {}", answer.text());
        assert_eq!(answer.json()["data"]["result"][0]["value"][1], want.to_string(), "{shown}");
        let asked = form(&[("match[]", &format!("load{{{matchers}}}")), ("start", &TIME_S.to_string())]);
        let answer = client.post("/api/v1/series", FORM, asked.as_bytes());
        assert_eq!(answer.status, 200, "{shown}: {}", answer.text());
        assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(want), "{shown}");
    }
}

#[test]
fn errors_quote_the_beginning_of_what_is_long() {
    let story = Story::start(&[("query.max_regex_steps", "1000"), ("query.max_series", "10")]);
    let long = "[ab]".repeat(20_000);
    let plain = (0..20_000).map(|n| format!("h{n}")).collect::<Vec<_>>().join("|");
    for (query, want) in [
        (format!("load{{host=~\"{long}\"}}"), "query.max_regex_steps"),
        (format!("load{{host=~\"{plain}(\"}}"), "missing closing )"),
        (format!("label_replace(load, \"a\", \"b\", \"c\", \"{long}\")"), "query.max_regex_steps"),
        (format!("label_replace(load, \"a\", \"b\", \"c\", \"{plain}(\")"), "missing closing )"),
        (format!("load{{host=~\"{plain}\"}}"), "query.max_series"),
        (format!("load \"{plain}\""), "unexpected string"),
        (format!("load {}", "x".repeat(500_000)), "unexpected identifier"),
        (format!("{}()", "x".repeat(500_000)), "unknown function"),
        (format!("load[{}x]", "1".repeat(500_000)), "bad number"),
        (format!("sum by (\"{}\") (1)", "x".repeat(500_000)), "expected type"),
        (format!("label_replace(load, \"{0}\", 1, \"\", \"\")", "x".repeat(500_000)), "expected type"),
    ] {
        let shown = &query[..40];
        let answer = story.client().post("/api/v1/query", FORM, form(&[("query", &query)]).as_bytes());
        assert!((400..500).contains(&answer.status), "{shown}: {}", answer.status);
        assert!(answer.text().contains(want), "{shown}: {}", answer.text());
        assert!(answer.text().len() < 2_000, "{shown}: {} bytes", answer.text().len());
    }
    let long = "x".repeat(20_000);
    for (path, parameter) in [
        ("query", "time"),
        ("query", "timeout"),
        ("query", "limit"),
        ("query", "lookback_delta"),
        ("query_range", "start"),
        ("query_range", "step"),
        ("series", "end"),
        ("query", "db"),
        ("query", "stats"),
    ] {
        let asked = form(&[("query", "1"), ("start", "1"), ("end", "2"), (parameter, &long)]);
        let answer = story.client().post(&format!("/api/v1/{path}"), FORM, asked.as_bytes());
        assert!(answer.text().len() < 2_000, "{path} {parameter}: {} bytes", answer.text().len());
    }
}

#[test]
fn hostile_texts_are_refused() {
    let story = Story::start(&[("query.max_text_bytes", "1MiB")]);
    let nested = |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    let regex = |pattern: &str| format!("load{{host=~\"{pattern}\"}}");
    for (name, query) in [
        ("brackets", nested("(", ")", 50_000)),
        ("open brackets", "(".repeat(900_000)),
        ("signs", nested("-", "", 100_000)),
        ("sums", nested("sum(", ")", 50_000)),
        ("subqueries", format!("load{}", "[5m:1m]".repeat(20_000))),
        ("operators", format!("1{}", "+1".repeat(200_000))),
        ("braces", "{".repeat(500_000)),
        ("counted repetitions", regex("a{1000}{1000}{1000}")),
        ("nested repetitions", regex(&format!("{}a{}", "(".repeat(5_000), "*)".repeat(5_000)))),
        ("open groups", regex(&"(".repeat(100_000))),
        ("letters of all scripts", regex(r"\\pL{900}")),
        ("many of them", format!("load{{{}}}", r#"host=~"\\pL{50}","#.repeat(1000))),
    ] {
        let (answer, took) = timed(|| ask(&mut story.client(), &query, &[]));
        assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
        assert_eq!(answer.json()["status"], "error", "{name}");
        println!("{name}: {took:?}");
    }
    let too_long = "1".repeat(4 << 20);
    assert_eq!(ask(&mut story.client(), &too_long, &[]).status, 413, "a form that is too large");
    assert_eq!(ask(&mut story.client(), "1", &[]).status, 200, "and the daemon is well");
}

#[test]
fn a_slow_query_is_logged_with_who_asked() {
    let story = Story::start(&[("query.slow", "1ms")]);
    let mut client = story.client();
    // The second line would look like one of the log, if it were written as it came.
    let query = "sum(sum_over_time(load[2h]))\n# ERROR forged";
    let parameters = [("query", query), ("time", "1700007200")];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Dashboard-Uid", "wall"),
        ("X-Panel-Id", "4"),
        ("X-Grafana-Org-Id", "1"),
        ("User-Agent", "Grafana/12.0.0"),
    ];
    assert_eq!(client.post("/api/v1/query", &headers, form.as_bytes()).status, 200);
    let logged = |what: &str| {
        let lines = story.daemon.log().into_iter();
        lines.filter(|line| line.contains("slow query")).find(|line| line.contains(what))
    };
    let line = eventually("the query is logged", || logged("outcome=\"ok\""));
    let (samples, series) = (HOSTS as i64 * (SAMPLES - 1), HOSTS);
    for want in [
        " WARN ",
        " path=\"/api/v1/query\"",
        " query=\"sum(sum_over_time(load[2h]))\\n# ERROR forged\"",
        " time=\"1700007200\"",
        " dashboard=\"wall\"",
        " panel=\"4\"",
        " org=\"1\"",
        " user_agent=\"Grafana/12.0.0\"",
        &format!(" samples={samples} series={series}"),
        " client=127.0.0.1:",
        " queue_seconds=0.0",
    ] {
        assert!(line.contains(want), "{want} is not in {line}");
    }
    let before = client.metric("sealine_slow_queries_total");
    assert!(before >= 1.0);

    // One that is given up is logged as well.
    let parameters = [&range(&LONG)[..], &[("timeout", "50ms".to_string())]].concat();
    assert_eq!(client.get(&target("/api/v1/query_range", &parameters)).status, 503);
    let line = eventually("it is logged", || logged("outcome=\"timeout\""));
    assert!(line.contains(&**LONG) && line.contains(" step=\"1\"") && !line.contains("samples="), "{line}");
    assert!(client.metric("sealine_slow_queries_total") > before);
}

#[test]
fn stats_tell_what_each_step_looked_at() {
    let story = Story::start(&[]);
    let mut client = story.client();
    let parameters = [
        ("query", "sum(count_over_time(load[20s]))"),
        ("start", "1700000100"),
        ("end", "1700000120"),
        ("step", "10"),
        ("stats", "all"),
    ];
    let answer = client.ask("/api/v1/query_range", &parameters);
    let samples = &answer["data"]["stats"]["samples"];
    let each = 2 * HOSTS as u64;
    let per_step = serde_json::json!([[1_700_000_100.0, each], [1_700_000_110.0, each], [1_700_000_120.0, each]]);
    assert_eq!(samples["totalQueryableSamplesPerStep"], per_step);
    assert_eq!(samples["totalQueryableSamples"], 3 * each);
    assert!(samples["peakSamples"].as_u64().is_some_and(|peak| peak > 0), "{samples}");
    let timings = answer["data"]["stats"]["timings"].as_object().expect("timings are an object");
    assert!(timings["execTotalTime"].as_f64() >= timings["evalTotalTime"].as_f64());
}

#[test]
fn a_start_tells_which_queries_the_last_end_has_cut_off() {
    let Story { daemon, _data } = Story::start(&[]);
    let left = |log: &[String]| -> Vec<String> {
        log.iter().filter(|line| line.contains("was running when the daemon last ended")).cloned().collect()
    };
    let story = Story { daemon, _data };
    let _waits = story.begin(&LONG_OF_ONE);
    let file = story._data.path().join("running_queries");
    eventually("the query is on file", || file.metadata().is_ok_and(|file| file.len() > 0).then_some(()));
    let Story { daemon, _data } = story;
    daemon.kill();
    let daemon = Daemon::start(_data.path(), &[]);
    let told = left(&daemon.log());
    assert!(told.len() == 1 && told[0].contains("quantile_over_time") && told[0].contains("wall"), "{told:?}");
    assert!(!file.exists(), "it is told once");
    daemon.stop();
    assert!(!file.exists(), "nothing was left by an end in order");
    let daemon = Daemon::start(_data.path(), &[]);
    assert_eq!(left(&daemon.log()), Vec::<String>::new());
}
