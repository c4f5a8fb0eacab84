//! What a store is set to. Whoever opens one makes this, the daemon from its configuration; conf/sealine.toml explains each
//! setting.

use crate::memory::CardinalityLimits;
use crate::wal::SyncPolicy;
use sealine_lineproto::Limits;
use sealine_model::{Naming, split_policy};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a store is set to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that holds the log and the chunk files; made when it is not there.
    pub data_dir: PathBuf,
    /// Bytes of memory that the process may plan with.
    pub memory_bytes: u64,
    /// How many series and databases there may be at first.
    pub cardinality: CardinalityLimits,
    /// How large lines may be.
    pub lines: Limits,
    /// How far a time may lie ahead of the clock; zero checks nothing.
    pub future_max: Duration,
    /// Samples a second of all writes together; 0 sets no limit.
    pub samples_per_second_max: u64,
    /// How many bad lines a report names.
    pub errors_listed_max: usize,
    /// How far back a query looks for a sample.
    pub lookback: Duration,
    /// When a write is answered.
    pub sync: SyncPolicy,
    /// A new segment of the log starts after this many bytes.
    pub segment_bytes: u64,
    /// With this many bytes of log, writes are refused until a seal.
    pub log_bytes_max: u64,
    /// Whether chunk files are merged and archived automatically.
    pub merge: bool,
    /// How many files of about one size make one of the next.
    pub fan_in: usize,
    /// With more bytes than this in log and chunk files, the oldest days go; 0 sets no bound.
    pub disk_bytes_max: u64,
    /// With fewer bytes than this free on the disk, writes are refused; 0 sets no bound.
    pub free_bytes_min: u64,
    /// Whether a write makes a database that is not there.
    pub make_databases: bool,
    /// Databases that can always be written to, with their rules.
    pub named: BTreeMap<String, Rules>,
    /// The rules of all others.
    pub rules: Rules,
}

impl Options {
    /// The rules of a database; a policy that has none has those of its database.
    pub(crate) fn rules(&self, database: &str) -> &Rules {
        let named = self.named.get(database).or_else(|| self.named.get(split_policy(database).0));
        named.unwrap_or(&self.rules)
    }
}

/// The rules of one database.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How its lines become series.
    pub naming: Naming,
    /// Samples younger than this are answered from memory.
    pub in_memory: Duration,
    /// Samples older than this go; zero keeps them forever.
    pub on_disk: Duration,
}
