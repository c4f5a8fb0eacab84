//! Where the calls of a query and their arguments stand in its text.
//!
//! The parser's tree has no positions, and notes need them. A call's name comes before its arguments and a left side
//! before a right one, so the calls of the tree in pre-order are the calls of the text from left to right: this file
//! finds the latter with a scan over tokens, and the builder takes them one by one.

/// One call: a function or an aggregation.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct CallPosition {
    /// Byte offset of the name.
    pub name: usize,
    /// Byte offset of each argument.
    pub arguments: Vec<usize>,
}

/// What a text looks like from afar.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// The calls from left to right.
    pub calls: Vec<CallPosition>,
    /// Signs and words that may add a level to the tree: more than the tree is deep.
    pub operators: usize,
    /// Where a string has the first escape for a byte that is no character of its own (`\xff`).
    pub byte_escape: Option<usize>,
}

/// Words that may stand before a bracket without being called.
const NOT_CALLED: [&str; 17] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
    "offset",
    "fill",
    "fill_left",
    "fill_right",
    "smoothed",
    "anchored",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(u8),
    /// A string or a number.
    Literal,
}

/// Scans a text. Never fails: what is no PromQL gives an outline of no use, and the parser says why.
pub(super) fn outline(text: &str) -> Outline {
    let tokens = tokens(text);
    let mut outline = Outline { byte_escape: byte_escape(text, &tokens), ..Outline::default() };
    // For every open bracket the call that it belongs to, or none.
    let mut open: Vec<Option<usize>> = Vec::new();
    // Brackets that hold a call's arguments, by the index of the token.
    let mut argument_brackets: Vec<(usize, usize)> = Vec::new();
    let mut in_braces = false;
    for (index, (at, token)) in tokens.iter().enumerate() {
        in_braces = *token == Token::Sign(b'{') || in_braces && *token != Token::Sign(b'}');
        outline.operators += usize::from(!in_braces && adds_level(*token));
        match *token {
            Token::Word(word) if is_call(&tokens, index, word) => {
                if let Some(bracket) = argument_bracket(&tokens, index) {
                    argument_brackets.push((bracket, outline.calls.len()));
                    outline.calls.push(CallPosition { name: *at, arguments: Vec::new() });
                }
            }
            Token::Sign(b'(') => {
                let call = argument_brackets.iter().rposition(|(bracket, _)| *bracket == index);
                let call = call.map(|position| argument_brackets.swap_remove(position).1);
                add_argument(&mut outline, call, tokens.get(index + 1));
                open.push(call);
            }
            Token::Sign(b'{' | b'[') => open.push(None),
            Token::Sign(b')' | b'}' | b']') => drop(open.pop()),
            Token::Sign(b',') => add_argument(&mut outline, open.last().copied().flatten(), tokens.get(index + 1)),
            _ => {}
        }
    }
    outline
}

fn adds_level(token: Token<'_>) -> bool {
    match token {
        Token::Sign(sign) => b"(+-*/%^<>=!["[..].contains(&sign),
        Token::Word(word) => ["and", "or", "unless", "atan2"].iter().any(|set| word.eq_ignore_ascii_case(set)),
        Token::Literal => false,
    }
}

fn add_argument(outline: &mut Outline, call: Option<usize>, first: Option<&(usize, Token<'_>)>) {
    if let (Some(call), Some((at, token))) = (call, first)
        && *token != Token::Sign(b')')
    {
        outline.calls[call].arguments.push(*at);
    }
}

/// Whether the word at `index` is called: a bracket follows, or the grouping of an aggregation and then a bracket.
fn is_call(tokens: &[(usize, Token<'_>)], index: usize, word: &str) -> bool {
    if NOT_CALLED.iter().any(|other| word.eq_ignore_ascii_case(other)) {
        return false;
    }
    let after_at = index > 0 && tokens[index - 1].1 == Token::Sign(b'@');
    !after_at && argument_bracket(tokens, index).is_some()
}

/// The token that opens the arguments of the call whose name is at `index`.
fn argument_bracket(tokens: &[(usize, Token<'_>)], index: usize) -> Option<usize> {
    let sign = |index: usize| tokens.get(index).map(|(_, token)| *token);
    match sign(index + 1)? {
        Token::Sign(b'(') => Some(index + 1),
        Token::Word(word) if word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without") => {
            let labels = (index + 2..tokens.len()).take_while(|at| sign(*at) != Some(Token::Sign(b')'))).count();
            let bracket = index + 2 + labels + 1;
            (sign(bracket) == Some(Token::Sign(b'('))).then_some(bracket)
        }
        _ => None,
    }
}

/// The first `\x80` to `\xff` or `\200` to `\377` in a string.
fn byte_escape(text: &str, tokens: &[(usize, Token<'_>)]) -> Option<usize> {
    let bytes = text.as_bytes();
    let strings = tokens.iter().filter(|(at, token)| *token == Token::Literal && matches!(bytes[*at], b'"' | b'\''));
    for (start, _) in strings {
        let mut at = start + 1;
        while at < bytes.len() && bytes[at] != bytes[*start] {
            match (bytes[at], bytes.get(at + 1..at + 3)) {
                (b'\\', Some([b'x', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'] | [b'2'..=b'3', _])) => return Some(at),
                (b'\\', _) => at += 2,
                _ => at += 1,
            }
        }
    }
    None
}

fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        let run = |at: usize, part: fn(u8) -> bool| bytes[at..].iter().take_while(|byte| part(**byte)).count();
        let token = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'#' => {
                at += run(at, |byte| byte != b'\n');
                continue;
            }
            b'"' | b'\'' | b'`' => {
                while let Some(&next) = bytes.get(at) {
                    at += if next == b'\\' && byte != b'`' { 2 } else { 1 };
                    if next == byte {
                        break;
                    }
                }
                Token::Literal
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' => {
                at += run(at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
                Token::Word(&text[start..at])
            }
            b'0'..=b'9' | b'.' => {
                at += run(at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
                Token::Literal
            }
            sign => Token::Sign(sign),
        };
        tokens.push((start, token));
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_with_their_arguments() {
        for (text, want) in [
            ("rate(a[5m])", vec![(0, vec![5])]),
            ("sum by (x, y) (rate(a[5m]))", vec![(0, vec![15]), (15, vec![20])]),
            ("quantile(0.5, a) by (x)", vec![(0, vec![9, 14])]),
            ("histogram_quantile(\n0.5, (a))", vec![(0, vec![20, 25])]),
            ("a @ start() + on (x) group_left (y) f(b)", vec![(36, vec![38])]),
            (r#"label_replace(a, "b)", ',', "", "") # c(d)"#, vec![(0, vec![14, 17, 23, 28, 32])]),
            ("time()", vec![(0, vec![])]),
            ("SUM BY (x) (a)", vec![(0, vec![12])]),
            ("sum{x=\"(\"} or b", vec![]),
            ("f(g(a), h(b))", vec![(0, vec![2, 8]), (2, vec![4]), (8, vec![10])]),
        ] {
            let got: Vec<_> = outline(text).calls.into_iter().map(|call| (call.name, call.arguments)).collect();
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn escapes_for_lone_bytes_are_found() {
        for (text, want) in [
            (r#"a{b="\x7f"}"#, None),
            (r#"a{b="\xff"}"#, Some(5)),
            (r#"f("a\\xff", 'z\377')"#, Some(14)),
            (r#"a{b=`\xff`}"#, None),
        ] {
            assert_eq!(outline(text).byte_escape, want, "{text}");
        }
    }

    #[test]
    fn garbage_gives_an_outline_too() {
        for text in ["", "((((", "))))", "\"", "'\\", "sum by", "sum by (", "f(,", "ä(ö)", "f)(", "\u{0}\u{7f}"] {
            outline(text);
        }
    }
}
