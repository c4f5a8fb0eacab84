//! Patterns against what Go's `regexp` answers, and what only we refuse.

use super::*;
use serde_json::Value;

/// What Go 1.26 answers, line by line: `["pattern", "error"]`, or `["pattern", [["text", ["$0", "$1", …]], …]]` with null
/// for a group, or a text, that does not match. `integration/side_by_side/pattern_table.py` makes it.
const CASES: &str = include_str!("cases.jsonl");

fn pattern(text: &str) -> Result<Pattern, PatternError> {
    Pattern::new(text, REGEX_STEPS_MAX)
}

type Test = Box<dyn Fn(&str) -> bool>;

fn filter(text: &str) -> Result<Test, PatternError> {
    Ok(match Filtering::new(text, REGEX_STEPS_MAX)?.0 {
        Filtering::Words(words) => Box::new(move |text: &str| words.contains(text)),
        Filtering::Filter(filter) => Box::new(move |text: &str| filter.matches(text)),
    })
}

/// What is wrong with our answers to a line of the table.
fn differences(line: &str) -> Vec<String> {
    let case: Value = serde_json::from_str(line).expect("a line of JSON");
    let text = case[0].as_str().expect("a pattern");
    let (pattern, filter) = match (pattern(text), filter(text), case[1].as_str()) {
        (Ok(pattern), Ok(filter), None) => (pattern, filter),
        (Err(a), Err(b), Some(want)) => {
            let told = |error: &PatternError| error.to_string().starts_with(want);
            return if told(&a) && told(&b) { vec![] } else { vec![format!("{text:?}: got {a} and {b}, want {want}")] };
        }
        (a, b, want) => {
            let (a, b) = (a.map(|_| "fine"), b.map(|_| "fine"));
            return vec![format!("{text:?}: got {a:?} and {b:?}, want {}", want.unwrap_or("none"))];
        }
    };
    let mut differences = Vec::new();
    for answer in case[1].as_array().expect("answers") {
        let (value, want) = (answer[0].as_str().expect("a text"), answer[1].as_array());
        if filter(value) != want.is_some() {
            differences.push(format!("{text:?} on {value:?}: got {}, want {want:?}", want.is_none()));
        }
        let groups: Vec<String> = (0..want.map_or(0, Vec::len)).map(|at| format!("${{{at}}}")).collect();
        let got = pattern.expand(value, &groups.join("\u{1}"));
        let want: Option<Vec<&str>> = want.map(|groups| groups.iter().map(|g| g.as_str().unwrap_or("")).collect());
        let want = want.map(|groups| groups.join("\u{1}"));
        if got != want {
            differences.push(format!("{text:?} on {value:?}: the groups are {got:?}, want {want:?}"));
        }
    }
    differences
}

/// `SEALINE_PATTERN_CASES` names another table, such as a larger one.
#[test]
fn patterns_mean_what_they_mean_in_go() {
    let other = std::env::var_os("SEALINE_PATTERN_CASES");
    let other = other.map(|path| std::fs::read_to_string(path).expect("a table"));
    let differences: Vec<String> = other.as_deref().unwrap_or(CASES).lines().flat_map(differences).collect();
    let shown = differences[..differences.len().min(40)].join("\n");
    assert!(differences.is_empty(), "{} differences, such as\n{shown}", differences.len());
}

#[test]
fn lists_of_words_are_sets_whatever_stands_around_them() {
    for (text, want) in [
        ("a|b", Some("a b")),
        (r"ip\.eu\:9100|web\-1", Some("ip.eu:9100 web-1")),
        ("^(?:b|a)$", Some("a b")),
        ("(^a$)|^b$", Some("a b")),
        ("web-(1|2)(?:|x)", Some("web-1 web-1x web-2 web-2x")),
        ("web[1-3]", Some("web1 web2 web3")),
        ("(a|b)-(c|d)", Some("a-c a-d b-c b-d")),
        ("a{3}|[b]{2}", Some("aaa bb")),
        ("(?i)1|2", Some("1 2")),
        (r"\Qa.b\E|c", Some("a.b c")),
        ("", Some("")),
        ("(?i)a", None),
        ("a.*|b", None),
        ("[0-9]{6}", None),
        ("a^b", None),
        ("(?m)^a$", None),
    ] {
        let filtering = Filtering::new(text, REGEX_STEPS_MAX).unwrap().0;
        let words = match &filtering {
            Filtering::Words(words) => Some(words.iter().collect::<Vec<_>>().join(" ")),
            Filtering::Filter(_) => None,
        };
        assert_eq!(words.as_deref(), want, "{text}");
    }
}

#[test]
fn sets_cost_next_to_nothing_and_match_what_an_automaton_matches() {
    let names: Vec<String> = (0..20_000).map(|n| format!("ip-10-0-{}-{}.eu.example.net", n / 250, n % 250)).collect();
    let all = names.join("|").replace('.', r"\.");
    let values = ["ip-10-0-7-9.eu.example.net", "IP-10-0-7-9.EU.example.net", "ip-10-0-7-9.eu.example.netx", "x", ""];
    let around = |before: &str, after: &str| values.map(|value| format!("{before}{value}{after}"));
    for (text, small) in [
        (all.clone(), "ip-10-0-7-9\\.eu\\.example\\.net"),
        (format!("(?i){all}"), "(?i)ip-10-0-7-9\\.eu\\.example\\.net"),
        (format!("({all}):9100"), "(ip-10-0-7-9\\.eu\\.example\\.net):9100"),
        (format!("a ({all}).*"), "a (ip-10-0-7-9\\.eu\\.example\\.net).*"),
        (format!(".*({all})"), ".*(ip-10-0-7-9\\.eu\\.example\\.net)"),
        (format!(".*(?i:{all}).*"), ".*(?i:ip-10-0-7-9\\.eu\\.example\\.net).*"),
        (format!("(?:{all})(?::9100)?"), "(?:ip-10-0-7-9\\.eu\\.example\\.net)(?::9100)?"),
        (format!("({all}):[0-9]+"), "(ip-10-0-7-9\\.eu\\.example\\.net):[0-9]+"),
        (format!("^({all})(:[0-9]+)?$"), "(ip-10-0-7-9\\.eu\\.example\\.net)(:[0-9]+)?"),
        (format!("{all}|x+"), "ip-10-0-7-9\\.eu\\.example\\.net|x+"),
    ] {
        let (_, steps) = Filtering::new(&text, REGEX_STEPS_MAX).unwrap_or_else(|error| panic!("{small}: {error}"));
        assert!(steps < REGEX_STEPS_MAX, "{small}: {steps}");
        let (large, small_filter) = (filter(&text).unwrap(), pattern(small).unwrap());
        for value in
            around("", "").into_iter().chain(around("a ", "")).chain(around("", ":9100")).chain(around("", "\n"))
        {
            assert_eq!(large(&value), small_filter.expand(&value, "").is_some(), "{small} on {value:?}");
        }
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused_before_it_takes_much() {
    let many = |part: &str| part.repeat((1 << 20) / part.len());
    for text in [
        many("(?:a|b)?"),
        many(r"\pL"),
        many(r"(?i)\p{Any}"),
        many("(?i)[é-\u{10000}]"),
        many("a?"),
        many(".{1000}"),
        many("[a-z]"),
        "((a{10}){10}){10}".repeat(1000),
        r"\pL{900}".to_string(),
    ] {
        let shown: String = text.chars().take(20).collect();
        for error in
            [pattern(&text).map(drop).unwrap_err(), Filtering::new(&text, REGEX_STEPS_MAX).map(drop).unwrap_err()]
        {
            let error = error.to_string();
            assert!(error.contains("200000 steps") && error.contains("query.max_regex_steps"), "{shown}: {error}");
        }
    }
    let nested = |open: &str, depth: usize| format!("{}a{}", open.repeat(depth), ")".repeat(depth));
    for open in ["(", "(?:", "(?i:", "(?P<n>", "(b|"] {
        for depth in [40, 60, 1000] {
            assert!(
                pattern(&nested(open, depth)).is_ok() && filter(&nested(open, depth)).unwrap()("a"),
                "{open} {depth}"
            );
        }
        let error = pattern(&nested(open, 1001)).unwrap_err().to_string();
        assert_eq!(error, "its groups nest deeper than the 1000 levels that are allowed");
    }
    assert!(pattern(&format!("{}a{}", "(?:".repeat(1000), ")*".repeat(1000))).is_ok());
}

#[test]
fn errors_tell_what_and_where_and_quote_the_beginning() {
    for (text, want) in [
        ("a(", "missing closing ): `(` at byte 1"),
        ("a)|(b", "unexpected ): `)` at byte 1"),
        ("ä**", "invalid nested repetition operator: `**` at byte 2"),
        ("*", "missing argument to repetition operator: `*` at byte 0"),
        (r"a\ä", r"invalid escape sequence: `\ä` at byte 1"),
        ("[a", "missing closing ]: `[a` at byte 0"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x` at byte 0"),
        (r"\p{Grek}", r"invalid character class range: `\p{Grek}` at byte 0"),
    ] {
        assert_eq!(pattern(text).map(drop).unwrap_err().to_string(), want);
    }
    let error = pattern(&format!("({}", "a|".repeat(100_000))).map(drop).unwrap_err().to_string();
    assert!(error.len() < 200 && error.starts_with("missing closing )") && error.contains('…'), "{error}");
}

#[test]
fn names_of_groups_are_found_and_may_come_twice() {
    for (text, value, template, want) in [
        ("(.*)-(.*)", "a-b", "$2+${1}x", Some("b+ax")),
        ("(?P<first>.)(?<second>.)", "xy", "$second$first", Some("yx")),
        ("(?:(?P<n>a)|(?P<n>b))(?P<n>c)", "bc", "$n", Some("b")),
        ("(.*)", "a", "$2|$", Some("|$")),
        ("(a)(b)?", "a", "$01|$2|$3|$0", Some("|||a")),
        ("(.*)", "a", "$$1", Some("$1")),
        ("a", "b", "x", None),
    ] {
        assert_eq!(pattern(text).unwrap().expand(value, template).as_deref(), want, "{text} {template}");
    }
}
