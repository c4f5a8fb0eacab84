//! `/admin/…` and `/-/reload`: actions and inner state, for whoever runs the daemon. `auth` decides who that is.

use super::Call;
use super::error::ApiError;
use super::reply::Reply;
use hyper::StatusCode;

/// Seals all open chunks; answers when they are durable.
pub async fn seal(call: Call) -> Result<Reply, ApiError> {
    let done = call.api.action(|api| api.backend.seal()).await?;
    Ok(Reply::json_value(StatusCode::OK, &done))
}

/// Archives what is due; with `?force=1`, every partition.
pub async fn archive(call: Call) -> Result<Reply, ApiError> {
    let (api, params) = call.params().await?;
    let force = match params.first("force") {
        "" | "0" | "false" => false,
        "1" | "true" => true,
        other => return Err(ApiError::parameter("force", format!("got {other:?}, want 1 or 0"))),
    };
    let done = api.action(move |api| api.backend.archive(force)).await?;
    Ok(Reply::json_value(StatusCode::OK, &done))
}

/// The daemon's inner state.
pub async fn status(call: Call) -> Result<Reply, ApiError> {
    let status = call.api.page(|api| Ok(api.backend.status())).await?;
    Ok(Reply::json_value(StatusCode::OK, &status))
}

/// Reads the configuration again, and answers once the changes are in force.
pub async fn reload(call: Call) -> Result<Reply, ApiError> {
    let done = call.api.action(|api| api.backend.reload()).await?;
    Ok(Reply::json_value(StatusCode::OK, &done))
}
