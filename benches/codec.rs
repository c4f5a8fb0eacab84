//! What Gorilla chunks cost a sample: `cargo bench --bench codec`.
//!
//! walk       a small integer that moves by one now and then: a gauge of an agent
//! counter    a counter that grows by another amount each time
//! float      a walk with full mantissas
//!
//! `encode` appends eight samples at a time, as memory does; `decode` reads whole chunks.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sealine_codec::gorilla::{Chunk, OpenChunk, SAMPLES_PER_CHUNK_MAX, decode};
use sealine_model::{Samples, TimeUnit};
use std::hint::black_box;

/// Too many for the processor to learn them by heart, which it does with a few thousand that are encoded again and again.
const SAMPLES: usize = 512 * SAMPLES_PER_CHUNK_MAX;

/// Samples that are encoded at once.
const RUN: usize = 8;

const STEP_MS: i64 = 10_000;

fn walk(round: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut value: f64 = 50.0;
    let next = |_| {
        value = (value + rng.random_range(-1.7..1.7)).clamp(0.0, 100.0);
        round(value)
    };
    (0..SAMPLES).map(next).collect()
}

fn counter() -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(2);
    let mut value = 0;
    let next = |_| {
        value += rng.random_range(0u32..3_000_000);
        f64::from(value)
    };
    (0..SAMPLES).map(next).collect()
}

fn encode(times: &[i64], values: &[f64]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (times, values) in times.chunks(SAMPLES_PER_CHUNK_MAX).zip(values.chunks(SAMPLES_PER_CHUNK_MAX)) {
        let mut open = OpenChunk::start(TimeUnit::Milliseconds, times[0], values[0]);
        for (times, values) in times[1..].chunks(RUN).zip(values[1..].chunks(RUN)) {
            assert_eq!(open.append(times, values), times.len(), "regular times need no cut");
        }
        chunks.push(open.to_chunk());
    }
    chunks
}

fn codec(c: &mut Criterion) {
    let times: Vec<i64> = (0..SAMPLES as i64).map(|at| 1_700_000_000_000 + at * STEP_MS).collect();
    let shapes = [("walk", walk(f64::floor)), ("counter", counter()), ("float", walk(|value| value))];
    for (name, values) in &shapes {
        let bytes: usize = encode(&times, values).iter().map(|chunk| chunk.bytes.len()).sum();
        println!("{name}: {:.2} bytes a sample", bytes as f64 / SAMPLES as f64);
    }

    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for (name, values) in &shapes {
        group.bench_with_input(BenchmarkId::from_parameter(name), values, |b, values| {
            b.iter(|| encode(black_box(&times), black_box(values)));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for (name, values) in &shapes {
        let chunks = encode(&times, values);
        group.bench_with_input(BenchmarkId::from_parameter(name), &chunks, |b, chunks| {
            let mut samples = Samples::default();
            b.iter(|| {
                samples.clear();
                for chunk in black_box(chunks) {
                    decode(&chunk.bytes, chunk.extent(), (i64::MIN, i64::MAX), chunk.unit, &mut samples)
                        .expect("written above");
                }
                assert_eq!(samples.len(), SAMPLES);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
