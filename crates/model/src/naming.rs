//! How a line's measurement, tags and fields become metric names and labels.

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

    /// A tag's name in the character set of labels.
    pub(super) fn clean_label<'a>(&self, tag: &'a str) -> Cow<'a, str> {
        self.clean(tag, false)
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
