//! The story: somebody comes from InfluxDB with databases and retention policies, and finds them here: kept apart, each with
//! a label that says which, and with a retention of its own.
//!
//! It would fail where points of two policies meet, where a query cannot tell them apart or find them together, where one
//! is kept for as long as the other, or where a slip in a name makes a database though it must not.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::Client;
use std::collections::BTreeSet;

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

fn write(client: &mut Client, path: &str, line: &str) {
    let answer = client.post(path, &[], format!("{line} {TIME_MS}").as_bytes());
    assert_eq!((answer.status, answer.text()), (204, ""), "{path}");
}

/// The values of what a selector finds.
fn values(client: &mut Client, selector: &str) -> BTreeSet<i64> {
    client.query(selector, TIME_MS).into_values().map(|samples| samples[0].1 as i64).collect()
}

#[test]
fn points_of_two_policies_are_kept_apart_and_have_the_label_rp() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    for (path, value) in [
        ("/write?db=story&rp=raw&precision=ms", 1),
        ("/write?db=story&rp=hourly&precision=ms", 2),
        ("/write?db=story&rp=autogen&precision=ms", 3),
        ("/api/v2/write?bucket=story/raw&precision=ms", 4),
        ("/write?db=other&rp=hourly&precision=ms", 5),
    ] {
        write(&mut client, path, &format!("m value={value}"));
    }
    // From the log, from files, and after a start.
    for round in 0..3 {
        match round {
            0 => {}
            1 => drop(client.admin("/admin/seal")),
            _ => {
                daemon.kill();
                daemon = Daemon::start(data.path(), &[]);
                client = daemon.client();
            }
        }
        for (selector, want) in [
            ("m{db=\"story\"}", &[2, 3, 4][..]),
            ("m{db=\"story\",rp=\"\"}", &[3]),
            ("m{db=\"story\",rp=\"raw\"}", &[4]),
            ("m{db=\"story\",rp!=\"raw\"}", &[2, 3]),
            ("m{db=\"story\",rp=~\"raw|hourly\"}", &[2, 4]),
            ("m{rp=\"hourly\"} > 2", &[5]),
            ("m{db=\"story/raw\"}", &[]),
        ] {
            assert_eq!(values(&mut client, selector), want.iter().copied().collect(), "{selector}, round {round}");
        }
        let names = |client: &mut Client, path: &str| client.get(path).json()["data"].clone();
        assert_eq!(names(&mut client, "/api/v1/label/rp/values"), serde_json::json!(["hourly", "raw"]));
        assert_eq!(names(&mut client, "/api/v1/label/db/values"), serde_json::json!(["other", "story"]));
        // The parameter goes by databases, of which a policy is one.
        for (database, want) in [("story", 3), ("story/hourly", 2)] {
            let at = (TIME_MS / 1000).to_string();
            let found = client.ask("/api/v1/query", &[("query", "m"), ("db", database), ("time", &at)]);
            let found = &found["data"]["result"];
            assert_eq!(found.as_array().map(Vec::len), Some(1), "{database}: {found}");
            assert_eq!(found[0]["value"][1], want.to_string(), "{database}");
        }
    }
}

#[test]
fn a_tag_rp_gives_way_only_where_the_label_is_ours() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[]);
    let mut client = daemon.client();
    write(&mut client, "/write?db=story&precision=ms", "m,rp=east value=1");
    write(&mut client, "/write?db=story&rp=raw&precision=ms", "m,rp=east value=2");
    for (selector, want) in
        [("m{rp=\"east\"}", &[1][..]), ("m{rp=\"raw\",exported_rp=\"east\"}", &[2]), ("m{db=\"story\"}", &[1, 2])]
    {
        assert_eq!(values(&mut client, selector), want.iter().copied().collect(), "{selector}");
    }
}

/// The answer to `SHOW RETENTION POLICIES`: names and durations.
fn shown(client: &mut Client, database: &str) -> Vec<(String, String)> {
    let answer = client.ask("/query", &[("q", "SHOW RETENTION POLICIES"), ("db", database)]);
    let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_string();
    rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test sets up its file")]
fn a_policy_keeps_for_as_long_as_its_block_says() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let file = data.path().join("sealine.toml");
    let blocks = "[[database]]\nname = \"story/hourly\"\n[database.retention]\ndisk = \"36500d\"\n\
                  [[database]]\nname = \"story\"\n[database.retention]\ndisk = \"30d\"\n\
                  [database.naming]\nelide_field = \"v\"\n";
    std::fs::write(&file, blocks).expect("the test's folder is writable");
    let daemon = Daemon::start_with(&file, &data.path().join("data"));
    let mut client = daemon.client();
    let row = |name: &str, duration: &str| (name.to_string(), duration.to_string());
    let want = [row("autogen", "720h0m0s"), row("hourly", "876000h0m0s")];
    assert_eq!(shown(&mut client, "story"), want, "before the first line");

    let old = format!("old v=1 {TIME_MS}");
    write(&mut client, "/write?db=story&rp=hourly&precision=ms", "old v=1");
    for path in ["/write?db=story&precision=ms", "/write?db=story&rp=other&precision=ms"] {
        let answer = client.post(path, &[], old.as_bytes());
        assert_eq!(answer.status, 400, "{path}");
        let error = answer.json()["error"].clone();
        assert_eq!(error, "partial write: points beyond retention policy dropped=1", "{path}");
    }
    client.admin("/admin/seal");
    assert_eq!(values(&mut client, "old{db=\"story\",rp=\"hourly\"}"), [1].into(), "it is called as its database says");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test sets up its file")]
fn a_token_for_a_database_has_no_policy_that_it_does_not_name() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let file = data.path().join("sealine.toml");
    let hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"; // of `secret`
    let token = |name: &str, hash: &str, databases: &str| {
        format!(
            "[[token]]\nname = \"{name}\"\nhash = \"{hash}\"\nrights = [\"read\", \"write\"]\ndatabases = {databases}\n"
        )
    };
    // printf abc | sha256sum
    let other = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let tokens = [token("one", hash, "[\"story\"]"), token("both", other, "[\"story\", \"story/raw\"]")].concat();
    std::fs::write(&file, tokens).expect("the test's folder is writable");
    let daemon = Daemon::start_with(&file, &data.path().join("data"));
    let mut client = daemon.client();
    for (secret, write_to_policy, found) in [("abc", 204, 2), ("secret", 403, 1)] {
        let bearer = format!("Bearer {secret}");
        let mut post = |path: &str, body: &[u8]| {
            let form = "application/x-www-form-urlencoded";
            client.post(path, &[("Authorization", &bearer), ("Content-Type", form)], body)
        };
        assert_eq!(post("/write?db=story", b"m value=1").status, 204, "{secret}");
        assert_eq!(post("/write?db=story&rp=raw", b"m value=1").status, write_to_policy, "{secret}");
        let answer = post("/api/v1/query", b"query=m{db=%22story%22}").json();
        assert_eq!(answer["data"]["result"].as_array().map(Vec::len), Some(found), "{secret}: {answer}");
    }
}

#[test]
fn a_write_makes_no_database_where_it_must_not() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let data = data.path();
    Daemon::start(data, &[]).client().write(&format!("m v=1 {TIME_MS}"));
    let strict = [("ingest.make_databases", "false"), ("udp.database", "sensors")];
    let daemon = Daemon::start(data, &strict);
    let mut client = daemon.client();
    let mut post = |path: &str| client.post(path, &[], b"m v=1");
    for path in ["/write?db=story", "/api/v2/write?bucket=story", "/api/v3/write_lp?db=story", "/write?db=sensors"] {
        assert_eq!(post(path).status, 204, "{path}: it has samples, or a listener writes to it");
    }
    for (path, member, want) in [
        ("/write?db=stroy", "error", "database not found: \"stroy\""),
        ("/write?db=stroy&rp=raw", "error", "database not found: \"stroy\""),
        ("/write?db=story&rp=raw", "error", "retention policy not found: raw"),
        ("/write", "error", "database not found: \"default\""),
        ("/api/v2/write?bucket=stroy", "message", "bucket \"stroy\" not found"),
        ("/api/v2/write?bucket=story/raw", "message", "bucket \"story/raw\" not found"),
        ("/api/v3/write_lp?db=stroy", "error", "database not found: \"stroy\""),
    ] {
        let answer = post(path);
        assert_eq!((answer.status, &answer.json()[member]), (404, &want.into()), "{path}");
    }
    assert_eq!(post("/api/v2/write?bucket=stroy").json()["code"], "not found");
    assert_eq!(client.metric("sealine_rejected_requests_total{reason=\"not_found\"}"), 8.0);
    let told = |line: &String| line.contains("database not found") && line.contains("POST /write");
    eventually("the log says it", || daemon.log().iter().any(told).then_some(()));

    for (statement, path) in [
        ("CREATE DATABASE new", "/write?db=new"),
        ("CREATE RETENTION POLICY raw ON story DURATION INF REPLICATION 1", "/write?db=story&rp=raw"),
    ] {
        client.ask("/query", &[("q", statement)]);
        assert_eq!(client.post(path, &[], b"m v=1").status, 204, "{statement}");
    }
    daemon.stop();
    let daemon = Daemon::start(data, &strict);
    for path in ["/write?db=new", "/write?db=story&rp=raw"] {
        assert_eq!(daemon.client().post(path, &[], b"m v=1").status, 204, "{path}, after a start");
    }
}
