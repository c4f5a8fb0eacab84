//! What must hold for hostile bytes: a check for each target, which panics where a rule is broken. The fuzzer gives them
//! what it makes up, `cargo test` (tests/store/corpora.rs) what is in corpus/.

pub mod block;
pub mod chunk_file;
pub mod gorilla;
pub mod gzip_body;
pub mod line_protocol;
pub mod log;
pub mod parameters;
pub mod promql;

// The test binary that replays the corpora has these files already; the fuzzers do not.
#[allow(dead_code, clippy::duplicate_mod, reason = "the simulation needs more of it")]
#[path = "../../tests/store/simulation/disk.rs"]
mod disk;
#[allow(dead_code, clippy::duplicate_mod, reason = "the stories need more of it")]
#[path = "../../tests/support/library.rs"]
mod library;
