//! What writers ask before they write, and what they are told.

use super::*;
use serde_json::Value as Json;

fn form(query: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("q", query).finish()
}

fn json(answer: &client::Answer) -> Json {
    serde_json::from_str(answer.text()).unwrap()
}

#[tokio::test]
async fn databases_and_policies_of_influxql() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let result = |body: &str| format!(r#"{{"results":[{{{body}}}]}}"#);
    let done = || result(r#""statement_id":0"#);
    let error = |what: &str| result(&format!(r#""error":"{what}","statement_id":0"#));
    let warning = |what: &str| {
        result(&format!(r#""messages":[{{"level":"warning","text":"retention policy {what}"}}],"statement_id":0"#))
    };
    let kept = "how long samples stay is retention.disk in the configuration, which is";
    let policies = |rows: &str| {
        let columns = r#"["name","duration","shardGroupDuration","replicaN","default"]"#;
        result(&format!(r#""series":[{{"columns":{columns},"values":[{rows}]}}],"statement_id":0"#))
    };
    for (query, status, want) in [
        ("DROP DATABASE d", 200, done()),
        ("SHOW RETENTION POLICIES ON d", 200, error("database not found: d")),
        ("CREATE RETENTION POLICY w ON d DURATION 1w REPLICATION 1", 200, error("database not found: d")),
        (
            "CREATE DATABASE d WITH DURATION 1h",
            400,
            format!(
                r#"{{"error":"error parsing query: a database cannot be made WITH DURATION 1h yet: {kept} for ever; leave DURATION out"}}"#
            ),
        ),
        ("SHOW RETENTION POLICIES ON d", 200, error("database not found: d")),
        ("CREATE DATABASE d WITH DURATION INF REPLICATION 1", 200, done()),
        ("CREATE DATABASE short WITH DURATION 7d", 200, done()),
        (
            "CREATE DATABASE d WITH NAME own",
            200,
            warning(
                r#"\"own\" is the database \"d/own\"; it is not the default: lines that name no policy go to the database \"d\""#,
            ),
        ),
        (
            "CREATE RETENTION POLICY w ON d DURATION 1w REPLICATION 1",
            200,
            warning(&format!(r#"\"w\" is the database \"d/w\"; its duration, 7d, does not hold yet: {kept} for ever"#)),
        ),
        ("CREATE RETENTION POLICY all ON d DURATION INF REPLICATION 1", 200, done()),
        ("ALTER RETENTION POLICY autogen ON d DURATION INF DEFAULT", 200, done()),
        (
            "SHOW RETENTION POLICIES ON d",
            200,
            policies(
                r#"["autogen","0s","24h0m0s",1,true],["own","0s","24h0m0s",1,false],["w","0s","24h0m0s",1,false],["all","0s","24h0m0s",1,false]"#,
            ),
        ),
        ("SHOW RETENTION POLICIES ON short", 200, policies(r#"["autogen","168h0m0s","24h0m0s",1,true]"#)),
        ("SHOW RETENTION POLICIES", 200, error("database name required")),
        ("DROP RETENTION POLICY none ON d", 200, done()),
        (
            "DROP RETENTION POLICY w ON d",
            200,
            error(r#"retention policy \"w\" is not dropped: that cannot be done yet"#),
        ),
        (
            "DROP RETENTION POLICY autogen ON d",
            200,
            error(r#"retention policy \"autogen\" is not dropped: that cannot be done yet"#),
        ),
        (
            "DROP DATABASE d",
            200,
            error(
                r#"database \"d\" is not dropped: that cannot be done yet; retention.disk in a [[database]] block of the configuration lets old samples go"#,
            ),
        ),
        ("SHOW MEASUREMENTS", 200, error("database name required")),
        ("SHOW MEASUREMENTS ON d", 200, done()),
        (
            "SHOW MEASUREMENTS ON telegraf",
            200,
            result(r#""series":[{"columns":["name"],"name":"measurements","values":[["up"]]}],"statement_id":0"#),
        ),
        ("SHOW MEASUREMENTS ON telegraf OFFSET 1", 200, done()),
    ] {
        let answer = client.post_form("/query", &form(query)).await;
        assert_eq!((answer.status, answer.text()), (status, &*want), "{query}");
    }
}

#[tokio::test]
async fn buckets_and_organizations() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let org = client.get("/api/v2/orgs?org=home").await;
    let org = json(&org);
    assert_eq!(org["orgs"][0]["name"], "home");
    let id = org["orgs"][0]["id"].as_str().unwrap().to_string();
    assert_eq!(id.len(), 16);
    let again = client.get(&format!("/api/v2/orgs/{id}")).await;
    assert_eq!((again.status, json(&again)["id"].clone()), (200, id.clone().into()));

    let none = client.get("/api/v2/buckets?name=telegraf").await;
    assert_eq!((none.status, none.text()), (200, r#"{"buckets":[],"links":{"self":"/api/v2/buckets"}}"#));
    for (body, status, word) in [
        (format!(r#"{{"name":"telegraf","orgID":"{id}","retentionRules":[]}}"#), 201, r#""name":"telegraf""#),
        (r#"{"name":"telegraf"}"#.to_string(), 422, r#""code":"conflict""#),
        (r#"{"name":"b","retentionRules":[{"type":"expire","everySeconds":3600}]}"#.to_string(), 400, "retention.disk"),
        (
            r#"{"name":"b","retentionRules":[{"type":"expire","everySeconds":0}]}"#.to_string(),
            201,
            r#""everySeconds":0"#,
        ),
        (r#"{"name":"short","retentionRules":[{"everySeconds":604800}]}"#.to_string(), 201, r#""everySeconds":604800"#),
        ("{".to_string(), 400, r#""code":"invalid""#),
        ("{}".to_string(), 400, "missing field `name`"),
    ] {
        let answer = client.post("/api/v2/buckets", "application/json", &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(word), "{body}: {}", answer.text());
    }
    let mut names = async |query: &str| {
        let answer = client.get(&format!("/api/v2/buckets{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let answer = json(&answer);
        let buckets = answer["buckets"].as_array().unwrap().clone();
        let names: Vec<String> = buckets.iter().map(|bucket| bucket["name"].as_str().unwrap().to_string()).collect();
        (names.join(" "), buckets.last().map(|bucket| bucket["id"].as_str().unwrap().to_string()))
    };
    assert_eq!(names("").await.0, "telegraf b short");
    let (found, number) = names(&format!("?name=telegraf&orgID={id}")).await;
    let number = number.unwrap();
    assert_eq!(found, "telegraf");
    assert_eq!(names(&format!("?id={number}")).await.0, "telegraf");
    assert_eq!(names("?limit=1&offset=1").await.0, "b");
    assert_eq!(names(&format!("?after={number}")).await.0, "b short");
    let bucket = client.get(&format!("/api/v2/buckets/{number}?org=home")).await;
    let bucket = json(&bucket);
    assert_eq!((bucket["name"].clone(), bucket["orgID"].clone()), ("telegraf".into(), id.into()));
    let missing = client.get("/api/v2/buckets/0123456789abcdef").await;
    assert_eq!((missing.status, missing.text()), (404, r#"{"code":"not found","message":"bucket not found"}"#));
}
