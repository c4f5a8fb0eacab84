//! How many series and databases there may be, and how many there are.
//!
//! Only what is new is checked against the limits: rows that are there go on, and a replay makes whatever the log has.

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use sealine_base::pools::{Pool, Pools};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many there may be of each; `u64::MAX` where there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardinalityLimits {
    /// Series in all databases.
    pub series_max: u64,
    /// Series of one database.
    pub database_series_max: u64,
    /// Series of one measurement in one database.
    pub measurement_series_max: u64,
    /// Values of one tag key in one database.
    pub tag_values_max: u64,
    /// Databases.
    pub databases_max: u64,
}

impl Default for CardinalityLimits {
    fn default() -> Self {
        CardinalityLimits {
            series_max: u64::MAX,
            database_series_max: u64::MAX,
            measurement_series_max: u64::MAX,
            tag_values_max: u64::MAX,
            databases_max: u64::MAX,
        }
    }
}

/// The limits, which may change at any time, and the count over all databases. Each database checks and counts under its own lock, so two that grow
/// at the same moment may go past the limit over all by a line each.
#[derive(Debug, Default)]
pub struct Cardinality {
    limits: Arc<ArcSwap<CardinalityLimits>>,
    series: AtomicU64,
    pools: Arc<Pools>,
}

impl Cardinality {
    /// Nothing yet; the memory of indexes is accounted for in `pools`.
    pub fn new(limits: CardinalityLimits, pools: Arc<Pools>) -> Self {
        Cardinality { limits: Arc::new(ArcSwap::from_pointee(limits)), series: AtomicU64::new(0), pools }
    }

    /// The same limits and the same account of memory, with a separate count.
    pub(super) fn apart(&self) -> Self {
        Cardinality { limits: self.limits.clone(), series: AtomicU64::new(0), pools: self.pools.clone() }
    }

    /// What may not be passed.
    pub fn limits(&self) -> CardinalityLimits {
        **self.limits.load()
    }

    /// Other limits from now on. What is there stays, also where it is more than they allow.
    pub fn set_limits(&self, limits: CardinalityLimits) {
        self.limits.store(Arc::new(limits));
    }

    /// Series in all databases. A row without one, for it has had nothing but strings, counts as one.
    pub fn series(&self) -> u64 {
        self.series.load(Ordering::Relaxed)
    }
}

/// What one database has.
#[derive(Default)]
pub(super) struct Counts {
    pub cardinality: Arc<Cardinality>,
    series: u64,
    by_measurement: HashMap<String, u64>,
}

impl Counts {
    pub fn new(cardinality: Arc<Cardinality>) -> Self {
        Counts { cardinality, ..Counts::default() }
    }

    /// Series came to a measurement.
    pub fn add(&mut self, measurement: &str, series: u64) {
        self.cardinality.series.fetch_add(series, Ordering::Relaxed);
        self.series += series;
        *self.by_measurement.entry_ref(measurement).or_default() += series;
    }

    /// Series of a measurement went.
    pub fn remove(&mut self, measurement: &str, series: u64) {
        self.cardinality.series.fetch_sub(series, Ordering::Relaxed);
        self.series -= series;
        if let Some(count) = self.by_measurement.get_mut(measurement) {
            *count -= series;
            if *count == 0 {
                self.by_measurement.remove(measurement);
            }
        }
    }

    /// The index grew by this many bytes, or shrank.
    pub fn add_bytes(&self, bytes: i64) {
        self.cardinality.pools.add(Pool::Index, bytes);
    }

    /// Whether a measurement may have `more` series; the narrowest limit that it meets, where it may not. Kept strings
    /// are of no measurement (""), and what has none is not checked against the limit on one.
    pub fn room<'a>(&self, measurement: &'a str, more: u64) -> Result<(), Exceeded<'a>> {
        let limits = self.cardinality.limits();
        let fits = |have: u64, max: u64| have.saturating_add(more) <= max;
        let of_measurement = self.by_measurement.get(measurement).copied().unwrap_or(0);
        if !measurement.is_empty() && !fits(of_measurement, limits.measurement_series_max) {
            return Err(Exceeded::Measurement { measurement, max: limits.measurement_series_max });
        }
        if !fits(self.series, limits.database_series_max) {
            return Err(Exceeded::Database { measurement, max: limits.database_series_max });
        }
        if !fits(self.cardinality.series(), limits.series_max) {
            return Err(Exceeded::Total { measurement, max: limits.series_max });
        }
        if more > 0 && !self.cardinality.pools.admit_series() {
            return Err(Exceeded::Memory { measurement, limit: self.cardinality.pools.limit() });
        }
        Ok(())
    }
}

/// The limit that a line would pass. The message names its setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded<'a> {
    /// That on all series.
    #[error("a new series of measurement `{measurement}` would pass the {max} series of cardinality.max_series")]
    Total {
        /// The line's.
        measurement: &'a str,
        /// The limit.
        max: u64,
    },
    /// That on the memory of all series.
    #[error(
        "a new series of measurement `{measurement}` would take the index beyond half of the {limit} bytes of \
         memory.limit"
    )]
    Memory {
        /// The line's.
        measurement: &'a str,
        /// The limit.
        limit: u64,
    },
    /// That on a database's series.
    #[error(
        "a new series of measurement `{measurement}` would pass the {max} series of \
         cardinality.max_series_per_database"
    )]
    Database {
        /// The line's.
        measurement: &'a str,
        /// The limit.
        max: u64,
    },
    /// That on a measurement's series.
    #[error(
        "a new series of measurement `{measurement}` would pass the {max} series of \
         cardinality.max_series_per_measurement"
    )]
    Measurement {
        /// The line's.
        measurement: &'a str,
        /// The limit.
        max: u64,
    },
    /// That on a tag key's values.
    #[error(
        "measurement `{measurement}`: the new value `{value}` of tag `{tag}` would pass the {max} values of \
         cardinality.max_values_per_tag"
    )]
    TagValues {
        /// The line's.
        measurement: &'a str,
        /// The tag key, as the label that it becomes.
        tag: &'a str,
        /// The value.
        value: &'a str,
        /// The limit.
        max: u64,
    },
}

impl Exceeded<'_> {
    /// The label of the counter of refused lines.
    pub fn reason(&self) -> &'static str {
        match self {
            Exceeded::Total { .. } => "too_many_series",
            Exceeded::Memory { .. } => "index_memory",
            Exceeded::Database { .. } => "too_many_database_series",
            Exceeded::Measurement { .. } => "too_many_measurement_series",
            Exceeded::TagValues { .. } => "too_many_tag_values",
        }
    }
}
