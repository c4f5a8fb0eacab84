//! What a pattern means, part by part.

use regex_syntax::hir::{Capture, Class, ClassUnicode, Hir, Look, Repetition};

/// A pattern, or a part of one. `hir` makes what the automaton is built of.
#[derive(Debug)]
pub(super) enum Node {
    /// Nothing: it matches the empty text.
    Empty,
    /// These characters; `fold`: in upper or lower case.
    Text { text: String, fold: bool },
    /// One character of these.
    Class(ClassUnicode),
    /// A place.
    Look(Look),
    /// What `$1` stands for.
    Group { number: u32, node: Box<Node> },
    /// `min` to `max` times.
    Repeat { node: Box<Node>, min: u32, max: Option<u32>, greedy: bool, repeats: u32 },
    /// One after the other.
    Sequence(Vec<Node>),
    /// One of them; the first is tried first.
    Alternatives(Vec<Node>),
}

impl Node {
    /// These parts one after the other.
    pub fn concat(parts: Vec<Node>) -> Node {
        if parts.is_empty() { Node::Empty } else { Node::Sequence(parts) }
    }

    /// This part this many times.
    pub fn repeat(node: Node, min: u32, max: Option<u32>, greedy: bool) -> Node {
        let times = max.unwrap_or(min);
        let repeats = match max {
            // What is never there is not counted.
            Some(0) => 1,
            _ => node.repeats().saturating_mul(times.max(1)),
        };
        Node::Repeat { node: Box::new(node), min, max, greedy, repeats }
    }

    /// How often counted repetitions repeat a part of it at most, those in others multiplied.
    pub fn repeats(&self) -> u32 {
        match self {
            Node::Repeat { repeats, .. } => *repeats,
            Node::Group { node, .. } => node.repeats(),
            Node::Sequence(parts) | Node::Alternatives(parts) => parts.iter().map(Node::repeats).max().unwrap_or(1),
            Node::Empty | Node::Text { .. } | Node::Class(_) | Node::Look(_) => 1,
        }
    }

    /// How long it is, about: characters of texts, and parts.
    pub fn size(&self) -> usize {
        match self {
            Node::Text { text, .. } => text.len(),
            Node::Group { node, .. } | Node::Repeat { node, .. } => 1 + node.size(),
            Node::Sequence(parts) | Node::Alternatives(parts) => 1 + parts.iter().map(Node::size).sum::<usize>(),
            Node::Empty | Node::Class(_) | Node::Look(_) => 1,
        }
    }

    /// Whether what it matches depends on what stands before it.
    pub fn looks_back(&self) -> bool {
        match self {
            Node::Look(look) => *look != Look::End,
            Node::Group { node, .. } | Node::Repeat { node, .. } => node.looks_back(),
            Node::Sequence(parts) | Node::Alternatives(parts) => parts.iter().any(Node::looks_back),
            Node::Empty | Node::Text { .. } | Node::Class(_) => false,
        }
    }

    /// The same for the library that builds automata.
    pub fn hir(&self) -> Hir {
        match self {
            Node::Empty => Hir::empty(),
            Node::Text { text, fold: false } => Hir::literal(text.as_bytes()),
            Node::Text { text, fold: true } => {
                Hir::concat(text.chars().map(|c| Hir::class(Class::Unicode(super::class::folded(c)))).collect())
            }
            Node::Class(class) => Hir::class(Class::Unicode(class.clone())),
            Node::Look(look) => Hir::look(*look),
            Node::Group { number, node } => {
                Hir::capture(Capture { index: *number, name: None, sub: Box::new(node.hir()) })
            }
            Node::Repeat { node, min, max, greedy, .. } => {
                Hir::repetition(Repetition { min: *min, max: *max, greedy: *greedy, sub: Box::new(node.hir()) })
            }
            Node::Sequence(parts) => Hir::concat(parts.iter().map(Node::hir).collect()),
            Node::Alternatives(parts) => Hir::alternation(parts.iter().map(Node::hir).collect()),
        }
    }
}
