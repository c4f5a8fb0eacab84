//! What happens to chunk files once they are there: they are merged, archived, held in memory, dropped from it, expired.

use super::{Store, StoreError};
use crate::disk::{ChunkFile, DiskError, Partition, Size, merge, plan_merge, runs};
use sealine_base::pools::Step;
use sealine_base::units::nanoseconds;
use sealine_model::{PARTITION_NS, ns_from_ms, partition_of};
use std::sync::Arc;

/// Files are merged while what describes their series comes to no more than this part of `memory.limit`: a merge holds
/// some five times as much. A day of more series than that stays in several files.
const DESCRIBED_PART: u64 = 32;

/// And to no more than this, since offsets within an index have 32 bits.
const DESCRIBED_MAX: u64 = 1 << 30;

/// What a round of maintenance did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Maintained {
    /// Merges of some files of a partition.
    pub merged: usize,
    /// Partitions brought into one file.
    pub archived: usize,
    /// Partitions dropped.
    pub expired: usize,
    /// Bytes that those took.
    pub expired_bytes: u64,
}

impl Store {
    /// Whether a file whose newest sample is this old is held in memory.
    pub(super) fn is_resident(&self, database: &str, newest: i64) -> bool {
        newest > self.memory_horizon(database) && !self.pools.is_due(Step::Seal)
    }

    /// Samples before this time are read from disk.
    fn memory_horizon(&self, database: &str) -> i64 {
        let window = self.options.rules(database).in_memory;
        ns_from_ms(self.clock.now_ms()).saturating_sub(nanoseconds(window))
    }

    /// Samples before this time need not be kept: they are older than `retention.disk`, counted from now or, where that
    /// is earlier, from the newest sample of the database. So a clock that is wrong takes nothing away, and a database
    /// that nobody writes to keeps its last.
    pub(super) fn disk_horizon(&self, database: &str) -> i64 {
        let keep = self.options.rules(database).on_disk;
        if keep.is_zero() {
            return i64::MIN;
        }
        let now = ns_from_ms(self.time.earliest());
        let newest = self.newest(database).map_or(now, |newest| newest.min(now));
        newest.saturating_sub(nanoseconds(keep))
    }

    /// About when the newest sample of a database was taken, and not later: of files only the day is known.
    fn newest(&self, database: &str) -> Option<i64> {
        let in_memory = self.databases.get(database).and_then(|database| database.held.newest());
        in_memory.max(self.partitions.newest_day(database).map(|day| day.saturating_mul(PARTITION_NS)))
    }

    /// Does what is due: expiry first, since it frees space. `keep_on` is asked often, and a merge ends where it says no.
    pub fn maintain(&self, keep_on: &dyn Fn() -> bool) -> Result<Maintained, StoreError> {
        let _one_at_a_time = self.maintaining.lock();
        let mut done = Maintained::default();
        self.expire(&mut done)?;
        let mut first_error = None;
        for partition in self.partitions.all() {
            if let Err(error) = self.maintain_partition(&partition, keep_on, &mut done) {
                tracing::error!(path = %partition.dir.display(), %error, "a partition cannot be maintained");
                first_error.get_or_insert(error);
            }
            if !keep_on() {
                break;
            }
        }
        first_error.map_or(Ok(done), Err)
    }

    fn maintain_partition(
        &self,
        partition: &Arc<Partition>,
        keep_on: &dyn Fn() -> bool,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        if !is_reachable(partition) {
            return Ok(());
        }
        self.update_residence(partition)?;
        if self.options.merge {
            self.merge_tiers(partition, keep_on, done)?;
            if self.archive_due(partition)? {
                done.archived += usize::from(self.archive_partition(partition, keep_on)?);
            }
        }
        Ok(())
    }

    /// Archives what is due; with `force`, every partition that has files.
    pub fn archive(&self, force: bool, keep_on: &dyn Fn() -> bool) -> Result<Maintained, StoreError> {
        let _one_at_a_time = self.maintaining.lock();
        let mut done = Maintained::default();
        for partition in self.partitions.all() {
            if force || self.archive_due(&partition)? {
                done.archived += usize::from(self.archive_partition(&partition, keep_on)?);
            }
        }
        Ok(done)
    }

    /// Merges neighbours of a partition for as long as there are enough of one size. A file that has turned out to be
    /// damaged stays as it is, between its neighbours.
    fn merge_tiers(
        &self,
        partition: &Arc<Partition>,
        keep_on: &dyn Fn() -> bool,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        loop {
            let files = partition.files();
            let run = files.split(|file| file.is_damaged()).find_map(|run| {
                plan_merge(&sizes(run), self.options.fan_in, self.described_max()).map(|range| &run[range])
            });
            let Some(run) = run else { return Ok(()) };
            if !self.merge_files(partition, run, false, keep_on)? {
                return Ok(());
            }
            self.telemetry.disk.merges.inc();
            done.merged += 1;
        }
    }

    /// A partition is archived once no sample of it is young. It is archived again when what came late has grown to an
    /// eighth of it, in samples since those in an archive take fewer bytes, or to many files.
    fn archive_due(&self, partition: &Partition) -> Result<bool, StoreError> {
        let end = (partition.day + 1).saturating_mul(PARTITION_NS);
        if end > self.memory_horizon(&partition.database) {
            return Ok(false);
        }
        let files = partition.files();
        if files.iter().any(|file| file.is_damaged()) {
            return Ok(false);
        }
        let (mut archived, mut late, mut late_files) = (0, 0, 0);
        for file in &files {
            match file.info() {
                Ok(info) if info.archived => archived += info.samples,
                Ok(info) => (late, late_files) = (late + info.samples, late_files + 1),
                Err(error) if error.is_damage() => return Ok(false), // a query that meets it sets it aside
                Err(error) => return Err(error.into()),
            }
        }
        Ok(late > 0 && (late * 8 >= archived || late_files > 2 * self.options.fan_in))
    }

    /// Brings a partition into one file, or into a few where one would describe too many series. Says whether there was
    /// anything to do.
    fn archive_partition(&self, partition: &Arc<Partition>, keep_on: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        let files = partition.files();
        let mut archived = false;
        for run in runs(&sizes(&files), self.described_max(), |_| true) {
            let infos = files[run.clone()].iter().map(|file| file.info()).collect::<Result<Vec<_>, _>>()?;
            if infos.iter().all(|info| info.archived) {
                continue;
            }
            archived |= self.merge_files(partition, &files[run], true, keep_on)?;
            if !keep_on() {
                break;
            }
        }
        if archived {
            self.telemetry.disk.archives.inc();
        }
        Ok(archived)
    }

    /// How many bytes the entries and indexes of one merged file may take.
    fn described_max(&self) -> u64 {
        (self.pools.limit() / DESCRIBED_PART).min(DESCRIBED_MAX)
    }

    fn merge_files(
        &self,
        partition: &Arc<Partition>,
        files: &[Arc<ChunkFile>],
        archived: bool,
        keep_on: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let resident = files.iter().any(|file| file.is_resident());
        // A file that is archived by itself gives its name to another before that is published; where too many such are
        // being read, it is put off. Of others the name stays until their last reader has gone.
        let alone = if let [file] = files { Some(file) } else { None };
        if let Some(file) = alone
            && !file.hold_open()?
        {
            return Ok(false);
        }
        let merged = merge(&self.volume, &partition.dir, files, resident, archived, keep_on);
        let failed = |error: &DiskError| {
            self.telemetry.disk.merge_failures.inc();
            for file in files.iter().filter(|file| error.damaged_file() == Some(file.path())) {
                file.mark_damaged();
            }
        };
        if let Ok(Some(file)) = merged {
            partition.publish(Arc::new(file));
            return Ok(true);
        }
        if let Some(file) = alone {
            file.may_close();
        }
        merged.inspect_err(failed)?;
        Ok(false)
    }

    /// Loads young files into memory and drops old ones from it.
    fn update_residence(&self, partition: &Arc<Partition>) -> Result<(), StoreError> {
        let horizon = self.memory_horizon(&partition.database);
        let maybe_young = (partition.day + 1).saturating_mul(PARTITION_NS) > horizon;
        for file in partition.files() {
            let young = maybe_young
                && match file.info() {
                    Ok(info) => info.times.1 > horizon,
                    Err(error) if error.is_damage() => false,
                    Err(error) => return Err(error.into()),
                };
            // While memory is short, what was dropped stays away; below, there is room to bring it back.
            let short = young && self.pools.is_due(Step::Seal);
            if young != file.is_resident() && !short {
                match file.set_resident(young) {
                    Err(error) if !error.is_damage() => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Drops partitions that are older than `retention.disk`, then the oldest ones beyond `disk.max_bytes`.
    fn expire(&self, done: &mut Maintained) -> Result<(), StoreError> {
        // A seal must not publish into a partition that goes.
        let _no_seal = self.sealing.lock();
        self.partitions.remove_left()?;
        for partition in self.partitions.all().iter().filter(|partition| is_reachable(partition)) {
            let end = (partition.day + 1).saturating_mul(PARTITION_NS);
            if end <= self.disk_horizon(&partition.database) {
                self.drop_partition(partition, done)?;
            }
        }
        if self.options.disk_bytes_max > 0 {
            let mut partitions = self.partitions.all();
            partitions.retain(|partition| is_reachable(partition));
            partitions.sort_by_key(|partition| partition.day);
            let bytes = |p: &Arc<Partition>| p.files().iter().map(|file| file.bytes()).sum::<u64>();
            let mut total = self.wal.stats(&self.clock).bytes + partitions.iter().map(bytes).sum::<u64>();
            // The newest day stays, however long the log is: a seal shortens that.
            let newest = partitions
                .last()
                .map_or(0, |partition| partition.day)
                .min(partition_of(ns_from_ms(self.time.earliest())));
            for partition in partitions.iter().filter(|partition| partition.day < newest) {
                if total <= self.options.disk_bytes_max {
                    break;
                }
                total -= bytes(partition);
                self.drop_partition(partition, done)?;
            }
        }
        Ok(())
    }

    fn drop_partition(&self, partition: &Arc<Partition>, done: &mut Maintained) -> Result<(), StoreError> {
        let bytes = self.partitions.expire(partition)?;
        tracing::info!(database = %partition.database, path = %partition.dir.display(), bytes, "partition expired");
        self.telemetry.disk.expiries.inc();
        done.expired += 1;
        done.expired_bytes += bytes;
        Ok(())
    }
}

/// Whether times of a partition are times of ours: what milliseconds reach and nanoseconds do not was written by an earlier
/// build, and stays as it is.
fn is_reachable(partition: &Partition) -> bool {
    (partition_of(i64::MIN)..=partition_of(i64::MAX)).contains(&partition.day)
}

/// What a plan has to know of these files. One that does not say what it holds is left alone.
fn sizes(files: &[Arc<ChunkFile>]) -> Vec<Size> {
    let size =
        |file: &Arc<ChunkFile>| Size { bytes: file.bytes(), described: file.described_bytes().unwrap_or(u64::MAX) };
    files.iter().map(size).collect()
}
