//! Sealine: line protocol in, Gorilla chunks in memory, sealed chunk files on disk, PromQL out.
//!
//! The road of a line:  `inlet` (or `api`) -> `lineproto` -> `store` -> `wal` -> `memory` -> seal -> `disk`.
//! The road of a query: `api` -> `promql` -> `store` -> `memory` and `disk`.
//! docs/design.md has the words, the promises and the direction in which modules may depend on each other.

pub mod api;
pub mod promql;
pub mod series;
