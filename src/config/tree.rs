//! The configuration as a tree of sections and keys, before it has types: looking up, and finding what has no place.

use super::check::Wrong;
use config::{Value, ValueKind};
use std::collections::HashMap;

/// A known key at least this much like an unknown one (1 is the same text) is offered as what was meant.
const SIMILARITY_MIN: f64 = 0.6;

/// A section: its keys, and the sections below it.
pub(super) type Tree = HashMap<String, Value>;

/// Takes what is not in `known` out of `tree`, and says what it was.
pub(super) fn prune(tree: &mut Tree, known: &Tree, prefix: &str, unknown: &mut Vec<Wrong>) {
    let mut names: Vec<String> = tree.keys().cloned().collect();
    names.sort();
    for name in names {
        let key = format!("{prefix}{name}");
        match (tree.get_mut(&name).map(|value| &mut value.kind), known.get(&name).map(|value| &value.kind)) {
            (Some(ValueKind::Table(inner)), Some(ValueKind::Table(known))) => {
                prune(inner, known, &format!("{key}."), unknown);
                continue;
            }
            (_, Some(ValueKind::Table(_))) => unknown.push((key, format!("want a section: [{prefix}{name}]"))),
            (_, Some(_)) => continue,
            (_, None) => {
                let keys: Vec<String> = leaves(known).iter().map(|leaf| format!("{prefix}{leaf}")).collect();
                unknown.push((key.clone(), unknown_key(&key, keys.iter().chain(section_names(known).iter()))));
            }
        }
        tree.remove(&name);
    }
}

fn section_names(known: &Tree) -> Vec<String> {
    known.iter().filter(|(_, v)| matches!(v.kind, ValueKind::Table(_))).map(|(name, _)| name.clone()).collect()
}

pub(super) fn unknown_key<'k>(key: &str, known: impl Iterator<Item = &'k String>) -> String {
    let nearest = known
        .map(|candidate| (strsim::normalized_damerau_levenshtein(key, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)));
    match nearest {
        // As it is written inside of its block.
        Some((_, meant)) => {
            let meant = split_block(meant).map_or(meant.as_str(), |(_, _, inside)| inside);
            format!("there is no such key; did you mean {meant}?")
        }
        None => "there is no such key".to_string(),
    }
}

/// The table in `value`; every tree handled here has one at its root.
pub(super) fn table(value: Value) -> Tree {
    match value.kind {
        ValueKind::Table(tree) => tree,
        _ => Tree::new(),
    }
}

/// The dotted keys of all that is not a table.
pub(super) fn leaves(tree: &Tree) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in tree {
        match &value.kind {
            ValueKind::Table(inner) => keys.extend(leaves(inner).iter().map(|leaf| format!("{name}.{leaf}"))),
            _ => keys.push(name.clone()),
        }
    }
    keys.sort();
    keys
}

/// What is written in blocks, `[[database]]` and `[[token]]`, any number of each.
pub(super) const BLOCKS: [&str; 2] = ["database", "token"];

/// `database[3].retention.disk` as `database`, `3` and `retention.disk`.
pub(super) fn split_block(key: &str) -> Option<(&'static str, usize, &str)> {
    BLOCKS.into_iter().find_map(|block| {
        let (at, inside) = key.strip_prefix(block)?.strip_prefix('[')?.split_once("].")?;
        Some((block, at.parse().ok()?, inside))
    })
}

pub(super) fn lookup<'t>(tree: &'t Tree, key: &str) -> Option<&'t Value> {
    if let Some((block, at, inside)) = split_block(key) {
        let ValueKind::Array(blocks) = &tree.get(block)?.kind else { return None };
        let ValueKind::Table(block) = &blocks.get(at)?.kind else { return None };
        return lookup(block, inside);
    }
    match key.split_once('.') {
        None => tree.get(key),
        Some((section, rest)) => match &tree.get(section)?.kind {
            ValueKind::Table(inner) => lookup(inner, rest),
            _ => None,
        },
    }
}

pub(super) fn lookup_mut<'t>(tree: &'t mut Tree, key: &str) -> Option<&'t mut Value> {
    if let Some((block, at, inside)) = split_block(key) {
        let ValueKind::Array(blocks) = &mut tree.get_mut(block)?.kind else { return None };
        let ValueKind::Table(block) = &mut blocks.get_mut(at)?.kind else { return None };
        return lookup_mut(block, inside);
    }
    match key.split_once('.') {
        None => tree.get_mut(key),
        Some((section, rest)) => match &mut tree.get_mut(section)?.kind {
            ValueKind::Table(inner) => lookup_mut(inner, rest),
            _ => None,
        },
    }
}
