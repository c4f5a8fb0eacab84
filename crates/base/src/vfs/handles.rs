//! Files that are kept open to be read again: as many as fit, those that were used last.
//!
//! A file that lost its handle is opened by its name when it is asked for again. Where its name may lead elsewhere by
//! then, its handle is held: it stays until it is released.

use super::{Entry, SharedVfs, Vfs, VfsFile};
use hashbrown::HashMap;
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of the room, handles that are held may take one part in this many.
const HELD_PART: usize = 2;

/// An open file that several readers share.
pub type Handle = Arc<dyn VfsFile>;

/// What stands for a file among the handles: no two files have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandleId(u64);

/// The handles.
pub struct Handles {
    room: usize,
    next_id: AtomicU64,
    open: Mutex<Open>,
    /// Whether the last file that was wanted could not be opened for want of a descriptor.
    short: AtomicBool,
}

/// Invariant: `by_use` has exactly those of `by_id` that are not held, each under its `used`.
#[derive(Default)]
struct Open {
    by_id: HashMap<HandleId, Place>,
    by_use: BTreeMap<u64, HandleId>,
    /// Counts uses; the last one has this number.
    uses: u64,
    held: usize,
}

struct Place {
    handle: Handle,
    used: u64,
    held: bool,
}

/// There is no descriptor left, after idle handles have been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDescriptor {
    /// The process has as many as it may.
    #[error("this process has {limit} files and sockets open, which is its limit: raise it (ulimit -n, LimitNOFILE)")]
    Process {
        /// The limit.
        limit: u64,
    },
    /// All processes together have as many as they may.
    #[error("the machine has reached its limit on open files: raise fs.file-max")]
    Machine,
}

impl NoDescriptor {
    /// Whether this is why something could not be opened.
    pub fn is_cause_of(error: &(dyn std::error::Error + 'static)) -> bool {
        crate::causes::chain(error).any(|error| {
            // An I/O error does not give what it wraps as its source.
            let shared = error.downcast_ref::<Arc<io::Error>>().map(|error| &**error);
            let io = error.downcast_ref::<io::Error>().or(shared);
            io.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<NoDescriptor>())
        })
    }

    /// What the kernel says by these errors.
    fn of(error: &io::Error) -> Option<NoDescriptor> {
        let code = error.raw_os_error()?;
        if code == Errno::MFILE.raw_os_error() {
            Some(NoDescriptor::Process { limit: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) })
        } else if code == Errno::NFILE.raw_os_error() {
            Some(NoDescriptor::Machine)
        } else {
            None
        }
    }
}

impl Handles {
    /// Room for so many.
    pub fn new(room: usize) -> Arc<Handles> {
        Arc::new(Handles { room, next_id: AtomicU64::new(0), open: Mutex::default(), short: AtomicBool::new(false) })
    }

    /// A number for a file.
    pub fn id(&self) -> HandleId {
        HandleId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// The handle of a file, which `open` opens where it has none.
    pub fn get(&self, id: HandleId, open: impl FnOnce() -> io::Result<Box<dyn VfsFile>>) -> io::Result<Handle> {
        {
            let mut handles = self.open.lock();
            if let Some(handle) = handles.touch(id) {
                return Ok(handle);
            }
            handles.keep(self.room.saturating_sub(1)); // room for this one, before there are too many
        }
        let handle: Handle = open()?.into();
        let mut handles = self.open.lock();
        if let Some(others) = handles.touch(id) {
            return Ok(others); // somebody else opened it meanwhile
        }
        handles.insert(id, handle.clone());
        handles.keep(self.room);
        Ok(handle)
    }

    /// Opens the file, where it has no handle, and holds that from now on. Says whether there was room: the rest is for
    /// files that are read.
    pub fn hold(&self, id: HandleId, open: impl FnOnce() -> io::Result<Box<dyn VfsFile>>) -> io::Result<bool> {
        let handle = self.get(id, open)?;
        let mut handles = self.open.lock();
        if handles.touch(id).is_none() {
            handles.insert(id, handle);
        }
        if handles.held >= (self.room / HELD_PART).max(1) {
            return Ok(handles.by_id[&id].held);
        }
        handles.set_held(id, true);
        Ok(true)
    }

    /// The handle need not be held after all.
    pub fn let_go(&self, id: HandleId) {
        self.open.lock().set_held(id, false);
    }

    /// The file is gone.
    pub fn close(&self, id: HandleId) {
        let mut handles = self.open.lock();
        handles.set_held(id, false);
        if let Some(place) = handles.by_id.remove(&id) {
            handles.by_use.remove(&place.used);
        }
    }

    /// Closes all that are not held.
    fn close_idle(&self) {
        self.open.lock().keep(0);
    }

    /// Whether the last file that was wanted could not be opened for want of a descriptor.
    pub fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.open.lock().by_id.len()
    }

    /// Does what needs a descriptor. Where there is none left it closes idle handles and tries once more.
    fn with_descriptor<T>(&self, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let done = match act() {
            Err(error) if NoDescriptor::of(&error).is_some() => {
                self.close_idle();
                act().map_err(|error| NoDescriptor::of(&error).map_or(error, io::Error::other))
            }
            done => done,
        };
        let short = done.as_ref().is_err_and(|error| NoDescriptor::is_cause_of(error));
        if short != self.is_short() {
            self.short.store(short, Ordering::Relaxed);
        }
        done
    }
}

impl Open {
    /// The handle of a file, used now.
    fn touch(&mut self, id: HandleId) -> Option<Handle> {
        let place = self.by_id.get_mut(&id)?;
        if !place.held && place.used != self.uses {
            self.by_use.remove(&place.used);
            self.uses += 1;
            place.used = self.uses;
            self.by_use.insert(place.used, id);
        }
        Some(place.handle.clone())
    }

    fn insert(&mut self, id: HandleId, handle: Handle) {
        self.uses += 1;
        self.by_use.insert(self.uses, id);
        self.by_id.insert(id, Place { handle, used: self.uses, held: false });
    }

    fn set_held(&mut self, id: HandleId, held: bool) {
        let Some(place) = self.by_id.get_mut(&id).filter(|place| place.held != held) else { return };
        place.held = held;
        if held {
            self.by_use.remove(&place.used);
            self.held += 1;
        } else {
            self.by_use.insert(place.used, id);
            self.held -= 1;
        }
    }

    /// Closes those that were used longest ago, until there are no more than so many.
    fn keep(&mut self, count: usize) {
        while self.by_id.len() > count {
            let Some((_, id)) = self.by_use.pop_first() else { return }; // the others are held
            self.by_id.remove(&id);
        }
    }
}

/// A file system that closes idle handles where there is no descriptor left for something, and tries once more.
pub struct Sparing {
    vfs: SharedVfs,
    handles: Arc<Handles>,
}

impl Sparing {
    /// `vfs`, beside these handles of its files.
    pub fn shared(vfs: SharedVfs, handles: Arc<Handles>) -> SharedVfs {
        Arc::new(Sparing { vfs, handles })
    }
}

impl Vfs for Sparing {
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.handles.with_descriptor(|| self.vfs.create(path))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.handles.with_descriptor(|| self.vfs.open(path))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.handles.with_descriptor(|| self.vfs.open_append(path))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.handles.with_descriptor(|| self.vfs.list(dir))
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.vfs.create_dir_all(dir)
    }
    fn overwrite(&self, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.handles.with_descriptor(|| self.vfs.overwrite(path, bytes, offset))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.vfs.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.vfs.remove_file(path)
    }
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.vfs.remove_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.handles.with_descriptor(|| self.vfs.sync_dir(dir))
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.vfs.free_bytes(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Nothing;

    impl VfsFile for Nothing {
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn truncate(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    /// Asks for a file; says whether it had to be opened.
    fn opens(handles: &Handles, id: HandleId) -> bool {
        let opened = Cell::new(false);
        let open = || -> io::Result<Box<dyn VfsFile>> {
            opened.set(true);
            Ok(Box::new(Nothing))
        };
        handles.get(id, open).unwrap();
        opened.get()
    }

    fn hold(handles: &Handles, id: HandleId) -> bool {
        handles.hold(id, || Ok(Box::new(Nothing))).unwrap()
    }

    #[test]
    fn those_that_were_used_last_stay() {
        let handles = Handles::new(3);
        let ids: Vec<HandleId> = (0..4).map(|_| handles.id()).collect();
        for (asked, opened) in
            [(0, true), (1, true), (2, true), (0, false), (3, true), (0, false), (1, true), (2, true)]
        {
            assert_eq!(opens(&handles, ids[asked]), opened, "{asked}");
            assert!(handles.count() <= 3);
        }
        handles.close(ids[2]);
        assert_eq!((opens(&handles, ids[2]), handles.count()), (true, 3));
        let none = Handles::new(0);
        assert!(opens(&none, ids[0]) && opens(&none, ids[0]), "without room it opens and closes");
    }

    #[test]
    fn what_is_held_stays_until_it_is_let_go_of() {
        let handles = Handles::new(4);
        let ids: Vec<HandleId> = (0..10).map(|_| handles.id()).collect();
        assert_eq!([0, 1, 2].map(|at| hold(&handles, ids[at])), [true, true, false], "half of the room");
        assert!(hold(&handles, ids[0]), "it is held already");
        for _ in 0..2 {
            assert!(ids[3..].iter().all(|id| opens(&handles, *id)), "they share what is left");
            assert!(!opens(&handles, ids[0]) && !opens(&handles, ids[1]));
            assert_eq!(handles.count(), 4);
        }
        handles.let_go(ids[0]);
        handles.close(ids[1]);
        assert!(hold(&handles, ids[2]) && hold(&handles, ids[3]));
        handles.close_idle();
        assert_eq!((handles.count(), opens(&handles, ids[0])), (2, true));
    }

    #[test]
    fn without_a_descriptor_idle_handles_go_and_it_is_tried_once_more() {
        let handles = Handles::new(4);
        let id = handles.id();
        let tried = Cell::new(0);
        for (errno, fails, tries, text) in [
            (Errno::MFILE, 1, 2, None),
            (Errno::MFILE, 2, 2, Some("which is its limit: raise it")),
            (Errno::NFILE, 9, 2, Some("raise fs.file-max")),
            (Errno::ACCESS, 1, 1, Some("denied")),
        ] {
            opens(&handles, id);
            tried.set(0);
            let done = handles.with_descriptor(|| {
                tried.set(tried.get() + 1);
                if tried.get() <= fails { Err(io::Error::from(errno)) } else { Ok(()) }
            });
            assert_eq!((tried.get(), handles.count()), (tries, 2 - tries), "{errno:?}");
            let short = text.is_some() && tries == 2;
            assert_eq!(handles.is_short(), short);
            match (done, text) {
                (Ok(()), None) => {}
                (Err(error), Some(text)) => {
                    assert!(error.to_string().contains(text), "{error}");
                    assert_eq!(NoDescriptor::is_cause_of(&error), short);
                    assert_eq!(NoDescriptor::is_cause_of(&Arc::new(error)), short, "as the log shares it");
                }
                (done, text) => panic!("{errno:?}: got {done:?}, want {text:?}"),
            }
        }
    }
}
