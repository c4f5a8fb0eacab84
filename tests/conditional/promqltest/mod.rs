//! Runs the upstream PromQL test scripts against the store and the engine that the API uses: once with everything in
//! memory, once with everything sealed and archived.
//!
//! The scripts are data that lies beside the repository: in `$SEALINE_SHARED/conformance/promqltest`, or in
//! `../shared/conformance/promqltest`. Without them the tests count as ignored. Every case must pass but those that
//! `left_out.txt` names with a reason; one of those that passes must leave the list. `PROMQLTEST=name` runs only the
//! files whose name contains it, and prints every case that fails, those of the list too.

#![allow(clippy::disallowed_methods, reason = "scripts are read from files")]

mod case;
mod script;
mod stored;

use crate::support::trials::{Missing, Ran, Test};
use script::Command;
use sealine_model::{Labels, Source};
use sealine_promql::Engine;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use stored::{Stored, Tier};

/// Somewhere the series of a script are kept.
trait Backend {
    /// Forgets everything.
    fn clear(&mut self);

    /// Adds samples to a series, in time order.
    fn load(&mut self, labels: &Labels, samples: &[(i64, f64)]);

    /// What queries read from.
    fn source(&mut self) -> &dyn Source;
}

/// How the cases of a file came out.
#[derive(Default)]
struct Score {
    total: usize,
    /// By the line of the case, what was wrong.
    failures: BTreeMap<usize, String>,
}

pub const TESTS: &[Test] = &[
    ("upstream_scripts_pass_in_memory", || run_all(Tier::Memory)),
    ("upstream_scripts_pass_sealed_and_archived", || run_all(Tier::Disk)),
];

fn run_all(tier: Tier) -> Ran {
    let folder = scripts_folder()?;
    let only = std::env::var("PROMQLTEST").ok();
    let left_out = left_out();
    let mut table = format!("{:<28} passed  left out   total\n", format!("{tier:?}"));
    let (mut passed, mut total, mut faults) = (0, 0, String::new());
    for path in script_files(&folder) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_string();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the script was listed a moment ago");
        let score = run(&text, &mut Stored::new(tier));
        let of_file = score.total - score.failures.len();
        writeln!(table, "{name:<28} {of_file:>6} {:>9} {:>7}", score.failures.len(), score.total).expect("a string");
        (passed, total) = (passed + of_file, total + score.total);
        let expected = left_out.get(&name).cloned().unwrap_or_default();
        for (line, failure) in &score.failures {
            if only.is_some() || !expected.contains(line) {
                writeln!(faults, "{name}:{line}: {failure}\n").expect("a string");
            }
        }
        for line in expected.iter().filter(|line| !score.failures.contains_key(line)) {
            writeln!(faults, "{name}:{line} passes: take it from left_out.txt").expect("a string");
        }
    }
    println!("{table}{:<28} {passed:>6} {:>9} {total:>7}", "total", total - passed);
    assert!(faults.is_empty(), "{faults}");
    Ok(())
}

/// Runs every command of a script.
fn run(text: &str, backend: &mut dyn Backend) -> Score {
    let engine = Engine::default();
    let mut score = Score::default();
    for (line, command) in script::parse(text) {
        let outcome = match command {
            Command::Clear => {
                backend.clear();
                continue;
            }
            Command::Load(series) => {
                series.iter().for_each(|s| backend.load(&s.labels, &s.samples));
                continue;
            }
            Command::Eval(case) => {
                let outcome = case.run(&engine, backend.source());
                outcome.map_err(|reason| format!("{}\n  {reason}", case.query))
            }
            Command::Unknown(what) => Err(format!("the runner cannot read {what:?}")),
        };
        score.total += 1;
        if let Err(failure) = outcome {
            score.failures.insert(line, failure);
        }
    }
    score
}

fn scripts_folder() -> Result<PathBuf, Missing> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SEALINE_SHARED").map_or(beside, PathBuf::from);
    let folder = shared.join("conformance/promqltest");
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(Missing(format!("there are no upstream scripts at {}; set SEALINE_SHARED", folder.display()))),
    }
}

fn script_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder was there a moment ago");
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    files
}

/// The lines of the cases that need not pass, by file.
fn left_out() -> BTreeMap<String, BTreeSet<usize>> {
    let mut cases: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for row in include_str!("left_out.txt").lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (place, reason) = row.split_once(' ').expect("a row is a place and a reason");
        let (file, line) = place.split_once(':').expect("a place is a file and a line");
        assert!(!reason.trim().is_empty(), "{row:?} has no reason");
        cases.entry(file.to_string()).or_default().insert(line.parse().expect("a line is a number"));
    }
    cases
}
