//! Partitions: UTC days.

/// Nanoseconds in a partition.
pub const PARTITION_NS: i64 = 86_400_000_000_000;

/// The partition that holds a time: days since the epoch.
#[inline]
pub fn partition_of(time: i64) -> i64 {
    time.div_euclid(PARTITION_NS)
}
