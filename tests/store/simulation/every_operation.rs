//! One short history, interrupted at every operation it does on the disk, in every way; and then again at every
//! operation of the recovery.

use super::disk::{LOSSES, Loss, SimDisk};
use super::exchange::{DAY_MS, Draft, note_synced, read};
use super::model::Model;
use crate::support::library::{config, open_on_result};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sealine::config::{Config, WalSync};
use sealine_base::clock::{Clock, ManualClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// 2023-11-14 12:00:00 UTC.
const START_MS: i64 = 1_699_963_200_000;

/// How the machine comes back.
#[derive(Debug, Clone, Copy)]
enum Interruption {
    /// The process was killed: the kernel has all that it wrote.
    Kill,
    PowerCut(Loss),
}

struct World {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    config: Config,
    model: Model,
    rng: StdRng,
}

impl World {
    fn new(data: &Path, seed: u64, sync: WalSync) -> World {
        let mut config = config(data);
        config.wal.sync = sync;
        config.wal.segment_bytes = 600;
        config.merge.fan_in = 2;
        config.retention.disk = Duration::from_millis(3 * DAY_MS as u64);
        let (clock, rng) = (ManualClock::at(START_MS), StdRng::seed_from_u64(seed));
        World { disk: SimDisk::new(data), clock, config, model: Model::default(), rng }
    }

    /// Writes, seals, writes, seals, merges, archives, and lets a day expire. Errors are the disk's: it may be dead.
    fn script(&mut self) {
        let Ok(store) = open_on_result(self.disk.shared(), &self.config, &self.clock) else { return };
        for round in 0..3 {
            for _ in 0..3 {
                let draft = Draft::random(&mut self.rng, self.clock.now_ms());
                let _ = draft.send(&store, &mut self.model);
            }
            let _ = store.seal();
            note_synced(&store, &mut self.model);
            if round == 1 {
                let _ = store.maintain(&|| true);
            }
            self.clock.advance(Duration::from_secs(7 * 3600));
        }
        let _ = store.archive(true, &|| true);
        let draft = Draft::random(&mut self.rng, self.clock.now_ms());
        let _ = draft.send(&store, &mut self.model);
        self.clock.advance(Duration::from_millis(2 * DAY_MS as u64));
        let _ = store.maintain(&|| true);
    }

    fn interrupt(&mut self, how: Interruption) {
        self.disk = match how {
            Interruption::Kill => self.disk.after_kill(),
            Interruption::PowerCut(loss) => {
                self.model.cut();
                self.disk.after_power_cut(&mut self.rng, &[loss])
            }
        };
    }

    /// Opens the store on a sound disk and compares.
    fn recover(&mut self, after: &str) {
        let store = open_on_result(self.disk.shared(), &self.config, &self.clock);
        let store = store.unwrap_or_else(|error| panic!("{after}: {error}\n{}", self.log()));
        let got = read(&store).unwrap_or_else(|error| panic!("{after}: {error}\n{}", self.log()));
        let expired = self.clock.now_ms() - 3 * DAY_MS;
        let settled = self.model.settle(&got, expired);
        settled.unwrap_or_else(|fault| panic!("{after}: {fault}\n{}", self.log()));
    }

    fn log(&self) -> String {
        let log = self.disk.log();
        log[log.len().saturating_sub(40)..].join("\n")
    }
}

fn interruptions() -> impl Iterator<Item = Interruption> {
    std::iter::once(Interruption::Kill).chain(LOSSES.map(Interruption::PowerCut))
}

/// How many operations the undisturbed script does.
fn operations(data: &Path, seed: u64, sync: WalSync) -> u64 {
    let mut world = World::new(data, seed, sync);
    world.script();
    world.recover("nothing");
    world.disk.operations()
}

#[test]
fn interrupted_at_every_operation_nothing_is_lost_and_nothing_comes_up() {
    at_every_operation(WalSync::Always);
}

#[test]
fn with_an_interval_what_was_synced_and_a_prefix_of_the_rest_is_there() {
    at_every_operation(WalSync::Interval(Duration::from_secs(3600)));
}

fn at_every_operation(sync: WalSync) {
    let data = tempfile::tempdir().expect("a temporary folder");
    let seed = crate::support::seed();
    for at in 1..=operations(data.path(), seed, sync) {
        for how in interruptions() {
            let mut world = World::new(data.path(), seed, sync);
            world.disk.cut_power_at(at);
            world.script();
            world.interrupt(how);
            let after = format!("{how:?} at operation {at} of seed {seed}");
            world.recover(&after);
            // What was seen once is there for good.
            world.interrupt(Interruption::PowerCut(Loss::Dropped));
            world.recover(&format!("{after}, then a power cut"));
        }
    }
}

#[test]
fn interrupted_again_at_every_operation_of_the_recovery_it_recovers() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let seed = crate::support::seed();
    let sync = WalSync::Always;
    let every = operations(data.path(), seed, sync);
    // Every seventh operation, each with one of the ways, and all operations of the recovery from it.
    for (at, how) in (1..=every).step_by(7).zip(interruptions().collect::<Vec<_>>().into_iter().cycle()) {
        for again in 1.. {
            let mut world = World::new(data.path(), seed, sync);
            world.disk.cut_power_at(at);
            world.script();
            world.interrupt(how);
            world.disk.cut_power_at(world.disk.operations() + again);
            let recovered = open_on_result(world.disk.shared(), &world.config, &world.clock);
            let done = recovered.is_ok() && !world.disk.is_dead();
            drop(recovered);
            world.interrupt(Interruption::PowerCut(Loss::Sectors));
            world.recover(&format!("{how:?} at operation {at}, again at {again} of the recovery, seed {seed}"));
            if done {
                break;
            }
        }
    }
}
