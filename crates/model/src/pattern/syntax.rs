//! Reads the syntax of RE2, as Go's `regexp` has it with Perl's extensions: that is what upstream's users write.
//!
//! Nothing is left to the parser of another dialect: what is read here becomes a tree whose parts mean one thing each.
//! docs/promql.md has the table of what is read and what is refused.

use super::PatternError;
use super::class;
use super::tree::Node;
use regex_syntax::hir::{ClassUnicode, Look};
use sealine_base::excerpt::excerpt;

/// The largest number of a counted repetition, and of one in another: `(a{10}){100}` repeats a thousand times.
const REPEAT_MAX: u32 = 1000;

/// Bytes of a pattern that an error quotes.
const QUOTED_BYTES_MAX: usize = 60;

/// What it counts as to look a class up by its name, or to find the other cases of its letters, which takes some 20 µs.
const LOOK_UP_STEPS: u64 = 20;

/// Reads `text`, in which groups may nest `depth_max` deep. `steps_max` bounds the size of the tree, plain text apart.
pub(super) fn parse(text: &str, depth_max: usize, steps_max: u64) -> Result<Tree, PatternError> {
    let mut parser = Parser {
        text,
        at: 0,
        flags: Flags { fold: false, lines: false, dot_is_any: true, lazy: false },
        groups: 0,
        names: Vec::new(),
        depth: 0,
        depth_max,
        steps: 0,
        steps_max,
    };
    let node = parser.alternatives()?;
    match parser.peek() {
        None => Ok(Tree { node, names: parser.names }),
        Some(_) => Err(parser.fault("unexpected )", parser.at, parser.at + 1)),
    }
}

/// A pattern as it was read.
#[derive(Debug)]
pub(super) struct Tree {
    pub node: Node,
    /// Names of groups, and their numbers. Several groups may have one name.
    pub names: Vec<(Box<str>, u32)>,
}

/// What `(?imsU)` switches.
#[derive(Clone, Copy)]
struct Flags {
    /// `i`: upper and lower case are the same.
    fold: bool,
    /// `m`: `^` and `$` are the ends of a line.
    lines: bool,
    /// `s`: the dot is any character, a newline too. Set where a pattern begins.
    dot_is_any: bool,
    /// `U`: repetitions are lazy without `?`, and greedy with it.
    lazy: bool,
}

struct Parser<'p> {
    text: &'p str,
    at: usize,
    flags: Flags,
    groups: u32,
    names: Vec<(Box<str>, u32)>,
    depth: usize,
    depth_max: usize,
    steps: u64,
    steps_max: u64,
}

/// The parts of an alternative.
#[derive(Default)]
struct Sequence(Vec<Node>);

impl Sequence {
    /// Adds a character, to the text before it where that is of the same kind.
    fn push_char(&mut self, c: char, fold: bool) {
        match self.0.last_mut() {
            Some(Node::Text { text, fold: before }) if *before == fold => text.push(c),
            _ => self.0.push(Node::Text { text: c.into(), fold }),
        }
    }

    /// Takes off what a repetition behind it repeats: of a text the last character.
    fn pop(&mut self) -> Option<Node> {
        if let Some(Node::Text { text, fold }) = self.0.last_mut()
            && let Some(last) = text.pop()
        {
            let node = Node::Text { text: last.into(), fold: *fold };
            if text.is_empty() {
                self.0.pop();
            }
            return Some(node);
        }
        self.0.pop()
    }

    fn into_node(mut self) -> Node {
        if self.0.len() == 1 { self.0.pop().unwrap_or(Node::Empty) } else { Node::concat(self.0) }
    }
}

impl<'p> Parser<'p> {
    fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, prefix: &str) -> bool {
        let taken = self.rest().starts_with(prefix);
        if taken {
            self.at += prefix.len();
        }
        taken
    }

    /// What is wrong with the bytes `from..to`.
    fn fault(&self, what: &'static str, from: usize, to: usize) -> PatternError {
        let to = (to..).find(|to| self.text.is_char_boundary(*to)).unwrap_or(to).min(self.text.len());
        PatternError::Syntax { what, at: from, quoted: excerpt(&self.text[from..to], QUOTED_BYTES_MAX) }
    }

    /// Accounts for a part of the tree. Plain text costs what the pattern costs, and is not counted.
    fn grow(&mut self, by: u64) -> Result<(), PatternError> {
        self.steps = self.steps.saturating_add(by);
        if self.steps <= self.steps_max { Ok(()) } else { Err(PatternError::TooLarge { steps_max: self.steps_max }) }
    }

    /// Alternatives up to a `)` or the end.
    fn alternatives(&mut self) -> Result<Node, PatternError> {
        let first = self.sequence()?;
        if self.peek() != Some('|') {
            return Ok(first);
        }
        let mut alternatives = vec![first];
        while self.take("|") {
            alternatives.push(self.sequence()?);
        }
        Ok(Node::Alternatives(alternatives))
    }

    /// One alternative.
    fn sequence(&mut self) -> Result<Node, PatternError> {
        let mut parts = Sequence::default();
        // Where the repetition begins that ends here.
        let mut repeated: Option<usize> = None;
        while let Some(next) = self.peek() {
            let start = self.at;
            let mut repeats = None;
            match next {
                '|' | ')' => break,
                '(' => {
                    if let Some(group) = self.group()? {
                        parts.0.push(group);
                    }
                }
                '^' | '$' | '.' => {
                    self.at += 1;
                    self.grow(1)?;
                    parts.0.push(match (next, self.flags.lines) {
                        ('^', false) => Node::Look(Look::Start),
                        ('^', true) => Node::Look(Look::StartLF),
                        ('$', false) => Node::Look(Look::End),
                        ('$', true) => Node::Look(Look::EndLF),
                        _ => Node::Class(if self.flags.dot_is_any { class::all() } else { class::all_but_newline() }),
                    });
                }
                '[' => {
                    let class = self.class()?;
                    parts.0.push(Node::Class(class));
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    let (min, max) = match next {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(&mut parts, min, max, start, repeated)?;
                    repeats = Some(start);
                }
                '{' => match self.counts() {
                    None => {
                        self.at += 1;
                        parts.push_char('{', self.flags.fold);
                    }
                    Some((min, max)) => {
                        let fits = |count: Option<u32>| count.is_none_or(|count| count <= REPEAT_MAX);
                        if !fits(Some(min)) || !fits(max) || max.is_some_and(|max| min > max) {
                            return Err(self.fault("invalid repeat count", start, self.at));
                        }
                        self.repeat(&mut parts, min, max, start, repeated)?;
                        repeats = Some(start);
                    }
                },
                '\\' => self.escape(&mut parts)?,
                _ => {
                    self.at += next.len_utf8();
                    parts.push_char(next, self.flags.fold);
                }
            }
            repeated = repeats;
        }
        Ok(parts.into_node())
    }

    /// Repeats the last of the parts. `start` is where the operator begins, `before` one that ends there.
    fn repeat(
        &mut self,
        parts: &mut Sequence,
        min: u32,
        max: Option<u32>,
        start: usize,
        before: Option<usize>,
    ) -> Result<(), PatternError> {
        let greedy = self.take("?") == self.flags.lazy;
        if let Some(before) = before {
            return Err(self.fault("invalid nested repetition operator", before, self.at));
        }
        self.grow(1)?;
        let Some(node) = parts.pop() else {
            return Err(self.fault("missing argument to repetition operator", start, self.at));
        };
        let node = Node::repeat(node, min, max, greedy);
        if (min >= 2 || max.is_some_and(|max| max >= 2)) && node.repeats() > REPEAT_MAX {
            return Err(self.fault("invalid repeat count", start, self.at));
        }
        parts.0.push(node);
        Ok(())
    }

    /// Reads `{2}`, `{2,}` or `{2,5}`; what is none of them is plain text.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let start = self.at;
        let read = (|| {
            self.at += 1;
            let min = self.count()?;
            let max = if !self.take(",") {
                Some(min)
            } else if self.peek() == Some('}') {
                None
            } else {
                Some(self.count()?)
            };
            self.take("}").then_some((min, max))
        })();
        if read.is_none() {
            self.at = start;
        }
        read
    }

    /// A number without a zero in front. One that is too large for anything is `u32::MAX`.
    fn count(&mut self) -> Option<u32> {
        let rest = self.rest();
        let digits = &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()];
        if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.at += digits.len();
        Some(digits.parse().unwrap_or(u32::MAX))
    }

    /// Reads a group, or the flags of `(?i)`, which make none.
    fn group(&mut self) -> Result<Option<Node>, PatternError> {
        let (start, outer) = (self.at, self.flags);
        self.at += 1;
        let number = self.groups + 1;
        let captures = if self.rest().starts_with("?P<") || self.rest().starts_with("?<") {
            let name = self.name(start)?;
            self.names.push((name.into(), number));
            true
        } else if self.take("?") {
            if !self.switch(start)? {
                return Ok(None);
            }
            false
        } else {
            true
        };
        if self.depth == self.depth_max {
            return Err(PatternError::TooDeep { depth_max: self.depth_max });
        }
        self.grow(1)?;
        self.groups += u32::from(captures);
        self.depth += 1;
        let node = self.alternatives()?;
        self.depth -= 1;
        if !self.take(")") {
            return Err(self.fault("missing closing )", start, self.text.len()));
        }
        self.flags = outer;
        Ok(Some(match captures {
            true => Node::Group { number, node: Box::new(node) },
            // A repetition behind it repeats all of it, not the last character.
            false if matches!(node, Node::Text { .. }) => Node::Sequence(vec![node]),
            false => node,
        }))
    }

    /// Reads `?P<name>` or `?<name>`; `start` is where the group begins.
    fn name(&mut self, start: usize) -> Result<&'p str, PatternError> {
        self.at += if self.rest().starts_with("?P<") { 3 } else { 2 };
        let Some(length) = self.rest().find('>') else {
            return Err(self.fault("invalid named capture", start, self.text.len()));
        };
        let name = &self.rest()[..length];
        self.at += length + 1;
        let fine = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !fine {
            return Err(self.fault("invalid named capture", start, self.at));
        }
        Ok(name)
    }

    /// Reads flags behind `(?`, up to a `:`, which begins a group, or a `)`, which does not; returns which.
    fn switch(&mut self, start: usize) -> Result<bool, PatternError> {
        let (mut flags, mut on, mut seen) = (self.flags, true, false);
        loop {
            match self.next() {
                Some('i') => flags.fold = on,
                Some('m') => flags.lines = on,
                Some('s') => flags.dot_is_any = on,
                Some('U') => flags.lazy = on,
                Some('-') if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                Some(end @ (':' | ')')) if on || seen => {
                    self.flags = flags;
                    return Ok(end == ':');
                }
                _ => return Err(self.fault("invalid or unsupported Perl syntax", start, self.at)),
            }
            seen = true;
        }
    }

    /// Reads what begins with a backslash, outside of a class.
    fn escape(&mut self, parts: &mut Sequence) -> Result<(), PatternError> {
        let start = self.at;
        let look = match self.rest().as_bytes().get(1) {
            Some(b'A') => Some(Look::Start),
            Some(b'z') => Some(Look::End),
            Some(b'b') => Some(Look::WordAscii),
            Some(b'B') => Some(Look::WordAsciiNegate),
            _ => None,
        };
        if let Some(look) = look {
            self.at += 2;
            self.grow(1)?;
            parts.0.push(Node::Look(look));
        } else if self.take("\\Q") {
            let quoted = self.rest().split("\\E").next().unwrap_or_default();
            self.at += quoted.len();
            self.take("\\E");
            quoted.chars().for_each(|c| parts.push_char(c, self.flags.fold));
        } else if let Some(class) = self.named_class()? {
            parts.0.push(Node::Class(class));
        } else {
            // A surrogate is in no text.
            let c = char::from_u32(self.escaped(start)?);
            let c = c.ok_or_else(|| self.fault("invalid escape sequence", start, self.at))?;
            parts.push_char(c, self.flags.fold);
        }
        Ok(())
    }

    /// Reads `\d` and the like, `\pN`, `\p{Greek}`; nothing where it is another escape, or none.
    fn named_class(&mut self) -> Result<Option<ClassUnicode>, PatternError> {
        let start = self.at;
        let mut ahead = self.rest().chars();
        let (Some('\\'), Some(letter)) = (ahead.next(), ahead.next()) else { return Ok(None) };
        let class = if let Some(class) = class::perl(letter, self.flags.fold) {
            self.at += 2;
            class
        } else if matches!(letter, 'p' | 'P') {
            self.at += 2;
            let name = if self.take("{") {
                let Some(length) = self.rest().find('}') else {
                    return Err(self.fault("invalid character class range", start, self.text.len()));
                };
                let name = &self.rest()[..length];
                self.at += length + 1;
                name
            } else {
                let from = self.at;
                self.next();
                &self.text[from..self.at]
            };
            let (name, negated) = match name.strip_prefix('^') {
                Some(name) => (name, letter == 'p'),
                None => (name, letter == 'P'),
            };
            self.grow(LOOK_UP_STEPS)?;
            let class = class::of_unicode(name, negated, self.flags.fold);
            class.ok_or_else(|| self.fault("invalid character class range", start, self.at))?
        } else {
            return Ok(None);
        };
        self.grow(class::steps(&class))?;
        Ok(Some(class))
    }

    /// Reads an escape that stands for one character, by its number; `start` is where its backslash is.
    fn escaped(&mut self, start: usize) -> Result<u32, PatternError> {
        self.at = start + 1;
        let Some(first) = self.next() else {
            return Err(self.fault("trailing backslash at end of expression", start, self.at));
        };
        let digit = |parser: &Self, radix| parser.peek().and_then(|c| c.to_digit(radix));
        let number = match first {
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            // `\1` alone would be a reference to a group.
            '0'..='7' if first == '0' || digit(self, 8).is_some() => {
                let mut number = first.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let Some(next) = digit(self, 8) else { break };
                    (number, self.at) = (number * 8 + next, self.at + 1);
                }
                Some(number)
            }
            'x' if self.take("{") => {
                let mut number = None;
                loop {
                    match self.next() {
                        Some('}') => break number,
                        next => {
                            let digit = next.and_then(|next| next.to_digit(16));
                            number = digit.map(|digit| number.unwrap_or(0) * 16 + digit);
                            if number.is_none_or(|number| number > u32::from(char::MAX)) {
                                break None;
                            }
                        }
                    }
                }
            }
            'x' => {
                let high = self.next().and_then(|c| c.to_digit(16));
                let low = self.next().and_then(|c| c.to_digit(16));
                high.zip(low).map(|(high, low)| high * 16 + low)
            }
            _ if first.is_ascii() && !first.is_ascii_alphanumeric() => Some(u32::from(first)),
            _ => None,
        };
        number.ok_or_else(|| self.fault("invalid escape sequence", start, self.at))
    }

    /// Reads a class in brackets.
    fn class(&mut self) -> Result<ClassUnicode, PatternError> {
        let start = self.at;
        self.at += 1;
        let negated = self.take("^");
        let mut class = class::Builder::new(self.flags.fold);
        let mut first = true;
        while first || self.peek() != Some(']') {
            first = false;
            if let Some(named) = self.rest().strip_prefix("[:")
                && let Some(length) = named.find(":]")
            {
                let from = self.at;
                self.at += length + 4;
                let named = class::posix(&named[..length], self.flags.fold);
                let named = named.ok_or_else(|| self.fault("invalid character class range", from, self.at))?;
                self.grow(1)?;
                class.add(&named);
                continue;
            }
            if let Some(named) = self.named_class()? {
                class.add(&named);
                continue;
            }
            let from = self.at;
            let low = self.class_char(start)?;
            let mut high = low;
            // A dash is a range, unless the class ends behind it.
            let ahead = self.rest().as_bytes();
            if ahead.len() >= 2 && ahead[0] == b'-' && ahead[1] != b']' {
                self.at += 1;
                high = self.class_char(start)?;
            }
            if high < low {
                return Err(self.fault("invalid character class range", from, self.at));
            }
            self.grow(1)?;
            class.add_range(low, high);
        }
        self.at += 1;
        self.grow(if self.flags.fold { LOOK_UP_STEPS } else { 0 })?;
        let class = class.build(negated);
        self.grow(class::steps(&class))?;
        Ok(class)
    }

    /// Reads one character of the class that begins at `start`, by its number.
    fn class_char(&mut self, start: usize) -> Result<u32, PatternError> {
        match self.peek() {
            None => Err(self.fault("missing closing ]", start, self.text.len())),
            Some('\\') => self.escaped(self.at),
            Some(next) => {
                self.at += next.len_utf8();
                Ok(u32::from(next))
            }
        }
    }
}
