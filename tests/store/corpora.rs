//! Replays the corpus of every fuzz target, so that what a fuzzer once found is checked by every `cargo test`.

#![allow(clippy::disallowed_methods, reason = "the corpora are read from files")]

#[path = "../../fuzz/checks/lib.rs"]
mod checks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A corpus has at least this many seeds.
const SEEDS_MIN: usize = 10;

/// A seed is read by people: it stays small.
const SEED_BYTES_MAX: u64 = 16 << 10;

/// Gives each seed of `target` to its check, and names those that fail.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let (mut count, mut failed) = (0, Vec::new());
    for entry in folder.read_dir().expect("the corpus is part of the repository") {
        let path = entry.expect("its folder can be listed").path();
        let seed = std::fs::read(&path).expect("a seed can be read");
        assert!(seed.len() as u64 <= SEED_BYTES_MAX, "{} has {} bytes", path.display(), seed.len());
        println!("{}", path.display());
        if catch_unwind(AssertUnwindSafe(|| check(&seed))).is_err() {
            failed.push(path);
        }
        count += 1;
    }
    assert!(failed.is_empty(), "seeds that break a rule of fuzz/checks/{target}.rs: {failed:?}");
    assert!(count >= SEEDS_MIN, "only {count} seeds in {}", folder.display());
}

macro_rules! corpora {
    ($($target:ident: $claim:ident,)*) => {
        $(#[test]
        fn $claim() {
            replay(stringify!($target), checks::$target::check);
        })*

        #[test]
        fn every_target_is_replayed() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            let targets = folder.read_dir().expect("it is part of the repository").map(|entry| entry.expect("a target"));
            let mut targets: Vec<String> = targets.map(|t| t.file_name().to_string_lossy().into_owned()).collect();
            targets.sort();
            assert_eq!(targets, [$(concat!(stringify!($target), ".rs")),*]);
        }
    };
}

corpora! {
    block: hostile_blocks_hold,
    chunk_file: hostile_chunk_files_hold,
    gorilla: hostile_chunks_hold,
    gzip_body: hostile_bodies_hold,
    line_protocol: hostile_lines_hold,
    log: hostile_segments_hold,
    parameters: hostile_parameters_hold,
    promql: hostile_queries_hold,
}
