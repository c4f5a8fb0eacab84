//! What the repository says about itself is true.

use std::collections::BTreeSet;

/// The words in the first column of the page's tables, and those of Cargo.toml's dependency sections.
#[test]
fn docs_dependencies_md_has_every_crate_and_no_other() {
    let page = include_str!("../docs/dependencies.md");
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.split(" (").next().unwrap_or(name).trim())
        .filter(|name| *name != "crate")
        .collect();
    let mut section = "";
    let mut declared = BTreeSet::new();
    for line in include_str!("../Cargo.toml").lines() {
        match (line.strip_prefix('['), line.split_once(" = ")) {
            (Some(header), _) => section = header,
            (None, Some((name, _))) if section.contains("dependencies]") => _ = declared.insert(name),
            _ => {}
        }
    }
    assert_eq!(listed, declared);
}

#[test]
fn the_licence_is_the_one_that_cargo_toml_names() {
    assert!(include_str!("../Cargo.toml").contains("license = \"Apache-2.0\""));
    let licence = include_str!("../LICENSE");
    assert!(licence.contains("Apache License") && licence.contains("Version 2.0, January 2004"));
    assert!(licence.contains("END OF TERMS AND CONDITIONS"), "the full text");
}

/// The settings of conf/sealine.toml as a Markdown table: a row for each comment, with the keys that stand below it.
fn settings_table() -> String {
    let mut rows = vec!["| setting | default | meaning |".to_string(), "|---|---|---|".to_string()];
    let (mut section, mut meaning, mut keys) = (String::new(), Vec::new(), Vec::<(String, &str)>::new());
    let file = include_str!("../conf/sealine.toml");
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
    let readme = include_str!("../README.md");
    let have: Vec<&str> = readme
        .lines()
        .skip_while(|line| *line != "| setting | default | meaning |")
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(have.join("\n") == want, "README.md's table of settings must be:\n\n{want}\n");
}

#[test]
fn readme_md_has_every_route() {
    let readme = include_str!("../README.md");
    let table = include_str!("../src/api/routes.rs").split_once("static ROUTES").map_or("", |(_, after)| after);
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
    let links: Vec<&str> = include_str!("../README.md")
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
