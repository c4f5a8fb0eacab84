//! What is told of queries under way, and of those that have ended.

use super::sockets::until;
use super::*;
use sealine_telemetry::Outcome;
use std::sync::atomic::Ordering;

const HANG: &str =
    "GET /api/v1/query?query=hang&time=5 HTTP/1.1\r\nhost: x\r\nx-dashboard-uid: d1\r\nx-panel-id: 7\r\n\r\n";

/// The list, as a client gets it.
async fn list(stand: &Stand) -> Vec<serde_json::Value> {
    let answer = stand.client().await.get("/api/v1/status/active_queries").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    json["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn queries_under_way_are_listed_the_oldest_first() {
    let stand = Stand::with(Options { query_concurrency: 1, ..options() }, limits()).await;
    assert!(list(&stand).await.is_empty());
    let mut hog = stand.client().await;
    hog.send(HANG).await;
    until("the query runs", || stand.backend.hanging.load(Ordering::SeqCst) == 1).await;
    let mut second = stand.client().await;
    second.send("GET /api/v1/label/a/values?match[]=up&match[]=load&start=1&end=2 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until("another waits", || stand.recorder.waiting.load(Ordering::SeqCst) == 1).await;

    let listed = list(&stand).await;
    let fields = |at: usize, names: &[&str]| names.iter().map(|name| listed[at][name].clone()).collect::<Vec<_>>();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let names = ["state", "path", "query", "time", "arrived", "dashboardUid", "panelId"];
    let arrived = "2015-07-01T20:10:51.781Z";
    assert_eq!(fields(0, &names), ["running", "/api/v1/query", "hang", "5", arrived, "d1", "7"]);
    let names = ["state", "path", "query", "start", "end"];
    assert_eq!(fields(1, &names), ["waiting", "/api/v1/label/a/values", "up or load", "1", "2"]);
    assert!(listed[0]["id"].as_u64() < listed[1]["id"].as_u64());
    assert!(listed[0]["ageSeconds"].as_f64() >= listed[1]["ageSeconds"].as_f64());
    assert!(listed[0]["client"].as_str().unwrap().starts_with("127.0.0.1:"));

    drop(hog);
    assert!(second.read(false).await.text().contains(r#""data":[]"#), "its turn has come");
    until("both have ended", || stand.recorder.queries.lock().len() == 2).await;
    assert!(list(&stand).await.is_empty());
    assert_eq!(stand.recorder.waiting.load(Ordering::SeqCst) + stand.recorder.running.load(Ordering::SeqCst), 0);
    let ended = stand.recorder.queries.lock().clone();
    let want = [("/api/v1/query", Outcome::Cancelled, false), ("/api/v1/label/*/values", Outcome::Ok, false)];
    assert_eq!(ended, want);
}

#[tokio::test]
async fn each_end_is_told_as_what_it_was() {
    for (query, want) in [
        ("query=1", Outcome::Ok),
        ("query=1&time=x", Outcome::Invalid),
        ("query=1&timeout=x", Outcome::Invalid),
        ("query=", Outcome::Invalid),
        ("query=too_much", Outcome::Limit),
        ("query=late", Outcome::Timeout),
        ("query=broken", Outcome::Failed),
        ("query=panic", Outcome::Failed),
        ("query=hang&timeout=1ms", Outcome::Timeout),
    ] {
        let stand = Stand::start().await;
        stand.client().await.get(&format!("/api/v1/query?{query}")).await;
        until("the query has ended", || !stand.recorder.queries.lock().is_empty()).await;
        assert_eq!(*stand.recorder.queries.lock(), [("/api/v1/query", want, false)], "{query}");
    }
}

#[tokio::test]
async fn a_query_that_finds_no_place_has_ended_in_the_queue() {
    let options = Options { query_concurrency: 1, queue_timeout: Duration::from_millis(20), ..options() };
    let stand = Stand::with(options, limits()).await;
    let mut hog = stand.client().await;
    hog.send(HANG).await;
    until("the query runs", || stand.backend.hanging.load(Ordering::SeqCst) == 1).await;
    assert_eq!(stand.client().await.get("/api/v1/query?query=1").await.status, 503);
    until("the query has ended", || !stand.recorder.queries.lock().is_empty()).await;
    assert_eq!(*stand.recorder.queries.lock(), [("/api/v1/query", Outcome::Queue, false)]);
}

#[tokio::test]
async fn only_slow_queries_are_told_to_be_slow() {
    for (slow, query, want) in [
        (0, "nap", false),
        (100, "nap", true),
        (100, "1", false),
        (60_000, "nap", false),
        (100, "hang&timeout=150ms", true),
    ] {
        let stand = Stand::with(Options { slow: Duration::from_millis(slow), ..options() }, limits()).await;
        stand.client().await.get(&format!("/api/v1/query?query={query}")).await;
        until("the query has ended", || !stand.recorder.queries.lock().is_empty()).await;
        assert_eq!(stand.recorder.queries.lock()[0].2, want, "{query}, slow from {slow}ms on");
    }
}

#[tokio::test]
async fn a_long_text_is_shown_in_part() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let form = format!("query=hang{}", "+".repeat(10_000));
    client
        .send(format!("POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{form}", form.len()))
        .await;
    until("the query runs", || stand.backend.hanging.load(Ordering::SeqCst) == 1).await;
    let listed = list(&stand).await;
    let text = listed[0]["query"].as_str().unwrap();
    assert!(text.starts_with("hang ") && text.ends_with(" …") && text.len() < 2100, "{} bytes", text.len());
}
