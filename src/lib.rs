//! Sealine, the daemon: command line, configuration, HTTP, inlets. What stands alone is in crates of its own.
//!
//! The road of a line:  `inlet` (or `api`) -> `sealine_lineproto` -> `sealine_store`: log, memory, seal, chunk files.
//! The road of a query: `api` -> `sealine_promql` -> `sealine_model::Source`, which is the store: memory and chunk files.
//! docs/design.md has the words, the promises, the crates and the direction in which modules may depend on each other.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests damage files by hand and wait in real time"))]

pub mod api;
pub mod config;
pub mod daemon;
pub mod health;
pub mod inlet;
pub mod schedule;
mod sockets;
pub mod tls;

pub use sealine_base::{clock, planted, pools, units, vfs, work};
pub use sealine_codec as codec;
pub use sealine_lineproto as lineproto;
pub use sealine_model as series;
pub use sealine_store as store;
pub use sealine_store::inspect;
pub use sealine_store::parts::{disk, memory, wal};
pub use sealine_telemetry as telemetry;
pub use sealine_telemetry::notices;
/// For tests.
pub mod promql {
    pub use sealine_model::{Samples, Selection, Source, SourceError};
    pub use sealine_promql::*;
}
