//! What names a series: labels, the matchers that select them, and the rule that turns a line's
//! measurement, tags and fields into them.

mod gathering;
mod labels;
mod matcher;
mod naming;
mod partition;
mod pattern;
pub mod postings;
mod samples;
mod template;
mod words;

pub use gathering::Gathering;
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use naming::{DATABASE_LABEL, INFO_LABEL, Naming};
pub use partition::{PARTITION_MS, partition_of};
pub use pattern::{Pattern, PatternError, REGEX_STEPS_MAX};
pub use samples::{STALE_NAN_BITS, Samples};
pub use words::Words;
