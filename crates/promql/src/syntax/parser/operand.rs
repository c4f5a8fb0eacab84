//! Operands: literals, selectors, calls, aggregations, brackets, and the modifiers behind them.

use super::{Parser, with_sign};
use crate::syntax::fault::Fault;
use crate::syntax::lexer::Token;
use crate::syntax::quote::unquote;
use crate::syntax::tree::{
    Aggregate, Aggregator, At, Call, Expr, Grouping, Kind, Range, Sign, Span, Subquery, TimeModifiers,
};

impl Parser<'_> {
    /// An operand with everything that follows it: `[5m]`, `[1h:5m]`, `offset 1m`, `@ 0`.
    pub(super) fn operand(&mut self) -> Result<Expr, Fault> {
        let mut operand = self.bare_operand()?;
        loop {
            if self.token == Token::Sign("[") {
                operand = self.bracketed(operand)?;
            } else if self.token == Token::Sign("@") {
                self.at(&mut operand)?;
            } else if self.is_word("offset") {
                self.offset(&mut operand)?;
            } else if self.is_word("smoothed") || self.is_word("anchored") {
                let sentence = "the modifiers \"anchored\" and \"smoothed\" are not supported by this server";
                return Err(Fault::new(self.span.start, sentence));
            } else {
                return Ok(operand);
            }
        }
    }

    fn bare_operand(&mut self) -> Result<Expr, Fault> {
        if let Some(number) = self.number() {
            return Ok(Expr { kind: Kind::Number(number), span: self.advance()? });
        }
        match self.token {
            Token::Text(literal) => {
                let text = unquote(literal, self.span.start)?;
                Ok(Expr { kind: Kind::Text(text), span: self.advance()? })
            }
            Token::Sign("(") => {
                let start = self.level()?;
                self.advance()?;
                let inner = self.nested(|parser| parser.expression(0))?;
                let end = self.want(")", "brackets", "operator or \")\"")?;
                Ok(Expr { kind: Kind::Paren(Box::new(inner)), span: start.to(end) })
            }
            Token::Sign("{") => self.selector_expr(None, self.span),
            Token::Word(word) => {
                let Some(name) = self.metric_name() else { return Err(self.unexpected("", "operand")) };
                let start = self.advance()?;
                let call_follows = self.token == Token::Sign("(");
                match Aggregator::named(word) {
                    Some(op) if call_follows || self.is_word("by") || self.is_word("without") => {
                        self.aggregate(op, start)
                    }
                    _ if call_follows => self.call(name, start),
                    _ => self.selector_expr(Some(name), start),
                }
            }
            _ => Err(self.unexpected("", "operand")),
        }
    }

    fn call(&mut self, name: String, start: Span) -> Result<Expr, Fault> {
        // These are keywords elsewhere, which may be written in any case.
        let keyword = ["start", "end", "step", "range"].into_iter().find(|word| name.eq_ignore_ascii_case(word));
        let name = keyword.map_or(name, str::to_string);
        let (arguments, end) = self.arguments()?;
        Ok(Expr { kind: Kind::Call(Call { name, arguments }), span: start.to(end) })
    }

    /// `(a, b)`, and where the closing bracket stands.
    fn arguments(&mut self) -> Result<(Vec<Expr>, Span), Fault> {
        self.level()?;
        self.want("(", "call", "\"(\"")?;
        let mut arguments = Vec::new();
        if let Some(end) = self.take(")")? {
            return Ok((arguments, end));
        }
        loop {
            arguments.push(self.nested(|parser| parser.expression(0))?);
            if let Some(end) = self.take(")")? {
                return Ok((arguments, end));
            }
            let comma = self.want(",", "call", "operator, \",\" or \")\"")?;
            if self.token == Token::Sign(")") {
                return Err(Fault::new(comma.start, "trailing commas not allowed in function call args"));
            }
        }
    }

    /// The grouping stands before the arguments or behind them.
    fn aggregate(&mut self, op: Aggregator, start: Span) -> Result<Expr, Fault> {
        let before = self.grouping()?;
        if self.token != Token::Sign("(") {
            return Err(self.unexpected("aggregation", "\"(\""));
        }
        let (arguments, mut span) = self.arguments()?;
        span = start.to(span);
        let grouping = match before {
            Some((grouping, _)) => Some(grouping),
            None => self.grouping()?.map(|(grouping, end)| {
                span = start.to(end);
                grouping
            }),
        };
        let (want, got) = (if op.takes_parameter() { 2 } else { 1 }, arguments.len());
        let mut arguments = arguments.into_iter().rev();
        let (expr, parameter) = (arguments.next(), arguments.next());
        let Some(expr) = expr else {
            return Err(Fault::new(start.start, "no arguments for aggregate expression provided"));
        };
        if got != want {
            let sentence =
                format!("wrong number of arguments for aggregate expression provided, expected {want}, got {got}");
            return Err(Fault::new(start.start, sentence));
        }
        Ok(Expr { kind: Kind::Aggregate(Box::new(Aggregate { op, grouping, parameter, expr })), span })
    }

    /// `by (…)` or `without (…)` if it is next, and where it ends.
    fn grouping(&mut self) -> Result<Option<(Grouping, Span)>, Fault> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.advance()?;
        let (labels, end) = self.labels()?;
        Ok(Some((Grouping { without, labels }, end)))
    }

    /// `[5m]` behind a selector, or `[1h:5m]` behind anything.
    fn bracketed(&mut self, operand: Expr) -> Result<Expr, Fault> {
        let start = self.level()?;
        self.advance()?;
        let range = self.nested(|parser| parser.expression(0))?;
        if self.take(":")?.is_some() {
            let step = match self.token {
                Token::Sign("]") => None,
                _ => Some(self.nested(|parser| parser.expression(0))?),
            };
            let end = self.want("]", "subquery selector", "\"]\"")?;
            let span = operand.span.to(end);
            let subquery = Subquery { expr: operand, range, step, time: TimeModifiers::default() };
            return Ok(Expr { kind: Kind::Subquery(Box::new(subquery)), span });
        }
        let end = self.want("]", "subquery or range selector", "\":\" or \"]\"")?;
        let span = operand.span.to(end);
        let refused = match operand.kind {
            Kind::Selector(selector) if selector.time.offset.is_some() => "no offset modifiers allowed before range",
            Kind::Selector(selector) if selector.time.at.is_some() => "no @ modifiers allowed before range",
            Kind::Selector(selector) => {
                return Ok(Expr { kind: Kind::Range(Box::new(Range { selector, range })), span });
            }
            _ => "ranges only allowed for vector selectors",
        };
        Err(Fault::new(start.start, refused))
    }

    fn at(&mut self, operand: &mut Expr) -> Result<(), Fault> {
        let modifier = self.advance()?;
        let start = self.span;
        let (at, end) = if self.is_word("start") || self.is_word("end") {
            let at = if self.is_word("start") { At::Start } else { At::End };
            self.advance()?;
            self.want("(", "@", "\"(\"")?;
            (at, self.want(")", "@", "\")\"")?)
        } else {
            let (seconds, span) = self.signed_number("@", "timestamp")?;
            (At::Time(seconds), span)
        };
        operand.span = operand.span.to(end);
        let Some(time) = time_modifiers(operand) else { return Err(misplaced("@", modifier)) };
        if time.at.is_some() {
            return Err(Fault::new(modifier.start, "@ <timestamp> may not be set multiple times"));
        }
        time.at = Some((at, start.to(end)));
        Ok(())
    }

    /// `offset` and one operand, which may have a sign: behind it, operators go on with the selector.
    fn offset(&mut self, operand: &mut Expr) -> Result<(), Fault> {
        let modifier = self.level()?;
        self.advance()?;
        let sign = match self.token {
            Token::Sign("+") => Some((Sign::Plus, self.advance()?)),
            Token::Sign("-") => Some((Sign::Minus, self.advance()?)),
            _ => None,
        };
        if !matches!(self.token, Token::Number(_) | Token::Word(_) | Token::Sign("(")) {
            return Err(self.unexpected("offset", "number, duration, step(), or range()"));
        }
        let duration = self.bare_operand()?;
        let duration = match sign {
            Some((sign, span)) => with_sign(sign, span, duration),
            None => duration,
        };
        operand.span = operand.span.to(duration.span);
        let Some(time) = time_modifiers(operand) else { return Err(misplaced("offset", modifier)) };
        if time.offset.is_some() {
            return Err(Fault::new(modifier.start, "offset may not be set multiple times"));
        }
        time.offset = Some(Box::new(duration));
        Ok(())
    }
}

/// The modifiers of an operand that can have some.
fn time_modifiers(operand: &mut Expr) -> Option<&mut TimeModifiers> {
    match &mut operand.kind {
        Kind::Selector(selector) => Some(&mut selector.time),
        Kind::Range(range) => Some(&mut range.selector.time),
        Kind::Subquery(subquery) => Some(&mut subquery.time),
        _ => None,
    }
}

fn misplaced(modifier: &str, at: Span) -> Fault {
    let what = "must be preceded by an instant vector selector or range vector selector or a subquery";
    Fault::new(at.start, format!("{modifier} modifier {what}"))
}
