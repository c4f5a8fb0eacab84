//! The disk tier: chunk files in partitions.
//!
//! A chunk file holds the chunks of one generation (or of several, once merged) of one partition of one database,
//! with the tags and postings that find them. It is written to the side, synced, and renamed into place; from then
//! on it never changes. docs/format/chunks.md has the bytes.

mod archive;
mod file;
mod format;
mod index;
mod index_writer;
mod merge;
mod names;
mod partition;
mod tag_sets;
mod verify;
mod writer;

pub use file::{ChunkFile, FileSelection, FileSeries};
pub use format::TRAILER_BYTES;
pub use index::FileIndex;
pub use merge::{Size, merge, plan_merge, runs};
pub use partition::{FileName, Partition, Partitions, day_name};
pub use verify::{dump, verify_file};
pub use writer::ChunkFileWriter;

use sealine_base::pools::Pools;
use sealine_base::vfs::{Handles, SharedVfs, Sparing};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What chunk files live on: the file system, the handles by which it is read, and the account of the memory that they
/// take.
#[derive(Clone)]
pub struct Volume {
    /// The file system. Where it lacks a descriptor, idle ones among `handles` go.
    pub vfs: SharedVfs,
    /// Those chunk files that are open.
    pub handles: Arc<Handles>,
    /// Where memory is counted.
    pub pools: Arc<Pools>,
}

impl Volume {
    /// One that keeps no more than `open_files_max` files open.
    pub fn new(vfs: SharedVfs, pools: Arc<Pools>, open_files_max: usize) -> Volume {
        let handles = Handles::new(open_files_max);
        Volume { vfs: Sparing::shared(vfs, handles.clone()), handles, pools }
    }

    /// One whose memory and open files nobody bounds: for tools and tests.
    pub fn unbounded(vfs: SharedVfs) -> Volume {
        Volume::new(vfs, Arc::default(), usize::MAX)
    }
}

/// Why the disk tier could not do something.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file system refused.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The bytes are not what was written.
    #[error("chunk file {path} is damaged at byte {offset}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged part starts.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file was written by a later version.
    #[error("chunk file {path} has format version {got}, this version reads up to {want}; it was not touched")]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        got: u32,
        /// The last one that we read.
        want: u32,
    },
}

impl DiskError {
    /// Whether the file itself is bad, so that trying again will not help.
    pub fn is_damage(&self) -> bool {
        matches!(self, DiskError::Damaged { .. })
    }

    /// The file that is damaged.
    pub fn damaged_file(&self) -> Option<&Path> {
        match self {
            DiskError::Damaged { path, .. } => Some(path),
            _ => None,
        }
    }

    fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
        let path = path.to_path_buf();
        move |source| DiskError::File { what, path, source }
    }

    fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> DiskError {
        DiskError::Damaged { path: path.to_path_buf(), offset, what: what.into() }
    }
}

#[cfg(test)]
mod tests;
