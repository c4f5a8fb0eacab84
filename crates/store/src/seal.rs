//! Sealing: a generation's chunks from memory to chunk files, and its log away.
//!
//! The order is what makes it safe. Rotate: from here on writes go to the next generation. Write and publish the files,
//! each synced and renamed. Let go of the chunks in memory, once no query needs them. Delete the log. A crash before
//! the last step finds files and log, and replays samples that are in files too: equal samples count once.

use super::{Store, StoreError};
use crate::disk::{ChunkFileWriter, DiskError, FileName};
use crate::memory::{Closed, Database, Growth, Row};
use sealine_base::pools::Pool;
use sealine_codec::gorilla::Chunk;
use sealine_model::{Labels, partition_of};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A row that two seals found without a sample is forgotten by the third.
const SILENT_SEALS_MAX: u32 = 2;

/// Memory that a seal takes for each row, beside its chunks: its place in a snapshot and in the index of a file.
const HELD_BY_ROW: usize = 256;

/// One chunk on its way to a file. Sorts by file, then as the file wants its series.
struct Item {
    partition: i64,
    /// Rank of the column's key and of the tag set among those of this seal.
    column: u32,
    set: u32,
    chunk: Arc<Chunk>,
}

impl Store {
    /// Seals what has been written so far. When this returns, it is in chunk files and its log is gone.
    /// Returns how many samples were sealed. Blocks; runs beside writes and queries.
    pub fn seal(&self) -> Result<u64, StoreError> {
        let mut sealing = self.sealing.lock();
        let started = self.clock.monotonic();
        let outcome = self.seal_generation(&mut sealing.sealed);
        sealing.last = self.clock.monotonic();
        let took = (sealing.last - started).as_secs_f64();
        match outcome {
            Ok((generation, samples)) => {
                sealing.last_at = Some(self.clock.now_ms());
                self.telemetry.seal.done.inc();
                self.telemetry.seal.duration.observe(took);
                tracing::info!(generation, samples, seconds = took, "sealed");
                Ok(samples)
            }
            Err(error) => {
                self.telemetry.seal.failures.inc();
                Err(error)
            }
        }
    }

    /// Ends a generation and seals all since `sealed`, which moves on as soon as memory has let go: a later seal's file
    /// stands for the generations in its name, so it must not name one that it no longer has, even if then the log
    /// cannot be deleted.
    fn seal_generation(&self, sealed: &mut u64) -> Result<(u64, u64), StoreError> {
        let rotated = self.wal.rotate().blocking_recv();
        let generation = rotated.unwrap_or(Err(crate::wal::WalError::Closed))?;
        let name = FileName { first: *sealed + 1, last: generation };
        let databases = self.databases.all();
        for database in &databases {
            self.write_files(database, name)?;
        }
        self.pins.wait_for_earlier(); // they may not have seen the new files
        let mut samples = 0;
        for database in &databases {
            samples += self.let_go(database, generation);
        }
        *sealed = generation;
        let forget = |source| StoreError::Forget { path: self.options.data_dir.join("wal"), source };
        self.wal.forget(generation).map_err(forget)?;
        Ok((generation, samples))
    }

    /// Writes one file for each partition that the database has chunks of.
    fn write_files(&self, database: &Database, name: FileName) -> Result<(), StoreError> {
        let (mut rows, schemas) = database.index.read().snapshot();
        rows.sort_unstable_by(|a, b| a.0.tags.as_bytes().cmp(b.0.tags.as_bytes()));
        let columns: BTreeSet<&str> = schemas.iter().flatten().map(|column| &**column).collect();
        let columns: Vec<&str> = columns.into_iter().collect();
        let rank = |column: &Arc<str>| columns.binary_search(&&**column).map_or(0, |at| at as u32);
        let ranks: Vec<Vec<u32>> = schemas.iter().map(|fields| fields.iter().map(rank).collect()).collect();

        let mut counted = self.pools.lease(Pool::Maintenance);
        let mut sets: Vec<&Labels> = Vec::new();
        let (mut items, mut closed, mut grown, mut made) = (Vec::new(), Vec::<Closed>::new(), Growth::default(), 0);
        for (row, schema) in &rows {
            if sets.last() != Some(&&row.tags) {
                sets.push(&row.tags);
            }
            grown += row.close(name.last);
            made += row.closed(name.last, &mut closed);
            let set = sets.len() as u32 - 1;
            items.extend(closed.drain(..).map(|closed| {
                let column = ranks[*schema as usize][usize::from(closed.field)];
                Item { partition: partition_of(closed.chunk.first), column, set, chunk: closed.chunk }
            }));
        }
        database.held.add(0, grown);
        counted.set(rows.len() * HELD_BY_ROW + items.capacity() * size_of::<Item>() + made);
        items.sort_by_key(|item| (item.partition, item.column, item.set));
        for items in items.chunk_by(|a, b| a.partition == b.partition) {
            self.write_file(&database.name, name, items, &columns, &sets)?;
        }
        Ok(())
    }

    fn write_file(
        &self,
        database: &str,
        name: FileName,
        items: &[Item],
        columns: &[&str],
        sets: &[&Labels],
    ) -> Result<(), DiskError> {
        let Some(first) = items.first() else { return Ok(()) };
        let partition = self.partitions.get_or_create(database, first.partition)?;
        let used: BTreeSet<u32> = items.iter().map(|item| item.set).collect();
        let used: Vec<u32> = used.into_iter().collect();
        let newest = items.iter().map(|item| item.chunk.last).max().unwrap_or(i64::MIN);
        let resident = self.is_resident(database, newest);
        let mut writer =
            ChunkFileWriter::create(self.volume.clone(), &partition.dir, name, first.partition, resident, false)?;
        for series in items.chunk_by(|a, b| (a.column, a.set) == (b.column, b.set)) {
            let set = used.binary_search(&series[0].set).map_or(0, |at| at as u32);
            let chunks = series.iter().map(|item| &*item.chunk);
            if let Err(error) = writer.series(columns[series[0].column as usize], set, chunks) {
                writer.abandon();
                return Err(error);
            }
        }
        let sets: Vec<&Labels> = used.iter().map(|set| sets[*set as usize]).collect();
        partition.publish(Arc::new(writer.finish(database, &sets)?));
        Ok(())
    }

    /// Lets go of what is in files now, and forgets rows that have long been silent. Returns the samples.
    fn let_go(&self, database: &Database, generation: u64) -> u64 {
        let mut total = 0;
        let mut silent = Vec::new();
        let (rows, _) = database.index.read().snapshot();
        for (row, _) in &rows {
            let (samples, grown) = row.drop_closed(generation);
            database.held.add(-(samples as i64), grown);
            total += samples as u64;
            if samples == 0 && row.is_empty() {
                count_silence(row, &mut silent);
            } else {
                row.silent_seals.store(0, Relaxed);
            }
        }
        drop(rows);
        if !silent.is_empty() {
            let forgotten = database.index.write().forget(&silent);
            tracing::debug!(database = %database.name, rows = forgotten, "silent rows forgotten");
        }
        total
    }
}

/// Notes one more seal that found nothing in a row.
fn count_silence(row: &Arc<Row>, silent: &mut Vec<u32>) {
    if row.silent_seals.fetch_add(1, Relaxed) >= SILENT_SEALS_MAX {
        silent.push(row.id);
    }
}
