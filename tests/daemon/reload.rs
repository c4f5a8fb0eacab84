//! The story: the configuration changes while the daemon runs. What can take effect does, at once and without losing a
//! connection; what cannot is named; and a file that is wrong changes nothing.
//!
//! It would fail where a part goes on by the old values, where half of a bad file is taken, where a token that was taken
//! out still opens something, or where nobody is told what waits for a restart.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Answer, Client};
use rustix::process::Signal;
use sealine::config::{Right, Token};
use std::path::PathBuf;
use tempfile::TempDir;

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

/// A daemon whose configuration stands in a file.
struct Configured {
    daemon: Daemon,
    file: PathBuf,
    _folder: TempDir,
}

impl Configured {
    fn start(text: &str) -> Configured {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("sealine.toml");
        write(&file, text);
        let daemon = Daemon::start_with(&file, &folder.path().join("data"));
        Configured { daemon, file, _folder: folder }
    }

    /// Writes another configuration, and has it read by a request.
    fn reload(&self, text: &str) -> Answer {
        write(&self.file, text);
        self.daemon.client().post("/-/reload", &[], b"")
    }

    /// A line of the log that has all of these, sooner or later.
    fn logged(&self, parts: &[&str]) -> String {
        let has = |line: &String| parts.iter().all(|part| line.contains(part));
        eventually(&format!("{parts:?} in the log"), || self.daemon.log().into_iter().find(has))
    }
}

#[expect(clippy::disallowed_methods, reason = "a test sets up its file")]
fn write(file: &std::path::Path, text: &str) {
    std::fs::write(file, text).expect("the test's folder is writable");
}

fn token(name: &str, rights: &[Right]) -> (String, String) {
    let (text, token) = Token::fresh(name, rights, &[]).expect("there are random bits");
    (text, token.to_block())
}

/// The status of a POST with this token, or with none.
fn status(client: &mut Client, path: &str, token: Option<&str>, body: &str) -> u16 {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|value| ("Authorization", value.as_str())).collect();
    client.post(path, &headers, body.as_bytes()).status
}

#[test]
fn a_token_opens_from_the_reload_on_and_one_that_was_taken_out_no_more() {
    let (chief, chief_block) = token("chief", &[Right::Admin]);
    let (old, old_block) = token("agent", &[Right::Write]);
    let (new, new_block) = token("agent", &[Right::Write]);
    let configured = Configured::start(&format!("{chief_block}{old_block}"));
    let mut client = configured.daemon.client();
    let mut writes = |token: &str| status(&mut client, "/write?db=story", Some(token), "m v=1");
    assert_eq!((writes(&old), writes(&new)), (204, 401));

    // Only who administrates may reload, and the new file counts for nothing until somebody does.
    write(&configured.file, &format!("{chief_block}{new_block}"));
    for (token, want) in [(None, 401), (Some(&*new), 401), (Some(&*old), 403)] {
        assert_eq!(status(&mut configured.daemon.client(), "/-/reload", token, ""), want, "{token:?}");
    }
    assert_eq!((writes(&old), writes(&new)), (204, 401));

    let bearer = format!("Bearer {chief}");
    let answer = configured.daemon.client().post("/-/reload", &[("Authorization", &bearer)], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), serde_json::json!({ "changed": ["token"], "needs_restart": [] }));
    // On the connection that was open all the time.
    assert_eq!((writes(&old), writes(&new)), (401, 204));
}

#[test]
fn a_bad_file_changes_nothing_and_says_what_is_wrong_with_it() {
    let good = "[cardinality]\nmax_series = 1\n";
    let configured = Configured::start(good);
    let mut client = configured.daemon.client();
    client.write(&format!("cpu,host=a v=1 {TIME_MS}"));
    let (hash, since) =
        (client.metric("sealine_config_hash"), client.metric("sealine_config_last_reload_success_timestamp_seconds"));
    assert_eq!(client.metric("sealine_config_last_reload_successful"), 1.0);
    assert!(since > 1_700_000_000.0, "{since}");

    let file = configured.file.display().to_string();
    for (name, text, parts) in [
        ("two_faults", "[cardinality]\nmax_series = 2\nmax_serie = 3\n[log]\nlevel = 'loud'", &[":3: ", ":5: "][..]),
        ("not_toml", "[cardinality]\nmax_series = = 2", &["is not TOML", "line 2"]),
        ("open_to_strangers", "[cardinality]\nmax_series = 2\n[tcp]\nlisten = '0.0.0.0:0'", &[":4: ", "tcp.listen"]),
    ] {
        let answer = configured.reload(text);
        assert_eq!(answer.status, 422, "{name}: {}", answer.text());
        let error = answer.json()["error"].as_str().expect("a sentence").to_string();
        for part in parts.iter().chain([&file.as_str()]) {
            assert!(error.contains(part), "{name}: {part} is not in {error}");
        }
        configured.logged(&["ERROR", "by=\"request\"", "stays in force", parts[0]]);
        assert_eq!(client.metric("sealine_config_last_reload_successful"), 0.0, "{name}");
        let body = format!("cpu,host=b v=1 {TIME_MS}");
        assert_eq!(
            client.post("/write?db=story&precision=ms", &[], body.as_bytes()).status,
            400,
            "{name}: the old limit"
        );
    }
    configured.daemon.signals()(Signal::HUP);
    configured.logged(&["ERROR", "by=\"SIGHUP\"", &file, "tcp.listen"]);
    let info = client.get("/api/v1/status/runtimeinfo").json();
    assert_eq!(info["data"]["reloadConfigSuccess"], false);
    assert_eq!(
        (client.metric("sealine_config_hash"), client.metric("sealine_config_last_reload_success_timestamp_seconds")),
        (hash, since)
    );

    // The same as in the beginning is a good one again.
    assert_eq!(configured.reload(good).json(), serde_json::json!({ "changed": [], "needs_restart": [] }));
    assert_eq!(client.metric("sealine_config_last_reload_successful"), 1.0);
    assert_eq!(client.metric("sealine_config_hash"), hash);
    assert!(client.metric("sealine_config_last_reload_success_timestamp_seconds") > since);
}

#[test]
fn a_raised_limit_lets_in_what_was_refused_and_a_lowered_one_lets_go_on_what_is_there() {
    let limit = |series: u32| format!("[cardinality]\nmax_series = {series}\n");
    let configured = Configured::start(&limit(2));
    let mut client = configured.daemon.client();
    let mut write_hosts = |hosts: &[&str], time: i64| {
        let lines: String = hosts.iter().map(|host| format!("cpu,host={host} v=1 {time}\n")).collect();
        client.post("/write?db=story&precision=ms", &[], lines.as_bytes()).status
    };
    assert_eq!((write_hosts(&["a", "b"], TIME_MS), write_hosts(&["c"], TIME_MS)), (204, 400));

    write(&configured.file, &limit(3));
    configured.daemon.signals()(Signal::HUP);
    configured.logged(&["configuration reloaded", "by=\"SIGHUP\"", "changed=\"cardinality.max_series\""]);
    assert_eq!((write_hosts(&["c"], TIME_MS), write_hosts(&["d"], TIME_MS)), (204, 400));

    assert_eq!(configured.reload(&limit(1)).json()["changed"][0], "cardinality.max_series");
    assert_eq!((write_hosts(&["a", "b", "c"], TIME_MS + 1), write_hosts(&["d"], TIME_MS)), (204, 400));
    assert_eq!(client.number("count(cpu_v)", TIME_MS + 1), 3.0);
}

#[test]
fn what_needs_a_restart_is_named_each_time_and_the_rest_is_in_force() {
    let configured = Configured::start("[seal]\ninterval = '1s'\n[query]\nmax_samples = 100\n");
    let mut client = configured.daemon.client();
    client.write(&format!("cpu v=1 {TIME_MS}\ncpu v=2 {}", TIME_MS + 1));
    assert_eq!(client.number("sum_over_time(cpu_v[1m])", TIME_MS + 1), 3.0);

    let text = "[http]\nmax_connections = 7\n[wal]\nsync = 'never'\n[seal]\ninterval = '1s'\n[query]\nmax_samples = 1\n[log]\nlevel = 'debug'\n";
    let answer = configured.reload(text).json();
    let waiting = ["http.max_connections", "wal.sync"];
    assert_eq!(answer, serde_json::json!({ "changed": ["log.level", "query.max_samples"], "needs_restart": waiting }));
    configured.logged(&["WARN", "needs a restart: http.max_connections, wal.sync"]);

    let question = format!("/api/v1/query?query=sum_over_time(cpu_v[1m])&time={}", (TIME_MS + 1) as f64 / 1000.0);
    let refused = client.get(&question);
    assert_eq!((refused.status, refused.text().contains("query.max_samples")), (422, true), "{}", refused.text());
    let shown = client.get("/api/v1/status/config").json()["data"]["yaml"].as_str().expect("a text").to_string();
    for (line, want) in [("max_connections = 1024", true), ("sync = \"always\"", true), ("max_samples = 1\n", true)] {
        assert_eq!(shown.contains(line), want, "{line} in {shown}");
    }
    // What happens to be told of at the level `debug` alone: that a seal is due.
    client.write(&format!("other v=1 {TIME_MS}"));
    configured.logged(&["DEBUG"]);

    // It is named again as long as it waits, and no longer.
    let answer = configured.reload(text).json();
    assert_eq!(answer, serde_json::json!({ "changed": [], "needs_restart": waiting }));
    let answer = configured.reload("[seal]\ninterval = '1s'\n[query]\nmax_samples = 100\n").json();
    assert_eq!(answer, serde_json::json!({ "changed": ["log.level", "query.max_samples"], "needs_restart": [] }));
    assert_eq!(client.number("sum_over_time(cpu_v[1m])", TIME_MS + 1), 3.0);
}

#[test]
fn other_rules_of_naming_hold_for_what_is_stored_and_for_what_comes() {
    let configured = Configured::start("[[database]]\nname = 'story'\n");
    let mut client = configured.daemon.client();
    client.write(&format!("disk,dev-name=a used-bytes=1 {TIME_MS}"));
    assert_eq!(client.post("/admin/seal", &[], b"").status, 200);
    client.write(&format!("disk,dev-name=a used-bytes=2 {}", TIME_MS + 1));
    let found = |client: &mut Client, selector: &str| {
        let start = TIME_MS as f64 / 1000.0 - 1.0;
        let series = client.get(&format!("/api/v1/series?match[]={selector}&start={start}&end={}", start + 2.0)).json();
        let query = format!("/api/v1/query?query=sum(sum_over_time({selector}[1m]))&time={}", start + 2.0);
        let sum = client.get(&query).json()["data"]["result"][0]["value"][1].clone();
        (series["data"].clone(), sum)
    };
    let before = serde_json::json!([{"__name__": "disk_used_bytes", "db": "story", "dev_name": "a"}]);
    assert_eq!(found(&mut client, "disk_used_bytes"), (before.clone(), "3".into()));

    let rules =
        "[[database]]\nname = 'story'\n[database.naming]\ntemplate = 'x.{field}'\nnames = 'utf8'\ndb_label = false\n";
    assert_eq!(configured.reload(rules).json(), serde_json::json!({ "changed": ["database"], "needs_restart": [] }));
    client.write(&format!("disk,dev-name=a used-bytes=4 {}", TIME_MS + 2));
    client.write(&format!("disk,dev-name=b used-bytes=8 {}", TIME_MS + 2));
    let (a, b) = ("%7B%22x.used-bytes%22,%22dev-name%22=%22a%22%7D", "%7B%22x.used-bytes%22,%22dev-name%22=%22b%22%7D");
    let after = |host: &str| serde_json::json!([{"__name__": "x.used-bytes", "dev-name": host}]);
    assert_eq!(found(&mut client, a), (after("a"), "7".into()));
    assert_eq!(found(&mut client, b), (after("b"), "8".into()));
    assert_eq!(found(&mut client, "disk_used_bytes"), (serde_json::json!([]), serde_json::Value::Null));
    let names = client.get("/api/v1/label/__name__/values").json()["data"].to_string();
    assert!(names.contains("x.used-bytes") && !names.contains("disk_used_bytes"), "{names}");

    assert_eq!(client.post("/admin/seal", &[], b"").status, 200);
    assert_eq!(configured.reload("[[database]]\nname = 'story'\n").json()["changed"], serde_json::json!(["database"]));
    let (series, sum) = found(&mut client, "disk_used_bytes%7Bdev_name=%22a%22%7D");
    assert_eq!((series, sum), (before, "7".into()), "as in the beginning");
}
