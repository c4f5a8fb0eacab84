//! Whether the store can do its work: what `/health` says.

use super::Store;
use std::sync::atomic::Ordering;

impl Store {
    /// Why writes are refused, or files cannot be read, for longer than a moment. Memory that is short for now and a rate
    /// that is passed are no faults: those who are refused for them get in a little later.
    pub fn degraded(&self) -> Option<String> {
        if self.volume.handles.is_short() {
            return Some("files cannot be opened, to write or to read: no file descriptor is left".to_string());
        }
        self.wal.refuses(&self.clock).or_else(|| Some(self.disk_shortage()?.to_string()))
    }

    /// Tries whether files can be opened again, where they could not. Asked every second, since nobody else may try.
    pub fn look_at_descriptors(&self) {
        if self.volume.handles.is_short() {
            let _ = self.volume.vfs.list(&self.options.data_dir); // opens the folder, which the handles take note of
        }
        let short = self.volume.handles.is_short();
        if self.short_of_descriptors.swap(short, Ordering::Relaxed) != short {
            match short {
                true => {
                    tracing::error!("files cannot be opened: raise the limit on open files (ulimit -n, LimitNOFILE)")
                }
                false => tracing::info!("files can be opened again"),
            }
        }
    }
}
