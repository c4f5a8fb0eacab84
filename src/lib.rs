//! Sealine: line protocol in, Gorilla chunks in memory, sealed chunk files on disk, PromQL out.
//!
//! The road of a line:  `inlet` (or `api`) -> `lineproto` -> `store` -> `wal` -> `memory` -> seal -> `disk`.
//! The road of a query: `api` -> `promql` -> `store` -> `memory` and `disk`.
//! docs/design.md has the words, the promises and the direction in which modules may depend on each other.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests damage files by hand and wait in real time"))]

pub mod api;
pub mod clock;
pub mod codec;
pub mod config;
mod cores;
pub mod daemon;
pub mod disk;
mod excerpt;
pub mod health;
pub mod inlet;
pub mod inspect;
pub mod lineproto;
mod machine;
pub mod memory;
pub mod notices;
pub mod planted;
pub mod pools;
pub mod promql;
pub mod schedule;
pub mod series;
mod sockets;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod units;
pub mod vfs;
pub mod wal;
pub mod work;
