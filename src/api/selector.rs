//! Reads the series selectors that `match[]` carries.

use super::error::ApiError;
use super::params::Params;
use crate::series::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::label::MatchOp as ParsedOp;
use promql_parser::parser::{Expr, parse};

/// Bytes that the selectors of one request may have. Each may bring regular expressions, and those cost time.
const SELECTOR_BYTES_MAX: usize = 256 << 10;

/// What is said of a selector that every series passes, in upstream's words.
const NO_MATCHER: &str = "match[] must contain at least one non-empty matcher";

/// The matchers of each `match[]`; an empty list where there is none.
///
/// Errors: `BadData` for text that is not a selector, and for a selector that every series passes.
pub fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let bytes: usize = params.all("match[]").map(str::len).sum();
    if bytes > SELECTOR_BYTES_MAX {
        let what = format!("the selectors have {bytes} bytes together: want {SELECTOR_BYTES_MAX} at most");
        return Err(ApiError::parameter("match[]", what));
    }
    params.all("match[]").map(|text| selector(text).map_err(|what| ApiError::parameter("match[]", what))).collect()
}

/// The matchers of one selector, the metric's name among them.
fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    check_outline(text)?;
    let parsed = parse(text).map_err(|error| match error.contains("non-empty matcher") {
        true => NO_MATCHER.to_string(),
        false => format!("parse error: {error}"),
    })?;
    let Expr::VectorSelector(parsed) = parsed else {
        return Err(format!("parse error: {text:?} is not a series selector such as up{{job=\"node\"}}"));
    };
    if !parsed.matchers.or_matchers.is_empty() {
        return Err(format!("parse error: {text:?} has an `or`: send a match[] for each side of it"));
    }
    let mut matchers = Vec::with_capacity(parsed.matchers.matchers.len() + 1);
    matchers.extend(parsed.name.iter().map(|name| Matcher::equal(METRIC_NAME, name)));
    for matcher in &parsed.matchers.matchers {
        let op = match matcher.op {
            ParsedOp::Equal => MatchOp::Equal,
            ParsedOp::NotEqual => MatchOp::NotEqual,
            ParsedOp::Re(_) => MatchOp::Regex,
            ParsedOp::NotRe(_) => MatchOp::NotRegex,
        };
        matchers.push(Matcher::new(&matcher.name, op, &matcher.value).map_err(|error| error.to_string())?);
    }
    if matchers.iter().all(Matcher::matches_absent) {
        return Err(NO_MATCHER.to_string());
    }
    Ok(matchers)
}

/// Refuses text that is not one word, a list in braces, or one after the other. Such text cannot nest, so that hostile
/// text cannot drive the parser deep.
fn check_outline(text: &str) -> Result<(), String> {
    #[derive(PartialEq)]
    enum Part {
        Start,
        Word,
        AfterWord,
        Braces,
        End,
    }
    let (mut part, mut quote) = (Part::Start, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let word = c.is_ascii_alphanumeric() || "_:.".contains(c);
        part = match (part, quote) {
            (part, Some(open)) => {
                match c {
                    _ if c == open => quote = None,
                    // What follows a backslash is part of the text, even a quote.
                    '\\' if open != '`' => drop(chars.next()),
                    _ => {}
                }
                part
            }
            (Part::Word, _) if c.is_ascii_whitespace() => Part::AfterWord,
            (part, _) if c.is_ascii_whitespace() => part,
            (Part::Start | Part::Word, _) if word => Part::Word,
            (Part::Start | Part::Word | Part::AfterWord, _) if c == '{' => Part::Braces,
            (Part::Braces, _) if c == '}' => Part::End,
            (Part::Braces, _) if matches!(c, '"' | '\'' | '`') => {
                quote = Some(c);
                Part::Braces
            }
            (Part::Braces, _) if word || ",=!~".contains(c) => Part::Braces,
            _ => {
                let what = format!("parse error: unexpected character {c:?} at byte {at}");
                return Err(format!("{what}: want a series selector such as up{{job=\"node\"}}"));
            }
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, String> {
        let matchers = selector(text)?;
        Ok(matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn selectors_become_matchers() {
        for (text, want) in [
            ("up", r#"__name__="up""#),
            (r#"up{job="node",cpu!="0"}"#, r#"__name__="up" job="node" cpu!="0""#),
            (r#"{__name__=~"cpu_.*", host!~'a|b'}"#, r#"__name__=~"cpu_.*" host!~"a|b""#),
            (r#"{job=~".+"}"#, r#"job=~".+""#),
            (r#"{job="a\"(b"}"#, r#"job="a\"(b""#),
            ("{job=`a\"(b`}", r#"job="a\"(b""#),
            (r#"{"cpu.usage"}"#, r#"__name__="cpu.usage""#),
            (r#"{"http.status"="ok"}"#, r#"http.status="ok""#),
        ] {
            assert_eq!(written(text), Ok(want.to_string()), "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for (text, want) in [
            ("", "parse error: "),
            ("up{", "parse error: "),
            (r#"up{job="#, "parse error: "),
            (r#"{job=""}"#, "match[] must contain at least one non-empty matcher"),
            (r#"{job=~".*"}"#, "match[] must contain at least one non-empty matcher"),
            ("{}", ""),
            (r#"{job=~"("}"#, ""),
            ("up offset 1m", "parse error: unexpected character 'o' at byte 3: want a series selector"),
            ("up @ 5", "parse error: unexpected character '@' at byte 3"),
            (r#"{a="1"} == 1"#, "parse error: unexpected character '=' at byte 8"),
            (r#"{a="1" or b="2"}"#, r#"parse error: "{a=\"1\" or b=\"2\"}" has an `or`"#),
            ("sum(up)", "parse error: unexpected character '(' at byte 3: want a series selector"),
            ("up or down", "parse error: unexpected character 'o' at byte 3"),
            ("-up", "parse error: unexpected character '-' at byte 0"),
            ("up[5m]", "parse error: unexpected character '[' at byte 2"),
            ("1", "parse error: \"1\" is not a series selector"),
        ] {
            let got = written(text).unwrap_err();
            assert!(got.starts_with(want), "{text}: {got}");
        }
    }

    #[test]
    fn deep_nesting_does_not_reach_the_parser() {
        for part in ["(", "-", "a or ", "a==", "{a=\"b\"} ", "{", "[5m:1m]"] {
            assert!(selector(&part.repeat(100_000)).unwrap_err().starts_with("parse error: unexpected character"));
        }
        // What remains is flat.
        let long = format!("{{{}}}", "a=\"b\",".repeat(100_000));
        assert_eq!(selector(&long).map(|matchers| matchers.len()), Ok(100_000));
    }
}
