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
