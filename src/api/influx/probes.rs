//! What clients of InfluxDB ask to see whether there is anybody.

use super::INFLUXDB_VERSION;
use crate::api::Call;
use crate::api::backend::Readiness;
use crate::api::reply::Reply;
use crate::api::status::rfc_3339;
use hyper::StatusCode;
use serde_json::json;

/// `/ping`: 204, or with `verbose` 200 and the version as JSON.
pub async fn ping(call: Call) -> Reply {
    match call.address.first("verbose") {
        "" | "0" | "false" => Reply::empty(StatusCode::NO_CONTENT),
        _ => Reply::json_value(StatusCode::OK, &json!({ "version": INFLUXDB_VERSION })),
    }
}

/// `/health`: 200 and `pass` while writes and reads are served, 503 and `fail` otherwise, with the reason.
pub async fn health(call: Call) -> Reply {
    let (status, word, message) = match call.api.backend.readiness() {
        Readiness::Ready => (StatusCode::OK, "pass", "ready for queries and writes".to_string()),
        Readiness::Degraded(why) | Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, "fail", why),
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
        Readiness::Ready | Readiness::Degraded(_) => {
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
