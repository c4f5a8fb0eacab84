//! One condition on one label, as PromQL writes it: `name="v"`, `name!="v"`, `name=~"re"`, `name!~"re"`.

use super::Words;
use super::pattern::{Filtering, PatternError, REGEX_STEPS_MAX};
use sealine_base::excerpt::excerpt;
use std::fmt;

/// Bytes of a pattern that an error quotes.
const QUOTED_BYTES_MAX: usize = 200;

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
    test: Filtering,
    steps: u64,
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
    /// Builds a matcher. Fails only for a regex that does not parse or is too large.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        Matcher::within(REGEX_STEPS_MAX, name, op, value)
    }

    /// Builds a matcher whose regex may need this many steps of an automaton.
    pub fn within(steps_max: u64, name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        let (test, steps) = match op {
            MatchOp::Equal | MatchOp::NotEqual => (Filtering::Words(Words::one(value)), 0),
            MatchOp::Regex | MatchOp::NotRegex => Filtering::new(value, steps_max).map_err(|source| MatcherError {
                name: excerpt(name, QUOTED_BYTES_MAX),
                pattern: excerpt(value, QUOTED_BYTES_MAX),
                source,
            })?,
        };
        Ok(Matcher { name: name.to_string(), op, value: value.to_string(), test, steps })
    }

    /// `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        let test = Filtering::Words(Words::one(value));
        Matcher { name: name.to_string(), op: MatchOp::Equal, value: value.to_string(), test, steps: 0 }
    }

    /// About how many steps its automaton has; none where it is a set of words.
    pub fn steps(&self) -> u64 {
        self.steps
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
        let is_among = match &self.test {
            Filtering::Words(words) => words.contains(value),
            Filtering::Filter(filter) => filter.matches(value),
        };
        is_among == self.is_positive()
    }

    /// Whether a series without the label passes.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    /// The only values that can pass, where they are known: of `=`, and of `=~` with a pattern that stands for some words,
    /// such as `a|b|cpu_(user|system)`. An index looks these up instead of scanning its values.
    pub fn words(&self) -> Option<&Words> {
        match &self.test {
            Filtering::Words(words) if self.is_positive() => Some(words),
            _ => None,
        }
    }

    /// The only values that cannot pass, where they are known: of `!=`, and of `!~` likewise.
    pub fn refused_words(&self) -> Option<&Words> {
        match &self.test {
            Filtering::Words(words) if !self.is_positive() => Some(words),
            _ => None,
        }
    }

    fn is_positive(&self) -> bool {
        matches!(self.op, MatchOp::Equal | MatchOp::Regex)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_what_is_refused_is_the_rest() {
        let values = ["", "a", "b", "ab", "cpu_user", "cpu_system", "cpu_", "cpu_x", "a|b", "a\nb", "a.b"];
        for (pattern, want) in [
            ("a", Some(vec!["a"])),
            ("a|b|", Some(vec!["", "a", "b"])),
            ("cpu_(user|system)", Some(vec!["cpu_system", "cpu_user"])),
            ("a|cpu_(?:user|)", Some(vec!["a", "cpu_", "cpu_user"])),
            ("", Some(vec![""])),
            ("((a))", Some(vec!["a"])),
            ("cpu_(user)?", Some(vec!["cpu_", "cpu_user"])),
            (r"a\.b", Some(vec!["a.b"])),
            ("a.b", None),
            ("a+", None),
            ("(?i)a", None),
            (".*", None),
        ] {
            let matcher = Matcher::new("l", MatchOp::Regex, pattern).unwrap();
            assert_eq!(matcher.words().map(|words| words.iter().collect()), want, "{pattern}");
            assert!(matcher.refused_words().is_none(), "{pattern}");
            let negated = Matcher::new("l", MatchOp::NotRegex, pattern).unwrap();
            assert_eq!(negated.refused_words().map(|words| words.iter().collect()), want, "{pattern}");
            assert!(negated.words().is_none(), "{pattern}");
            for value in values {
                assert_eq!(matcher.matches(value), !negated.matches(value), "{pattern} on {value:?}");
            }
        }
    }

    #[test]
    fn a_bad_or_huge_regex_is_an_error_that_names_it() {
        for pattern in ["(", "(.{1000}){2}", "[a-z]{1000}[a-z]{1000}".repeat(200).as_str(), "*", "a)|(b"] {
            let error = Matcher::new("job", MatchOp::Regex, pattern).unwrap_err().to_string();
            let shown = &format!("{:?}", excerpt(pattern, QUOTED_BYTES_MAX));
            assert!(error.starts_with(&format!("the regular expression {shown} for label \"job\"")), "{error}");
            assert!(error.len() < 600, "{error}");
        }
    }
}
