//! Replays the corpus of the fuzz target `line_protocol`, so that what it once found is checked by every `cargo test`.

#![allow(clippy::disallowed_methods, reason = "the corpus is read from files")]

#[path = "../fuzz/checks/line_protocol.rs"]
mod check;

use std::path::Path;

#[test]
fn the_corpus_of_line_protocol_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/line_protocol");
    let mut count = 0;
    for entry in folder.read_dir().expect("the corpus is part of the repository") {
        let path = entry.expect("its folder can be listed").path();
        println!("{}", path.display());
        check::check(&std::fs::read(&path).expect("a seed can be read"));
        count += 1;
    }
    assert!(count >= 10, "only {count} seeds in {}", folder.display());
}
