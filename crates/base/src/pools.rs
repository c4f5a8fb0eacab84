//! One account of memory, by pool, and the order in which the daemon sheds load when it nears `memory.limit`.
//!
//! Code that holds memory reports it to its pool, once a batch, a file or a series of a query, never once a line. What is counted is
//! what was asked of the allocator; the tenth between the last step and the limit is for what it keeps beside that,
//! and for stacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Requests that are under way may hold this part of the limit.
const BUFFERS_PART: u64 = 4;

/// Samples that no file has yet may take this part of the limit before writes wait for a seal.
const CHUNKS_PART: u64 = 2;

/// A query that holds no more than this is not refused for what others hold.
const SMALL_QUERY_BYTES: u64 = 256 << 10;

/// A selector whose series take no more than this part of the limit to know is not refused either: what dashboards ask
/// is answered while memory is short for others.
const SELECTION_PART: u64 = 8;

/// The index may come to this part of the limit; a series that is new then is refused.
const INDEX_PART: u64 = 2;

/// What memory is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Samples that no chunk file has yet.
    Chunks,
    /// Rows, labels, postings.
    Index,
    /// Indexes of chunk files, and the chunks of young ones.
    Files,
    /// What queries hold.
    Queries,
    /// Bodies, datagrams, and batches on their way through the log into memory.
    Buffers,
    /// What seals and merges hold while they run.
    Maintenance,
}

impl Pool {
    /// All of them, each at the place of its number.
    pub const ALL: [Pool; 6] =
        [Pool::Chunks, Pool::Index, Pool::Files, Pool::Queries, Pool::Buffers, Pool::Maintenance];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Pool::Chunks => "chunks",
            Pool::Index => "index",
            Pool::Files => "files",
            Pool::Queries => "queries",
            Pool::Buffers => "buffers",
            Pool::Maintenance => "maintenance",
        }
    }
}

/// What is done when memory runs short, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Chunks go to disk before their time.
    Seal,
    /// What files hold in memory goes; it can be read again.
    Files,
    /// Queries are refused what they ask for.
    Queries,
    /// Writes are refused.
    Writes,
}

impl Step {
    /// The part of the limit, in hundredths, from which on this is done.
    fn percent(self) -> u64 {
        match self {
            Step::Seal => 60,
            Step::Files => 70,
            Step::Queries => 80,
            Step::Writes => 90,
        }
    }
}

/// Nothing more can be held now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("memory is short: {what} hold {held} bytes of a memory.limit of {limit}; try again later")]
pub struct Full {
    /// What it is that holds too much.
    pub what: &'static str,
    /// Bytes in use.
    pub held: u64,
    /// The setting, in bytes.
    pub limit: u64,
}

/// Bytes by pool. Nothing is decided on a figure being exact, so access is relaxed.
#[derive(Debug)]
pub struct Pools {
    limit: u64,
    bytes: [AtomicI64; Pool::ALL.len()],
}

impl Default for Pools {
    /// Pools without a limit.
    fn default() -> Self {
        Pools::new(u64::MAX)
    }
}

impl Pools {
    /// Empty pools; together they may have `limit` bytes.
    pub fn new(limit: u64) -> Pools {
        Pools { limit, bytes: Default::default() }
    }

    /// Bytes that all pools may have together: `memory.limit`.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes of one pool.
    pub fn bytes(&self, pool: Pool) -> u64 {
        self.bytes[pool as usize].load(Ordering::Relaxed).max(0) as u64
    }

    /// Bytes of all pools.
    pub fn total(&self) -> u64 {
        Pool::ALL.iter().map(|pool| self.bytes(*pool)).sum()
    }

    /// A pool grew, or shrank.
    pub fn add(&self, pool: Pool, bytes: i64) {
        self.bytes[pool as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// A pool that is counted anew from time to time has so many.
    pub fn set(&self, pool: Pool, bytes: u64) {
        self.bytes[pool as usize].store(bytes as i64, Ordering::Relaxed);
    }

    /// Whether memory is so short that this is to be done.
    pub fn is_due(&self, step: Step) -> bool {
        self.total() >= self.share(step)
    }

    /// By how many bytes the pools are beyond where this step begins.
    pub fn beyond(&self, step: Step) -> u64 {
        self.total().saturating_sub(self.share(step))
    }

    /// Whether a write may hold `more` bytes while it is under way. One by itself always may, however large.
    pub fn admit_write(&self, more: u64) -> Result<(), Full> {
        self.admit(Step::Writes, "all pools")?;
        let full = |what, held| Err(Full { what, held, limit: self.limit });
        let (chunks, buffers) = (self.bytes(Pool::Chunks), self.bytes(Pool::Buffers));
        if chunks >= self.limit / CHUNKS_PART {
            full("samples that wait to be sealed", chunks)
        } else if buffers > 0 && buffers.saturating_add(more) > self.limit / BUFFERS_PART {
            full("writes under way", buffers)
        } else {
            Ok(())
        }
    }

    /// Whether a query may hold `bytes` in all.
    pub fn admit_query(&self, bytes: u64) -> Result<(), Full> {
        if bytes <= SMALL_QUERY_BYTES { Ok(()) } else { self.admit(Step::Queries, "all pools") }
    }

    /// Whether a selector may hold `bytes` to know its series.
    pub fn admit_selection(&self, bytes: u64) -> Result<(), Full> {
        if bytes <= self.limit / SELECTION_PART { Ok(()) } else { self.admit_query(bytes) }
    }

    /// Whether the index may have another series.
    pub fn admit_series(&self) -> bool {
        self.bytes(Pool::Index) < self.limit / INDEX_PART
    }

    /// A place in a pool, with nothing in it yet.
    pub fn lease(self: &Arc<Self>, pool: Pool) -> Lease {
        Lease { pools: self.clone(), pool, bytes: 0 }
    }

    fn admit(&self, step: Step, what: &'static str) -> Result<(), Full> {
        let held = self.total();
        if held < self.share(step) { Ok(()) } else { Err(Full { what, held, limit: self.limit }) }
    }

    fn share(&self, step: Step) -> u64 {
        (u128::from(self.limit) * u128::from(step.percent()) / 100) as u64
    }
}

/// Bytes in a pool that go back when this is dropped.
#[derive(Debug)]
pub struct Lease {
    pools: Arc<Pools>,
    pool: Pool,
    bytes: u64,
}

impl Lease {
    /// It accounts for this many bytes from now on.
    pub fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes != self.bytes {
            self.pools.add(self.pool, bytes as i64 - self.bytes as i64);
            self.bytes = bytes;
        }
    }

    /// The pools that it is of.
    pub fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_in_their_order_and_go_again() {
        let pools = Arc::new(Pools::new(1000));
        let steps = [Step::Seal, Step::Files, Step::Queries, Step::Writes];
        assert!(steps.is_sorted());
        for (bytes, want) in [(599, 0), (600, 1), (699, 1), (700, 2), (800, 3), (899, 3), (900, 4), (5000, 4), (0, 0)] {
            pools.set(Pool::Files, bytes);
            let due: Vec<Step> = steps.into_iter().filter(|step| pools.is_due(*step)).collect();
            assert_eq!(due, steps[..want], "{bytes}");
            assert_eq!(pools.admit_query(SMALL_QUERY_BYTES + 1).is_err(), want >= 3, "{bytes}");
            pools.admit_query(SMALL_QUERY_BYTES).unwrap();
            pools.admit_selection(1000 / SELECTION_PART).unwrap();
            assert_eq!(pools.admit_write(0).is_err(), want >= 4, "{bytes}");
        }
    }

    #[test]
    fn a_write_by_itself_may_be_large_and_others_wait_for_it() {
        let pools = Arc::new(Pools::new(1000));
        pools.admit_write(800).unwrap();
        let mut lease = pools.lease(Pool::Buffers);
        lease.set(200);
        pools.admit_write(50).unwrap();
        let full = pools.admit_write(51).unwrap_err();
        assert_eq!(
            full.to_string(),
            "memory is short: writes under way hold 200 bytes of a memory.limit of 1000; try again later"
        );
        pools.set(Pool::Chunks, 500);
        assert_eq!(pools.admit_write(0).unwrap_err().what, "samples that wait to be sealed");
        pools.set(Pool::Chunks, 0);
        lease.set(10);
        assert_eq!(pools.bytes(Pool::Buffers), 10);
        drop(lease);
        assert_eq!(pools.total(), 0);
    }

    #[test]
    fn the_index_may_have_half() {
        let pools = Pools::new(1000);
        pools.set(Pool::Index, 499);
        assert!(pools.admit_series());
        pools.set(Pool::Index, 500);
        assert!(!pools.admit_series());
        assert!(Pools::default().admit_series());
    }
}
