//! What the store must answer: what was acknowledged, and what may have got through all the same.

use std::collections::BTreeMap;
use std::fmt;

/// A series as it prints, and a time.
pub type Key = (String, i64);

/// One request.
#[derive(Clone)]
pub struct Request {
    /// What it writes, by key: the bits of the value.
    pub samples: BTreeMap<Key, u64>,
}

#[derive(Debug, Clone, Default)]
struct Cell {
    /// The value that was acknowledged last.
    acknowledged: Option<u64>,
    /// Values of later requests that failed: each may or may not be there.
    uncertain: Vec<u64>,
}

/// Everything that was ever written.
#[derive(Default, Clone)]
pub struct Model {
    cells: BTreeMap<Key, Cell>,
    /// Requests that failed since the last restart.
    failed: Vec<Request>,
    /// Requests since the last sync, in order, and whether each was acknowledged: where `wal.sync` is not `always`, a power
    /// cut may take the later ones.
    loose: Vec<(Request, bool)>,
    /// Whether the power was cut since the last start.
    cut: bool,
}

/// What is wrong with an answer.
#[derive(Debug)]
pub struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Model {
    /// A request was acknowledged, but not synced.
    pub fn acknowledge(&mut self, request: Request) {
        self.loose.push((request, true));
    }

    /// A request failed: an error means that nobody knows.
    pub fn doubt(&mut self, request: Request) {
        self.loose.push((request, false));
    }

    /// All requests so far were synced.
    pub fn keep(&mut self) {
        if !self.cut {
            let all = self.loose.len();
            self.take(all);
        }
    }

    /// The power is cut: from here on nothing brings back what it takes.
    pub fn cut(&mut self) {
        self.cut = true;
    }

    /// The first `count` loose requests count; the others were never written.
    fn take(&mut self, count: usize) {
        for (request, acknowledged) in self.loose.drain(..).take(count).collect::<Vec<_>>() {
            if acknowledged { self.count(request) } else { self.maybe(request) }
        }
    }

    /// The model in which all requests so far count.
    pub fn whole(&self) -> Model {
        let mut whole = self.clone();
        whole.take(usize::MAX);
        whole
    }

    fn count(&mut self, request: Request) {
        for (key, value) in request.samples {
            self.cells.insert(key, Cell { acknowledged: Some(value), uncertain: Vec::new() });
        }
    }

    fn maybe(&mut self, request: Request) {
        for (key, value) in &request.samples {
            self.cells.entry(key.clone()).or_default().uncertain.push(*value);
        }
        self.failed.push(request);
    }

    /// Compares with what the store answers. Samples before `expired` may be gone.
    pub fn check(&self, got: &BTreeMap<Key, u64>, expired: i64) -> Result<(), Fault> {
        for (key, value) in got {
            let cell = self.cells.get(key);
            let known = cell.is_some_and(|c| c.acknowledged == Some(*value) || c.uncertain.contains(value));
            if !known {
                return Err(Fault(format!("{key:?} has {}, written was {cell:?}", f64::from_bits(*value))));
            }
        }
        for (key, cell) in &self.cells {
            if cell.acknowledged.is_some() && key.1 >= expired && !got.contains_key(key) {
                return Err(Fault(format!("{key:?} is lost: {cell:?}")));
            }
        }
        Ok(())
    }

    /// Compares after a restart: of the requests that were not synced a prefix is there, and nothing behind it; without a
    /// power cut all of them. What is seen now stays. Returns how many acknowledged requests are gone.
    pub fn settle(&mut self, got: &BTreeMap<Key, u64>, expired: i64) -> Result<usize, Fault> {
        let mut first_fault = None;
        let (all, fewest) = (self.loose.len(), if self.cut { 0 } else { self.loose.len() });
        for count in (fewest..=all).rev() {
            let gone = self.loose[count..].iter().filter(|(_, acknowledged)| *acknowledged).count();
            let mut prefix = self.clone();
            prefix.take(count);
            prefix.cut = false;
            match prefix.settle_all(got, expired) {
                Ok(()) => {
                    *self = prefix;
                    return Ok(gone);
                }
                Err(fault) => _ = first_fault.get_or_insert(fault),
            }
        }
        Err(first_fault.unwrap_or_else(|| Fault("there is always a prefix of length 0".into())))
    }

    /// Failed requests are there whole or not at all.
    fn settle_all(&mut self, got: &BTreeMap<Key, u64>, expired: i64) -> Result<(), Fault> {
        self.check(got, expired)?;
        for request in std::mem::take(&mut self.failed) {
            // Keys that this request alone has written tell whether it is there.
            let alone = |key: &Key, value: u64| {
                self.cells.get(key).is_some_and(|c| c.acknowledged.is_none() && c.uncertain == [value])
            };
            let telling: Vec<&Key> =
                request.samples.iter().filter(|(k, v)| alone(k, **v) && k.1 >= expired).map(|(k, _)| k).collect();
            let there = telling.iter().filter(|key| got.contains_key(**key)).count();
            if there != 0 && there != telling.len() {
                return Err(Fault(format!("of a failed request {there} of {} samples are there", telling.len())));
            }
        }
        for (key, cell) in &mut self.cells {
            *cell = Cell { acknowledged: got.get(key).copied(), uncertain: Vec::new() };
        }
        self.cells.retain(|_, cell| cell.acknowledged.is_some());
        Ok(())
    }

    /// Samples that were acknowledged.
    pub fn len(&self) -> usize {
        self.cells.values().filter(|cell| cell.acknowledged.is_some()).count()
    }
}
