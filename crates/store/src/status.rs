//! Figures about what is kept, for operators, `/metrics` and `status/tsdb`.

use super::Store;
use crate::wal::WalStats;
use sealine_base::pools::Pool;
use sealine_telemetry::Tier;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What one tier of a database holds.
#[derive(Debug, Default, Clone, Copy, Serialize, PartialEq, Eq)]
pub struct TierStatus {
    /// Series; on disk, those of each file.
    pub series: u64,
    /// Samples; on disk, duplicates that no merge has met yet included.
    pub samples: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes: of chunks in memory, of whole files on disk.
    pub bytes: u64,
}

/// One database.
#[derive(Debug, Default, Clone, Serialize)]
pub struct DatabaseStatus {
    /// Written since the last seal.
    pub memory: TierStatus,
    /// Chunk files.
    pub disk: TierStatus,
    /// Bytes of chunk files that are held in memory as well.
    pub resident_bytes: u64,
    /// How many chunk files there are.
    pub files: u64,
    /// How many partitions.
    pub partitions: u64,
}

/// The whole store.
#[derive(Debug, Clone, Serialize)]
pub struct StoreStatus {
    /// By name.
    pub databases: BTreeMap<String, DatabaseStatus>,
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// Whether the log refuses writes until a restart.
    pub wal_failed: bool,
    /// When the last seal ended, milliseconds since the epoch.
    pub last_seal_ms: Option<i64>,
}

impl Store {
    /// Figures about each database and tier. Reads the trailers of files that have not been read yet.
    pub fn status(&self) -> StoreStatus {
        let mut databases: BTreeMap<String, DatabaseStatus> = BTreeMap::new();
        for database in self.databases.all() {
            let series = database.index.read().series();
            let status = databases.entry(database.name.to_string()).or_default();
            status.memory = TierStatus {
                series,
                samples: database.held.samples(),
                bytes: database.held.bytes(),
                chunks: database.held.chunks(),
            };
        }
        for partition in self.partitions.all() {
            let status = databases.entry(partition.database.to_string()).or_default();
            status.partitions += 1;
            for file in partition.files() {
                let info = file.info().unwrap_or_default(); // a damaged file is reported by the query or merge that reads it
                status.files += 1;
                status.disk.series += info.series;
                status.disk.samples += info.samples;
                status.disk.chunks += info.chunks;
                status.disk.bytes += file.bytes();
                status.resident_bytes += file.memory_bytes().0;
            }
        }
        let wal = self.wal_stats();
        StoreStatus {
            databases,
            wal_bytes: wal.bytes,
            wal_failed: wal.failed,
            last_seal_ms: self.sealing.try_lock().and_then(|sealing| sealing.last_at),
        }
    }

    /// Figures about the log.
    pub fn wal_stats(&self) -> WalStats {
        self.wal.stats(&self.clock)
    }

    /// How long ago the last seal ended; since the start, where there was none. Zero while one runs.
    pub fn since_seal(&self) -> Duration {
        match self.sealing.try_lock() {
            Some(sealing) => self.clock.monotonic().saturating_sub(sealing.last),
            None => Duration::ZERO,
        }
    }

    /// Samples and bytes that wait in memory to be sealed.
    pub fn unsealed(&self) -> (u64, u64) {
        let all = self.databases.all();
        (all.iter().map(|d| d.held.samples()).sum(), all.iter().map(|d| d.held.bytes()).sum())
    }

    /// Brings the gauges up to date.
    pub fn observe(&self) {
        let status = self.status();
        let sum = |of: &dyn Fn(&DatabaseStatus) -> u64| status.databases.values().map(of).sum::<u64>() as i64;
        let memory = self.telemetry.tier(Tier::Memory);
        memory.series.set(sum(&|d| d.memory.series));
        memory.chunks.set(sum(&|d| d.memory.chunks));
        memory.bytes.set(sum(&|d| d.memory.bytes));
        let disk = self.telemetry.tier(Tier::Disk);
        disk.series.set(sum(&|d| d.disk.series));
        disk.chunks.set(sum(&|d| d.disk.chunks));
        disk.bytes.set(sum(&|d| d.disk.bytes));
        for pool in Pool::ALL {
            self.telemetry.memory.pool(pool).set(self.pools.bytes(pool) as i64);
        }
        self.telemetry.memory.limit.set(i64::try_from(self.pools.limit()).unwrap_or(i64::MAX));
        self.telemetry.tier(Tier::Resident).bytes.set(sum(&|d| d.resident_bytes));
        let wal = self.wal_stats();
        self.telemetry.wal.disk_bytes.set(wal.bytes as i64);
        self.telemetry.wal.unsynced_bytes.set(wal.unsynced_bytes as i64);
        self.telemetry.wal.unsynced_age.set(wal.unsynced_age.as_secs_f64());
    }
}
