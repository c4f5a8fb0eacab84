//! Blocks against plain lists: any values, any times, any range; and bytes that are not what was written.

use super::*;
use proptest::prelude::*;

const FIRST: i64 = 1_699_920_000_000;

fn steps(count: usize) -> Vec<i64> {
    (0..count as i64).map(|at| FIRST + at * 10_000).collect()
}

/// Numbers that look random and are the same each time.
fn noise(count: usize) -> impl Iterator<Item = u64> {
    (1..=count as u64)
        .map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (at << 7)).wrapping_mul(0xD6E8_FEB8_6659_FD93))
}

const TOTAL: f64 = 16_777_216_000.0;

/// All times, and the unit in which they are told apart.
const ALL: (i64, i64) = (i64::MIN, i64::MAX);
const NS: TimeUnit = TimeUnit::Nanoseconds;

/// What of a total is used: a walk in pages of 4096 bytes.
fn used(start: f64, count: usize) -> Vec<f64> {
    let mut used = start;
    let walk = noise(count).map(|n| {
        used += (n >> 40) as f64 % 5000.0 * 4096.0 - 2500.0 * 4096.0;
        used
    });
    walk.collect()
}

fn bits(samples: &Samples) -> Vec<(i64, u64)> {
    samples.times.iter().copied().zip(samples.values.iter().map(|value| value.to_bits())).collect()
}

fn read(blocks: &[Block], range: (i64, i64)) -> Samples {
    let mut samples = Samples::default();
    let mut overlay = Overlay::new(&mut samples, NS);
    for block in blocks {
        merge_decoded(&block.bytes, None, block.extent(), range, &mut overlay).unwrap();
    }
    overlay.finish().unwrap();
    samples
}

fn assert_round_trip(name: &str, times: &[i64], values: &[f64]) -> Vec<Block> {
    let blocks = encode(times, values).unwrap();
    let want = Samples { times: times.to_vec(), values: values.to_vec() };
    assert_eq!(bits(&read(&blocks, (i64::MIN, i64::MAX))), bits(&want), "{name}");
    assert!(blocks.iter().all(|block| block.count <= SAMPLES_PER_BLOCK_MAX), "{name}");
    blocks
}

#[test]
fn every_kind_of_value_comes_back_bit_by_bit() {
    const COUNT: usize = 3 * SAMPLES_PER_PAGE + 100;
    let noise = || noise(COUNT);
    let stale = f64::from_bits(sealine_model::STALE_NAN_BITS);
    let rows: [(&str, u8, Vec<f64>); 14] = [
        ("unchanged", 0, vec![1.5; COUNT]),
        ("unchanged negative zero", 0, vec![-0.0; COUNT]),
        ("unchanged NaN with a payload", 0, vec![f64::from_bits(0x7ff8_0000_dead_beef); COUNT]),
        ("small integers", 2, noise().map(|n| (n % 100) as f64).collect()),
        ("integers below zero", 2, noise().map(|n| (n % 100) as f64 - 50.0).collect()),
        ("percentages", 2, noise().map(|n| (n % 10_000) as f64 / 100.0).collect()),
        ("six places", 3, noise().map(|n| (n % 100_000_000) as f64 / 1e6).collect()),
        ("bytes", 3, noise().map(|n| 8e9 + (n % 1_000_000_000) as f64).collect()),
        ("large integers", 4, noise().map(|n| (n >> 12) as f64 - 2f64.powi(51)).collect()),
        ("zeros of both signs", 1, noise().map(|n| if n % 2 == 0 { 0.0 } else { -0.0 }).collect()),
        (
            "integers and staleness markers",
            1,
            noise().map(|n| if n % 9 == 0 { stale } else { (n % 9) as f64 }).collect(),
        ),
        ("infinities", 1, noise().map(|n| [f64::INFINITY, f64::NEG_INFINITY, 1.0][n as usize % 3]).collect()),
        ("any bits", 1, noise().map(f64::from_bits).collect()),
        ("beyond 2^53", 1, noise().map(|n| n as f64).collect()),
    ];
    for (name, kind, values) in rows {
        let blocks = assert_round_trip(name, &steps(COUNT), &values);
        assert!(blocks.iter().all(|block| block.bytes[0] & 31 == kind), "{name} is kept as {}", blocks[0].bytes[0]);
    }
}

#[test]
fn a_day_of_an_unchanged_value_takes_a_few_bytes_and_a_walk_a_third_of_a_byte_a_sample() {
    let unchanged = assert_round_trip("unchanged", &steps(8640), &[7.0; 8640]);
    assert_eq!(unchanged.iter().map(|block| block.bytes.len()).collect::<Vec<_>>(), [1 + 1 + 1 + 8]);
    let mut level = 50.0f64;
    let walk: Vec<f64> = noise(8640)
        .map(|n| {
            level = (level + (n >> 40) as f64 / (1u64 << 23) as f64 - 1.0).clamp(0.0, 100.0);
            level.trunc()
        })
        .collect();
    let blocks = assert_round_trip("walk", &steps(8640), &walk);
    assert!(blocks.len() == 1 && blocks[0].bytes.len() < 8640 / 3, "{} bytes", blocks[0].bytes.len());
}

#[test]
fn percentages_of_a_total_are_kept_as_counts() {
    for (name, start, total, steps_max, bytes_max) in [
        ("from nothing on", 0, 256e9, 100, 2.0),
        ("from anywhere on", 77_777_777_777u64, 256e9, 100, 2.5),
        ("large steps", 4096 << 18, 16_777_216_000.0, 2500, 3.0),
    ] {
        let (mut used, mut up) = (start, true);
        let percentages: Vec<f64> = noise(8640)
            .map(|n| {
                let step = (n >> 40) % steps_max * 4096;
                up = if used > 10 * start.max(8 << 30) { false } else { up || used < start + step };
                used = if up { used + step } else { used - step };
                used as f64 / total * 100.0
            })
            .collect();
        let blocks = assert_round_trip(name, &steps(8640), &percentages);
        let bytes = blocks.iter().map(|block| block.bytes.len()).sum::<usize>() as f64 / 8640.0;
        assert!(bytes < bytes_max, "{name}: {bytes} bytes a sample");
    }
}

/// What rounding does to one step has to stay apart from what is left of the next.
#[test]
fn percentages_of_a_walk_in_large_steps_are_kept_as_counts_wherever_it_is() {
    for start in [5e9, 8e9, 9e9, 10e9] {
        let percentages: Vec<f64> = used(start, 8640).iter().map(|used| used / TOTAL * 100.0).collect();
        let blocks = assert_round_trip("percentages", &steps(8640), &percentages);
        let bytes = blocks.iter().map(|block| block.bytes.len()).sum::<usize>() as f64 / 8640.0;
        assert!(bytes < 2.0, "from {start} on: {bytes} bytes a sample");
    }
}

#[test]
fn what_is_long_or_noisy_is_cut() {
    let noisy: Vec<f64> = noise(8640).map(|n| n as f64 / 3.0).collect();
    let blocks = assert_round_trip("noisy", &steps(8640), &noisy);
    assert!(blocks.len() > 2, "{} blocks", blocks.len());
    for block in &blocks {
        assert!(block.bytes.len() < BLOCK_BYTES + 8 * SAMPLES_PER_PAGE + 1000, "{} bytes", block.bytes.len());
    }
    let long: Vec<f64> = (0..40_000).map(|at| f64::from(at / 100)).collect();
    let counts: Vec<usize> = assert_round_trip("long", &steps(40_000), &long).iter().map(|block| block.count).collect();
    assert_eq!(counts, [13_824, 13_824, 12_352], "about equal parts of whole pages");
}

#[test]
fn gaps_take_some_bytes_and_only_what_is_irregular_a_column() {
    let values: Vec<f64> = noise(8640).map(|n| (n % 50) as f64).collect();
    let times = |gap: &dyn Fn(usize, u64) -> i64| -> Vec<i64> {
        let gaps = noise(8640).enumerate().map(|(at, n)| gap(at, n));
        gaps.scan(FIRST, |at, gap| {
            *at += 10_000 + gap;
            Some(*at)
        })
        .collect()
    };
    let bytes = |times: &[i64]| -> usize {
        assert_round_trip("gaps", times, &values).iter().map(|block| block.bytes.len()).sum()
    };
    let without = bytes(&times(&|_, _| 0));
    let some = times(&|at, _| if at % 1000 == 999 { 30_000 } else { 0 });
    assert!(bytes(&some) <= without + 8 * 6, "eight gaps");
    let late = times(&|at, _| match at % 500 {
        7 => 3,
        8 => -3,
        _ => 0,
    });
    assert!(bytes(&late) <= without + 36 * 6, "eighteen samples that came late");
    let column = |times: &[i64]| encode(times, &values).unwrap().iter().all(|block| block.bytes[0] & 8 != 0);
    assert!(!column(&some) && !column(&late));
    assert!(column(&times(&|_, n| (n % 7) as i64)));
    assert_round_trip("jitter", &times(&|_, n| (n % 7) as i64), &values);
}

#[test]
fn what_is_no_series_is_not_encoded() {
    assert_eq!(encode(&[i64::MIN, i64::MAX], &[1.0, 2.0]), None, "a step that does not fit");
    let jitter: Vec<i64> =
        noise(1300).enumerate().map(|(at, n)| at as i64 * 10_000_000_000 + (n % 999) as i64).collect();
    let blocks = assert_round_trip("steps that 32 bits do not hold", &jitter, &[1.0; 1300]);
    assert_eq!((blocks[0].unit, blocks[0].bytes[0] & 128), (TimeUnit::Nanoseconds, 128));
    assert_eq!(encode(&[5, 5], &[1.0, 2.0]), None, "a time twice");
    assert_eq!(encode(&[5, 4], &[1.0, 2.0]), None, "a time that goes back");
    assert_eq!(encode(&[], &[]), Some(vec![]));
    assert_round_trip("extreme times", &[i64::MAX - 1, i64::MAX], &[1.0, 2.0]);
    assert_round_trip("one sample", &[i64::MIN], &[2.0]);
}

#[test]
fn what_is_merged_over_samples_replaces_equal_times() {
    let (times, values): (Vec<i64>, Vec<f64>) = (0..1000).map(|at| (FIRST + at * 10, at as f64)).unzip();
    let block = &encode(&times, &values).unwrap()[0];
    let mut samples = Samples::default();
    let mut overlay = Overlay::new(&mut samples, NS);
    [(-5, -1.0), (20, -2.0), (25, -3.0)].iter().for_each(|(time, value)| overlay.sample(FIRST + time, *value));
    merge_decoded(&block.bytes, None, block.extent(), (FIRST, FIRST + 30), &mut overlay).unwrap();
    overlay.finish().unwrap();
    assert_eq!(samples.times, [FIRST - 5, FIRST, FIRST + 10, FIRST + 20, FIRST + 25, FIRST + 30]);
    assert_eq!(samples.values, [-1.0, 0.0, 1.0, 2.0, -3.0, 3.0]);
    let mut later = Samples { times: vec![FIRST + 20], values: vec![-2.0] };
    let refused = decode(&block.bytes, None, block.extent(), (FIRST, FIRST + 30), NS, &mut later);
    assert_eq!((refused, later.len()), (Err(BlockError::Times), 1), "decoding in place needs what is earlier");
}

/// With irregular times and a page and a bit of values: both columns, several pages.
fn irregular() -> Block {
    let jitter = noise(1300).enumerate().map(|(at, n)| FIRST + at as i64 * 1000 + (n % 50) as i64);
    let values: Vec<f64> = noise(1300).map(|n| (n % 700) as f64 / 10.0).collect();
    encode(&jitter.collect::<Vec<_>>(), &values).unwrap().remove(0)
}

#[test]
fn no_flipped_bit_or_cut_makes_it_panic_or_break_the_order_of_times() {
    let whole = irregular();
    let extent = whole.extent();
    let check = |what: &str, bytes: &[u8], count: usize| {
        let mut samples = Samples::default();
        let outcome = decode(bytes, None, Extent { count, ..extent }, ALL, NS, &mut samples);
        assert!(samples.times.is_sorted_by(|a, b| a < b), "{what}");
        assert!(samples.times.len() == samples.values.len() && samples.len() <= count, "{what}");
        assert!(outcome.is_err() || samples.len() == count, "{what}");
        outcome
    };
    assert_eq!(check("whole", &whole.bytes, whole.count), Ok(()));
    for bit in 0..whole.bytes.len() * 8 {
        let mut bytes = whole.bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = check(&format!("bit {bit}"), &bytes, whole.count);
    }
    for length in 0..whole.bytes.len() {
        assert!(check("cut", &whole.bytes[..length], whole.count).is_err(), "cut at {length}");
    }
    for count in [0, 1, whole.count - 1, whole.count + 1, SAMPLES_PER_BLOCK_MAX + 1, usize::MAX] {
        assert!(check("count", &whole.bytes, count).is_err(), "{count} samples");
    }
    let longer = [&whole.bytes[..], &[0]].concat();
    assert_eq!(check("longer", &longer, whole.count), Err(BlockError::Head));
}

#[test]
fn times_have_to_be_those_of_the_index() {
    let (regular, irregular) = (encode(&steps(10), &[1.0; 10]).unwrap().remove(0), irregular());
    for (block, span, want) in [
        (&regular, (FIRST, FIRST + 90_001), BlockError::Head),
        (&regular, (FIRST + 1, FIRST + 90_000), BlockError::Head),
        (&irregular, (irregular.first, irregular.last + 1), BlockError::Times),
        (&irregular, (irregular.first, irregular.first), BlockError::Times),
    ] {
        let extent = Extent { first: span.0, last: span.1, ..block.extent() };
        let outcome = decode(&block.bytes, None, extent, ALL, NS, &mut Samples::default());
        assert_eq!(outcome, Err(want), "{extent:?}");
    }
}

#[test]
fn what_would_take_memory_is_refused_before_it_is_asked_for() {
    use pco::wrapped::FileCompressor;
    use pco::{ChunkConfig, DeltaSpec, ModeSpec};
    let values: Vec<f64> = noise(SAMPLES_PER_PAGE).map(|n| f64::from_bits(n % 3)).collect();
    for config in [
        ChunkConfig::default().with_mode_spec(ModeSpec::TryDict),
        ChunkConfig::default().with_delta_spec(DeltaSpec::TryLookback),
    ] {
        let mut compressor = FileCompressor::default().chunk_compressor(&values, &config).unwrap();
        let (mut description, mut page) = (Vec::new(), Vec::new());
        compressor.write_meta(&mut description).unwrap();
        compressor.write_page(0, &mut page).unwrap();
        let pages = Pages {
            name: "values",
            format: column::format(),
            count: values.len(),
            description: &description,
            pages: vec![&page],
        };
        let outcome = pages.read(0..values.len(), &mut |_: &[f64]| {});
        assert!(matches!(outcome, Err(BlockError::Description { .. })), "{outcome:?}");
    }
}

/// A block and one over it, which must give back `values`.
fn assert_round_trip_over(name: &str, times: &[i64], values: &[f64], others: &[f64]) -> (Block, Block) {
    let under = encode(times, others).unwrap().remove(0);
    assert_eq!(under.count, times.len(), "{name}: one block");
    let reference = Reference { back: 70_000, length: under.bytes.len() };
    let over =
        encode_over(under.unit, times, values, others, reference).unwrap_or_else(|| panic!("{name}: there is no line"));
    assert_eq!((block_over(&over), block_over(&under)), (Some(reference), None), "{name}");
    let mut got = Samples::default();
    decode(&over.bytes, Some(&under.bytes), over.extent(), ALL, NS, &mut got).unwrap();
    assert_eq!(bits(&got), bits(&Samples { times: times.to_vec(), values: values.to_vec() }), "{name}");
    for (from, to) in [(0, 0), (3, 700), (511, 513), (1000, times.len() - 1)] {
        let mut part = Samples::default();
        decode(&over.bytes, Some(&under.bytes), over.extent(), (times[from], times[to]), NS, &mut part).unwrap();
        assert_eq!(bits(&part), bits(&got)[from..=to], "{name}: samples {from} to {to}");
    }
    (under, over)
}

fn block_over(block: &Block) -> Option<Reference> {
    reference(&block.bytes)
}

#[test]
fn what_another_series_tells_takes_next_to_nothing_and_comes_back_bit_by_bit() {
    let used = used(8e9, 8640);
    let of = |value: &dyn Fn(f64) -> f64| used.iter().map(|used| value(*used)).collect::<Vec<f64>>();
    for (name, values, bytes_max) in [
        ("free", of(&|used| TOTAL - used), 0.01),
        ("half of it", of(&|used| (used / 8192.0).floor()), 0.2),
        ("used percent", of(&|used| used / TOTAL * 100.0), 0.35),
        ("available percent", of(&|used| (TOTAL - used) / TOTAL * 100.0), 0.35),
        ("used percent, two places", of(&|used| (used / TOTAL * 1e4).round() / 100.0), 0.2),
    ] {
        let (_, over) = assert_round_trip_over(name, &steps(8640), &values, &used);
        let each = over.bytes.len() as f64 / 8640.0;
        assert!(each < bytes_max, "{name}: {each} bytes a sample");
    }
}

#[test]
fn a_block_over_another_keeps_any_bits_and_its_times() {
    let irregular: Vec<i64> =
        noise(1300).enumerate().map(|(at, n)| FIRST + at as i64 * 1000 + (n % 50) as i64).collect();
    let count = irregular.len();
    let strange = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324];
    let with = |mut values: Vec<f64>| {
        values[7..7 + strange.len()].copy_from_slice(&strange);
        values
    };
    let any: Vec<f64> = noise(count).map(|n| f64::from_bits(n % (1 << 62))).collect();
    let integers: Vec<f64> = noise(count).map(|n| (n >> 12) as f64 - 2f64.powi(51)).collect();
    let small: Vec<f64> = noise(count).map(|n| (n % 100) as f64 / 10.0).collect();
    for (name, values, others) in [
        ("strange values", with(used(8e9, count)), used(8e9, count)),
        ("strange others", used(8e9, count), with(used(8e9, count))),
        ("any bits", any.clone(), small.clone()),
        ("over any bits", small.clone(), any.clone()),
        ("large integers", integers.clone(), small.clone()),
        ("over large integers", small.clone(), integers.clone()),
    ] {
        let (under, over) =
            (encode(&irregular, &others).unwrap(), encode_over(NS, &irregular, &values, &others, NOWHERE));
        if over.is_some() && under.len() == 1 {
            assert_round_trip_over(name, &irregular, &values, &others);
        } else {
            assert!(name.contains("strange") || name.contains("any bits"), "{name}");
        }
    }
    assert_eq!(encode_over(NS, &irregular, &small, &[3.0; 1300], NOWHERE), None, "no line through an unchanging value");
    assert_eq!(encode_over(NS, &irregular, &[3.0; 1300], &small, NOWHERE), None, "nor to one");
    assert_eq!(encode_over(NS, &irregular, &small[1..], &small, NOWHERE), None, "one value each");
}

const NOWHERE: Reference = Reference { back: 0, length: 0 };

#[test]
fn a_block_is_read_with_the_one_that_it_is_over_and_no_other() {
    let used = used(8e9, 1300);
    let free: Vec<f64> = used.iter().map(|used| TOTAL - used).collect();
    let (under, over) = assert_round_trip_over("free", &steps(1300), &free, &used);
    let read = |bytes: &[u8], other: Option<&[u8]>| {
        let mut samples = Samples::default();
        let outcome = decode(bytes, other, over.extent(), ALL, NS, &mut samples);
        assert!(samples.times.is_sorted_by(|a, b| a < b) && samples.times.len() == samples.values.len());
        assert!(outcome.is_err() || samples.len() == over.count);
        outcome
    };
    assert_eq!(read(&over.bytes, Some(&under.bytes)), Ok(()));
    assert_eq!(read(&over.bytes, None), Err(BlockError::Reference));
    assert_eq!(
        read(&over.bytes, Some(&over.bytes)),
        Err(BlockError::Reference),
        "no block over one that is over another"
    );
    assert_eq!(read(&under.bytes, Some(&under.bytes)), Err(BlockError::Reference));
    let faster: Vec<i64> = (0..1300).map(|at| FIRST + at * 5000).collect();
    let faster = encode(&faster, &used).unwrap().remove(0);
    assert_eq!(read(&over.bytes, Some(&faster.bytes)), Err(BlockError::Head), "the other has other times");
    for bit in 0..over.bytes.len() * 8 {
        let mut bytes = over.bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = read(&bytes, Some(&under.bytes));
        let _ = reference(&bytes);
    }
    for bit in 0..under.bytes.len() * 8 {
        let mut bytes = under.bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = read(&over.bytes, Some(&bytes));
    }
    for length in 0..over.bytes.len() {
        assert!(read(&over.bytes[..length], Some(&under.bytes)).is_err(), "cut at {length}");
    }
}

fn any_series() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    let count = 1usize..2500;
    let delta = prop_oneof![
        Just(Just(1000i64).boxed()),
        Just(prop_oneof![200 => Just(1000i64), 1 => 1i64..100_000].boxed()),
        Just((1i64..100_000).boxed()),
    ];
    let value = prop_oneof![
        Just((0u64..100).prop_map(|n| n as f64).boxed()),
        Just((0u64..10_000).prop_map(|n| n as f64 / 100.0).boxed()),
        Just(any::<u64>().prop_map(f64::from_bits).boxed()),
    ];
    (count, delta, value).prop_flat_map(|(count, delta, value)| {
        let times = proptest::collection::vec(delta, count).prop_map(|deltas| {
            let add = |at: &mut i64, delta: i64| {
                *at += delta;
                Some(*at)
            };
            deltas.into_iter().scan(FIRST, add).collect::<Vec<_>>()
        });
        (times, proptest::collection::vec(value, count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_range_is_what_it_is_of_the_whole((times, values) in any_series(), ends in proptest::collection::vec((0usize..2500, -1i64..2), 8)) {
        let blocks = encode(&times, &values).unwrap();
        let want = bits(&Samples { times: times.clone(), values });
        prop_assert_eq!(&bits(&read(&blocks, (i64::MIN, i64::MAX))), &want);
        let end = |(at, off): &(usize, i64)| times[at % times.len()] + off;
        for pair in ends.windows(2) {
            let range = (end(&pair[0]), end(&pair[1])); // where it ends before it starts, nothing lies within
            let within: Vec<_> = want.iter().copied().filter(|(time, _)| (range.0..=range.1).contains(time)).collect();
            prop_assert_eq!(bits(&read(&blocks, range)), within, "{:?}", range);
        }
    }
}
