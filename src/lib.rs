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
