//! What holds for any input: points survive being written and read, garbage costs only itself, and a body means the
//! same in whatever pieces it arrives. proptest prints the input that breaks a rule, cut down to its core.

use super::scan::line_end;
use super::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

/// Small, so that random input meets the bounds.
const TIGHT: Limits = Limits { line_bytes_max: 40, fields_max: 3, key_bytes_max: 20, ..WIDE };
/// The defaults.
const WIDE: Limits = Limits {
    line_bytes_max: 256 << 10,
    key_bytes_max: 64 << 10,
    tags_max: 256,
    name_bytes_max: 256,
    value_bytes_max: 4096,
    fields_max: 4096,
};

type Numbered = Vec<(u64, Result<Point, LineError>)>;

/// A measurement, a tag or a name: anything but controls, and but a backslash at the end, which cannot be written.
fn text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        4 => select(vec!['a', 'b', ',', '=', ' ', '\\', '"', '#', '-', '!', 'é', '✓', '\u{10ffff}']),
        1 => any::<char>().prop_map(|c| if c.is_control() { 'c' } else { c }),
    ];
    vec(letter, 1..12).prop_map(|letters| {
        let text = String::from_iter(letters);
        if text.ends_with('\\') { text + "." } else { text }
    })
}

fn field_value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        any::<f64>().prop_map(|f| FieldValue::Float(if f.is_finite() { f } else { f64::MIN_POSITIVE / 2.0 })),
        (-1_000_000i32..1_000_000, 0u32..6)
            .prop_map(|(n, d)| FieldValue::Float(f64::from(n) / f64::from(10u32.pow(d)))),
        any::<i64>().prop_map(FieldValue::Integer),
        (-1000i64..1000).prop_map(FieldValue::Integer),
        any::<u64>().prop_map(FieldValue::Unsigned),
        any::<bool>().prop_map(FieldValue::Boolean),
        vec(select(vec!['a', '\n', '\r', '"', '\\', ',', ' ', '=', '\0', 'é']), 0..10)
            .prop_map(|letters| FieldValue::String(String::from_iter(letters))),
    ]
}

prop_compose! {
    fn any_point()(
        // One that starts with `#` would make the line a comment, and a mark at the start of a body is none of its text.
        measurement in text().prop_map(|t| if t.starts_with(['#', '\u{feff}']) { format!("+{t}") } else { t }),
        tags in btree_map(text(), text(), 0..5),
        fields in vec((text(), field_value()), 1..6),
        time in any::<Option<i64>>(),
    ) -> Point {
        Point { measurement, tags: tags.into_iter().collect(), fields, time }
    }
}

/// Writes points with no help from the parser's code.
fn render(point: &Point) -> String {
    let escape = |text: &str, special: &str| {
        let escaped = |c| if special.contains(c) { vec!['\\', c] } else { vec![c] };
        text.chars().flat_map(escaped).collect::<String>()
    };
    let mut line = escape(&point.measurement, ", ");
    for (key, value) in &point.tags {
        line += &format!(",{}={}", escape(key, ",= "), escape(value, ",= "));
    }
    for (index, (name, value)) in point.fields.iter().enumerate() {
        line += if index == 0 { " " } else { "," };
        line += &escape(name, ",= ");
        line += &match value {
            FieldValue::Float(float) if index % 2 == 0 => format!("={float}"),
            FieldValue::Float(float) => format!("={float:e}"),
            FieldValue::Integer(integer) => format!("={integer}i"),
            FieldValue::Unsigned(integer) => format!("={integer}u"),
            FieldValue::Boolean(boolean) => format!("={boolean}"),
            FieldValue::String(text) => format!("=\"{}\"", escape(text, "\"\\")),
        };
    }
    if let Some(time) = point.time {
        line += &format!(" {time}");
    }
    line
}

/// Bytes that come close to being lines.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        8 => select(vec![
            "cpu", "m", ",t=a", " ", "v=1", ",", "=", "\n", "\n", "\r\n", "\"", "=\"", "v=\"", "\",", "\" ", "\"\n", "\\",
            "\\\"", "1i", "12", " 1700000000", "NaN", "#", "\t", "é", "m v=1\n", "m v=\"a\nb\" 1\n", "          ",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// Reads a body that arrives in pieces which end at `cuts`.
fn parse_in_pieces(body: &[u8], cuts: &[usize], limits: &Limits) -> Numbered {
    let mut splitter = Splitter::new(limits);
    let (mut buffer, mut points) = (Vec::new(), Vec::new());
    let mut from = 0;
    for to in cuts.iter().copied().chain([body.len()]) {
        buffer.extend_from_slice(&body[from..to]);
        from = to;
        let split = splitter.split(&buffer, false);
        assert!(split.rest.len() <= limits.line_bytes_max, "a reader need not keep more");
        read(split, limits, &mut points);
        buffer = split.rest.to_vec();
    }
    read(splitter.split(&buffer, true), limits, &mut points);
    points
}

fn read(split: Split<'_>, limits: &Limits, points: &mut Numbered) {
    let mut lines = Lines::new(split.lines, limits).numbered_from(split.number);
    while let Some(line) = lines.next_line() {
        let point = line.and_then(|line| line.to_point(limits));
        points.push((lines.number(), point));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn points_survive_being_written_and_read(points in vec(any_point(), 1..5), newline in select(vec!["\n", "\r\n"])) {
        let body: String = points.iter().map(|point| render(point) + newline).collect();
        let read: Result<Vec<Point>, _> = parse_points(body.as_bytes(), &WIDE).into_iter().map(|(_, point)| point).collect();
        prop_assert_eq!(read, Ok(points), "{}", body);
    }

    #[test]
    fn good_lines_around_garbage_survive(before in any_point(), garbage in garbage(), mut after in any_point()) {
        // A string in the line after might close one that the garbage has left open.
        after.fields.retain(|(name, value)| !name.contains('"') && !matches!(value, FieldValue::String(_)));
        after.fields.push(("v".into(), FieldValue::Integer(1)));
        after.tags.clear();
        after.measurement = "after".into();
        let body = [render(&before).as_bytes(), b"\n", &garbage, b"\n", render(&after).as_bytes()].concat();
        let points = parse_points(&body, &WIDE);
        prop_assert_eq!(&points[0].1, &Ok(before));
        prop_assert_eq!(&points[points.len() - 1].1, &Ok(after));
    }

    #[test]
    fn a_body_means_the_same_in_any_pieces(
        body in garbage(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        limits in select(vec![TIGHT, WIDE]),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(parse_in_pieces(&body, &cuts, &limits), parse_points(&body, &limits));
        let bytewise: Vec<usize> = (0..body.len()).collect();
        prop_assert_eq!(parse_in_pieces(&body, &bytewise, &limits), parse_points(&body, &limits));
    }

    #[test]
    fn each_line_alone_means_what_it_means_among_others(body in garbage(), limits in select(vec![TIGHT, WIDE])) {
        let (mut apart, mut from, mut number) = (Vec::new(), 0, 1);
        while from < body.len() {
            let end = from + line_end(&body[from..], limits.line_bytes_max, false).unwrap();
            read(Split { lines: &body[from..end], number, rest: &[] }, &limits, &mut apart);
            number += body[from..=end.min(body.len() - 1)].iter().filter(|&&b| b == b'\n').count() as u64;
            from = end + 1;
        }
        prop_assert_eq!(apart, parse_points(&body, &limits));
    }
}
