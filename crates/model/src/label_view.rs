//! How PromQL sees the tag sets of a database: computed when it is asked, so that other rules hold for what is stored.

use super::postings::{LabelIndex, TagIndex, select_sets};
use super::{DATABASE_LABEL, Labels, METRIC_NAME, Matcher, Naming, POLICY_LABEL, split_policy};
use roaring::RoaringBitmap;
use std::borrow::Cow;
use std::sync::Arc;

/// The labels of a database: those that its tags become, and its own, which name it.
#[derive(Debug)]
pub struct LabelView {
    naming: Arc<Naming>,
    /// In order of their names, which are those that a tag must not take.
    own: Vec<(&'static str, Box<str>)>,
    /// Tells label sets of two databases apart; 0 where there are no labels of its own.
    own_hash: u128,
}

impl LabelView {
    /// The view of `database` under these rules.
    pub fn new(naming: Arc<Naming>, database: &str) -> Self {
        let own: Vec<(&str, Box<str>)> = match naming.db_label {
            true => own_labels(database).map(|(label, value)| (label, value.into())).collect(),
            false => Vec::new(),
        };
        let own_hash = hash_own(&Labels::from_pairs(own.iter().map(|(label, value)| (*label, &**value))));
        LabelView { naming, own, own_hash }
    }

    /// The rules.
    pub fn naming(&self) -> &Arc<Naming> {
        &self.naming
    }

    /// The labels that name the database.
    pub fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own.iter().map(|(label, value)| (*label, &**value))
    }

    /// The value of a label that names the database.
    pub fn own_value(&self, label: &str) -> Option<&str> {
        self.own().find(|(own, _)| *own == label).map(|(_, value)| value)
    }

    /// Whether series of the database may pass the matchers, as far as its own labels tell.
    pub fn may_pass(&self, matchers: &[Matcher]) -> bool {
        self.own().all(|(label, value)| matchers.iter().all(|m| m.name() != label || m.matches(value)))
    }

    /// What a tag is called as a label: one that has the name of a label of ours is pushed aside to `exported_<name>`, as
    /// scrapers do.
    pub fn label<'a>(&self, tag: &'a str) -> Cow<'a, str> {
        let name = self.naming.clean_label(tag);
        if *name == *METRIC_NAME || self.own_value(&name).is_some() {
            return Cow::Owned(format!("exported_{name}"));
        }
        name
    }

    /// Whether a tag is called otherwise as a label.
    pub fn renames(&self, tag: &str) -> bool {
        *self.label(tag) != *tag
    }

    /// The labels of a tag set. Of two tags that become one label the last one stands.
    pub fn labels<'a>(&self, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        self.series("", tags)
    }

    /// The labels of a series: those of its tags, and its metric's name.
    pub fn series<'a>(&self, metric: &str, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let named: Vec<(Cow<'_, str>, &str)> = tags.into_iter().map(|(tag, value)| (self.label(tag), value)).collect();
        let pairs = || named.iter().map(|(label, value)| (&**label, *value));
        let ours = [(METRIC_NAME, metric)].into_iter().filter(|(_, name)| !name.is_empty()).chain(self.own());
        // Mostly; but other names may have another order, and a file may hold anything.
        let in_order =
            pairs().is_sorted_by(|one, other| one.0 < other.0) && pairs().all(|(_, value)| !value.is_empty());
        if in_order { Labels::from_sorted(ours, pairs()) } else { Labels::from_pairs(ours.chain(pairs())) }
    }

    /// A label that two of these tags become.
    pub fn shared_label<'a>(&self, tags: impl Iterator<Item = &'a str>) -> Option<String> {
        let mut labels: Vec<Cow<'a, str>> = tags.map(|tag| self.label(tag)).collect();
        labels.sort_unstable();
        labels.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_string())
    }

    /// The tags of a series that came by its labels: all but its name and the labels of ours.
    pub fn tags(&self, labels: &Labels) -> Labels {
        let is_own = |label: &str| self.own_value(label).is_some_and(|own| labels.get(label) == Some(own));
        labels.without(|label| label == METRIC_NAME || is_own(label))
    }

    /// What tells a label set from all others. `plain` is the hash of its tags ([`Labels::hash128`]) where the index has none
    /// that is called otherwise ([`Self::is_plain`]).
    pub fn key<'a>(&self, plain: Option<u128>, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> LabelsKey {
        let computed = || {
            let tags = Labels::from_pairs(tags);
            let is_renamed = tags.iter().any(|(tag, _)| self.renames(tag));
            let spelling = if is_renamed { tags.hash128() as u64 | 1 } else { 0 };
            let labels = self.labels(&tags);
            let (own, others) = (labels.only(names_database), labels.without(names_database));
            LabelsKey { labels: others.hash128() ^ hash_own(&own), spelling }
        };
        plain.map_or_else(computed, |hash| LabelsKey { labels: hash ^ self.own_hash, spelling: 0 })
    }

    /// The tag sets of an index whose labels pass every matcher but those on the metric's name.
    pub fn select(&self, index: &impl TagIndex, matchers: &[Matcher]) -> RoaringBitmap {
        select_sets(&Viewed { view: self, index }, matchers)
    }

    /// Whether all tags of an index are labels of the same name, and none can be taken for a label that names a database.
    pub fn is_plain(&self, index: &impl TagIndex) -> bool {
        let mut is_plain = true;
        index.each_tag(&mut |tag| is_plain &= !names_database(tag) && !self.renames(tag));
        is_plain
    }
}

/// What tells a label set from all others of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelsKey {
    /// A hash of the labels.
    pub labels: u128,
    /// Tells tag sets apart that have these labels: 0 where no tag is called otherwise as a label. Sets that differ in it
    /// count in its order, so that what was kept by its labels comes before what is kept by its tags.
    pub spelling: u64,
}

/// Whether a label may name a database.
fn names_database(label: &str) -> bool {
    label == DATABASE_LABEL || label == POLICY_LABEL
}

fn hash_own(labels: &Labels) -> u128 {
    if labels.is_empty() { 0 } else { labels.hash128() }
}

/// The view of a database whose series do not name it.
impl Default for LabelView {
    fn default() -> Self {
        LabelView::new(Arc::new(Naming { db_label: false, ..Naming::default() }), "")
    }
}

/// The labels that name a database, where series carry any.
pub fn own_labels(database: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let (name, policy) = split_policy(database);
    std::iter::once((DATABASE_LABEL, name)).chain(policy.map(|policy| (POLICY_LABEL, policy)))
}

/// An index of tags, looked up by labels.
struct Viewed<'a, I> {
    view: &'a LabelView,
    index: &'a I,
}

impl<I: TagIndex> Viewed<'_, I> {
    /// Goes through the tags that become this label.
    fn each_tag_of(&self, label: &str, mut see: impl FnMut(&str)) {
        self.index.each_tag(&mut |tag| {
            if *self.view.label(tag) == *label {
                see(tag);
            }
        });
    }
}

impl<I: TagIndex> LabelIndex for Viewed<'_, I> {
    fn all(&self) -> RoaringBitmap {
        self.index.all()
    }

    fn add_value(&self, label: &str, value: &str, into: &mut RoaringBitmap) {
        match self.view.own_value(label) {
            Some(own) if own == value => *into |= self.all(),
            Some(_) => {}
            None => self.each_tag_of(label, |tag| self.index.add_value(tag, value, into)),
        }
    }

    fn value_count(&self, label: &str) -> usize {
        if self.view.own_value(label).is_some() {
            return 1;
        }
        let mut count = 0;
        self.each_tag_of(label, |tag| count += self.index.value_count(tag));
        count
    }

    fn add_values(&self, label: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap) {
        match self.view.own_value(label) {
            Some(own) if pass(own) => *into |= self.all(),
            Some(_) => {}
            None => self.each_tag_of(label, |tag| self.index.add_values(tag, pass, into)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MatchOp;
    use crate::postings::tests::Listed;

    fn view(naming: &Naming, database: &str) -> LabelView {
        LabelView::new(Arc::new(naming.clone()), database)
    }

    #[test]
    fn labels_of_ours_push_tags_aside() {
        let naming = Naming::default();
        let plain = Naming { db_label: false, ..Naming::default() };
        for (naming, database, tags, want) in [
            (&naming, "t", &[("host", "a"), ("dc", "eu")][..], r#"{db="t", dc="eu", host="a"}"#),
            (&naming, "t", &[("db", "x")], r#"{db="t", exported_db="x"}"#),
            (&naming, "t", &[("__name__", "x")], r#"{db="t", exported___name__="x"}"#),
            (&naming, "t", &[("a-b", "1")], r#"{a_b="1", db="t"}"#),
            (&naming, "t", &[("a:b", "1")], r#"{a_b="1", db="t"}"#),
            (&naming, "t", &[("rp", "x")], r#"{db="t", rp="x"}"#),
            (&naming, "t/week", &[("rp", "x")], r#"{db="t", exported_rp="x", rp="week"}"#),
            (&naming, "t/a/b", &[], r#"{db="t", rp="a/b"}"#),
            (&naming, "/t", &[], r#"{db="/t"}"#),
            (&naming, "t/", &[], r#"{db="t/"}"#),
            (&plain, "t/week", &[("db", "x"), ("rp", "x")], r#"{db="x", rp="x"}"#),
        ] {
            let view = view(naming, database);
            assert_eq!(view.labels(tags.iter().copied()).to_string(), want, "{database} {tags:?}");
            assert_eq!(view.series("m", tags.iter().copied()).to_string(), format!("m{want}"));
        }
        let view = view(&naming, "t");
        assert_eq!(view.shared_label(["a-b", "a", "a.b"].into_iter()), Some("a_b".into()));
        assert_eq!(view.shared_label(["a-b", "a"].into_iter()), None);
        let came = Labels::from_pairs([(METRIC_NAME, "m"), ("db", "t"), ("host", "a")]);
        assert_eq!(view.tags(&came).to_string(), r#"{host="a"}"#);
        assert_eq!(view.tags(&came.with("db", "other")).to_string(), r#"{db="other", host="a"}"#);
    }

    #[test]
    fn matchers_of_our_labels_leave_out_whole_databases() {
        let naming = Naming::default();
        let plain = Naming { db_label: false, ..Naming::default() };
        for (naming, database, label, value, want) in [
            (&naming, "t", "db", "t", true),
            (&naming, "t/week", "db", "t", true),
            (&naming, "t/week", "db", "t/week", false),
            (&naming, "t/week", "rp", "week", true),
            (&naming, "t/week", "rp", "", false),
            (&naming, "t", "rp", "", true),
            (&naming, "t", "rp", "week", true), // a tag may be called so
            (&plain, "t/week", "db", "x", true),
        ] {
            let passes = view(naming, database).may_pass(&[Matcher::equal(label, value)]);
            assert_eq!(passes, want, "{database} {label}={value}");
        }
    }

    #[test]
    fn one_label_set_has_one_key_however_its_tags_are_spelled() {
        let naming = Naming::default();
        let (one, other) = (view(&naming, "t"), view(&naming, "u"));
        let key = |view: &LabelView, tag: &str| {
            let tags = Labels::from_pairs([(tag, "1"), ("host", "a")]);
            view.key((view.is_plain(&Listed(vec![tags.clone()]))).then(|| tags.hash128()), &tags)
        };
        assert_eq!(key(&one, "a_b").labels, key(&one, "a-b").labels);
        assert!(key(&one, "a_b").spelling < key(&one, "a-b").spelling);
        assert_ne!(key(&one, "a.b").spelling, key(&one, "a-b").spelling);
        assert_ne!(key(&one, "a_b").labels, key(&other, "a_b").labels);
        assert_ne!(key(&one, "a_b").labels, key(&one, "ab").labels);
        // A tag of one database may be what names another.
        let policy = view(&naming, "t/1");
        let host = Labels::from_pairs([("host", "a")]);
        assert_eq!(key(&one, "rp").labels, policy.key(Some(host.hash128()), &host).labels);
        let plain = view(&Naming { db_label: false, ..Naming::default() }, "v");
        assert_eq!(key(&plain, "db").labels, view(&naming, "1").key(Some(host.hash128()), &host).labels);
    }

    #[test]
    fn selects_what_checking_the_labels_of_every_set_selects() {
        let mut sets = Vec::new();
        for tag in ["a-b", "a.b", "a_b", "db", "other"] {
            for value in ["", "t", "u"] {
                sets.push(Labels::from_pairs([(tag, value), ("host", "h")]));
            }
        }
        let index = Listed(sets);
        for database in ["t", "t/week"] {
            let view = view(&Naming::default(), database);
            for label in ["a_b", "a-b", "db", "rp", "exported_db", "host", "other", "none"] {
                for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
                    for value in ["", "t", "u", "t|week", ".+", ".*", "[tu]"] {
                        let matcher = Matcher::new(label, op, value).unwrap();
                        let got = view.select(&index, std::slice::from_ref(&matcher));
                        let passes = |at: &u32| {
                            let labels = view.labels(&index.0[*at as usize]);
                            matcher.matches(labels.get(label).unwrap_or(""))
                        };
                        assert_eq!(got, index.all().iter().filter(passes).collect(), "{database} {matcher}");
                    }
                }
            }
        }
    }
}
