//! PromQL over anything that can select series and read their samples.

mod source;

pub use crate::series::Samples;
pub use source::{Selection, Source, SourceError};
