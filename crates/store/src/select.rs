//! Queries over both tiers: which series a selector finds, and where their samples are.
//!
//! Files first, memory last: of equal times the later part counts. A reader pins what it sees, so that a seal in
//! between neither hides a sample nor lets one be missed.

mod joiner;

use super::Store;
use crate::disk::{ChunkFile, DiskError, FileSelection, Partition};
use crate::memory::Selected;
use crate::pins::Pin;
use joiner::{Feed, Joined, Joiner, Part, Series};
use parking_lot::Mutex;
use sealine_base::pools::{Lease, Pool};
use sealine_codec::{Finer, Overlay};
use sealine_model::{
    Column, Labels, Matcher, Samples, Selection, Source, SourceError, TimeUnit, ms_of_ns, ns_range, partition_of,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A view of the store for one query.
pub struct Reader {
    pub(super) store: Arc<Store>,
    /// `None` stands for all.
    only: Option<Vec<String>>,
    /// Asked now and then: whether nobody waits for the answer any more.
    stop: Box<dyn Fn() -> bool + Send + Sync>,
    /// Whether a selection had columns that naming makes one series.
    met_collision: AtomicBool,
    _pin: Pin,
}

/// A reader stopped, since nobody waits for the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the search was stopped")]
pub struct Stopped;

/// The series that a selector found, in every tier.
pub(super) struct Found<'r> {
    reader: &'r Reader,
    files: Vec<FilePart>,
    joined: Joined,
    /// What naming made one, a sentence each.
    collisions: Vec<String>,
    missing: Mutex<BTreeSet<String>>,
    /// Whether a series was met whose times are finer than milliseconds.
    has_finer: AtomicBool,
    _counted: Lease,
}

struct FilePart {
    file: Arc<ChunkFile>,
    selection: FileSelection,
}

impl Reader {
    pub(super) fn new(store: Arc<Store>, only: Option<Vec<String>>) -> Self {
        let pin = store.pins.pin();
        Reader { store, only, stop: Box::new(|| false), met_collision: AtomicBool::new(false), _pin: pin }
    }

    /// Gives up with [`Stopped`] once `stop` says so. It is asked between files, and now and then within them.
    pub fn until(self, stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Reader { stop: Box::new(stop), ..self }
    }

    /// Whether nobody waits any more.
    pub(super) fn is_stopped(&self) -> bool {
        (self.stop)()
    }

    /// Asks a file something. Where that brought its index into memory and memory is short, others let go of theirs: the
    /// indexes of a long range may come to more than there is.
    pub(super) fn ask<R>(&self, file: &ChunkFile, ask: impl FnOnce() -> R) -> R {
        let was_loaded = file.is_loaded();
        let answer = ask();
        if !was_loaded && file.is_loaded() {
            self.store.shed();
        }
        answer
    }

    /// Counts what a selection holds. Fails where memory is short.
    fn count(&self, counted: &mut Lease, bytes: usize) -> Result<(), SourceError> {
        counted.set(bytes);
        self.store.pools.admit_selection(bytes as u64).map_err(|full| SourceError(Box::new(full)))
    }

    /// Fails where nobody waits any more.
    pub(super) fn go_on(&self) -> Result<(), SourceError> {
        if self.is_stopped() { Err(SourceError(Box::new(Stopped))) } else { Ok(()) }
    }

    /// The databases that can have series which pass the matchers.
    pub(super) fn databases(&self, matchers: &[Matcher]) -> BTreeSet<Arc<str>> {
        let store = &self.store;
        let mut names: BTreeSet<Arc<str>> = store.databases.all().iter().map(|d| d.name.clone()).collect();
        names.extend(store.partitions.databases());
        names.retain(|name| {
            self.only.as_ref().is_none_or(|only| only.iter().any(|one| **one == **name))
                && store.databases.view(name).may_pass(matchers)
        });
        names
    }

    /// The files of a database that may hold samples within `start..=end`, in the order in which they count.
    pub(super) fn files(&self, database: &str, start: i64, end: i64) -> Vec<(Arc<Partition>, Arc<ChunkFile>)> {
        let partitions = self.store.partitions.between(database, partition_of(start), partition_of(end));
        let files = |p: Arc<Partition>| p.files().into_iter().map(move |file| (p.clone(), file)).collect::<Vec<_>>();
        partitions.into_iter().flat_map(files).collect()
    }

    /// What was set aside of a database's partitions within `start..=end`, a sentence each.
    pub(super) fn lost(&self, database: &str, start: i64, end: i64) -> Vec<String> {
        let partitions = self.store.partitions.between(database, partition_of(start), partition_of(end));
        partitions.iter().flat_map(|partition| partition.lost()).collect()
    }

    /// What a file that cannot be read means for the answer: a sentence for its warnings where the file is damaged (it
    /// is set aside, so that it is met only once), an error where the machine failed.
    pub(super) fn damaged(
        &self,
        partition: &Partition,
        file: &Arc<ChunkFile>,
        error: DiskError,
    ) -> Result<String, SourceError> {
        if !error.is_damage() {
            return Err(SourceError(Box::new(error)));
        }
        let sentence = format!("data is missing from this answer: {error}");
        match self.store.partitions.quarantine(partition, file, &self.store.quarantine, &sentence) {
            Ok(None) => {}
            Ok(Some(to)) => {
                self.store.telemetry.disk.quarantined.inc();
                tracing::error!(%error, path = %to.display(), "a damaged chunk file was set aside");
            }
            Err(cause) => {
                self.store.telemetry.disk.quarantined.inc();
                tracing::error!(%error, %cause, "a damaged chunk file cannot be set aside; it is not read any more");
            }
        }
        Ok(sentence)
    }
}

impl Source for Reader {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Box<dyn Selection + '_>, SourceError> {
        let found = self.find(matchers, ns_range(start, end))?;
        if !found.collisions.is_empty() && !self.met_collision.swap(true, Ordering::Relaxed) {
            self.store.telemetry.query.name_collisions.inc();
        }
        Ok(Box::new(found))
    }
}

impl Reader {
    /// The series that pass the matchers and have samples about this range, in nanoseconds.
    pub(super) fn find(&self, matchers: &[Matcher], (start, end): (i64, i64)) -> Result<Found<'_>, SourceError> {
        let mut joiner = Joiner::default();
        let (mut files, mut missing) = (Vec::new(), BTreeSet::new());
        let mut counted = self.store.pools.lease(Pool::Queries);
        let mut selected_bytes = 0;
        for database in self.databases(matchers) {
            missing.extend(self.lost(&database, start, end));
            sealine_base::work::count(1);
            let memory = self.store.databases.get_or_create(&database);
            let view = memory.view();
            joiner.views.push(view.clone());
            for (partition, file) in self.files(&database, start, end) {
                sealine_base::work::count(1);
                self.go_on()?;
                let select = || {
                    let selection = file.select(matchers, &view, start, end)?;
                    if selection.series.is_empty() {
                        return Ok(None); // nor is its index needed
                    }
                    let index = file.index()?;
                    let names = index.names(view.naming());
                    let is_plain = view.is_plain(&*index);
                    let mut last = None;
                    for series in &selection.series {
                        let (feed, kind) = match last {
                            Some((column, feed, kind)) if column == series.column => (feed, kind),
                            _ => {
                                let column = index.column(series.column as usize);
                                (joiner.feed(names.of(series.column), column), Column::of(column).kind())
                            }
                        };
                        last = Some((series.column, feed, kind));
                        let hash = index.set_hash(series.set).filter(|_| is_plain);
                        let key = view.key(hash, index.pairs(series.set));
                        joiner.add(feed, key, Part::File { file: files.len() as u32, series: *series, kind });
                    }
                    Ok(Some(selection))
                };
                match self.ask(&file, select) {
                    Ok(None) => {}
                    Ok(Some(selection)) => {
                        selected_bytes += selection.heap_bytes();
                        files.push(FilePart { file, selection });
                        self.count(&mut counted, selected_bytes + joiner.heap_bytes())?;
                    }
                    Err(error) => {
                        missing.insert(self.damaged(&partition, &file, error)?);
                    }
                }
            }
            self.go_on()?;
            let index = memory.index.read();
            if !Arc::ptr_eq(index.view(), &view) {
                drop(index);
                return self.find(matchers, (start, end)); // other rules of naming came meanwhile
            }
            let mut last: Option<(Arc<str>, Feed)> = None;
            for Selected { metric, column, row, key, field, kind } in index.select(matchers) {
                let feed = match &last {
                    Some((known, feed)) if Arc::ptr_eq(known, &column) => *feed,
                    _ => joiner.feed(&metric, column.clone()),
                };
                last = Some((column, feed));
                joiner.add(feed, key, Part::Memory { row, field, kind });
            }
            self.count(&mut counted, selected_bytes + joiner.heap_bytes())?;
        }
        let joined = joiner.finish();
        let collisions = joined.collisions(|part| match part {
            Part::Memory { row, field, .. } => row.may_have(Some(&[*field]), start, end),
            Part::File { .. } => true,
        });
        Ok(Found {
            reader: self,
            files,
            joined,
            collisions,
            missing: Mutex::new(missing),
            has_finer: AtomicBool::new(false),
            _counted: counted,
        })
    }
}

impl Selection for Found<'_> {
    fn len(&self) -> usize {
        self.joined.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        let Series { metric, view, .. } = &self.joined.series[index];
        let view = &self.joined.views[*view as usize];
        let found = self.joined.parts(index).find_map(|part| match part {
            Part::Memory { row, .. } => Some(view.series(metric, &row.tags)),
            Part::File { file, series, .. } => {
                let file = &self.files[*file as usize].file;
                let index = self.reader.ask(file, || file.index()).ok()?;
                Some(view.series(metric, index.pairs(series.set)))
            }
        });
        found.unwrap_or_else(|| view.series(metric, []))
    }

    fn read(&self, index: usize, start: i64, end: i64, into: &mut Samples) -> Result<(), SourceError> {
        let range = ns_range(start, end);
        // Times that are told apart by less than a millisecond are told apart first, and are milliseconds then. Who sends
        // one series so sends others so: they are not tried in milliseconds. Relaxed: a try too many does not matter.
        let in_ms = !self.has_finer.load(Ordering::Relaxed)
            && self.read_in(TimeUnit::Milliseconds, index, range, into)?.is_ok();
        if !in_ms {
            self.has_finer.store(true, Ordering::Relaxed);
            self.read_exactly(index, range, into)?;
            into.times.iter_mut().for_each(|time| *time = ms_of_ns(*time));
        }
        self.reader.store.telemetry.query.samples_read.inc_by(into.len() as u64);
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        self.missing.lock().iter().chain(&self.collisions).cloned().collect()
    }
}

impl Found<'_> {
    /// Reads a series with its times in nanoseconds, and its values as floats.
    pub(super) fn read_exactly(&self, index: usize, range: (i64, i64), into: &mut Samples) -> Result<(), SourceError> {
        let read = self.read_in(TimeUnit::Nanoseconds, index, range, into)?;
        debug_assert_eq!(read, Ok(()), "nothing is finer");
        Ok(())
    }

    /// Reads a series with its times in `unit`.
    fn read_in(
        &self,
        unit: TimeUnit,
        index: usize,
        (start, end): (i64, i64),
        into: &mut Samples,
    ) -> Result<Result<(), Finer>, SourceError> {
        let mut overlay = Overlay::new(into, unit);
        for part in self.joined.parts(index) {
            match part {
                Part::Memory { row, field, kind } => {
                    overlay.next_kind(*kind);
                    row.read(*field, start, end, &mut overlay).map_err(|error| SourceError(Box::new(error)))?;
                }
                Part::File { file, series, kind } => {
                    overlay.next_kind(*kind);
                    let FilePart { file, selection } = &self.files[*file as usize];
                    let chunks = selection.chunks_of(series);
                    let from = chunks
                        .iter()
                        .position(|c| c.extent.last >= start && c.extent.first <= end)
                        .unwrap_or(chunks.len());
                    let to = chunks
                        .iter()
                        .rposition(|c| c.extent.last >= start && c.extent.first <= end)
                        .map_or(from, |at| at + 1);
                    match file.read(&chunks[from..to], start, end, &mut overlay) {
                        Ok(()) => {}
                        Err(error) if error.is_damage() => {
                            // Only the series that the damage is in has to do without it.
                            tracing::error!(%error, "a chunk cannot be read");
                            self.missing.lock().insert(format!("data is missing from this answer: {error}"));
                        }
                        Err(error) => return Err(SourceError(Box::new(error))),
                    }
                }
            }
        }
        Ok(overlay.finish())
    }
}
