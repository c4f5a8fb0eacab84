//! Which functions there are, and how many arguments each of them takes.

use super::build::bad;
use super::{MapFunction, RangeFunction};
use crate::syntax::{Call, Fault, shortened};

/// Refuses a call of an unknown function, or with too few or too many arguments. The call starts at byte `at`.
pub(super) fn check(call: &Call, at: usize) -> Result<(), Fault> {
    let (name, got) = (&call.name, call.arguments.len());
    let Some((min, max)) = arity(name) else {
        return bad(at, format!("unknown function with name {:?}", shortened(name)));
    };
    let want = match (min, max) {
        _ if (min..=max).contains(&got) => return Ok(()),
        _ if min == max => format!("{min}"),
        _ if got < min => format!("at least {min}"),
        _ => format!("at most {max}"),
    };
    bad(at, format!("expected {want} argument(s) in call to {name:?}, got {got}"))
}

/// The least and the most arguments that the function takes.
fn arity(name: &str) -> Option<(usize, usize)> {
    if let Some(function) = RangeFunction::named(name) {
        return Some(match function {
            RangeFunction::Quantile | RangeFunction::PredictLinear => (2, 2),
            RangeFunction::DoubleExponential => (3, 3),
            _ => (1, 1),
        });
    }
    if let Some(function) = MapFunction::named(name) {
        return Some(match function {
            MapFunction::Clamp => (3, 3),
            MapFunction::ClampMin | MapFunction::ClampMax => (2, 2),
            MapFunction::Round => (1, 2),
            MapFunction::Date(_) => (0, 1),
            _ => (1, 1),
        });
    }
    Some(match name {
        "time" | "pi" | "start" | "end" | "range" | "step" => (0, 0),
        "scalar" | "vector" | "timestamp" | "absent" | "absent_over_time" | "sort" | "sort_desc" => (1, 1),
        "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev" | "histogram_stdvar" => (1, 1),
        "min_of" | "max_of" | "histogram_quantile" => (2, 2),
        "histogram_fraction" => (3, 3),
        "histogram_quantiles" => (3, 12),
        "label_replace" => (5, 5),
        "label_join" => (3, usize::MAX),
        "sort_by_label" | "sort_by_label_desc" => (1, usize::MAX),
        "info" => (1, 2),
        _ => return None,
    })
}
