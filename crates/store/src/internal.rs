//! The door for what the daemon stores about itself, in [`INTERNAL_DATABASE`]. Limits on what clients send are not about
//! it: it counts towards none and is refused by none. Memory and the disk have their say.

use super::{Batch, INTERNAL_DATABASE, NotNow, Stage, Store};
use crate::wal::WalError;
use sealine_lineproto::Precision;

impl Store {
    /// Starts a batch of the daemon's own samples.
    pub fn stage_internal(&self) -> Stage {
        let database = self.databases.get_or_create(INTERNAL_DATABASE);
        self.stage_in(database, Precision::Milliseconds, false)
    }

    /// Whether such a batch is taken now.
    pub fn admit_internal(&self) -> Result<(), NotNow> {
        self.pools.admit_write(0)?;
        self.space.admit()
    }

    /// Logs and applies it, as [`Self::append_blocking`] does.
    pub fn append_internal(&self, batch: Batch) -> Result<(), WalError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.wal.append(batch).blocking_recv().unwrap_or(Err(WalError::Closed))
    }
}
