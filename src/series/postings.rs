//! From matchers to the label sets that pass them: one algorithm over any index, in memory or in a chunk file.

use super::{METRIC_NAME, MatchOp, Matcher};
use roaring::RoaringBitmap;

/// Numbered label sets (without metric names), and which of them carry which label.
pub trait LabelIndex {
    /// Every number in use.
    fn all(&self) -> RoaringBitmap;
    /// Adds the sets in which `label` is `value`.
    fn add_value(&self, label: &str, value: &str, into: &mut RoaringBitmap);
    /// Adds the sets in which `label` has a value that passes. Costs a call for each distinct value.
    fn add_values(&self, label: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap);
}

/// The label sets that pass every matcher but those on the metric's name.
pub fn select_sets(index: &impl LabelIndex, matchers: &[Matcher]) -> RoaringBitmap {
    let mut passed: Option<RoaringBitmap> = None;
    let mut refused = RoaringBitmap::new();
    let (exact, scanning): (Vec<_>, Vec<_>) =
        matchers.iter().filter(|m| m.name() != METRIC_NAME).partition(|m| m.literals().is_some());
    // Look-ups first: where they leave nothing, no value is scanned.
    for matcher in exact.into_iter().chain(scanning) {
        if passed.as_ref().is_some_and(RoaringBitmap::is_empty) {
            break;
        }
        if matcher.matches_absent() {
            refuse(index, matcher, &mut refused);
        } else {
            let mut hit = RoaringBitmap::new();
            match matcher.literals() {
                Some(values) => values.iter().for_each(|value| index.add_value(matcher.name(), value, &mut hit)),
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
    if matcher.op() == MatchOp::NotEqual {
        index.add_value(matcher.name(), matcher.value(), refused);
    } else {
        index.add_values(matcher.name(), &|value| !matcher.matches(value), refused);
    }
}

/// Whether a metric of this name passes the matchers on names.
pub fn name_passes(matchers: &[Matcher], name: &str) -> bool {
    matchers.iter().filter(|m| m.name() == METRIC_NAME).all(|m| m.matches(name))
}

/// The only names that can pass, where the matchers say so: to be looked up instead of scanned.
pub fn name_literals(matchers: &[Matcher]) -> Option<&[String]> {
    matchers.iter().filter(|m| m.name() == METRIC_NAME).find_map(Matcher::literals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Labels;

    /// Label sets in a list: what the answers are checked against, and the smallest index there is.
    struct Listed(Vec<Labels>);

    impl LabelIndex for Listed {
        fn all(&self) -> RoaringBitmap {
            (0..self.0.len() as u32).collect()
        }
        fn add_value(&self, label: &str, value: &str, into: &mut RoaringBitmap) {
            self.add_values(label, &|v| v == value, into);
        }
        fn add_values(&self, label: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap) {
            into.extend(self.all().iter().filter(|at| self.0[*at as usize].get(label).is_some_and(pass)));
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
                for value in ["", "a", "eu", "a|b", "a.*", ".+", ".*", "eu|"] {
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
