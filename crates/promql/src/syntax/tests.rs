//! Texts and the trees, errors and formatted texts that come of them.

use super::tree::{Matching, Range};
use super::*;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sealine_base::clock;
use sealine_model::MatchOp;
use std::time::Duration;

/// A tree with a pair of brackets around every node that has parts, so that nothing is left to precedence.
fn tree(expr: &Expr) -> String {
    let list = |exprs: &[Expr]| exprs.iter().map(tree).collect::<Vec<_>>().join(", ");
    match &expr.kind {
        Kind::Number(number) => format!("{}{}", number.value, if number.duration { "s" } else { "" }),
        Kind::Text(bytes) => quote(bytes),
        Kind::Selector(selector) => format!("{}{}", selector_tree(selector), time_tree(&selector.time)),
        Kind::Range(range) => {
            let Range { selector, range } = &**range;
            format!("{}[{}]{}", selector_tree(selector), duration_tree(range), time_tree(&selector.time))
        }
        Kind::Subquery(subquery) => {
            let step = subquery.step.as_ref().map(duration_tree).unwrap_or_default();
            format!(
                "<{}>[{}:{step}]{}",
                tree(&subquery.expr),
                duration_tree(&subquery.range),
                time_tree(&subquery.time)
            )
        }
        Kind::Unary(sign, operand) => format!("({}{})", if *sign == Sign::Plus { '+' } else { '-' }, tree(operand)),
        Kind::Paren(inner) => format!("paren({})", tree(inner)),
        Kind::Binary(binary) => {
            let mut op = binary.op.text().to_string();
            op.push_str(if binary.bool { " bool" } else { "" });
            if let Some(Matching { on, labels }) = &binary.matching {
                op.push_str(&format!(" {} {labels:?}", if *on { "on" } else { "ignoring" }));
            }
            if let Some(group) = &binary.group {
                op.push_str(&format!(" group_{} {:?}", if group.left { "left" } else { "right" }, group.labels));
            }
            for (side, value) in [("left", binary.fill_left), ("right", binary.fill_right)] {
                op.push_str(&value.map(|value| format!(" fill_{side} {value}")).unwrap_or_default());
            }
            format!("({} {op} {})", tree(&binary.left), tree(&binary.right))
        }
        Kind::Aggregate(aggregate) => {
            let grouping = aggregate
                .grouping
                .as_ref()
                .map(|grouping| format!(" {} {:?}", if grouping.without { "without" } else { "by" }, grouping.labels));
            let parameter = aggregate.parameter.as_ref().map(|parameter| format!("{}, ", tree(parameter)));
            let (grouping, parameter) = (grouping.unwrap_or_default(), parameter.unwrap_or_default());
            format!("{}{grouping}({parameter}{})", aggregate.op.text(), tree(&aggregate.expr))
        }
        Kind::Call(call) => format!("{}({})", call.name, list(&call.arguments)),
    }
}

/// A lone number that stands for a duration is one, however it was written.
fn duration_tree(expr: &Expr) -> String {
    match expr.kind {
        Kind::Number(number) => format!("{}s", number.value),
        _ => tree(expr),
    }
}

fn selector_tree(selector: &Selector) -> String {
    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .map(|matcher| {
            let op = match matcher.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            };
            format!("{}{op}{:?}", matcher.name, matcher.value)
        })
        .collect();
    matchers.sort(); // their order says nothing, and the writer sorts them too
    match (&selector.name, matchers.is_empty()) {
        (Some(name), true) => name.clone(),
        (name, _) => format!("{}{{{}}}", name.as_deref().unwrap_or_default(), matchers.join(",")),
    }
}

fn time_tree(time: &TimeModifiers) -> String {
    let at = time.at.map(|(at, _)| match at {
        At::Time(seconds) => format!(" @ {seconds}"),
        At::Start => " @ start".to_string(),
        At::End => " @ end".to_string(),
    });
    let offset = time.offset.as_ref().map(|offset| format!(" offset {}", duration_tree(offset)));
    format!("{}{}", at.unwrap_or_default(), offset.unwrap_or_default())
}

#[test]
fn texts_become_trees() {
    for (text, want) in [
        // Literals.
        ("5", "5"),
        ("-5", "-5"),
        ("+-5", "-5"),
        ("5m", "300s"),
        ("-1h30m", "-5400s"),
        ("inF", "inf"),
        ("-Inf", "-inf"),
        ("NaN", "NaN"),
        ("'a\\n'", r#""a\n""#),
        ("`a\\n` # b", r#""a\\n""#),
        ("(\"\")", r#"paren("")"#),
        // Precedence and associativity.
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a * b / c % d atan2 e", "((((a * b) / c) % d) atan2 e)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-a ^ b", "(-(a ^ b))"),
        ("-1 ^ 2", "(-(1 ^ 2))"),
        ("2 ^ -1", "(2 ^ -1)"),
        ("-a * b", "((-a) * b)"),
        ("a ^ -b * c", "((a ^ (-b)) * c)"),
        ("a ^ -b ^ c * d", "((a ^ (-(b ^ c))) * d)"),
        ("--a", "(-(-a))"),
        ("1 - -1", "(1 - -1)"),
        ("a or b and c unless d or e", "((a or ((b and c) unless d)) or e)"),
        ("a == b + c > d", "((a == (b + c)) > d)"),
        ("a AND b Or c Atan2 d", "((a and b) or (c atan2 d))"),
        ("(a + b) * c", "(paren((a + b)) * c)"),
        // Selectors.
        ("a:b{}", "a:b"),
        ("{}", "{}"),
        ("a{b='c',d!=\"e\",f=~`g`,h!~'i',}", r#"a{b="c",d!="e",f=~"g",h!~"i"}"#),
        (r#"{"my.metric", "label.x"!~"v"}"#, r#"{__name__="my.metric",label.x!~"v"}"#),
        ("{by='1',sum='2',bool='3',inf='4'}", r#"{bool="3",by="1",inf="4",sum="2"}"#),
        ("sum", "sum"),
        ("sum{a='b'}", r#"sum{a="b"}"#),
        ("by + offset offset 5m", "(by + offset offset 300s)"),
        ("and and and", "(and and and)"),
        ("start + end @ end()", "(start + end @ end)"),
        ("Sum(group)", "sum(group)"),
        // Times.
        ("a[5m]", "a[300s]"),
        ("a[300] offset -1h", "a[300s] offset -3600s"),
        ("a @ 5 offset 1m", "a @ 5 offset 60s"),
        ("a offset 1m @ -5.5", "a @ -5.5 offset 60s"),
        ("a{b='c'}[5m] @ start()", r#"a{b="c"}[300s] @ start"#),
        ("a @ 1m40s", "a @ 100"),
        ("a offset 5m + b", "(a offset 300s + b)"),
        ("a offset 2 ^ 2", "(a offset 2s ^ 2)"),
        ("a offset -2 * b", "(a offset -2s * b)"),
        ("a offset (2 ^ 2)", "a offset paren((2 ^ 2))"),
        ("a offset -min_of(step(), 1s) ^ 0", "(a offset (-min_of(step(), 1s)) ^ 0)"),
        ("a[5m:]", "<a>[300s:]"),
        ("rate(a[1m])[1h:5m] offset 1d @ end()", "<rate(a[60s])>[3600s:300s] @ end offset 86400s"),
        ("a[-5m+35m:STEP()*2]", "<a>[(-300s + 2100s):(step() * 2)]"),
        ("-a[5m:1m]", "(-<a>[300s:60s])"),
        ("(a or b)[5m:1m]", "<paren((a or b))>[300s:60s]"),
        ("a[5m:][1h:]", "<<a>[300s:]>[3600s:]"),
        ("1[5m:]", "<1>[300s:]"),
        // Operators with modifiers.
        ("a > bool 1", "(a > bool 1)"),
        ("a == BOOL on (x) b", r#"(a == bool on ["x"] b)"#),
        ("a + on () b", "(a + on [] b)"),
        ("a + ignoring (x, y,) b", r#"(a + ignoring ["x", "y"] b)"#),
        ("a + on ('label.x', by) group_left b", r#"(a + on ["label.x", "by"] group_left [] b)"#),
        ("a + on (x) group_right (y) (b)", r#"(a + on ["x"] group_right ["y"] paren(b))"#),
        ("a + on (a:b, :) group_left (:c) b", r#"(a + on ["a:b", ":"] group_left [":c"] b)"#),
        ("a + ignoring (a:b) group_right (c:) b", r#"(a + ignoring ["a:b"] group_right ["c:"] b)"#),
        ("a + fill (0) b", "(a + fill_left 0 fill_right 0 b)"),
        ("a + on (x) group_left fill_right (-Inf) b", r#"(a + on ["x"] group_left [] fill_right -inf b)"#),
        ("a + fill_right (7) fill_left (5m) b", "(a + fill_left 300 fill_right 7 b)"),
        ("a + fill + fill_left", "((a + fill) + fill_left)"),
        // Calls and aggregations.
        ("time()", "time()"),
        ("STep() + RANGE()", "(step() + range())"),
        ("f(a, g(b), 'c', -1)", r#"f(a, g(b), "c", -1)"#),
        ("sum(a)", "sum(a)"),
        ("sum by (x) (a)", r#"sum by ["x"](a)"#),
        ("sum(a) by (x)", r#"sum by ["x"](a)"#),
        ("sum by (a:b, 'c.d') (a)", r#"sum by ["a:b", "c.d"](a)"#),
        ("sum(a) without (a:b)", r#"sum without ["a:b"](a)"#),
        ("avg without (x, 'label.y') (a) + b", r#"(avg without ["x", "label.y"](a) + b)"#),
        ("topk(3, a) by ()", "topk by [](3, a)"),
        ("count_values by (sum, On, and) ('v', a)", r#"count_values by ["sum", "On", "and"]("v", a)"#),
        ("sum(sum(a) by (x))[5m:]", r#"<sum(sum by ["x"](a))>[300s:]"#),
    ] {
        let query = parse(text).unwrap_or_else(|fault| panic!("{text}: {}", fault.in_text(text)));
        assert_eq!(tree(&query.root), want, "{text}");
        assert_eq!(&text[query.root.span.start..query.root.span.end], text.trim_end_matches(" # b"), "{text}");
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, want) in [
        ("", "1:1: parse error: no expression found in input"),
        (" # nothing\n", "1:1: parse error: no expression found in input"),
        ("a b", "1:3: parse error: unexpected identifier \"b\""),
        ("a\n  + * b", "2:5: parse error: unexpected \"*\", expected operand"),
        ("a +", "1:4: parse error: unexpected end of input, expected operand"),
        ("(a", "1:3: parse error: unexpected end of input in brackets, expected operator or \")\""),
        ("a)", "1:2: parse error: unexpected \")\""),
        ("a = b", "1:3: parse error: unexpected \"=\""),
        ("a + on b", "1:8: parse error: unexpected identifier \"b\" in grouping opts, expected \"(\""),
        ("a + on (x y) b", "1:11: parse error: unexpected identifier \"y\" in grouping opts, expected \",\" or \")\""),
        ("a + on (1) b", "1:9: parse error: unexpected number 1 in grouping opts, expected label"),
        (
            "a{b:c='d'}",
            "1:3: parse error: unexpected identifier \"b:c\" in label matching, expected identifier or \"}\"",
        ),
        ("a + on ('') b", "1:9: parse error: the name of a label is empty"),
        ("a + group_left (x) b", "1:5: parse error: unexpected identifier \"group_left\", expected operand"),
        ("a + fill (b) c", "1:11: parse error: unexpected identifier \"b\" in fill modifier, expected number"),
        ("on", "1:1: parse error: unexpected identifier \"on\", expected operand"),
        ("a{b}", "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator"),
        ("a{b=}", "1:5: parse error: unexpected \"}\" in label matching, expected string"),
        ("a{b==\"c\"}", "1:4: parse error: unexpected \"==\" in label matching, expected label matching operator"),
        ("a{b='c' d='e'}", "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or \"}\""),
        ("a{,}", "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\""),
        ("a{b='c'", "1:8: parse error: unexpected end of input in label matching, expected \",\" or \"}\""),
        ("a{__name__='b'}", "1:3: parse error: metric name must not be set twice: \"a\" or \"b\""),
        ("a{'b'}", "1:3: parse error: metric name must not be set twice: \"a\" or \"b\""),
        ("a{b=\"\\xff\"}", "1:5: parse error: the value of a label \"\\xff\" is not valid UTF-8"),
        ("a{b=\"\\.\"}", "1:6: parse error: unknown escape sequence \\. in a string: write \\\\ for a backslash"),
        ("'abc", "1:1: parse error: unterminated quoted string"),
        ("a ! b", "1:3: parse error: unexpected character: '!'"),
        ("1x + 2", "1:1: parse error: bad number or duration syntax: \"1x\""),
        ("1e309", "1:1: parse error: bad number or duration syntax: \"1e309\""),
        ("f(a,)", "1:4: parse error: trailing commas not allowed in function call args"),
        ("f(a b)", "1:5: parse error: unexpected identifier \"b\" in call, expected operator, \",\" or \")\""),
        ("sum", ""),
        ("sum by (x)", "1:11: parse error: unexpected end of input in aggregation, expected \"(\""),
        ("sum by (x) (a) by (y)", "1:16: parse error: unexpected identifier \"by\""),
        ("1 + sum()", "1:5: parse error: no arguments for aggregate expression provided"),
        (
            "sum(a, b)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2",
        ),
        ("topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("a[5m", "1:5: parse error: unexpected end of input in subquery or range selector, expected \":\" or \"]\""),
        ("a[]", "1:3: parse error: unexpected \"]\", expected operand"),
        ("a[5m:1m", "1:8: parse error: unexpected end of input in subquery selector, expected \"]\""),
        ("a[5m:1m:1m]", "1:8: parse error: unexpected \":\" in subquery selector, expected \"]\""),
        ("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors"),
        ("a[5m][5m]", "1:6: parse error: ranges only allowed for vector selectors"),
        ("a offset 1m [5m]", "1:13: parse error: no offset modifiers allowed before range"),
        ("a @ 1 [5m]", "1:7: parse error: no @ modifiers allowed before range"),
        (
            "a offset",
            "1:9: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        ("a offset 1m offset 2m", "1:13: parse error: offset may not be set multiple times"),
        ("a @ 1 @ 2", "1:7: parse error: @ <timestamp> may not be set multiple times"),
        ("a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp"),
        ("a @ start", "1:10: parse error: unexpected end of input in @, expected \"(\""),
        ("5 offset 1m", "1:3: parse error: offset modifier must be preceded by an instant vector selector or range"),
        ("sum(a) @ 5", "1:8: parse error: @ modifier must be preceded by an instant vector selector or range"),
        ("rate(a[1m] smoothed)", "1:12: parse error: the modifiers \"anchored\" and \"smoothed\" are not supported"),
    ] {
        match parse(text) {
            Ok(query) => assert!(want.is_empty(), "{text} becomes {}", tree(&query.root)),
            Err(fault) => {
                let got = fault.in_text(text);
                assert!(got.starts_with(want) && !want.is_empty(), "{text}\n got {got}\nwant {want}");
            }
        }
    }
}

#[test]
fn queries_are_formatted_as_prometheus_does() {
    let label = "a".repeat(60);
    for (text, want) in [
        ("a+b", "a + b".to_string()),
        ("sum(  up )by( job,x )", "sum by (job, x) (up)".into()),
        ("sum by () (up)", "sum(up)".into()),
        ("SUM without () (up)", "sum without () (up)".into()),
        ("a{z='1',b=~\"x\"}[300]offset 60@5", "a{b=~\"x\",z=\"1\"}[5m] @ 5.000 offset 1m".into()),
        ("a offset - 90m", "a offset -1h30m".into()),
        ("{'my.metric','label.x'='\"v\\''}", "{\"label.x\"=\"\\\"v'\",__name__=\"my.metric\"}".into()),
        ("{__name__='up'}", "{__name__=\"up\"}".into()),
        ("a==bool on(x)group_left(y)b", "a == bool on (x) group_left (y) b".into()),
        ("a*ignoring()b+on()c", "a * b + on () c".into()),
        ("a+fill(0)b+fill_left(1)c", "a + fill (0) b + fill_left (1) c".into()),
        ("-  1^2", "-1 ^ 2".into()),
        ("1e3+0x10+.5+1e-7+Inf-NAN", "1000 + 16 + 0.5 + 0.0000001 + Inf - NaN".into()),
        ("rate(a[1m])[3600:90s]@end()offset 1d", "rate(a[1m])[1h:1m30s] @ end() offset 1d".into()),
        ("a[5m:]", "a[5m:]".into()),
        ("a[step()+1:2*1m]", "a[step() + 1:2 * 1m]".into()),
        ("'a\\tb\\xff'", "\"a\\tb\\xff\"".into()),
        (
            &format!("sum by (job) (rate({label}{{job=\"x\"}}[5m])) / on (job) count(up{{job=\"y\"}} == 1)"),
            format!("  sum by (job) (rate({label}{{job=\"x\"}}[5m]))\n/ on (job)\n  count(up{{job=\"y\"}} == 1)"),
        ),
        (
            &format!("topk(3, rate({label}{{job=\"x\"}}[5m]) + rate(other_{label}{{job=\"x\"}}[5m]))"),
            format!(
                "topk(\n  3,\n    rate({label}{{job=\"x\"}}[5m])\n  +\n    rate(other_{label}{{job=\"x\"}}[5m])\n)"
            ),
        ),
        (
            &format!("-(max_over_time(sum({label} + {label})[5m:1m]))"),
            format!("-(\n  max_over_time(\n    sum(\n        {label}\n      +\n        {label}\n    )[5m:1m]\n  )\n)"),
        ),
        (
            &format!("avg by (x) (label_replace({label}, \"a\", \"b\", \"c\", \"{label}\"))"),
            format!(
                "avg by (x) (\n  label_replace(\n    {label},\n    \"a\",\n    \"b\",\n    \"c\",\n    \"{label}\"\n  )\n)"
            ),
        ),
        (&format!("{label}{{b='{label}'}}"), format!("{label}{{b=\"{label}\"}}")),
    ] {
        let query = parse(text).unwrap_or_else(|fault| panic!("{text}: {}", fault.in_text(text)));
        let got = pretty(&query.root);
        assert_eq!(got, want, "{text}");
        assert_eq!(pretty(&parse(&got).expect("what was written reads back").root), got, "{text}");
    }
}

#[test]
fn written_queries_read_back_as_the_same_tree() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..5000 {
        let depth = random.random_range(0..7);
        let text = random_query(&mut random, depth);
        let query = parse(&text).unwrap_or_else(|fault| panic!("{text}: {}, seed {seed}", fault.in_text(&text)));
        let written = pretty(&query.root);
        let again =
            parse(&written).unwrap_or_else(|fault| panic!("{written}: {}, seed {seed}", fault.in_text(&written)));
        assert_eq!(
            normal(&tree(&query.root)),
            normal(&tree(&again.root)),
            "{text}\nis written\n{written}\nseed {seed}"
        );
    }
}

/// What the writer leaves out because it is what happens anyway: `by ()`, `ignoring ()`.
fn normal(tree: &str) -> String {
    tree.replace(" by []", "").replace(" ignoring [] group", " group").replace(" ignoring []", "")
}

/// A query that parses, though its types may not fit.
fn random_query(random: &mut StdRng, depth: usize) -> String {
    fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
        from.choose(random).expect("there is something to choose from")
    }
    const DURATIONS: [&str; 6] = ["5m", "1h30m", "90s", "(2*step())", "min_of(1m, 3m)", "7w"];
    const LABELS: [&str; 4] = ["(a)", "(a, by)", "('x.y',)", "(b,sum,c)"];
    let selectors =
        ["up", "sum", "by", "a:b{}", "{a='b'}", "x{c=~\"d.*\",a!='\\n'}", "{'my.metric',\"l.m\"!~`\\d`}", "offset"];
    if depth == 0 {
        return match random.random_range(0..6) {
            0 => pick(random, &["5", "0x1F", "-1.5e-3", "Inf", "nan", "1h30m", "-7ms", "017", "1_000"]).to_string(),
            1 => pick(random, &["'a'", "\"\\u00e4\\xff\"", "`\\`", "''"]).to_string(),
            _ => pick(random, &selectors).to_string(),
        };
    }
    let inner = |random: &mut StdRng| {
        let depth = random.random_range(0..depth);
        random_query(random, depth)
    };
    match random.random_range(0..10) {
        0..=2 => {
            let ops = ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", ">=", "and", "or", "unless"];
            let op = pick(random, &ops);
            let modifiers = match random.random_range(0..5) {
                0 => format!("bool on {}", pick(random, &LABELS)),
                1 => format!("ignoring {} group_right {}", pick(random, &LABELS), pick(random, &LABELS)),
                2 => format!("on () group_left fill_left ({})", pick(random, &["1", "-Inf", "0.5"])),
                3 => "fill (3)".to_string(),
                _ => String::new(),
            };
            format!("{} {op} {modifiers} {}", inner(random), inner(random))
        }
        3 => format!("({})", inner(random)),
        4 => format!("{} {}", pick(random, &["-", "+", "- -"]), inner(random)),
        5 => format!("f({}, {})", inner(random), inner(random)),
        6 => {
            let grouping = pick(random, &["", "by (a)", "without (a, 'x.y')", "by ()", "without ()"]);
            format!("{}({}) {grouping}", pick(random, &["sum", "GROUP", "stddev"]), inner(random))
        }
        7 => format!("topk by {} ({}, {})", pick(random, &LABELS), inner(random), inner(random)),
        8 => {
            let times = ["", "offset 5m", "@ 5.25 offset -1h", "offset -(1+step()) @ start()", "@ -7"];
            let range = format!("[{}]", pick(random, &DURATIONS));
            format!("{}{} {}", pick(random, &selectors), pick(random, &["", &range]), pick(random, &times))
        }
        _ => {
            let step = pick(random, &["", "1m", "range()", "30s+30"]);
            format!("({})[{}:{step}] {}", inner(random), pick(random, &DURATIONS), pick(random, &["", "@ end()"]))
        }
    }
}

#[test]
fn garbage_is_refused_quickly() {
    let parts = [
        "(",
        ")",
        "-",
        "+",
        "a+",
        "a-",
        "a^",
        "{",
        "[",
        "a[",
        "a[5m:",
        "sum(",
        "sum by (a) (",
        "f(1,",
        "{a=\"b\",",
        "{a=",
        "\"",
        "'\\",
        "`",
        "\\",
        "#",
        "# \n",
        "\u{0}",
        "ä",
        "1",
        "1_",
        "0x",
        "9m",
        ".",
        "a offset ",
        "a @ ",
        "a and ",
        "fill(",
        "a+fill(0)",
        "a+on(",
        "a==bool",
        "offset 5m ",
        "[5m:1m]",
        "step()",
        "\"a\"",
        "\n",
        "!",
        "@",
    ];
    for part in parts {
        let text = part.repeat((1 << 20) / part.len());
        let started = clock::instant();
        let refused = parse(&text).is_err();
        let took = clock::instant() - started;
        // A long number or name is one all the same.
        assert!(refused || ["1", "9m", "0x"].contains(&part), "1 MiB of {part:?} is taken");
        assert!(took < Duration::from_secs(2), "1 MiB of {part:?} takes {took:?}");
        assert!(parse_selector(&text).is_err(), "1 MiB of {part:?} is a selector");
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let tokens = [
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        "=",
        "==",
        "!=",
        "=~",
        "!~",
        "<=",
        "+",
        "-",
        "^",
        "@",
        ":",
        "a",
        "a:b",
        "sum",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "bool",
        "offset",
        "fill",
        "fill_left",
        "start",
        "end",
        "step",
        "and",
        "or",
        "inf",
        "5",
        "5m",
        "0x1f",
        "'s'",
        "\"\\xff\"",
        "`",
        "#",
        "\n",
        " ",
        "é",
    ];
    for round in 0..20_000 {
        let length = random.random_range(0..24);
        let text = if round % 2 == 0 {
            let bytes: Vec<u8> = (0..length).map(|_| random.random_range(0..=255)).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            (0..length).map(|_| *tokens.choose(&mut random).expect("there are tokens")).collect()
        };
        let outcome = std::panic::catch_unwind(|| {
            if let Ok(query) = parse(&text) {
                let written = pretty(&query.root);
                let again = parse(&written).map(|query| tree(&query.root));
                assert_eq!(again.map(|again| normal(&again)), Ok(normal(&tree(&query.root))), "{written}");
            }
        });
        assert!(outcome.is_ok(), "{text:?} panics, seed {seed}");
    }
}

#[test]
fn long_queries_are_formatted_in_linear_time() {
    let matchers = format!("{{{}}}", "a=\"b\",".repeat(100_000));
    for (name, text) in [
        ("a long selector below many operators", format!("up{matchers}{}", " + 1".repeat(1000))),
        ("a long selector in many brackets", format!("{}up{matchers}{}", "(".repeat(100), ")".repeat(100))),
        ("a long string", format!("{}'{}'{}", "f(".repeat(100), "ä".repeat(500_000), ")".repeat(100))),
        ("many arguments", format!("f({}1)", "1,".repeat(300_000))),
    ] {
        let started = clock::instant();
        let query = parse(&text).unwrap_or_else(|fault| panic!("{name}: {}", fault.in_text("")));
        assert!(pretty(&query.root).len() >= text.len() / 2, "{name}");
        let took = clock::instant() - started;
        assert!(took < Duration::from_secs(5), "{name} takes {took:?}");
    }
}
