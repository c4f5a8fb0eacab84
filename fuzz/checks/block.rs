//! What must hold for any bytes as a block: they are samples in order or they are refused, a range of them is what it is
//! of the whole, memory follows the count, and any samples come back from blocks as they went in.

use sealine_codec::block::{Reference, SAMPLES_PER_BLOCK_MAX, decode, encode, encode_over, merge_decoded, reference};
use sealine_codec::{Extent, Overlay};
use sealine_model::{Samples, TimeUnit};

/// Of a block that is made up: its first time.
const FIRST: i64 = 1_699_920_000_000_000_000;

const ALL: (i64, i64) = (i64::MIN, i64::MAX);
const NS: TimeUnit = TimeUnit::Nanoseconds;

/// Panics where a rule is broken. The first six bytes say how many samples there should be, and how far apart the first
/// and the last one are; the block itself says in which unit.
pub fn check(bytes: &[u8]) {
    if let Some((numbers, block)) = bytes.split_first_chunk::<6>() {
        let [a, b, length @ ..] = numbers;
        let unit = TimeUnit::from_code(u64::from(block.first().map_or(0, |form| form >> 5)));
        let last = FIRST + unit.ns(i64::from(u32::from_le_bytes(*length)));
        as_a_block(block, Extent { unit, count: u16::from_le_bytes([*a, *b]).into(), first: FIRST, last });
    }
    as_samples(bytes);
}

fn as_a_block(block: &[u8], extent: Extent) {
    if reference(block).is_some() {
        return as_a_block_over_another(block, extent);
    }
    let (mut whole, count) = (Samples::default(), extent.count);
    let outcome = decode(block, None, extent, ALL, NS, &mut whole);
    assert!(whole.times.is_sorted_by(|a, b| a < b), "times increase");
    assert!(whole.times.len() == whole.values.len() && whole.len() <= count);
    if outcome.is_ok() {
        assert!(whole.len() == count && count <= SAMPLES_PER_BLOCK_MAX, "all or an error");
        assert_eq!((whole.times[0], whole.times[count - 1]), (extent.first, extent.last));
        in_ranges(block, None, extent, &whole);
    }
}

/// The other block has as many samples as this one says, evenly apart but for the last, and values that change.
fn as_a_block_over_another(block: &[u8], extent: Extent) {
    let count = extent.count;
    let times: Vec<i64> = (0..count as i64 - 1).map(|at| FIRST + extent.unit.ns(at)).chain([extent.last]).collect();
    let values: Vec<f64> = (0..times.len()).map(|at| (at % 500) as f64 / 4.0).collect();
    let Some(under) = encode(&times, &values).and_then(|blocks| blocks.into_iter().next()) else { return };
    let mut whole = Samples::default();
    let outcome = decode(block, Some(&under.bytes), extent, ALL, NS, &mut whole);
    assert!(whole.times.is_sorted_by(|a, b| a < b), "times increase");
    assert!(whole.times.len() == whole.values.len() && whole.len() <= count);
    if outcome.is_ok() {
        assert_eq!(whole.times, times, "its times are the other's");
        in_ranges(block, Some(&under.bytes), extent, &whole);
    }
}

fn in_ranges(block: &[u8], other: Option<&[u8]>, extent: Extent, whole: &Samples) {
    let count = whole.len();
    let at = |part: usize| whole.times[count * part / 4];
    for range in [(extent.first, at(2)), (at(1), at(3)), (at(2), at(2)), (at(3), at(1)), (at(3) + 1, i64::MAX)] {
        let mut part = Samples::default();
        decode(block, other, extent, range, NS, &mut part).expect("what is sound whole is sound in part");
        let wanted = |(time, _): &(i64, u64)| range.0 <= *time && *time <= range.1;
        assert_eq!(pairs(&part), pairs(whole).into_iter().filter(wanted).collect::<Vec<_>>(), "{range:?}");
    }
    let mut twice = Samples::default();
    let mut overlay = Overlay::new(&mut twice, NS);
    for _ in 0..2 {
        merge_decoded(block, other, extent, ALL, &mut overlay).expect("it is sound");
    }
    overlay.finish().expect("nothing is finer");
    assert_eq!(pairs(&twice), pairs(whole), "equal samples count once");
}

/// The first byte says how far apart times are, and what the others are: whole values, or small numbers.
fn as_samples(bytes: &[u8]) {
    let Some((form, bytes)) = bytes.split_first() else { return };
    let values: Vec<f64> = match form % 3 {
        0 => bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        1 => bytes.iter().map(|byte| f64::from(*byte)).collect(),
        _ => bytes
            .as_chunks::<3>()
            .0
            .iter()
            .map(|[a, b, c]| f64::from(i32::from_le_bytes([0, *a, *b, *c])) / 100.0)
            .collect(),
    };
    let jitter = |at: usize| if *form < 128 { 0 } else { i64::from(bytes[at % bytes.len()]) };
    let times: Vec<i64> = (0..values.len()).map(|at| FIRST + at as i64 * 1000 + jitter(at)).collect();
    let mut read = Samples::default();
    let mut overlay = Overlay::new(&mut read, NS);
    for block in encode(&times, &values).expect("times increase") {
        merge_decoded(&block.bytes, None, block.extent(), ALL, &mut overlay).expect("it was written");
    }
    overlay.finish().expect("nothing is finer");
    over_themselves(&times, &values);
    assert_eq!(pairs(&read), pairs(&Samples { times, values }));
}

/// Values that are told by those that came before, each by the one ten places ahead of it.
fn over_themselves(times: &[i64], values: &[f64]) {
    let mut others = values.to_vec();
    others.rotate_left(10 % values.len().max(1));
    let Some(blocks) = encode(times, &others) else { return };
    let [under] = &blocks[..] else { return };
    let at = Reference { back: under.bytes.len() as u64, length: under.bytes.len() };
    if let Some(over) = encode_over(under.unit, times, values, &others, at) {
        assert_eq!(reference(&over.bytes), Some(at));
        let mut read = Samples::default();
        decode(&over.bytes, Some(&under.bytes), over.extent(), ALL, NS, &mut read).expect("it was written");
        assert_eq!(pairs(&read), pairs(&Samples { times: times.to_vec(), values: values.to_vec() }));
    }
}

fn pairs(samples: &Samples) -> Vec<(i64, u64)> {
    samples.times.iter().copied().zip(samples.values.iter().map(|value| value.to_bits())).collect()
}
