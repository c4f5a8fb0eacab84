//! What gives way when memory runs short: [`sealine_base::pools::Step`] has the order.
//!
//! Seals are due earlier (`schedule`), files let go here, and queries and writes ask the pools before they take more.

use super::Store;
use crate::disk::ChunkFile;
use sealine_base::pools::Step;
use std::sync::Arc;

impl Store {
    /// Drops what chunk files hold in memory, if that is short. Called every second, and between the files of a query.
    pub fn shed(&self) {
        let wanted = self.pools.beyond(Step::Files);
        if wanted == 0 {
            return;
        }
        let (files, bytes) = self.let_go_of_files(wanted);
        if files > 0 {
            self.telemetry.memory.files_dropped.inc_by(files);
            tracing::debug!(files, bytes, "memory is short: chunk files were dropped from memory");
        }
    }

    /// Indexes first, then chunks of young files; of each, what nobody has asked for lately, and then the oldest days.
    /// Returns how many went, and their bytes.
    fn let_go_of_files(&self, wanted: u64) -> (u64, u64) {
        let (used, unused): (Vec<_>, Vec<_>) = self.chunk_files().into_iter().partition(|file| file.was_used());
        let in_order = || unused.iter().chain(&used);
        let (mut files, mut bytes) = (0, 0);
        let indexes = in_order().map(|file| -> Box<dyn FnOnce() -> u64> { Box::new(|| file.unload()) });
        let chunks = in_order().map(|file| -> Box<dyn FnOnce() -> u64> { Box::new(|| evict(file)) });
        for let_go in indexes.chain(chunks) {
            if bytes >= wanted {
                break;
            }
            let gone = let_go();
            files += u64::from(gone > 0);
            bytes += gone;
        }
        (files, bytes)
    }

    /// All chunk files, the oldest days first.
    fn chunk_files(&self) -> Vec<Arc<ChunkFile>> {
        let mut partitions = self.partitions.all();
        partitions.sort_by_key(|partition| partition.day);
        partitions.iter().flat_map(|partition| partition.files()).collect()
    }
}

/// Lets go of a file's chunks, which are on disk.
fn evict(file: &ChunkFile) -> u64 {
    let (bytes, _) = file.memory_bytes();
    match file.set_resident(false) {
        Ok(()) => bytes,
        Err(_) => 0, // nothing is read for that, so nothing fails
    }
}
