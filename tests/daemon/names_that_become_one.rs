//! The story: agents send names that PromQL cannot tell apart, and whoever looks at a dashboard is told which, and that there
//! are such queries at all.
//!
//! It would fail where an answer has values of two fields and no warning, where the warning is there for each series, or
//! where a query beside it has one.

use crate::support::daemon::Daemon;
use crate::support::http::{Client, seconds};
use serde_json::{Value, json};

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

/// The warnings of an instant query, and of the same over a range.
fn warnings(client: &mut Client, query: &str) -> [Value; 2] {
    let (start, end) = (seconds(TIME_MS - 60_000), seconds(TIME_MS));
    let range = [("query", query), ("start", &start), ("end", &end), ("step", "15")];
    let instant = client.ask("/api/v1/query", &[("query", query), ("time", &end)]);
    [instant, client.ask("/api/v1/query_range", &range)].map(|answer| answer["warnings"].clone())
}

#[test]
fn an_answer_names_the_fields_that_it_merged_and_such_queries_are_counted() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let mut daemon = Daemon::start(data.path(), &[]);
    for host in ["a", "b"] {
        daemon.client().write(&format!(
            "m,host={host} file.max=1,file-max=2,other=3 {TIME_MS}\na.b,host={host} x=1 {TIME_MS}\na-b,host={host} x=2 {TIME_MS}\n"
        ));
    }
    let sentence = |metric: &str, one: &str, other: &str| {
        format!("the metric {metric:?} merges the columns {one} and {other}: rename one, or change [naming]")
    };
    let fields = sentence("m_file_max", "\"m\".\"file-max\"", "\"m\".\"file.max\"");
    let measurements = sentence("a_b_x", "\"a-b\".\"x\"", "\"a.b\".\"x\"");
    for when in ["in memory", "sealed", "after a start"] {
        match when {
            "sealed" => drop(daemon.client().admin("/admin/seal")),
            "after a start" => {
                daemon.kill();
                daemon = Daemon::start(data.path(), &[]);
            }
            _ => {}
        }
        let mut client = daemon.client();
        let counted = client.metric("sealine_query_name_collisions_total");
        for (query, want) in [
            ("m_file_max", json!([fields])),
            ("sum(rate(m_file_max[1m])) or m_file_max", json!([fields])),
            ("a_b_x{host=\"a\"}", json!([measurements])),
            ("m_file_max + a_b_x", json!([measurements, fields])),
            ("m_other", Value::Null),
        ] {
            assert_eq!(warnings(&mut client, query), [want.clone(), want], "{query}, {when}");
        }
        assert_eq!(client.metric("sealine_query_name_collisions_total") - counted, 8.0, "{when}");
    }
}
