//! Series in a real store: its memory tier, or files that were sealed and archived before each question.

use super::Backend;
use crate::support::library::{config, open};
use sealine_base::clock::ManualClock;
use sealine_lineproto::Precision;
use sealine_model::{Labels, Source};
use sealine_store::{Reader, Store};
use std::sync::Arc;
use tempfile::TempDir;

/// Where the samples are when a query comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Memory,
    Disk,
}

/// A store of its own, in which every `clear` begins another database.
pub struct Stored {
    store: Arc<Store>,
    tier: Tier,
    clears: usize,
    loaded: bool,
    /// None while a seal may run: it waits for readers that began before it.
    reader: Option<Reader>,
    _data: TempDir,
}

impl Stored {
    pub fn new(tier: Tier) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let store = open(&config(data.path()), &ManualClock::at(0));
        Stored { store, tier, clears: 0, loaded: false, reader: None, _data: data }
    }

    fn database(&self) -> String {
        self.clears.to_string()
    }
}

impl Backend for Stored {
    fn clear(&mut self) {
        self.clears += 1;
    }

    fn load(&mut self, labels: &Labels, samples: &[(i64, f64)]) {
        let mut stage = self.store.stage(&self.database(), Precision::Milliseconds).expect("a short name");
        samples.iter().for_each(|(time, value)| stage.add_sample(labels, *time, *value, 0));
        let (batch, report) = stage.finish();
        assert_eq!(report.refused, 0, "{:?}", report.first);
        self.store.append_blocking(batch).expect("the log takes it");
        self.loaded = true;
    }

    fn source(&mut self) -> &dyn Source {
        self.reader = None;
        if std::mem::take(&mut self.loaded) && self.tier == Tier::Disk {
            self.store.seal().expect("a seal");
            self.store.archive(true, &|| true).expect("an archive");
            assert_eq!(self.store.unsealed().0, 0, "nothing is in memory");
        }
        self.reader.insert(self.store.reader(Some(&[self.database()])))
    }
}
