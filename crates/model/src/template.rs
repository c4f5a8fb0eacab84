//! Templates such as `$1-${zone}`, filled in with the groups that a pattern has found. Read as Go's `Regexp.Expand`
//! reads them, for that is what upstream's users have written.

/// The template with each `$name` and `${name}` replaced by its group: nothing, where `group` knows none.
///
/// A name is letters, digits and underscores of any script, as many as there are; `$$` is a `$`, and so is one that no
/// name follows.
pub(super) fn fill_in<S: AsRef<str>>(template: &str, group: impl Fn(&str) -> Option<S>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        filled.push_str(before);
        rest = match name(after) {
            Some((name, behind)) => {
                if let Some(text) = group(name) {
                    filled.push_str(text.as_ref());
                }
                behind
            }
            None => {
                filled.push('$');
                after.strip_prefix('$').unwrap_or(after)
            }
        };
    }
    filled + rest
}

/// The name at the start of `text`, which stands behind a `$`, and what comes after it.
fn name(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{');
    let open = inner.unwrap_or(text);
    let length = open.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(open.len());
    let (name, behind) = open.split_at(length);
    let behind = if inner.is_some() { behind.strip_prefix('}')? } else { behind };
    (!name.is_empty()).then_some((name, behind))
}

/// The number that a name is, if it is one: no zero in front.
pub(super) fn number(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    plain.then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_go_finds_them() {
        for (template, want) in [
            ("plain", "plain"),
            ("$1-${2}x", "<1>-<2>x"),
            ("$1x", "<1x>"),
            ("$1_", "<1_>"),
            ("$äb", "<äb>"),
            ("$$1", "$1"),
            ("$", "$"),
            ("a$-b", "a$-b"),
            ("${", "${"),
            ("${}", "${}"),
            ("${1", "${1"),
            ("${a b}", "${a b}"),
            ("{$1}", "{<1>}"),
        ] {
            let shown = fill_in(template, |name| Some(format!("<{name}>")));
            assert_eq!(shown, want, "{template}");
        }
    }

    #[test]
    fn numbers_have_no_zero_in_front() {
        for (name, want) in
            [("0", Some(0)), ("12", Some(12)), ("01", None), ("1x", None), ("99999999999999999999", None)]
        {
            assert_eq!(number(name), want, "{name}");
        }
    }
}
