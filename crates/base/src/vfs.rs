//! The only place that touches files of the data directory. Narrow, so that a test can put a disk behind it that
//! forgets, fails or fills up.

mod handles;

pub use handles::{Handle, HandleId, Handles, NoDescriptor, Sparing};

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file system as the store needs it: append, read at an offset, sync, name, unlink.
pub trait Vfs: Send + Sync {
    /// Creates a file to append to; an error where the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;
    /// Opens a file to read.
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;
    /// Opens a file to read, append to and truncate.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;
    /// What lies in a folder, sorted by name. A folder that does not exist is empty.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Creates a folder and those above it. Durable once the parents are synced.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Writes over bytes that are there, and makes them durable.
    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Gives a file another name, replacing what had it. Durable once the folder is synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Unlinks a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes names created, changed and removed in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that may still be written to the file system of a folder.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait VfsFile: Send + Sync {
    /// Writes all of `bytes` at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Fills `into` from `offset`, or fails with `UnexpectedEof`.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes everything appended so far durable, the length included.
    fn sync(&self) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name alone. Names that are not UTF-8 are not ours and are left out of listings.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length in bytes of a file, 0 of a folder.
    pub bytes: u64,
}

/// A file system as components share it.
pub type SharedVfs = Arc<dyn Vfs>;

/// The machine's file system.
pub struct DiskVfs;

impl DiskVfs {
    /// The machine's file system, ready to share.
    pub fn shared() -> SharedVfs {
        Arc::new(DiskVfs)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that touches files")]
impl Vfs for DiskVfs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(DiskFile(fs::OpenOptions::new().read(true).append(true).create_new(true).open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(DiskFile(fs::File::open(path)?)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(DiskFile(fs::OpenOptions::new().read(true).append(true).open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // unlinked while we list
                Err(error) => return Err(error),
            };
            found.push(Entry { name, is_dir: meta.is_dir(), bytes: if meta.is_dir() { 0 } else { meta.len() } });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Not for appending: a file that is open for that takes all bytes at its end, wherever they should go.
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.write_all_at(bytes, offset)?;
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(dir)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

struct DiskFile(fs::File);

impl VfsFile for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// Creates `dir` below `root` and makes each new name on the way durable.
pub fn create_dir_durable(vfs: &dyn Vfs, root: &Path, dir: &Path) -> io::Result<()> {
    vfs.create_dir_all(dir)?;
    let mut at: PathBuf = dir.to_path_buf();
    while let Some(parent) = at.parent().map(Path::to_path_buf) {
        vfs.sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { &parent })?;
        if at == root || parent.as_os_str().is_empty() {
            break;
        }
        at = parent;
    }
    Ok(())
}
