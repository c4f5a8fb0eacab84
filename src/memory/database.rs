//! The databases: a namespace of series each, made when they are first written to.

use super::index::Index;
use super::row::Growth;
use crate::series::Naming;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// One database's memory tier.
pub struct Database {
    /// Its name, as `db` or `bucket` in a request.
    pub name: Arc<str>,
    /// How its series are named.
    pub naming: Naming,
    /// Its rows. Readers are requests that are being parsed and queries that select; writers are new rows.
    pub index: RwLock<Index>,
    /// What its rows hold.
    pub held: Held,
}

/// Counts of what rows of a database hold in memory. Written by the apply thread and by seals, read by whoever
/// wants to know; nothing is decided on one of them being exact, so access is relaxed.
#[derive(Default)]
pub struct Held {
    samples: AtomicI64,
    bytes: AtomicI64,
    chunks: AtomicI64,
}

impl Held {
    /// Adds what came, or takes away what went.
    pub fn add(&self, samples: i64, grown: Growth) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.bytes.fetch_add(grown.bytes as i64, Ordering::Relaxed);
        self.chunks.fetch_add(grown.chunks as i64, Ordering::Relaxed);
    }

    /// Samples written since the last seal.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed).max(0) as u64
    }

    /// Bytes of chunks, open and closed.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).max(0) as u64
    }

    /// Chunks, open and closed.
    pub fn chunks(&self) -> u64 {
        self.chunks.load(Ordering::Relaxed).max(0) as u64
    }
}

/// All databases, by name.
pub struct Databases {
    by_name: RwLock<BTreeMap<Arc<str>, Arc<Database>>>,
    naming: Box<dyn Fn(&str) -> Naming + Send + Sync>,
}

impl Databases {
    /// No database yet; `naming` says how series of one are to be named.
    pub fn new(naming: impl Fn(&str) -> Naming + Send + Sync + 'static) -> Self {
        Databases { by_name: RwLock::default(), naming: Box::new(naming) }
    }

    /// The database of this name; made where there is none.
    pub fn get_or_create(&self, name: &str) -> Arc<Database> {
        if let Some(database) = self.by_name.read().get(name) {
            return database.clone();
        }
        let mut by_name = self.by_name.write();
        let create = || {
            Arc::new(Database {
                name: name.into(),
                naming: (self.naming)(name),
                index: RwLock::default(),
                held: Held::default(),
            })
        };
        by_name.entry(name.into()).or_insert_with(create).clone()
    }

    /// All databases in order of their names.
    pub fn all(&self) -> Vec<Arc<Database>> {
        self.by_name.read().values().cloned().collect()
    }
}
