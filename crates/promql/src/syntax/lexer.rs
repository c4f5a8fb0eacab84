//! Cuts the text of a query into tokens.

use super::fault::Fault;
use super::number;
use super::tree::{Number, Span};
use sealine_base::excerpt::excerpt;

/// One piece of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<'a> {
    /// A name or a keyword: which of them depends on where it stands, so the parser decides.
    Word(&'a str),
    /// A number or a duration.
    Number(Number),
    /// A string with its quotes, which match.
    Text(&'a str),
    /// One of [`SIGNS`].
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Operators, brackets and separators; the longer ones first.
const SIGNS: [&str; 24] = [
    "==", "!=", "=~", "!~", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", "=", "<", ">", "+", "-", "*", "/", "%", "^",
    "@", ":",
];

/// The rest of a text. A copy looks ahead.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside of `[…]` a colon parts range and step; elsewhere it belongs to a name.
    in_brackets: bool,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Lexer { text, at: 0, in_brackets: false }
    }

    /// The next token, and where it stands.
    pub fn next(&mut self) -> Result<(Token<'a>, Span), Fault> {
        self.skip_blanks();
        let start = self.at;
        let rest = &self.text[start..];
        let mut characters = rest.chars();
        let Some(first) = characters.next() else {
            return Ok((Token::End, Span { start, end: start }));
        };
        let number_follows = first == '.' && characters.next().is_some_and(|next| next.is_ascii_digit());
        let (token, length) = if self.starts_name(first) {
            let length = rest.bytes().take_while(|byte| self.continues_name(*byte)).count();
            (Token::Word(&rest[..length]), length)
        } else if first.is_ascii_digit() || number_follows {
            let (length, number) = number::scan(rest);
            let bad = || Fault::new(start, format!("bad number or duration syntax: {:?}", shortened(&rest[..length])));
            (Token::Number(number.ok_or_else(bad)?), length)
        } else if matches!(first, '"' | '\'' | '`') {
            let length = string_length(rest, first);
            let length = length.ok_or_else(|| Fault::new(start, "unterminated quoted string"))?;
            (Token::Text(&rest[..length]), length)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| Fault::new(start, format!("unexpected character: {first:?}")))?;
            self.in_brackets = sign == "[" || self.in_brackets && sign != "]";
            (Token::Sign(sign), sign.len())
        };
        self.at += length;
        Ok((token, Span { start, end: self.at }))
    }

    /// Skips blanks and comments, which go from `#` to the end of the line.
    fn skip_blanks(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'#' => self.at += bytes[self.at..].iter().take_while(|byte| **byte != b'\n').count(),
                _ => return,
            }
        }
    }

    fn starts_name(&self, first: char) -> bool {
        first.is_ascii_alphabetic() || first == '_' || first == ':' && !self.in_brackets
    }

    fn continues_name(&self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':' && !self.in_brackets
    }
}

/// The length of the string that `text` starts with, quotes included; `None` where it does not end.
fn string_length(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Some(at + 1),
            '\\' if quote != '`' => drop(characters.next()),
            '\n' if quote != '`' => return None,
            _ => {}
        }
    }
    None
}

/// What a message shows of a long piece of text.
pub fn shortened(text: &str) -> String {
    excerpt(text, 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<String, Fault> {
        let (mut lexer, mut tokens) = (Lexer::new(text), Vec::new());
        loop {
            let (token, span) = lexer.next()?;
            let written = &text[span.start..span.end];
            tokens.push(match token {
                Token::End => return Ok(tokens.join(" ")),
                Token::Word(word) => format!("w:{word}"),
                Token::Text(literal) => format!("t:{literal}"),
                Token::Sign(sign) => sign.to_string(),
                Token::Number(number) if number.duration => format!("d:{written}"),
                Token::Number(_) => format!("n:{written}"),
            });
        }
    }

    #[test]
    fn texts_become_tokens() {
        for (text, want) in [
            ("", ""),
            (" # only this", ""),
            ("a+b # c\n-d", "w:a + w:b - w:d"),
            ("job:up:sum5m{a!~'b'}", "w:job:up:sum5m { w:a !~ t:'b' }"),
            ("a[5m:1m]", "w:a [ d:5m : d:1m ]"),
            ("a[step():min_of(1,2)] + :b:", "w:a [ w:step ( ) : w:min_of ( n:1 , n:2 ) ] + w::b:"),
            ("5e3<=.5>=1", "n:5e3 <= n:.5 >= n:1"),
            ("a==bool b=~c", "w:a == w:bool w:b =~ w:c"),
            (r#""a\"b" 'c' `\`"#, r#"t:"a\"b" t:'c' t:`\`"#),
            ("`a\nb`", "t:`a\nb`"),
        ] {
            assert_eq!(tokens(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for (text, at, want) in [
            ("a ! b", 2, "unexpected character: '!'"),
            ("a ä", 2, "unexpected character: 'ä'"),
            ("a\u{a0}b", 1, "unexpected character: '\\u{a0}'"),
            (".", 0, "unexpected character: '.'"),
            ("a $x", 2, "unexpected character: '$'"),
            ("a == 1x", 5, "bad number or duration syntax: \"1x\""),
            ("\"abc", 0, "unterminated quoted string"),
            ("'a\nb'", 0, "unterminated quoted string"),
            ("x '\\'", 2, "unterminated quoted string"),
            ("'\\", 0, "unterminated quoted string"),
        ] {
            assert_eq!(tokens(text), Err(Fault::new(at, want)), "{text}");
        }
    }
}
