//! The story: a client goes wrong and puts something new into a tag of every line. What was there before goes on; the
//! flood is refused, by name, without end and without much memory.
//!
//! It would fail where a limit keeps out what is there already, where one that is reached stops the rest of a request,
//! where the answer leaves the reader to guess, or where a restart forgets to count.

use crate::support::daemon::Daemon;
use crate::support::http::Client;

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

/// Series that there may be in these stories.
const SERIES_MAX: usize = 100;

/// New ones that come on top.
const FLOOD: usize = 20_000;

/// A line for each of these hosts, with one field.
fn lines(hosts: impl Iterator<Item = usize>, time: i64) -> String {
    hosts.map(|host| format!("cpu,dc=eu,host=h{host} v={host} {time}\n")).collect()
}

fn refused(client: &mut Client, path: &str, body: &str) -> serde_json::Value {
    let answer = client.post(path, &[], body.as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    answer.json()
}

#[test]
fn old_series_go_on_beside_a_flood_of_new_ones() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let max = SERIES_MAX.to_string();
    let settings = [("cardinality.max_series", max.as_str())];
    let daemon = Daemon::start(data.path(), &settings);
    let mut client = daemon.client();
    client.write(&lines(0..SERIES_MAX, TIME_MS));

    let flood = lines(SERIES_MAX..SERIES_MAX + FLOOD, TIME_MS);
    for round in 1..=3 {
        let answer = refused(&mut client, "/write?db=story&precision=ms", &flood);
        let first = &answer["lines"][0];
        assert_eq!((&answer["written"], &answer["dropped"]), (&0.into(), &FLOOD.into()));
        assert_eq!(first["reason"], "too_many_series");
        assert_eq!(
            first["message"],
            "a new series of measurement `cpu` would pass the 100 series of cardinality.max_series; of its tags, \
             `host` has the most values, 100"
        );
        client.write(&lines(0..SERIES_MAX, TIME_MS + round * 1000));
    }

    // Old and new in one body, in an order and a spelling that were not seen before.
    let mixed =
        format!("cpu,host=h0,dc=eu v=1 {0}\ncpu,host=new,dc=eu v=1 {0}\ncpu,host=h1,dc=eu v=1 {0}\n", TIME_MS + 9000);
    let answer = refused(&mut client, "/write?db=story&precision=ms", &mixed);
    assert_eq!(
        (&answer["written"], &answer["dropped"], &answer["lines"][0]["line"]),
        (&2.into(), &1.into(), &2.into())
    );
    let more = refused(&mut client, "/write?db=story&precision=ms", &format!("cpu,dc=eu,host=h0 v=1,w=1 {TIME_MS}"));
    assert_eq!(more["lines"][0]["reason"], "too_many_series", "a field that is new is a series that is new");

    let too_many = "sealine_rejected_lines_total{protocol=\"http\",reason=\"too_many_series\"}";
    assert_eq!(client.metric(too_many), (3 * FLOOD + 2) as f64);
    assert_eq!(client.metric("sealine_tier_series{tier=\"memory\"}"), SERIES_MAX as f64);
    assert_eq!(client.number("count(cpu_v)", TIME_MS + 3000), SERIES_MAX as f64);

    // Once more with a limit below what the log has: all of it is replayed, and none comes in.
    daemon.kill();
    let daemon = Daemon::start(data.path(), &[("cardinality.max_series", "50")]);
    let mut client = daemon.client();
    assert_eq!(client.metric("sealine_tier_series{tier=\"memory\"}"), SERIES_MAX as f64);
    client.write(&lines(0..SERIES_MAX, TIME_MS + 4000));
    let answer = refused(&mut client, "/write?db=story&precision=ms", &lines(SERIES_MAX..SERIES_MAX + 1, TIME_MS));
    assert_eq!(answer["dropped"], 1);

    // And with one more than it has: exactly one comes in.
    daemon.kill();
    let daemon = Daemon::start(data.path(), &[("cardinality.max_series", "101")]);
    let mut client = daemon.client();
    let answer = refused(&mut client, "/write?db=story&precision=ms", &lines(SERIES_MAX..SERIES_MAX + 2, TIME_MS));
    assert_eq!((&answer["written"], &answer["dropped"]), (&1.into(), &1.into()));
    daemon.stop();
}

#[test]
fn each_narrower_limit_names_itself_and_leaves_the_others_alone() {
    let data = tempfile::tempdir().expect("a folder for the test");
    for (name, setting, reason, spared) in [
        (
            "database",
            "cardinality.max_series_per_database",
            "too_many_database_series",
            ("/write?db=other&precision=ms", "cpu,dc=eu,host=h2 v=1"),
        ),
        (
            "measurement",
            "cardinality.max_series_per_measurement",
            "too_many_measurement_series",
            ("/write?db=story&precision=ms", "mem,dc=eu,host=h2 v=1"),
        ),
        (
            "tag",
            "cardinality.max_values_per_tag",
            "too_many_tag_values",
            ("/write?db=story&precision=ms", "cpu,dc=us,host=h1 v=1"),
        ),
    ] {
        let daemon = Daemon::start(&data.path().join(name), &[(setting, "2")]);
        let mut client = daemon.client();
        client.write(&lines(0..2, TIME_MS));
        let answer = refused(&mut client, "/write?db=story&precision=ms", &lines(1..3, TIME_MS + 1));
        assert_eq!((&answer["written"], &answer["dropped"]), (&1.into(), &1.into()), "{name}");
        assert_eq!(answer["lines"][0]["reason"], reason, "{name}");
        let message = answer["lines"][0]["message"].as_str().expect("a sentence");
        for word in ["`cpu`", "`host`", setting] {
            assert!(message.contains(word), "{name}: {word} in {message}");
        }
        assert_eq!(client.post(spared.0, &[], format!("{} {TIME_MS}", spared.1).as_bytes()).status, 204, "{name}");
    }
}

#[test]
fn databases_are_limited_but_for_those_that_the_configuration_names() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let settings = [("cardinality.max_databases", "2"), ("udp.database", "named")];
    let daemon = Daemon::start(data.path(), &settings);
    let mut client = daemon.client();
    for (database, status) in [("a", 204), ("b", 204), ("c", 400), ("a", 204), ("named", 204), ("d", 400)] {
        let answer =
            client.post(&format!("/write?db={database}&precision=ms"), &[], format!("m v=1 {TIME_MS}").as_bytes());
        assert_eq!(answer.status, status, "{database}: {}", answer.text());
    }
    let answer = refused(&mut client, "/write?db=c", "m v=1");
    assert_eq!(answer["error"], "a new database \"c\" would pass the 2 databases of cardinality.max_databases");
    assert_eq!(client.metric("sealine_rejected_requests_total{reason=\"too_many_databases\"}"), 3.0);

    // What is in files alone counts as well.
    client.admin("/admin/seal");
    daemon.stop();
    let daemon = Daemon::start(data.path(), &[("cardinality.max_databases", "3"), ("udp.database", "u")]);
    refused(&mut daemon.client(), "/write?db=c", "m v=1");
}
