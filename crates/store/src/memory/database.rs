//! The databases: a namespace of series each, made when they are first written to.

use super::cardinality::{Cardinality, CardinalityLimits};
use super::index::Index;
use super::row::Growth;
use super::states::States;
use parking_lot::{Mutex, RwLock};
use sealine_base::pools::{Pool, Pools};
use sealine_model::{LabelView, Naming};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The database that the daemon stores its own metrics in.
pub const INTERNAL_DATABASE: &str = "_internal";

/// One database's memory tier.
pub struct Database {
    /// Its name, as `db` or `bucket` in a request.
    pub name: Arc<str>,
    /// Its rows. Readers are requests that are being parsed and queries that select; writers are new rows.
    pub index: RwLock<Index>,
    /// What its rows hold.
    pub held: Held,
    /// The strings that are kept, as they follow one another. Taken without the index's lock.
    pub states: Mutex<States>,
}

impl Database {
    /// How PromQL sees its series.
    pub fn view(&self) -> Arc<LabelView> {
        self.index.read().view().clone()
    }
}

/// Counts of what rows of a database hold in memory. Written by the apply thread, by a start and by seals, read by
/// whoever wants to know; nothing is decided on one of them being exact, so access is relaxed.
#[derive(Default)]
pub struct Held {
    samples: AtomicI64,
    bytes: AtomicI64,
    chunks: AtomicI64,
    newest: Newest,
    pools: Arc<Pools>,
}

/// A time in nanoseconds; `i64::MIN` for none.
struct Newest(AtomicI64);

impl Default for Newest {
    fn default() -> Self {
        Newest(AtomicI64::new(i64::MIN))
    }
}

impl Held {
    /// Nothing yet; bytes are accounted for in `pools` as well.
    fn new(pools: Arc<Pools>) -> Self {
        Held { pools, ..Held::default() }
    }

    /// Notes the time of a sample that came.
    pub fn saw(&self, time: i64) {
        self.newest.0.fetch_max(time, Ordering::Relaxed);
    }

    /// The newest time that came since the start, the replay of the log included; `None` where nothing did.
    pub fn newest(&self) -> Option<i64> {
        Some(self.newest.0.load(Ordering::Relaxed)).filter(|time| *time != i64::MIN)
    }

    /// Adds what came, or takes away what went.
    pub fn add(&self, samples: i64, grown: Growth) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.bytes.fetch_add(grown.bytes as i64, Ordering::Relaxed);
        self.pools.add(Pool::Chunks, grown.bytes as i64);
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

/// The naming rules of a database.
type NamingOf = Box<dyn Fn(&str) -> Naming + Send + Sync>;

/// All databases, by name.
pub struct Databases {
    by_name: RwLock<BTreeMap<Arc<str>, Arc<Database>>>,
    naming: RwLock<NamingOf>,
    cardinality: Arc<Cardinality>,
    pools: Arc<Pools>,
}

impl Databases {
    /// No database yet; `naming` says how the series of one are named, `pools` has the account of their memory.
    pub fn new(
        naming: impl Fn(&str) -> Naming + Send + Sync + 'static,
        limits: CardinalityLimits,
        pools: Arc<Pools>,
    ) -> Self {
        let cardinality = Arc::new(Cardinality::new(limits, pools.clone()));
        Databases { by_name: RwLock::default(), naming: RwLock::new(Box::new(naming)), cardinality, pools }
    }

    /// What all of them have, and may have.
    pub fn cardinality(&self) -> &Cardinality {
        &self.cardinality
    }

    /// The database of this name; made where there is none, unless there are as many as there may be. Clients that are
    /// quick may pass that limit by one each.
    pub fn get_or_admit(&self, name: &str) -> Option<Arc<Database>> {
        {
            let by_name = self.by_name.read();
            if let Some(database) = by_name.get(name) {
                return Some(database.clone());
            }
            // The daemon's own takes nobody's place.
            let others = by_name.len() - usize::from(by_name.contains_key(INTERNAL_DATABASE));
            if others as u64 >= self.cardinality.limits().databases_max {
                return None;
            }
        }
        Some(self.get_or_create(name))
    }

    /// The database of this name; made where there is none, whatever the limits.
    pub fn get_or_create(&self, name: &str) -> Arc<Database> {
        if let Some(database) = self.by_name.read().get(name) {
            return database.clone();
        }
        let mut by_name = self.by_name.write();
        let create = || {
            // Series that the daemon makes take none away from its users.
            let internal = name == INTERNAL_DATABASE;
            let cardinality = if internal { Arc::new(self.cardinality.apart()) } else { self.cardinality.clone() };
            Arc::new(Database {
                name: name.into(),
                index: RwLock::new(Index::new(cardinality, Arc::new(self.new_view(name)))),
                held: Held::new(self.pools.clone()),
                states: Mutex::default(),
            })
        };
        by_name.entry(name.into()).or_insert_with(create).clone()
    }

    /// How PromQL sees the series of a database, which need not have been made.
    pub fn view(&self, name: &str) -> Arc<LabelView> {
        self.get(name).map_or_else(|| Arc::new(self.new_view(name)), |database| database.view())
    }

    fn new_view(&self, name: &str) -> LabelView {
        LabelView::new(Arc::new(self.naming.read()(name)), name)
    }

    /// Has PromQL see all series by other rules from now on.
    pub fn set_naming(&self, naming: impl Fn(&str) -> Naming + Send + Sync + 'static) {
        *self.naming.write() = Box::new(naming);
        for database in self.all() {
            let view = self.new_view(&database.name);
            let mut index = database.index.write();
            if view.naming() != index.view().naming() {
                index.set_view(Arc::new(view));
            }
        }
    }

    /// The database of this name, where there is one.
    pub fn get(&self, name: &str) -> Option<Arc<Database>> {
        self.by_name.read().get(name).cloned()
    }

    /// All databases in order of their names.
    pub fn all(&self) -> Vec<Arc<Database>> {
        self.by_name.read().values().cloned().collect()
    }
}
