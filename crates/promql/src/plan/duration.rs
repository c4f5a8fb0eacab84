//! Durations: what stands in square brackets and behind `offset`, folded into milliseconds.
//!
//! A duration is a number of seconds, or is made of such numbers: `5m`, `300`, `2 * (step() + 1s)`. The functions ask
//! for the times of the whole query, so a duration is the same at each of its steps.

use super::build::bad;
use crate::syntax::{BinaryOp, Call, Expr, Fault, Kind, Sign};
use crate::value::TimeRange;

/// Durations and times beyond this many milliseconds (30,000 years) are refused, so that sums cannot overflow.
pub const TIME_MAX: i64 = 1_000_000_000_000_000;

/// A duration in milliseconds that is longer than nothing; `what` names it.
pub(super) fn positive(what: &str, expr: &Expr, times: TimeRange) -> Result<i64, Fault> {
    let seconds = seconds(expr, times)?;
    match milliseconds(what, seconds, expr.span.start)? {
        ms if ms > 0 => Ok(ms),
        _ => bad(expr.span.start, format!("the {what} must be greater than 0 and at least 1ms, got {seconds}s")),
    }
}

/// A duration in milliseconds that may be negative; `what` names it.
pub(super) fn signed(what: &str, expr: &Expr, times: TimeRange) -> Result<i64, Fault> {
    milliseconds(what, seconds(expr, times)?, expr.span.start)
}

/// Seconds as milliseconds, which must not be beyond [`TIME_MAX`]; they stand at byte `at` of the text.
pub(super) fn milliseconds(what: &str, seconds: f64, at: usize) -> Result<i64, Fault> {
    let ms = (seconds * 1000.0).round();
    if ms.abs() <= TIME_MAX as f64 {
        return Ok(ms as i64);
    }
    bad(at, format!("the {what} is out of bounds: got {seconds}s, at most {}s are allowed", TIME_MAX / 1000))
}

fn seconds(expr: &Expr, times: TimeRange) -> Result<f64, Fault> {
    let of_range = |ms: i64| Ok(ms as f64 / 1000.0);
    match &expr.kind {
        Kind::Number(number) => Ok(number.value),
        Kind::Paren(inner) | Kind::Unary(Sign::Plus, inner) => seconds(inner, times),
        Kind::Unary(Sign::Minus, inner) => Ok(-seconds(inner, times)?),
        Kind::Binary(binary) => {
            let (left, right) = (seconds(&binary.left, times)?, seconds(&binary.right, times)?);
            let at = binary.right.span.start;
            match binary.op {
                BinaryOp::Add => Ok(left + right),
                BinaryOp::Subtract => Ok(left - right),
                BinaryOp::Multiply => Ok(left * right),
                BinaryOp::Power => Ok(left.powf(right)),
                BinaryOp::Divide if right == 0.0 => bad(at, "division by zero"),
                BinaryOp::Divide => Ok(left / right),
                BinaryOp::Modulo if right == 0.0 => bad(at, "modulo by zero"),
                BinaryOp::Modulo => Ok(left % right),
                op => {
                    let (op, at) = (op.text(), binary.op_span.start);
                    bad(at, format!("a duration cannot be made with the operator {op:?}, only with + - * / % ^"))
                }
            }
        }
        Kind::Call(Call { name, arguments }) => match (name.as_str(), &arguments[..]) {
            ("step", []) => of_range(times.step()),
            ("range", []) => of_range(times.end() - times.start()),
            ("min_of", [a, b]) => Ok(seconds(a, times)?.min(seconds(b, times)?)),
            ("max_of", [a, b]) => Ok(seconds(a, times)?.max(seconds(b, times)?)),
            _ => no_duration(expr, &format!("the call of {name:?}")),
        },
        Kind::Text(_) => no_duration(expr, "a string"),
        Kind::Selector(_) | Kind::Range(_) => no_duration(expr, "a selector"),
        Kind::Subquery(_) => no_duration(expr, "a subquery"),
        Kind::Aggregate(_) => no_duration(expr, "an aggregation"),
    }
}

fn no_duration(expr: &Expr, got: &str) -> Result<f64, Fault> {
    let want = "a duration such as 5m, a number of seconds, step(), range(), min_of(), max_of(), or what + - * / % ^ \
                make of these";
    bad(expr.span.start, format!("unexpected {got}, expected {want}"))
}
