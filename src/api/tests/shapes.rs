//! What each endpoint answers, to the letter.

use super::*;

const UP_NODE: &str = r#"{"__name__":"up","db":"telegraf","job":"node"}"#;
const UP_WEB: &str = r#"{"__name__":"up","db":"other","job":"web"}"#;
const LOAD: &str = r#"{"__name__":"load","path":"a\"\\b"}"#;

fn data(data: impl std::fmt::Display) -> String {
    format!(r#"{{"status":"success","data":{data}}}"#)
}

fn result(kind: &str, result: impl std::fmt::Display) -> String {
    data(format!(r#"{{"resultType":"{kind}","result":{result}}}"#))
}

fn error(kind: &str, what: &str) -> String {
    format!(r#"{{"status":"error","errorType":"{kind}","error":"{what}"}}"#)
}

/// Asks one after the other over one connection; each answer must be as told.
async fn check(rows: impl IntoIterator<Item = (&str, u16, String)>) {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    for (target, status, want) in rows {
        let answer = client.get(target).await;
        assert_eq!((answer.status, answer.text()), (status, want.as_str()), "{target}");
        assert_eq!(answer.header("content-type"), "application/json", "{target}");
    }
}

#[tokio::test]
async fn instant_queries() {
    check([
        ("/api/v1/query?query=1.5", 200, result("scalar", r#"[1435781451.781,"1.5"]"#)),
        ("/api/v1/query?query=1e-7&time=1.5", 200, result("scalar", r#"[1.5,"0.0000001"]"#)),
        ("/api/v1/query?query=NaN&time=10", 200, result("scalar", r#"[10,"NaN"]"#)),
        ("/api/v1/query?query=%22a%0Ab%22&time=2015-07-01T20:10:51.781Z", 200, {
            result("string", r#"[1435781451.781,"a\nb"]"#)
        }),
        ("/api/v1/query?query=nothing", 200, result("vector", "[]")),
        ("/api/v1/query?query=load", 200, {
            result("vector", format_args!(r#"[{{"metric":{LOAD},"value":[1435781451.781,"10"]}}]"#))
        }),
        ("/api/v1/query?query=up&db=other&time=1435781451.5", 200, {
            result("vector", format_args!(r#"[{{"metric":{UP_WEB},"value":[1435781451.500,"9"]}}]"#))
        }),
        ("/api/v1/query?query=up&limit=1", 200, {
            let cut = format!(r#"[{{"metric":{UP_NODE},"value":[1435781451.781,"10"]}}]"#);
            let whole = result("vector", cut);
            format!(r#"{},"warnings":["results truncated due to limit"]}}"#, &whole[..whole.len() - 1])
        }),
    ])
    .await;
}

#[tokio::test]
async fn statistics_come_when_asked_for() {
    let stand = Stand::start().await;
    let asked = async |target: &str| {
        let answer = stand.client().await.get(target).await;
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        json["data"]["stats"].clone()
    };
    assert!(asked("/api/v1/query?query=1").await.is_null());
    let stats = asked("/api/v1/query?query=1&stats=true").await;
    assert_eq!(stats["samples"], serde_json::json!({ "peakSamples": 10, "totalQueryableSamples": 5 }));
    let stats = asked("/api/v1/query_range?query=1&start=1&end=3.2&step=500ms&stats=all").await;
    let per_step = serde_json::json!([[1.0, 2], [1.5, 3]]);
    let samples = serde_json::json!({
        "peakSamples": 10, "totalQueryableSamples": 5, "totalQueryableSamplesPerStep": per_step
    });
    assert_eq!(stats["samples"], samples);
    let timings = stats["timings"].as_object().unwrap();
    let names: Vec<_> = timings.keys().map(String::as_str).collect();
    let want =
        ["evalTotalTime", "execQueueTime", "execTotalTime", "innerEvalTime", "queryPreparationTime", "resultSortTime"];
    assert_eq!(names, want);
    assert!(timings.values().all(|seconds| seconds.as_f64().is_some_and(|seconds| (0.0..10.0).contains(&seconds))));
}

#[tokio::test]
async fn range_queries() {
    check([
        ("/api/v1/query_range?query=1e-7&start=-1.5&end=1.02&step=1.05", 200, {
            result("matrix", r#"[{"metric":{},"values":[[-1.500,"1e-07"],[-0.450,"1e-07"],[0.600,"1e-07"]]}]"#)
        }),
        ("/api/v1/query_range?query=load&start=1435781331.781&end=1435781451.781&step=1m", 200, {
            let values = r#"[[1435781331.781,"8"],[1435781391.781,"9"],[1435781451.781,"10"]]"#;
            result("matrix", format_args!(r#"[{{"metric":{LOAD},"values":{values}}}]"#))
        }),
        ("/api/v1/query_range?query=nothing&start=0&end=1&step=1", 200, result("matrix", "[]")),
        ("/api/v1/query_range?query=up&start=1435781451.781&end=1435781451.781&step=1&limit=1", 200, {
            let series = format!(r#"[{{"metric":{UP_NODE},"values":[[1435781451.781,"10"]]}}]"#);
            let whole = result("matrix", series);
            format!(r#"{},"warnings":["results truncated due to limit"]}}"#, &whole[..whole.len() - 1])
        }),
    ])
    .await;
}

#[tokio::test]
async fn queries_at_fault() {
    let parameter = |name: &str, what: &str| error("bad_data", &format!(r#"invalid parameter \"{name}\": {what}"#));
    let too_fine = |smallest| {
        error(
            "bad_data",
            &format!(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                 (?step=XX): the smallest step that works for this range is {smallest}"
            ),
        )
    };
    check([
        ("/api/v1/query", 400, parameter("query", "1:1: parse error: no expression found in input")),
        ("/api/v1/query?query=1&time=x", 400, {
            parameter("time", r#"Invalid time value for 'time': cannot parse \"x\" to a valid timestamp"#)
        }),
        ("/api/v1/query?query=1&time=1763800000000000000", 400, {
            let what =
                r#"want RFC 3339, or seconds since 1970, 1000000000000 at most; in nanoseconds it would be 1763800000"#;
            parameter("time", &format!(r#"\"1763800000000000000\" is out of range: {what}"#))
        }),
        ("/api/v1/query_range?query=1&start=-1e13&end=1&step=1", 400, {
            let what = "want RFC 3339, or seconds since 1970, 1000000000000 at most";
            parameter("start", &format!(r#"\"-1e13\" is out of range: {what}"#))
        }),
        ("/api/v1/query?query=1&timeout=x", 400, parameter("timeout", r#"cannot parse \"x\" to a valid duration"#)),
        ("/api/v1/query?query=up%7Ba=%22%ff%22%7D", 400, {
            parameter("query", r#"\"up%7Ba=%22%ff%22%7D\" is not UTF-8, and all names and texts must be"#)
        }),
        ("/api/v1/query?query=1&limit=-1", 400, parameter("limit", "limit must be non-negative")),
        ("/api/v1/query?query=1&lookback_delta=x", 400, {
            error("bad_data", r#"error parsing lookback delta duration: cannot parse \"x\" to a valid duration"#)
        }),
        ("/api/v1/query?query=1&timeout=0", 503, {
            error("timeout", "query timed out in query execution: no time was given")
        }),
        ("/api/v1/query?query=too_much", 422, error("execution", "the query needs more than 5 samples")),
        (
            "/api/v1/query?query=late",
            503,
            error("timeout", "the query was given up after 1s (the limit was 30s, by query.timeout)"),
        ),
        ("/api/v1/query?query=broken", 500, error("internal", "storage cannot answer: disk on fire")),
        ("/api/v1/query?query=panic", 500, {
            error("internal", "the request ran into a fault of the server; its log says more")
        }),
        ("/api/v1/query_range?query=1&end=1&step=1", 400, {
            parameter("start", r#"cannot parse \"\" to a valid timestamp"#)
        }),
        ("/api/v1/query_range?query=1&start=0&step=1", 400, {
            parameter("end", r#"cannot parse \"\" to a valid timestamp"#)
        }),
        ("/api/v1/query_range?query=1&start=5&end=1&step=1", 400, {
            parameter("end", "end timestamp must not be before start time")
        }),
        ("/api/v1/query_range?query=1&start=0&end=1&step=x", 400, {
            parameter("step", r#"cannot parse \"x\" to a valid duration"#)
        }),
        ("/api/v1/query_range?query=1&start=0&end=1&step=0", 400, {
            let what = "zero or negative query resolution step widths are not accepted. Try a positive integer";
            parameter("step", what)
        }),
        ("/api/v1/query_range?query=1&start=0&end=1&step=-5m", 400, {
            parameter("step", r#"cannot parse \"-5m\" to a valid duration"#)
        }),
        ("/api/v1/query_range?query=&start=0&end=1&step=1", 400, {
            parameter("query", "1:1: parse error: no expression found in input")
        }),
        ("/api/v1/query_range?query=1&start=0&end=11001&step=1", 400, too_fine("1s1ms")),
        ("/api/v1/query_range?query=1&start=0&end=604800&step=1", 400, too_fine("54s977ms")),
        ("/api/v1/query_range?query=nothing&start=0&end=11001&step=1.001", 200, result("matrix", "[]")),
        ("/api/v1/query_range?query=nothing&start=0&end=604800&step=54.977", 200, result("matrix", "[]")),
        ("/api/v1/query_range?query=nothing&start=0&end=604800&step=54.976", 400, too_fine("54s977ms")),
        ("/api/v1/format_query?query=", 400, { parameter("query", "1:1: parse error: no expression found in input") }),
    ])
    .await;
}

#[tokio::test]
async fn label_queries() {
    let damaged = r#"{"status":"success","data":["__name__","db","job","path"],"warnings":["one file is damaged"]}"#;
    check([
        ("/api/v1/series?match[]=load", 200, data(format_args!("[{LOAD}]"))),
        ("/api/v1/series?match[]=load&match[]=%7Bjob=%22web%22%7D", 200, data(format_args!("[{LOAD},{UP_WEB}]"))),
        ("/api/v1/series?match[]=up&db=telegraf", 200, data(format_args!("[{UP_NODE}]"))),
        ("/api/v1/series?match[]=up&end=1", 200, data("[]")),
        ("/api/v1/series?match[]=up&start=9&end=1", 200, data("[]")),
        ("/api/v1/series?match[]=up&limit=1", 200, {
            let series = data(format_args!("[{UP_WEB}]"));
            format!(r#"{},"warnings":["results truncated due to limit"]}}"#, &series[..series.len() - 1])
        }),
        ("/api/v1/series?match[]=up&limit=2", 200, data(format_args!("[{UP_WEB},{UP_NODE}]"))),
        ("/api/v1/series", 400, error("bad_data", "no match[] parameter provided")),
        ("/api/v1/series?match[]=%7Ba=%22%22%7D", 400, {
            error("bad_data", r#"invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"#)
        }),
        ("/api/v1/series?match[]=up(", 400, {
            let what = r#"1:3: parse error: unexpected \"(\" in series selector"#;
            error("bad_data", &format!(r#"invalid parameter \"match[]\": {what}"#))
        }),
        ("/api/v1/labels", 200, damaged.to_string()),
        ("/api/v1/labels?start=x", 400, {
            let what = r#"Invalid time value for 'start': cannot parse \"x\" to a valid timestamp"#;
            error("bad_data", &format!(r#"invalid parameter \"start\": {what}"#))
        }),
        ("/api/v1/label/job/values", 200, data(r#"["node","web"]"#)),
        ("/api/v1/label/U__job/values", 200, data(r#"["node","web"]"#)),
        ("/api/v1/label/U______name____/values", 200, data(r#"["load","up"]"#)),
        ("/api/v1/label/job/values?match[]=up&db=other", 200, data(r#"["web"]"#)),
        ("/api/v1/label/%70ath/values", 200, data(r#"["a\"\\b"]"#)),
        ("/api/v1/label/nope/values", 200, data("[]")),
        ("/api/v1/label/%FF/values", 400, {
            let what = r#"\"%FF\" is not UTF-8, and all names and texts must be"#;
            error("bad_data", &format!("invalid label name: {what}"))
        }),
        ("/api/v1/label/a%zz/values", 400, {
            let what = r#"\"%zz\" is not an escape: want % and two hexadecimal digits, and %25 for % itself"#;
            error("bad_data", &format!("invalid label name: {what}"))
        }),
    ])
    .await;
}

#[tokio::test]
async fn status_and_lists() {
    let up = r#"[{"help":"Whether it is up.","type":"gauge","unit":""}]"#;
    check([
        ("/api/v1/status/buildinfo", 200, {
            let revision = concat!("sealine-", env!("CARGO_PKG_VERSION"));
            data(format_args!(
                r#"{{"branch":"","buildDate":"","buildUser":"","goVersion":"","revision":"{revision}","version":"3.5.0"}}"#
            ))
        }),
        ("/api/v1/status/runtimeinfo", 200, {
            data(concat!(
                r#"{"CWD":"data","GODEBUG":"","GOGC":"","GOMAXPROCS":2,"GOMEMLIMIT":0,"corruptionCount":0,"#,
                r#""goroutineCount":0,"lastConfigTime":"2015-07-01T20:10:50Z","reloadConfigSuccess":true,"#,
                r#""serverTime":"2015-07-01T20:10:51.781Z","startTime":"2015-07-01T20:10:50Z","#,
                r#""storageRetention":"2h in memory"}"#
            ))
        }),
        ("/api/v1/status/tsdb?limit=1", 200, {
            data(concat!(
                r#"{"headStats":{"chunkCount":3,"maxTime":-9223372036854775808,"minTime":9223372036854775807,"#,
                r#""numLabelPairs":7,"numSeries":3},"labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],"#,
                r#""seriesCountByLabelValuePair":[],"seriesCountByMetricName":[{"name":"up","value":2}]}"#
            ))
        }),
        ("/api/v1/status/tsdb?limit=0", 400, error("bad_data", "limit must be a positive number, 10000 at most")),
        ("/api/v1/status/flags", 200, data(r#"{"data_dir":"data","http.listen":"127.0.0.1:8086"}"#)),
        ("/api/v1/status/config", 200, data(r#"{"yaml":"data_dir = \"data\"\n"}"#)),
        ("/api/v1/status/walreplay", 200, data(r#"{"current":0,"max":0,"min":0}"#)),
        ("/api/v1/metadata", 200, data(format_args!(r#"{{"load":{up},"up":{up}}}"#))),
        ("/api/v1/metadata?metric=up", 200, data(format_args!(r#"{{"up":{up}}}"#))),
        ("/api/v1/metadata?limit=1", 200, data(format_args!(r#"{{"load":{up}}}"#))),
        ("/api/v1/metadata?limit=x", 400, error("bad_data", "limit must be a number")),
        ("/api/v1/rules", 200, data(r#"{"groups":[]}"#)),
        ("/api/v1/alerts", 200, data(r#"{"alerts":[]}"#)),
        ("/api/v1/targets", 200, data(r#"{"activeTargets":[],"droppedTargetCounts":{},"droppedTargets":[]}"#)),
        ("/api/v1/targets/metadata", 200, data("[]")),
        ("/api/v1/alertmanagers", 200, data(r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#)),
        ("/api/v1/query_exemplars?query=up", 200, data("[]")),
        ("/api/v1/format_query?query=sum(+up++)", 200, data(r#""sum( up )""#)),
        ("/api/v1/nope", 404, error("not_found", "there is nothing at /api/v1/nope: GET / lists what there is")),
    ])
    .await;
}

#[tokio::test]
async fn health_and_influx() {
    let stand = Stand::start().await;
    let mut client = stand.client().await;
    let version = env!("CARGO_PKG_VERSION");
    let pass = format!(
        r#"{{"checks":[],"commit":"","message":"ready for queries and writes","name":"sealine","status":"pass","version":"{version}"}}"#
    );
    let beyond = concat!(
        r#"{"error":"error parsing query: \"SELECT 1\" is not answered here: of InfluxQL, writers get CREATE, DROP and "#,
        r#"SHOW of databases and retention policies, and SHOW MEASUREMENTS; data is read by PromQL at /api/v1/query"}"#
    );
    let none = r#"{"results":[{"series":[{"columns":["name"],"name":"databases"}],"statement_id":0}]}"#;
    let both = concat!(
        r#"{"results":[{"statement_id":0},{"series":[{"columns":["name"],"name":"databases","#,
        r#""values":[["telegraf"]]}],"statement_id":1}]}"#
    );
    for (method, target, status, want) in [
        ("GET", "/-/healthy", 200, "Sealine is healthy.\n"),
        ("GET", "/-/ready", 200, "Sealine is ready.\n"),
        ("GET", "/metrics", 200, "sealine_up 1\n"),
        ("GET", "/health", 200, &pass),
        ("GET", "/influx/health", 200, &pass),
        ("GET", "/ready", 200, r#"{"started":"2015-07-01T20:10:51.781Z","status":"ready","up":"0h0m0s"}"#),
        ("GET", "/ping", 204, ""),
        ("GET", "/ping?verbose=true", 200, r#"{"version":"1.8.10"}"#),
        ("GET", "/query?q=SHOW+DATABASES", 200, none),
        ("POST", "/query?q=CREATE+DATABASE+%22telegraf%22;SHOW+DATABASES", 200, both),
        ("GET", "/query?q=SELECT+1", 400, beyond),
        ("GET", "/query", 400, r#"{"error":"missing required parameter \"q\""}"#),
        ("POST", "/write?db=a%ff", 400, {
            r#"{"error":"invalid parameter \"db\": \"a%ff\" is not UTF-8, and all names and texts must be"}"#
        }),
        ("POST", "/query?q=%zz", 400, {
            r#"{"error":"invalid parameter \"q\": \"%zz\" is not an escape: want % and two hexadecimal digits, and %25 for % itself"}"#
        }),
        ("POST", "/write", 503, r#"{"error":"this server takes no lines"}"#),
        ("POST", "/api/v2/write?org=o", 400, r#"{"code":"invalid","message":"bucket is required: ?bucket=<name>"}"#),
        (
            "POST",
            "/api/v2/write?bucket=/x",
            400,
            r#"{"code":"invalid","message":"bucket \"/x\" names no database: want <name>"}"#,
        ),
        ("POST", "/api/v3/write_lp", 400, r#"{"data":null,"error":"db is required: ?db=<name>"}"#),
        (
            "POST",
            "/api/v3/write_lp?db=d&accept_partial=1",
            400,
            r#"{"data":null,"error":"invalid parameter \"accept_partial\": got \"1\", want true or false"}"#,
        ),
        (
            "PATCH",
            "/api/v2/buckets",
            405,
            r#"{"code":"method not allowed","message":"/api/v2/buckets does not take the method PATCH: want one of GET, HEAD, OPTIONS, POST"}"#,
        ),
        (
            "GET",
            "/api/v2/tasks",
            404,
            r#"{"code":"not found","message":"there is nothing at /api/v2/tasks: GET / lists what there is"}"#,
        ),
        (
            "GET",
            "/influx/api/v3/x",
            404,
            r#"{"data":null,"error":"there is nothing at /influx/api/v3/x: GET / lists what there is"}"#,
        ),
    ] {
        let answer = client.ask(method, target, "content-length: 0\r\n").await;
        assert_eq!((answer.status, answer.text()), (status, want), "{method} {target}");
    }
    let answer = client.get("/ping").await;
    assert_eq!((answer.header("x-influxdb-version"), answer.header("x-influxdb-build")), ("1.8.10", "OSS"));
    assert_eq!(client.get("/metrics").await.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(client.get("/query").await.header("x-influxdb-error"), "missing required parameter \"q\"");
}

#[tokio::test]
async fn a_daemon_that_is_not_ready_says_so() {
    let stand = Stand::start().await;
    *stand.backend.not_ready.lock() = Some("replaying the log, 3 of 7 segments done".to_string());
    let mut client = stand.client().await;
    let health = format!(
        r#"{{"checks":[],"commit":"","message":"replaying the log, 3 of 7 segments done","name":"sealine","status":"fail","version":"{}"}}"#,
        env!("CARGO_PKG_VERSION")
    );
    for (target, status, want) in [
        ("/-/healthy", 200, "Sealine is healthy.\n"),
        ("/-/ready", 503, "Sealine is not ready: replaying the log, 3 of 7 segments done\n"),
        ("/ready", 503, r#"{"message":"replaying the log, 3 of 7 segments done","status":"starting"}"#),
        ("/health", 503, &health),
    ] {
        let answer = client.get(target).await;
        assert_eq!((answer.status, answer.text()), (status, want), "{target}");
    }
}

#[test]
fn write_targets_are_read() {
    let target = |database: &str, org: Option<&str>, precision: Option<&str>| influx::WriteTarget {
        database: database.to_string(),
        org: org.map(str::to_string),
        precision: precision.map(str::to_string),
        bad_lines: BadLines::CostThemselves,
    };
    for (policy, database) in [("", "a"), ("autogen", "a"), ("default", "a"), ("week", "a/week")] {
        let v1 = [("db", "a"), ("rp", policy), ("precision", "ms")];
        let want = target(database, None, Some("ms"));
        assert_eq!(influx::WriteTarget::of_v1(&Params::of_pairs(&v1)), Ok(want), "{policy}");
    }
    for (bucket, database) in [("a", "a"), ("a/", "a"), ("a/autogen", "a"), ("a/week", "a/week"), ("a/b/c", "a/b/c")] {
        let v2 = [("bucket", bucket), ("org", "o")];
        assert_eq!(influx::WriteTarget::of_v2(&Params::of_pairs(&v2)), Ok(target(database, Some("o"), None)));
    }
}
