//! From matchers to the label sets that pass them: one algorithm over any index, in memory or in a chunk file.

use super::{METRIC_NAME, Matcher, Words};
use roaring::RoaringBitmap;

/// Numbered label sets (without metric names), and which of them carry which label.
pub trait LabelIndex {
    /// Every number in use.
    fn all(&self) -> RoaringBitmap;
    /// Adds the sets in which `label` is `value`.
    fn add_value(&self, label: &str, value: &str, into: &mut RoaringBitmap);
    /// How many distinct values `label` has.
    fn value_count(&self, label: &str) -> usize;
    /// Adds the sets in which `label` has a value that passes. Costs a call for each distinct value.
    fn add_values(&self, label: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap);
}

/// An index whose labels are tags, which may be called otherwise ([`super::LabelView`]).
pub trait TagIndex: LabelIndex {
    /// Shows the name of each tag.
    fn each_tag(&self, see: &mut dyn FnMut(&str));
}

/// The label sets that pass every matcher but those on the metric's name.
pub fn select_sets(index: &impl LabelIndex, matchers: &[Matcher]) -> RoaringBitmap {
    let mut passed: Option<RoaringBitmap> = None;
    let mut refused = RoaringBitmap::new();
    let (exact, scanning): (Vec<_>, Vec<_>) =
        matchers.iter().filter(|m| m.name() != METRIC_NAME).partition(|m| m.words().is_some());
    // Look-ups first: where they leave nothing, no value is scanned.
    for matcher in exact.into_iter().chain(scanning) {
        if passed.as_ref().is_some_and(RoaringBitmap::is_empty) {
            break;
        }
        if matcher.matches_absent() {
            refuse(index, matcher, &mut refused);
        } else {
            let mut hit = RoaringBitmap::new();
            match matcher.words() {
                Some(words) => add_words(index, matcher.name(), words, &mut hit),
                None => index.add_values(matcher.name(), &|value| matcher.matches(value), &mut hit),
            }
            passed = Some(match passed {
                Some(before) => before & hit,
                None => hit,
            });
        }
    }
    passed.unwrap_or_else(|| index.all()) - refused
}

/// Adds the sets that carry the label with a value that does not pass: a matcher that also takes series without the
/// label can only refuse.
fn refuse(index: &impl LabelIndex, matcher: &Matcher, refused: &mut RoaringBitmap) {
    match matcher.refused_words() {
        Some(words) => add_words(index, matcher.name(), words, refused),
        None => index.add_values(matcher.name(), &|value| !matcher.matches(value), refused),
    }
}

/// Adds the sets in which `label` is one of the words: looks each word up, or each value where those are fewer.
fn add_words(index: &impl LabelIndex, label: &str, words: &Words, into: &mut RoaringBitmap) {
    if words.len() <= index.value_count(label) {
        words.iter().for_each(|word| index.add_value(label, word, into));
    } else {
        index.add_values(label, &|value| words.contains(value), into);
    }
}

/// Whether a metric of this name passes the matchers on names.
pub fn name_passes(matchers: &[Matcher], name: &str) -> bool {
    matchers.iter().filter(|m| m.name() == METRIC_NAME).all(|m| m.matches(name))
}

/// The only names that can pass, where the matchers say so: to be looked up instead of scanned.
pub fn name_words(matchers: &[Matcher]) -> Option<&Words> {
    matchers.iter().filter(|m| m.name() == METRIC_NAME).find_map(Matcher::words)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{Labels, MatchOp};

    /// Label sets in a list: what the answers are checked against, and the smallest index there is.
    pub(crate) struct Listed(pub Vec<Labels>);

    impl LabelIndex for Listed {
        fn all(&self) -> RoaringBitmap {
            (0..self.0.len() as u32).collect()
        }
        fn add_value(&self, label: &str, value: &str, into: &mut RoaringBitmap) {
            self.add_values(label, &|v| v == value, into);
        }
        fn value_count(&self, label: &str) -> usize {
            self.0.iter().filter_map(|set| set.get(label)).collect::<std::collections::BTreeSet<_>>().len()
        }
        fn add_values(&self, label: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap) {
            into.extend(self.all().iter().filter(|at| self.0[*at as usize].get(label).is_some_and(pass)));
        }
    }

    impl TagIndex for Listed {
        fn each_tag(&self, see: &mut dyn FnMut(&str)) {
            let names: std::collections::BTreeSet<&str> =
                self.0.iter().flat_map(|set| set.iter().map(|(name, _)| name)).collect();
            names.into_iter().for_each(see);
        }
    }

    #[test]
    fn selects_what_checking_every_set_selects() {
        let mut sets = Vec::new();
        for host in ["", "a", "b", "ab"] {
            for dc in ["", "eu", "us"] {
                sets.push(Labels::from_pairs([("host", host), ("dc", dc)]));
            }
        }
        let index = Listed(sets);
        let mut matchers = Vec::new();
        for label in ["host", "dc", "none"] {
            for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
                for value in ["", "a", "eu", "a|b", "a.*", ".+", ".*", "eu|", "a|b|c|d|e|f", "[ab]{2}", "(?i)EU"] {
                    matchers.push(Matcher::new(label, op, value).unwrap());
                }
            }
        }
        for a in &matchers {
            for b in &matchers {
                let got: Vec<u32> = select_sets(&index, &[a.clone(), b.clone()]).iter().collect();
                let pass = |set: &Labels, m: &Matcher| m.matches(set.get(m.name()).unwrap_or(""));
                let want: Vec<u32> =
                    index.all().iter().filter(|at| [a, b].iter().all(|m| pass(&index.0[*at as usize], m))).collect();
                assert_eq!(got, want, "{{{a},{b}}}");
            }
        }
    }
}
