//! How fast line protocol is read, in bytes a second on one core: `cargo bench --bench lineproto`.
//!
//! cpu        ten tags, ten small integers: the shape of the TSBS devops set
//! cpu-float  the same with full mantissas
//! host       what a host agent sends: short decimals, counters, sizes
//! strings    a third of the fields are strings
//! split      cutting a body in pieces, with strings in it
//! key        the keys of `cpu`, as a store pays for a row that it has not seen

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sealine_lineproto::{Limits, Lines, Splitter};
use std::fmt::Write;
use std::hint::black_box;

const HOSTS: usize = 2_000;
const CPU_FIELDS: [&str; 10] =
    ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];

fn cpu(rng: &mut StdRng, value: impl Fn(&mut StdRng) -> String) -> String {
    let mut block = String::new();
    for host in 0..HOSTS {
        let (rack, service) = (rng.random_range(0..100), rng.random_range(0..20));
        write!(
            block,
            "cpu,hostname=host_{host},region=eu-central-1,datacenter=eu-central-1b,rack={rack},os=Ubuntu16.04LTS,\
             arch=x64,team=LON,service={service},service_version=1,service_environment=production"
        )
        .expect("a String takes all");
        for (index, name) in CPU_FIELDS.iter().enumerate() {
            let separator = if index == 0 { ' ' } else { ',' };
            write!(block, "{separator}usage_{name}={}", value(rng)).expect("a String takes all");
        }
        block.push_str(" 1700000000000000000\n");
    }
    block
}

fn host(rng: &mut StdRng, with_strings: bool) -> String {
    let mut block = String::new();
    for host in 0..HOSTS {
        let tags = format!("host=web-{host:05},dc=eu-west-1");
        let decimal = |rng: &mut StdRng| f64::from(rng.random_range(0..1000)) / 10.0;
        let (user, idle, load) = (decimal(rng), decimal(rng), decimal(rng));
        let (bytes, free, percent) =
            (rng.random_range(0u64..1 << 40), rng.random_range(0u64..1 << 38), rng.random_range(0.0..100.0));
        let text = if with_strings { r#",status="running, more or less",path="C:\\data \"one\"""# } else { "" };
        write!(
            block,
            "cpu,cpu=cpu0,{tags} usage_guest=0,usage_idle={idle},usage_iowait=0.2,usage_user={user} 1700000000000000000\n\
             net,{tags},interface=eth0 bytes_recv={bytes}i,err_in=0i,packets_recv={}i{text} 1700000000000000000\n\
             disk,device=nvme0n1p1,fstype=ext4,{tags},path=/ free={free}i,used_percent={percent} 1700000000000000000\n\
             system,{tags} load1={load:.2},n_cpus=4i,uptime={}i{text} 1700000000000000000\n",
            bytes / 700,
            free / 1000,
        )
        .expect("a String takes all");
    }
    block
}

fn samples(block: &str) -> usize {
    let limits = Limits::default();
    let mut lines = Lines::new(block.as_bytes(), &limits);
    let mut count = 0;
    while let Some(line) = lines.next_line() {
        count += line.expect("the generator writes good lines").fields.len();
    }
    count
}

fn lines(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let limits = Limits::default();
    let blocks = [
        ("cpu", cpu(&mut rng, |rng| format!("{}i", rng.random_range(0..100)))),
        ("cpu-float", cpu(&mut rng, |rng| rng.random_range(0.0..100.0).to_string())),
        ("host", host(&mut rng, false)),
        ("strings", host(&mut rng, true)),
    ];
    let mut group = c.benchmark_group("lines");
    for (name, block) in &blocks {
        println!("{name}: {:.1} bytes a sample", block.len() as f64 / samples(block) as f64);
        group.throughput(Throughput::Bytes(block.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), block, |b, block| {
            b.iter(|| {
                let mut lines = Lines::new(black_box(block.as_bytes()), &limits);
                while let Some(line) = lines.next_line() {
                    black_box(&line.expect("the generator writes good lines"));
                }
            });
        });
    }
    group.finish();

    let (_, block) = &blocks[3];
    let mut group = c.benchmark_group("split");
    group.throughput(Throughput::Bytes(block.len() as u64));
    group.bench_function("strings", |b| b.iter(|| Splitter::new(&limits).split(black_box(block.as_bytes()), false)));
    group.finish();

    let (_, block) = &blocks[0];
    let mut group = c.benchmark_group("key");
    group.throughput(Throughput::Elements(HOSTS as u64));
    let mut lines = Lines::new(block.as_bytes(), &limits);
    let mut keys = Vec::new();
    while let Some(Ok(line)) = lines.next_line() {
        keys.push(line.key);
    }
    group.bench_function("cpu", |b| {
        b.iter(|| keys.iter().for_each(|key| drop(black_box(key.parse(&limits).expect("good keys")))));
    });
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
