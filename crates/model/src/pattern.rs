//! Regular expressions as upstream has them: RE2's, anchored at both ends, the dot matching newlines.
//!
//! A parser of our own reads them (`pattern/syntax.rs`). As matchers they are sets of texts, as far as they can be
//! (`pattern/sets.rs`), and an automaton of `regex-automata` for the rest. Both crates and RE2 prefer the leftmost first
//! alternative, so groups are the same too.

mod class;
mod sets;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;

use super::Words;
use super::template;
use regex_automata::meta::{BuildError, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use sets::{Room, Sets};
use syntax::Tree;

/// Steps of an automaton that the regular expressions of one query may need by default: some 60 ms to compile.
pub const REGEX_STEPS_MAX: u64 = 200_000;

/// Groups may nest this deep, as in Go.
const DEPTH_MAX: usize = 1000;

/// Those that nest deeper are read and compiled on a thread of their own, with more room on its stack.
const DEPTH_HERE_MAX: usize = 50;

/// Stack of that thread, of which only what is touched costs memory.
const DEEP_STACK_BYTES: usize = 64 << 20;

/// Memory that a compiled automaton may take for each step. The limit on steps comes first.
const BYTES_A_STEP_MAX: u64 = 160;

/// Bytes of texts that may be held while it is seen what a pattern stands for, unless it is itself long.
const TEXTS_BYTES_MAX: usize = 16 << 20;

/// What a list with something behind it counts as, apart from that.
const HEAD_STEPS: u64 = 500;

/// Bytes of such texts that count as a step, beyond those of the pattern itself.
const TEXTS_BYTES_A_STEP: u64 = 64;

/// A pattern that reports what its groups matched.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    names: Box<[(Box<str>, u32)]>,
    steps: u64,
}

/// A pattern that reports whether a text matches.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    sets: Sets,
    heads: Vec<Head>,
    /// What is no set.
    rest: Option<Regex>,
}

/// A long list of words with something behind it: `(a|b|…):[0-9]+`.
#[derive(Debug, Clone)]
struct Head {
    words: Words,
    tail: Regex,
}

/// What a pattern comes to as a filter.
#[derive(Debug, Clone)]
pub(super) enum Filtering {
    /// It stands for these words, and no others.
    Words(Words),
    Filter(Box<Filter>),
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression.
    #[error("{what}: `{quoted}` at byte {at}")]
    Syntax {
        /// What is wrong, in Go's words.
        what: &'static str,
        /// Where, from 0.
        at: usize,
        /// What stands there.
        quoted: String,
    },
    /// Its groups nest too deeply.
    #[error("its groups nest deeper than the {depth_max} levels that are allowed")]
    TooDeep {
        /// How deep they may.
        depth_max: usize,
    },
    /// It is too large.
    #[error(
        "it needs more than {steps_max} steps of an automaton, and no more are left for it: use fewer or smaller \
         repetitions and classes, or raise `query.max_regex_steps`"
    )]
    TooLarge {
        /// How many are left of what a query may have.
        steps_max: u64,
    },
    /// The automaton cannot be built.
    #[error("{0}")]
    Build(Box<BuildError>),
    /// There is no thread for it.
    #[error("cannot start a thread for a deeply nested expression: {0}")]
    Thread(std::io::Error),
}

impl Pattern {
    /// Compiles `text`, which may need this many steps.
    pub fn new(text: &str, steps_max: u64) -> Result<Self, PatternError> {
        with_tree(text, steps_max, |Tree { node, names }| {
            let hir = node.hir();
            let steps = steps_of(&hir);
            let regex = compile(hir, steps, steps_max, WhichCaptures::All)?;
            Ok(Pattern { regex, names: names.into(), steps })
        })
    }

    /// About how many states its automaton has: what it costs to compile, and what a query with many may have of it.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Where the whole of `text` matches, `template` with its `$1`, `${1}` and `$name` filled in.
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let mut captures = self.regex.create_captures();
        self.regex.captures(text, &mut captures);
        let group = |name: &str| {
            let span = match template::number(name) {
                Some(number) => captures.get_group(number),
                // Of several with this name, the first that has found something.
                None => {
                    let mut named = self.names.iter().filter(|(known, _)| **known == *name);
                    named.find_map(|(_, number)| captures.get_group(*number as usize))
                }
            };
            span.map(|span| &text[span])
        };
        captures.is_match().then(|| template::fill_in(template, group))
    }
}

impl Filtering {
    /// Compiles `text`, which may need this many steps; returns how many it needs.
    pub fn new(text: &str, steps_max: u64) -> Result<(Self, u64), PatternError> {
        with_tree(text, steps_max, |Tree { node, .. }| {
            let mut room = Room(TEXTS_BYTES_MAX.max(text.len().saturating_mul(8)));
            let (sets, rest) = Sets::of(node, &mut room);
            let beyond = (sets.bytes() as u64).saturating_sub(4 * text.len() as u64);
            let mut steps = beyond / TEXTS_BYTES_A_STEP;
            let mut build = |hir: Hir, more: u64| {
                steps = steps.saturating_add(steps_of(&hir)).saturating_add(more);
                compile(hir, steps, steps_max, WhichCaptures::Implicit)
            };
            let (mut heads, mut others) = (Vec::new(), Vec::new());
            for node in rest {
                match sets::split_head(node, &mut room) {
                    Ok((words, tail)) => heads.push(Head { words, tail: build(tail.hir(), HEAD_STEPS)? }),
                    Err(node) => others.push(node.hir()),
                }
            }
            let rest = if others.is_empty() { None } else { Some(build(Hir::alternation(others), 0)?) };
            if steps > steps_max {
                return Err(PatternError::TooLarge { steps_max });
            }
            let filtering = match sets.into_words() {
                Ok(words) if heads.is_empty() && rest.is_none() => Filtering::Words(words),
                Ok(words) => Filtering::Filter(Box::new(Filter { sets: words.into(), heads, rest })),
                Err(sets) => Filtering::Filter(Box::new(Filter { sets: *sets, heads, rest })),
            };
            Ok((filtering, steps))
        })
    }
}

impl Filter {
    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.sets.has(text)
            || self.heads.iter().any(|head| head.matches(text))
            || self.rest.as_ref().is_some_and(|rest| rest.is_match(text))
    }
}

impl Head {
    fn matches(&self, text: &str) -> bool {
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.map(|end| text.split_at(end)).any(|(head, tail)| self.words.contains(head) && self.tail.is_match(tail))
    }
}

/// Reads `text` and does something with what it means.
fn with_tree<T: Send>(
    text: &str,
    steps_max: u64,
    work: impl FnOnce(Tree) -> Result<T, PatternError> + Send,
) -> Result<T, PatternError> {
    match syntax::parse(text, DEPTH_HERE_MAX, steps_max) {
        Err(PatternError::TooDeep { .. }) => std::thread::scope(|scope| {
            let deep = std::thread::Builder::new().name("regex-deep".into()).stack_size(DEEP_STACK_BYTES);
            let work = move || work(syntax::parse(text, DEPTH_MAX, steps_max)?);
            let handle = deep.spawn_scoped(scope, work).map_err(PatternError::Thread)?;
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }),
        tree => work(tree?),
    }
}

/// Builds the automaton of a pattern that needs `steps` of the `steps_max` that it may.
fn compile(hir: Hir, steps: u64, steps_max: u64, captures: WhichCaptures) -> Result<Regex, PatternError> {
    if steps > steps_max {
        return Err(PatternError::TooLarge { steps_max });
    }
    let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let bytes_max = usize::try_from(steps.saturating_mul(BYTES_A_STEP_MAX)).unwrap_or(usize::MAX).max(1 << 20);
    let config = Regex::config().nfa_size_limit(Some(bytes_max)).which_captures(captures);
    let regex = Regex::builder().configure(config).build_from_hir(&anchored);
    regex.map_err(|error| PatternError::Build(Box::new(error)))
}

/// About how many states the automaton of a pattern has. Recursion is bounded by [`DEPTH_MAX`].
fn steps_of(hir: &Hir) -> u64 {
    let sum = |subs: &[Hir]| subs.iter().fold(1_u64, |sum, sub| sum.saturating_add(steps_of(sub)));
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Class(Class::Unicode(class)) => class::steps(class),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            steps_of(&repetition.sub).saturating_mul(u64::from(times))
        }
        HirKind::Capture(capture) => steps_of(&capture.sub).saturating_add(1),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => sum(subs),
    }
}
