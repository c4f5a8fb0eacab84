//! Selectors: a name, matchers in braces, or one after the other.

use super::Parser;
use crate::syntax::fault::Fault;
use crate::syntax::lexer::{Token, shortened};
use crate::syntax::tree::{Expr, Kind, LabelMatcher, Selector, Span, TimeModifiers};
use sealine_model::{METRIC_NAME, MatchOp};

impl Parser<'_> {
    /// A selector where nothing else may be.
    pub(super) fn lone_selector(&mut self) -> Result<Selector, Fault> {
        let (start, name) = (self.span, self.metric_name());
        match (name, self.token) {
            (Some(name), _) => {
                self.advance()?;
                Ok(self.selector(Some(name), start)?.0)
            }
            (None, Token::Sign("{")) => Ok(self.selector(None, start)?.0),
            _ => Err(self.unexpected("", "series selector such as up{job=\"node\"}")),
        }
    }

    /// The word that is next, where it may name a metric.
    pub(super) fn metric_name(&self) -> Option<String> {
        const NO_METRICS: [&str; 8] = ["on", "ignoring", "group_left", "group_right", "bool", "atan2", "inf", "nan"];
        match self.token {
            Token::Word(word) if NO_METRICS.iter().any(|other| other.eq_ignore_ascii_case(word)) => None,
            Token::Word(word) => Some(word.to_string()),
            _ => None,
        }
    }

    /// The selector of which the name has been read, if it has one, as an expression.
    pub(super) fn selector_expr(&mut self, name: Option<String>, start: Span) -> Result<Expr, Fault> {
        let (selector, span) = self.selector(name, start)?;
        Ok(Expr { kind: Kind::Selector(selector), span })
    }

    fn selector(&mut self, name: Option<String>, start: Span) -> Result<(Selector, Span), Fault> {
        let (mut matchers, mut span) = (Vec::new(), start);
        if self.take("{")?.is_some() {
            let end = loop {
                if let Some(end) = self.take("}")? {
                    break end;
                }
                matchers.push(self.matcher()?);
                if self.take(",")?.is_none() && self.token != Token::Sign("}") {
                    return Err(self.unexpected("label matching", "\",\" or \"}\""));
                }
            };
            span = start.to(end);
        }
        if let Some(name) = &name
            && let Some(other) = matchers.iter().find(|matcher| matcher.name == METRIC_NAME)
        {
            let sentence =
                format!("metric name must not be set twice: {:?} or {:?}", shortened(name), shortened(&other.value));
            return Err(Fault::new(other.span.start, sentence));
        }
        Ok((Selector { name, matchers, time: TimeModifiers::default() }, span))
    }

    /// `job="a"`, `"http.status"!~"5.."`, or the name of the metric in quotes.
    fn matcher(&mut self) -> Result<LabelMatcher, Fault> {
        let start = self.span;
        if let Token::Text(_) = self.token
            && !["=", "!=", "=~", "!~"].into_iter().any(|sign| self.is_before(sign))
        {
            let value = self.utf8("name of a metric")?;
            self.advance()?;
            return Ok(LabelMatcher { name: METRIC_NAME.to_string(), op: MatchOp::Equal, value, span: start });
        }
        let name = self.label("label matching", "identifier or \"}\"")?;
        let op = match self.token {
            Token::Sign("=") => MatchOp::Equal,
            Token::Sign("!=") => MatchOp::NotEqual,
            Token::Sign("=~") => MatchOp::Regex,
            Token::Sign("!~") => MatchOp::NotRegex,
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.advance()?;
        if !matches!(self.token, Token::Text(_)) {
            return Err(self.unexpected("label matching", "string"));
        }
        let value = self.utf8("value of a label")?;
        let span = start.to(self.advance()?);
        Ok(LabelMatcher { name, op, value, span })
    }
}
