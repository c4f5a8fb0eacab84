//! What must hold for any bytes as a chunk: they are samples in order or they are refused, a range of them is what it
//! is of the whole, and any samples come back from a chunk as they went in.

use sealine_codec::gorilla::{ChunkError, SAMPLES_PER_CHUNK_MAX, chunks, decode, merge_decoded};
use sealine_codec::{Extent, Overlay};
use sealine_model::{Samples, TimeUnit};

const NS: TimeUnit = TimeUnit::Nanoseconds;

/// Panics where a rule is broken. The first two bytes say how many samples there should be, and what their times are
/// counted in.
pub fn check(bytes: &[u8]) {
    if let Some((numbers, chunk)) = bytes.split_first_chunk() {
        let number = u16::from_le_bytes(*numbers);
        let unit = TimeUnit::from_code(u64::from(number >> 14));
        as_a_chunk(chunk, Extent { unit, count: usize::from(number & 0x3fff), first: 0, last: 0 });
    }
    as_samples(bytes);
}

fn as_a_chunk(chunk: &[u8], extent: Extent) {
    let (mut whole, count) = (Samples::default(), extent.count);
    let outcome = decode(chunk, extent, (i64::MIN, i64::MAX), NS, &mut whole);
    assert!(whole.times.is_sorted_by(|a, b| a < b), "times increase");
    assert_eq!(whole.times.len(), whole.values.len());
    assert!(whole.len() <= count && whole.len() <= 4 * chunk.len(), "no sample is made up");
    match outcome {
        Err(ChunkError::Truncated { got, want }) => assert!(got < want && want == count),
        Err(ChunkError::Disordered { at }) => assert!(at < count),
        Ok(()) => in_ranges(chunk, extent, &whole),
    }
}

fn in_ranges(chunk: &[u8], extent: Extent, whole: &Samples) {
    let (Some(first), Some(last)) = (whole.times.first(), whole.times.last()) else { return };
    let middle = whole.times[whole.len() / 2];
    for range in [(*first, middle), (middle, *last), (middle, middle), (i64::MIN, *first), (*last, i64::MAX)] {
        let mut part = Samples::default();
        decode(chunk, extent, range, NS, &mut part).expect("what is sound whole is sound in part");
        let wanted = |(time, _): &(i64, u64)| (range.0..=range.1).contains(time);
        assert_eq!(pairs(&part), pairs(whole).into_iter().filter(wanted).collect::<Vec<_>>(), "{range:?}");
    }
    let mut twice = Samples::default();
    let mut overlay = Overlay::new(&mut twice, NS);
    for _ in 0..2 {
        let extent = Extent { first: *first, ..extent };
        merge_decoded(chunk, extent, (i64::MIN, i64::MAX), &mut overlay).expect("it is sound");
    }
    overlay.finish().expect("nothing is finer");
    assert_eq!(pairs(&twice), pairs(whole), "equal samples count once");
}

/// Sixteen bytes are a time and a value.
fn as_samples(bytes: &[u8]) {
    let mut rows: Vec<(i64, u64)> = bytes.as_chunks::<16>().0.iter().map(sample).collect();
    rows.sort_by_key(|(time, _)| *time);
    let (times, values): (Vec<i64>, Vec<f64>) = rows.iter().map(|(time, bits)| (*time, f64::from_bits(*bits))).unzip();
    let (mut from, mut read) = (0, Samples::default());
    let mut overlay = Overlay::new(&mut read, NS);
    for chunk in chunks(&times, &values) {
        let to = from + chunk.count;
        assert!(chunk.count <= SAMPLES_PER_CHUNK_MAX);
        assert_eq!((chunk.first, chunk.last), (times[from], times[to - 1]));
        merge_decoded(&chunk.bytes, chunk.extent(), (i64::MIN, i64::MAX), &mut overlay).expect("it was written");
        from = to;
    }
    assert_eq!(from, times.len());
    overlay.finish().expect("nothing is finer");
    // Of equal times the last one counts.
    rows.reverse();
    rows.dedup_by_key(|(time, _)| *time);
    rows.reverse();
    assert_eq!(pairs(&read), rows);
}

fn sample(bytes: &[u8; 16]) -> (i64, u64) {
    let number = u128::from_le_bytes(*bytes);
    (number as i64, (number >> 64) as u64)
}

fn pairs(samples: &Samples) -> Vec<(i64, u64)> {
    samples.times.iter().copied().zip(samples.values.iter().map(|value| value.to_bits())).collect()
}
