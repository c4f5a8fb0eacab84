//! The words that all parts share: labels, the matchers that select series by them, the rule that turns a line's
//! measurement, tags and fields into them, samples, and the [`Source`] that a query reads them from.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests read files"))]

mod column;
mod kind;
mod label_view;
mod labels;
mod limited_set;
mod matcher;
mod naming;
mod partition;
mod pattern;
pub mod postings;
mod samples;
mod source;
mod template;
mod time;
mod words;

pub use column::Column;
pub use kind::{Kind, NO_WORD};
pub use label_view::{LabelView, LabelsKey, own_labels};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use limited_set::LimitedSet;
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use naming::{DATABASE_LABEL, INFO_LABEL, Naming, POLICY_LABEL, split_policy};
pub use partition::{PARTITION_NS, partition_of};
pub use pattern::{Pattern, PatternError, REGEX_STEPS_MAX};
pub use samples::{STALE_NAN_BITS, Samples};
pub use source::{Selection, Source, SourceError};
pub use time::{NS_PER_MS, TimeUnit, ms_of_ns, ns_from_ms, ns_range};
pub use words::Words;
