//! What names a series: labels, the matchers that select them, and the rule that turns a line's
//! measurement, tags and fields into them.

mod labels;
mod matcher;
mod naming;
mod partition;
pub mod postings;
mod samples;

pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use naming::{DATABASE_LABEL, INFO_LABEL, Naming};
pub use partition::{PARTITION_MS, partition_of};
pub use samples::{STALE_NAN_BITS, Samples};
