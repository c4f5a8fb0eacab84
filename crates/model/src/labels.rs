//! A set of labels in one allocation.
//!
//! Layout: the pairs in byte order of their names, each as name then value, each of those as a LEB128 length and
//! that many bytes of UTF-8. Two equal sets are equal byte for byte, so equality, hash and the key of a row are all
//! taken over the bytes. A label with an empty value is the same as no label, and is never stored.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Most sets take no more bytes than this.
const SORTED_BYTES: usize = 256;

/// An immutable, sorted set of labels. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[u8]>);

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Labels(Arc::from(&[][..]))
    }

    /// Builds a set from pairs in any order. Of two pairs with one name the last stands; empty values are left out.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        if !pairs.is_sorted_by(|(a, _), (b, _)| a < b) {
            pairs.sort_by_key(|(name, _)| *name); // pairs with one name stay in order
        }
        let mut bytes = Vec::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (at, (name, value)) in pairs.iter().enumerate() {
            let is_last = pairs.get(at + 1).is_none_or(|(next, _)| next != name);
            if is_last && !value.is_empty() {
                push_pair(&mut bytes, name, value);
            }
        }
        Labels(Arc::from(bytes))
    }

    /// Joins two runs of pairs, each in byte order of its names, which have no name in common and no empty value.
    pub fn from_sorted<'a>(
        one: impl Iterator<Item = (&'a str, &'a str)>,
        other: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let (mut one, mut bytes) = (one.peekable(), Vec::with_capacity(SORTED_BYTES));
        for (name, value) in other {
            while let Some((name, value)) = one.next_if(|(before, _)| *before < name) {
                push_pair(&mut bytes, name, value);
            }
            push_pair(&mut bytes, name, value);
        }
        one.for_each(|(name, value)| push_pair(&mut bytes, name, value));
        debug_assert!(Labels::from_bytes(&bytes).is_some(), "BUG: pairs out of order");
        Labels(Arc::from(bytes))
    }

    /// Takes bytes in this type's own layout, or `None` if they are not: used on what was read from a file.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut before: Option<&str> = None;
        while !rest.is_empty() {
            let (name, value, tail) = split_pair(rest)?;
            if value.is_empty() || before.is_some_and(|b| b >= name) {
                return None;
            }
            before = Some(name);
            rest = tail;
        }
        Some(Labels(Arc::from(bytes)))
    }

    /// The bytes described at the head of this file.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The pairs in byte order of their names.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The value of `name`, or `None` where the set has no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().take_while(|(n, _)| *n <= name).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The metric's name, or `""`.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// Whether there is no label.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// A builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect() }
    }

    /// This set without the labels for which `drop` says so.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Labels {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = &self.0[..];
        while let Some((name, tail)) = split_name(rest) {
            if !drop(name) {
                bytes.extend_from_slice(&rest[..rest.len() - tail.len()]);
            }
            rest = tail;
        }
        Labels(Arc::from(bytes))
    }

    /// This set with only the labels for which `keep` says so.
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Labels {
        self.without(|name| !keep(name))
    }

    /// This set with `name` set to `value` (removed where `value` is empty).
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut bytes = Vec::with_capacity(self.0.len() + name.len() + value.len() + 4);
        let mut rest = &self.0[..];
        let mut placed = value.is_empty();
        while let Some((n, _, tail)) = split_pair(rest) {
            if !placed && n >= name {
                push_pair(&mut bytes, name, value);
                placed = true;
            }
            if n != name {
                bytes.extend_from_slice(&rest[..rest.len() - tail.len()]);
            }
            rest = tail;
        }
        if !placed {
            push_pair(&mut bytes, name, value);
        }
        Labels(Arc::from(bytes))
    }

    /// The 128-bit hash by which one series is known in memory and in every file. Part of the on-disk format.
    pub fn hash128(&self) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&self.0)
    }
}

/// The pairs of a set, in byte order of their names.
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, value, rest) = split_pair(self.0)?;
        self.0 = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Label sets sort as their lists of pairs do, as upstream sorts them.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        // The order of texts is that of their bytes, so they need not be looked at as texts.
        let (mut own, mut others) = (&self.0[..], &other.0[..]);
        while let (Some((text, rest)), Some((other, others_rest))) = (split_bytes(own), split_bytes(others)) {
            if text != other {
                return text.cmp(other);
            }
            (own, others) = (rest, others_rest);
        }
        own.len().cmp(&others.len()) // of one of them at least nothing is left
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Prints as PromQL does: `name{a="1", b="2"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric_name())?;
        let mut separator = '{';
        for (name, value) in self.iter().filter(|(n, _)| *n != METRIC_NAME) {
            write!(f, "{separator}{}{name}={value:?}", if separator == ',' { " " } else { "" })?;
            separator = ',';
        }
        match separator {
            '{' if self.metric_name().is_empty() => f.write_str("{}"),
            '{' => Ok(()),
            _ => f.write_str("}"),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Collects labels in any order.
#[derive(Default, Clone)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets `name`, replacing an earlier value; an empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => pair.1 = value.to_string(),
            None => self.pairs.push((name.to_string(), value.to_string())),
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// The sorted set.
    pub fn build(mut self) -> Labels {
        self.pairs.sort_unstable();
        let mut bytes = Vec::with_capacity(self.pairs.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (name, value) in self.pairs.iter().filter(|(_, v)| !v.is_empty()) {
            push_pair(&mut bytes, name, value);
        }
        Labels(Arc::from(bytes))
    }
}

fn push_pair(bytes: &mut Vec<u8>, name: &str, value: &str) {
    push_text(bytes, name);
    push_text(bytes, value);
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(text.as_bytes());
}

/// The first pair of `bytes` and what follows it; `None` at the end, or where the bytes are not in the layout.
#[inline]
fn split_pair(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    let (name, rest) = split_text(bytes)?;
    let (value, rest) = split_text(rest)?;
    Some((name, value, rest))
}

/// The name of the first pair of `bytes`, and what follows the pair.
fn split_name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (name, rest) = split_text(bytes)?;
    let (_, rest) = split_bytes(rest)?;
    Some((name, rest))
}

#[inline]
fn split_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (text, rest) = split_bytes(bytes)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// The bytes of the first text of `bytes`, and what follows it.
#[inline]
fn split_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift, mut at) = (0usize, 0u32, 0usize);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            break;
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
    bytes[at..].split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_setting_does_not_matter_and_empty_values_vanish() {
        let a = Labels::from_pairs([("b", "2"), ("a", "1"), ("gone", "")]);
        let b = Labels::from_pairs([("a", "0"), ("a", "1"), ("b", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.hash128(), b.hash128());
        assert_eq!(a.get("gone"), None);
        assert_eq!(a.get("b"), Some("2"));
    }

    #[test]
    fn with_and_without_keep_the_order() {
        let set = Labels::from_pairs([("b", "2"), ("d", "4")]);
        for (name, value, want) in [
            ("a", "1", r#"{a="1", b="2", d="4"}"#),
            ("c", "3", r#"{b="2", c="3", d="4"}"#),
            ("e", "5", r#"{b="2", d="4", e="5"}"#),
            ("b", "9", r#"{b="9", d="4"}"#),
            ("b", "", r#"{d="4"}"#),
            (METRIC_NAME, "m", r#"m{b="2", d="4"}"#),
        ] {
            let with = set.with(name, value);
            assert_eq!(with.to_string(), want);
            assert_eq!(Labels::from_bytes(with.as_bytes()), Some(with.clone()));
        }
        assert_eq!(set.without(|n| n == "b").to_string(), r#"{d="4"}"#);
        assert_eq!(set.only(|n| n == "b").to_string(), r#"{b="2"}"#);
    }

    #[test]
    fn long_values_survive_the_layout() {
        let long = "x".repeat(70_000);
        let set = Labels::from_pairs([("a", long.as_str()), ("b", "2")]);
        assert_eq!(set.get("a"), Some(long.as_str()));
        assert_eq!(set.get("b"), Some("2"));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [
            &[1][..],
            &[1, b'a'],
            &[1, b'a', 0],
            &[1, b'b', 1, b'1', 1, b'a', 1, b'1'],
            &[0xff; 9],
            &[1, 0xff, 1, b'a'],
        ] {
            assert_eq!(Labels::from_bytes(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn sets_sort_as_lists_of_pairs() {
        let mut sets = [
            Labels::from_pairs([("a", "2")]),
            Labels::from_pairs([("a", "10"), ("b", "1")]),
            Labels::from_pairs([("a", "10")]),
            Labels::empty(),
        ];
        sets.sort();
        assert_eq!(sets.map(|s| s.to_string()), ["{}", r#"{a="10"}"#, r#"{a="10", b="1"}"#, r#"{a="2"}"#]);
        // By the texts, not by their lengths, which come first in the bytes.
        let [short, long] = [("aa", "z"), ("ab", "yy")].map(|pair| Labels::from_pairs([pair]));
        let [small, large] = ["b", "\u{e9}"].map(|value| Labels::from_pairs([("a", value), ("z", "1")]));
        assert!(short < long && small < large && Labels::from_pairs([("a", "b")]) < small);
    }
}
