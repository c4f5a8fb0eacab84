//! Regular expressions as upstream has them: Go's dialect, anchored at both ends, the dot matching newlines.
//!
//! The grammar of `regex-syntax` is nearly Go's. What differs and matters: `\d`, `\w` and `\s` mean ASCII in Go. That is
//! also what makes a short pattern small: in Unicode `\w` alone has 700 ranges.

use super::template;
use regex_automata::meta::{BuildError, Regex};
use regex_syntax::ast::{self, ClassPerlKind, ClassSetItem};
use regex_syntax::hir::{Class, Dot, Hir, HirKind, Look};
use std::convert::Infallible;
use std::ops::Range;

/// The largest cost of one pattern. The costliest take some 30 ms to compile.
pub const COST_MAX: u64 = 100_000;

/// Groups in groups beyond this are refused.
const DEPTH_MAX: u32 = 100;

/// Memory that the compiled automaton may take; the limit on costs comes first.
const AUTOMATON_BYTES_MAX: usize = 16 << 20;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    /// What every text that matches begins with: most texts that do not are told by it.
    prefix: Box<str>,
    /// Whether whatever begins so does match, as with `host_7.*`.
    prefix_is_all: bool,
    cost: u64,
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression.
    #[error("{what} at byte {at}")]
    Syntax {
        /// What is wrong.
        what: String,
        /// Where, from 0.
        at: usize,
    },
    /// It is one, but too large.
    #[error("it needs {cost} steps of an automaton, {COST_MAX} are allowed: use fewer or smaller repetitions")]
    TooLarge {
        /// What [`Pattern::cost`] would be.
        cost: u64,
    },
    /// The automaton cannot be built.
    #[error("{0}")]
    Build(Box<BuildError>),
}

impl Pattern {
    /// Compiles `text`.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let text = with_ascii_classes(text)?;
        let mut parser = regex_syntax::ParserBuilder::new();
        let parsed = parser.nest_limit(DEPTH_MAX).dot_matches_new_line(true).build().parse(&text);
        let hir = parsed.map_err(|error| match error {
            regex_syntax::Error::Parse(error) => syntax(error.kind(), error.span()),
            regex_syntax::Error::Translate(error) => syntax(error.kind(), error.span()),
            error => PatternError::Syntax { what: error.to_string(), at: 0 },
        })?;
        let cost = cost(&hir);
        if cost > COST_MAX {
            return Err(PatternError::TooLarge { cost });
        }
        let (prefix, prefix_is_all) = prefix_of(&hir);
        let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let config = Regex::config().nfa_size_limit(Some(AUTOMATON_BYTES_MAX));
        let regex = Regex::builder().configure(config).build_from_hir(&anchored);
        let regex = regex.map_err(|error| PatternError::Build(Box::new(error)))?;
        Ok(Pattern { regex, prefix, prefix_is_all, cost })
    }

    /// About how many states its automaton has: what it costs to compile, and what a query with many may have of it.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        text.starts_with(&*self.prefix) && (self.prefix_is_all || self.regex.is_match(text))
    }

    /// Where the whole of `text` matches, `template` with its `$1`, `${1}` and `$name` filled in.
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let mut captures = self.regex.create_captures();
        self.regex.captures(text, &mut captures);
        let group = |name: &str| {
            let span = match template::number(name) {
                Some(number) => captures.get_group(number),
                None => captures.get_group_by_name(name),
            };
            span.map(|span| &text[span])
        };
        captures.is_match().then(|| template::fill_in(template, group))
    }
}

fn syntax(kind: &dyn std::fmt::Display, span: &ast::Span) -> PatternError {
    PatternError::Syntax { what: kind.to_string(), at: span.start.offset }
}

/// The pattern with `\d`, `\w`, `\s` and their opposites spelled out in ASCII.
fn with_ascii_classes(text: &str) -> Result<String, PatternError> {
    let mut parser = ast::parse::ParserBuilder::new();
    let parsed = parser.nest_limit(DEPTH_MAX).build().parse(text);
    let parsed = parsed.map_err(|error| syntax(error.kind(), error.span()))?;
    let Ok(classes) = ast::visit(&parsed, Classes::default());
    let (mut spelled, mut at) = (String::with_capacity(text.len()), 0);
    for (span, class) in classes.found {
        spelled.push_str(&text[at..span.start]);
        spelled.push_str(class);
        at = span.end;
    }
    spelled.push_str(&text[at..]);
    Ok(spelled)
}

/// Finds the classes that Perl has letters for, in the order of the text.
#[derive(Default)]
struct Classes {
    found: Vec<(Range<usize>, &'static str)>,
}

impl Classes {
    fn add(&mut self, class: &ast::ClassPerl) {
        let spelled = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
            (ClassPerlKind::Space, false) => r"[\t\n\f\r ]",
            (ClassPerlKind::Space, true) => r"[^\t\n\f\r ]",
        };
        self.found.push((class.span.start.offset..class.span.end.offset, spelled));
    }
}

impl ast::Visitor for Classes {
    type Output = Self;
    type Err = Infallible;

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }

    fn visit_pre(&mut self, ast: &ast::Ast) -> Result<(), Infallible> {
        if let ast::Ast::ClassPerl(class) = ast {
            self.add(class);
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
        if let ClassSetItem::Perl(class) = item {
            self.add(class);
        }
        Ok(())
    }
}

/// What a text must begin with to match, and whether nothing else is asked of it.
fn prefix_of(hir: &Hir) -> (Box<str>, bool) {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => &parts[..],
        _ => std::slice::from_ref(hir),
    };
    let HirKind::Literal(literal) = parts[0].kind() else { return Default::default() };
    // Any character again and again; a text has no others.
    let is_anything = |hir: &Hir| match hir.kind() {
        HirKind::Repetition(repetition) => {
            let is_any = *repetition.sub == Hir::dot(Dot::AnyChar);
            is_any && repetition.min == 0 && repetition.max.is_none()
        }
        _ => false,
    };
    let prefix = str::from_utf8(&literal.0).unwrap_or_default();
    (prefix.into(), !prefix.is_empty() && matches!(&parts[1..], [rest] if is_anything(rest)))
}

/// About how many states the automaton of a pattern has. Recursion is bounded by [`DEPTH_MAX`].
fn cost(hir: &Hir) -> u64 {
    let sum = |subs: &[Hir]| subs.iter().fold(1_u64, |sum, sub| sum.saturating_add(cost(sub)));
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Class(Class::Unicode(class)) if class.is_ascii() => 1,
        // A range of characters is several sequences of up to four bytes.
        HirKind::Class(Class::Unicode(class)) => 8 * class.ranges().len() as u64,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            cost(&repetition.sub).saturating_mul(u64::from(times))
        }
        HirKind::Capture(capture) => cost(&capture.sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => sum(subs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, want) in [
            ("a|b", "a", true),
            ("a|b", "ab", false),
            ("", "", true),
            ("", "a", false),
            (".*", "a\nb", true),
            (r"\d+", "12", true),
            (r"\d", "\u{661}", false),
            (r"\w", "ä", false),
            (r"\W", "ä", true),
            (r"[\w-]{1,36}", "9f86d081-884c", true),
            (r"[^\d\s]+", "ab", true),
            (r"[^\d\s]+", "a b", false),
            (r"\s", "\u{b}", false),
            (r"\S\D", "\u{a0}\u{661}", true),
            ("(?i)CPU", "cpu", true),
            ("ä.", "äö", true),
            (r"\\d", r"\d", true),
            ("(?:(a)|(b))+", "abab", true),
            ("host_7.*", "host_7", true),
            ("host_7.*", "host_71\nä", true),
            ("host_7.*", "ahost_7", false),
            ("host_7.+", "host_7", false),
            ("host_7.+", "host_71", true),
            ("host_7(?-s:.)*", "host_7\n", false),
            ("host_7.*a", "host_7b", false),
            ("host_7.*|a", "a", true),
            ("(?i)host_7.*", "HOST_7", true),
            ("ä.*", "äö", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), want, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn templates_are_filled_in() {
        for (pattern, text, template, want) in [
            ("(.*)-(.*)", "a-b", "$2+${1}x", Some("b+ax")),
            ("(?P<first>.)(?<second>.)", "xy", "$second$first", Some("yx")),
            ("(.*)", "a", "$2|$", Some("|$")),
            ("(a)(b)?", "a", "$01|$2|$3|$0", Some("|||a")),
            ("(.*)", "a", "$$1", Some("$1")),
            ("a", "b", "x", None),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().expand(text, template).as_deref(), want, "{pattern} {template}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_reason() {
        for (pattern, want) in [
            ("a(", "unclosed group at byte 1"),
            // Alone neither half is an expression, whatever stands around them.
            ("a)|(b", "unopened group at byte 1"),
            ("*", "repetition operator missing expression at byte 0"),
            (".{1000}{1000}", "it needs "),
            ("((a{100}){100}){100}", "it needs "),
        ] {
            let error = Pattern::new(pattern).unwrap_err().to_string();
            assert!(error.starts_with(want), "{pattern}: {error}");
        }
        let error = Pattern::new(&format!("{}{}", "(".repeat(1000), ")".repeat(1000))).unwrap_err().to_string();
        assert!(error.contains("nest"), "{error}");
    }

    #[test]
    fn costs_follow_size() {
        for (pattern, want) in [("abc", 3), ("a{100}", 100), (r"\d", 1), ("[a-z]*", 1), ("[a-z]{2,}", 3), (".", 8)] {
            assert_eq!(Pattern::new(pattern).unwrap().cost(), want, "{pattern}");
        }
    }
}
