//! The arrows among modules of one crate point down, and this test reads the sources to see that they do. Those among
//! crates are Cargo's (docs/design.md has both).
//!
//! Every path that starts with `crate::` is an arrow from the module that the file belongs to. Comments do not count;
//! tests inside of modules do.

use std::path::Path;

/// Folders of crates, with their modules from top to bottom. A module may use those of the layers below its own, and
/// nothing else of its crate. Modules that no layer names are above them all, and may use one another.
const LAYERS: &[(&str, &[&[&str]])] = &[
    ("src", &[&["daemon"], &["api"], &["inlet", "health", "schedule"], &["config", "tls", "sockets"]]),
    ("crates/store/src", &[&["wal", "memory", "disk"]]),
];

/// What is wrong in a file, a sentence each. `file` is its path in the crate's folder.
fn faults(layers: &[&[&str]], file: &str, source: &str) -> Vec<String> {
    let layer = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    let from = file.split('/').next().unwrap_or(file).trim_end_matches(".rs");
    let Some(above) = layer(from) else { return Vec::new() };
    let mut faults = Vec::new();
    for (line, to) in arrows(source) {
        if to != from && layer(&to).is_none_or(|below| below <= above) {
            faults.push(format!("{file}:{line}: `{from}` may not use `{to}`, which is not below it"));
        }
    }
    faults
}

/// The names behind `crate::`, each with its line.
fn arrows(source: &str) -> Vec<(usize, String)> {
    // A `//` inside of a string cuts too much, which hides no path that a formatter left there.
    let code: String = source.lines().map(|line| format!("{}\n", line.split("//").next().unwrap_or(""))).collect();
    let mut arrows = Vec::new();
    for (at, root) in code.match_indices("crate::") {
        if !code[..at].ends_with(is_of_name) {
            let line = code[..at].matches('\n').count() + 1;
            arrows.extend(names(&code[at + root.len()..]).into_iter().map(|name| (line, name.to_string())));
        }
    }
    arrows
}

/// What a path begins with; a tree of them, `{a, b::{c, d}}`, with several names.
fn names(path: &str) -> Vec<&str> {
    let Some(tree) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth) = (vec![name(tree)], 0);
    for (at, sign) in tree.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&tree[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty()); // behind the last comma
    names
}

/// The name that a text begins with.
fn name(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c| !is_of_name(c)).unwrap_or(text.len())]
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[expect(clippy::disallowed_methods, reason = "a test reads the sources")]
fn read_all(dir: &Path, below: &str, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
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
    for (folder, layers) in LAYERS {
        let mut files = Vec::new();
        read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "", &mut files);
        for module in layers.iter().copied().flatten() {
            let is_there = |(file, _): &(String, String)| {
                file.strip_prefix(module).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
            };
            assert!(files.iter().any(is_there), "{folder} has no module `{module}`");
        }
        let faults: Vec<String> = files.iter().flat_map(|(file, source)| faults(layers, file, source)).collect();
        assert!(faults.is_empty(), "in {folder}:\n{}", faults.join("\n"));
    }
}

#[test]
fn what_points_elsewhere_is_told() {
    let layers: &[&[&str]] = &[&["api"], &["inlet"], &["config", "tls"]];
    for (file, source, want) in [
        ("api/mod.rs", "use crate::inlet::Intake;\nuse crate::{tls, config::{Config, Http}};", ""),
        ("api/mod.rs", "//! as [`crate::daemon`] says\nuse super::gate; // crate::daemon", ""),
        ("tls/mod.rs", "use crate::tls::pair::Pair;\nuse sealine_base::clock;", ""),
        ("main.rs", "use crate::api::Api;", ""),
        (
            "inlet/udp.rs",
            "use std::io;\nuse crate::api::Api;",
            "inlet/udp.rs:2: `inlet` may not use `api`, which is not below it",
        ),
        (
            "tls.rs",
            "use crate::{\n    config::Http,\n};",
            "tls.rs:1: `tls` may not use `config`, which is not below it",
        ),
        (
            "config/mod.rs",
            "fn f() { let x = crate::Attic::open(); }",
            "config/mod.rs:1: `config` may not use `Attic`, which is not below it",
        ),
    ] {
        assert_eq!(faults(layers, file, source).join("; "), want, "{file}: {source}");
    }
}
