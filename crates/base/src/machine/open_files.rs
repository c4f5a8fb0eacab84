//! File descriptors: how many this process may have, and who may have how many of them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// What the daemon itself needs at any time: its listeners and runtimes (about fifteen), the log, a seal and a merge side
/// by side, and what is open for a moment.
const OWN: usize = 32;

/// Of the rest, handles of chunk files may take one in this many.
const CHUNK_FILES_PART: usize = 4;

/// The fewest handles of chunk files that are worth it, and the most that help: to open a file again takes microseconds.
const CHUNK_FILES: (usize, usize) = (8, 4096);

/// The budget of file descriptors. Whoever keeps one open has a share here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// All that the process may have open.
    pub limit: usize,
    /// Handles of chunk files that are kept to be read again.
    pub chunk_files: usize,
    /// Sockets of clients, including those that are refused because there are too many.
    pub connections: usize,
}

impl OpenFiles {
    /// The budget under the limit as it is now.
    pub fn of_process() -> OpenFiles {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        OpenFiles::of_limit(limit, cores)
    }

    /// Each core may read a file that has just lost its handle to another.
    fn of_limit(limit: usize, cores: usize) -> OpenFiles {
        let rest = limit.saturating_sub(OWN + cores);
        let chunk_files = (rest / CHUNK_FILES_PART).clamp(CHUNK_FILES.0, CHUNK_FILES.1);
        OpenFiles { limit, chunk_files, connections: rest.saturating_sub(chunk_files).max(1) }
    }

    /// Raises the soft limit to the hard one, which is what the administrator allows. The soft one is low (1,024 mostly)
    /// for the sake of programs that call `select`; this one does not.
    pub fn raise_limit() -> io::Result<()> {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current == maximum {
            return Ok(());
        }
        Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_come_to_no_more_than_the_limit() {
        for (limit, cores, chunk_files, connections) in [
            (64, 2, 8, 22),
            (256, 2, 55, 167),
            (1024, 2, 247, 743),
            (1024, 128, 216, 648),
            (1 << 20, 2, 4096, (1 << 20) - 34 - 4096),
            (usize::MAX, 1, 4096, usize::MAX - 33 - 4096),
        ] {
            let want = OpenFiles { limit, chunk_files, connections };
            assert_eq!(OpenFiles::of_limit(limit, cores), want);
            assert!(chunk_files + connections <= limit - OWN - cores);
        }
        let tiny = OpenFiles::of_limit(20, 2);
        assert_eq!((tiny.chunk_files, tiny.connections), (8, 1), "it tries all the same");
    }
}
