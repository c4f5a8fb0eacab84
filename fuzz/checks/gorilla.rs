//! What must hold for any bytes as a chunk: they are samples in order or they are refused, a range of them is what it
//! is of the whole, and any samples come back from a chunk as they went in.

use sealine_codec::Overlay;
use sealine_codec::gorilla::{ChunkError, OpenChunk, SAMPLES_PER_CHUNK_MAX, decode, merge_decoded};
use sealine_model::Samples;

/// Panics where a rule is broken. The first two bytes say how many samples there should be.
pub fn check(bytes: &[u8]) {
    if let Some((count, chunk)) = bytes.split_first_chunk() {
        as_a_chunk(chunk, usize::from(u16::from_le_bytes(*count)));
    }
    as_samples(bytes);
}

fn as_a_chunk(chunk: &[u8], count: usize) {
    let mut whole = Samples::default();
    let outcome = decode(chunk, count, i64::MIN, i64::MAX, &mut whole);
    assert!(whole.times.is_sorted_by(|a, b| a < b), "times increase");
    assert_eq!(whole.times.len(), whole.values.len());
    assert!(whole.len() <= count && whole.len() <= 4 * chunk.len(), "no sample is made up");
    match outcome {
        Err(ChunkError::Truncated { got, want }) => assert!(got < want && want == count),
        Err(ChunkError::Disordered { at }) => assert!(at < count),
        Ok(()) => in_ranges(chunk, count, &whole),
    }
}

fn in_ranges(chunk: &[u8], count: usize, whole: &Samples) {
    let (Some(first), Some(last)) = (whole.times.first(), whole.times.last()) else { return };
    let middle = whole.times[whole.len() / 2];
    for range in [(*first, middle), (middle, *last), (middle, middle), (i64::MIN, *first), (*last, i64::MAX)] {
        let mut part = Samples::default();
        decode(chunk, count, range.0, range.1, &mut part).expect("what is sound whole is sound in part");
        let wanted = |(time, _): &(i64, u64)| (range.0..=range.1).contains(time);
        assert_eq!(pairs(&part), pairs(whole).into_iter().filter(wanted).collect::<Vec<_>>(), "{range:?}");
    }
    let mut twice = Samples::default();
    let mut overlay = Overlay::new(&mut twice);
    for _ in 0..2 {
        merge_decoded(chunk, count, *first, (i64::MIN, i64::MAX), &mut overlay).expect("it is sound");
    }
    overlay.finish();
    assert_eq!(pairs(&twice), pairs(whole), "equal samples count once");
}

/// Sixteen bytes are a time and a value.
fn as_samples(bytes: &[u8]) {
    let mut rows: Vec<(i64, u64)> = bytes.as_chunks::<16>().0.iter().map(sample).collect();
    rows.sort_by_key(|(time, _)| *time);
    let (times, values): (Vec<i64>, Vec<f64>) = rows.iter().map(|(time, bits)| (*time, f64::from_bits(*bits))).unzip();
    let (mut from, mut read) = (0, Samples::default());
    let mut overlay = Overlay::new(&mut read);
    while from < times.len() {
        let mut open = OpenChunk::start(times[from], values[from]);
        let taken = 1 + open.append(&times[from + 1..], &values[from + 1..]);
        let chunk = open.to_chunk();
        assert!(chunk.count == taken && taken <= SAMPLES_PER_CHUNK_MAX);
        assert_eq!((chunk.first, chunk.last), (times[from], times[from + taken - 1]));
        merge_decoded(&chunk.bytes, chunk.count, chunk.first, (i64::MIN, i64::MAX), &mut overlay)
            .expect("it was written");
        from += taken;
    }
    overlay.finish();
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
