//! What finding series costs among a million of 100,000 hosts in memory: `cargo bench --bench postings`.

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sealine_model::{Column, Kind, Labels, METRIC_NAME, MatchOp, Matcher, Naming};
use sealine_store::parts::memory::{Field, Index, NewRow};
use std::hint::black_box;

const HOSTS: usize = 100_000;
const FIELDS: usize = 10;
const REGIONS: usize = 9;
const RACKS: usize = 100;

fn index() -> Index {
    let mut rng = StdRng::seed_from_u64(1);
    let naming = Naming::default();
    let field = |at| {
        let name = format!("usage_{at}");
        Field::new(
            name.as_bytes().into(),
            Column::Field { measurement: "cpu", field: &name, kind: Kind::Float },
            &naming,
        )
    };
    let fields: Vec<Field> = (0..FIELDS).map(field).collect();
    let mut index = Index::default();
    for host in 0..HOSTS {
        let [host, region, rack] = [
            format!("host_{host}"),
            format!("region-{}", rng.random_range(0..REGIONS)),
            format!("{}", rng.random_range(0..RACKS)),
        ];
        let labels = Labels::from_pairs([("hostname", &*host), ("region", &*region), ("rack", &*rack)]);
        index.define(None, &NewRow::new("cpu", &labels, &fields)).expect("few fields");
    }
    index
}

fn postings(c: &mut Criterion) {
    let index = index();
    let name = Matcher::equal(METRIC_NAME, "cpu_usage_0");
    let regex = |label, pattern| Matcher::new(label, MatchOp::Regex, pattern).expect("a good pattern");
    let hosts: Vec<String> = (0..8).map(|at| format!("host_{}", at * 12_345)).collect();
    let mut group = c.benchmark_group("select");
    for (what, found, matchers) in [
        ("one host", 1, vec![name.clone(), Matcher::equal("hostname", "host_77777")]),
        ("one host, all metrics", FIELDS, vec![Matcher::equal("hostname", "host_77777")]),
        ("eight hosts", 8, vec![name.clone(), regex("hostname", &hosts.join("|"))]),
        ("a prefix", 1111, vec![name.clone(), regex("hostname", "host_77.*")]),
        ("two labels", 0, vec![name.clone(), Matcher::equal("region", "region-1"), Matcher::equal("rack", "7")]),
        ("all hosts", HOSTS, vec![name.clone()]),
    ] {
        let got = index.select(&matchers).len();
        assert!(got == found || found == 0, "{what}: {got} series");
        group.bench_function(what, |b| b.iter(|| index.select(black_box(&matchers))));
    }
    group.finish();
}

criterion_group!(benches, postings);
criterion_main!(benches);
