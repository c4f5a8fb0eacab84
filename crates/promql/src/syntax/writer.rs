//! Formats a query as Prometheus does.
//!
//! What fits on a line stays on one; anything longer is split at its outermost brackets or its operator, and each part
//! goes two spaces deeper. Selectors, numbers and strings are never split.

mod line;

use super::tree::{Binary, Expr, Kind};
use line::Line;
use std::fmt::Write;

/// Bytes that an expression may have on one line, indentation not counted.
const LINE_BYTES_MAX: usize = 100;

/// The expression on one or more lines, without a line break at the end. Linear in the length of the text.
pub fn pretty(expr: &Expr) -> String {
    let mut pretty = String::new();
    write(&mut pretty, expr, 0);
    pretty
}

/// Appends an expression whose first line is indented already; its other lines are `depth` levels deep.
fn write(out: &mut String, expr: &Expr, depth: usize) {
    if let Some(line) = Line::of(LINE_BYTES_MAX, |line| line.expr(expr)) {
        out.push_str(&line);
        return;
    }
    match &expr.kind {
        Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(_) => {
            push_whole(out, |line| line.expr(expr));
        }
        Kind::Unary(sign, operand) => {
            push_whole(out, |line| line.sign(*sign));
            let start = out.len();
            write(out, operand, depth);
            // The sign stands right before its operand, even if that is an operator that was split.
            let blanks = out[start..].bytes().take_while(|byte| *byte == b' ').count();
            out.drain(start..start + blanks);
        }
        Kind::Paren(inner) => {
            out.push('(');
            write_parts(out, [&**inner], depth);
            out.push(')');
        }
        Kind::Call(call) => {
            out.push_str(&call.name);
            out.push('(');
            write_parts(out, &call.arguments, depth);
            out.push(')');
        }
        Kind::Aggregate(aggregate) => {
            push_whole(out, |line| line.aggregate_head(aggregate));
            out.push('(');
            write_parts(out, aggregate.parameter.iter().chain([&aggregate.expr]), depth);
            out.push(')');
        }
        Kind::Subquery(subquery) => {
            write(out, &subquery.expr, depth);
            push_whole(out, |line| line.subquery_tail(subquery));
        }
        Kind::Binary(binary) => write_binary(out, binary, depth),
    }
}

/// The operator and its modifiers stand on a line of their own, between the operands, which are a level deeper.
fn write_binary(out: &mut String, binary: &Binary, depth: usize) {
    // The left operand comes first, so its indentation is added to what the line has already.
    out.push_str("  ");
    write(out, &binary.left, depth + 1);
    new_line(out, depth);
    push_whole(out, |line| line.operator(binary));
    new_line(out, depth + 1);
    write(out, &binary.right, depth + 1);
}

/// Each part on lines of its own, a level deeper, and then a new line for the closing bracket.
fn write_parts<'a>(out: &mut String, parts: impl IntoIterator<Item = &'a Expr>, depth: usize) {
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        new_line(out, depth + 1);
        write(out, part, depth + 1);
    }
    new_line(out, depth);
}

fn new_line(out: &mut String, depth: usize) {
    write!(out, "\n{:1$}", "", depth * 2).expect("writing to a string does not fail");
}

fn push_whole(out: &mut String, write: impl FnOnce(&mut Line) -> std::fmt::Result) {
    out.push_str(&Line::of(usize::MAX, write).expect("a line without a bound has room for everything"));
}
