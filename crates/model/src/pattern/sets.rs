//! The sets of plain texts that a pattern stands for: `a|b`, `web-(1|2)`, `cpu.*`, `.*error.*`. A set is looked up in,
//! where an automaton would have to be built of all its texts and run over each value.

use super::class;
use super::tree::Node;
use crate::Words;
use aho_corasick::AhoCorasick;
use regex_syntax::hir::Look;

/// Characters of a class that is taken for as many texts: `web[1-9]`.
const CLASS_MAX: usize = 16;

/// What a byte costs of a text that may stand anywhere: a state of an automaton.
const INNER_FACTOR: usize = 16;

/// Bytes that the texts of a part may take, for each of its own, and apart from that: `[0-9]{6}` is an automaton.
const ROOM_FACTOR: usize = 64;
const ROOM_LEAST: usize = 4096;

/// A list that a sequence begins with is looked up by itself from this many words on.
const HEAD_WORDS_LEAST: usize = 100;

/// Some texts, with anything before or behind them or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Piece {
    /// Anything may stand before the text: `.*text`.
    after_any: bool,
    text: String,
    /// Anything may stand behind it: `text.*`.
    before_any: bool,
    /// Upper and lower case are the same.
    fold: bool,
}

/// What a pattern asks for, as far as it is sets of texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Sets {
    /// As they are written.
    plain: Texts,
    /// In upper or lower case.
    folded: Option<Texts>,
}

#[derive(Debug, Clone, Default)]
struct Texts {
    /// `text`
    whole: Words,
    /// `text.*`; none begins with another.
    starts: Words,
    /// `.*text`, from back to front; likewise.
    ends: Words,
    /// `.*text.*`
    inner: Option<AhoCorasick>,
    inner_bytes: usize,
}

impl Sets {
    /// The sets of those alternatives of `node` that are sets, and the others.
    pub fn of(node: Node, room: &mut Room) -> (Sets, Vec<Node>) {
        let alternatives = match ungrouped(node) {
            Node::Alternatives(alternatives) => alternatives,
            other => vec![other],
        };
        let (mut pieces, mut rest) = (Vec::new(), Vec::new());
        for alternative in alternatives {
            match room.try_with(&alternative, |room| expand(&alternative, true, true, room)) {
                Some(more) => pieces.extend(more),
                None => rest.push(alternative),
            }
        }
        let (folded, plain): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| piece.fold);
        let folded = (!folded.is_empty()).then(|| Texts::of(folded));
        (Sets { plain: Texts::of(plain), folded }, rest)
    }

    /// Whether the text is in one of them.
    pub fn has(&self, text: &str) -> bool {
        self.plain.has(text) || self.folded.as_ref().is_some_and(|folded| folded.has(&class::fold_text(text)))
    }

    /// The texts, where the sets are no more than a list of them.
    pub fn into_words(self) -> Result<Words, Box<Sets>> {
        let only_whole = self.folded.is_none()
            && self.plain.starts.is_empty()
            && self.plain.ends.is_empty()
            && self.plain.inner.is_none();
        if only_whole { Ok(self.plain.whole) } else { Err(Box::new(self)) }
    }

    /// Bytes that they hold, or cost.
    pub fn bytes(&self) -> usize {
        self.plain.bytes() + self.folded.as_ref().map_or(0, Texts::bytes)
    }
}

/// Bytes that texts may still take while it is seen what a pattern stands for: a short one can stand for a great many.
pub(super) struct Room(pub usize);

impl Room {
    /// Tries something with the room that a node of this size may have; what is not used, or in vain, is given back.
    fn try_with<T>(&mut self, node: &Node, attempt: impl FnOnce(&mut usize) -> Option<T>) -> Option<T> {
        let allowed = self.0.min(ROOM_FACTOR.saturating_mul(node.size()).saturating_add(ROOM_LEAST));
        let mut left = allowed;
        let done = attempt(&mut left)?;
        self.0 -= allowed - left;
        Some(done)
    }
}

impl From<Words> for Sets {
    fn from(whole: Words) -> Self {
        Sets { plain: Texts { whole, ..Texts::default() }, folded: None }
    }
}

impl Texts {
    fn of(pieces: Vec<Piece>) -> Texts {
        let (mut whole, mut starts, mut ends, mut inner) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for Piece { after_any, text, before_any, fold } in pieces {
            let text = if fold { class::fold_text(&text) } else { text };
            match (after_any, before_any) {
                (false, false) => whole.push(text),
                (false, true) => starts.push(text),
                (true, false) => ends.push(reversed(&text)),
                (true, true) => inner.push(text),
            }
        }
        let inner_bytes = inner.iter().map(String::len).sum();
        // It fails for more states than 32 bits can number.
        let inner = (!inner.is_empty()).then(|| AhoCorasick::new(&inner).expect("the texts are of bounded size"));
        let (starts, ends) = (Words::of(starts).without_longer(), Words::of(ends).without_longer());
        Texts { whole: Words::of(whole), starts, ends, inner, inner_bytes }
    }

    fn has(&self, text: &str) -> bool {
        self.whole.contains(text)
            || self.starts.contains_start_of(text)
            || !self.ends.is_empty() && self.ends.contains_start_of(&reversed(text))
            || self.inner.as_ref().is_some_and(|inner| inner.is_match(text))
    }

    fn bytes(&self) -> usize {
        self.whole.bytes() + self.starts.bytes() + self.ends.bytes() + INNER_FACTOR * self.inner_bytes
    }
}

/// Splits off the list that a sequence begins with, where it is a long one: `(a|b|…):[0-9]+` is its words, and an automaton
/// for what stands behind them. Gives the node back where there is none.
pub(super) fn split_head(mut node: Node, room: &mut Room) -> Result<(Words, Node), Node> {
    let head = room.try_with(&node, |room| match &node {
        Node::Sequence(parts) => head_of(parts, room),
        _ => None,
    });
    match (head, &mut node) {
        (Some((head, length)), Node::Sequence(parts)) => {
            let tail = parts.split_off(length);
            Ok((Words::of(head.into_iter().map(|piece| piece.text).collect()), Node::Sequence(tail)))
        }
        _ => Err(node),
    }
}

/// What the first of the parts stand for, and how many these are.
fn head_of(parts: &[Node], room: &mut usize) -> Option<(Vec<Piece>, usize)> {
    let is_plain = |piece: &Piece| !piece.after_any && !piece.before_any && !piece.fold;
    let (mut head, mut length) = (vec![Piece::default()], 0);
    for part in parts {
        let is_first = parts[..length].iter().all(|part| matches!(part, Node::Look(Look::Start)));
        let pieces = expand(part, is_first, false, room).filter(|pieces| pieces.iter().all(is_plain));
        let Some(longer) = pieces.and_then(|pieces| product(&head, &pieces, room)) else { break };
        (head, length) = (longer, length + 1);
    }
    // What looks at the character before it cannot stand alone.
    let is_one = head.len() >= HEAD_WORDS_LEAST && !parts[length..].iter().any(Node::looks_back);
    is_one.then_some((head, length))
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// The node without the groups around it, which only `label_replace` asks for.
fn ungrouped(node: Node) -> Node {
    match node {
        Node::Group { node, .. } => ungrouped(*node),
        other => other,
    }
}

/// All that `node` stands for, where that is texts and no more than there is room for. `first` and `last`: nothing stands
/// before or behind it, so that `^` and `$` hold there.
fn expand(node: &Node, first: bool, last: bool, room: &mut usize) -> Option<Vec<Piece>> {
    match node {
        Node::Empty => one(String::new(), false, room),
        Node::Look(Look::Start) if first => one(String::new(), false, room),
        Node::Look(Look::End) if last => one(String::new(), false, room),
        Node::Look(_) => None,
        Node::Text { text, fold } => one(text.clone(), *fold && !class::is_caseless(text), room),
        Node::Class(class) => {
            let ranges = class.ranges();
            let count = |sum, range: &regex_syntax::hir::ClassUnicodeRange| sum + range.len();
            if ranges.len() > CLASS_MAX || ranges.iter().fold(0, count) > CLASS_MAX {
                return None;
            }
            let mut pieces = Vec::new();
            for c in ranges.iter().flat_map(|range| range.start()..=range.end()) {
                pieces.extend(one(c.into(), false, room)?);
            }
            Some(pieces)
        }
        Node::Group { node, .. } => expand(node, first, last, room),
        Node::Repeat { node, min: 0, max: None, .. } if is_any_character(node) => Some(vec![Piece::any()]),
        Node::Repeat { node, min: 0, max: Some(1), .. } => {
            let mut pieces = expand(node, false, false, room)?;
            pieces.extend(one(String::new(), false, room)?);
            Some(pieces)
        }
        Node::Repeat { node, min, max: Some(max), .. } if min == max => {
            let mut pieces = one(String::new(), false, room)?;
            for _ in 0..*min {
                pieces = product(&pieces, &expand(node, false, false, room)?, room)?;
            }
            Some(pieces)
        }
        Node::Repeat { .. } => None,
        Node::Sequence(parts) => {
            let is_start = |part: &Node| matches!(part, Node::Look(Look::Start));
            let is_end = |part: &Node| matches!(part, Node::Look(Look::End));
            let from = parts.iter().take_while(|part| is_start(part)).count();
            let to = parts.len() - parts.iter().rev().take_while(|part| is_end(part)).count();
            let mut pieces: Option<Vec<Piece>> = None;
            for (at, part) in parts.iter().enumerate() {
                let more = expand(part, first && at <= from, last && at + 1 >= to, room)?;
                pieces = Some(match pieces {
                    Some(before) => product(&before, &more, room)?,
                    None => more,
                });
            }
            Some(pieces.unwrap_or_default())
        }
        Node::Alternatives(alternatives) => {
            let mut pieces = Vec::new();
            for alternative in alternatives {
                pieces.extend(expand(alternative, first, last, room)?);
            }
            Some(pieces)
        }
    }
}

fn one(text: String, fold: bool, room: &mut usize) -> Option<Vec<Piece>> {
    *room = room.checked_sub(text.len() + size_of::<u32>())?;
    Some(vec![Piece { after_any: false, text, before_any: false, fold }])
}

fn is_any_character(node: &Node) -> bool {
    match node {
        Node::Class(class) => *class == class::all(),
        Node::Group { node, .. } => is_any_character(node),
        _ => false,
    }
}

/// Each of `left` with each of `right` behind it.
fn product(left: &[Piece], right: &[Piece], room: &mut usize) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    for left in left {
        for right in right {
            let piece = left.then(right)?;
            *room = room.checked_sub(piece.text.len() + size_of::<Piece>())?;
            pieces.push(piece);
        }
    }
    Some(pieces)
}

impl Piece {
    /// `.*`
    fn any() -> Piece {
        Piece { after_any: true, text: String::new(), before_any: true, fold: false }
    }

    /// The two one after the other; nothing where that is no piece, such as `a.*b`.
    fn then(&self, next: &Piece) -> Option<Piece> {
        let is_any = |piece: &Piece| piece.text.is_empty() && piece.after_any;
        if is_any(self) {
            return Some(Piece { after_any: true, ..next.clone() });
        }
        if is_any(next) {
            return Some(Piece { before_any: true, ..self.clone() });
        }
        // Neither is `.*`: where one has any in the middle, the other must be empty.
        if self.before_any && !next.text.is_empty() || next.after_any && !self.text.is_empty() {
            return None;
        }
        let is_foldable = |piece: &Piece| piece.fold || class::is_caseless(&piece.text);
        let fold = self.fold || next.fold;
        if fold && !(is_foldable(self) && is_foldable(next)) {
            return None;
        }
        let text = [self.text.as_str(), &next.text].concat();
        Some(Piece {
            after_any: self.after_any || next.after_any,
            text,
            before_any: self.before_any || next.before_any,
            fold,
        })
    }
}
