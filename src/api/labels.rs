//! `/api/v1/series`, `/api/v1/labels` and `/api/v1/label/<name>/values`.

use super::answer::Cancel;
use super::args::{self, TIME_MS_MAX};
use super::backend::{Found, Scope};
use super::error::ApiError;
use super::params::Params;
use super::query::{TRUNCATED, push_notes};
use super::reply::Reply;
use super::{Api, Backend, Call, json, selector};
use hyper::StatusCode;
use std::sync::Arc;
use tokio::time::Instant;

/// The label sets of the series that a `match[]` selects.
pub async fn series(call: Call) -> Result<Reply, ApiError> {
    let (api, params) = call.params().await?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    answer(api, params, |backend, scope| backend.series(scope), json::push_labels).await
}

/// The names of labels.
pub async fn names(call: Call) -> Result<Reply, ApiError> {
    let (api, params) = call.params().await?;
    answer(api, params, |backend, scope| backend.label_names(scope), |out, name| json::push_text(out, name)).await
}

/// The values of one label.
pub async fn values(call: Call) -> Result<Reply, ApiError> {
    let encoded = percent_encoding::percent_decode_str(&call.wildcard).decode_utf8();
    let name = match encoded {
        Ok(name) if !name.is_empty() => args::unescape_label_name(&name),
        _ => return Err(ApiError::bad_data(format!("invalid label name: {:?}", call.wildcard))),
    };
    let (api, params) = call.params().await?;
    let look_up = move |backend: &dyn Backend, scope: &Scope| backend.label_values(&name, scope);
    answer(api, params, look_up, |out, value| json::push_text(out, value)).await
}

/// Looks something up in the scope that the parameters tell, and writes each result with `push`.
async fn answer<T: 'static>(
    api: Arc<Api>,
    params: Params,
    look_up: impl FnOnce(&dyn Backend, &Scope) -> Result<Found<T>, ApiError> + Send + 'static,
    push: impl Fn(&mut Vec<u8>, &T) + Send + 'static,
) -> Result<Reply, ApiError> {
    let start_ms = args::time_or("start", params.first("start"), -TIME_MS_MAX)?;
    let end_ms = args::time_or("end", params.first("end"), TIME_MS_MAX)?;
    let limit = args::parse_limit(params.first("limit"))?;
    let cancel = Cancel::default();
    let deadline = Instant::now() + api.options.query_timeout;
    let backend = Arc::clone(&api.backend);
    let canceled = cancel.clone();
    let work = move |_| {
        let selectors = selector::selectors(&params)?;
        let db = params.given("db").map(str::to_string);
        let scope = Scope { selectors, start_ms, end_ms, limit, db, cancel: canceled };
        let mut found = Found { results: Vec::new(), warnings: Vec::new() };
        if start_ms <= end_ms {
            found = look_up(&*backend, &scope)?;
        }
        if let Some(limit) = limit.filter(|limit| found.results.len() > *limit) {
            found.results.truncate(limit);
            found.warnings.push(TRUNCATED.to_string());
        }
        let mut body = br#"{"status":"success","data":["#.to_vec();
        json::push_list(&mut body, &found.results, push);
        body.push(b']');
        push_notes(&mut body, "warnings", &found.warnings);
        body.push(b'}');
        Ok(body)
    };
    Ok(Reply::json(StatusCode::OK, api.queries.run(Some(deadline), cancel, work).await?))
}
