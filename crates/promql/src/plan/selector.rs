//! Selectors and the times at which they look.

use super::SelectorPlan;
use super::build::bad;
use super::duration::{milliseconds, signed};
use crate::error::QueryError;
use crate::grid::Shift;
use crate::syntax::{self, At, Fault, TimeModifiers};
use crate::value::TimeRange;
use sealine_model::{METRIC_NAME, Matcher};

/// The regular expressions of a query share the steps of automata that it may need: this is what is left of them.
pub(super) struct RegexSteps(pub u64);

impl RegexSteps {
    /// Takes off what one has needed.
    pub fn take(&mut self, steps: u64) {
        self.0 = self.0.saturating_sub(steps);
    }
}

/// The matchers of `text`, which must be a selector and nothing else: `up`, `{job="a"}`. For `match[]` and the like.
///
/// Its regular expressions may need so many steps of automata. There may be no matcher, or none that a series could fail (`{}`, `{job=~".*"}`): whether that is too much to ask for is up
/// to the caller.
///
/// # Errors
/// [`QueryError::BadData`] where it is anything else.
pub fn parse_selector(text: &str, regex_steps_max: u64) -> Result<Vec<Matcher>, QueryError> {
    let mut steps = RegexSteps(regex_steps_max);
    let matchers = syntax::parse_selector(text).and_then(|selector| matchers(&selector, &mut steps));
    matchers.map_err(|fault| QueryError::BadData(fault.in_text(text)))
}

/// Resolves a selector, which starts at byte `at`. It must ask for something.
pub(super) fn selector(
    selector: &syntax::Selector,
    at: usize,
    times: TimeRange,
    steps: &mut RegexSteps,
) -> Result<SelectorPlan, Fault> {
    let matchers = matchers(selector, steps)?;
    if matchers.iter().all(Matcher::matches_absent) {
        return bad(at, "vector selector must contain at least one non-empty matcher");
    }
    Ok(SelectorPlan { matchers, shift: shift(&selector.time, times)? })
}

/// The matchers of a selector, that of the metric's name first.
pub(super) fn matchers(selector: &syntax::Selector, steps: &mut RegexSteps) -> Result<Vec<Matcher>, Fault> {
    let name = selector.name.iter().map(|name| Ok(Matcher::equal(METRIC_NAME, name)));
    let others = selector.matchers.iter().map(|matcher| {
        let built = Matcher::within(steps.0, &matcher.name, matcher.op, &matcher.value);
        let built = built.map_err(|error| Fault::new(matcher.span.start, error.to_string()))?;
        steps.take(built.steps());
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
