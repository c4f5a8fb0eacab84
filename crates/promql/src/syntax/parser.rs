//! Builds the tree of a query: recursive descent, with precedence climbing for operators.

mod modifiers;
mod operand;
mod selector;

use super::fault::Fault;
use super::lexer::{Lexer, Token, shortened};
use super::tree::{Binary, BinaryOp, Expr, Kind, Number, Selector, Sign, Span};
use super::{LEVELS_MAX, NESTING_MAX, Query};

/// Parses a query.
pub fn parse(text: &str) -> Result<Query<'_>, Fault> {
    let mut parser = Parser::new(text)?;
    if parser.token == Token::End {
        return Err(Fault::new(0, "no expression found in input"));
    }
    let root = parser.expression(0)?;
    parser.end("")?;
    Ok(Query { text, root, levels: parser.levels })
}

/// Parses a selector that stands alone, without range and without modifiers.
pub fn parse_selector(text: &str) -> Result<Selector, Fault> {
    let mut parser = Parser::new(text)?;
    let selector = parser.lone_selector()?;
    parser.end("series selector")?;
    Ok(selector)
}

/// A position in the text, with the next token at hand. Its methods read what they are named after.
struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token, which is not read yet.
    token: Token<'a>,
    /// Where that token stands.
    span: Span,
    /// Calls of [`Parser::nested`] that are under way.
    nesting: usize,
    /// Levels that were added to the tree so far.
    levels: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Fault> {
        let mut lexer = Lexer::new(text);
        let (token, span) = lexer.next()?;
        Ok(Parser { lexer, token, span, nesting: 0, levels: 0 })
    }

    /// Operands and the operators between them that bind at least as tightly as `loosest`.
    fn expression(&mut self, loosest: u8) -> Result<Expr, Fault> {
        let mut left = self.signed()?;
        while let Some(op) = self.operator().filter(|op| op.precedence() >= loosest) {
            let op_span = self.level()?;
            self.advance()?;
            let modifiers = self.binary_modifiers()?;
            let right = match op {
                BinaryOp::Power => self.nested(|parser| parser.expression(op.precedence()))?,
                _ => self.expression(op.precedence() + 1)?,
            };
            let span = left.span.to(right.span);
            let (bool, matching, group) = (modifiers.bool, modifiers.matching, modifiers.group);
            let (fill_left, fill_right) = (modifiers.fill_left, modifiers.fill_right);
            let binary = Binary { op, op_span, bool, matching, group, fill_left, fill_right, left, right };
            left = Expr { kind: Kind::Binary(Box::new(binary)), span };
        }
        Ok(left)
    }

    /// The operator that is next.
    fn operator(&self) -> Option<BinaryOp> {
        match self.token {
            Token::Sign(sign) => BinaryOp::named(sign),
            Token::Word(word) => BinaryOp::named(word),
            _ => None,
        }
    }

    /// An operand with any signs before it. A sign binds as `*` does, so `-a ^ b` is `-(a ^ b)`.
    fn signed(&mut self) -> Result<Expr, Fault> {
        let sign = match self.token {
            Token::Sign("+") => Sign::Plus,
            Token::Sign("-") => Sign::Minus,
            _ => return self.operand(),
        };
        let sign_span = self.level()?;
        self.advance()?;
        let operand = self.nested(|parser| parser.expression(BinaryOp::TIGHTEST))?;
        Ok(with_sign(sign, sign_span, operand))
    }

    /// Runs one step of recursion, of which there may be so many.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.nesting == NESTING_MAX {
            let sentence = format!("the query nests deeper than the {NESTING_MAX} levels that are allowed");
            return Err(Fault::new(self.span.start, sentence));
        }
        self.nesting += 1;
        let read = read(self)?;
        self.nesting -= 1;
        Ok(read)
    }

    /// Accounts for a level of the tree that the next token begins; gives the place of the token.
    fn level(&mut self) -> Result<Span, Fault> {
        self.levels += 1;
        if self.levels > LEVELS_MAX {
            let sentence = format!("the query has more operators, brackets and calls than the {LEVELS_MAX} allowed");
            return Err(Fault::new(self.span.start, sentence));
        }
        Ok(self.span)
    }

    /// Takes the next token away; gives its place.
    fn advance(&mut self) -> Result<Span, Fault> {
        let taken = self.span;
        (self.token, self.span) = self.lexer.next()?;
        Ok(taken)
    }

    /// Takes the sign away if it is next.
    fn take(&mut self, sign: &'static str) -> Result<Option<Span>, Fault> {
        if self.token == Token::Sign(sign) { self.advance().map(Some) } else { Ok(None) }
    }

    /// Takes the sign away, which must be next.
    fn want(&mut self, sign: &'static str, context: &str, expected: &str) -> Result<Span, Fault> {
        match self.take(sign)? {
            Some(span) => Ok(span),
            None => Err(self.unexpected(context, expected)),
        }
    }

    /// Whether the next token is this keyword.
    fn is_word(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Whether the sign comes behind the next token.
    fn is_before(&self, sign: &'static str) -> bool {
        self.lexer.clone().next().is_ok_and(|(token, _)| token == Token::Sign(sign))
    }

    /// The number that is next, if it is one.
    fn number(&self) -> Option<Number> {
        match self.token {
            Token::Number(number) => Some(number),
            Token::Word(word) if word.eq_ignore_ascii_case("inf") => {
                Some(Number { value: f64::INFINITY, duration: false })
            }
            Token::Word(word) if word.eq_ignore_ascii_case("nan") => Some(Number { value: f64::NAN, duration: false }),
            _ => None,
        }
    }

    /// A number that may have a sign.
    fn signed_number(&mut self, context: &str, expected: &str) -> Result<(f64, Span), Fault> {
        let start = self.span;
        let negative = self.take("-")?.is_some();
        if !negative {
            self.take("+")?;
        }
        let Some(number) = self.number() else { return Err(self.unexpected(context, expected)) };
        let span = start.to(self.advance()?);
        Ok((if negative { -number.value } else { number.value }, span))
    }

    /// The end of the text.
    fn end(&self, context: &str) -> Result<(), Fault> {
        match self.token {
            Token::End => Ok(()),
            _ => Err(self.unexpected(context, "")),
        }
    }

    /// Says that the next token is not what may stand here. `context` and `expected` may be empty.
    fn unexpected(&self, context: &str, expected: &str) -> Fault {
        let found = match self.token {
            Token::End => "end of input".to_string(),
            Token::Sign(sign) => format!("{sign:?}"),
            Token::Word(word) => format!("identifier {:?}", shortened(word)),
            Token::Text(literal) => format!("string {}", shortened(literal)),
            Token::Number(Number { duration: true, .. }) => "duration".to_string(),
            Token::Number(Number { value, .. }) => format!("number {value}"),
        };
        let mut sentence = format!("unexpected {found}");
        for (before, part) in [(" in ", context), (", expected ", expected)] {
            if !part.is_empty() {
                sentence.push_str(before);
                sentence.push_str(part);
            }
        }
        Fault::new(self.span.start, sentence)
    }
}

/// A sign before an operand. Before a number it becomes part of it.
fn with_sign(sign: Sign, sign_span: Span, operand: Expr) -> Expr {
    let span = sign_span.to(operand.span);
    let kind = match (sign, operand.kind) {
        (Sign::Plus, Kind::Number(number)) => Kind::Number(number),
        (Sign::Minus, Kind::Number(number)) => Kind::Number(Number { value: -number.value, ..number }),
        (sign, kind) => Kind::Unary(sign, Box::new(Expr { kind, span: operand.span })),
    };
    Expr { kind, span }
}
