//! What an append to the log costs, without what its entries mean: `cargo bench --bench log`.
//!
//! unsynced   one entry at a time, answered when it is written and handed on: the way through both threads
//! group      64 entries handed in at once, answered when the last of them is
//! synced     one entry at a time, answered when it is on disk: mostly what the disk costs

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealine_base::clock::SystemClock;
use sealine_base::vfs::DiskVfs;
use sealine_store::SyncPolicy;
use sealine_store::parts::wal::{Dictionary, Entry, Event, Options, Wal};
use sealine_telemetry::Telemetry;
use std::path::Path;

const GROUP: usize = 64;

/// Bytes of an entry: about what a request of 100 and one of 5000 lines of ten small integers take.
const SIZES: [usize; 2] = [2 << 10, 128 << 10];

/// An entry that is its own payload.
struct Payload(usize);

impl Entry for Payload {
    fn bytes(&self) -> usize {
        self.0
    }

    fn encode(&mut self, _: &mut Dictionary, out: &mut Vec<u8>) {
        out.resize(out.len() + self.0, 7);
    }
}

fn open(dir: &Path, sync: SyncPolicy) -> Wal<Payload> {
    let options = Options {
        dir: dir.into(),
        sync,
        segment_bytes: 64 << 20,
        queue_bytes_max: 64 << 20,
        bytes_max: u64::MAX,
        telemetry: Telemetry::new(),
    };
    let apply = |event| match event {
        Event::Apply { entries, .. } => entries.into_iter().for_each(|(_, receipt): (Payload, _)| receipt.done()),
        Event::Rotated { generation, done } => _ = done.send(Ok(generation)),
    };
    Wal::start(DiskVfs::shared(), SystemClock::shared(), options, 1, 1, apply).expect("a folder of our own")
}

/// Hands in `entries` of `size` bytes, and waits until all are answered. What is written is forgotten now and then, so
/// that the folder stays small.
fn append(wal: &Wal<Payload>, entries: usize, size: usize, written: &mut usize) {
    let answers: Vec<_> = (0..entries).map(|_| wal.append(Payload(size))).collect();
    for answer in answers {
        answer.blocking_recv().expect("the log runs").expect("the disk has room");
    }
    *written += entries * size;
    if *written > 1 << 30 {
        *written = 0;
        let generation = wal.rotate().blocking_recv().expect("the log runs").expect("the disk has room");
        wal.forget(generation).expect("the disk has room");
    }
}

fn log(c: &mut Criterion) {
    for (name, sync, entries) in
        [("unsynced", SyncPolicy::Never, 1), ("group", SyncPolicy::Never, GROUP), ("synced", SyncPolicy::Always, 1)]
    {
        let mut group = c.benchmark_group(name);
        for size in SIZES {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let wal = open(dir.path(), sync);
            let mut written = 0;
            group.throughput(Throughput::Bytes((entries * size) as u64));
            group.bench_with_input(BenchmarkId::from_parameter(size), &size, |b, size| {
                b.iter(|| append(&wal, entries, *size, &mut written));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, log);
criterion_main!(benches);
