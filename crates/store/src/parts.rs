//! The log, rows and chunk files by themselves: for benches, fuzzing and tests. Everybody else goes through
//! [`Store`](crate::Store).

/// Chunk files.
pub mod disk {
    pub use crate::disk::{
        ChunkFile, ChunkFileWriter, FileIndex, FileName, FileSelection, TRAILER_BYTES, Volume, day_name, dump, merge,
        verify_file,
    };
}

/// Rows and their index.
pub mod memory {
    pub use crate::memory::{Field, Index, NewRow};
}

/// The log, and what its records hold.
pub mod wal {
    pub use crate::batch::dump_record;
    pub use crate::wal::{Dictionary, Entry, Event, Options, RecordHeader, SegmentName, Wal, dump, replay};
}
