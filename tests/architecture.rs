//! The arrows of docs/design.md point down, and this test reads the sources to see that they do.
//!
//! Every path that starts at the crate (`crate::disk::…`, or `sealine::disk::…` in the binary) is an arrow from the
//! module that the file belongs to. Comments do not count; tests inside of modules do.

use std::collections::BTreeSet;
use std::path::Path;

/// The modules, from top to bottom. A module may use those of the layers below its own, and no other.
const LAYERS: &[&[&str]] = &[
    &["main", "cli", "allocator"],
    &["daemon"],
    &["api", "inlet", "health"],
    &["schedule", "inspect"],
    &["promql", "store"],
    &["memory", "disk", "wal"],
    &["codec", "lineproto", "tls"],
    &["series", "config", "telemetry", "cores", "notices"],
    &["clock", "vfs", "machine", "sockets", "units", "excerpt", "planted", "pools", "work"],
];

/// Arrows that are drawn although the layers would not have them, with the names that they are drawn for.
const DRAWN: &[(&str, &str, &[&str])] = &[
    ("store", "promql", &["Source", "Selection", "SourceError", "Samples"]), // what a query reads from
    ("api", "inlet", &["BadLines", "BodyError", "Coding", "Intake", "Written"]), // hands on the body of a write
    ("config", "lineproto", &["Precision"]),                                 // what a listener is set to
];

/// Modules that may use less than the layers below them: what each one may use.
const NARROW: &[(&str, &[&str])] = &[
    ("lineproto", &[]),       // bytes to lines, for any program
    ("series", &["excerpt"]), // the words that all others share
    // It sees samples through its own trait.
    ("promql", &["series", "clock", "cores", "units", "excerpt", "pools"]),
];

/// One use of a module by another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrow {
    /// File and line.
    place: String,
    from: String,
    to: String,
    /// The next name behind the module's, or `*`; empty where the path ends with the module.
    name: String,
}

/// What is wrong with these arrows, a sentence each.
fn faults(arrows: &[Arrow]) -> Vec<String> {
    let mut faults: Vec<String> = arrows.iter().filter_map(fault).collect();
    faults.dedup(); // one `use` of several names
    let pairs: BTreeSet<(&str, &str)> = arrows.iter().map(|arrow| (&*arrow.from, &*arrow.to)).collect();
    for (from, to) in &pairs {
        if from < to && pairs.contains(&(*to, *from)) {
            faults.push(format!("`{from}` and `{to}` use each other"));
        }
    }
    faults
}

fn fault(arrow: &Arrow) -> Option<String> {
    let Arrow { place, from, to, name } = arrow;
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let (Some(above), Some(below)) = (layer(from), layer(to)) else {
        let stray = if layer(from).is_none() { from } else { to };
        return Some(format!("{place}: the module `{stray}` is in no layer of tests/architecture.rs"));
    };
    if let Some((_, _, names)) = DRAWN.iter().find(|(f, t, _)| f == from && t == to) {
        let drawn = names.contains(&&**name);
        return (!drawn).then(|| format!("{place}: `{from}` may use {names:?} of `{to}`, but not `{name}`"));
    }
    if let Some((_, may)) = NARROW.iter().find(|(module, _)| module == from)
        && !may.contains(&&**to)
    {
        return Some(format!("{place}: `{from}` may use {may:?}, but not `{to}`"));
    }
    (above >= below).then(|| format!("{place}: `{from}` may not use `{to}`, which is not below it"))
}

/// The arrows of one file. `file` is its path from `src/` on.
fn arrows(file: &str, source: &str) -> Vec<Arrow> {
    let from = file.split('/').next().unwrap_or(file).trim_end_matches(".rs");
    let root = if ["main", "cli", "allocator"].contains(&from) { "sealine::" } else { "crate::" };
    let code: String = source.lines().map(|line| format!("{}\n", without_comment(line))).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue; // the end of a longer word
        }
        let place = format!("src/{file}:{}", code[..at].matches('\n').count() + 1);
        for path in paths(&mut Words::new(&code[at + root.len()..])) {
            let (to, name) = (path[0].clone(), path.get(1).cloned().unwrap_or_default());
            if to != from && to.starts_with(char::is_lowercase) {
                found.push(Arrow { place: place.clone(), from: from.into(), to, name });
            }
        }
    }
    found
}

/// A line up to its comment. A `//` inside of a string cuts too much, which hides no path that a formatter left there.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

/// A path, or a tree of them: `a::b`, `a::{b, c::d}`, `{a, b::*}`.
fn paths(words: &mut Words<'_>) -> Vec<Vec<String>> {
    match words.next() {
        Some("{") => {
            let mut all = Vec::new();
            while words.peek().is_some_and(|word| word != "}") {
                if words.peek() == Some(",") {
                    words.next();
                    continue;
                }
                all.extend(paths(words));
            }
            words.next();
            all
        }
        Some(word) if word == "*" || is_name(word) => {
            if words.peek() != Some("::") {
                if words.peek() == Some("as") {
                    words.next();
                    words.next();
                }
                return vec![vec![word.to_string()]];
            }
            words.next();
            let rest = match words.peek() {
                Some(next) if next == "{" || next == "*" || is_name(next) => paths(words),
                _ => vec![Vec::new()], // a turbofish
            };
            rest.into_iter().map(|path| std::iter::once(word.to_string()).chain(path).collect()).collect()
        }
        _ => Vec::new(),
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::` and single signs.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Words { rest: text }
    }

    fn peek(&self) -> Option<&'a str> {
        Words { rest: self.rest }.next()
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start();
        let first = text.chars().next()?;
        let length = match first {
            ':' if text.starts_with("::") => 2,
            _ if first.is_alphabetic() || first == '_' => {
                text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
            }
            _ => first.len_utf8(),
        };
        let (word, rest) = text.split_at(length);
        self.rest = rest;
        Some(word)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test reads the sources")]
fn read_all(dir: &Path, below: &str, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("src is there") {
        let path = entry.expect("src can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("our files have names in UTF-8");
        if path.is_dir() {
            read_all(&path, &format!("{below}{name}/"), found);
        } else if name.ends_with(".rs") {
            let source = std::fs::read_to_string(&path).expect("our sources are UTF-8");
            found.push((format!("{below}{name}"), source));
        }
    }
}

#[test]
fn arrows_point_down() {
    let mut files = Vec::new();
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    files.retain(|(file, _)| file != "lib.rs");
    let all: Vec<Arrow> = files.iter().flat_map(|(file, source)| arrows(file, source)).collect();
    for (from, to) in [("store", "wal"), ("disk", "vfs"), ("codec", "series"), ("main", "config")] {
        assert!(all.iter().any(|arrow| arrow.from == from && arrow.to == to), "{from} -> {to} is not seen any more");
    }
    let faults = faults(&all);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_points_elsewhere_is_told() {
    for (file, source, want) in [
        ("store/seal.rs", "use crate::disk::{ChunkFileWriter, DiskError};", ""),
        ("store/mod.rs", "use crate::promql::{Selection, Source};", ""),
        ("disk/file.rs", "//! as [`crate::store`] says\nuse super::format; // crate::store", ""),
        ("disk/file.rs", "use crate::disk::format::FileInfo;", ""),
        (
            "disk/file.rs",
            "use std::io;\nuse crate::memory::Row;",
            "src/disk/file.rs:2: `disk` may not use `memory`, which is not below it",
        ),
        (
            "wal/writer.rs",
            "fn f() { let x = crate::store::Store::open(); }",
            "src/wal/writer.rs:1: `wal` may not use `store`, which is not below it",
        ),
        (
            "vfs.rs",
            "use crate::{\n    clock::Clock,\n};",
            "src/vfs.rs:1: `vfs` may not use `clock`, which is not below it",
        ),
        (
            "store/select.rs",
            "use crate::promql::{Source, Engine as E};",
            "src/store/select.rs:1: `store` may use [\"Source\", \"Selection\", \"SourceError\", \"Samples\"] of \
             `promql`, but not `Engine`",
        ),
        (
            "lineproto/text.rs",
            "use crate::clock::Clock;",
            "src/lineproto/text.rs:1: `lineproto` may use [], but not `clock`",
        ),
        (
            "promql/plan/mod.rs",
            "use crate::config::Config;",
            "src/promql/plan/mod.rs:1: `promql` may use [\"series\", \"clock\", \"cores\", \"units\", \"excerpt\", \"pools\"], but not `config`",
        ),
        (
            "main.rs",
            "use sealine::attic::Box;",
            "src/main.rs:1: the module `attic` is in no layer of tests/architecture.rs",
        ),
    ] {
        assert_eq!(faults(&arrows(file, source)).join("; "), want, "{file}: {source}");
    }
}

#[test]
fn modules_that_use_each_other_are_told() {
    let mut all = arrows("config/mod.rs", "use crate::lineproto::Precision;");
    assert_eq!(faults(&all), [""; 0]);
    all.extend(arrows("lineproto/mod.rs", "use crate::config::Config;"));
    assert_eq!(faults(&all).last().map(String::as_str), Some("`config` and `lineproto` use each other"));
}
