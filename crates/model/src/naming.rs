//! How a line's measurement, tags and fields become metric names and labels.

use super::{Labels, METRIC_NAME, Matcher};
use std::borrow::Cow;

/// The label that holds the name of the database.
pub const DATABASE_LABEL: &str = "db";

/// The label that holds the name of the retention policy, in databases that are one.
pub const POLICY_LABEL: &str = "rp";

/// What a database is called, and of one that is a retention policy the name of that: `story/hourly` is `hourly` of
/// `story`.
pub fn split_policy(database: &str) -> (&str, Option<&str>) {
    match database.split_once('/') {
        Some((name, policy)) if !name.is_empty() && !policy.is_empty() => (name, Some(policy)),
        _ => (database, None),
    }
}

/// The label that holds the text of a string field that is kept.
pub const INFO_LABEL: &str = "value";

/// The naming rules of one database; conf/sealine.toml explains each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// `{measurement}` and `{field}` stand for those two.
    pub template: String,
    /// A field of this name adds nothing: the metric is called as the measurement.
    pub elide_field: String,
    /// Whether names keep all of UTF-8 instead of the classic character set.
    pub utf8: bool,
    /// Whether series carry the label `db`, and those of a policy `rp`.
    pub db_label: bool,
    /// String fields that are kept as `<name>_info{value="…"} 1`: `measurement.field`, either of which may be `*`.
    pub info_fields: Vec<String>,
}

impl Default for Naming {
    fn default() -> Self {
        Naming {
            template: "{measurement}_{field}".into(),
            elide_field: "value".into(),
            utf8: false,
            db_label: true,
            info_fields: Vec::new(),
        }
    }
}

impl Naming {
    /// The metric name of a field of a measurement.
    pub fn metric(&self, measurement: &str, field: &str) -> String {
        let name = if field == self.elide_field {
            measurement.to_string()
        } else {
            self.template.replace("{measurement}", measurement).replace("{field}", field)
        };
        match self.clean(&name, true) {
            Cow::Borrowed(_) => name,
            Cow::Owned(cleaned) => cleaned,
        }
    }

    /// The metric name of a string field that is kept, or `None` for one that is dropped.
    pub fn info_metric(&self, measurement: &str, field: &str) -> Option<String> {
        let part = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        let kept = self.info_fields.iter().any(|rule| match rule.rsplit_once('.') {
            Some((m, f)) => part(m, measurement) && part(f, field),
            None => part(rule, field),
        });
        kept.then(|| format!("{}_info", self.metric(measurement, field)))
    }

    /// The labels of a tag set in `database`; a label of ours pushes a tag of the same name aside to
    /// `exported_<name>`, as scrapers do. Fails with the name where two tags end up as one label.
    pub fn labels<'a>(
        &self,
        database: &str,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
        info: Option<&str>,
    ) -> Result<Labels, String> {
        let label = |(tag, value)| (self.label(tag, database, info), value);
        let mut named: Vec<(Cow<'a, str>, &str)> = tags.map(label).collect();
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if let Some(twice) = named.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(twice[0].0.to_string());
        }
        let tags = named.iter().map(|(name, value)| (&**name, *value));
        Ok(Labels::from_pairs(tags.chain(self.own(database, info))))
    }

    /// The labels of ours, beside those that were tags.
    fn own<'a>(&self, database: &'a str, info: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (name, policy) = split_policy(database);
        let place = [Some((DATABASE_LABEL, name)), policy.map(|policy| (POLICY_LABEL, policy))];
        let place = place.map(|label| label.filter(|_| self.db_label));
        place.into_iter().flatten().chain(info.map(|text| (INFO_LABEL, text)))
    }

    /// Whether series of `database` may pass the matchers, as far as the labels of ours tell.
    pub fn may_pass(&self, database: &str, matchers: &[Matcher]) -> bool {
        let passes = |(label, value): (&str, &str)| matchers.iter().all(|m| m.name() != label || m.matches(value));
        self.own(database, None).all(passes)
    }

    /// What a tag is called as a label.
    fn label<'a>(&self, tag: &'a str, database: &str, info: Option<&str>) -> Cow<'a, str> {
        let name = self.clean(tag, false);
        let is_ours = self.own(database, info).any(|(own, _)| own == name);
        if name == METRIC_NAME || is_ours { Cow::Owned(format!("exported_{name}")) } else { name }
    }

    /// Of these tags, those that are called otherwise as labels: label and tag, in order of the labels.
    pub fn renamed<'a>(&self, database: &str, tags: impl Iterator<Item = &'a str>) -> Box<[(Box<str>, Box<str>)]> {
        let labels = tags.map(|tag| (self.label(tag, database, None), tag)).filter(|(label, tag)| label != tag);
        let mut renamed: Vec<(Box<str>, Box<str>)> = labels.map(|(label, tag)| (label.into(), tag.into())).collect();
        renamed.sort_unstable();
        renamed.into()
    }

    /// The name with every character outside the classic set replaced by `_`; colons stay in metric names only.
    fn clean<'a>(&self, name: &'a str, metric: bool) -> Cow<'a, str> {
        let fine = |at: usize, c: char| {
            c == '_' || c.is_ascii_alphabetic() || (c.is_ascii_digit() && at > 0) || (c == ':' && metric)
        };
        if self.utf8 || (!name.is_empty() && name.char_indices().all(|(at, c)| fine(at, c))) {
            return Cow::Borrowed(name);
        }
        let mut cleaned = String::with_capacity(name.len() + 1);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            cleaned.push('_');
        }
        cleaned.extend(name.chars().map(|c| if fine(1, c) { c } else { '_' }));
        Cow::Owned(cleaned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_template_and_the_character_set() {
        let classic = Naming::default();
        let utf8 = Naming { utf8: true, ..Naming::default() };
        let prefix = Naming { template: "influx:{field}".into(), elide_field: String::new(), ..Naming::default() };
        for (naming, measurement, field, want) in [
            (&classic, "cpu", "usage_user", "cpu_usage_user"),
            (&classic, "load", "value", "load"),
            (&classic, "kernel", "file-max", "kernel_file_max"),
            (&classic, "4g", "rx", "_4g_rx"),
            (&classic, "température", "é", "temp_rature__"),
            (&classic, "node:cpu", "x", "node:cpu_x"),
            (&utf8, "disk.io", "read-bytes", "disk.io_read-bytes"),
            (&prefix, "cpu", "value", "influx:value"),
        ] {
            assert_eq!(naming.metric(measurement, field), want);
        }
    }

    #[test]
    fn labels_of_ours_push_tags_aside_and_collisions_are_named() {
        let naming = Naming::default();
        let labels = |tags: &[(&'static str, &'static str)], info| {
            naming.labels("telegraf", tags.iter().copied(), info).map(|l| l.to_string())
        };
        for (tags, info, want) in [
            (&[("host", "a"), ("dc", "eu")][..], None, Ok(r#"{db="telegraf", dc="eu", host="a"}"#)),
            (&[("db", "x")], None, Ok(r#"{db="telegraf", exported_db="x"}"#)),
            (&[("value", "x")], Some("up"), Ok(r#"{db="telegraf", exported_value="x", value="up"}"#)),
            (&[("__name__", "x")], None, Ok(r#"{db="telegraf", exported___name__="x"}"#)),
            (&[("a-b", "1")], None, Ok(r#"{a_b="1", db="telegraf"}"#)),
            (&[("a:b", "1")], None, Ok(r#"{a_b="1", db="telegraf"}"#)),
            (&[("a-b", "1"), ("a.b", "1")], None, Err("a_b")),
        ] {
            assert_eq!(labels(tags, info), want.map(String::from).map_err(String::from));
        }
        let plain = Naming { db_label: false, ..Naming::default() };
        assert_eq!(plain.labels("t", [("db", "x")].into_iter(), None).unwrap().to_string(), r#"{db="x"}"#);
    }

    #[test]
    fn a_policy_has_a_label_of_its_own_and_the_default_one_has_none() {
        let plain = Naming { db_label: false, ..Naming::default() };
        for (naming, database, want) in [
            (Naming::default(), "t", r#"{db="t", rp="x"}"#),
            (Naming::default(), "t/week", r#"{db="t", exported_rp="x", rp="week"}"#),
            (Naming::default(), "t/a/b", r#"{db="t", exported_rp="x", rp="a/b"}"#),
            (Naming::default(), "/t", r#"{db="/t", rp="x"}"#),
            (Naming::default(), "t/", r#"{db="t/", rp="x"}"#),
            (plain, "t/week", r#"{rp="x"}"#),
        ] {
            let labels = naming.labels(database, [("rp", "x")].into_iter(), None).unwrap();
            assert_eq!(labels.to_string(), want, "{database}");
        }
        let renamed = |database| Naming::default().renamed(database, ["rp", "host"].into_iter());
        assert_eq!(renamed("t"), [].into());
        assert_eq!(renamed("t/week"), [("exported_rp".into(), "rp".into())].into());
    }

    #[test]
    fn matchers_of_our_labels_leave_out_whole_databases() {
        let plain = Naming { db_label: false, ..Naming::default() };
        for (naming, database, label, value, want) in [
            (Naming::default(), "t", "db", "t", true),
            (Naming::default(), "t/week", "db", "t", true),
            (Naming::default(), "t/week", "db", "t/week", false),
            (Naming::default(), "t/week", "rp", "week", true),
            (Naming::default(), "t/week", "rp", "", false),
            (Naming::default(), "t", "rp", "", true),
            (Naming::default(), "t", "rp", "week", true), // a tag may be called so
            (plain, "t/week", "db", "x", true),
        ] {
            assert_eq!(naming.may_pass(database, &[Matcher::equal(label, value)]), want, "{database} {label}={value}");
        }
    }

    #[test]
    fn string_fields_are_kept_by_rule() {
        let naming = Naming { info_fields: vec!["system.version".into(), "*.state".into()], ..Naming::default() };
        for (measurement, field, want) in [
            ("system", "version", Some("system_version_info")),
            ("disk", "state", Some("disk_state_info")),
            ("system", "name", None),
        ] {
            assert_eq!(naming.info_metric(measurement, field).as_deref(), want);
        }
    }
}
