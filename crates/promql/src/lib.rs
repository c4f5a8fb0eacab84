//! PromQL over anything that can select series and read their samples.
//!
//! A query goes `text -> tree -> plan -> vectors -> answer`. [`Engine::query`] is the door; `syntax` parses, `plan`
//! checks types and resolves names and times, `eval` turns the plan into vectors that compute one series at a time over
//! all steps at once, `functions`, `aggregate` and `binary` are what such vectors are made of. The semantics are those
//! of Prometheus 3 with delayed removal of metric names; native histograms are left out.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests wait in real time"))]

mod aggregate;
mod binary;
mod budget;
mod engine;
mod error;
mod eval;
mod functions;
mod grid;
mod limits;
mod notes;
mod plan;
mod sum;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub use engine::{Engine, Options};
pub use error::{Heaviest, QueryError};
pub use limits::{Cancel, Limits};
pub use plan::{TIME_MAX, parse_selector};
pub use value::{Answer, Point, QueryStats, Request, Series, TimeRange, Value};
