//! The doors through which lines come: `/write`, `/api/v2/write` and `/api/v3/write_lp`.
//!
//! What an answer makes its sender do is in docs/reliability.md, and is held by tests/daemon/telegraf_replica.rs: what is
//! not the sender's own fault is answered so that every sender keeps what it sent.

use super::dialect::Dialect;
use crate::api::Call;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::api::reply::Reply;
use crate::inlet::{BadLines, BodyError, Coding, NotStored, Written};
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use sealine_base::causes;
use sealine_lineproto::Precision;
use sealine_store::{BadDatabase, Refusal, WalError};
use serde_json::{Value, json};

/// Where lines go whose sender names no database.
const DEFAULT_DATABASE: &str = "default";

/// InfluxDB 1's words for lines whose time is beyond retention. Its clients look for them, to throw away what would be
/// refused forever.
const BEYOND_RETENTION: &str = " points beyond retention policy";

/// Where the lines of a write go, and how to read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteTarget {
    /// Not empty. With a retention policy (InfluxDB 1's `rp`, or what follows a `/` in InfluxDB 2's `bucket`) that is not
    /// the one that InfluxDB makes by itself, `database/policy`: points of two policies are kept apart, as there.
    pub database: String,
    /// InfluxDB 2's `org` or `orgID`.
    pub org: Option<String>,
    /// The word of `precision`, not looked at yet; `None` means nanoseconds, and to InfluxDB 3 what each time looks like.
    pub precision: Option<String>,
    /// InfluxDB 3's `accept_partial`.
    pub bad_lines: BadLines,
}

impl WriteTarget {
    /// Reads the parameters of `POST /write`. Without `db`, lines go to the database `default`.
    pub fn of_v1(params: &Params) -> Result<Self, ApiError> {
        Ok(WriteTarget {
            database: with_policy(params.given("db").unwrap_or(DEFAULT_DATABASE), params.first("rp")),
            org: None,
            precision: params.given("precision").map(str::to_string),
            bad_lines: BadLines::CostThemselves,
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
            bad_lines: BadLines::CostThemselves,
        })
    }

    /// Reads the parameters of `POST /api/v3/write_lp`: `db` is needed. `no_sync` is not: what 204 promises is `wal.sync`.
    pub fn of_v3(params: &Params) -> Result<Self, ApiError> {
        let database = params.given("db").ok_or_else(|| ApiError::bad_data("db is required: ?db=<name>"))?;
        let bad_lines = match params.first("accept_partial") {
            "" | "true" => BadLines::CostThemselves,
            "false" => BadLines::CostAll,
            got => return Err(ApiError::parameter("accept_partial", format!("got {got:?}, want true or false"))),
        };
        Ok(WriteTarget {
            database: database.to_string(),
            org: None,
            precision: params.given("precision").map(str::to_string),
            bad_lines,
        })
    }
}

/// The database of a retention policy.
pub(super) fn with_policy(database: &str, policy: &str) -> String {
    match policy {
        "" | "autogen" | "default" => database.to_string(),
        policy => format!("{database}/{policy}"),
    }
}

/// `POST /write`.
pub async fn write_v1(call: Call) -> Reply {
    if let (None, Some(inlet)) = (call.address.given("db"), &call.api.inlet) {
        inlet.no_database(call.peer.ip(), DEFAULT_DATABASE);
    }
    write(call, Dialect::V1, WriteTarget::of_v1).await
}

/// `POST /api/v2/write`.
pub async fn write_v2(call: Call) -> Reply {
    write(call, Dialect::V2, WriteTarget::of_v2).await
}

/// `POST /api/v3/write_lp`.
pub async fn write_v3(call: Call) -> Reply {
    write(call, Dialect::V3, WriteTarget::of_v3).await
}

/// Hands a body on to be stored, and says what became of it. 204 is a promise, docs/design.md says which.
async fn write(call: Call, dialect: Dialect, target: fn(&Params) -> Result<WriteTarget, ApiError>) -> Reply {
    let target = match target(&call.address) {
        Ok(target) => target,
        Err(error) => return dialect.refuse(error.kind.status(), &error.message),
    };
    let Some(inlet) = &call.api.inlet else {
        return dialect.refuse(StatusCode::SERVICE_UNAVAILABLE, "this server takes no lines");
    };
    if let Err(refusal) = call.grant.write(&target.database) {
        let error = ApiError::from(refusal);
        return dialect.refuse(error.kind.status(), &error.message);
    }
    let precision = match (dialect, target.precision.as_deref()) {
        (Dialect::V3, word) => Precision::of_v3(word.unwrap_or("auto")).map(Some),
        (_, word) => word.map(str::parse).transpose(),
    };
    let precision = match precision {
        Ok(precision) => precision,
        Err(error) => return dialect.refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let encoding = call.head.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    let encoding = String::from_utf8_lossy(encoding);
    let Some(coding) = Coding::parse(&encoding) else {
        let what = format!("Content-Encoding {encoding:?} is not spoken here: send gzip, or the body as it is");
        return dialect.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &what);
    };
    let body = inlet.take(call.peer.ip(), &target.database, precision, coding, target.bad_lines, call.body);
    match body.await {
        Ok(written) if written.refused == 0 => Reply::empty(StatusCode::NO_CONTENT),
        Ok(written) => partial_write(dialect, &written, target.bad_lines),
        Err(error) => not_written(dialect, &target.database, &error),
    }
}

/// Some lines were refused. The others are stored unless `bad_lines` cost all, so this is an acknowledgement too.
fn partial_write(dialect: Dialect, written: &Written, bad_lines: BadLines) -> Reply {
    let Written { lines, refused, expired, first } = written;
    let mut what = String::from(match (dialect, bad_lines) {
        (_, BadLines::CostAll) => "nothing was written, since accept_partial is false:",
        (Dialect::V3, BadLines::CostThemselves) => "partial write of line protocol occurred:",
        (_, BadLines::CostThemselves) => "partial write:",
    });
    let stored = if bad_lines == BadLines::CostAll { 0 } else { *lines };
    let beyond = if dialect == Dialect::V3 { 0 } else { *expired };
    if beyond > 0 {
        what.push_str(BEYOND_RETENTION);
    }
    if beyond < *refused {
        what.push_str(if beyond > 0 { ";" } else { "" });
        for refusal in first {
            what.push_str(&format!(" line {}, column {}: {};", refusal.line, refusal.column, refusal.message));
        }
        let more = refused - first.len() as u64;
        if more > 0 {
            what.push_str(&format!(" and {more} more lines;"));
        }
        what.push_str(&format!(" written={stored}"));
    }
    what.push_str(&format!(" dropped={}", refused + lines - stored));
    let more = match dialect {
        Dialect::V3 => json!({ "data": first.iter().map(refusal_of_v3).collect::<Vec<_>>() }),
        Dialect::V1 | Dialect::V2 => json!({
            "written": stored,
            "dropped": refused,
            "lines": first.iter().map(refusal_of_ours).collect::<Vec<_>>(),
        }),
    };
    dialect.refuse_with(StatusCode::BAD_REQUEST, &what, more).told()
}

fn refusal_of_ours(refusal: &Refusal) -> Value {
    let Refusal { line, column, reason, message, .. } = refusal;
    json!({ "line": line, "column": column, "reason": reason, "message": message })
}

fn refusal_of_v3(refusal: &Refusal) -> Value {
    json!({ "line_number": refusal.line, "error_message": format!("column {}: {}", refusal.column, refusal.message) })
}

/// Nothing was stored of what was to go to `database`.
fn not_written(dialect: Dialect, database: &str, error: &BodyError) -> Reply {
    let what = causes::sentence(error);
    match error {
        BodyError::TooLarge { limit, setting, .. } => {
            let more = json!({ "limit": limit, "setting": setting, "maxLength": limit });
            dialect.refuse_with(StatusCode::PAYLOAD_TOO_LARGE, &what, more)
        }
        BodyError::NotStored(NotStored::Log(WalError::RecordTooLarge { .. })) => {
            dialect.refuse(StatusCode::PAYLOAD_TOO_LARGE, &what)
        }
        // Of a policy InfluxDB 1 says 500, at which clients other than Telegraf send again forever.
        BodyError::Database(BadDatabase::Unknown { .. } | BadDatabase::UnknownPolicy { .. }) => {
            let what = if dialect == Dialect::V2 { format!("bucket {database:?} not found") } else { what };
            dialect.refuse(StatusCode::NOT_FOUND, &what)
        }
        BodyError::Coding(_) | BodyError::Malformed(_) | BodyError::Database(_) => {
            dialect.refuse(StatusCode::BAD_REQUEST, &what)
        }
        // Not 408: Telegraf throws away what is answered so, and a slow link is no fault of what was sent.
        BodyError::Slow(_) | BodyError::Cut(_) | BodyError::NotStored(_) => {
            dialect.refuse(StatusCode::SERVICE_UNAVAILABLE, &what)
        }
    }
}
