//! How the server treats its connections: methods, forms, compression, limits, clients that leave, the end.

use super::*;
use crate::config::{Right, TokenHash};
use flate2::read::GzDecoder;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Waits until `done`, ten seconds at most.
pub async fn until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn forms_come_in_bodies_and_addresses() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    for (target, form, want) in [
        ("/api/v1/query", "query=1&time=10", r#"[10,"1"]"#),
        ("/api/v1/query?query=1&time=10", "", r#"[10,"1"]"#),
        ("/api/v1/query?time=10", "query=%31", r#"[10,"1"]"#),
        ("/api/v1/query?query=2&time=10", "query=1", r#"[10,"1"]"#),
        ("/api/v1/query_range?query=1", "start=1&end=1&step=1", r#"[1,"1"]"#),
        ("/api/v1/labels", "match[]=up", r#"["__name__","db","job"]"#),
        ("/api/v1/series", "match[]=up&match[]=load&limit=1", r#"{"__name__":"load""#),
    ] {
        let answer = client.post_form(target, form).await;
        assert_eq!(answer.status, 200, "{target} {form}: {}", answer.text());
        assert!(answer.text().contains(want), "{target} {form}: {}", answer.text());
    }
    client.send("POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n").await;
    client.send("content-length: 2\r\n\r\n{}").await;
    let answer = client.read(false).await;
    let want = r#"the body has the content type \"application/json\": want application/x-www-form-urlencoded"#;
    assert_eq!((answer.status, answer.text().contains(want)), (400, true), "{}", answer.text());
}

#[tokio::test]
async fn a_form_has_a_limit() {
    let stand = Stand::start().await;
    // Three bytes for each of a text, and 64 KiB beside it.
    let most = 3 * (256 << 10) + (64 << 10);
    for length in [most, most + 1] {
        let form = format!("query=1&x={}", "y".repeat(length - 10));
        let answer = stand.client().await.post_form("/api/v1/query", &form).await;
        let want = if length > most { 413 } else { 200 };
        assert_eq!(answer.status, want, "{length} bytes: {}", answer.text());
    }
}

#[tokio::test]
async fn a_form_of_many_parameters_is_refused() {
    let stand = Stand::start().await;
    for (count, status) in [(9_999, 200), (10_000, 413)] {
        let answer = stand.client().await.post_form("/api/v1/query", &format!("query=1{}", "&a".repeat(count))).await;
        assert_eq!(answer.status, status, "{count}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_form_that_does_not_arrive_is_given_up() {
    let stand = Stand::with(Options { body_timeout: Duration::from_millis(100), ..options() }, limits()).await;
    let mut client = stand.client().await;
    client.send("POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nquery=").await;
    let answer = client.read(false).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("the body did not arrive within 100ms (http.body_timeout)"), "{}", answer.text());
}

#[tokio::test]
async fn methods_are_checked() {
    let stand = Stand::start().await;
    for (method, target, status, allow) in [
        ("PUT", "/api/v1/query", 405, "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/v1/rules", 405, "GET, HEAD, OPTIONS"),
        ("DELETE", "/-/ready", 405, "GET, HEAD, OPTIONS"),
        ("GET", "/write", 405, "OPTIONS, POST"),
        ("GET", "/admin/seal", 405, "OPTIONS, POST"),
        ("OPTIONS", "/admin/seal", 405, "OPTIONS, POST"),
        ("OPTIONS", "/api/v1/query", 204, "GET, HEAD, OPTIONS, POST"),
        ("BREW", "/", 405, "GET, HEAD, OPTIONS"),
        ("GET", "/", 200, ""),
    ] {
        let answer = stand.client().await.ask(method, target, "content-length: 0\r\n").await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {target}");
    }
    let answer = stand.client().await.ask("PUT", "/api/v1/query", "content-length: 0\r\n").await;
    let want = concat!(
        r#"{"status":"error","errorType":"bad_data","error":"/api/v1/query does not take the method PUT: "#,
        r#"want one of GET, HEAD, OPTIONS, POST"}"#
    );
    assert_eq!(answer.text(), want);
    let index = stand.client().await.get("/").await;
    assert!(index.text().contains("GET, HEAD, OPTIONS, POST  /api/v1/query\n"), "{}", index.text());
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    for target in ["/api/v1/query?query=1&time=10", "/ping", "/health", "/-/ready"] {
        let get = client.get(target).await;
        let head = client.ask("HEAD", target, "").await;
        let length = |answer: &client::Answer| answer.header("content-length").to_string();
        assert_eq!((head.status, length(&head)), (get.status, length(&get)), "{target}");
    }
    assert_eq!(client.get("/-/healthy").await.text(), "Sealine is healthy.\n", "no body was in the way");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let requests = (0..20).map(|n| format!("GET /api/v1/query?query={n}&time=1 HTTP/1.1\r\nhost: x\r\n\r\n"));
    client.send(requests.collect::<String>()).await;
    for n in 0..20 {
        let answer = client.read(false).await;
        assert!(answer.text().ends_with(&format!(r#"[1,"{n}"]}}}}"#)), "{n}: {}", answer.text());
    }
}

#[tokio::test]
async fn large_answers_are_compressed_on_request() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let (large, huge) = (
        "/api/v1/query_range?query=1&start=0&end=1000&step=1",
        "/api/v1/query_range?query=0.1&start=0&end=10000&step=1",
    );
    for target in [large, huge] {
        let plain = client.get(target).await;
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "Accept-Encoding"));
        let answer = client.ask("GET", target, "accept-encoding: deflate, gzip\r\n").await;
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("gzip", "Accept-Encoding"));
        assert!(answer.body.len() * 2 < plain.body.len());
        let mut unpacked = Vec::new();
        GzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
    }
    let small = client.ask("GET", "/api/v1/query?query=1", "accept-encoding: gzip\r\n").await;
    assert_eq!((small.status, small.header("content-encoding")), (200, ""));
}

#[tokio::test]
async fn pages_of_other_origins_are_told_what_they_may() {
    for (allowed, origin, want) in [
        ("*", "http://a", "*"),
        ("http://a", "http://a", "http://a"),
        ("http://a", "http://b", ""),
        ("", "http://a", ""),
    ] {
        let stand = Stand::with(Options { cors_origin: allowed.to_string(), ..options() }, limits()).await;
        for (method, target) in [("GET", "/api/v1/query?query=1"), ("OPTIONS", "/api/v1/query"), ("GET", "/nope")] {
            let answer = stand.client().await.ask(method, target, &format!("origin: {origin}\r\n")).await;
            let case = format!("{allowed:?} {method} {target}");
            assert_eq!(answer.header("access-control-allow-origin"), want, "{case}");
            let methods = if allowed.is_empty() { "" } else { "GET, POST, OPTIONS" };
            assert_eq!(answer.header("access-control-allow-methods"), methods, "{case}");
        }
        let answer = stand.client().await.ask("GET", "/admin/status", &format!("origin: {origin}\r\n")).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""));
    }
}

#[tokio::test]
async fn admin_is_for_this_machine_or_for_the_token() {
    let open = Stand::start().await;
    for (method, target, want) in [
        ("POST", "/admin/seal", r#"{"chunks":3}"#),
        ("POST", "/admin/archive", r#"{"force":false}"#),
        ("POST", "/admin/archive?force=1", r#"{"force":true}"#),
        ("GET", "/admin/status", r#"{"generation":7}"#),
    ] {
        let answer = open.client().await.ask(method, target, "content-length: 0\r\n").await;
        assert_eq!((answer.status, answer.text()), (200, want), "{target}");
    }
    let answer = open.client().await.ask("POST", "/admin/archive?force=2", "content-length: 0\r\n").await;
    assert_eq!(answer.status, 400, "{}", answer.text());

    let hash = TokenHash::of("s3cret");
    let token = Token { name: "x".to_string(), hash, rights: vec![Right::Admin], ..Token::default() };
    let options = Options { tokens: vec![token], ..options() };
    let closed = Stand::with(options, limits()).await;
    for (headers, status) in [("", 401), ("authorization: Bearer s3cret\r\n", 200), ("authorization: Token x\r\n", 401)]
    {
        let answer = closed.client().await.ask("GET", "/admin/status", headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 401 {
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let stand = Stand::start().await;
    let header = |n: usize| format!("x-{n}: y\r\n");
    for (name, head, status) in [
        ("few headers", (0..60).map(header).collect::<String>(), 200),
        ("many headers", (0..100).map(header).collect(), 431),
        ("a long header", format!("x: {}\r\n", "y".repeat(17 << 10)), 431),
    ] {
        let mut client = stand.client().await;
        client.send(format!("GET /-/healthy HTTP/1.1\r\nhost: x\r\n{head}\r\n")).await;
        assert_eq!(client.read(false).await.status, status, "{name}");
    }
    let mut client = stand.client().await;
    client.send("nonsense\r\n\r\n").await;
    assert_eq!(client.read(false).await.status, 400);
    until("all connections are gone", || stand.recorder.open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn addresses_may_have_characters_that_should_be_encoded() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let chunked = "transfer-encoding: chunked\r\n\r\n7\r\nquery=1\r\n7\r\n&time=1\r\n0\r\n\r\n";
    for (name, request, want) in [
        ("quotes", "GET /api/v1/series?match[]=up{job=\"web\"} HTTP/1.1\r\n\r\n", r#""job":"web""#),
        (
            "a path",
            "GET /api/v1/label/job/values?match[]={job=~\"w|e|web\"} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            r#"["web"]"#,
        ),
        ("UTF-8", "GET /api/v1/label/jöb/values HTTP/1.1\r\n\r\n", r#""data":[]"#),
        ("a number sign", "GET /api/v1/label/a#b/values HTTP/1.1\r\n\r\n", r#""data":[]"#),
        ("a form", "POST /api/v1/query?<>\"{|}^` HTTP/1.1\r\ncontent-length: 14\r\n\r\nquery=1&time=1", r#"[1,"1"]"#),
        ("chunks", &format!("POST /api/v1/query?\" HTTP/1.1\r\n{chunked}"), r#"[1,"1"]"#),
        ("and on", "GET /api/v1/series?match[]={job=\"web\"} HTTP/1.1\r\n\r\n", r#""job":"web""#),
    ] {
        client.send(request).await;
        let answer = client.read(false).await;
        assert!(answer.status < 500 && answer.text().contains(want), "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn whatever_is_no_request_is_answered_with_a_sentence() {
    let stand = Stand::start().await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(17 << 10));
    for (request, status, want) in [
        ("nonsense\r\n\r\n", 400, r#"want a line such as `GET /path HTTP/1.1`, got \"nonsense\""}"#),
        ("GET /\r\n", 400, "does not begin as HTTP does"),
        ("GET /api/v1/query?query=a b HTTP/1.1\r\n\r\n", 400, "the address has a space in it: want %20"),
        ("GET / HTTP/2.0\r\n\r\n", 505, "this server speaks HTTP/1.1"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "this server speaks HTTP/1.1"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0", 400, "ask with http:// in place of https://"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "want lines such as `Name: value`"),
        ("POST /write HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400, r#"{"error":"Content-Length is not"#),
        ("POST /api/v1/query HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", 400, "does not end in `chunked`"),
        (&long, 431, "more than the 16384 bytes"),
        // More than what the socket's buffers hold: the answer is not lost for what nobody reads.
        (&format!("\0{}", "x".repeat(900_000)), 400, "does not begin as HTTP does"),
    ] {
        let mut client = stand.client().await;
        client.send(format!("GET /-/healthy HTTP/1.1\r\n\r\n{request}")).await;
        assert_eq!(client.read(false).await.status, 200, "what came before is answered first");
        let answer = client.read(false).await;
        assert_eq!((answer.status, answer.header("connection")), (status, "close"), "{request:.50}: {}", answer.text());
        assert!(answer.text().contains(want), "{request:.50}: {}", answer.text());
        assert_eq!(client.closed().await, 0, "{request:.50}");
    }
    let ended = stand.recorder.ended.lock();
    assert!(ended.contains(&("unknown", Some(505))) && ended.contains(&("/write", Some(400))), "{ended:?}");
}

#[tokio::test]
async fn a_client_that_ended_its_side_is_answered() {
    let stand = Stand::start().await;
    for (name, request, status, want) in [
        ("get", "GET /api/v1/query?query=1&time=1 HTTP/1.1\r\n\r\n", 200, r#"[1,"1"]"#),
        ("old", "GET /api/v1/query?query=1&time=1 HTTP/1.0\r\n\r\n", 200, r#"[1,"1"]"#),
        ("post", "POST /api/v1/query HTTP/1.1\r\ncontent-length: 14\r\n\r\nquery=1&time=1", 200, r#"[1,"1"]"#),
        ("slow", "GET /api/v1/query?query=nap&time=1 HTTP/1.1\r\n\r\n", 200, r#"[1,"rested"]"#),
        ("long", "GET /api/v1/query?query=hang&timeout=1s HTTP/1.1\r\n\r\n", 503, "timed out"),
        ("half a head", "GET /api/v1/query?query=1 HTTP/1.1\r\nho", 400, "the request ended before its head did"),
        ("half a body", "POST /api/v1/query HTTP/1.1\r\ncontent-length: 14\r\n\r\nque", 400, "did not arrive whole"),
    ] {
        let mut client = stand.client().await;
        client.send(request).await;
        client.end().await;
        let answer = client.read(false).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert!(answer.text().contains(want), "{name}: {}", answer.text());
        assert_eq!(client.closed().await, 0, "{name}");
    }
    let mut client = stand.client().await;
    let large = "GET /api/v1/query_range?query=0.1&start=0&end=10000&step=1 HTTP/1.1\r\n\r\n";
    client.send(large.repeat(20)).await;
    client.end().await;
    for n in 0..20 {
        let answer = client.read(false).await;
        assert!(answer.status == 200 && answer.text().ends_with("}"), "{n}: {}", answer.status);
    }
    until("all connections are gone", || stand.recorder.open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_query() {
    let stand = Stand::start().await;
    for (n, request) in [
        "GET /api/v1/query?query=hang HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nquery=hang",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = stand.client().await;
        client.send(request).await;
        until("the query runs", || stand.backend.hanging.load(Ordering::SeqCst) == n as u64 + 1).await;
        assert_eq!(stand.backend.canceled.load(Ordering::SeqCst), n as u64);
        drop(client);
        until("the query is cancelled", || stand.backend.canceled.load(Ordering::SeqCst) == n as u64 + 1).await;
    }
    until("both are told of", || stand.recorder.ended.lock().len() == 2).await;
    assert_eq!(*stand.recorder.ended.lock(), [("/api/v1/query", None); 2]);
    assert_eq!(stand.recorder.in_flight.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_query_past_its_deadline_is_cancelled() {
    let stand = Stand::start().await;
    let answer = stand.client().await.get("/api/v1/query?query=hang&timeout=10ms").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains(r#""errorType":"timeout","error":"query timed out in"#), "{}", answer.text());
    until("the query is cancelled", || stand.backend.canceled.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn queries_that_find_no_place_are_refused_while_pages_are_served() {
    let options = Options { query_concurrency: 1, queue_timeout: Duration::from_millis(50), ..options() };
    let stand = Stand::with(options, limits()).await;
    let mut hog = stand.client().await;
    hog.send("GET /api/v1/query?query=hang HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until("the query runs", || stand.backend.hanging.load(Ordering::SeqCst) == 1).await;
    let answer = stand.client().await.get("/api/v1/query?query=1").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    let want = "query timed out in query queue: none of the 1 places (query.concurrency) came free within 50ms";
    assert!(answer.text().contains(want), "{}", answer.text());
    for page in ["/-/ready", "/metrics", "/api/v1/status/tsdb", "/admin/status"] {
        assert_eq!(stand.client().await.get(page).await.status, 200, "{page}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_and_counted() {
    let stand = Stand::with(options(), ServerLimits { connections_max: 2, ..limits() }).await;
    let (mut first, mut second) = (stand.client().await, stand.client().await);
    assert_eq!((first.get("/-/ready").await.status, second.get("/-/ready").await.status), (200, 200));
    let mut third = stand.client().await;
    let answer = third.get("/-/ready").await;
    assert_eq!((answer.status, answer.header("connection")), (503, "close"));
    let want = r#""error":"as many connections are open as http.max_connections allows: 2"}"#;
    assert!(answer.text().ends_with(want), "{}", answer.text());
    assert_eq!(third.closed().await, 0);
    assert_eq!(stand.recorder.refused.load(Ordering::SeqCst), 1);
    drop(first);
    until("there is room again", || stand.recorder.open.load(Ordering::SeqCst) == 1).await;
    assert_eq!(stand.client().await.get("/-/ready").await.status, 200);
}

#[tokio::test]
async fn one_address_cannot_have_all_connections() {
    let stand = Stand::with(options(), ServerLimits { connections_per_ip_max: 1, ..limits() }).await;
    let mut first = stand.client().await;
    assert_eq!(first.get("/-/ready").await.status, 200);
    let answer = stand.client().await.get("/-/ready").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(answer.text().contains("http.max_connections_per_ip allows: 1"), "{}", answer.text());
    assert_eq!(stand.recorder.refused.load(Ordering::SeqCst), 1);
    assert_eq!(first.get("/-/ready").await.status, 200, "who is there stays");
    drop(first);
    until("there is room again", || stand.recorder.open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(stand.client().await.get("/-/ready").await.status, 200);
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let short = Duration::from_millis(150);
    let long = Duration::from_secs(600);
    for (name, header_timeout, idle_timeout, sends) in [
        ("a head that does not end", short, long, &["GET / HTTP/1.1\r\n", "x: y\r\n"][..]),
        ("a connection that says nothing", long, short, &[]),
        ("a connection that rests after an answer", long, short, &["GET /-/ready HTTP/1.1\r\nhost: x\r\n\r\n"]),
    ] {
        let stand = Stand::with(options(), ServerLimits { header_timeout, idle_timeout, ..limits() }).await;
        let mut client = stand.client().await;
        let started = Instant::now();
        for part in sends {
            client.send(part).await;
        }
        client.closed().await;
        assert!(started.elapsed() >= short, "{name}: closed after {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answers_is_left() {
    let idle_timeout = Duration::from_millis(200);
    let stand = Stand::with(options(), ServerLimits { idle_timeout, ..limits() }).await;
    let mut client = stand.client().await;
    let request = "GET /api/v1/query_range?query=0.1&start=0&end=10000&step=1 HTTP/1.1\r\nhost: x\r\n\r\n";
    // More than the socket's buffers hold.
    client.send(request.repeat(200)).await;
    until("the connection is open", || stand.recorder.open.load(Ordering::SeqCst) == 1).await;
    until("the connection is given up", || stand.recorder.open.load(Ordering::SeqCst) == 0).await;
    let answered = stand.recorder.ended.lock().len();
    assert!((1..200).contains(&answered), "{answered} of 200 requests were answered");
}

#[tokio::test]
async fn resting_between_requests_is_not_being_slow_with_one() {
    let header_timeout = Duration::from_millis(100);
    let stand = Stand::with(options(), ServerLimits { header_timeout, ..limits() }).await;
    let mut client = stand.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/-/ready").await.status, 200);
        tokio::time::sleep(header_timeout * 3).await;
    }
    // Nor is a handler that takes its time.
    assert_eq!(client.get("/api/v1/query?query=nap").await.status, 200);
}

#[tokio::test]
async fn shutting_down_finishes_what_is_under_way() {
    let stand = Stand::start().await;
    let mut idle = stand.client().await;
    assert_eq!(idle.get("/-/ready").await.status, 200);
    let mut working = stand.client().await;
    working.send("GET /api/v1/query?query=nap&time=1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until("the query runs", || stand.recorder.in_flight.load(Ordering::SeqCst) == 1).await;
    stand.shutdown.send(true).unwrap();
    assert_eq!(idle.closed().await, 0);
    let answer = working.read(false).await;
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert!(answer.text().contains("rested"));
    stand.served.await.unwrap();
    assert!(tokio::net::TcpStream::connect(stand.address).await.is_err());
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_ever() {
    let stand = Stand::with(options(), ServerLimits { drain_timeout: Duration::from_millis(100), ..limits() }).await;
    let mut client = stand.client().await;
    client.send("GET /api/v1/query?query=hang HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until("the query runs", || stand.backend.hanging.load(Ordering::SeqCst) == 1).await;
    stand.shutdown.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(10), stand.served).await.expect("stopped in time").unwrap();
    until("the query is cancelled", || stand.backend.canceled.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn parameters_reach_the_backend() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let target = "/api/v1/query_range?query=1&start=1&end=2.5&step=500ms&lookback_delta=1m&limit=7&db=a+b&timeout=5s";
    let before = Instant::now();
    assert_eq!(client.get(target).await.status, 200);
    let seen = stand.backend.seen.lock().pop().unwrap();
    assert_eq!(seen.range, TimeRange::Range { start: 1000, end: 2500, step: 500 });
    assert_eq!(
        (seen.lookback_ms, seen.limit, seen.databases.clone()),
        (Some(60_000), Some(7), Some(vec!["a b".to_string()]))
    );
    let patience = seen.deadline - before;
    assert!((4..=6).contains(&patience.as_secs()), "{patience:?}");
}
