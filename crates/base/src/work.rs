//! Counts work in debug builds, so that a test can hold how it grows (tests/growth.rs): no path may cost more than
//! n log n of what it is given.
//!
//! What is counted are steps of loops whose length is not bounded: fields looked at, words moved, samples decoded or
//! compared, bytes read. A loop reports its steps together, not one by one. In a release build nothing of this is left.

/// So many more steps were done.
#[cfg(debug_assertions)]
#[inline]
pub fn count(steps: usize) {
    STEPS.fetch_add(steps as u64, std::sync::atomic::Ordering::Relaxed);
}

/// Nothing is counted in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn count(_: usize) {}

/// The steps that all threads have done so far.
#[cfg(debug_assertions)]
pub fn done() -> u64 {
    STEPS.load(std::sync::atomic::Ordering::Relaxed)
}

/// Of the whole process: the work of a write or a query is done by several threads.
#[cfg(debug_assertions)]
static STEPS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
