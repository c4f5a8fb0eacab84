//! What may stand between an operator and its right operand: `bool`, `on (…)`, `group_left (…)`, `fill (…)`.

use super::Parser;
use crate::syntax::fault::Fault;
use crate::syntax::lexer::Token;
use crate::syntax::quote::unquote;
use crate::syntax::tree::{Group, Matching, Span};

/// The modifiers of one operator; see [`crate::syntax::Binary`].
#[derive(Default)]
pub(super) struct BinaryModifiers {
    pub bool: bool,
    pub matching: Option<Matching>,
    pub group: Option<Group>,
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

impl Parser<'_> {
    pub(super) fn binary_modifiers(&mut self) -> Result<BinaryModifiers, Fault> {
        let mut modifiers = BinaryModifiers { bool: self.is_word("bool"), ..BinaryModifiers::default() };
        if modifiers.bool {
            self.advance()?;
        }
        let on = self.is_word("on");
        if on || self.is_word("ignoring") {
            self.advance()?;
            modifiers.matching = Some(Matching { on, labels: self.labels()?.0 });
            let left = self.is_word("group_left");
            if left || self.is_word("group_right") {
                self.advance()?;
                let labels = if self.token == Token::Sign("(") { self.labels()?.0 } else { Vec::new() };
                modifiers.group = Some(Group { left, labels });
            }
        }
        self.fills(&mut modifiers)?;
        Ok(modifiers)
    }

    /// `fill (…)`, or one or both of `fill_left (…)` and `fill_right (…)`. Without a bracket these are metrics.
    fn fills(&mut self, modifiers: &mut BinaryModifiers) -> Result<(), Fault> {
        if self.is_word("fill") && self.is_before("(") {
            let value = self.fill_value()?;
            (modifiers.fill_left, modifiers.fill_right) = (Some(value), Some(value));
            return Ok(());
        }
        while self.is_before("(") {
            if self.is_word("fill_left") && modifiers.fill_left.is_none() {
                modifiers.fill_left = Some(self.fill_value()?);
            } else if self.is_word("fill_right") && modifiers.fill_right.is_none() {
                modifiers.fill_right = Some(self.fill_value()?);
            } else {
                break;
            }
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Result<f64, Fault> {
        self.advance()?;
        self.want("(", "fill modifier", "\"(\"")?;
        let (value, _) = self.signed_number("fill modifier", "number")?;
        self.want(")", "fill modifier", "\")\"")?;
        Ok(value)
    }

    /// Names of labels in round brackets, as they follow `by`, `on`, `group_left` and the like; and where they end.
    pub(super) fn labels(&mut self) -> Result<(Vec<String>, Span), Fault> {
        let mut labels = Vec::new();
        self.want("(", "grouping opts", "\"(\"")?;
        loop {
            if let Some(end) = self.take(")")? {
                return Ok((labels, end));
            }
            labels.push(self.grouping_label()?);
            if self.take(",")?.is_none() && self.token != Token::Sign(")") {
                return Err(self.unexpected("grouping opts", "\",\" or \")\""));
            }
        }
    }

    /// A label's name in such a list, where a colon is taken outside of quotes too.
    fn grouping_label(&mut self) -> Result<String, Fault> {
        match self.token {
            Token::Word(word) if word.contains(':') => {
                self.advance()?;
                Ok(word.to_string())
            }
            _ => self.label("grouping opts", "label"),
        }
    }

    /// A label's name: a word, keywords included, or a string.
    pub(super) fn label(&mut self, context: &str, expected: &str) -> Result<String, Fault> {
        let name = match self.token {
            Token::Word(word) if !word.contains(':') => word.to_string(),
            Token::Text(_) => self.utf8("name of a label")?,
            _ => return Err(self.unexpected(context, expected)),
        };
        if name.is_empty() {
            return Err(Fault::new(self.span.start, "the name of a label is empty"));
        }
        self.advance()?;
        Ok(name)
    }

    /// The string that is next and must be UTF-8; it is not taken away.
    pub(super) fn utf8(&self, what: &str) -> Result<String, Fault> {
        let Token::Text(literal) = self.token else { return Err(self.unexpected("", "string")) };
        let bytes = unquote(literal, self.span.start)?;
        String::from_utf8(bytes)
            .map_err(|_| Fault::new(self.span.start, format!("the {what} {literal} is not valid UTF-8")))
    }
}
