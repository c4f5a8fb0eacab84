//! Chunks against a long-lived `tsz` encoder and against plain lists.

use super::open::WORDS_MORE_MIN;
use super::*;
use proptest::prelude::*;
use sealine_model::NS_PER_MS;
use tsz::stream::{BufferedReader, BufferedWriter};
use tsz::{DataPoint, Decode, Encode, StdDecoder, StdEncoder};

/// All times.
const ALL: (i64, i64) = (i64::MIN, i64::MAX);

/// Times in the unit of the chunk.
fn decoded(chunk: &Chunk) -> Samples {
    let mut samples = Samples::default();
    decode(&chunk.bytes, chunk.extent(), ALL, chunk.unit, &mut samples).unwrap();
    samples
}

/// Feeds samples, their times in microseconds, in runs of the given lengths, cutting where the chunk asks for it.
fn encode_in_runs(times: &[i64], values: &[f64], runs: &[usize]) -> Vec<Chunk> {
    let (mut chunks, mut open, mut at, mut run) = (Vec::new(), None::<OpenChunk>, 0, 0);
    while at < times.len() {
        let to = (at + runs[run % runs.len()]).min(times.len());
        // A run is in order of time.
        let to = at + 1 + times[at..to].windows(2).take_while(|pair| pair[0] <= pair[1]).count();
        run += 1;
        while at < to {
            let taken = open.as_mut().map_or(0, |chunk| chunk.append(&times[at..to], &values[at..to]));
            at += taken;
            if at < to {
                chunks.extend(open.take().map(|chunk| chunk.to_chunk()));
                open = Some(OpenChunk::start(TimeUnit::Microseconds, times[at], values[at]));
                at += 1;
            }
        }
    }
    chunks.extend(open.map(|chunk| chunk.to_chunk()));
    chunks
}

#[test]
fn a_chunk_has_the_bytes_of_the_format_page() {
    let chunk = Chunk::of(&[1000, 1010, 1020].map(|ms| ms * NS_PER_MS), &[1.0, 1.0, 2.0]);
    assert_eq!(chunk.unit, TimeUnit::Milliseconds);
    let want = concat!(
        "80000000000003e8", // start time 1000, sign bit flipped
        "0000",             // control bit 0; first delta in 14 bits: 0; the first bit of the value
        "7fe0000000000001", // the rest of 1.0 (3ff0000000000000); then 10: a delta of deltas of 7 bits
        "0a",               // 0001010: it is 10 (after the 0 of the line above); 0: same value
        "30",               // 0: same delta; 1 1: value differs, new window; 000001: one leading zero …
        "4a",               // … ends here; 001010: 11 significant bits, less one
        "ffe0",             // the eleven bits of 7ff0000000000000 (1.0 xor 2.0), five of padding
    );
    let hex: String = chunk.bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, want);
    let chunk = Chunk::of(&[1_000_000_001, 1_000_999_999], &[1.0, 1.0]);
    let hex: String = chunk.bytes.iter().map(|b| format!("{b:02x}")).collect();
    let want = concat!(
        "80000000000003e8", // start time 1000 ms, sign bit flipped
        "0000",             // control bit 0; first delta in 14 bits: 0; the first bit of the value
        "7fe0000000000000", // the rest of 1.0 (3ff0000000000000); then 0: same delta
        "00",               // 0: same value; seven of padding
        "01000000",         // 1 ns beyond the first time
        "3f420f00",         // 999,999 ns beyond the second
    );
    assert_eq!((chunk.unit, &*hex), (TimeUnit::Nanoseconds, want));
}

fn encode_with_tsz(times: &[i64], values: &[f64]) -> Box<[u8]> {
    let mut encoder = StdEncoder::new(to_tsz(times[0]), BufferedWriter::new());
    for (time, value) in times.iter().zip(values) {
        encoder.encode(DataPoint::new(to_tsz(*time), *value));
    }
    encoder.close()
}

/// The samples of a stream that `tsz` closed, as it reads them itself and as we do.
fn read_by_both(stream: Box<[u8]>, count: usize) -> [Vec<(u64, u64)>; 2] {
    let mut ours = vec![];
    let mut decoder = Decoder::new(&stream).expect("there is a sample");
    ours.push(decoder.sample());
    while decoder.advance().is_some() {
        ours.push(decoder.sample());
    }
    let mut decoder = StdDecoder::new(BufferedReader::new(stream));
    let theirs = (0..count).map(|_| decoder.next().expect("there are so many"));
    [ours, theirs.map(|point| (point.get_time(), point.get_value().to_bits())).collect()]
}

/// Whether the chunk's bits are those in front of the end marker of a stream that `tsz` closed itself.
fn same_bits(chunk: &Chunk, whole: &[u8]) -> bool {
    let full = chunk.bytes.len() - 1;
    chunk.bytes[..full] == whole[..full]
}

#[test]
fn what_tsz_cannot_encode_cuts_the_chunk() {
    for (name, times, chunks) in [
        ("time going back", &[5i64, 4][..], 2),
        ("equal times", &[5, 5, 5], 1),
        ("first delta beyond 14 bits", &[0, 1 << 20], 1),
        ("delta of deltas 2^31 - 1", &[0, i32::MAX as i64], 1),
        ("delta of deltas 2^31", &[0, 1 << 31], 2),
        ("delta of deltas 2^32, which reads as the end", &[0, 1 << 32], 2),
        ("delta of deltas -2^31, which reads with the wrong sign", &[0, 1 << 30, (1 << 31) + 1, (1 << 31) + 1], 1),
        ("delta of deltas below -2^31", &[0, (1 << 31) - 1, (1 << 32) + 5, (1 << 32) + 5], 2),
        ("and behind it times that do not differ", &[0, (1 << 31) - 1, (1 << 32) + 5, (1 << 32) + 5, (1 << 32) + 5], 2),
        ("from one end of time to the other", &[i64::MIN / 1000, i64::MAX / 1000], 2),
        ("before 1970", &[-1000, -10, 0, 10], 1),
    ] {
        let values: Vec<f64> = (0..times.len()).map(|v| v as f64).collect();
        for runs in [&[1][..], &[2], &[3], &[64]] {
            let got = encode_in_runs(times, &values, runs);
            assert_eq!(got.len(), chunks, "{name}");
            let mut back = Vec::new();
            for chunk in &got {
                let samples = decoded(chunk);
                let ends = (samples.times[0] * 1000, samples.times.last().unwrap() * 1000);
                assert_eq!((chunk.first, chunk.last), ends, "{name}");
                back.extend(samples.times);
            }
            let mut want = times.to_vec();
            want.dedup();
            back.dedup(); // where a chunk was cut between equal times
            assert_eq!(back, want, "{name}");
        }
    }
}

#[test]
fn a_chunk_holds_at_most_its_limit() {
    let times: Vec<i64> = (0..2000).collect();
    let chunks = encode_in_runs(&times, &vec![1.0; 2000], &[700]);
    assert_eq!(chunks.iter().map(|c| c.count).collect::<Vec<_>>(), [512, 512, 512, 464]);
}

#[test]
fn an_open_chunk_has_little_more_room_than_it_needs() {
    let mut open = OpenChunk::start(TimeUnit::Seconds, 0, 0.5);
    for at in 1..SAMPLES_PER_CHUNK_MAX as i64 {
        assert_eq!(open.append(&[at], &[(at as f64).sqrt()]), 1);
        let used = open.to_chunk().bytes.len();
        assert!(open.heap_bytes() <= used + (used / 8).max(WORDS_MORE_MIN * 8), "{used} of {}", open.heap_bytes());
    }
    assert_eq!(open.append(&[SAMPLES_PER_CHUNK_MAX as i64], &[0.0]), 0);
    assert!(size_of_val(&open) <= 64, "a cache line");
}

#[test]
fn decode_gives_the_range_asked_for_and_the_last_of_equal_times() {
    let chunk = Chunk::of(&[10, 20, 20, 30, 40], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    for (start, end, want) in [
        (i64::MIN, i64::MAX, vec![(10, 1.0), (20, 3.0), (30, 4.0), (40, 5.0)]),
        (20, 30, vec![(20, 3.0), (30, 4.0)]),
        (11, 19, vec![]),
        (41, 50, vec![]),
    ] {
        let mut samples = Samples::default();
        decode(&chunk.bytes, chunk.extent(), (start, end), TimeUnit::Nanoseconds, &mut samples).unwrap();
        assert_eq!(samples.times.iter().copied().zip(samples.values.iter().copied()).collect::<Vec<_>>(), want);
    }
}

proptest! {
    #[test]
    fn runs_give_the_bits_of_one_encoder_and_read_back(
        steps in proptest::collection::vec(prop_oneof![Just(10_000i64), 9_990i64..10_010, 0i64..5, 0i64..1_000_000], 1..300),
        raw in proptest::collection::vec(prop_oneof![
            any::<u64>().prop_map(f64::from_bits), (0i32..100).prop_map(f64::from), Just(7.0), Just(f64::from_bits(sealine_model::STALE_NAN_BITS)),
            (0i32..1000).prop_map(|v| f64::from(v) / 10.0)], 300),
        runs in proptest::collection::vec(1usize..40, 1..10),
        origin in prop_oneof![Just(1_700_000_000_000i64), Just(-5_000_000), Just(0)],
    ) {
        let times: Vec<i64> = steps.iter().scan(origin, |t, s| { *t += s; Some(*t) }).collect();
        let values = &raw[..times.len()];
        let chunks = encode_in_runs(&times, values, &runs);
        prop_assert_eq!(chunks.len(), 1);
        let whole = encode_with_tsz(&times, values);
        prop_assert!(same_bits(&chunks[0], &whole));
        let [ours, theirs] = read_by_both(whole, times.len());
        prop_assert_eq!(ours, theirs);
        let samples = decoded(&chunks[0]);
        let mut want: Vec<(i64, u64)> = Vec::new();
        for (time, value) in times.iter().zip(values) {
            match want.last_mut() {
                Some(last) if last.0 == *time => last.1 = value.to_bits(),
                _ => want.push((*time, value.to_bits())),
            }
        }
        let got: Vec<(i64, u64)> = samples.times.iter().copied().zip(samples.values.iter().map(|v| v.to_bits())).collect();
        prop_assert_eq!(got, want);
    }

    /// What is decoded many at a time is what is decoded one by one, in any range, behind anything, cut or not.
    #[test]
    fn steady_samples_are_those_read_one_by_one(
        irregular in proptest::collection::vec((1usize..200, 1i64..30_000), 0..4),
        raw in proptest::collection::vec(prop_oneof![
            6 => (0i32..100).prop_map(f64::from), 2 => any::<u64>().prop_map(f64::from_bits), 2 => Just(7.0),
            2 => (0i32..1000).prop_map(|v| f64::from(v) / 10.0)], SAMPLES_PER_CHUNK_MAX),
        noisy in any::<bool>(),
        count in 1usize..=SAMPLES_PER_CHUNK_MAX,
        (from, to) in (-10i64..530, -10i64..530),
        cut in 0usize..40,
    ) {
        let values: Vec<f64> = raw[..count].iter().map(|v| if noisy { v.sqrt() } else { *v }).collect();
        let mut steps = vec![10_000; count];
        for (at, step) in irregular {
            steps[at % count] = step;
        }
        let times: Vec<i64> = steps.iter().scan(1_700_000_000_000, |t, s| { *t += s; Some(*t) }).collect();
        let chunk = encode_in_runs(&times, &values, &[count]).remove(0);
        let bytes = &chunk.bytes[..chunk.bytes.len().saturating_sub(cut)];
        let at = |number: i64| times[0] + number * 10_000;
        let (start, end) = (at(from), at(to) + 3);
        let (mut want, mut read) = (Vec::new(), 0);
        let mut decoder = Decoder::new(bytes);
        while let Some(decoder) = decoder.as_mut().filter(|_| read < count) {
            let (time, value) = decoder.sample();
            if from_tsz(time) > end {
                read = count; // whatever follows
                break;
            }
            want.extend((from_tsz(time) >= start).then_some((from_tsz(time), value)));
            read += 1;
            if read < count && decoder.advance().is_none() {
                break;
            }
        }
        let mut samples = Samples::default();
        let extent = Extent { unit: TimeUnit::Microseconds, ..chunk.extent() };
        let result = decode(bytes, extent, (start * 1000, end * 1000), extent.unit, &mut samples);
        prop_assert_eq!(result.is_ok(), read == count, "{:?} after {}", result, read);
        let got: Vec<_> = samples.times.iter().zip(&samples.values).map(|(time, value)| (*time, value.to_bits())).collect();
        prop_assert_eq!(got, want);
    }

    /// In whatever unit, every nanosecond comes back, in any range.
    #[test]
    fn every_time_comes_back_to_the_nanosecond(
        steps in proptest::collection::vec(prop_oneof![
            Just(10_000_000_000i64), 0i64..3, 0i64..2_000_000, 9_999_000_000i64..10_001_000_000, Just(5_000_000), Just(3_000)], 1..200),
        coarsest in prop_oneof![Just(1i64), Just(1_000), Just(1_000_000), Just(1_000_000_000)],
        (from, to) in (0usize..200, 0usize..200),
    ) {
        let times: Vec<i64> =
            steps.iter().scan(-20_000_000_000, |t, s| { *t += s; Some(*t / coarsest * coarsest) }).collect();
        let values: Vec<f64> = (0..times.len()).map(|at| at as f64).collect();
        let range = (times[from % times.len()], times[to % times.len()]);
        let mut samples = Samples::default();
        let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
        let chunks = chunks(&times, &values);
        for chunk in &chunks {
            merge_decoded(&chunk.bytes, chunk.extent(), range, &mut overlay).unwrap();
            prop_assert!(chunk.unit.nanoseconds() >= coarsest);
        }
        prop_assert_eq!(overlay.finish(), Ok(()));
        let mut want: Vec<(i64, f64)> = times.iter().copied().zip(values).filter(|(t, _)| (range.0..=range.1).contains(t)).collect();
        want.reverse();
        want.dedup_by_key(|(time, _)| *time); // of equal times the last one
        want.reverse();
        prop_assert_eq!(samples.times.into_iter().zip(samples.values).collect::<Vec<_>>(), want);
    }

    #[test]
    fn hostile_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        count in 0usize..600,
        code in 0u64..4,
        range in (any::<i64>(), any::<i64>()),
    ) {
        let extent = Extent { unit: TimeUnit::from_code(code), count, first: 0, last: 0 };
        for (range, out) in [(ALL, TimeUnit::Nanoseconds), (range, extent.unit)] {
            let mut samples = Samples::default();
            let _ = decode(&bytes, extent, range, out, &mut samples);
            prop_assert!(samples.times.is_sorted());
        }
    }
}
