//! The slow-query log: one line for each query that took at least `query.slow`, however it ended.

use super::active::Active;
use sealine_telemetry::Outcome;
use std::time::Duration;

/// Writes the line. All that a client wrote goes in as text fields: the log quotes and escapes them, so that a query
/// cannot forge a line.
pub fn log(active: &Active, outcome: Outcome, took: Duration) {
    let (asked, caller, cost) = (active.asked(), active.caller(), active.cost());
    let time = |name: &str| asked.times.iter().find(|(given, _)| *given == name).map(|(_, time)| time.as_str());
    tracing::warn!(
        path = asked.path.as_str(),
        query = asked.text.as_str(),
        time = time("time"),
        start = time("start"),
        end = time("end"),
        step = time("step"),
        outcome = outcome.as_str(),
        seconds = seconds(took),
        queue_seconds = seconds(active.waited()),
        samples = cost.map(|cost| cost.samples),
        series = cost.map(|cost| cost.series),
        client = %caller.client,
        user_agent = caller.get("userAgent"),
        org = caller.get("orgId"),
        dashboard = caller.get("dashboardUid"),
        dashboard_title = caller.get("dashboardTitle"),
        panel = caller.get("panelId"),
        panel_title = caller.get("panelTitle"),
        rule = caller.get("ruleUid"),
        rule_name = caller.get("ruleName"),
        tags = caller.get("queryTags"),
        "slow query"
    );
}

/// To the millisecond, which is what people read.
fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}
