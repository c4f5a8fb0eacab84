//! `/api/v1/query`, `/api/v1/query_range` and `/api/v1/format_query`.

use super::active::Cost;
use super::answer::{Cancel, QueryAnswer, QueryRequest, TimeRange, Value};
use super::error::ApiError;
use super::params::Params;
use super::reply::Reply;
use super::stats::Stats;
use super::time_limit::TimeLimit;
use super::{Call, Inquiry, args, json};
use crate::config::duration;
use hyper::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// The warning that says that `limit` cut something off, in upstream's words.
pub const TRUNCATED: &str = "results truncated due to limit";

/// Evaluates a query at one time, by default now.
pub async fn instant(call: Call) -> Result<Reply, ApiError> {
    let inquiry = call.query().await?;
    let (active, now_ms) = (Arc::clone(&inquiry.active), (inquiry.api.now_ms)());
    let text = inquiry.params.first("time");
    let at = args::time_or("time", text, now_ms).and_then(|at| args::within_reach("time", text, at));
    let range = at.map(|at| TimeRange::Instant { at });
    active.settle(answer(inquiry, range).await)
}

/// Evaluates a query at each step of a range.
pub async fn range(call: Call) -> Result<Reply, ApiError> {
    let inquiry = call.query().await?;
    let active = Arc::clone(&inquiry.active);
    let range = parse_range(&inquiry.params, inquiry.api.rules().options.points_max);
    active.settle(answer(inquiry, range).await)
}

/// Writes a query as it should be written.
pub async fn format(call: Call) -> Result<Reply, ApiError> {
    let (api, params) = call.params().await?;
    let text = params.first("query").to_string();
    let formatted = api.page(move |api| api.backend.format_query(&text)).await.map_err(|e| e.blame("query"))?;
    Reply::success(&formatted)
}

/// Reads `start`, `end` and `step`; refuses more than `points_max` steps between the ends.
pub fn parse_range(params: &Params, points_max: u32) -> Result<TimeRange, ApiError> {
    let time = |name| {
        let text = params.first(name);
        let time = args::parse_time(text).map_err(|what| ApiError::parameter(name, what))?;
        args::within_reach(name, text, time)
    };
    let (start, end) = (time("start")?, time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = args::parse_duration(params.first("step")).map_err(|what| ApiError::parameter("step", what))?;
    if step <= 0 {
        let what = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", what));
    }
    if (end - start) / step > i64::from(points_max) {
        let smallest = (end - start) / (i64::from(points_max) + 1) + 1;
        return Err(ApiError::bad_data(format!(
            "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX): \
             the smallest step that works for this range is {}",
            with_commas(points_max),
            duration::format(Duration::from_millis(smallest.unsigned_abs())),
        )));
    }
    Ok(TimeRange::Range { start, end, step })
}

/// `11000` as `11,000`.
fn with_commas(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

async fn answer(inquiry: Inquiry, range: Result<TimeRange, ApiError>) -> Result<Reply, ApiError> {
    let Inquiry { api, params, active, databases } = inquiry;
    let range = range?;
    let time_limit = TimeLimit::of_query(&params, api.rules().options.query_timeout)?;
    let lookback_ms = match params.given("lookback_delta").map(args::parse_duration).transpose() {
        Ok(lookback) => lookback.filter(|millis| *millis > 0),
        Err(what) => return Err(ApiError::bad_data(format!("error parsing lookback delta duration: {what}"))),
    };
    let limit = args::parse_limit(params.first("limit"))?;
    let stats = Stats::of(&params);
    let deadline = time_limit.deadline();
    let cancel = Cancel::default();
    let request = QueryRequest {
        text: params.first("query").to_string(),
        range,
        lookback_ms,
        deadline: deadline.into_std(),
        limit,
        count_steps: stats != Stats::None,
        databases,
        cancel: cancel.clone(),
    };
    let (backend, running) = (Arc::clone(&api.backend), Arc::clone(&active));
    let work = move |queued| {
        running.start();
        let mut answer = backend.query(request).map_err(|error| error.blame("query"))?;
        running.set_cost(Cost { samples: answer.stats.samples, series: answer.stats.series });
        truncate(&mut answer, limit);
        let stats = stats.to_json(&answer.stats, range, queued);
        Ok(encode(&answer, stats.as_ref()))
    };
    let answered = api.queries.run(Some(deadline), cancel, work).await;
    Ok(Reply::json(StatusCode::OK, answered.map_err(|error| time_limit.explain(error, &active))?))
}

/// Cuts off the series beyond `limit`, and says so.
fn truncate(answer: &mut QueryAnswer, limit: Option<usize>) {
    let limit = limit.unwrap_or(usize::MAX);
    let before = match &mut answer.value {
        Value::Vector(samples) => {
            let before = samples.len();
            samples.truncate(limit);
            before
        }
        Value::Matrix(series) => {
            let before = series.len();
            series.truncate(limit);
            before
        }
        Value::Scalar(_) | Value::String(..) => return,
    };
    if before > limit {
        answer.warnings.push(TRUNCATED.to_string());
    }
}

/// The body of the answer, with what it cost where that was asked for.
fn encode(answer: &QueryAnswer, stats: Option<&serde_json::Value>) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 + json::size_hint(&answer.value));
    body.extend_from_slice(br#"{"status":"success","data":{"#);
    json::push_result(&mut body, &answer.value);
    if let Some(stats) = stats {
        body.extend_from_slice(br#","stats":"#);
        body.extend_from_slice(stats.to_string().as_bytes());
    }
    body.push(b'}');
    push_notes(&mut body, "warnings", &answer.warnings);
    push_notes(&mut body, "infos", &answer.infos);
    body.push(b'}');
    body
}

/// Appends a list of sentences as a member of the envelope, unless it is empty.
pub fn push_notes(body: &mut Vec<u8>, name: &str, notes: &[String]) {
    if !notes.is_empty() {
        body.extend_from_slice(b",\"");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\":[");
        json::push_list(body, notes, |body, note| json::push_text(body, note));
        body.push(b']');
    }
}
