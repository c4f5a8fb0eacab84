//! Which queries run long, in a file that outlives the process: where one of them has ended it, by taking all memory or
//! by what an operator did about it, the next start says which they were.
//!
//! The file is rewritten once a second where the list has changed, and not synced: it outlives the process, not the
//! machine. Queries that take less than a second cost nothing.

use super::parts::Stop;
use crate::api::Api;
use sealine_base::vfs::SharedVfs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the list is written, and how long a query must have run to be on it.
const PERIOD: Duration = Duration::from_secs(1);

/// What is read of a file that somebody else may have written.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The file: a JSON object a line, as `/api/v1/status/active_queries` shows them.
pub struct ActiveQueryTracker {
    vfs: SharedVfs,
    path: PathBuf,
}

impl ActiveQueryTracker {
    /// The file of the data folder `root`.
    pub fn new(vfs: SharedVfs, root: &Path) -> Self {
        ActiveQueryTracker { vfs, path: root.join("running_queries") }
    }

    /// Logs the queries that were running when the process before this one crashed or was killed, and forgets them.
    pub fn log_unfinished(&self) {
        match self.read() {
            Ok(text) => {
                for query in text.lines() {
                    tracing::warn!(query, "this query was running when the daemon last ended");
                }
                self.write("");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot read which queries were running when the daemon last ended")
            }
        }
    }

    fn read(&self) -> io::Result<String> {
        let file = self.vfs.open(&self.path)?;
        let mut bytes = vec![0; file.len()?.min(FILE_BYTES_MAX) as usize];
        file.read_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Replaces the content of the file; without content, the file is removed.
    fn write(&self, text: &str) {
        let replace = || {
            match self.vfs.remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            if text.is_empty() { Ok(()) } else { self.vfs.create(&self.path)?.append(text.as_bytes()) }
        };
        if let Err(error) = replace() {
            tracing::debug!(path = %self.path.display(), %error, "cannot record which queries are running");
        }
    }

    /// Keeps the file up to date until `stop`; then it is removed.
    pub async fn keep(self, api: Arc<Api>, mut stop: Stop) {
        let file = Arc::new(self);
        let mut written = String::new();
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopped = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => true,
                _ = ticks.tick() => false,
            };
            let text = if stopped { String::new() } else { api.long_running(PERIOD) };
            if text != written {
                written.clone_from(&text);
                let file = Arc::clone(&file);
                let _ = tokio::task::spawn_blocking(move || file.write(&text)).await; // it does not panic
            }
            if stopped {
                return;
            }
        }
    }
}
