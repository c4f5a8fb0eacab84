//! What must hold for hostile bytes: a check for each target, which panics where a rule is broken. The fuzzer gives them
//! what it makes up, `cargo test` (tests/corpora.rs) what is in corpus/.

pub mod block;
pub mod chunk_file;
pub mod gorilla;
pub mod gzip_body;
pub mod line_protocol;
pub mod log;
pub mod parameters;
pub mod promql;

#[allow(dead_code, reason = "the simulation needs more of it")]
#[path = "../../tests/simulation/disk.rs"]
mod disk;
#[allow(dead_code, reason = "the stories need more of it")]
#[path = "../../tests/support/library.rs"]
mod library;
