//! Selectors and the times at which they look.

use super::SelectorPlan;
use super::build::bad;
use super::duration::{milliseconds, signed};
use crate::promql::error::QueryError;
use crate::promql::grid::Shift;
use crate::promql::syntax::{self, At, Fault, TimeModifiers};
use crate::promql::value::TimeRange;
use crate::series::{METRIC_NAME, Matcher};

/// What the regular expressions of one query may cost together, as [`crate::series::Pattern::cost`] counts.
const PATTERNS_COST_MAX: u64 = 200_000;

/// The regular expressions of a query: what they cost so far.
#[derive(Default)]
pub(super) struct Patterns(u64);

impl Patterns {
    /// Accounts for one more, at byte `at`.
    pub fn add(&mut self, cost: u64, at: usize) -> Result<(), Fault> {
        self.0 += cost;
        if self.0 <= PATTERNS_COST_MAX {
            return Ok(());
        }
        let sentence = format!(
            "the regular expressions up to here need {} steps of an automaton, {PATTERNS_COST_MAX} are allowed in one \
             query: use fewer or smaller ones",
            self.0
        );
        bad(at, sentence)
    }
}

/// The matchers of `text`, which must be a selector and nothing else: `up`, `{job="a"}`. For `match[]` and the like.
///
/// There may be none, or none that a series could fail (`{}`, `{job=~".*"}`): whether that is too much to ask for is up
/// to the caller.
///
/// # Errors
/// [`QueryError::BadData`] where it is anything else.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let matchers = syntax::parse_selector(text).and_then(|selector| matchers(&selector, &mut Patterns::default()));
    matchers.map_err(|fault| QueryError::BadData(fault.in_text(text)))
}

/// Resolves a selector, which starts at byte `at`. It must ask for something.
pub(super) fn selector(
    selector: &syntax::Selector,
    at: usize,
    times: TimeRange,
    patterns: &mut Patterns,
) -> Result<SelectorPlan, Fault> {
    let matchers = matchers(selector, patterns)?;
    if matchers.iter().all(Matcher::matches_absent) {
        return bad(at, "vector selector must contain at least one non-empty matcher");
    }
    Ok(SelectorPlan { matchers, shift: shift(&selector.time, times)? })
}

/// The matchers of a selector, that of the metric's name first.
pub(super) fn matchers(selector: &syntax::Selector, patterns: &mut Patterns) -> Result<Vec<Matcher>, Fault> {
    let name = selector.name.iter().map(|name| Ok(Matcher::equal(METRIC_NAME, name)));
    let others = selector.matchers.iter().map(|matcher| {
        let built = Matcher::new(&matcher.name, matcher.op, &matcher.value);
        let built = built.map_err(|error| Fault::new(matcher.span.start, error.to_string()))?;
        patterns.add(built.cost(), matcher.span.start)?;
        Ok(built)
    });
    name.chain(others).collect()
}

/// Resolves `@` and `offset`; `times` are those of the whole query, whose ends `start()` and `end()` stand for.
pub(super) fn shift(time: &TimeModifiers, times: TimeRange) -> Result<Shift, Fault> {
    let at = match time.at {
        None => None,
        Some((At::Start, _)) => Some(times.start()),
        Some((At::End, _)) => Some(times.end()),
        Some((At::Time(seconds), span)) => Some(milliseconds("timestamp for the @ modifier", seconds, span.start)?),
    };
    let offset = time.offset.as_ref().map_or(Ok(0), |offset| signed("offset", offset, times))?;
    Ok(Shift { at, offset })
}
