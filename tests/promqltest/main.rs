//! Runs the upstream PromQL test scripts against the engine and holds the score: a case that passed must not break.
//!
//! The scripts are data that lies beside the repository: in `$SEALINE_SHARED/conformance/promqltest`, or in
//! `../shared/conformance/promqltest`. Without them the test says so and passes. The score that must be reached is in
//! `expected.txt`: a file and a number a line. `PROMQLTEST=name` runs only the files whose name contains it, and
//! prints each case that fails.

#![allow(clippy::disallowed_methods, reason = "scripts are read from files")]

mod case;
mod memory;
mod script;

use case::Outcome;
use memory::Memory;
use script::Command;
use sealine::promql::{Engine, Source};
use sealine::series::Labels;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Somewhere the series of a script are kept: in a map, or in a real store.
trait Backend {
    /// Forgets everything.
    fn clear(&mut self);

    /// Adds samples to a series, in time order; `native` says that it also has native histograms, which are left out.
    fn load(&mut self, labels: &Labels, samples: &[(i64, f64)], native: bool);

    /// What queries read from.
    fn source(&self) -> &dyn Source;

    /// Whether the queries since the last call touched a series with native histograms.
    fn touched_native(&self) -> bool;
}

/// How the cases of a file came out.
#[derive(Default)]
struct Score {
    passed: usize,
    native: usize,
    total: usize,
    failures: Vec<String>,
}

#[test]
fn upstream_scripts_pass_as_often_as_before() {
    let Some(folder) = scripts_folder() else {
        eprintln!("skipped: no upstream scripts; set SEALINE_SHARED to the folder that holds conformance/promqltest");
        return;
    };
    let only = std::env::var("PROMQLTEST").ok();
    let expected = expected_scores();
    let mut table = String::from("file                          passed  native  failed   total\n");
    let (mut sum, mut broken) = (Score::default(), Vec::new());
    for path in script_files(&folder) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_string();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the script was listed a moment ago");
        let score = run(&text, &mut Memory::default());
        let row = |table: &mut String, name: &str, score: &Score| {
            let failed = score.total - score.passed - score.native;
            let (passed, native, total) = (score.passed, score.native, score.total);
            writeln!(table, "{name:<28} {passed:>7} {native:>7} {failed:>7} {total:>7}").expect("writes to a string");
        };
        row(&mut table, &name, &score);
        if only.is_some() {
            score.failures.iter().for_each(|failure| eprintln!("{name}:{failure}\n"));
        }
        let want = expected.get(&name).copied().unwrap_or(0);
        if score.passed < want {
            broken.push(format!("{name}: {} cases pass, {want} must", score.passed));
        }
        sum.passed += score.passed;
        sum.native += score.native;
        sum.total += score.total;
    }
    let failed = sum.total - sum.passed - sum.native;
    eprintln!("{table}{:<28} {:>7} {:>7} {failed:>7} {:>7}", "total", sum.passed, sum.native, sum.total);
    eprintln!("(native: fails, and needs native histograms, which the engine leaves out)");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Runs every command of a script.
fn run(text: &str, backend: &mut dyn Backend) -> Score {
    let engine = Engine::default();
    let mut score = Score::default();
    for (line, command) in script::parse(text) {
        match command {
            Command::Clear => backend.clear(),
            Command::Load(series) => series.iter().for_each(|s| backend.load(&s.labels, &s.samples, s.native)),
            Command::Eval(case) => {
                score.total += 1;
                match case.run(&engine, backend) {
                    Outcome::Passed => score.passed += 1,
                    Outcome::Native(reason) => {
                        score.native += 1;
                        score.failures.push(format!("{line}: (native) {}\n  {reason}", case.query));
                    }
                    Outcome::Failed(reason) => score.failures.push(format!("{line}: {}\n  {reason}", case.query)),
                }
            }
            Command::Unknown(what) => {
                score.total += 1;
                score.failures.push(format!("{line}: the runner cannot read {what:?}"));
            }
        }
    }
    score
}

fn scripts_folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SEALINE_SHARED").map_or(beside, PathBuf::from);
    Some(shared.join("conformance/promqltest")).filter(|folder| folder.is_dir())
}

fn script_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder was there a moment ago");
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    files
}

fn expected_scores() -> BTreeMap<String, usize> {
    let rows = include_str!("expected.txt").lines().filter(|line| !line.starts_with('#'));
    let fields = rows.filter_map(|row| row.split_once(' '));
    fields.map(|(name, score)| (name.to_string(), score.trim().parse().expect("a score is a number"))).collect()
}
