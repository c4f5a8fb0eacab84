//! Partitions on disk: `<data>/db/<database>/<day>/<first>-<last>.chunks`.
//!
//! A file that holds generations 3 to 7 replaces every file of its partition whose generations lie within; that is all
//! a merge has to say to be seen whole or not at all, and all a start after a crash has to know.

use super::file::ChunkFile;
use super::{DiskError, Volume};
use parking_lot::{Mutex, RwLock};
use sealine_base::vfs::{Entry, create_dir_durable};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a chunk file is called: the generations that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileName {
    /// The first generation.
    pub first: u64,
    /// The last generation: files of a partition count in its order, of equal times the later file's sample.
    pub last: u64,
}

impl FileName {
    /// The name in a file name; `None` for files that are not chunk files.
    pub fn parse(name: &str) -> Option<FileName> {
        let (first, last) = name.strip_suffix(".chunks")?.split_once('-')?;
        let parsed = FileName { first: first.parse().ok()?, last: last.parse().ok()? };
        (parsed.to_string() == name && parsed.first <= parsed.last).then_some(parsed)
    }

    /// Whether a file of this name holds all that one of the other name holds.
    pub fn contains(&self, other: &FileName) -> bool {
        self.first <= other.first && self.last >= other.last
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}-{:010}.chunks", self.first, self.last)
    }
}

/// The name of a partition's folder, `2023-11-14`.
pub fn day_name(partition: i64) -> String {
    match i32::try_from(partition).ok().and_then(|days| EPOCH.checked_add(jiff::Span::new().try_days(days).ok()?).ok())
    {
        Some(date) => date.to_string(),
        None => format!("day{partition}"), // beyond the years that have a name
    }
}

/// The partition whose folder has this name.
pub fn parse_day(name: &str) -> Option<i64> {
    let day = match name.strip_prefix("day") {
        Some(number) => number.parse().ok()?,
        None => i64::from(name.parse::<jiff::civil::Date>().ok()?.since(EPOCH).ok()?.get_days()),
    };
    (day_name(day) == name).then_some(day)
}

const EPOCH: jiff::civil::Date = jiff::civil::Date::constant(1970, 1, 1);

/// One partition of one database.
pub struct Partition {
    /// Its database.
    pub database: Arc<str>,
    /// Days since the epoch.
    pub day: i64,
    /// Its folder.
    pub dir: PathBuf,
    files: RwLock<Vec<Arc<ChunkFile>>>,
    /// A sentence for each file that was set aside: what answers over this day have to do without.
    lost: RwLock<Vec<String>>,
}

impl Partition {
    /// Its files in the order in which they count.
    pub fn files(&self) -> Vec<Arc<ChunkFile>> {
        self.files.read().clone()
    }

    /// Puts a file that has been made durable in the place of those that it contains.
    pub fn publish(&self, file: Arc<ChunkFile>) {
        let mut files = self.files.write();
        files.retain(|older| {
            let gone = file.name().contains(&older.name());
            // A file that was archived by itself has its own name again: the rename has replaced it already, and who
            // reads the older one has it open.
            if gone && file.name() != older.name() {
                older.supersede();
            }
            !gone
        });
        files.push(file);
        files.sort_by_key(|file| (file.name().last, file.name().first));
    }

    /// What answers over this day have to do without, a sentence each.
    pub fn lost(&self) -> Vec<String> {
        self.lost.read().clone()
    }

    /// Takes a file out, so that it is no longer read; `what` says why. Says whether it was still in.
    fn withdraw(&self, file: &Arc<ChunkFile>, what: &str) -> bool {
        let mut files = self.files.write();
        let before = files.len();
        files.retain(|f| !Arc::ptr_eq(f, file));
        let was_in = files.len() < before;
        if was_in {
            self.lost.write().push(what.to_string());
        }
        was_in
    }
}

/// Databases, their days, and the partition of each.
type ByDay = BTreeMap<Arc<str>, BTreeMap<i64, Arc<Partition>>>;

/// All partitions.
pub struct Partitions {
    volume: Volume,
    root: PathBuf,
    by_day: RwLock<ByDay>,
    /// Folders of expired partitions in which files wait for their last readers.
    left: Mutex<Vec<PathBuf>>,
}

impl Partitions {
    /// Finds the partitions below `root` by listing folders: no file is opened. Removes what a crash left half done,
    /// and files that another one contains. Files in `quarantine` are missing from the partitions that they came from.
    pub fn open(volume: Volume, root: &Path, quarantine: &Path) -> Result<Partitions, DiskError> {
        let partitions =
            Partitions { volume, root: root.to_path_buf(), by_day: RwLock::default(), left: Mutex::default() };
        // A process that was killed may have left names that only the kernel has. What is found counts from here on, so
        // it must not go with the next power cut.
        let list = |dir: &Path| {
            partitions.volume.vfs.sync_dir(dir).map_err(DiskError::file("sync folder", dir))?;
            partitions.volume.vfs.list(dir).map_err(DiskError::file("list folder", dir))
        };
        for database in list(root)?.into_iter().filter(|entry| entry.is_dir) {
            let Some(name) = unescape(&database.name) else {
                tracing::warn!(
                    folder = database.name,
                    "a folder among the databases is not Sealine's and is left alone"
                );
                continue;
            };
            let dir = root.join(&database.name);
            for day in list(&dir)?.into_iter().filter(|entry| entry.is_dir) {
                let Some(number) = parse_day(&day.name) else {
                    tracing::warn!(folder = %dir.join(&day.name).display(), "a folder among the partitions is not Sealine's and is left alone");
                    continue;
                };
                let dir = dir.join(&day.name);
                let files = partitions.open_partition(&dir, list(&dir)?)?;
                partitions.insert(&name, number, dir, files);
            }
        }
        partitions.miss_what_is_in(quarantine)?;
        Ok(partitions)
    }

    /// Notes for each file that an earlier run has set aside, and that is still there, what is missing.
    fn miss_what_is_in(&self, quarantine: &Path) -> Result<(), DiskError> {
        let set_aside = self.volume.vfs.list(quarantine).map_err(DiskError::file("list folder", quarantine))?;
        for entry in set_aside.iter().filter(|entry| !entry.is_dir) {
            let Some((database, day, name)) = parse_set_aside(&entry.name) else { continue };
            for partition in self.between(&database, day, day) {
                let place = quarantine.join(&entry.name);
                partition.lost.write().push(format!(
                    "data is missing from this answer: chunk file {name} of {} was damaged and lies in {}",
                    partition.dir.display(),
                    place.display()
                ));
            }
        }
        Ok(())
    }

    fn open_partition(&self, dir: &Path, entries: Vec<Entry>) -> Result<Vec<Arc<ChunkFile>>, DiskError> {
        let mut files = Files::new();
        for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
            let path = dir.join(&entry.name);
            if entry.name.ends_with(".chunks.tmp") {
                self.volume.vfs.remove_file(&path).map_err(DiskError::file("remove unfinished file", &path))?;
            } else if let Some(name) = FileName::parse(&entry.name) {
                files.push((name, entry.bytes));
            } else {
                tracing::warn!(path = %path.display(), "a file among the chunk files is not Sealine's and is left alone");
            }
        }
        let (kept, superseded) = sift(files);
        for (name, _) in superseded {
            let path = dir.join(name.to_string());
            self.volume.vfs.remove_file(&path).map_err(DiskError::file("remove superseded file", &path))?;
        }
        let found = |(name, bytes): (FileName, u64)| {
            Arc::new(ChunkFile::found(self.volume.clone(), dir.join(name.to_string()), name, bytes))
        };
        Ok(kept.into_iter().map(found).collect())
    }

    fn insert(&self, database: &str, day: i64, dir: PathBuf, files: Vec<Arc<ChunkFile>>) -> Arc<Partition> {
        let mut by_day = self.by_day.write();
        let database: Arc<str> = match by_day.get_key_value(database) {
            Some((name, _)) => name.clone(),
            None => database.into(),
        };
        let make = || {
            Arc::new(Partition {
                database: database.clone(),
                day,
                dir,
                files: RwLock::new(files),
                lost: RwLock::default(),
            })
        };
        by_day.entry(database.clone()).or_default().entry(day).or_insert_with(make).clone()
    }

    /// The partition of a day, its folder made durable where it is new.
    pub fn get_or_create(&self, database: &str, day: i64) -> Result<Arc<Partition>, DiskError> {
        if let Some(partition) = self.by_day.read().get(database).and_then(|days| days.get(&day)) {
            return Ok(partition.clone());
        }
        let dir = self.root.join(escape(database)).join(day_name(day));
        create_dir_durable(&*self.volume.vfs, &self.root, &dir).map_err(DiskError::file("create folder", &dir))?;
        Ok(self.insert(database, day, dir, Vec::new()))
    }

    /// The names of all databases that have a partition.
    pub fn databases(&self) -> Vec<Arc<str>> {
        self.by_day.read().keys().cloned().collect()
    }

    /// The partitions of a database between two days, both included, oldest first.
    pub fn between(&self, database: &str, first: i64, last: i64) -> Vec<Arc<Partition>> {
        let by_day = self.by_day.read();
        let days = by_day.get(database).into_iter().filter(|_| first <= last);
        days.flat_map(|days| days.range(first..=last)).map(|(_, partition)| partition.clone()).collect()
    }

    /// The newest day that a database has a partition of.
    pub fn newest_day(&self, database: &str) -> Option<i64> {
        self.by_day.read().get(database)?.last_key_value().map(|(day, _)| *day)
    }

    /// Every partition.
    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.by_day.read().values().flat_map(|days| days.values().cloned()).collect()
    }

    /// Drops a partition: its files are unlinked one by one, which needs no free space, then its folder. What a query
    /// reads is unlinked once that has ended, and its folder by [`Self::remove_left`]. Returns the bytes that went, or will.
    pub fn expire(&self, partition: &Arc<Partition>) -> Result<u64, DiskError> {
        if let Some(days) = self.by_day.write().get_mut(&partition.database) {
            days.remove(&partition.day);
        }
        let (mut bytes, mut first_error) = (0, None);
        for file in std::mem::take(&mut *partition.files.write()) {
            let length = file.bytes();
            let removed = match Arc::try_unwrap(file) {
                Ok(file) => file.remove(),
                Err(read) => {
                    read.supersede();
                    Ok(())
                }
            };
            match removed {
                Ok(()) => bytes += length,
                // The others go all the same; this one is found again at the next start.
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        self.left.lock().push(partition.dir.clone());
        self.remove_left()?;
        first_error.map_or(Ok(bytes), Err)
    }

    /// Removes the folders of expired partitions, as far as they are empty. Nothing may be written meanwhile.
    pub fn remove_left(&self) -> Result<(), DiskError> {
        let in_use: BTreeSet<PathBuf> = self.all().iter().map(|partition| partition.dir.clone()).collect();
        let mut left = self.left.lock();
        for dir in std::mem::take(&mut *left) {
            let waits = |names: Vec<Entry>| names.iter().any(|entry| FileName::parse(&entry.name).is_some());
            if in_use.contains(&dir) {
                continue; // samples of that day have come since
            } else if self.volume.vfs.remove_dir(&dir).is_ok() {
                let parent = dir.parent().unwrap_or(&self.root);
                self.volume.vfs.sync_dir(parent).map_err(DiskError::file("sync folder", parent))?;
            } else if self.volume.vfs.list(&dir).is_ok_and(waits) {
                left.push(dir);
            } // else a folder that holds something that is not ours stays
        }
        Ok(())
    }

    /// Moves a damaged file out of its partition into `quarantine`, where it is kept under a name that tells where it
    /// came from; `what` is the sentence for answers that miss it. `None` where somebody else has just done so.
    pub fn quarantine(
        &self,
        partition: &Partition,
        file: &Arc<ChunkFile>,
        quarantine: &Path,
        what: &str,
    ) -> Result<Option<PathBuf>, DiskError> {
        if !partition.withdraw(file, what) {
            return Ok(None);
        }
        // One that cannot be opened cannot be read either.
        if file.hold_open().is_ok_and(|held| !held) {
            let source = io::Error::other("queries read too many files that have been replaced; it stays where it is");
            return Err(DiskError::file("set aside", file.path())(source));
        }
        let to = quarantine.join(set_aside_name(&partition.database, partition.day, file.name()));
        self.volume.vfs.create_dir_all(quarantine).map_err(DiskError::file("create folder", quarantine))?;
        self.volume.vfs.rename(file.path(), &to).map_err(DiskError::file("move to quarantine", file.path()))?;
        for dir in [quarantine, &partition.dir] {
            self.volume.vfs.sync_dir(dir).map_err(DiskError::file("sync folder", dir))?;
        }
        Ok(Some(to))
    }
}

/// Names of files, and their lengths.
type Files = Vec<(FileName, u64)>;

/// Tells the files of a folder that count, in the order in which they do, from those that another one contains. In one
/// walk: a folder may have thousands.
fn sift(mut files: Files) -> (Files, Files) {
    // Last to first, and of those that end together the longest in front: what contains a file comes before it.
    files.sort_unstable_by_key(|(name, _)| (Reverse(name.last), name.first));
    let mut covered_from = None;
    let (mut kept, superseded): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| {
        let counts = covered_from.is_none_or(|from| name.first < from);
        if counts {
            covered_from = Some(name.first);
        }
        counts
    });
    kept.reverse();
    (kept, superseded)
}

/// What a file is called in quarantine: the name says where it came from.
fn set_aside_name(database: &str, day: i64, name: FileName) -> String {
    format!("{}.{}.{name}", escape(database), day_name(day))
}

/// Database, day and name of a file that was set aside; `None` for what else may lie there.
fn parse_set_aside(name: &str) -> Option<(String, i64, FileName)> {
    let (database, rest) = name.split_once('.')?; // an escaped name has no dot
    let (day, file) = rest.split_once('.')?;
    Some((unescape(database)?, parse_day(day)?, FileName::parse(file)?))
}

/// A database's name as a folder's: letters, digits, `-` and `_` stay, every other byte is `%` and two hex digits.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => byte,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    (escape(&text) == name).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_foreign_ones_do_not() {
        for (day, name) in
            [(0, "1970-01-01"), (19_675, "2023-11-14"), (-1, "1969-12-31"), (20_000_000_000, "day20000000000")]
        {
            assert_eq!(day_name(day), name);
            assert_eq!(parse_day(name), Some(day));
        }
        for foreign in ["2023-1-4", "lost+found", "", "day5", "2023-11-14x"] {
            assert_eq!(parse_day(foreign), None, "{foreign}");
        }
        let name = FileName { first: 3, last: 12 };
        assert_eq!(FileName::parse(&name.to_string()), Some(name));
        for foreign in ["3-12.chunks", "0000000012-0000000003.chunks", "0000000003-0000000012.chunks.tmp"] {
            assert_eq!(FileName::parse(foreign), None, "{foreign}");
        }
        for database in ["telegraf", "a/b", "..", "ü%", "", "A.b-c_1"] {
            assert_eq!(unescape(&escape(database)).as_deref(), Some(database));
            assert!(!escape(database).contains(['/', '.']));
        }
    }

    #[test]
    fn files_that_another_one_contains_are_sifted_out() {
        // Every set of the ranges within 0..=3, the last of which stands for the largest number there is.
        let number = |at: u64| if at == 3 { u64::MAX } else { at };
        let ranges: Vec<FileName> = (0..4)
            .flat_map(|last| (0..=last).map(move |first| FileName { first: number(first), last: number(last) }))
            .collect();
        for chosen in 0u32..1 << ranges.len() {
            let files: Vec<FileName> =
                ranges.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, name)| *name).collect();
            let contained = |name: &FileName| files.iter().any(|other| other != name && other.contains(name));
            let mut want: Vec<FileName> = files.iter().copied().filter(|name| !contained(name)).collect();
            want.sort_by_key(|name| (name.last, name.first));
            let (kept, superseded) = sift(files.iter().map(|name| (*name, 7)).collect());
            assert_eq!(kept.iter().map(|(name, _)| *name).collect::<Vec<_>>(), want, "{files:?}");
            assert_eq!(superseded.len(), files.len() - want.len());
        }
    }
}
