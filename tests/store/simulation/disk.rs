//! A disk in memory that knows what a power cut may take away.
//!
//! Every file has the bytes that programs see and those that the last successful sync made durable; every folder has
//! its names and the changes to them since its last sync. A power cut keeps what is durable and, of the rest, whatever
//! chance decides. A killed process loses nothing of it: the kernel still has it.

use rand::rngs::StdRng;
use rand::{RngExt, seq::IndexedRandom};
use sealine_base::vfs::{Entry, SharedVfs, Vfs, VfsFile};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a disk reads and writes as one.
const SECTOR: usize = 512;

/// An error that an operation answers with, though nothing else is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The operation that fails, counted from the start of the disk.
    pub at: u64,
    /// Whether all after it fail as well, until the disk is healed.
    pub forever: bool,
    /// What the error is.
    pub kind: ErrorKind,
}

/// How a power cut treats the bytes of a file that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// They are gone.
    Dropped,
    /// They are all there.
    Kept,
    /// Those up to some byte are there.
    Torn,
    /// The length is there, the bytes are zero.
    Zeros,
    /// Each sector is there or not, by chance.
    Sectors,
}

pub const LOSSES: [Loss; 5] = [Loss::Dropped, Loss::Kept, Loss::Torn, Loss::Zeros, Loss::Sectors];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    File(usize),
    Folder,
}

#[derive(Debug, Clone, Default)]
struct File {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Bytes before this one that a failed sync has marked as written though they were not: no later sync writes them.
    forgotten: std::ops::Range<usize>,
}

/// A change to the names of a folder.
#[derive(Debug, Clone)]
enum Change {
    Put(String, Target),
    Remove(String),
    /// From, to.
    Move(String, String, Target),
}

#[derive(Debug, Clone, Default)]
struct Folder {
    live: BTreeMap<String, Target>,
    durable: BTreeMap<String, Target>,
    /// What leads from `durable` to `live`.
    pending: Vec<Change>,
}

impl Folder {
    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }
}

fn apply(names: &mut BTreeMap<String, Target>, change: &Change) {
    match change {
        Change::Put(name, target) => drop(names.insert(name.clone(), *target)),
        Change::Remove(name) => drop(names.remove(name)),
        Change::Move(from, to, target) => {
            names.remove(from);
            names.insert(to.clone(), *target);
        }
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    files: Vec<File>,
    folders: BTreeMap<PathBuf, Folder>,
    /// Those that were removed: they come back where the folder above forgets about it.
    removed: BTreeMap<PathBuf, Folder>,
    operations: u64,
    /// The operation at which the power goes; nothing works from then on.
    power_until: Option<u64>,
    dead: bool,
    faults: Vec<Fault>,
    /// Operations that answered with a fault.
    faulted: u64,
    log: Vec<String>,
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// An empty disk with a folder `root`.
    pub fn new(root: &Path) -> Self {
        let mut state = State::default();
        let mut at = PathBuf::new();
        for part in root.components() {
            if let Some(parent) = state.folders.get_mut(&at) {
                let name = part.as_os_str().to_string_lossy().into_owned();
                parent.live.insert(name.clone(), Target::Folder);
                parent.durable.insert(name, Target::Folder);
            }
            at.push(part);
            state.folders.insert(at.clone(), Folder::default());
        }
        SimDisk(Arc::new(Mutex::new(state)))
    }

    /// The disk as the store takes it.
    pub fn shared(&self) -> SharedVfs {
        Arc::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Operations so far that change something.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether the power has gone.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// How many operations answered with a fault.
    pub fn faulted(&self) -> u64 {
        self.state().faulted
    }

    /// Lets the power go at an operation, half way through it where it can be half done.
    pub fn cut_power_at(&self, operation: u64) {
        self.state().power_until = Some(operation);
    }

    /// Answers with an error as the fault says.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// No more faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// The operations so far, for a message.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// The disk as the next process finds it, after this one was killed.
    pub fn after_kill(&self) -> SimDisk {
        let state = self.state();
        let alive = State { power_until: None, dead: false, faults: Vec::new(), ..state.clone() };
        SimDisk(Arc::new(Mutex::new(alive)))
    }

    /// The disk as the machine finds it, after a power cut. Folders lose the end of their pending changes, or some of
    /// them; files lose bytes as `losses` says, each file by itself.
    pub fn after_power_cut(&self, rng: &mut StdRng, losses: &[Loss]) -> SimDisk {
        let state = self.state().clone();
        let mut image = State { operations: state.operations, log: state.log.clone(), ..State::default() };
        image.log.push("--- power cut".to_string());
        let removed = state.removed.iter().filter(|(path, _)| !state.folders.contains_key(*path));
        for (path, folder) in state.folders.iter().chain(removed) {
            let mut names = folder.durable.clone();
            let in_order = rng.random_bool(0.5);
            let kept = rng.random_range(0..=folder.pending.len());
            for (index, change) in folder.pending.iter().enumerate() {
                if if in_order { index < kept } else { rng.random_bool(0.5) } {
                    apply(&mut names, change);
                }
            }
            let folder = Folder { live: names.clone(), durable: names, pending: Vec::new() };
            image.folders.insert(path.clone(), folder);
        }
        for file in &state.files {
            let loss = *losses.choose(rng).expect("some kind of loss");
            let bytes = survived(file, loss, rng);
            image.files.push(File { live: bytes.clone(), durable: bytes, forgotten: 0..0 });
        }
        image.drop_lost_folders();
        SimDisk(Arc::new(Mutex::new(image)))
    }
}

/// What a power cut leaves of a file.
fn survived(file: &File, loss: Loss, rng: &mut StdRng) -> Vec<u8> {
    let (old, new) = (&file.durable, &file.live);
    if old == new && file.forgotten.is_empty() {
        return old.clone();
    }
    let new = without_forgotten(file, new.clone());
    // Where new bytes begin to differ from durable ones.
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    match loss {
        Loss::Dropped => old.clone(),
        Loss::Kept => new,
        Loss::Torn => {
            let cut = rng.random_range(same..=new.len().max(same));
            let mut bytes = new[..cut.min(new.len())].to_vec();
            if bytes.len() < old.len() && rng.random_bool(0.5) {
                bytes.extend_from_slice(&old[bytes.len()..]); // the cut of a truncation did not get through
            }
            bytes
        }
        Loss::Zeros => {
            let mut bytes = old.clone();
            bytes.resize(new.len().max(old.len()), 0);
            bytes
        }
        Loss::Sectors => {
            let mut bytes = old.clone();
            bytes.resize(new.len().max(old.len()), 0);
            for start in (same / SECTOR * SECTOR..new.len()).step_by(SECTOR) {
                let end = (start + SECTOR).min(new.len());
                if rng.random_bool(0.5) {
                    bytes[start..end].copy_from_slice(&new[start..end]);
                }
            }
            bytes
        }
    }
}

fn without_forgotten(file: &File, mut bytes: Vec<u8>) -> Vec<u8> {
    let end = file.forgotten.end.min(bytes.len());
    if file.forgotten.start < end {
        bytes[file.forgotten.start..end].fill(0);
    }
    bytes
}

impl State {
    /// Folders that no folder above names are not there.
    fn drop_lost_folders(&mut self) {
        let paths: Vec<PathBuf> = self.folders.keys().cloned().collect();
        for path in paths {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let Some(parent) = self.folders.get(parent) else {
                if path.parent().is_some_and(|parent| !parent.as_os_str().is_empty()) {
                    self.folders.remove(&path);
                }
                continue;
            };
            if parent.live.get(&*name.to_string_lossy()) != Some(&Target::Folder) {
                self.folders.remove(&path);
            }
        }
    }

    /// Counts an operation. Fails where the power is gone, or goes now, or a fault is due; `Err(None)` says that the
    /// power goes now, so that half of the operation may still be done.
    fn begin(&mut self, what: &str, path: &Path) -> Result<(), Option<io::Error>> {
        if self.dead {
            return Err(Some(io::Error::other("the power is gone")));
        }
        self.operations += 1;
        let number = self.operations;
        self.log.push(format!("{number} {what} {}", path.display()));
        if self.power_until.is_some_and(|until| number >= until) {
            self.dead = true;
            return Err(None);
        }
        let due = |fault: &Fault| fault.at == number || fault.forever && fault.at < number;
        if let Some(fault) = self.faults.iter().copied().find(due) {
            self.faulted += 1;
            self.log.push(format!("{number} fails: {:?}", fault.kind));
            return Err(Some(io::Error::new(fault.kind, "the disk of this test fails")));
        }
        Ok(())
    }

    /// [`Self::begin`] for what is done whole or not at all.
    fn operation(&mut self, what: &str, path: &Path) -> io::Result<()> {
        self.begin(what, path).map_err(|error| error.unwrap_or_else(|| io::Error::other("the power went")))
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    fn folder(&mut self, path: &Path) -> io::Result<&mut Folder> {
        self.folders.get_mut(path).ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no such folder"))
    }

    fn find(&self, path: &Path) -> io::Result<Target> {
        let (parent, name) = split(path)?;
        let folder = self.folders.get(parent);
        let target = folder.and_then(|folder| folder.live.get(&name).copied());
        target.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no such file"))
    }
}

fn split(path: &Path) -> io::Result<(&Path, String)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name.to_string_lossy().into_owned())),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "the path has no name")),
    }
}

impl Vfs for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let mut state = self.state();
        state.operation("create", path)?;
        let (parent, name) = split(path)?;
        if state.find(path).is_ok() {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "the name is taken"));
        }
        let id = state.files.len();
        state.folder(parent)?.change(Change::Put(name, Target::File(id)));
        state.files.push(File::default());
        Ok(Box::new(SimFile { disk: self.clone(), id, path: path.to_path_buf() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let state = self.state();
        state.alive()?;
        match state.find(path)? {
            Target::File(id) => Ok(Box::new(SimFile { disk: self.clone(), id, path: path.to_path_buf() })),
            Target::Folder => Err(io::Error::new(ErrorKind::IsADirectory, "a folder")),
        }
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.open(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state();
        state.alive()?;
        let Some(folder) = state.folders.get(dir) else { return Ok(Vec::new()) };
        let entry = |(name, target): (&String, &Target)| match target {
            Target::File(id) => Entry { name: name.clone(), is_dir: false, bytes: state.files[*id].live.len() as u64 },
            Target::Folder => Entry { name: name.clone(), is_dir: true, bytes: 0 },
        };
        Ok(folder.live.iter().map(entry).collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let mut missing = Vec::new();
        let mut at = dir;
        while !state.folders.contains_key(at) {
            missing.push(at.to_path_buf());
            at = at.parent().ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no folder to begin with"))?;
        }
        for path in missing.into_iter().rev() {
            state.operation("mkdir", &path)?;
            let (parent, name) = split(&path)?;
            state.folder(parent)?.change(Change::Put(name, Target::Folder));
            state.folders.insert(path, Folder::default());
        }
        Ok(())
    }

    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state();
        state.operation(&format!("overwrite {} at {offset}", bytes.len()), path)?;
        let Target::File(id) = state.find(path)? else { return Err(io::Error::other("a folder")) };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let file = &mut state.files[id];
        file.live[from..from + bytes.len()].copy_from_slice(bytes);
        // These bytes are dirty again; what is before them may not be.
        file.forgotten.end = file.forgotten.end.min(from.max(file.forgotten.start));
        file.durable = without_forgotten(file, file.live.clone());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("rename", from)?;
        let target = state.find(from)?;
        let ((from_dir, from_name), (to_dir, to_name)) = (split(from)?, split(to)?);
        if from_dir == to_dir {
            state.folder(from_dir)?.change(Change::Move(from_name, to_name, target));
        } else {
            state.folder(to_dir)?.change(Change::Put(to_name, target));
            state.folder(from_dir)?.change(Change::Remove(from_name));
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("unlink", path)?;
        state.find(path)?;
        let (parent, name) = split(path)?;
        state.folder(parent)?.change(Change::Remove(name));
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("rmdir", dir)?;
        if !state.folder(dir)?.live.is_empty() {
            return Err(io::Error::new(ErrorKind::DirectoryNotEmpty, "there are files in it"));
        }
        let (parent, name) = split(dir)?;
        state.folder(parent)?.change(Change::Remove(name));
        if let Some(folder) = state.folders.remove(dir) {
            state.removed.insert(dir.to_path_buf(), folder);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("sync folder", dir)?;
        let folder = state.folder(dir)?;
        folder.durable = folder.live.clone();
        folder.pending.clear();
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX) // what is full here fails by the operation
    }
}

struct SimFile {
    disk: SimDisk,
    id: usize,
    path: PathBuf,
}

impl VfsFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let outcome = state.begin(&format!("append {}", bytes.len()), &self.path);
        // What fails may be half done.
        let written = if outcome.is_ok() { bytes.len() } else { bytes.len() / 2 };
        if !state.dead || matches!(outcome, Err(None)) {
            state.files[self.id].live.extend_from_slice(&bytes[..written]);
        }
        outcome.map_err(|error| error.unwrap_or_else(|| io::Error::other("the power went")))
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.state();
        state.alive()?;
        let live = &state.files[self.id].live;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = from.checked_add(into.len()).and_then(|to| live.get(from..to));
        let bytes = bytes.ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "the file ends before that"))?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let outcome = state.begin("sync", &self.path);
        let file = &mut state.files[self.id];
        match outcome {
            Ok(()) => file.durable = without_forgotten(file, file.live.clone()),
            // The kernel says it once, and takes the bytes for written from then on.
            Err(Some(_)) => file.forgotten = file.durable.len().min(file.live.len())..file.live.len(),
            Err(None) => {}
        }
        outcome.map_err(|error| error.unwrap_or_else(|| io::Error::other("the power went")))
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.alive()?;
        Ok(state.files[self.id].live.len() as u64)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operation(&format!("truncate to {len}"), &self.path)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let file = &mut state.files[self.id];
        file.live.resize(len.min(file.live.len()), 0);
        Ok(())
    }
}
