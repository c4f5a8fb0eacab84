//! The machine's disk with a rule for what it refuses: full, failing, stubborn.

use sealine_base::vfs::{DiskVfs, Entry, SharedVfs, Vfs, VfsFile};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What is about to be done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Create,
    /// Where it is refused, half of the bytes are written first.
    Append,
    Sync,
    Rename,
    Unlink,
    /// Of an open file, or to open it.
    Read,
}

/// Whether to refuse an act on a file.
type Rule = Box<dyn FnMut(Act, &Path) -> bool + Send>;

/// A disk that refuses what its rule says.
#[derive(Clone)]
pub struct FaultyDisk {
    disk: SharedVfs,
    rule: Arc<Mutex<Rule>>,
}

impl FaultyDisk {
    /// A disk that refuses what `rule` says.
    pub fn refusing(rule: impl FnMut(Act, &Path) -> bool + Send + 'static) -> FaultyDisk {
        FaultyDisk { disk: DiskVfs::shared(), rule: Arc::new(Mutex::new(Box::new(rule))) }
    }

    /// From now on it refuses what `rule` says.
    pub fn refuse(&self, rule: impl FnMut(Act, &Path) -> bool + Send + 'static) {
        *self.rule.lock().expect("no rule panics") = Box::new(rule);
    }

    /// From now on it does as it is told.
    pub fn heal(&self) {
        self.refuse(|_, _| false);
    }

    /// The disk as the store takes it.
    pub fn shared(&self) -> SharedVfs {
        Arc::new(self.clone())
    }

    fn ask(&self, act: Act, path: &Path) -> io::Result<()> {
        match (self.rule.lock().expect("no rule panics"))(act, path) {
            true => Err(io::Error::new(io::ErrorKind::StorageFull, "the disk of this test refuses")),
            false => Ok(()),
        }
    }

    fn file(&self, path: &Path, file: io::Result<Box<dyn VfsFile>>) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(FaultyFile { disk: self.clone(), path: path.to_path_buf(), file: file? }))
    }
}

impl Vfs for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.ask(Act::Create, path)?;
        self.file(path, self.disk.create(path))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.ask(Act::Read, path)?;
        self.file(path, self.disk.open(path))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.file(path, self.disk.open_append(path))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.ask(Act::Append, path)?;
        self.disk.overwrite(path, bytes, offset)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Act::Rename, from)?;
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.ask(Act::Unlink, path)?;
        self.disk.remove_file(path)
    }
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Box<dyn VfsFile>,
}

impl VfsFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(refused) = self.disk.ask(Act::Append, &self.path) {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(refused);
        }
        self.file.append(bytes)
    }
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.ask(Act::Read, &self.path)?;
        self.file.read_at(into, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.disk.ask(Act::Sync, &self.path)?;
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}
