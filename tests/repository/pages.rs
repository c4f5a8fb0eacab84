//! The pages, the settings file and the Makefile agree with the sources and with each other.

#![allow(clippy::disallowed_methods, reason = "the pages are read from files")]

use regex::Regex;
use sealine::config::{Config, duration, size};
use sealine_telemetry::Telemetry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// README.md, and the files below `docs` and `conf` with one of these ends.
fn pages(ends: &[&str]) -> Vec<(PathBuf, String)> {
    let (mut folders, mut found) = (["docs", "conf"].map(PathBuf::from).to_vec(), vec![PathBuf::from("README.md")]);
    while let Some(folder) = folders.pop() {
        for entry in Path::new(ROOT).join(&folder).read_dir().expect("the repository has the folder") {
            let entry = entry.expect("its folder can be listed");
            let path: PathBuf = folder.join(entry.file_name());
            match entry.path().is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|end| ends.iter().any(|wanted| end == *wanted)));
    found.into_iter().map(|path| (path.clone(), read(&Path::new(ROOT).join(path)))).collect()
}

/// That README.md has `want` where it now has `have`. `UPDATE_README=1 cargo test --test repository` puts it there.
fn readme_has(what: &str, have: &str, want: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if have != want && std::env::var_os("UPDATE_README").is_some_and(|update| update == "1") {
        let path = Path::new(ROOT).join("README.md");
        let _turn = ONE_AT_A_TIME.lock().expect("nobody panics with it");
        std::fs::write(&path, read(&path).replace(have, want)).expect("README.md can be written");
        return;
    }
    assert!(have == want, "README.md's {what} must be (UPDATE_README=1 writes it):\n\n{want}\n");
}

/// The words in the first column of the page's tables, and what the workspace names of others.
#[test]
fn docs_dependencies_md_has_every_crate_and_no_other() {
    let page = include_str!("../../docs/dependencies.md");
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.split(" (").next().unwrap_or(name).trim())
        .filter(|name| *name != "crate")
        .collect();
    let mut section = "";
    let mut declared = BTreeSet::new();
    for line in include_str!("../../Cargo.toml").lines() {
        match (line.strip_prefix('['), line.split_once(" = ")) {
            (Some(header), _) => section = header,
            (None, Some((name, _))) if section == "workspace.dependencies]" && !name.starts_with("sealine-") => {
                declared.insert(name);
            }
            _ => {}
        }
    }
    assert_eq!(listed, declared);
}

#[test]
fn the_licence_is_the_one_that_cargo_toml_names() {
    assert!(include_str!("../../Cargo.toml").contains("license = \"Apache-2.0\""));
    let licence = include_str!("../../LICENSE");
    assert!(licence.contains("Apache License") && licence.contains("Version 2.0, January 2004"));
    assert!(licence.contains("END OF TERMS AND CONDITIONS"), "the full text");
}

/// The settings of conf/sealine.toml as a Markdown table: a row for each comment, with the keys that stand below it.
fn settings_table() -> String {
    let mut rows = vec!["| setting | default | meaning |".to_string(), "|---|---|---|".to_string()];
    let (mut section, mut meaning, mut keys) = (String::new(), Vec::new(), Vec::<(String, &str)>::new());
    let file = include_str!("../../conf/sealine.toml");
    let settings = file.split("\n# Databases with rules of their own").next().unwrap_or(file);
    for line in settings.lines().chain([""]) {
        if let Some((key, default)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push((format!("`{section}{key}`"), default));
            continue;
        }
        if !keys.is_empty() {
            let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
            let defaults: Vec<String> = keys.iter().map(|(_, default)| format!("`{default}`")).collect();
            rows.push(format!("| {} | {} | {} |", names.join(", "), defaults.join(", "), meaning.join(" ")));
            keys.clear();
            meaning.clear();
        }
        match line.strip_prefix("# ") {
            Some(text) => meaning.push(text),
            None => meaning.clear(),
        }
        if let Some(name) = line.strip_prefix('[') {
            section = name.replace(']', ".");
        }
    }
    rows.join("\n")
}

#[test]
fn readme_md_has_every_setting_with_its_default_and_meaning() {
    let want = settings_table();
    assert!(want.lines().count() > 40, "the table is made from the file");
    let readme = include_str!("../../README.md");
    let have: Vec<&str> = readme
        .lines()
        .skip_while(|line| *line != "| setting | default | meaning |")
        .take_while(|line| line.starts_with('|'))
        .collect();
    readme_has("table of settings", &have.join("\n"), &want);
}

#[test]
fn readme_md_has_every_route() {
    let readme = include_str!("../../README.md");
    let table = include_str!("../../src/api/routes.rs").split_once("static ROUTES").map_or("", |(_, after)| after);
    let table = table.split("};").next().unwrap_or(table);
    let routes: Vec<&str> = table.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert!(routes.len() > 20, "the routes are found: {routes:?}");
    for route in routes {
        let written = readme.contains(&format!("{route}`")) || readme.contains(&format!("{route}?"));
        assert!(written, "README.md does not mention {route}");
    }
}

#[test]
fn what_readme_md_links_to_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let links: Vec<&str> = include_str!("../../README.md")
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.starts_with("https://"))
        .collect();
    assert!(!links.is_empty());
    for link in links {
        assert!(root.join(link).exists(), "README.md links to {link}, which is not there");
    }
}

/// `store/stage.rs` stands for crates/store/src/stage.rs, `inlet/udp.rs` for src/inlet/udp.rs.
#[test]
fn pages_name_files_that_are_there() {
    let file =
        Regex::new(r"`((?:\.ci|benches|conf|crates|docs|fuzz|integration|src|tests)/[a-z0-9_./-]+|[a-z]+/[\w/]+\.rs)`");
    let file = file.expect("it is a pattern");
    let (mut missing, mut seen) = (Vec::new(), 0);
    for (page, text) in pages(&["md"]) {
        for found in file.captures_iter(&text) {
            let name = &found[1];
            let (first, rest) = name.split_once('/').expect("the pattern has one");
            let places = [name.to_string(), format!("crates/{first}/src/{rest}"), format!("src/{name}")];
            if !places.iter().any(|place| Path::new(ROOT).join(place).exists()) {
                missing.push(format!("{}: `{name}`", page.display()));
            }
            seen += 1;
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(seen > 50, "files are found in the pages: {seen}");
}

/// What is wrong with a setting that a page names, and with the default that it gives it; `rest` is what stands behind.
fn fault_of_setting(settings: &BTreeMap<String, String>, code: &str, rest: &str) -> Option<String> {
    // `query.max_…` stands for all that begin so, and `wal.sync = "never"` gives a value that is not the default.
    let name = code.split([' ', '=']).next().unwrap_or(code);
    if let Some(start) = name.strip_suffix('…').or(name.strip_suffix('*')) {
        let found = settings.keys().any(|key| key.starts_with(start));
        return (!found).then(|| format!("no setting begins with `{start}`"));
    }
    let Some(default) = settings.get(name) else { return Some(format!("there is no setting `{name}`")) };
    // A number right behind it, as in "more than `ingest.max_tags`, 256": the default.
    let stated = Regex::new(
        r"^(?:, | \(|: )(?:by default |default |the default,? )?([0-9][0-9,]*) ?(KiB|MiB|GiB|ms|s|m|h|d|%)?(?:[;,.)]| \||$)",
    );
    let stated = stated.expect("it is a pattern").captures(rest)?;
    let unit = stated.get(2).map_or("", |unit| unit.as_str());
    let stated = format!("{}{unit}", stated[1].replace(',', ""));
    let same = match unit {
        "ms" | "s" | "m" | "h" | "d" => duration::parse(&stated).ok() == duration::parse(default).ok(),
        "%" => stated == *default,
        _ => size::parse(&stated).ok() == size::parse(default).ok(),
    };
    (!same).then(|| format!("`{name}` is said to be {stated}, and is {default} by default"))
}

/// Every setting with its default, and those of blocks without their number.
fn settings() -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = Config::default().flat().into_iter().collect();
    for (key, default) in settings.clone() {
        if key.starts_with("naming.") || key.starts_with("retention.") {
            settings.insert(format!("database.{key}"), default);
        }
    }
    for key in ["database.name", "token.name", "token.hash", "token.rights", "token.databases"] {
        settings.insert(key.to_string(), String::new());
    }
    settings
}

#[test]
fn pages_name_settings_that_exist_with_the_defaults_that_they_have() {
    let settings = settings();
    let sections: BTreeSet<&str> = settings.keys().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let code = Regex::new("`([^`\n]+)`").expect("it is a pattern");
    let setting = Regex::new(r"^[a-z_]+(\.[a-z_…*]+)+($| ?=)").expect("it is a pattern");
    let variable = Regex::new("SEALINE__[A-Z_]*[A-Z]").expect("it is a pattern");
    let file = Regex::new(r"\.(rs|md|py|sh|toml|json|yaml|wal|chunks|txt|yml|service|conf)$").expect("it is a pattern");
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (path, text) in pages(&["md"]) {
        for (at, line) in text.lines().enumerate() {
            let mut fault = |what: String| faults.push(format!("{}:{}: {what}", path.display(), at + 1));
            for found in code.captures_iter(line) {
                let (name, end) = (&found[1], found.get(0).expect("the whole").end());
                let section = name.split('.').next().unwrap_or(name);
                if setting.is_match(name) && sections.contains(section) && !file.is_match(name) {
                    seen += 1;
                    fault_of_setting(&settings, name, &line[end..]).map(&mut fault);
                }
            }
            for found in variable.find_iter(line).filter(|found| found.as_str() != "SEALINE__SECTION__KEY") {
                let key = found.as_str().trim_start_matches("SEALINE__").to_lowercase().replace("__", ".");
                fault_of_setting(&settings, &key, "").map(&mut fault);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 100, "settings are found in the pages: {seen}");
    for (code, rest, right) in [
        ("ingest.max_line_bytes", ", 256 KiB; comments", true),
        ("ingest.max_line_bytes", ", 255 KiB; comments", false),
        ("ingest.line_bytes_max", "", false),
        ("ingest.max_tags", ", 256 |", true),
        ("ingest.max_tags", ", 257 |", false),
        ("query.timeout", " (30s)", true),
        ("query.timeout", " (default 31s)", false),
        ("query.max_text_bytes", ", 100 levels of nesting", true),
        ("query.max_…", "", true),
        ("query.most_…", "", false),
        ("wal.sync = \"never\"", "", true),
    ] {
        let fault = fault_of_setting(&settings, code, rest);
        assert_eq!(fault.is_none(), right, "`{code}`{rest}: {fault:?}");
    }
}

#[test]
fn pages_and_the_dashboard_name_metrics_that_exist() {
    let metrics = Telemetry::new().render();
    let of_type = |line: &str| line.strip_prefix("# TYPE ").and_then(|rest| Some(rest.split_once(' ')?.0.to_string()));
    let names: BTreeSet<String> = metrics.lines().filter_map(of_type).collect();
    let metric = Regex::new(r"\bsealine_[a-z0-9_]+(…|::)?").expect("it is a pattern");
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (path, text) in pages(&["md", "json", "yaml", "yml", "toml"]) {
        for (at, line) in text.lines().enumerate() {
            for found in metric.find_iter(line).filter(|found| !found.as_str().ends_with("::")) {
                seen += 1;
                let name = found.as_str();
                let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let known = match name.strip_suffix('…') {
                    Some(start) => names.iter().any(|name| name.starts_with(start)),
                    None => names.contains(name) || of_histogram.is_some_and(|name| names.contains(name)),
                };
                if !known {
                    faults.push(format!("{}:{}: there is no metric {name}", path.display(), at + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 30, "metrics are found in the pages: {seen}");
}

/// What README.md says first: its words, and where in docs/performance.md the figures stand: the bench, the first cell of
/// the row, and the columns of Sealine and of its peer.
const HEADLINES: &[(&str, &str, &str, usize, usize)] = &[
    ("samples a CPU second of the server", "ingest", "`cpu`: samples a CPU second", 1, 2),
    ("a million new series, s", "series", "1,000,000 new series, 12,000,000 samples, s", 1, 2),
    ("resident memory afterwards, MiB", "series", "resident memory afterwards, MiB", 1, 2),
    ("bytes a sample on disk: a day of 500 hosts", "disk", "`cpu`", 4, 5),
    ("bytes a sample on disk: what an agent sends", "disk", "`host`", 4, 5),
    ("a query over the day by host and hour, ms: p50 / p99", "queries", "`double-groupby-1`", 1, 3),
    ("the latest point of each series, ms: p50 / p99", "queries", "`lastpoint`", 1, 3),
];

/// The table of README.md's headline figures, made from docs/performance.md.
fn headline() -> String {
    let page = include_str!("../../docs/performance.md");
    let mut rows = vec!["| | Sealine | VictoriaMetrics |".to_string(), "|---|---|---|".to_string()];
    for (words, bench, first, ours, theirs) in HEADLINES {
        let table = page.split_once(&format!("<!-- bench-{bench}: begin -->")).expect("the page has the bench").1;
        let table = table.split_once(&format!("<!-- bench-{bench}: end -->")).expect("the bench has an end").0;
        let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
        let row: Vec<String> = table.lines().map(cells).find(|row: &Vec<String>| row[0] == *first).unwrap_or_default();
        let cell =
            |at: usize| row.get(at).unwrap_or_else(|| panic!("bench-{bench} has no row {first} of {at} columns"));
        rows.push(format!("| {words} | {} | {} |", cell(*ours), cell(*theirs)));
    }
    rows.join("\n")
}

#[test]
fn readme_md_begins_with_figures_of_docs_performance_md() {
    let readme = include_str!("../../README.md");
    let have = readme
        .split_once("<!-- headline: begin -->\n")
        .and_then(|(_, rest)| rest.split_once("\n<!-- headline: end -->"));
    readme_has("headline figures", have.expect("README.md has them").0, &headline());
}

#[test]
fn continuous_integration_runs_every_target_that_is_not_a_bench_or_a_soak() {
    let makefile = include_str!("../../Makefile");
    let words = |name: &str| -> BTreeSet<&str> {
        let line = makefile.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(":="));
        line.unwrap_or_else(|| panic!("the Makefile has {name}")).split_whitespace().collect()
    };
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:")).expect("no target is a file");
    let targets: BTreeSet<&str> = phony.split_whitespace().collect();
    let rules: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    for target in &targets {
        assert!(rules.contains(target), "the Makefile has no rule for {target}");
    }
    let left_out: BTreeSet<&str> = words("BENCHES").union(&words("SOAKS")).copied().collect();
    // What the steps run: their commands, the page's blocks, which .ci/readme.py runs, and what it runs besides.
    let make = Regex::new(r"(?m)\bmake ([a-z-]+)").expect("it is a pattern");
    let named = |text: &'static str| make.captures_iter(text).map(|found| found.get(1).expect("a name").as_str());
    let blocks =
        include_str!("../../README.md").split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(""));
    let steps = include_str!("../../.ci/run").lines().filter(|line| line.starts_with("step ")).flat_map(named);
    let more = include_str!("../../.ci/readme.py").lines().filter(|line| line.starts_with("MORE = ")).flat_map(named);
    let mut run: BTreeSet<&str> = steps.chain(more).chain(blocks.flat_map(named)).collect();
    run.extend(["check-tools", "ci"]); // what all others begin with, and the whole of it
    for target in targets.iter().filter(|target| !left_out.contains(*target)) {
        let why = "runs in no step of .ci/run: add it there, or to BENCHES or SOAKS in the Makefile";
        assert!(run.contains(target), "make {target} {why}");
    }
    let wrong: Vec<_> = left_out.iter().filter(|target| run.contains(*target) || !targets.contains(*target)).collect();
    assert!(wrong.is_empty(), "in BENCHES or SOAKS, and run by CI or no target: {wrong:?}");
}
