//! Nothing is lost or refused in silence: a counter has the reason, and the log has client, reason and what to do. One
//! line a client, reason and minute, so that a flood of bad lines is none of our log.

use super::*;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

/// Lines of the log that have all of these words.
fn told(daemon: &Daemon, words: &[&str]) -> Vec<String> {
    daemon.log().into_iter().filter(|line| words.iter().all(|word| line.contains(word))).collect()
}

fn assert_told_once(daemon: &Daemon, words: &[&str]) {
    eventually(&format!("the log says {words:?}"), || (!told(daemon, words).is_empty()).then_some(()));
    assert_eq!(told(daemon, words).len(), 1, "{words:?}: {:#?}", daemon.log());
}

/// A daemon whose clock and retention let every time in.
fn daemon(data: &Path, more: &[(&str, &str)]) -> Daemon {
    Daemon::start(data, &[&[("tcp.listen", "127.0.0.1:0")], more].concat())
}

#[test]
fn lines_that_are_refused_are_told_once_a_client_and_reason_with_the_first_of_them() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = daemon(data.path(), &[]);
    let mut client = daemon.client();
    let body = "cpu v=abc\ncpu v=1\ncpu v=def\nmem\n".repeat(10);
    for _ in 0..3 {
        assert_eq!(client.post("/write?db=story", &[], body.as_bytes()).status, 400);
    }
    assert_told_once(
        &daemon,
        &["WARN", "client=127.0.0.1", "protocol=\"http\"", "reason=\"bad_value\"", "cpu v=abc", "count=20"],
    );
    assert_told_once(&daemon, &["protocol=\"http\"", "reason=\"no_fields\"", "first=\"mem\"", "count=10"]);

    let mut stream = TcpStream::connect(daemon.tcp()).expect("the daemon listens");
    stream.write_all(b"servers.a.cpu 42 1700000000\n").expect("the daemon listens");
    assert_told_once(&daemon, &["protocol=\"tcp\"", "reason=\"missing_field_value\"", "servers.a.cpu 42 1700000000"]);

    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.1"] {
        let socket = UdpSocket::bind((address.parse::<IpAddr>().expect("an address"), 0)).expect("a free port");
        socket.send_to(b"good v=1\nbad\x1b[31m v=x", daemon.udp()).expect("the daemon listens");
    }
    eventually("three lines by UDP are counted", || {
        let counted = client.metric("sealine_rejected_lines_total{protocol=\"udp\",reason=\"bad_value\"}");
        (counted == 3.0).then_some(())
    });
    assert_told_once(&daemon, &["client=127.0.0.1", "protocol=\"udp\"", "reason=\"bad_value\""]);
    assert_told_once(&daemon, &["client=127.0.0.2", "protocol=\"udp\"", "reason=\"bad_value\""]);
    assert!(daemon.log().iter().all(|line| !line.contains('\x1b')), "what clients send is escaped");
}

#[test]
fn a_refusal_is_counted_and_told_in_the_same_way_whatever_lines_come_by() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start_after("trap '' XFSZ", data.path(), &[("tcp.listen", "127.0.0.1:0")]);
    let mut client = daemon.client();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let mut stream = TcpStream::connect(daemon.tcp()).expect("the daemon listens");
    let mut send = |lines: &str| {
        socket.send_to(lines.as_bytes(), daemon.udp()).expect("the daemon listens");
        stream.write_all(lines.as_bytes()).expect("the daemon listens");
        daemon.client().post("/write?db=story", &[], lines.as_bytes()).status
    };
    let mut counted = |reason: &str, lines: f64| {
        for protocol in ["http", "udp", "tcp"] {
            let counter = format!("sealine_rejected_lines_total{{protocol=\"{protocol}\",reason=\"{reason}\"}}");
            eventually(&counter, || (client.metric(&counter) == lines).then_some(()));
        }
    };
    let told = |words: &[&str]| {
        for protocol in ["protocol=\"http\"", "protocol=\"udp\"", "protocol=\"tcp\""] {
            assert_told_once(&daemon, &[words, &["WARN", "client=127.0.0.1", protocol]].concat());
        }
    };

    assert_eq!(send("m v=1\nbad\nbad\n"), 400);
    counted("no_fields", 2.0);
    counted("unavailable", 0.0);
    told(&["reason=\"no_fields\"", "first=\"bad\"", "count=2", "line has no fields"]);

    daemon.limit_files(Some(0));
    assert_eq!(send("m v=2\nm v=3\nbad\n"), 503);
    counted("no_fields", 3.0);
    counted("unavailable", 2.0);
    told(&["reason=\"unavailable\"", "not stored: "]);
    daemon.limit_files(None);
}

#[test]
fn a_connection_too_many_is_told_with_the_limit() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = daemon(data.path(), &[("tcp.max_connections", "1")]);
    let mut first = TcpStream::connect(daemon.tcp()).expect("the daemon listens");
    first.write_all(format!("first v=1 {TIME_MS}000000\n").as_bytes()).expect("it takes lines");
    eventually("the first is there", || {
        (daemon.client().metric("sealine_ingested_lines_total{protocol=\"tcp\"}") == 1.0).then_some(())
    });
    let mut second = TcpStream::connect(daemon.tcp()).expect("it is accepted before it is closed");
    assert_eq!(second.read(&mut [0]).expect("it is closed in good order"), 0);
    assert_told_once(
        &daemon,
        &["WARN", "client=127.0.0.1", "protocol=\"tcp\"", "too_many_connections", "tcp.max_connections allows: 1"],
    );
    drop(first);
    eventually("there is room again", || {
        let mut next = TcpStream::connect(daemon.tcp()).expect("the daemon listens");
        next.write_all(format!("next v=1 {TIME_MS}000000\n").as_bytes()).ok()?;
        drop(next);
        (daemon.client().metric("sealine_ingested_lines_total{protocol=\"tcp\"}") >= 2.0).then_some(())
    });
}

#[test]
fn requests_without_the_right_are_told_and_no_secret_with_them() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let file = data.path().join("sealine.toml");
    // printf abc | sha256sum
    let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let token = format!("[[token]]\nname = \"t\"\nhash = \"{hash}\"\nrights = [\"write\"]\ndatabases = [\"mine\"]\n");
    #[expect(clippy::disallowed_methods, reason = "a test sets up its file")]
    std::fs::write(&file, token).expect("the test's folder is writable");
    let daemon = Daemon::start_with(&file, &data.path().join("data"));
    let mut client = daemon.client();
    for _ in 0..3 {
        assert_eq!(client.post("/write?db=mine&p=s3cret", &[], b"m v=1").status, 401);
        assert_eq!(client.post("/write?db=other&p=abc", &[], b"m v=1").status, 403);
        assert_eq!(client.get("/api/v1/query?query=m&p=s3cret").status, 401);
    }
    assert_told_once(&daemon, &["client=127.0.0.1", "reason=\"unauthorized\"", "POST /write", "count=1"]);
    assert_told_once(&daemon, &["client=127.0.0.1", "reason=\"forbidden\"", "POST /write", "database `other`"]);
    assert!(told(&daemon, &["s3cret"]).is_empty());
}

#[test]
fn writes_that_are_refused_as_a_whole_are_told() {
    let mut setup = start();
    assert_eq!(setup.client.post("/write?db=story&precision=d", &[], b"m v=1").status, 400);
    assert_eq!(setup.client.post("/write?db=story", &[("Content-Encoding", "br")], b"m v=1").status, 415);
    assert_told_once(&setup.daemon, &["reason=\"bad_request\"", "precision", "is unknown"]);
    assert_told_once(&setup.daemon, &["reason=\"encoding\"", "POST /write"]);
}

#[test]
fn times_about_1970_without_a_precision_are_counted_with_the_unit_that_was_likely_meant() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = daemon(data.path(), &[("tcp.precision", "ms")]);
    let mut client = daemon.client();
    let suspect = |protocol: &str, unit: &str| {
        format!("sealine_suspect_lines_total{{protocol=\"{protocol}\",reason=\"time_in_{unit}\"}}")
    };
    for (unit, time) in
        [("seconds", "1700000000"), ("milliseconds", "1700000000000"), ("microseconds", "1700000000000000")]
    {
        for _ in 0..2 {
            assert_eq!(client.post("/write?db=story", &[], format!("a v=1 {time}").as_bytes()).status, 204);
        }
        assert_eq!(client.metric(&suspect("http", unit)), 2.0, "{unit}");
    }
    assert_told_once(&daemon, &["WARN", "client=127.0.0.1", "time_in_seconds", "a v=1 1700000000", "precision=s"]);
    assert_told_once(&daemon, &["time_in_milliseconds", "send the parameter precision=ms"]);
    assert_told_once(&daemon, &["time_in_microseconds", "send the parameter precision=us"]);
    for fine in ["/write?db=story&precision=ns", "/api/v2/write?bucket=story&precision=s"] {
        assert_eq!(client.post(fine, &[], b"a v=1 1700000000").status, 204);
    }
    assert_eq!(client.post("/write?db=story", &[], b"a v=1 1700000000000000000\na v=1").status, 204);
    assert_eq!(client.metric(&suspect("http", "seconds")), 2.0, "who names the unit, or needs none, means it");

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.send_to(b"b v=1 1700000000", daemon.udp()).expect("the daemon listens");
    assert_told_once(&daemon, &["protocol=\"udp\"", "time_in_seconds", "udp.precision = \"s\""]);
    let mut stream = TcpStream::connect(daemon.tcp()).expect("the daemon listens");
    stream.write_all(b"c v=1 1700000000\nc v=1 1700000000000\n").expect("the daemon listens");
    eventually("one line by TCP is counted", || (client.metric(&suspect("tcp", "seconds")) == 1.0).then_some(()));
    assert_eq!(client.metric(&suspect("tcp", "milliseconds")), 0.0);
}

#[test]
fn a_time_that_retention_takes_away_at_once_is_told_with_the_unit_too() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = daemon(data.path(), &[("retention.disk", "30d")]);
    let mut client = daemon.client();
    let answer = client.post("/write?db=story", &[], b"a v=1 1700000000");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("where s was meant, send the parameter precision=s"), "{}", answer.text());
    assert_eq!(client.metric("sealine_suspect_lines_total{protocol=\"http\",reason=\"time_in_seconds\"}"), 1.0);
}

#[test]
fn strings_alone_and_writes_without_a_database_are_told_with_the_way_out() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = daemon(data.path(), &[("naming.string_fields", "pump.state")]);
    let mut client = daemon.client();
    let lines =
        "system,host=a uptime_format=\"1 day\"\nsystem,host=a up=1,uptime_format=\"1 day\"\npump state=\"on\"\n";
    for _ in 0..2 {
        assert_eq!(client.post("/write", &[], lines.as_bytes()).status, 204);
    }
    let suspect = |reason: &str| format!("sealine_suspect_lines_total{{protocol=\"http\",reason=\"{reason}\"}}");
    assert_eq!(client.metric(&suspect("strings_alone")), 2.0, "those with a number and those that are kept are stored");
    assert_told_once(&daemon, &["INFO", "strings_alone", "naming.string_fields", "system.uptime_format", "count=1"]);
    assert_eq!(client.metric(&suspect("no_database")), 2.0);
    assert_told_once(&daemon, &["INFO", "client=127.0.0.1", "no_database", "`default`"]);
}

#[test]
fn names_that_become_one_are_counted_and_told_with_both_spellings() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = daemon(data.path(), &[]);
    let mut client = daemon.client();
    let time = TIME_MS;
    for lines in [
        format!("room 温度=21,湿度=55 {time}\n").repeat(3),
        format!("cpu_load,host=a value=1 {time}\n"),
        format!("cpu,host=a load=2 {time}\n"),
        format!("disk,dev.name=sda used=1 {time}\ndisk,dev-name=sda used=2 {time}\n"),
        format!("fine,dev.name=sda a=1 {time}\nfine,dev.name=sdb a=1 {time}\n"),
    ] {
        client.write(&lines);
    }
    let collisions = |of: &str| format!("sealine_name_collisions_total{{protocol=\"http\",reason=\"{of}\"}}");
    for of in ["field", "measurement", "tag"] {
        assert_eq!(client.metric(&collisions(of)), 1.0, "{of}");
    }
    // Both are kept, also where PromQL sees one of them.
    assert_eq!(client.metric("sealine_overwritten_samples_total{protocol=\"http\",reason=\"field\"}"), 0.0);
    assert_told_once(&daemon, &["WARN", "`温度`", "`湿度`", "measurement `room`", "`room___`"]);
    assert_told_once(&daemon, &["WARN", "`cpu_load` and `cpu`", "`cpu_load`:"]);
    assert_told_once(&daemon, &["WARN", "`dev.name`", "`dev-name`", "measurement `disk`"]);
}

#[test]
fn points_of_one_millisecond_are_all_kept_in_their_order() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let running = daemon(data.path(), &[]);
    let ns = TIME_MS * 1_000_000;
    let burst: String = (0..10).map(|at| format!("reqs,method=GET value={at} {}\n", ns + at * 90_001)).collect();
    for lines in [burst.as_str(), &burst] {
        // The second time all come again, and count once.
        assert_eq!(running.client().post("/write?db=story", &[], lines.as_bytes()).status, 204);
    }
    let backwards: String = (0..10).rev().map(|at| format!("back v={at} {}\n", ns + at)).collect();
    assert_eq!(running.client().post("/write?db=story", &[], backwards.as_bytes()).status, 204);
    let check = |daemon: &Daemon, when: &str| {
        let one = |query: &str| match daemon.client().query(query, TIME_MS).is_empty() {
            true => None,
            false => Some(daemon.client().number(query, TIME_MS)),
        };
        for (query, want) in [
            ("reqs", Some(9.0)),
            ("count_over_time(reqs[1m])", Some(10.0)),
            ("sum_over_time(reqs[1m])", Some(45.0)),
            ("changes(reqs[1m])", Some(9.0)),
            ("back_v", Some(9.0)),
            ("sum_over_time(back_v[1m])", Some(45.0)),
            ("changes(back_v[1m])", Some(9.0)),
            // They are ten within no time.
            ("rate(reqs[1m])", None),
            ("deriv(reqs[1m])", None),
        ] {
            assert_eq!(one(query), want, "{query}, {when}");
        }
    };
    check(&running, "in memory");
    running.client().admin("/admin/seal");
    check(&running, "sealed");
    drop(running);
    check(&daemon(data.path(), &[]), "after a start");
}

#[test]
fn lines_without_a_time_do_not_take_each_others_place() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let running = daemon(data.path(), &[("tcp.database", "story")]);
    let mut client = running.client();
    for at in 0..100 {
        assert_eq!(client.post("/write?db=story", &[], format!("asked v={at}").as_bytes()).status, 204);
    }
    let lines: String = (0..100).map(|at| format!("streamed v={at}\n")).collect();
    let mut stream = TcpStream::connect(running.tcp()).expect("it listens");
    stream.write_all(lines.as_bytes()).expect("it takes lines");
    drop(stream);
    for measurement in ["asked", "streamed"] {
        let query = format!("count_over_time({measurement}_v[1h])");
        eventually(&query, || {
            let now = sealine_base::clock::wall_ms() + 1;
            let is_all = !client.query(&query, now).is_empty() && client.number(&query, now) == 100.0;
            is_all.then_some(())
        });
    }
}

#[test]
fn a_kept_string_that_changes_is_one_state_at_a_time() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let settings = [("naming.string_fields", "*.state")];
    let mut running = daemon(data.path(), &settings);
    let state = |daemon: &Daemon, at: i64| -> Vec<String> {
        let found = daemon.client().query("pump_state_info == 1", TIME_MS + at * 1000);
        let text =
            |labels: String| labels.trim_end_matches('}').rsplit("value=").next().map(|text| text.replace('"', ""));
        found.into_keys().filter_map(text).collect()
    };
    let line = |text: &str, at: i64| format!("pump,host=a state=\"{text}\" {}\n", TIME_MS + at * 1000);
    running
        .client()
        .write(&[line("running", 0), line("stopped", 30), line("running", 60), line("stopped", 90)].concat());
    running.client().write(&line("stuck", 45)); // late
    let want = [(10, "running"), (30, "stopped"), (44, "stopped"), (45, "stuck"), (60, "running"), (91, "stopped")];
    for (at, want) in want {
        assert_eq!(state(&running, at), [want], "at {at}");
    }
    // Two within one millisecond, and one that came late between them.
    let ns = |ns: i64, text: &str| format!("valve,host=a state=\"{text}\" {}\n", TIME_MS * 1_000_000 + ns);
    for line in [ns(100, "open"), ns(700, "shut"), ns(300, "stuck")] {
        assert_eq!(running.client().post("/write?db=story", &[], line.as_bytes()).status, 204);
    }
    assert_eq!(running.client().query("valve_state_info == 1", TIME_MS).len(), 1, "one state at a time");
    // What stood before a start is ended behind it, whether it is in the log or in files.
    for (at, text) in [(120, "running"), (150, "stopped"), (180, "running")] {
        if at == 150 {
            running.client().admin("/admin/seal");
        }
        running.kill();
        running = daemon(data.path(), &settings);
        running.client().write(&line(text, at));
        assert_eq!(state(&running, at + 1), [text], "after a start, at {at}");
    }
    for (at, want) in want {
        assert_eq!(state(&running, at), [want], "at {at}, after the starts");
    }
}
