//! When to read the files again: a decision on how they look from outside.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How the two files look: for each its number, its size and when it was last written; `None` where it is not there.
pub type Stamp = [Option<(u64, u64, i64, i64)>; 2];

/// How the files look now. Behind a symbolic link, as the file that it leads to.
#[expect(clippy::disallowed_methods, reason = "certificates are no data of ours: other programs write them")]
pub fn stamp(cert: &Path, key: &Path) -> Stamp {
    [cert, key].map(|path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
    })
}

/// Remembers how the files looked when they were read, and the last time that somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    read: Stamp,
    seen: Stamp,
}

impl Watch {
    /// They were read while they looked like this.
    pub fn new(read: Stamp) -> Self {
        Watch { read, seen: read }
    }

    /// Whether to read them: they have changed, and look as they did the last time. So the two files, which are written
    /// one after the other, are not read in between. Each change is read once, whatever the outcome.
    pub fn is_due(&mut self, now: Stamp) -> bool {
        let settled = std::mem::replace(&mut self.seen, now) == now;
        let due = settled && now != self.read;
        if due {
            self.read = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_once_and_only_when_it_has_settled() {
        let stamp = |cert: u64, key: u64| [Some((cert, 1, 1, 1)), Some((key, 1, 1, 1))];
        let mut watch = Watch::new(stamp(1, 1));
        for (name, now, want) in [
            ("as it was", stamp(1, 1), false),
            ("the certificate first", stamp(2, 1), false),
            ("the key after it", stamp(2, 2), false),
            ("settled", stamp(2, 2), true),
            ("read already", stamp(2, 2), false),
            ("one is gone", [Some((2, 1, 1, 1)), None], false),
            ("and back", stamp(2, 2), false),
            ("as it was read", stamp(2, 2), false),
            ("gone", [None, None], false),
            ("for good", [None, None], true),
            ("still", [None, None], false),
        ] {
            assert_eq!(watch.is_due(now), want, "{name}");
        }
    }
}
