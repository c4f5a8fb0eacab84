//! The story: clients write over real sockets, well and badly. What is good is stored and answered with 204 and nothing
//! else; what is bad costs itself alone, and the answer or a counter says what was wrong with it.
//!
//! It would fail where an answer promises more or less than what happened, where one bad line takes others with it,
//! where a body that was cut is stored in part, or where a hostile body is given the memory that it asks for.

mod bodies;
mod silence;

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Answer, Client, Matrix};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

/// The longest body that the daemon of these stories takes.
const BODY_BYTES_MAX: usize = 64 << 10;

struct Setup {
    daemon: Daemon,
    client: Client,
    _data: tempfile::TempDir,
}

fn start() -> Setup {
    let data = tempfile::tempdir().expect("a folder for the test");
    let settings =
        [("http.max_body_bytes", "64KiB"), ("ingest.max_line_bytes", "32KiB"), ("ingest.max_key_bytes", "16KiB")];
    let settings = [&settings[..], &[("tcp.listen", "127.0.0.1:0")]].concat();
    let daemon = Daemon::start(data.path(), &settings);
    Setup { client: daemon.client(), daemon, _data: data }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

impl Setup {
    fn post(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.client.post("/write?db=story&precision=ms", headers, body)
    }

    /// What a series has at `TIME_MS`, of any database.
    fn value(&mut self, series: &str) -> Option<f64> {
        let found = self.client.query(series, TIME_MS);
        assert!(found.len() <= 1, "{series}: {found:?}");
        found.into_values().next().map(|samples| samples[0].1)
    }

    /// Everything that is there.
    fn everything(&mut self) -> Matrix {
        self.client.query("{__name__=~\".+\"}[100y]", TIME_MS + 86_400_000)
    }
}

fn assert_stored(name: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.text()), (204, ""), "{name}");
    assert_eq!(answer.headers.get("transfer-encoding"), None, "{name}: an answer without a body has no coding");
}

#[test]
fn good_lines_are_answered_with_204_and_nothing_else() {
    let mut setup = start();
    let gzipped = gzip(format!("gzip v=1 {TIME_MS}\n").as_bytes());
    let two =
        [&gzip(format!("first v=1 {TIME_MS}\nsec").as_bytes())[..], &gzip(format!("ond v=1 {TIME_MS}").as_bytes())]
            .concat();
    for (name, path, headers, body, series) in [
        (
            "plain",
            "/write?db=story&precision=ms",
            &[][..],
            format!("plain v=1 {TIME_MS}\n").into_bytes(),
            &["plain_v"][..],
        ),
        (
            "no newline at the end",
            "/write?db=story&precision=ms",
            &[],
            format!("open v=1 {TIME_MS}").into_bytes(),
            &["open_v"],
        ),
        (
            "no database",
            "/write?precision=ms",
            &[],
            format!("nodb v=1 {TIME_MS}").into_bytes(),
            &["nodb_v{db=\"default\"}"],
        ),
        (
            "below a prefix",
            "/influx/write?db=story&precision=ms",
            &[],
            format!("prefix v=1 {TIME_MS}").into_bytes(),
            &["prefix_v"],
        ),
        (
            "version 2",
            "/api/v2/write?bucket=story&org=o&precision=ms",
            &[],
            format!("two v=1 {TIME_MS}").into_bytes(),
            &["two_v{db=\"story\"}"],
        ),
        (
            "version 2 with a policy",
            "/api/v2/write?bucket=story/autogen&precision=ms",
            &[],
            format!("policy v=1 {TIME_MS}").into_bytes(),
            &["policy_v{db=\"story\"}"],
        ),
        ("gzip", "/write?db=story&precision=ms", &[("Content-Encoding", "gzip")], gzipped, &["gzip_v"]),
        (
            "two gzip members",
            "/write?db=story&precision=ms",
            &[("Content-Encoding", "gzip")],
            two,
            &["first_v", "second_v"],
        ),
        (
            "identity",
            "/write?db=story&precision=ms",
            &[("Content-Encoding", "identity")],
            format!("same v=1 {TIME_MS}").into_bytes(),
            &["same_v"],
        ),
        (
            "carriage returns",
            "/write?db=story&precision=ms",
            &[],
            format!("cr v=1 {TIME_MS}\r\n\r\n# a comment\r\ncr2 v=1 {TIME_MS}\r\n").into_bytes(),
            &["cr_v", "cr2_v"],
        ),
        ("nothing", "/write?db=story&precision=ms", &[], Vec::new(), &[]),
    ] {
        assert_stored(name, &setup.client.post(path, headers, &body));
        for series in series {
            assert_eq!(setup.value(series), Some(1.0), "{name}: {series}");
        }
    }
}

#[test]
fn a_write_to_no_database_is_told_of_once_for_each_client() {
    let setup = start();
    for number in 0..3 {
        let body = format!("m{number} v=1 {TIME_MS}\n");
        assert_stored("no database", &setup.daemon.client().post("/write?precision=ms", &[], body.as_bytes()));
    }
    let told = || setup.daemon.log().into_iter().filter(|line| line.contains("names no database")).count();
    eventually("the log tells of it", || (told() > 0).then_some(()));
    assert_eq!(told(), 1, "{:#?}", setup.daemon.log());
}

#[test]
fn each_precision_means_its_unit() {
    let mut setup = start();
    let hour_ms = TIME_MS / 3_600_000 * 3_600_000;
    for (precision, time, want) in [
        ("", TIME_MS * 1_000_000 + 999_999, TIME_MS),
        ("&precision=n", TIME_MS * 1_000_000, TIME_MS),
        ("&precision=ns", TIME_MS * 1_000_000, TIME_MS),
        ("&precision=u", TIME_MS * 1000, TIME_MS),
        ("&precision=us", TIME_MS * 1000 + 999, TIME_MS),
        ("&precision=%C2%B5s", TIME_MS * 1000, TIME_MS),
        ("&precision=ms", TIME_MS, TIME_MS),
        ("&precision=s", TIME_MS / 1000, TIME_MS),
        ("&precision=m", hour_ms / 60_000, hour_ms),
        ("&precision=h", hour_ms / 3_600_000, hour_ms),
        ("&precision=s", -1, -1000),
        ("", -1, -1),
    ] {
        let measurement = format!("p{}", setup.everything().len());
        let answer = setup.client.post(
            &format!("/write?db=story{precision}"),
            &[],
            format!("{measurement} v=1 {time}").as_bytes(),
        );
        assert_stored(precision, &answer);
        let series = format!("{measurement}_v{{}}");
        assert_eq!(setup.everything().remove(&series), Some(vec![(want, 1.0)]), "{precision} {time}");
    }
    let answer = setup.client.post("/write?db=story&precision=d", &[], b"p v=1 1");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"], "precision \"d\" is unknown: use n, ns, u, us, ms, s, m or h");
}

#[test]
fn a_line_without_a_time_gets_the_servers() {
    let mut setup = start();
    assert_stored("no time", &setup.post(&[], b"now v=1\n"));
    let age = setup.client.ask("/api/v1/query", &[("query", "time() - timestamp(now_v)")]);
    let age: f64 = age["data"]["result"][0]["value"][1].as_str().expect("there is a sample").parse().expect("a number");
    assert!((0.0..60.0).contains(&age), "it is {age} s old");
}

#[test]
fn every_kind_of_value_is_a_number_or_is_counted() {
    let mut setup = start();
    for (value, want) in [
        ("1.5", Some(1.5)),
        ("-0.1e-3", Some(-0.0001)),
        ("7i", Some(7.0)),
        ("-7i", Some(-7.0)),
        ("18446744073709551615u", Some(18_446_744_073_709_551_615.0)),
        ("9007199254740993i", Some(9_007_199_254_740_992.0)),
        ("true", Some(1.0)),
        ("F", Some(0.0)),
        ("\"text, with a comma\"", None),
    ] {
        let series = format!("k{}_v", setup.everything().len());
        let measurement = series.trim_end_matches("_v");
        assert_stored(value, &setup.post(&[], format!("{measurement} v={value},other=1 {TIME_MS}").as_bytes()));
        assert_eq!(setup.value(&series), want, "{value}");
        assert_eq!(setup.value(&format!("{measurement}_other")), Some(1.0), "{value}: the field beside it");
    }
    for (metric, want) in [
        ("sealine_strings_dropped_total{protocol=\"http\"}", 1.0),
        ("sealine_ingested_lines_total{protocol=\"http\"}", 9.0),
        ("sealine_ingested_samples_total{protocol=\"http\"}", 17.0),
    ] {
        assert_eq!(setup.client.metric(metric), want, "{metric}");
    }
}

#[test]
fn a_bad_line_costs_only_itself() {
    let mut setup = start();
    for (number, (bad, reason)) in [
        ("bad", "no_fields"),
        ("bad v=", "empty_field_value"),
        ("bad v=abc", "bad_value"),
        ("bad v=NaN", "not_finite"),
        ("bad v=1e999", "float_out_of_range"),
        ("bad v=9223372036854775808i", "integer_out_of_range"),
        ("bad v=1 soon", "bad_time"),
        ("bad v=1 9223372036854775808", "time_out_of_range"),
        ("bad v=1 9000000000000", "future"),
        (",host=a v=1", "empty_measurement"),
        ("bad,host v=1", "missing_tag_value"),
        ("bad,host=a,host=b v=1", "duplicate_tag"),
        ("bad v=\"never closed", "unterminated_string"),
        ("bad\u{7}bell v=1", "control_character"),
    ]
    .into_iter()
    .enumerate()
    {
        let lines = format!("above{number} v=1 {TIME_MS}\n{bad}\nbelow{number} v=2 {TIME_MS}\n");
        let answer = setup.post(&[], lines.as_bytes());
        assert_eq!(answer.status, 400, "{bad}");
        let json = answer.json();
        assert_eq!((&json["written"], &json["dropped"]), (&2.into(), &1.into()), "{bad}: {json}");
        assert_eq!(
            (&json["lines"][0]["line"], &json["lines"][0]["reason"]),
            (&2.into(), &reason.into()),
            "{bad}: {json}"
        );
        let message = json["lines"][0]["message"].as_str().expect("a sentence");
        let error = json["error"].as_str().expect("a sentence");
        assert!(error.starts_with("partial write: line 2, column ") && error.contains(message), "{bad}: {error}");
        assert!(error.ends_with(" written=2 dropped=1"), "{bad}: {error}");
        let around = (setup.value(&format!("above{number}_v")), setup.value(&format!("below{number}_v")));
        assert_eq!(around, (Some(1.0), Some(2.0)), "{bad}");
        let counted = format!("sealine_rejected_lines_total{{protocol=\"http\",reason=\"{reason}\"}}");
        assert_eq!(setup.client.metric(&counted), 1.0, "{bad}");
    }
    assert_eq!(setup.everything().keys().filter(|series| series.starts_with("bad")).count(), 0);
}

/// As many as label sets of Kubernetes have, and as many as there may be.
#[test]
fn lines_may_have_many_tags() {
    let mut setup = start();
    let line = |name: &str, tags: usize| {
        // In no order, and each of them new.
        let tags: String = (0..tags).map(|tag| format!(",label_{}=value_{tag}", tag * 89 % 509)).collect();
        format!("{name}{tags} v=1 {TIME_MS}\n")
    };
    for (name, tags) in [("pod", 60), ("most", 256)] {
        assert_stored(name, &setup.post(&[], line(name, tags).as_bytes()));
        let found = setup.client.query(&format!("{name}_v{{label_89=\"value_1\",db=\"story\"}}"), TIME_MS);
        let labels = found.keys().next().map_or(0, |series| series.matches('=').count());
        assert_eq!((found.len(), labels), (1, tags), "{name}");
    }
    let answer = setup.post(&[], [line("good", 1), line("more", 257)].concat().as_bytes());
    let json = answer.json();
    assert_eq!((answer.status, &json["lines"][0]["reason"]), (400, &"too_many_tags".into()), "{json}");
    let message = "line has 257 tags, more than the 256 of ingest.max_tags";
    assert_eq!((&json["lines"][0]["message"], &json["written"]), (&message.into(), &1.into()), "{json}");
}

#[test]
fn many_bad_lines_are_counted_and_some_are_named() {
    let mut setup = start();
    let answer = setup.post(&[], format!("good v=1 {TIME_MS}\n{}", "bad\n".repeat(100)).as_bytes());
    let json = answer.json();
    assert_eq!((answer.status, &json["written"], &json["dropped"]), (400, &1.into(), &100.into()), "{json}");
    assert_eq!(json["lines"].as_array().map(Vec::len), Some(10), "ingest.max_errors_listed");
    assert_eq!(setup.value("good_v"), Some(1.0));
}

/// `outputs.influxdb_v2` reads `code` and `message`, clients of InfluxDB 3 `error` and `data`.
#[test]
fn each_version_is_told_of_bad_lines_in_its_own_shape() {
    let mut setup = start();
    let body = format!("good v=1 {TIME_MS}\ngood v=\n");
    let sentence = "line 2, column 8: field `v` has nothing after its `=`; written=1 dropped=1";
    let mut told = |path: &str| {
        let answer = setup.client.post(path, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        answer.json()
    };
    let v1 = told("/write?db=story&precision=ms");
    assert_eq!((&v1["error"], v1.get("code")), (&format!("partial write: {sentence}").into(), None), "{v1}");
    let v2 = told("/api/v2/write?bucket=story&precision=ms");
    assert_eq!((&v2["code"], v2.get("error")), (&"invalid".into(), None), "{v2}");
    assert_eq!(v2["message"], format!("partial write: {sentence}"));
    let v3 = told("/api/v3/write_lp?db=story&precision=millisecond");
    assert_eq!(v3["error"], format!("partial write of line protocol occurred: {sentence}"), "{v3}");
    assert_eq!(v3["data"][0]["line_number"], 2, "{v3}");
    assert_eq!(v3["data"][0]["error_message"], "column 8: field `v` has nothing after its `=`", "{v3}");
    assert_eq!(setup.value("good_v"), Some(1.0));
}

/// Telegraf looks for InfluxDB's words to throw away what it would send for ever.
#[test]
fn points_beyond_retention_are_told_in_the_words_of_influxdb() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("retention.disk", "30d")]);
    let mut client = daemon.client();
    let mut told = |path: &str, body: &str| {
        let answer = client.post(path, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
        answer.json()
    };
    let (v1, v2) = ("/write?db=story&precision=ms", "/api/v2/write?bucket=story&precision=ms");
    let v3 = "/api/v3/write_lp?db=story&precision=millisecond";
    let old = format!("old v=1 {TIME_MS}\n");
    let words = "partial write: points beyond retention policy";
    for (path, member) in [(v1, "error"), (v2, "message")] {
        let json = told(path, &format!("{old}good v=1\n{old}"));
        assert_eq!(json[member], format!("{words} dropped=2"), "{json}");
        assert_eq!((&json["written"], &json["lines"][1]["line"]), (&1.into(), &3.into()), "{json}");
        assert_eq!(json["lines"][1]["reason"], "expired", "{json}");

        let json = told(path, &format!("bad v=\ngood v=1\n{old}"));
        let text = json[member].as_str().expect("a sentence");
        assert!(text.starts_with(&format!("{words}; line 1, column 7: field `v` has nothing ")), "{text}");
        assert!(text.contains("; line 3, column 1: time ") && text.ends_with("; written=1 dropped=2"), "{text}");

        // Beyond the lines that an answer names.
        let json = told(path, &format!("{}{old}", "bad v=\n".repeat(50)));
        assert!(json[member].as_str().is_some_and(|text| text.starts_with(words)), "{json}");
    }
    let text = told(v3, &old)["error"].to_string();
    assert!(text.contains("partial write of line protocol occurred: line 1, column 1: time "), "{text}");
    let found = client.ask("/api/v1/query", &[("query", "count_over_time(good_v[1h])")]);
    assert_eq!(found["data"]["result"].as_array().map(Vec::len), Some(1), "good lines are kept: {found}");
}

#[test]
fn lines_come_as_to_influxdb_3() {
    let mut setup = start();
    for (name, parameters, time) in [
        ("seconds", "", TIME_MS / 1000),
        ("millis", "&precision=auto", TIME_MS),
        ("micros", "&no_sync=true", TIME_MS * 1000),
        ("nanos", "&accept_partial=true", TIME_MS * 1_000_000),
        ("word", "&precision=second", TIME_MS / 1000),
    ] {
        let path = format!("/api/v3/write_lp?db=story{parameters}");
        let body = gzip(format!("{name} v=1 {time}\n").as_bytes());
        assert_stored(name, &setup.client.post(&path, &[("Content-Encoding", "gzip")], &body));
        assert_eq!(setup.value(&format!("{name}_v")), Some(1.0), "{name}");
    }
    let answer = setup.client.post("/api/v3/write_lp?db=story&precision=minute", &[], b"m v=1 1");
    let want = "precision \"minute\" is unknown: use auto, nanosecond, microsecond, millisecond or second";
    assert_eq!((answer.status, &answer.json()["error"]), (400, &want.into()));

    let body = format!("good v=1 {TIME_MS}\nbad v=\nother v=1 {TIME_MS}\n");
    let answer = setup.client.post("/api/v3/write_lp?db=story&accept_partial=false", &[], body.as_bytes());
    assert_eq!(answer.status, 400, "{answer:?}");
    let error = answer.json()["error"].as_str().expect("a sentence").to_string();
    assert!(error.starts_with("nothing was written, since accept_partial is false: line 2, column "), "{error}");
    assert!(error.ends_with(" written=0 dropped=3"), "{error}");
    assert_eq!((setup.value("good_v"), setup.value("other_v")), (None, None));
    for (reason, want) in [("empty_field_value", 1.0), ("beside_bad_lines", 2.0)] {
        let counted = format!("sealine_rejected_lines_total{{protocol=\"http\",reason=\"{reason}\"}}");
        assert_eq!(setup.client.metric(&counted), want, "{reason}");
    }
    // Names are told of when the second one comes, and never again.
    let body = format!("pair a.b=1,a-b=2 {TIME_MS}\nbad v=\n");
    assert_eq!(setup.client.post("/api/v3/write_lp?db=story&accept_partial=false", &[], body.as_bytes()).status, 400);
    assert_eq!(setup.client.metric("sealine_name_collisions_total{protocol=\"http\",reason=\"field\"}"), 1.0);
}

#[test]
fn a_bad_line_in_a_datagram_costs_only_itself_and_is_counted() {
    let mut setup = start();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let time = TIME_MS * 1_000_000;
    for datagram in [
        format!("above v=1 {time}\nbad\nbelow v=2 {time}\n"),
        format!("cut v=3 {time}\ncut,host=a v="),
        format!("next v=4 {time}"),
    ] {
        socket.send_to(datagram.as_bytes(), setup.daemon.udp()).expect("the daemon listens");
    }
    eventually("four lines by UDP are stored", || {
        (setup.client.metric("sealine_ingested_lines_total{protocol=\"udp\"}") == 4.0).then_some(())
    });
    for (series, want) in [("above_v", 1.0), ("below_v", 2.0), ("cut_v", 3.0), ("next_v", 4.0)] {
        assert_eq!(setup.value(&format!("{series}{{db=\"udp\"}}")), Some(want), "{series}");
    }
    for (reason, want) in [("no_fields", 1.0), ("empty_field_value", 1.0)] {
        let counted = format!("sealine_rejected_lines_total{{protocol=\"udp\",reason=\"{reason}\"}}");
        assert_eq!(setup.client.metric(&counted), want, "{reason}");
    }
}

#[test]
fn lines_by_tcp_may_be_cut_anywhere() {
    let mut setup = start();
    let mut stream = TcpStream::connect(setup.daemon.tcp()).expect("the daemon listens");
    stream.set_nodelay(true).expect("Nagle can be switched off");
    let time = TIME_MS * 1_000_000;
    let lines = format!("one v=1 {time}\nbad\ntwo v=2 {time}\nthree v=3 {time}");
    for piece in lines.as_bytes().chunks(9) {
        stream.write_all(piece).expect("the daemon listens");
    }
    drop(stream); // the last line has no newline: the end of the connection ends it
    eventually("three lines by TCP are stored", || {
        (setup.client.metric("sealine_ingested_lines_total{protocol=\"tcp\"}") == 3.0).then_some(())
    });
    for (series, want) in [("one_v", 1.0), ("two_v", 2.0), ("three_v", 3.0)] {
        assert_eq!(setup.value(&format!("{series}{{db=\"tcp\"}}")), Some(want), "{series}");
    }
    assert_eq!(setup.client.metric("sealine_rejected_lines_total{protocol=\"tcp\",reason=\"no_fields\"}"), 1.0);
}
