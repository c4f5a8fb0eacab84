//! The one door to log, memory tier and disk tier: append, seal, select, maintain.
//!
//! A write:  [`Store::stage`] parses and resolves, [`Store::append`] logs, syncs and applies, then answers.
//! A seal:   ends a generation, writes its chunks to chunk files, then deletes its log.
//! A query:  sees files and memory through one [`Reader`], which never shows the border between them.
//!
//! Below it are three modules that do not know one another: `wal`, the log; `memory`, rows and their index; `disk`, chunk
//! files.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests damage files by hand and wait in real time"))]

mod admission;
mod batch;
mod databases;
mod disk;
mod health;
pub mod inspect;
mod internal;
mod labels;
mod maintain;
mod memory;
mod open;
mod options;
pub mod parts;
mod pins;
mod replay;
mod seal;
mod select;
mod shed;
mod sizes;
mod stage;
mod status;
mod wal;

pub use admission::NotNow;
pub use batch::Batch;
pub use databases::BadDatabase;
pub use disk::DiskError;
pub use labels::Question;
pub use maintain::Maintained;
pub use memory::{CardinalityLimits, Collision, INTERNAL_DATABASE};
pub use options::{Options, Rules};
pub use select::{Reader, Stopped};
pub use sizes::Sizes;
pub use stage::{EXPIRED, Refusal, Report, Stage, Unit};
pub use status::{DatabaseStatus, StoreStatus, TierStatus};
pub use wal::{ReplayError, SyncPolicy, WalError, WalStats};

use crate::disk::{Partitions, Volume};
use crate::memory::{Database, Databases};
use crate::wal::Wal;
use admission::{Rate, Space};
use parking_lot::Mutex;
use pins::Pins;
use sealine_base::clock::{SharedClock, TimeOfDay};
use sealine_base::pools::{Pool, Pools};
use sealine_base::units::nanoseconds;
use sealine_lineproto::{Limits, Precision};
use sealine_model::ns_from_ms;
use sealine_telemetry::Telemetry;
use stage::Terms;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Why the store could not be opened, or could not seal or maintain what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A folder of the data directory cannot be made.
    #[error("cannot create folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Another process works on the data directory.
    #[error("cannot lock {path}: another process uses this data directory")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The system gives no threads.
    #[error("cannot start the threads that read the log: raise the limit on processes (ulimit -u), or free memory")]
    Threads(#[source] io::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The log cannot be written.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// A sealed segment cannot be deleted.
    #[error("cannot delete sealed log segments in {path}")]
    Forget {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The disk tier failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Everything that is kept. Shared by all parts of the daemon; dropping the last handle syncs and closes the log.
pub struct Store {
    volume: Volume,
    clock: SharedClock,
    time: TimeOfDay,
    options: Arc<Options>,
    telemetry: Telemetry,
    pools: Arc<Pools>,
    space: Space,
    rate: Rate,
    databases: Arc<Databases>,
    partitions: Partitions,
    quarantine: PathBuf,
    wal: Wal<Batch>,
    /// The queries that run: a seal drops chunks from memory only when the queries that began before their file was there
    /// have ended.
    pins: Pins,
    /// Whether files could not be opened when that was looked at last.
    short_of_descriptors: AtomicBool,
    /// Held while sealing: one at a time.
    sealing: Mutex<Sealing>,
    /// Held while merging, archiving or expiring: one at a time.
    maintaining: Mutex<()>,
    /// Itself, for batches that have to look what is stored.
    this: Weak<Store>,
    /// Keeps other processes out for as long as the store is open.
    _lock: std::fs::File,
}

/// What sealing has to remember.
struct Sealing {
    /// The last generation that is wholly in chunk files.
    sealed: u64,
    /// When the last seal ended, on the monotonic clock.
    last: Duration,
    /// The same on the wall clock, for people; `None` before the first.
    last_at: Option<i64>,
}

impl Store {
    /// Starts a batch of lines for a database. One that is not there is made, or refused, as [`Options::make_databases`]
    /// says; those that [`Options::named`] has can always be written to.
    pub fn stage(&self, database: &str, precision: Precision) -> Result<Stage, BadDatabase> {
        Ok(self.stage_in(self.database_of_write(database)?, precision, true))
    }

    /// Starts a batch of lines for a database; `limited` says whether the limits on cardinality hold.
    fn stage_in(&self, database: Arc<Database>, precision: Precision, limited: bool) -> Stage {
        let (now, latest) = (self.clock.now_ns(), ns_from_ms(self.time.latest()));
        let options = &self.options;
        let terms = Terms {
            limits: options.lines,
            precision,
            now,
            latest: if options.future_max.is_zero() {
                i64::MAX
            } else {
                latest.saturating_add(nanoseconds(options.future_max))
            },
            earliest: self.disk_horizon(&database.name),
            errors_listed_max: options.errors_listed_max,
            limited,
            unit: Unit::Named,
            lookback: nanoseconds(options.lookback),
        };
        Stage::new(self.this.clone(), database, terms, self.pools.lease(Pool::Buffers))
    }

    /// The account of memory: what the store and its users hold.
    pub fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    /// The limits on the sizes of lines, for the code that cuts bodies into lines.
    pub fn limits(&self) -> Limits {
        self.options.lines
    }

    /// Logs a batch and applies it. When this returns `Ok`, the batch is as durable as `wal.sync` says, and the next
    /// query sees it.
    pub async fn append(&self, batch: Batch) -> Result<(), WalError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.count_towards_rate(batch.samples());
        self.wal.append(batch).await.unwrap_or(Err(WalError::Closed))
    }

    /// [`Self::append`] for threads that may block.
    pub fn append_blocking(&self, batch: Batch) -> Result<(), WalError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.count_towards_rate(batch.samples());
        self.wal.append(batch).blocking_recv().unwrap_or(Err(WalError::Closed))
    }

    /// Holds new series and databases against these limits from now on.
    pub fn limit_cardinality(&self, limits: CardinalityLimits) {
        self.databases.cardinality().set_limits(limits);
    }

    /// Has PromQL see what is stored, and what comes, by these rules from now on. Strings that are kept stay what they are.
    pub fn set_naming(&self, rules: Options) {
        self.databases.set_naming(move |name| rules.rules(name).naming.clone());
    }

    /// What a query reads from; `databases` narrows it to these.
    pub fn reader(self: &Arc<Self>, databases: Option<&[String]>) -> Reader {
        Reader::new(self.clone(), databases.map(<[String]>::to_vec))
    }
}
