//! One history: a store on a simulated disk is written to, sealed, merged, archived, expired; its process is killed, its
//! power cut, its disk fails; and each time it must answer as the model does. Everything follows from one seed.

use super::disk::{Fault, LOSSES, SimDisk};
use super::exchange::{DAY_MS, Draft, note_synced, read};
use super::model::Model;
use crate::support::library::{config, open_on_result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sealine::config::{Config, WalSync};
use sealine_base::clock::{Clock, ManualClock};
use sealine_store::Store;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// 2023-11-14 12:00:00 UTC.
const START_MS: i64 = 1_699_963_200_000;

/// Restarts in one history.
const LIVES: usize = 6;

/// Steps between two restarts, at most.
const STEPS: usize = 14;

/// A restart may be interrupted this often in a row.
const RESTARTS_MAX: usize = 4;

/// What a history came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub operations: u64,
    pub power_cuts: u64,
    pub kills: u64,
    pub faults: u64,
    pub samples: u64,
    /// Acknowledged requests that a power cut took, as `wal.sync` lets it.
    pub lost: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.operations += other.operations;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.faults += other.faults;
        self.samples += other.samples;
        self.lost += other.lost;
    }
}

/// A history while it is told.
struct Story {
    rng: StdRng,
    disk: SimDisk,
    clock: Arc<ManualClock>,
    config: Config,
    model: Model,
    tally: Tally,
    /// What was done, for a message.
    steps: Vec<String>,
}

/// Tells the history of a seed. Fails with what went wrong and the way there.
pub fn tell(seed: u64, data: &Path) -> Result<Tally, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut config = config(data);
    config.wal.segment_bytes = *[300, 4 << 10, 64 << 10].choose(&mut rng).expect("one of them");
    config.wal.sync = match rng.random_range(0..4) {
        0 => WalSync::Interval(Duration::from_secs(3600)), // the clock moves by hours
        1 => WalSync::Never,
        _ => WalSync::Always,
    };
    config.merge.fan_in = rng.random_range(2..4);
    config.retention.disk = Duration::from_millis(3 * DAY_MS as u64);
    config.retention.memory = Duration::from_millis(DAY_MS as u64 / 2);
    let mut story = Story {
        rng,
        disk: SimDisk::new(data),
        clock: ManualClock::at(START_MS),
        config,
        model: Model::default(),
        tally: Tally::default(),
        steps: Vec::new(),
    };
    story.tell().map_err(|fault| {
        let log = story.disk.log();
        let tail = log[log.len().saturating_sub(60)..].join("\n  ");
        format!("seed {seed}: {fault}\nsteps: {}\nlast operations:\n  {tail}", story.steps.join(", "))
    })
}

impl Story {
    fn tell(&mut self) -> Result<Tally, String> {
        for _ in 0..LIVES {
            self.live()?;
        }
        self.tally.operations = self.disk.operations();
        self.tally.samples = self.model.len() as u64;
        Ok(self.tally)
    }

    /// From a start to an end.
    fn live(&mut self) -> Result<(), String> {
        let store = self.start()?;
        if let Some(store) = store {
            self.plan_trouble();
            for _ in 0..self.rng.random_range(1..=STEPS) {
                if self.disk.is_dead() {
                    break;
                }
                self.step(&store)?;
            }
            if self.rng.random_bool(0.5) {
                self.end(); // in the midst of it; a store that ends in order syncs its log
                return Ok(());
            }
            drop(store);
        }
        self.end();
        Ok(())
    }

    /// Opens the store, whatever comes in between; `None` where the power went for good during it.
    fn start(&mut self) -> Result<Option<Arc<Store>>, String> {
        for attempt in 0..RESTARTS_MAX {
            if attempt + 1 < RESTARTS_MAX && self.rng.random_bool(0.2) {
                self.plan_trouble();
            }
            self.steps.push("start".into());
            match open_on_result(self.disk.shared(), &self.config, &self.clock) {
                Ok(store) => {
                    if self.disk.is_dead() {
                        drop(store);
                        self.end();
                        continue;
                    }
                    let got = read(&store)?;
                    let expired = self.expired();
                    let gone = self.model.settle(&got, expired).map_err(|fault| fault.to_string())?;
                    self.tally.lost += gone as u64;
                    return Ok(Some(store));
                }
                Err(error) if self.disk.is_dead() || self.disk.faulted() > 0 => {
                    self.steps.push(format!("does not start: {error}"));
                    self.end();
                }
                Err(error) => return Err(format!("the store does not start on a sound disk: {error}")),
            }
        }
        Ok(None)
    }

    /// Lets the power go, or an operation fail, some time from now.
    fn plan_trouble(&mut self) {
        let at = self.disk.operations() + self.rng.random_range(1..80);
        match self.rng.random_range(0..4) {
            0 | 1 => self.disk.cut_power_at(at),
            2 => {
                let kind = *[ErrorKind::StorageFull, ErrorKind::Other].choose(&mut self.rng).expect("one of them");
                self.disk.fail(Fault { at, forever: self.rng.random_bool(0.3), kind });
            }
            _ => {}
        }
    }

    /// The process ends: the power was cut, or somebody killed it, or it stopped; the disk is as that leaves it.
    fn end(&mut self) {
        self.tally.faults += self.disk.faulted();
        if self.disk.is_dead() || self.rng.random_bool(0.4) {
            self.tally.power_cuts += 1;
            self.steps.push("power cut".into());
            let losses = if self.rng.random_bool(0.5) {
                vec![*LOSSES.choose(&mut self.rng).expect("one")]
            } else {
                LOSSES.to_vec()
            };
            self.model.cut();
            self.disk = self.disk.after_power_cut(&mut self.rng, &losses);
        } else {
            self.tally.kills += 1;
            self.steps.push("kill".into());
            self.disk = self.disk.after_kill();
        }
    }

    fn step(&mut self, store: &Arc<Store>) -> Result<(), String> {
        match self.rng.random_range(0..16) {
            0..=6 => self.write(store),
            7 | 8 => {
                let sealed = store.seal();
                self.note("seal", sealed.map(drop));
                note_synced(store, &mut self.model);
            }
            9 | 10 => {
                let maintained = store.maintain(&|| true);
                self.note("maintain", maintained.map(drop));
            }
            11 => {
                let archived = store.archive(true, &|| true);
                self.note("archive", archived.map(drop));
            }
            12 => {
                let hours = self.rng.random_range(1..20);
                self.clock.advance(Duration::from_secs(hours * 3600));
                self.steps.push(format!("{hours} h pass"));
            }
            13 => {
                self.disk.heal();
                self.steps.push("heal".into());
            }
            _ => {
                if !self.disk.is_dead() && self.disk.faulted() == 0 {
                    self.steps.push("check".into());
                    let got = read(store)?;
                    self.model.whole().check(&got, self.expired()).map_err(|fault| fault.to_string())?;
                }
            }
        }
        Ok(())
    }

    fn note<E: std::fmt::Display>(&mut self, what: &str, outcome: Result<(), E>) {
        self.steps.push(match outcome {
            Ok(()) => what.to_string(),
            Err(error) => format!("{what}: {error}"),
        });
    }

    /// Writes a request of some lines.
    fn write(&mut self, store: &Store) {
        let draft = Draft::random(&mut self.rng, self.clock.now_ms());
        let count = draft.request.samples.len();
        self.steps.push(match draft.send(store, &mut self.model) {
            Ok(()) => format!("write {count}"),
            Err(error) => format!("write {count} fails: {error}"),
        });
    }

    /// Partitions that end before this may have been dropped.
    fn expired(&self) -> i64 {
        let keep = i64::try_from(self.config.retention.disk.as_millis()).unwrap_or(i64::MAX);
        // A whole partition goes at once: no sample of it is younger.
        self.clock.now_ms() - keep
    }
}
