//! Writes an expression on one line, and gives up early where it does not fit.

use crate::syntax::number::{duration_text, number_text};
use crate::syntax::quote::quote;
use crate::syntax::tree::{
    Aggregate, At, Binary, Expr, Kind, LabelMatcher, Number, Selector, Sign, Subquery, TimeModifiers,
};
use sealine_model::MatchOp;
use std::fmt::{self, Write};

/// Bytes that a matcher has at least, with its comma: `a="",`.
const MATCHER_BYTES_MIN: usize = 5;

/// A line that is being written. An error of its methods means that it is full.
pub(super) struct Line {
    text: String,
    bytes_max: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.room() {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

impl Line {
    /// What `write` writes, or `None` if that takes more than `bytes_max`.
    pub fn of(bytes_max: usize, write: impl FnOnce(&mut Self) -> fmt::Result) -> Option<String> {
        let mut line = Line { text: String::new(), bytes_max };
        write(&mut line).ok().map(|()| line.text)
    }

    fn room(&self) -> usize {
        self.bytes_max - self.text.len()
    }

    /// Any expression.
    pub fn expr(&mut self, expr: &Expr) -> fmt::Result {
        match &expr.kind {
            Kind::Number(number) => self.write_str(&number_written(*number)),
            Kind::Text(text) if text.len() > self.room() => Err(fmt::Error),
            Kind::Text(text) => self.write_str(&quote(text)),
            Kind::Selector(selector) => {
                self.selector(selector)?;
                self.time(&selector.time)
            }
            Kind::Range(range) => {
                self.selector(&range.selector)?;
                self.write_str("[")?;
                self.duration(&range.range)?;
                self.write_str("]")?;
                self.time(&range.selector.time)
            }
            Kind::Subquery(subquery) => {
                self.expr(&subquery.expr)?;
                self.subquery_tail(subquery)
            }
            Kind::Unary(sign, operand) => {
                self.sign(*sign)?;
                self.expr(operand)
            }
            Kind::Paren(inner) => self.list([&**inner]),
            Kind::Binary(binary) => {
                self.expr(&binary.left)?;
                self.write_str(" ")?;
                self.operator(binary)?;
                self.write_str(" ")?;
                self.expr(&binary.right)
            }
            Kind::Aggregate(aggregate) => {
                self.aggregate_head(aggregate)?;
                self.list(aggregate.parameter.iter().chain([&aggregate.expr]))
            }
            Kind::Call(call) => {
                self.write_str(&call.name)?;
                self.list(&call.arguments)
            }
        }
    }

    /// Expressions in round brackets.
    fn list<'a>(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) -> fmt::Result {
        self.write_str("(")?;
        for (index, expr) in exprs.into_iter().enumerate() {
            self.write_str(if index > 0 { ", " } else { "" })?;
            self.expr(expr)?;
        }
        self.write_str(")")
    }

    /// `+` or `-`
    pub fn sign(&mut self, sign: Sign) -> fmt::Result {
        self.write_str(match sign {
            Sign::Plus => "+",
            Sign::Minus => "-",
        })
    }

    /// An operator with its modifiers: `== bool on (job) group_left (owner)`.
    pub fn operator(&mut self, binary: &Binary) -> fmt::Result {
        self.write_str(binary.op.text())?;
        if binary.bool {
            self.write_str(" bool")?;
        }
        match &binary.matching {
            // Ignoring nothing is what happens anyway; only `group_left` cannot do without.
            Some(matching) if matching.on || !matching.labels.is_empty() || binary.group.is_some() => {
                self.write_str(if matching.on { " on (" } else { " ignoring (" })?;
                self.labels(&matching.labels)?;
            }
            _ => {}
        }
        if let Some(group) = &binary.group {
            self.write_str(if group.left { " group_left (" } else { " group_right (" })?;
            self.labels(&group.labels)?;
        }
        match (binary.fill_left, binary.fill_right) {
            (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
                write!(self, " fill ({})", number_text(left))
            }
            (left, right) => {
                let sides = [("left", left), ("right", right)].into_iter();
                let mut filled = sides.filter_map(|(side, value)| Some((side, value?)));
                filled.try_for_each(|(side, value)| write!(self, " fill_{side} ({})", number_text(value)))
            }
        }
    }

    /// An aggregation up to its arguments: `sum by (job) `.
    pub fn aggregate_head(&mut self, aggregate: &Aggregate) -> fmt::Result {
        self.write_str(aggregate.op.text())?;
        match &aggregate.grouping {
            // By nothing is what happens anyway.
            Some(grouping) if grouping.without || !grouping.labels.is_empty() => {
                self.write_str(if grouping.without { " without (" } else { " by (" })?;
                self.labels(&grouping.labels)?;
                self.write_str(" ")
            }
            _ => Ok(()),
        }
    }

    /// What follows the expression of a subquery: `[1h:5m] offset 1m`.
    pub fn subquery_tail(&mut self, subquery: &Subquery) -> fmt::Result {
        self.write_str("[")?;
        self.duration(&subquery.range)?;
        self.write_str(":")?;
        subquery.step.iter().try_for_each(|step| self.duration(step))?;
        self.write_str("]")?;
        self.time(&subquery.time)
    }

    /// Names of labels and a closing bracket.
    fn labels(&mut self, labels: &[String]) -> fmt::Result {
        for (index, label) in labels.iter().enumerate() {
            self.write_str(if index > 0 { ", " } else { "" })?;
            self.name(label, ":")?;
        }
        self.write_str(")")
    }

    /// A label's name, in quotes where it needs some.
    fn label(&mut self, label: &str) -> fmt::Result {
        self.name(label, "")
    }

    /// As [`Self::label`]; these characters need no quotes either.
    fn name(&mut self, label: &str, free: &str) -> fmt::Result {
        if label.len() > self.room() {
            return Err(fmt::Error);
        }
        let plain = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || free.contains(c));
        if plain && !label.starts_with(|first: char| first.is_ascii_digit()) {
            self.write_str(label)
        } else {
            self.write_str(&quote(label.as_bytes()))
        }
    }

    /// A selector without modifiers, its matchers in the order of the alphabet.
    fn selector(&mut self, selector: &Selector) -> fmt::Result {
        self.write_str(selector.name.as_deref().unwrap_or_default())?;
        if selector.matchers.is_empty() {
            return self.write_str(if selector.name.is_none() { "{}" } else { "" });
        }
        if selector.matchers.len() > self.room() / MATCHER_BYTES_MIN {
            return Err(fmt::Error); // no need to sort what does not fit
        }
        let matchers: Option<Vec<String>> =
            selector.matchers.iter().map(|matcher| Line::of(self.room(), |line| line.matcher(matcher))).collect();
        let mut matchers = matchers.ok_or(fmt::Error)?;
        matchers.sort();
        for (index, matcher) in matchers.iter().enumerate() {
            self.write_str(if index > 0 { "," } else { "{" })?;
            self.write_str(matcher)?;
        }
        self.write_str("}")
    }

    fn matcher(&mut self, matcher: &LabelMatcher) -> fmt::Result {
        self.label(&matcher.name)?;
        self.write_str(match matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        })?;
        if matcher.value.len() > self.room() {
            return Err(fmt::Error);
        }
        self.write_str(&quote(matcher.value.as_bytes()))
    }

    fn time(&mut self, time: &TimeModifiers) -> fmt::Result {
        match time.at {
            None => {}
            Some((At::Start, _)) => self.write_str(" @ start()")?,
            Some((At::End, _)) => self.write_str(" @ end()")?,
            Some((At::Time(seconds), _)) => write!(self, " @ {seconds:.3}")?,
        }
        let Some(offset) = &time.offset else { return Ok(()) };
        self.write_str(" offset ")?;
        self.duration(offset)
    }

    /// A duration expression: a lone number in it is shown as a duration.
    fn duration(&mut self, expr: &Expr) -> fmt::Result {
        match expr.kind {
            Kind::Number(number) => self.write_str(&number_written(Number { duration: true, ..number })),
            _ => self.expr(expr),
        }
    }
}

fn number_written(number: Number) -> String {
    let duration = number.duration.then(|| duration_text(number.value)).flatten();
    duration.unwrap_or_else(|| number_text(number.value))
}
