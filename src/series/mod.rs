//! What names a series: labels, the matchers that select them, and the rule that turns a line's
//! measurement, tags and fields into them.

mod labels;
mod matcher;

pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
