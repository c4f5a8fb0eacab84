//! Opens a data directory: its folders and lock, the chunk files, the log, and then the store.

use super::{Sealing, Store, StoreError};
use crate::admission::{Rate, Space};
use crate::batch::Batch;
use crate::disk::{Partitions, Volume};
use crate::memory::Databases;
use crate::options::Options;
use crate::pins::Pins;
use crate::replay::{self, Filled};
use crate::wal::{self, Event, Replayed, Wal};
use parking_lot::Mutex;
use sealine_base::clock::{SharedClock, TimeOfDay};
use sealine_base::machine::OpenFiles;
use sealine_base::pools::Pools;
use sealine_base::vfs::{SharedVfs, Vfs, create_dir_durable};
use sealine_telemetry::Telemetry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Bytes of staged requests that may wait for the log, where memory is plenty; else an eighth of `memory.limit`.
const WAL_QUEUE_BYTES: u64 = 64 << 20;

/// What is in a data directory.
struct Folders {
    root: PathBuf,
    wal: PathBuf,
    db: PathBuf,
    quarantine: PathBuf,
}

impl Store {
    /// Opens the data directory: finds the chunk files, replays the log, starts a new generation.
    pub fn open(
        vfs: SharedVfs,
        clock: SharedClock,
        options: Options,
        telemetry: Telemetry,
    ) -> Result<Arc<Store>, StoreError> {
        let options = Arc::new(options);
        let pools = Arc::new(Pools::new(options.memory_bytes));
        let volume = Volume::new(vfs, pools.clone(), OpenFiles::of_process().chunk_files);
        let folders = Folders::of(&options.data_dir);
        folders.make(&*volume.vfs)?;
        let lock = lock(folders.root.join("lock"))?;
        let partitions = Partitions::open(volume.clone(), &folders.db, &folders.quarantine)?;
        let databases = databases(&options, &pools, &partitions);
        let replayed = read_log(&*volume.vfs, &clock, &folders, &databases, &telemetry)?;
        let generation = next_generation(&replayed, &partitions);
        let log = log_options(&folders.wal, &options, &pools, &telemetry);
        let wal = Wal::start(volume.vfs.clone(), clock.clone(), log, generation, replayed.next_lsn, apply)?;
        // What was replayed may be in chunk files already, or be only a part of a generation: the next file must not
        // be taken to contain theirs. Samples that are in both count once.
        let sealing = Sealing { sealed: generation - 1, last: clock.monotonic(), last_at: None };
        let store = Arc::new_cyclic(|this| Store {
            this: this.clone(),
            volume,
            time: TimeOfDay::new(clock.clone()),
            space: Space::new(options.free_bytes_min),
            rate: Rate::new(options.samples_per_second_max, clock.monotonic()),
            clock,
            options,
            telemetry,
            pools,
            databases,
            partitions,
            quarantine: folders.quarantine,
            wal,
            pins: Pins::default(),
            short_of_descriptors: AtomicBool::new(false),
            sealing: Mutex::new(sealing),
            maintaining: Mutex::new(()),
            _lock: lock,
        });
        store.look_at_disk();
        Ok(store)
    }
}

impl Folders {
    fn of(root: &Path) -> Self {
        let [wal, db, quarantine] = ["wal", "db", "quarantine"].map(|name| root.join(name));
        Folders { root: root.to_path_buf(), wal, db, quarantine }
    }

    /// Makes those that are always there.
    fn make(&self, vfs: &dyn Vfs) -> Result<(), StoreError> {
        for dir in [&self.wal, &self.db] {
            let made = create_dir_durable(vfs, &self.root, dir);
            made.map_err(|source| StoreError::Folder { path: dir.clone(), source })?;
        }
        Ok(())
    }
}

/// Takes the lock of the data directory, which the system gives back when the process ends, however it ends.
#[expect(clippy::disallowed_methods, reason = "a lock between processes is not part of the simulated disk")]
fn lock(path: PathBuf) -> Result<std::fs::File, StoreError> {
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| StoreError::Folder { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(error) => Err(StoreError::Locked { path, source: error.into() }),
    }
}

/// The databases that have chunk files: each counts as one from the start.
fn databases(options: &Arc<Options>, pools: &Arc<Pools>, partitions: &Partitions) -> Arc<Databases> {
    let rules = options.clone();
    let naming = move |name: &str| rules.rules(name).naming.clone();
    let databases = Databases::new(naming, options.cardinality, pools.clone());
    for database in partitions.databases() {
        databases.get_or_create(&database);
    }
    Arc::new(databases)
}

/// Fills memory from the log, and logs what was found in it.
fn read_log(
    vfs: &dyn Vfs,
    clock: &SharedClock,
    folders: &Folders,
    databases: &Databases,
    telemetry: &Telemetry,
) -> Result<Replayed, StoreError> {
    let started = clock.monotonic();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (replayed, filled) = replay::fill(databases, cores, |records| {
        wal::replay(vfs, &folders.wal, &folders.quarantine, |record| records.take(record))
    })
    .map_err(StoreError::Threads)?;
    let replayed = replayed?;
    telemetry.disk.quarantined.inc_by(replayed.damages.len() as u64);
    telemetry.wal.missing_segments.inc_by(replayed.missing_segments);
    log_losses(&replayed, filled, &folders.quarantine);
    let cardinality = databases.cardinality();
    tracing::info!(series = cardinality.series(), max = cardinality.limits().series_max, "series counted");
    tracing::info!(
        records = replayed.records,
        bytes = replayed.bytes,
        samples = filled.samples,
        torn_bytes = replayed.torn_bytes,
        seconds = (clock.monotonic() - started).as_secs_f64(),
        "log replayed"
    );
    Ok(replayed)
}

fn log_losses(replayed: &Replayed, filled: Filled, quarantine: &Path) {
    for damage in &replayed.damages {
        tracing::error!(
            path = %damage.path.display(), offset = damage.offset, bytes = damage.bytes,
            quarantine = %quarantine.display(),
            "a stretch of the log cannot be read and was passed over; a copy of the segment is in quarantine"
        );
    }
    if replayed.torn_records > 0 {
        tracing::warn!(
            records = replayed.torn_records, bytes = replayed.torn_bytes, quarantine = %quarantine.display(),
            "the log ends in a hole that a power cut left in what was not synced: records behind it are cut off; \
             a copy of the segment is in quarantine"
        );
    }
    if filled.unreachable > 0 {
        tracing::error!(
            lines = filled.unreachable,
            "lines of an earlier build have times before 1677 or after 2262, which cannot be kept any more: they are left out"
        );
    }
    if filled.orphans > 0 {
        tracing::error!(
            orphans = filled.orphans,
            "lines of the log belong to rows whose definition was lost to damage"
        );
    }
}

/// Generations count on from the highest that is there: chunk files are ordered by their names.
fn next_generation(replayed: &Replayed, partitions: &Partitions) -> u64 {
    let on_disk = partitions.all().iter().flat_map(|p| p.files()).map(|file| file.name().last).max().unwrap_or(0);
    replayed.last_generation.unwrap_or(0).max(on_disk).saturating_add(1)
}

fn log_options(dir: &Path, options: &Options, pools: &Pools, telemetry: &Telemetry) -> wal::Options {
    wal::Options {
        dir: dir.to_path_buf(),
        sync: options.sync,
        segment_bytes: options.segment_bytes,
        queue_bytes_max: WAL_QUEUE_BYTES.min(pools.limit() / 8) as usize,
        bytes_max: options.log_bytes_max,
        telemetry: telemetry.clone(),
    }
}

/// Runs on the apply thread.
fn apply(event: Event<Batch>) {
    match event {
        Event::Apply { generation, entries } => {
            for (mut batch, receipt) in entries {
                batch.apply(generation);
                drop(batch); // whoever is answered finds its memory given back
                receipt.done();
            }
        }
        Event::Rotated { generation, done } => {
            let _ = done.send(Ok(generation)); // whoever asked may have gone
        }
    }
}
