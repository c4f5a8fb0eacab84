//! The memory tier: rows with their open chunks, and the index that finds them.
//!
//! A database has an [`Index`]; its rows hold what was written since the last seal. Only the apply thread writes
//! samples, in the order of the log (at a start: those that read it back); a seal takes finished chunks out; queries
//! copy what they need.

mod cardinality;
mod database;
mod hot;
mod index;
mod late;
mod lines;
mod row;
mod schema;
mod states;

pub use cardinality::{CardinalityLimits, Exceeded};
pub use database::{Database, Databases, INTERNAL_DATABASE};
pub use index::{Collision, Index, KeyHash, NewRow, Selected, hash_key};
pub use row::{Closed, Growth, Row, Run};
pub use schema::Field;
pub use states::StateSample;
