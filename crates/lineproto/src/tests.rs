//! What is accepted, what is refused and in which words, and that a bad line costs only itself.

use super::*;

/// Reads a block that has one good line.
fn point(line: &str) -> Point {
    let mut points = parse_points(line.as_bytes(), &Limits::default());
    assert_eq!(points.len(), 1, "{line:?}: {points:?}");
    points.remove(0).1.unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

/// What is wrong with a block that has one bad line: label, column, sentence.
fn refusal(line: &[u8], limits: &Limits) -> (&'static str, usize, String) {
    let mut points = parse_points(line, limits);
    let shown = String::from_utf8_lossy(&line[..line.len().min(100)]);
    assert_eq!(points.len(), 1, "{shown:?}: {points:?}");
    let error = points.remove(0).1.expect_err(&shown);
    (error.reason(), error.column, error.to_string())
}

/// One word for each line of a block: its measurement, or why it is refused; with its number.
fn outline(block: &[u8], limits: &Limits) -> Vec<(u64, String)> {
    let word = |point: Result<Point, LineError>| match point {
        Ok(point) => point.measurement,
        Err(error) => format!("!{}", error.reason()),
    };
    parse_points(block, limits).into_iter().map(|(number, point)| (number, word(point))).collect()
}

#[test]
fn values_are_read_in_every_spelling() {
    use FieldValue::*;
    for (text, want) in [
        ("1", Float(1.0)),
        ("1.0", Float(1.0)),
        ("-1.5e10", Float(-1.5e10)),
        ("+1", Float(1.0)),
        (".5", Float(0.5)),
        ("-.5", Float(-0.5)),
        ("+.5e1", Float(5.0)),
        ("1.", Float(1.0)),
        ("1E5", Float(1e5)),
        ("1e+5", Float(1e5)),
        ("1.5e-3", Float(1.5e-3)),
        ("007", Float(7.0)),
        ("9007199254740993", Float(9007199254740992.0)),
        ("123456789012345678901234567890", Float(123456789012345678901234567890.0)),
        ("0.1234567890123456789012345", Float(0.123_456_789_012_345_68)),
        ("46.900000000000006", Float(46.900000000000006)),
        ("1.7976931348623157e308", Float(f64::MAX)),
        ("5e-324", Float(5e-324)),
        ("1e-999", Float(0.0)),
        ("12i", Integer(12)),
        ("+12i", Integer(12)),
        ("-12i", Integer(-12)),
        ("-0i", Integer(0)),
        ("000000000000000000000000012i", Integer(12)),
        ("9223372036854775807i", Integer(i64::MAX)),
        ("-9223372036854775808i", Integer(i64::MIN)),
        ("12u", Unsigned(12)),
        ("18446744073709551615u", Unsigned(u64::MAX)),
        ("t", Boolean(true)),
        ("T", Boolean(true)),
        ("true", Boolean(true)),
        ("True", Boolean(true)),
        ("TRUE", Boolean(true)),
        ("f", Boolean(false)),
        ("F", Boolean(false)),
        ("false", Boolean(false)),
        ("False", Boolean(false)),
        ("FALSE", Boolean(false)),
        (r#""""#, String("".into())),
        (r#""a, b=c""#, String("a, b=c".into())),
        (r#""say \"hi\" \\ C:\temp""#, String(r#"say "hi" \ C:\temp"#.into())),
        ("\"two\nlines\"", String("two\nlines".into())),
        ("\"ends in CR\r\"", String("ends in CR\r".into())),
        ("\"größe\"", String("größe".into())),
    ] {
        for (before, after) in [("m v=", ""), ("m v=", " 1"), ("m a=1,v=", ",z=2\n"), ("m v=", "\r\n")] {
            let point = point(&format!("{before}{text}{after}"));
            let (_, got) = point.fields.iter().find(|(name, _)| name == "v").unwrap();
            assert_eq!(got, &want, "{text}");
        }
    }
    let Float(zero) = point("m v=-0.0").fields[0].1 else { panic!("not a float") };
    assert!(zero.is_sign_negative());
}

#[test]
fn lines_are_read_in_every_form() {
    fn show(point: &Point) -> String {
        let tags: Vec<_> = point.tags.iter().map(|(key, value)| format!("[{key}]=[{value}]")).collect();
        let fields: Vec<_> = point.fields.iter().map(|(name, _)| format!("[{name}]")).collect();
        format!("[{}] {} {} {:?}", point.measurement, tags.join(" "), fields.join(" "), point.time)
    }
    for (line, want) in [
        ("cpu v=1", "[cpu]  [v] None"),
        ("cpu,host=a,dc=b v=1,w=2 3", "[cpu] [host]=[a] [dc]=[b] [v] [w] Some(3)"),
        ("  \tcpu v=1  -3  \r\n", "[cpu]  [v] Some(-3)"),
        ("cpu   v=1   +3", "[cpu]  [v] Some(3)"),
        ("cpu v=1 ", "[cpu]  [v] None"),
        ("cpu v=1 \r", "[cpu]  [v] None"),
        ("cpu v=1 9223372036854775807", "[cpu]  [v] Some(9223372036854775807)"),
        ("cpu v=1 -9223372036854775808", "[cpu]  [v] Some(-9223372036854775808)"),
        ("cpu v=1 000000000000000000000000000001", "[cpu]  [v] Some(1)"),
        (r"a\ b\,c\=d,k\ \,\=e=v\ \,\=w f\ \,\=g=1", r"[a b,c\=d] [k ,=e]=[v ,=w] [f ,=g] None"),
        (r"a\\b,p=C:\x,q=\\d v=1", r"[a\\b] [p]=[C:\x] [q]=[\\d] [v] None"),
        (r#"a"b,c"d="e f"g=1"#, r#"[a"b] [c"d]=["e] [f"g] None"#),
        ("wéather,lieu=ŒŒ température=1", "[wéather] [lieu]=[ŒŒ] [température] None"),
        ("=,a=b v=1", "[=] [a]=[b] [v] None"),
        (r"\#cpu v=1", r"[\#cpu]  [v] None"),
        ("cpu v=1,v=2", "[cpu]  [v] [v] None"),
        ("cpu #=1,(x)!=2,'a'=3,+=4", "[cpu]  [#] [(x)!] ['a'] [+] None"),
    ] {
        assert_eq!(show(&point(line)), want, "{line}");
    }
}

#[test]
fn a_byte_order_mark_and_nuls_around_lines_are_blanks() {
    let mark = "\u{feff}";
    for (name, block, want) in [
        ("a mark", format!("{mark}a v=1\nb v=2"), "1 a, 2 b"),
        ("a mark and nothing else", mark.to_string(), ""),
        ("a mark before a comment", format!("{mark}# x\na v=1"), "2 a"),
        ("a mark on a line of its own", format!("{mark}\r\na v=1"), "2 a"),
        ("a mark elsewhere is text", format!("a v=1\n{mark}b v=2"), "1 a, 2 \u{feff}b"),
        ("a NUL behind the last newline", "a v=1\nb v=2\n\0".to_string(), "1 a, 2 b"),
        ("a NUL behind a number", "a v=1\nb v=2\0".to_string(), "1 a, 2 b"),
        ("a NUL behind an integer", "b v=2i\0".to_string(), "1 b"),
        ("a NUL behind a boolean", "b v=true\0".to_string(), "1 b"),
        ("a NUL behind a time", "b v=2 12\0".to_string(), "1 b"),
        ("a NUL behind spaces", "b v=2 12  \0".to_string(), "1 b"),
        ("a NUL behind a string", "b v=\"x\"\0".to_string(), "1 b"),
        ("a NUL behind a string of two lines", "b v=\"x\ny\"\0\0\nc v=1".to_string(), "1 b, 3 c"),
        ("a NUL before a carriage return", "a v=1\0\r\nb v=2\r\n\0".to_string(), "1 a, 2 b"),
        ("each line with its NUL", "a v=1\n\0b v=2\n\0c v=3\n\0".to_string(), "1 a, 2 b, 3 c"),
        ("a buffer's rest", format!("a v=1\n{}", "\0".repeat(1000)), "1 a"),
        ("NULs alone", "\0\0\0".to_string(), ""),
        ("a NUL within a line", "a v=1\0x\nb v=2".to_string(), "1 !bad_value, 2 b"),
        ("a NUL within a name", "a\0b v=1".to_string(), "1 !control_character"),
    ] {
        let got: Vec<String> = outline(block.as_bytes(), &Limits::default())
            .into_iter()
            .map(|(number, word)| format!("{number} {word}"))
            .collect();
        assert_eq!(got.join(", "), want, "{name}");
    }
    let mut lines = Lines::new("\u{feff}a v=1".as_bytes(), &Limits::default()).numbered_from(2);
    let line = lines.next_line().unwrap().unwrap();
    assert_eq!(line.key.raw(), "\u{feff}a".as_bytes(), "a later piece of a body does not begin with a mark");
}

#[test]
fn bad_lines_say_why_and_where() {
    for (line, reason, column, sentence) in [
        ("cpu", "no_fields", 1, "line has no fields"),
        ("cpu,host=a", "no_fields", 1, "line has no fields"),
        ("cpu  ", "no_fields", 6, "line has no fields"),
        ("  cpu\\ v=1", "no_fields", 3, "line has no fields"),
        (r"cpu,path=C:\ v=1", "no_fields", 1, "line has no fields"),
        ("cpu =1", "empty_field_name", 5, "field has no name before its `=`"),
        ("cpu v=1,", "empty_field_name", 9, "field has no name before its `=`"),
        ("cpu v=1, 12", "empty_field_name", 9, "field has no name before its `=`"),
        ("cpu v", "missing_field_value", 5, "field `v` has no `=` and value"),
        ("cpu v=1,w 12", "missing_field_value", 9, "field `w` has no `=` and value"),
        ("cpu v= 12", "empty_field_value", 7, "field `v` has nothing after its `=`"),
        ("cpu v=", "empty_field_value", 7, "field `v` has nothing after its `=`"),
        ("cpu v=,w=1", "empty_field_value", 7, "field `v` has nothing after its `=`"),
        ("cpu usage=abc", "bad_value", 11, "field `usage`: `abc` is not a number, a boolean or a quoted string"),
        ("cpu v=1.5i", "bad_value", 7, "field `v`: `1.5i` is not a number, a boolean or a quoted string"),
        ("cpu v=1e", "bad_value", 7, "field `v`: `1e` is not a number, a boolean or a quoted string"),
        ("cpu v=.", "bad_value", 7, "field `v`: `.` is not a number, a boolean or a quoted string"),
        ("cpu v=-", "bad_value", 7, "field `v`: `-` is not a number, a boolean or a quoted string"),
        ("cpu v=i", "bad_value", 7, "field `v`: `i` is not a number, a boolean or a quoted string"),
        ("cpu v=--1", "bad_value", 7, "field `v`: `--1` is not a number, a boolean or a quoted string"),
        ("cpu v=+-1", "bad_value", 7, "field `v`: `+-1` is not a number, a boolean or a quoted string"),
        ("cpu v=1=2", "bad_value", 7, "field `v`: `1=2` is not a number, a boolean or a quoted string"),
        ("cpu v=1_000", "bad_value", 7, "field `v`: `1_000` is not a number, a boolean or a quoted string"),
        ("cpu v=0x1F", "bad_value", 7, "field `v`: `0x1F` is not a number, a boolean or a quoted string"),
        ("cpu v=12ii", "bad_value", 7, "field `v`: `12ii` is not a number, a boolean or a quoted string"),
        ("cpu v=truely", "bad_value", 7, "field `v`: `truely` is not a number, a boolean or a quoted string"),
        ("cpu v=tRUE", "bad_value", 7, "field `v`: `tRUE` is not a number, a boolean or a quoted string"),
        ("cpu v='a'", "bad_value", 7, "field `v`: `'a'` is not a number, a boolean or a quoted string"),
        ("cpu v=1\u{1}", "bad_value", 7, "field `v`: `1\\u{1}` is not a number, a boolean or a quoted string"),
        (
            "cpu v=NaN",
            "not_finite",
            7,
            "field `v`: `NaN` is not a finite number and cannot be stored: leave the field out",
        ),
        (
            "cpu v=-Inf",
            "not_finite",
            7,
            "field `v`: `-Inf` is not a finite number and cannot be stored: leave the field out",
        ),
        (
            "cpu v=1e999",
            "float_out_of_range",
            7,
            "field `v`: `1e999` is outside the range of a 64-bit float, about -1.8e308 to 1.8e308",
        ),
        (
            "cpu v=9223372036854775808i",
            "integer_out_of_range",
            7,
            "field `v`: `9223372036854775808i` is outside the range of a 64-bit integer, -9223372036854775808 to \
             9223372036854775807",
        ),
        (
            "cpu v=18446744073709551616u",
            "unsigned_out_of_range",
            7,
            "field `v`: `18446744073709551616u` is outside the range of an unsigned 64-bit integer, 0 to \
             18446744073709551615",
        ),
        (
            "cpu v=-1u",
            "unsigned_out_of_range",
            7,
            "field `v`: `-1u` is outside the range of an unsigned 64-bit integer, 0 to 18446744073709551615",
        ),
        (
            "cpu v=\"a",
            "unterminated_string",
            7,
            "field `v`: unterminated string: its opening quote has no closing quote that ends the value",
        ),
        (
            "cpu v=\"a\\\"",
            "unterminated_string",
            7,
            "field `v`: unterminated string: its opening quote has no closing quote that ends the value",
        ),
        (
            "cpu v=\"a\"b c",
            "text_after_string",
            10,
            "field `v`: got `b` after the closing quote, want a comma, a space or the end of the line",
        ),
        ("cpu usage=1 soon", "bad_time", 13, "timestamp `soon` is not an integer"),
        ("cpu v=1 1.5", "bad_time", 9, "timestamp `1.5` is not an integer"),
        ("cpu v=1 12 13", "bad_time", 9, "timestamp `12 13` is not an integer"),
        ("cpu v=1 -", "bad_time", 9, "timestamp `-` is not an integer"),
        ("cpu v=1 w=2", "bad_time", 9, "timestamp `w=2` is not an integer"),
        ("cpu v=1\rw=2", "bad_time", 8, "timestamp `\\rw=2` is not an integer"),
        (
            "cpu v=1 9223372036854775808",
            "time_out_of_range",
            9,
            "timestamp `9223372036854775808` is outside the range of times that can be kept",
        ),
        (
            "cpu v=1 -99999999999999999999",
            "time_out_of_range",
            9,
            "timestamp `-99999999999999999999` is outside the range of times that can be kept",
        ),
        (" ,host=a v=1", "empty_measurement", 2, "line has no measurement"),
        ("cpu, v=1", "empty_tag_key", 5, "tag has no key before its `=`"),
        ("cpu,host=a,=b v=1", "empty_tag_key", 12, "tag has no key before its `=`"),
        ("cpu,host=a,dc v=1", "missing_tag_value", 12, "tag `dc` has no `=` and value"),
        ("cpu,host= v=1", "empty_tag_value", 10, "tag `host` has an empty value: leave the tag out"),
        ("cpu,host=,dc=b v=1", "empty_tag_value", 10, "tag `host` has an empty value: leave the tag out"),
        (
            "cpu,a=b=c v=1",
            "unescaped_equals",
            8,
            "tag `a` has a second `=`: write `\\=` for one that belongs to the value",
        ),
        ("cpu,b=1,a=2,b=3 v=1", "duplicate_tag", 1, "tag `b` is given twice"),
        ("c\u{0}pu v=1", "control_character", 1, "measurement `c\\u{0}pu` contains the control character U+0000"),
        ("cpu,a\tb=c v=1", "control_character", 5, "tag key `a\\tb` contains the control character U+0009"),
        ("cpu,a=\u{85} v=1", "control_character", 7, "tag value `\\u{85}` contains the control character U+0085"),
        ("cpu v\u{7f}=1", "control_character", 5, "field name `v\\u{7f}` contains the control character U+007F"),
    ] {
        let got = refusal(line.as_bytes(), &Limits::default());
        assert_eq!(got, (reason, column, sentence.to_string()), "{line:?}");
    }
    for (line, part) in [
        (&b"c\xffu v=1"[..], "measurement `c\\xffu`"),
        (b"cpu,\xc3=1 v=1", "tag key `\\xc3`"),
        (b"cpu,a=\xed\xa0\x80 v=1", "tag value `\\xed\\xa0\\x80`"),
        (b"cpu \xf0\x9f=1", "field name `\\xf0\\x9f`"),
        (b"cpu v=\"\xff\"", "string value `\\xff`"),
    ] {
        let (reason, _, sentence) = refusal(line, &Limits::default());
        assert_eq!((reason, sentence), ("invalid_utf8", format!("{part} is not valid UTF-8")));
    }
}

#[test]
fn nan_and_infinity_are_refused_in_every_spelling() {
    for word in ["nan", "NaN", "NAN", "inf", "Inf", "INF", "infinity", "Infinity", "INFINITY"] {
        for sign in ["", "+", "-"] {
            for end in ["", ",w=1", " 12", "\n"] {
                let line = format!("cpu v={sign}{word}{end}");
                assert_eq!(refusal(line.as_bytes(), &Limits::default()).0, "not_finite", "{line:?}");
            }
        }
    }
}

#[test]
fn each_limit_is_named_and_holds_to_the_byte() {
    let limits = Limits {
        line_bytes_max: 100,
        key_bytes_max: 40,
        tags_max: 2,
        name_bytes_max: 8,
        value_bytes_max: 10,
        fields_max: 3,
    };
    let long = |count| "x".repeat(count);
    for (name, fits, breaks, sentence) in [
        (
            "line",
            format!("m v=\"{}\"", long(10)) + &" ".repeat(84),
            format!("m v=1{}", " ".repeat(96)),
            "line is longer than the 100 bytes of ingest.max_line_bytes",
        ),
        (
            "line with CRLF",
            format!("m v=1{}\r\n", " ".repeat(94)),
            format!("m v=1{}\r\n", " ".repeat(95)),
            "line is longer than the 100 bytes of ingest.max_line_bytes",
        ),
        (
            "bad line",
            "m v=1".into(),
            format!("m v=NaN{}", " ".repeat(94)),
            "line is longer than the 100 bytes of ingest.max_line_bytes",
        ),
        (
            "blank line",
            " ".repeat(100) + "\nm v=1",
            " ".repeat(101),
            "line is longer than the 100 bytes of ingest.max_line_bytes",
        ),
        (
            "key",
            format!(r"m,a={0}{0},b=\ \ \ xxxxxxx v=1", r"\ \ \ \ \ "),
            format!(r"m,a={0}{0},b=\ \ \ \ xxxxxx v=1", r"\ \ \ \ \ "),
            "measurement and tags have 41 bytes, more than the 40 of ingest.max_key_bytes",
        ),
        (
            "tags",
            "m,a=1,b=2 v=1".into(),
            "m,a=1,b=2,c=3 v=1".into(),
            "line has 3 tags, more than the 2 of ingest.max_tags",
        ),
        (
            "fields",
            "m a=1,b=2,c=3".into(),
            "m a=1,b=2,c=3,d=4".into(),
            "line has more than the 3 fields of ingest.max_fields",
        ),
        (
            "measurement",
            r"abcdefg\  v=1".into(),
            "abcdefghi v=1".into(),
            "measurement `abcdefghi` has 9 bytes, more than the 8 of ingest.max_name_bytes",
        ),
        (
            "tag key",
            "m,abcdefgh=1 v=1".into(),
            "m,abcdefghi=1 v=1".into(),
            "tag key `abcdefghi` has 9 bytes, more than the 8 of ingest.max_name_bytes",
        ),
        (
            "field name",
            "m abcdefgh=1".into(),
            "m abcdefghi=1".into(),
            "field name `abcdefghi` has 9 bytes, more than the 8 of ingest.max_name_bytes",
        ),
        (
            "tag value",
            "m,a=abcdefghij v=1".into(),
            "m,a=abcdefghijk v=1".into(),
            "tag value `abcdefghijk` has 11 bytes, more than the 10 of ingest.max_value_bytes",
        ),
        (
            "string",
            "m v=\"abcdefghij\"".into(),
            "m v=\"abcdefghijk\"".into(),
            "string value `abcdefghijk` has 11 bytes, more than the 10 of ingest.max_value_bytes",
        ),
    ] {
        let points = parse_points(fits.as_bytes(), &limits);
        assert!(matches!(&points[..], [(_, Ok(_))]), "{name}: {points:?}");
        assert_eq!(refusal(breaks.as_bytes(), &limits).2, sentence, "{name}");
    }
}

#[test]
fn excerpts_are_short() {
    let line = format!("cpu v={}", "é".repeat(10_000));
    let (_, _, sentence) = refusal(line.as_bytes(), &Limits::default());
    assert!(sentence.len() < 200, "{sentence}");
}

#[test]
fn a_bad_line_costs_only_itself() {
    let limits = Limits { line_bytes_max: 60, ..Limits::default() };
    for (name, block, want) in [
        ("bad value", "a v=1\nb v=x\nc v=1\n", "1 a, 2 !bad_value, 3 c"),
        ("blank lines and comments", "\n  \n# a v=1\n\t#\"\na v=1\r\n\r\nb v=1", "5 a, 7 b"),
        ("newline in a string", "a v=\"x\ny\"\nb v=1", "1 a, 3 b"),
        ("bad value before a string", "a u=x,v=\"1\nb v=1\n\" 1\nc v=1", "1 !bad_value, 4 c"),
        ("bad time after a string", "a v=\"1\nb v=1\" x\nc v=1", "1 !bad_time, 3 c"),
        ("two strings", "a u=\"1\n2\",v=\"3\n4\"\nc v=1", "1 a, 4 c"),
        ("bad key before a string", "a, v=\"1\nb v=1\"\nc v=1", "1 !empty_tag_key, 3 c"),
        ("never closed", "a v=\"1\nb v=1\nc v=1", "1 !unterminated_string, 2 b, 3 c"),
        ("closed by another's opening quote", "a v=\"1\nb v=\"x\"\nc v=1", "1 !unterminated_string, 2 b, 3 c"),
        (
            "closed too far away",
            "a v=\"1\nb v=1\n# ..................................................\"\nc v=1",
            "1 !unterminated_string, 2 b, 4 c",
        ),
        ("second string never closed", "a u=\"1\n2\",v=\"3\nc v=1", "1 !unterminated_string, 3 c"),
        ("text after a string", "a v=\"1\"x\nb v=\"2\"\nc v=1", "1 !text_after_string, 2 b, 3 c"),
        ("escaped quote at the end", "a v=\"1\\\"\nb v=1", "1 !unterminated_string, 2 b"),
        ("quotes in names and tags", "a,t=\"x v=1\nb \"v=1\nc v\"=1", "1 a, 2 b, 3 c"),
        ("too long", "a v=111111111111111111111111111111111111111111111111111111111\nb v=1", "1 !line_too_long, 2 b"),
        ("blanks without end before a comment", &(" ".repeat(60) + "# x\nb v=1"), "1 !line_too_long, 2 b"),
        ("blanks before a comment", &(" ".repeat(59) + "# x\nb v=1"), "2 b"),
        ("comment longer than a line", &format!("#{}\nb v=1", "x".repeat(100)), "2 b"),
        ("comment without end", "a v=1\n# b v=1", "1 a"),
        ("control character", "\u{1}\na v=1", "1 !no_fields, 2 a"),
    ] {
        let got: Vec<_> = outline(block.as_bytes(), &limits).iter().map(|(n, word)| format!("{n} {word}")).collect();
        assert_eq!(got.join(", "), want, "{name}");
    }
}

#[test]
fn a_line_knows_where_it_stands_and_when_it_was() {
    let limits = Limits::default();
    let mut lines = Lines::new(b"\na v=\"x\ny\" 1\n\n  b v=1 9223372036854775807\nc v=1", &limits).numbered_from(10);
    let mut got = Vec::new();
    while let Some(line) = lines.next_line() {
        let line = line.unwrap();
        got.push((line.number, line.offset, line.time_ns(Precision::Seconds)));
    }
    let late = Fault::TimeOutOfRange { got: "9223372036854775807s".into() };
    assert_eq!(
        got,
        [(11, 1, Ok(Some(1_000_000_000))), (14, 14, Err(LineError { fault: late, column: 9 })), (15, 42, Ok(None))]
    );
}

#[test]
fn a_body_is_cut_where_lines_surely_end() {
    let limits = Limits { line_bytes_max: 20, ..Limits::default() };
    // For each piece: number of the first line, the lines, the rest.
    for (name, pieces, want) in [
        ("in a line", &["a v=1\nb v", "=2\nc"][..], &[(1, "a v=1\n", "b v"), (2, "b v=2\n", "c"), (3, "c", "")][..]),
        ("in CRLF", &["a v=1\r", "\nb"], &[(1, "", "a v=1\r"), (1, "a v=1\r\n", "b"), (2, "b", "")]),
        (
            "in a string",
            &["a v=\"1\n2", "\"\nb v=1\n"],
            &[(1, "", "a v=\"1\n2"), (1, "a v=\"1\n2\"\nb v=1\n", ""), (4, "", "")],
        ),
        (
            "after a quote that may close or not",
            &["a v=\"1\n2\"", "x\n"],
            &[(1, "", "a v=\"1\n2\""), (1, "a v=\"1\n2\"x\n", ""), (3, "", "")],
        ),
        (
            "a string that cannot close any more",
            &["a v=\"1\nb v=1\nc v=1", "11", "\nd v=1"],
            &[
                (1, "", "a v=\"1\nb v=1\nc v=1"),
                (1, "a v=\"1\nb v=1\n", "c v=111"),
                (3, "c v=111\n", "d v=1"),
                (4, "d v=1", ""),
            ],
        ),
        (
            "in a line without end",
            &["a v=1", "11111111111111111", "111", "1\nb v=1\n"],
            &[(1, "", "a v=1"), (1, "a v=111111111111111111", ""), (1, "", ""), (2, "b v=1\n", ""), (3, "", "")],
        ),
    ] {
        let mut splitter = Splitter::new(&limits);
        let (mut buffer, mut got) = (String::new(), Vec::new());
        for (index, piece) in pieces.iter().chain([&""]).enumerate() {
            buffer += piece;
            let split = splitter.split(buffer.as_bytes(), index == pieces.len());
            let [lines, rest] = [split.lines, split.rest].map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            got.push((split.number, lines, rest.clone()));
            buffer = rest;
        }
        let want: Vec<_> = want.iter().map(|(n, lines, rest)| (*n, lines.to_string(), rest.to_string())).collect();
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn keys_and_names_are_equal_where_their_bytes_are() {
    let limits = Limits::default();
    let mut lines = Lines::new(b"cpu,a=b v=1,v=1\n  cpu,a=b v=1\ncpu,a=c v=1", &limits);
    let mut keys = Vec::new();
    while let Some(Ok(line)) = lines.next_line() {
        keys.push(line.key);
        assert!(line.fields.iter().all(|field| *field == line.fields[0]));
    }
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}

#[test]
fn the_page_tells_the_truth() {
    let page = include_str!("../../../docs/line-protocol.md");
    let (_, table) = page.split_once("## Reasons").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let mut count = 0;
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let reason = cells[1].trim_matches('`');
        for example in cells[2].split('`').skip(1).step_by(2) {
            assert_eq!(refusal(example.as_bytes(), &Limits::default()).0, reason, "{example}");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} examples were found");
}
