//! One condition on one label, as PromQL writes it: `name="v"`, `name!="v"`, `name=~"re"`, `name!~"re"`.

use super::pattern::{Pattern, PatternError};
use std::fmt;

/// Alternatives of a regex beyond this many are matched by the regex instead of being looked up one by one: more than
/// a query's text has room for, by default.
const LITERALS_MAX: usize = 10_000;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

/// A condition on a label. A label that a series does not have counts as `""`.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    test: Test,
}

/// What a value is compared with.
#[derive(Debug, Clone)]
enum Test {
    /// The matcher's value itself.
    Value,
    /// The words of an alternation, sorted.
    Words(Vec<String>),
    Pattern(Pattern),
}

/// Why a matcher cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the regular expression {pattern:?} for label {name:?} cannot be used: {source}")]
pub struct MatcherError {
    name: String,
    pattern: String,
    source: PatternError,
}

impl Matcher {
    /// Builds a matcher; only a regex can fail: where it does not parse, or is too large.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Value,
            MatchOp::Regex | MatchOp::NotRegex => match literals_of(value) {
                Some(words) => Test::Words(words),
                None => Test::Pattern(Pattern::new(value).map_err(|source| MatcherError {
                    name: name.to_string(),
                    pattern: value.to_string(),
                    source,
                })?),
            },
        };
        Ok(Matcher { name: name.to_string(), op, value: value.to_string(), test })
    }

    /// `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Matcher { name: name.to_string(), op: MatchOp::Equal, value: value.to_string(), test: Test::Value }
    }

    /// What its regex cost to compile, as [`Pattern::cost`] counts; 0 without one.
    pub fn cost(&self) -> u64 {
        if let Test::Pattern(pattern) = &self.test { pattern.cost() } else { 0 }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or the pattern, as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value passes. `""` asks for a series that does not have the label.
    pub fn matches(&self, value: &str) -> bool {
        let equal = match &self.test {
            Test::Value => value == self.value,
            Test::Words(words) => words.binary_search_by(|word| word.as_str().cmp(value)).is_ok(),
            Test::Pattern(pattern) => pattern.matches(value),
        };
        equal == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }

    /// Whether a series without the label passes.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    /// The only values that can pass, where they are few and known: of `=`, and of `=~` that is an alternation of
    /// plain words such as `a|b|cpu_(user|system)`, then sorted. An index looks these up instead of scanning its values.
    pub fn literals(&self) -> Option<&[String]> {
        match (self.op, &self.test) {
            (MatchOp::Equal, _) => Some(std::slice::from_ref(&self.value)),
            (MatchOp::Regex, Test::Words(words)) => Some(words),
            _ => None,
        }
    }
}

/// Matchers are equal where they were written the same.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

/// The words that an alternation of plain words stands for, one level of brackets deep; `None` for anything else.
fn literals_of(pattern: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for alternative in split_alternatives(pattern)? {
        match alternative.split_once('(') {
            None => words.push(plain(alternative)?),
            Some((before, rest)) => {
                let (inner, after) = rest.split_once(')')?;
                let (before, after) = (plain(before)?, plain(after)?);
                let inner = inner.strip_prefix("?:").unwrap_or(inner);
                for middle in inner.split('|') {
                    words.push(format!("{before}{}{after}", plain(middle)?));
                }
            }
        }
        if words.len() > LITERALS_MAX {
            return None;
        }
    }
    words.sort_unstable();
    words.dedup();
    Some(words)
}

/// Splits at the `|` that stand outside brackets; `None` where the brackets do not close.
fn split_alternatives(pattern: &str) -> Option<Vec<&str>> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0u32, 0);
    for (at, byte) in pattern.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b'|' if depth == 0 => {
                parts.push(&pattern[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[from..]);
    (depth == 0).then_some(parts)
}

/// The text itself where no character of it means anything to a regex.
fn plain(text: &str) -> Option<String> {
    (!text.contains(['.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$', '\\', '|'])).then(|| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_and_agree_with_the_regex() {
        let values = ["", "a", "b", "ab", "cpu_user", "cpu_system", "cpu_", "cpu_x", "a|b", "a\nb", "a.b"];
        for (pattern, want) in [
            ("a", Some(vec!["a"])),
            ("a|b|", Some(vec!["", "a", "b"])),
            ("cpu_(user|system)", Some(vec!["cpu_system", "cpu_user"])),
            ("a|cpu_(?:user|)", Some(vec!["a", "cpu_", "cpu_user"])),
            ("", Some(vec![""])),
            ("a.b", None),
            ("a+", None),
            ("(?i)a", None),
            ("((a))", None),
            ("cpu_(user)?", None),
            (".*", None),
        ] {
            let matcher = Matcher::new("l", MatchOp::Regex, pattern).unwrap();
            let got = matcher.literals().map(|l| l.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(got, want, "{pattern}");
            let regex = Pattern::new(pattern).unwrap();
            let negated = Matcher::new("l", MatchOp::NotRegex, pattern).unwrap();
            for value in values {
                assert_eq!(matcher.matches(value), regex.matches(value), "{pattern} on {value:?}");
                assert_eq!(negated.matches(value), !regex.matches(value), "{pattern} on {value:?}");
            }
        }
    }

    #[test]
    fn a_bad_or_huge_regex_is_an_error_that_names_it() {
        for pattern in ["(", "a{1000}{1000}{1000}", "*", "a)|(b"] {
            let error = Matcher::new("job", MatchOp::Regex, pattern).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the regular expression {pattern:?} for label \"job\"")), "{error}");
        }
    }
}
