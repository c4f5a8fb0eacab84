//! Reads the script language: blocks of lines that load series, evaluate a query or clear everything.

use super::case::{Case, Check, Times};
use sealine_model::{Labels, LabelsBuilder, METRIC_NAME};
use std::collections::BTreeMap;

/// The staleness marker.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// One command of a script.
pub enum Command {
    Clear,
    Load(Vec<Loaded>),
    Eval(Box<Case>),
    /// Something that the runner does not know.
    Unknown(String),
}

/// A series of a `load` block.
pub struct Loaded {
    pub labels: Labels,
    pub samples: Vec<(i64, f64)>,
}

/// A point of a series line: nothing, a number, or a native histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    Missing,
    Number(f64),
    Native,
}

/// Splits a script into its commands, each with the number of its first line.
pub fn parse(text: &str) -> Vec<(usize, Command)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let (mut commands, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let first = at;
        at += 1;
        if is_blank(lines[first]) {
            continue;
        }
        // An empty line or a comment ends a block.
        let length = lines[at..].iter().take_while(|line| !is_blank(line)).count();
        let body: Vec<&str> = lines[at..at + length].to_vec();
        at += length;
        let word = lines[first].split_whitespace().next().unwrap_or_default();
        let command = match word {
            "clear" => {
                at -= length;
                Some(Command::Clear)
            }
            "load" | "load_with_nhcb" => load(lines[first], &body).map(Command::Load),
            _ if word.starts_with("eval") => eval(lines[first], &body).map(|case| Command::Eval(Box::new(case))),
            _ => None,
        };
        commands.push((first + 1, command.unwrap_or_else(|| Command::Unknown(lines[first].to_string()))));
    }
    commands
}

fn is_blank(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

fn load(head: &str, body: &[&str]) -> Option<Vec<Loaded>> {
    let (_, step) = head.split_once(char::is_whitespace)?;
    let step = duration(step.trim())?;
    // Of two lines for one series in one block the later stands.
    let mut series: BTreeMap<Labels, Loaded> = BTreeMap::new();
    for line in body {
        let (labels, rest) = metric(line)?;
        if rest.starts_with("@st") {
            continue; // start times of counters, which we do not have
        }
        let points = points(rest)?;
        let times = (0..).map(|index: i64| index * step);
        let samples = times.zip(&points).filter_map(|(time, point)| match point {
            Point::Number(value) => Some((time, *value)),
            _ => None,
        });
        let samples = samples.collect();
        series.insert(labels.clone(), Loaded { labels, samples });
    }
    Some(series.into_values().collect())
}

fn eval(head: &str, body: &[&str]) -> Option<Case> {
    let (command, rest) = head.split_once(char::is_whitespace)?;
    let (kind, rest) = rest.trim().split_once(char::is_whitespace)?;
    let mut rest = rest.trim();
    let mut after = |word: &str| -> Option<String> {
        rest = rest.strip_prefix(word)?.trim_start();
        let (value, tail) = rest.split_once(char::is_whitespace)?;
        rest = tail.trim_start();
        Some(value.to_string())
    };
    let times = match kind {
        "instant" => Times::Instant(duration(&after("at")?)?),
        "range" => {
            let (start, end, step) = (after("from")?, after("to")?, after("step")?);
            Times::Range(duration(&start)?, duration(&end)?, duration(&step)?)
        }
        _ => return None,
    };
    let mut case = Case { query: rest.to_string(), times, ..Case::default() };
    match command {
        "eval" => {}
        "eval_fail" => case.fail = Some(Vec::new()),
        "eval_warn" => case.warn = Some(Vec::new()),
        "eval_info" => case.info = Some(Vec::new()),
        "eval_ordered" => case.ordered = true,
        _ => return None,
    }
    for line in body {
        if let Some(rest) = line.strip_prefix("expect ") {
            expect(&mut case, rest.trim())?;
        } else if let Some(message) = line.strip_prefix("expected_fail_message") {
            case.fail.get_or_insert_default().push(Check::Text(message.trim().to_string()));
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
            case.fail.get_or_insert_default().push(Check::pattern(pattern.trim())?);
        } else if let Some(number) = number(line) {
            case.scalar = Some(number);
        } else {
            let (labels, rest) = metric(line)?;
            case.series.push((labels, points(rest)?));
        }
    }
    Some(case)
}

fn expect(case: &mut Case, rest: &str) -> Option<()> {
    let (what, rest) = rest.split_once(|c: char| c.is_whitespace() || c == ':').unwrap_or((rest, ""));
    let rest = rest.trim();
    let check = || match rest.split_once(':') {
        Some(("msg", text)) => Some(Some(Check::Text(text.trim().to_string()))),
        Some(("regex", pattern)) => Check::pattern(pattern.trim()).map(Some),
        _ => Some(None),
    };
    match what {
        "fail" => case.fail.get_or_insert_default().extend(check()?),
        "warn" => case.warn.get_or_insert_default().extend(check()?),
        "info" => case.info.get_or_insert_default().extend(check()?),
        "no_warn" => case.no_warn = true,
        "no_info" => case.no_info = true,
        "ordered" => case.ordered = true,
        "string" => case.string = Some(quoted(rest)?.0),
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["vector", "from", start, "to", end, "step", step] = words[..] else { return None };
            case.window = Some((duration(start)?, duration(end)?, duration(step)?));
        }
        _ => return None,
    }
    Some(())
}

/// Reads `name{label="value", "quoted name"="value"}` and gives what follows it.
fn metric(line: &str) -> Option<(Labels, &str)> {
    let mut labels = LabelsBuilder::default();
    let end = line.find(|c: char| !(c.is_alphanumeric() || "_:.".contains(c))).unwrap_or(line.len());
    if end > 0 {
        labels.set(METRIC_NAME, &line[..end]);
    }
    let mut rest = &line[end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let name;
            (name, rest) = if rest.starts_with(['"', '\'', '`']) {
                quoted(rest)?
            } else {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
                (rest[..end].to_string(), &rest[end..])
            };
            rest = rest.trim_start();
            if let Some(tail) = rest.strip_prefix('=') {
                let value;
                (value, rest) = quoted(tail.trim_start())?;
                labels.set(&name, &value);
            } else {
                labels.set(METRIC_NAME, &name);
            }
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        rest = &rest[1..];
    } else if end == 0 {
        return None;
    }
    Some((labels.build(), rest.trim_start_matches([' ', '\t'])))
}

/// Reads a quoted string and gives what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| "\"'`".contains(*c))?;
    let (mut value, mut chars) = (String::new(), text.char_indices().skip(1));
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, &text[at + 1..])),
            '\\' if quote != '`' => value.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}

/// Reads the points of a series line.
fn points(text: &str) -> Option<Vec<Point>> {
    let (mut points, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() && !rest.starts_with('#') {
        let end = if rest.starts_with("{{") {
            let close = rest.find("}}")? + 2;
            // `{{…}}+{{…}}x5`
            let tail = &rest[close..];
            let second = tail.starts_with(['+', '-']).then(|| tail.find("}}")).flatten().map_or(0, |end| end + 2);
            let after = &tail[second..];
            close + second + after.find(char::is_whitespace).unwrap_or(after.len())
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        points.extend(point(&rest[..end])?);
        rest = rest[end..].trim_start();
    }
    Some(points)
}

fn point(token: &str) -> Option<Vec<Point>> {
    if token.starts_with("{{") {
        let times = token.rsplit_once("}}x").map_or(Some(0), |(_, times)| times.parse().ok())?;
        return Some(vec![Point::Native; times + 1]);
    }
    if let Some(rest) = token.strip_prefix('_') {
        let times = rest.strip_prefix('x').map_or(Some(1), |times| times.parse().ok())?;
        return Some(vec![Point::Missing; times]);
    }
    if token == "stale" {
        return Some(vec![Point::Number(STALE)]);
    }
    let (base, times) = match token.rsplit_once('x') {
        Some((base, times)) => (base, times.parse::<usize>().ok()?),
        None => (token, 0),
    };
    let (start, step) = match number(base) {
        Some(number) => (number, 0.0),
        None => {
            // The sign that parts start and step is not the first one, and not that of an exponent.
            let bytes = base.as_bytes();
            let parts = |at: &usize| b"+-".contains(&bytes[*at]) && !b"eE".contains(&bytes[at - 1]);
            let at = (1..bytes.len()).find(parts)?;
            (number(&base[..at])?, number(&base[at..])?)
        }
    };
    Some((0..=times).map(|index| Point::Number(start + step * index as f64)).collect())
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Reads `1h30m`, `5m1ms`, `-50s`, or a number of seconds; in milliseconds.
pub fn duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some((seconds * 1000.0).round() as i64);
    }
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut sum = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (amount, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let unit = match &tail[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        sum += amount.parse::<i64>().ok()? * unit;
        rest = &tail[letters..];
    }
    Some(sign * sum)
}

#[test]
fn points_expand() {
    use Point::*;
    for (text, want) in [
        ("1 _ 2.5", vec![Number(1.0), Missing, Number(2.5)]),
        ("_x2 7", vec![Missing, Missing, Number(7.0)]),
        ("1+2x2", vec![Number(1.0), Number(3.0), Number(5.0)]),
        ("9-2x1", vec![Number(9.0), Number(7.0)]),
        ("4x1", vec![Number(4.0), Number(4.0)]),
        ("-1e+3-2e-1x0", vec![Number(-1000.0)]),
        ("{{schema:0 sum:1}}x1 5", vec![Native, Native, Number(5.0)]),
        ("{{sum:2}}+{{sum:3 count:3}}x1", vec![Native, Native]),
        ("Inf", vec![Number(f64::INFINITY)]),
    ] {
        assert_eq!(points(text), Some(want), "{text}");
    }
}
