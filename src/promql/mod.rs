//! PromQL over anything that can select series and read their samples.

mod source;

pub use source::{Samples, Selection, Source, SourceError};
