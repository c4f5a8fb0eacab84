//! Selectors and the times at which they look.

use super::build::bad;
use super::{Plan, SelectorPlan};
use crate::promql::error::QueryError;
use crate::promql::grid::Shift;
use crate::promql::value::TimeRange;
use crate::series::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::label::MatchOp as ParsedOp;
use promql_parser::parser::{AtModifier, Offset, VectorSelector};
use std::time::{Duration, SystemTime};

/// Durations and times beyond this many milliseconds (30,000 years) are refused, so that sums cannot overflow.
pub(in crate::promql) const TIME_MAX: i64 = 1_000_000_000_000_000;

/// Brackets around a lone selector beyond this many are refused.
const SELECTOR_LEVELS_MAX: usize = 16;

/// The matchers of `text`, which must be a selector and nothing else: `up`, `{job="a"}`. For `match[]` and the like.
///
/// # Errors
/// [`QueryError::BadData`] where it is anything else.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let levels = super::levels(text);
    if levels > SELECTOR_LEVELS_MAX {
        return bad(format!("parse error: a selector needs no {levels} operators and brackets"));
    }
    match super::build(text, TimeRange::Instant { at: 0 }, 1)? {
        Plan::Vector(super::VectorPlan::Selector(SelectorPlan { matchers, shift })) if shift == Shift::default() => {
            Ok(matchers)
        }
        _ => bad(format!("parse error: {text:?} must be a selector, such as `up{{job=\"a\"}}`, without modifiers")),
    }
}

/// Resolves a selector.
pub(super) fn selector(selector: &VectorSelector, times: TimeRange) -> Result<SelectorPlan, QueryError> {
    let mut matchers = Vec::new();
    if let Some(name) = &selector.name {
        matchers.push(Matcher::equal(METRIC_NAME, name));
    }
    if !selector.matchers.or_matchers.is_empty() {
        return bad("parse error: `or` between matchers is not PromQL; use a regular expression or the operator `or`");
    }
    for matcher in &selector.matchers.matchers {
        let op = match matcher.op {
            ParsedOp::Equal => MatchOp::Equal,
            ParsedOp::NotEqual => MatchOp::NotEqual,
            ParsedOp::Re(_) => MatchOp::Regex,
            ParsedOp::NotRe(_) => MatchOp::NotRegex,
        };
        let matcher = Matcher::new(&matcher.name, op, &matcher.value);
        matchers.push(matcher.map_err(|error| QueryError::BadData(format!("parse error: {error}")))?);
    }
    Ok(SelectorPlan { matchers, shift: shift(&selector.at, &selector.offset, times)? })
}

/// Resolves `@` and `offset`; `times` are those of the whole query, whose ends `start()` and `end()` stand for.
pub(super) fn shift(at: &Option<AtModifier>, offset: &Option<Offset>, times: TimeRange) -> Result<Shift, QueryError> {
    let at = match at {
        None => None,
        Some(AtModifier::Start) => Some(times.start()),
        Some(AtModifier::End) => Some(times.end()),
        Some(AtModifier::At(time)) => Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => milliseconds("time after @", after)?,
            Err(before) => -milliseconds("time after @", before.duration())?,
        }),
    };
    let offset = match offset {
        None => 0,
        Some(Offset::Pos(duration)) => milliseconds("offset", *duration)?,
        Some(Offset::Neg(duration)) => -milliseconds("offset", *duration)?,
    };
    Ok(Shift { at, offset })
}

/// A duration in milliseconds that is not zero.
pub(super) fn positive(what: &str, duration: Duration) -> Result<i64, QueryError> {
    match milliseconds(what, duration)? {
        0 => bad(format!("parse error: the {what} is zero, it must be at least 1ms")),
        ms => Ok(ms),
    }
}

fn milliseconds(what: &str, duration: Duration) -> Result<i64, QueryError> {
    match i64::try_from(duration.as_millis()) {
        Ok(ms) if ms <= TIME_MAX => Ok(ms),
        _ => {
            bad(format!("parse error: the {what} is {}s, at most {}s are allowed", duration.as_secs(), TIME_MAX / 1000))
        }
    }
}
