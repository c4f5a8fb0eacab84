//! What clients of InfluxDB need besides writing: ping, health, ready, and as much InfluxQL as they send unasked.
//! And the door through which they write.

use super::auth::Grant;
use super::backend::Readiness;
use super::error::ApiError;
use super::params::Params;
use super::reply::Reply;
use super::status::rfc_3339;
use super::{Backend, Call};
use crate::inlet::{BodyError, Coding, Written};
use crate::lineproto::Precision;
use crate::store::Refusal;
use crate::wal::WalError;
use hyper::StatusCode;
use hyper::header::{self, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// The InfluxDB release whose write API this one follows. Clients decide by it what they may send.
const INFLUXDB_VERSION: &str = "1.8.10";

const VERSION_HEADER: HeaderName = HeaderName::from_static("x-influxdb-version");
const BUILD_HEADER: HeaderName = HeaderName::from_static("x-influxdb-build");
const ERROR_HEADER: HeaderName = HeaderName::from_static("x-influxdb-error");

/// Seconds after which an agent may send again what could not be stored.
const RETRY_AFTER_S: &str = "2";

/// Where lines go whose sender names no database.
const DEFAULT_DATABASE: &str = "default";

/// Statements that one request may carry.
const STATEMENTS_MAX: usize = 100;

/// The answer to any path of InfluxDB says which release to take this for.
pub fn with_version(reply: Reply) -> Reply {
    reply
        .with(VERSION_HEADER, HeaderValue::from_static(INFLUXDB_VERSION))
        .with(BUILD_HEADER, HeaderValue::from_static("OSS"))
}

/// An error as InfluxDB 1 tells it: `{"error":"…"}`, and the same sentence in a header.
pub fn refuse(status: StatusCode, what: &str) -> Reply {
    with_error(Reply::json_value(status, &json!({ "error": what })), what)
}

/// The sentence in the header that InfluxDB 1 has for it; one that cannot stand in a header stands in the body only.
fn with_error(reply: Reply, what: &str) -> Reply {
    match HeaderValue::from_str(what) {
        Ok(value) => reply.with(ERROR_HEADER, value),
        Err(_) => reply,
    }
}

/// Where the lines of a write go, and how to read their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteTarget {
    /// Not empty. With a retention policy (InfluxDB 1's `rp`, or what follows a `/` in InfluxDB 2's `bucket`) that is not
    /// the one that InfluxDB makes by itself, `database/policy`: points of two policies are kept apart, as there.
    pub database: String,
    /// InfluxDB 2's `org` or `orgID`.
    pub org: Option<String>,
    /// The word of `precision`, not looked at yet; `None` means nanoseconds.
    pub precision: Option<String>,
}

impl WriteTarget {
    /// Reads the parameters of `POST /write`. Without `db`, lines go to the database `default`.
    pub fn of_v1(params: &Params) -> Result<Self, ApiError> {
        Ok(WriteTarget {
            database: with_policy(params.given("db").unwrap_or(DEFAULT_DATABASE), params.first("rp")),
            org: None,
            precision: params.given("precision").map(str::to_string),
        })
    }

    /// Reads the parameters of `POST /api/v2/write`: `bucket` is needed, a database or a database and a policy.
    pub fn of_v2(params: &Params) -> Result<Self, ApiError> {
        let bucket = params.given("bucket").ok_or_else(|| ApiError::bad_data("bucket is required: ?bucket=<name>"))?;
        let (database, policy) = bucket.split_once('/').unwrap_or((bucket, ""));
        if database.is_empty() {
            return Err(ApiError::bad_data(format!("bucket {bucket:?} names no database: want <name>")));
        }
        Ok(WriteTarget {
            database: with_policy(database, policy),
            org: params.given("org").or(params.given("orgID")).map(str::to_string),
            precision: params.given("precision").map(str::to_string),
        })
    }
}

/// The database of a retention policy.
fn with_policy(database: &str, policy: &str) -> String {
    match policy {
        "" | "autogen" | "default" => database.to_string(),
        policy => format!("{database}/{policy}"),
    }
}

/// `POST /write`.
pub async fn write_v1(call: Call) -> Reply {
    let params = Params::of_uri(&call.head);
    match WriteTarget::of_v1(&params) {
        Ok(target) => {
            if let (None, Some(intake)) = (params.given("db"), &call.api.intake) {
                intake.no_database(call.peer.ip(), &target.database);
            }
            write(call, target).await
        }
        Err(error) => refuse(error.kind.status(), &error.message),
    }
}

/// `POST /api/v2/write`.
pub async fn write_v2(call: Call) -> Reply {
    match WriteTarget::of_v2(&Params::of_uri(&call.head)) {
        Ok(target) => write(call, target).await,
        Err(error) => refuse(error.kind.status(), &error.message),
    }
}

/// Hands a body on to be stored, and says what became of it. 204 is a promise, docs/design.md says which.
async fn write(call: Call, target: WriteTarget) -> Reply {
    let Some(intake) = &call.api.intake else {
        return unavailable("this server takes no lines");
    };
    if let Err(refusal) = call.grant.write(&target.database) {
        let error = ApiError::from(refusal);
        return refuse(error.kind.status(), &error.message);
    }
    let precision = match target.precision.as_deref().map(str::parse::<Precision>).transpose() {
        Ok(precision) => precision,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let encoding = call.head.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    let encoding = String::from_utf8_lossy(encoding);
    let Some(coding) = Coding::parse(&encoding) else {
        let what = format!("Content-Encoding {encoding:?} is not spoken here: send gzip, or the body as it is");
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &what);
    };
    match intake.body(call.peer.ip(), &target.database, precision, coding, call.body).await {
        Ok(written) if written.refused == 0 => Reply::empty(StatusCode::NO_CONTENT),
        Ok(written) => partial_write(&written),
        Err(error) => not_written(&error),
    }
}

/// Some lines were refused. The others are stored, so this is an acknowledgement too.
fn partial_write(written: &Written) -> Reply {
    let Written { lines, refused, first } = written;
    let mut what = String::from("partial write:");
    for refusal in first {
        what.push_str(&format!(" line {}, column {}: {};", refusal.line, refusal.column, refusal.message));
    }
    let more = refused - first.len() as u64;
    if more > 0 {
        what.push_str(&format!(" and {more} more lines;"));
    }
    what.push_str(&format!(" written={lines} dropped={refused}"));
    let listed = |r: &Refusal| json!({ "line": r.line, "column": r.column, "reason": r.reason, "message": r.message });
    let body = json!({
        "error": what,
        "code": "invalid",
        "message": what,
        "written": lines,
        "dropped": refused,
        "lines": first.iter().map(listed).collect::<Vec<_>>(),
    });
    with_error(Reply::json_value(StatusCode::BAD_REQUEST, &body), &what).told()
}

/// Nothing was stored.
fn not_written(error: &BodyError) -> Reply {
    let what = match std::error::Error::source(error) {
        Some(cause) if matches!(error, BodyError::Unavailable(_)) => match cause.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
        _ => error.to_string(),
    };
    match error {
        BodyError::TooLarge { limit, setting, .. } => {
            let body = json!({
                "error": what, "code": "request too large", "message": what,
                "limit": limit, "setting": setting, "maxLength": limit,
            });
            with_error(Reply::json_value(StatusCode::PAYLOAD_TOO_LARGE, &body), &what)
        }
        BodyError::Unavailable(WalError::RecordTooLarge { .. }) => refuse(StatusCode::PAYLOAD_TOO_LARGE, &what),
        BodyError::Coding(_) | BodyError::Cut(_) | BodyError::Database(_) => refuse(StatusCode::BAD_REQUEST, &what),
        BodyError::Slow(_) => refuse(StatusCode::REQUEST_TIMEOUT, &what),
        BodyError::Unavailable(_) | BodyError::NotNow(_) => unavailable(&what),
    }
}

/// Not now: agents keep what they sent and send it again.
fn unavailable(what: &str) -> Reply {
    refuse(StatusCode::SERVICE_UNAVAILABLE, what).with(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S))
}

/// `/ping`: 204, or with `verbose` 200 and the version as JSON.
pub async fn ping(call: Call) -> Reply {
    match Params::of_uri(&call.head).first("verbose") {
        "" | "0" | "false" => Reply::empty(StatusCode::NO_CONTENT),
        _ => Reply::json_value(StatusCode::OK, &json!({ "version": INFLUXDB_VERSION })),
    }
}

/// `/health`: 200 and `pass` while requests are taken, 503 and `fail` otherwise.
pub async fn health(call: Call) -> Reply {
    let (status, word, message) = match call.api.backend.readiness() {
        Readiness::Ready => (StatusCode::OK, "pass", "ready for queries and writes".to_string()),
        Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, "fail", why),
    };
    let body = json!({
        "name": "sealine",
        "status": word,
        "message": message,
        "checks": [],
        "version": env!("CARGO_PKG_VERSION"),
        "commit": "",
    });
    Reply::json_value(status, &body)
}

/// `/ready`: since when requests are taken.
pub async fn ready(call: Call) -> Reply {
    match call.api.backend.readiness() {
        Readiness::Ready => {
            let started_ms = call.api.started_ms;
            let up_s = (call.api.now_ms)().saturating_sub(started_ms).max(0) / 1000;
            let up = format!("{}h{}m{}s", up_s / 3600, up_s / 60 % 60, up_s % 60);
            let body = json!({ "status": "ready", "started": rfc_3339(started_ms), "up": up });
            Reply::json_value(StatusCode::OK, &body)
        }
        Readiness::NotReady(why) => {
            Reply::json_value(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "starting", "message": why }))
        }
    }
}

/// `/query`: the statements by which clients make sure that their database exists.
pub async fn query(call: Call) -> Reply {
    let answer = async {
        let grant = call.grant.clone();
        let (api, params) = call.params().await?;
        let text = params.first("q").to_string();
        let results = api.page(move |api| run(&*api.backend, &grant, &text)).await?;
        Ok(Reply::json_value(StatusCode::OK, &json!({ "results": results })))
    };
    answer.await.unwrap_or_else(|error: ApiError| refuse(error.kind.status(), &error.message))
}

/// Runs statements in order, up to the first that cannot be.
fn run(backend: &dyn Backend, grant: &Grant, text: &str) -> Result<Vec<Value>, ApiError> {
    let statements = parse(text)?;
    let mut results = Vec::with_capacity(statements.len());
    for (id, statement) in statements.into_iter().enumerate() {
        results.push(match statement {
            Statement::ShowDatabases => {
                let mut series = json!({ "name": "databases", "columns": ["name"] });
                let names = backend.databases().into_iter().filter(|name| grant.sees(name));
                let names: Vec<_> = names.map(|name| json!([name])).collect();
                // InfluxDB leaves the values out where there are none.
                if !names.is_empty() {
                    series["values"] = names.into();
                }
                json!({ "statement_id": id, "series": [series] })
            }
            Statement::CreateDatabase(name) => {
                grant.write(&name)?;
                backend.create_database(&name)?;
                json!({ "statement_id": id })
            }
        });
    }
    Ok(results)
}

#[derive(Debug, PartialEq)]
enum Statement {
    ShowDatabases,
    CreateDatabase(String),
}

fn parse(text: &str) -> Result<Vec<Statement>, ApiError> {
    let statements: Vec<&str> = text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).collect();
    if statements.is_empty() {
        return Err(ApiError::bad_data("missing required parameter \"q\""));
    }
    if statements.len() > STATEMENTS_MAX {
        let what = format!("got {} statements, want {STATEMENTS_MAX} at most", statements.len());
        return Err(ApiError::bad_data(what));
    }
    statements.into_iter().map(parse_statement).collect()
}

/// Reads `SHOW DATABASES` and `CREATE DATABASE name [WITH …]`; what follows `WITH` has no meaning here.
fn parse_statement(statement: &str) -> Result<Statement, ApiError> {
    let mut rest = statement;
    let mut word = || {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        word.to_ascii_uppercase()
    };
    let words = (word(), word());
    let unknown = || {
        let statement: String = statement.chars().take(80).collect();
        ApiError::bad_data(format!(
            "error parsing query: {statement:?} is not answered here: InfluxQL ends at SHOW DATABASES and \
             CREATE DATABASE, data is read by PromQL at /api/v1/query"
        ))
    };
    match (words.0.as_str(), words.1.as_str()) {
        ("SHOW", "DATABASES") if rest.is_empty() => Ok(Statement::ShowDatabases),
        ("CREATE", "DATABASE") => {
            let (name, after) = name(rest).ok_or_else(unknown)?;
            let after = after.split_whitespace().next().unwrap_or("WITH");
            if after.eq_ignore_ascii_case("WITH") { Ok(Statement::CreateDatabase(name)) } else { Err(unknown()) }
        }
        _ => Err(unknown()),
    }
}

/// A name, in double quotes or without, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (name, after) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return (!name.is_empty() && !name.contains(['"', '\''])).then(|| (name.to_string(), after));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (!name.is_empty()).then(|| (name, &quoted[at + 1..])),
            '\\' => name.push(chars.next()?.1),
            _ => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_of_clients_are_understood() {
        let create = |name: &str| Statement::CreateDatabase(name.to_string());
        for (text, want) in [
            ("SHOW DATABASES", vec![Statement::ShowDatabases]),
            ("show  databases ;", vec![Statement::ShowDatabases]),
            (r#"CREATE DATABASE "telegraf""#, vec![create("telegraf")]),
            ("create database k6", vec![create("k6")]),
            (r#"CREATE DATABASE "a \"b" WITH DURATION 3d"#, vec![create("a \"b")]),
            ("CREATE DATABASE a; SHOW DATABASES", vec![create("a"), Statement::ShowDatabases]),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn other_statements_are_refused_with_a_way_out() {
        for text in [
            "SELECT * FROM cpu",
            "SHOW DATABASES LIKE x",
            "SHOW MEASUREMENTS",
            "CREATE DATABASE",
            r#"CREATE DATABASE "open"#,
            r#"CREATE DATABASE """#,
            "CREATE DATABASE a b",
            "DROP DATABASE a",
            "SHOW DATABASES; DROP DATABASE a",
        ] {
            let error = parse(text).unwrap_err().message;
            assert!(error.contains("is not answered here: InfluxQL ends at"), "{text}: {error}");
        }
        assert_eq!(parse(" ; ").unwrap_err().message, "missing required parameter \"q\"");
    }
}
