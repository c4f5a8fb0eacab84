//! The write-ahead log: what makes an answer durable before it is given.
//!
//! Entries are handed in by [`Wal::append`], from any thread. The log's thread fixes their order, writes all that wait
//! as one group, syncs once, and hands the group on to the apply thread; only after that are the senders told. So
//! there is one order, that of the log: memory is filled in it, and a replay repeats it. A rotation is an event in the
//! same order: when the apply thread meets it, everything of the generation before is in memory, and nothing of the
//! next one.
//!
//! docs/format/wal.md has the bytes.

mod dump;
mod entry;
mod log;
mod reader;
mod record;
mod replay;
mod segment;
mod writer;

pub use dump::dump;
pub use entry::{Dictionary, Entry, Event};
pub use log::{Options, SyncPolicy, Wal, WalStats};
pub use record::RecordHeader;
pub use replay::{Record, Replayed, replay};
pub use segment::{LABELS_VERSION, SegmentName, segments};

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the log did not take an entry. Shared by all entries of a group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// A segment could not be created; nothing was written.
    #[error("cannot create log segment {path}")]
    Create {
        /// The segment.
        path: PathBuf,
        /// What the file system said.
        source: Arc<io::Error>,
    },
    /// The group could not be written; what had been written of it was cut off again.
    #[error("cannot write to log segment {path}")]
    Write {
        /// The segment.
        path: PathBuf,
        /// What the file system said.
        source: Arc<io::Error>,
    },
    /// A sync failed. What the disk holds is unknown, so the log takes nothing more until the daemon is restarted.
    #[error("cannot sync log segment {path}; writes are refused until a restart")]
    Sync {
        /// The segment.
        path: PathBuf,
        /// What the file system said.
        source: Arc<io::Error>,
    },
    /// An earlier failure left the log in an unknown state.
    #[error("the log failed earlier and takes no more writes until a restart")]
    FailedEarlier,
    /// One entry is larger than a record may be. Trying again does not help: it takes smaller batches.
    #[error("the batch would take {bytes} bytes in the log, a record may have {limit}: send smaller batches")]
    RecordTooLarge {
        /// Bytes that it would take.
        bytes: usize,
        /// Bytes that a record may have.
        limit: usize,
    },
    /// The log has grown as long as it may, which it does where sealing does not keep up or fails.
    #[error(
        "the log has {bytes} bytes, the limit is {limit} (wal.max_bytes); writes go on when a seal has shortened it"
    )]
    Long {
        /// Bytes of all segments.
        bytes: u64,
        /// The setting.
        limit: u64,
    },
    /// More bytes wait for the disk than may.
    #[error("{waiting} bytes wait to be written to the log, the limit is {limit}: the disk does not keep up")]
    Overloaded {
        /// Bytes that wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// The daemon is stopping.
    #[error("the log is closed: the daemon is stopping")]
    Closed,
}

/// Why the log could not be read at start-up.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file could not be read, cut or set aside.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The segment was written by a later version.
    #[error("log segment {path} has format version {got}, this version reads 1 to {want}; it was not touched")]
    Version {
        /// The segment.
        path: PathBuf,
        /// What its header says.
        got: u32,
        /// What we read.
        want: u32,
    },
}
