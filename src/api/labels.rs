//! `/api/v1/series`, `/api/v1/labels` and `/api/v1/label/<name>/values`.

use super::answer::Cancel;
use super::args::{self, TIME_MS_MAX};
use super::backend::{Found, Scope};
use super::error::ApiError;
use super::query::{TRUNCATED, push_notes};
use super::reply::Reply;
use super::time_limit::TimeLimit;
use super::{Backend, Call, Inquiry, json, params, selector};
use hyper::StatusCode;
use std::sync::Arc;

/// The label sets of the series that a `match[]` selects.
pub async fn series(call: Call) -> Result<Reply, ApiError> {
    let inquiry = call.query().await?;
    let active = Arc::clone(&inquiry.active);
    if inquiry.params.all("match[]").next().is_none() {
        return active.settle(Err(ApiError::bad_data("no match[] parameter provided")));
    }
    let look_up = |backend: &dyn Backend, scope: &Scope| backend.series(scope);
    active.settle(answer(inquiry, look_up, json::push_labels).await)
}

/// The names of labels.
pub async fn names(call: Call) -> Result<Reply, ApiError> {
    let inquiry = call.query().await?;
    let active = Arc::clone(&inquiry.active);
    let look_up = |backend: &dyn Backend, scope: &Scope| backend.label_names(scope);
    active.settle(answer(inquiry, look_up, |out, name| json::push_text(out, name)).await)
}

/// The values of one label.
pub async fn values(call: Call) -> Result<Reply, ApiError> {
    let encoded = call.wildcard.clone();
    let inquiry = call.query().await?;
    let active = Arc::clone(&inquiry.active);
    let name = match params::decode(encoded.as_bytes()) {
        Ok(name) => args::unescape_label_name(&name),
        Err(what) => return active.settle(Err(ApiError::bad_data(format!("invalid label name: {what}")))),
    };
    let look_up = move |backend: &dyn Backend, scope: &Scope| backend.label_values(&name, scope);
    active.settle(answer(inquiry, look_up, |out, value| json::push_text(out, value)).await)
}

/// Looks something up in the scope that the parameters tell, and writes each result with `push`.
async fn answer<T: 'static>(
    inquiry: Inquiry,
    look_up: impl FnOnce(&dyn Backend, &Scope) -> Result<Found<T>, ApiError> + Send + 'static,
    push: impl Fn(&mut Vec<u8>, &T) + Send + 'static,
) -> Result<Reply, ApiError> {
    let Inquiry { api, params, active, databases } = inquiry;
    let start_ms = args::time_or("start", params.first("start"), -TIME_MS_MAX)?;
    let end_ms = args::time_or("end", params.first("end"), TIME_MS_MAX)?;
    let asked = args::parse_limit(params.first("limit"))?;
    let rules = api.rules();
    let most = Some(rules.options.look_up_results_max).filter(|most| *most > 0);
    let limit = asked.into_iter().chain(most).min();
    let cancel = Cancel::default();
    let time_limit = TimeLimit::of_look_up(rules.options.labels_timeout);
    let deadline = time_limit.deadline();
    let (backend, running, canceled) = (Arc::clone(&api.backend), Arc::clone(&active), cancel.clone());
    let work = move |_| {
        running.start();
        let selectors = selector::selectors(&params, rules.options.text_bytes_max, rules.options.regex_steps_max)?;
        let deadline = deadline.into_std();
        let scope = Scope { selectors, start_ms, end_ms, limit, databases, deadline, cancel: canceled };
        let mut found = Found { results: Vec::new(), warnings: Vec::new() };
        if start_ms <= end_ms {
            found = look_up(&*backend, &scope)?;
        }
        if let Some(limit) = limit.filter(|limit| found.results.len() > *limit) {
            found.results.truncate(limit);
            found.warnings.push(match asked {
                Some(asked) if asked == limit => TRUNCATED.to_string(),
                _ => format!("{TRUNCATED}: query.max_look_up_results allows {limit}; narrow match[] or raise it"),
            });
        }
        let mut body = br#"{"status":"success","data":["#.to_vec();
        json::push_list(&mut body, &found.results, push);
        body.push(b']');
        push_notes(&mut body, "warnings", &found.warnings);
        body.push(b'}');
        Ok(body)
    };
    let answered = api.queries.run(Some(deadline), cancel, work).await;
    Ok(Reply::json(StatusCode::OK, answered.map_err(|error| time_limit.explain(error, &active))?))
}
