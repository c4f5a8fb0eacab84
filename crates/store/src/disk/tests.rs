//! Chunk files written, read, merged, damaged and found again.

use super::*;
use proptest::prelude::*;
use sealine_base::vfs::{DiskVfs, SharedVfs};
use sealine_codec::gorilla::{self, Chunk};
use sealine_codec::{Form, Overlay};
use sealine_model::{Labels, METRIC_NAME, MatchOp, Matcher, PARTITION_NS, Samples, TimeUnit};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

const DAY: i64 = 19_675;

/// Series to samples: what a file should hold.
type Content = BTreeMap<(String, Labels), Vec<(i64, f64)>>;

fn chunk(samples: &[(i64, f64)]) -> Chunk {
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    let mut chunks = gorilla::chunks(&times, &values);
    assert_eq!(chunks.len(), 1);
    chunks.remove(0)
}

fn write(vfs: &SharedVfs, dir: &Path, name: FileName, content: &Content) -> ChunkFile {
    let mut sets: Vec<&Labels> =
        content.keys().map(|(_, labels)| labels).collect::<BTreeSet<_>>().into_iter().collect();
    sets.sort_by_key(|labels| labels.as_bytes());
    let mut writer = ChunkFileWriter::create(Volume::unbounded(vfs.clone()), dir, name, DAY, false, false).unwrap();
    let mut series: Vec<_> = content
        .iter()
        .map(|((column, labels), samples)| (column, sets.iter().position(|s| *s == labels).unwrap() as u32, samples))
        .collect();
    series.sort_by_key(|(column, set, _)| (column.to_string(), *set));
    for (column, set, samples) in series {
        let chunks: Vec<Chunk> = samples.chunks(50).map(chunk).collect();
        writer.series(column, set, chunks.iter()).unwrap();
    }
    writer.finish("telegraf", &sets).unwrap()
}

fn read(file: &ChunkFile, matchers: &[Matcher]) -> Content {
    let selection = file.select(matchers, &Arc::default(), i64::MIN, i64::MAX).unwrap();
    let mut content = Content::new();
    for series in &selection.series {
        let mut samples = Samples::default();
        let mut overlay = Overlay::new(&mut samples, TimeUnit::Nanoseconds);
        file.read(selection.chunks_of(series), i64::MIN, i64::MAX, &mut overlay).unwrap();
        overlay.finish().unwrap();
        let column = file.index().unwrap().column(series.column as usize).to_string();
        let labels = file.tags(series.set).unwrap();
        assert_eq!(file.index().unwrap().set_hash(series.set), Some(labels.hash128()));
        content.insert((column, labels), samples.times.into_iter().zip(samples.values).collect());
    }
    content
}

fn content(hosts: usize, samples: usize, offset: i64) -> Content {
    let mut content = Content::new();
    for host in 0..hosts {
        for column in ["cpu_idle", "cpu_user", "mem_free"] {
            let labels = Labels::from_pairs([("host", format!("h{host}").as_str()), ("dc", ["eu", "us"][host % 2])]);
            let values =
                (0..samples as i64).map(|at| (DAY * PARTITION_NS + offset + at * 10_000, (host as i64 + at) as f64));
            content.insert((column.to_string(), labels), values.collect());
        }
    }
    content
}

#[test]
fn a_file_gives_back_what_was_written_to_any_matcher() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let want = content(300, 120, 0);
    let written = write(&vfs, dir.path(), FileName { first: 1, last: 1 }, &want);
    let found =
        ChunkFile::found(Volume::unbounded(vfs.clone()), written.path().to_path_buf(), written.name(), written.bytes());
    assert_eq!(fs::metadata(found.path()).unwrap().len(), written.bytes());
    let info = found.info().unwrap();
    assert_eq!((info.samples, info.series, info.chunks), (300 * 3 * 120, 900, 2700));
    let m = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
    for matchers in [
        vec![],
        vec![m(METRIC_NAME, MatchOp::Equal, "cpu_user")],
        vec![m(METRIC_NAME, MatchOp::Regex, "cpu_.*"), m("dc", MatchOp::Equal, "eu")],
        vec![m("host", MatchOp::Regex, "h1|h7|none")],
        vec![m("host", MatchOp::NotRegex, "h.*7"), m(METRIC_NAME, MatchOp::NotEqual, "cpu_user")],
        vec![m("host", MatchOp::Equal, "")],
        vec![m("none", MatchOp::Equal, "")],
    ] {
        let passes = |(column, labels): &(String, Labels)| {
            let set = labels.with(METRIC_NAME, column);
            matchers.iter().all(|m| m.matches(set.get(m.name()).unwrap_or("")))
        };
        let want: Content = want.iter().filter(|(key, _)| passes(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(read(&written, &matchers), want, "{matchers:?}");
        assert_eq!(read(&found, &matchers), want, "{matchers:?}");
    }
    found.set_resident(true).unwrap();
    assert_eq!(read(&found, &[]), want);
    assert_eq!(verify_file(&vfs, found.path()), (vec![], info.samples));
}

#[test]
fn a_range_decodes_only_its_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&DiskVfs::shared(), dir.path(), FileName { first: 1, last: 1 }, &content(1, 500, 0));
    let start = DAY * PARTITION_NS;
    for (from, to, chunks) in [(0, 499, 10), (0, 0, 1), (60, 60, 1), (49, 50, 2), (500, 600, 0)] {
        let selection = file
            .select(
                &[Matcher::equal(METRIC_NAME, "cpu_user")],
                &Arc::default(),
                start + from * 10_000,
                start + to * 10_000,
            )
            .unwrap();
        assert_eq!(selection.chunks.len(), chunks, "{from} to {to}");
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let want = content(2, 60, 0);
    let path = write(&vfs, dir.path(), FileName { first: 1, last: 1 }, &want).path().to_path_buf();
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let (faults, _) = verify_file(&vfs, &path);
        if faults.is_empty() {
            let file = ChunkFile::found(
                Volume::unbounded(vfs.clone()),
                path.clone(),
                FileName { first: 1, last: 1 },
                bytes.len() as u64,
            );
            assert_eq!(read(&file, &[]), want, "bit {bit}");
        }
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(!verify_file(&vfs, &path).0.is_empty(), "cut at {length}");
    }
}

#[test]
fn a_published_merge_replaces_its_parts_even_if_a_crash_left_them() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let partitions =
        Partitions::open(Volume::unbounded(vfs.clone()), dir.path(), &dir.path().join("quarantine")).unwrap();
    let partition = partitions.get_or_create("tele/graf", DAY).unwrap();
    for generation in 1..=3 {
        let name = FileName { first: generation, last: generation };
        partition.publish(Arc::new(write(&vfs, &partition.dir, name, &content(2, 10, generation as i64 * 50_000))));
    }
    let before = partition.files();
    let merged =
        merge(&Volume::unbounded(vfs.clone()), &partition.dir, &before, false, false, &|| true).unwrap().unwrap();
    // As a crash leaves it: the parts are still there, and so is an unfinished file.
    fs::write(partition.dir.join("0000000009-0000000009.chunks.tmp"), b"half").unwrap();
    let found = Partitions::open(Volume::unbounded(vfs.clone()), dir.path(), &dir.path().join("quarantine")).unwrap();
    let files = found.between("tele/graf", DAY, DAY)[0].files();
    assert_eq!(files.iter().map(|f| f.name()).collect::<Vec<_>>(), [FileName { first: 1, last: 3 }]);
    assert_eq!(fs::read_dir(&partition.dir).unwrap().count(), 1);
    assert_eq!(read(&files[0], &[]), read(&merged, &[]));
    let expired = found.expire(&found.all()[0]).unwrap();
    assert_eq!((expired, found.all().len()), (files[0].bytes(), 0));
    files[0].unload();
    assert_eq!(read(&files[0], &[]).len(), 6, "a query that holds the file reads on");
    found.remove_left().unwrap();
    assert!(partition.dir.exists());
    drop(files);
    found.remove_left().unwrap();
    assert!(!partition.dir.exists(), "its last reader has gone");
}

#[test]
fn a_file_that_is_rewritten_by_itself_stays() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let volume = Volume::new(vfs.clone(), Arc::default(), 2);
    let partitions = Partitions::open(volume.clone(), dir.path(), &dir.path().join("quarantine")).unwrap();
    let partition = partitions.get_or_create("telegraf", DAY).unwrap();
    let want = content(2, 100, 0);
    let written = write(&vfs, &partition.dir, FileName { first: 1, last: 1 }, &want);
    let (path, bytes) = (written.path().to_path_buf(), written.bytes());
    partition.publish(Arc::new(ChunkFile::found(volume.clone(), path.clone(), FileName { first: 1, last: 1 }, bytes)));
    let before = partition.files();
    assert!(before[0].hold_open().unwrap());
    let archived = merge(&volume, &partition.dir, &before, false, true, &|| true).unwrap().unwrap();
    partition.publish(Arc::new(archived));
    for file in [&partition.files()[0], &before[0], &partition.files()[0]] {
        file.unload();
        assert_eq!(read(file, &[]), want, "a query that holds the older file reads on");
    }
    assert!(!partition.files()[0].hold_open().unwrap(), "no more than half of the handles");
    drop(before);
    assert!(partition.files()[0].hold_open().unwrap());
    let found = Partitions::open(Volume::unbounded(vfs.clone()), dir.path(), &dir.path().join("quarantine")).unwrap();
    let files = found.between("telegraf", DAY, DAY)[0].files();
    assert_eq!(read(&files[0], &[]), want);
    assert!(files[0].info().unwrap().archived);
}

/// Chunks, an archive of them, what came late, and an archive of both.
#[test]
fn an_archive_keeps_long_series_in_blocks_and_takes_late_samples_in() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let one = |generation: u64, content: &Content| {
        Arc::new(write(&vfs, dir.path(), FileName { first: generation, last: generation }, content))
    };
    let mut want = content(3, 2000, 0);
    let short = ("short".to_string(), Labels::from_pairs([("host", "h0")]));
    want.insert(short.clone(), vec![(DAY * PARTITION_NS + 5, 1.5), (DAY * PARTITION_NS + 6, 2.5)]);
    let archive =
        merge(&Volume::unbounded(vfs.clone()), dir.path(), &[one(1, &want)], false, true, &|| true).unwrap().unwrap();
    assert_eq!(read(&archive, &[]), want);
    let info = archive.info().unwrap();
    assert_eq!((info.version, info.series, info.chunks), (4, 10, 10), "a block for each long series");
    assert_eq!(verify_file(&vfs, archive.path()), (vec![], 9 * 2000 + 2));
    let mut dumped = Vec::new();
    dump(&vfs, archive.path(), &mut dumped).unwrap().unwrap();
    let dumped = String::from_utf8(dumped).unwrap();
    assert_eq!((dumped.matches("  block at byte").count(), dumped.matches("  chunk at byte").count()), (9, 1));

    // Over what is there, beside it, and of a series that is new.
    let (changed, new) = (want.keys().next().unwrap().clone(), ("new".to_string(), Labels::empty()));
    let late = DAY * PARTITION_NS + 70_000_000;
    let more =
        Content::from([(changed.clone(), vec![(DAY * PARTITION_NS, -7.0), (late, 8.0)]), (new, vec![(late, 9.0)])]);
    let both = [Arc::new(archive), one(2, &more)];
    let again = merge(&Volume::unbounded(vfs.clone()), dir.path(), &both, false, true, &|| true).unwrap().unwrap();
    want.extend(
        more.iter().skip_while(|(key, _)| **key == changed).map(|(key, samples)| (key.clone(), samples.clone())),
    );
    let samples = want.get_mut(&changed).unwrap();
    samples[0].1 = -7.0;
    samples.push((late, 8.0));
    assert_eq!(read(&again, &[]), want);
    assert_eq!(verify_file(&vfs, again.path()), (vec![], 9 * 2000 + 2 + 1 + 1));

    let plain = merge(&Volume::unbounded(vfs.clone()), dir.path(), &[Arc::new(again)], false, false, &|| true)
        .unwrap()
        .unwrap();
    assert_eq!(read(&plain, &[]), want);
    let chunks = plain.select(&[], &Arc::default(), i64::MIN, i64::MAX).unwrap().chunks;
    assert!(chunks.iter().all(|chunk| chunk.form == Form::Chunk), "only an archive has blocks");
}

#[test]
fn every_flipped_bit_of_an_archive_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let want = content(1, 200, 0);
    let chunks = Arc::new(write(&vfs, dir.path(), FileName { first: 1, last: 1 }, &want));
    let path = merge(&Volume::unbounded(vfs.clone()), dir.path(), &[chunks], false, true, &|| true)
        .unwrap()
        .unwrap()
        .path()
        .to_path_buf();
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        if verify_file(&vfs, &path).0.is_empty() {
            let file = ChunkFile::found(
                Volume::unbounded(vfs.clone()),
                path.clone(),
                FileName { first: 1, last: 1 },
                bytes.len() as u64,
            );
            assert_eq!(read(&file, &[]), want, "bit {bit}");
        }
    }
}

/// A walk, what it leaves of a total, the share that it has of it; and a series that nothing else tells.
fn related(hosts: usize, samples: usize) -> Content {
    let mut content = Content::new();
    for host in 0..hosts {
        let (mut used, mut other) = (5000.0, 1u64);
        let mut series: [Vec<(i64, f64)>; 4] = Default::default();
        for at in 0..samples as i64 {
            other = (other + host as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
            used += (other % 201) as f64 - 100.0;
            let values = [used, 1e6 - used, used / 1e6 * 100.0, (other >> 40) as f64];
            let time = DAY * PARTITION_NS + at * 10_000;
            series.iter_mut().zip(values).for_each(|(series, value)| series.push((time, value)));
        }
        let labels = Labels::from_pairs([("host", format!("h{host}").as_str())]);
        for (column, samples) in ["mem_0_used", "mem_free", "mem_used_percent", "net"].iter().zip(series) {
            content.insert((column.to_string(), labels.clone()), samples);
        }
    }
    content
}

/// How many bytes a column's series take in a file.
fn column_bytes(file: &ChunkFile, column: &str) -> usize {
    let selection =
        file.select(&[Matcher::new(METRIC_NAME, MatchOp::Equal, column).unwrap()], &Arc::default(), i64::MIN, i64::MAX);
    selection.unwrap().chunks.iter().map(|chunk| chunk.length).sum()
}

#[test]
fn an_archive_keeps_a_series_over_one_that_tells_it() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let mut want = related(5, 3000);
    let archive = |generation: u64, content: &Content, resident: bool| {
        let name = FileName { first: generation, last: generation };
        let chunks = Arc::new(write(&vfs, dir.path(), name, content));
        merge(&Volume::unbounded(vfs.clone()), dir.path(), &[chunks], resident, true, &|| true).unwrap().unwrap()
    };
    for (generation, resident) in [(1, false), (2, true)] {
        let file = archive(generation, &want, resident);
        assert_eq!(read(&file, &[]), want, "resident: {resident}");
        assert_eq!(verify_file(&vfs, file.path()), (vec![], 5 * 4 * 3000));
        assert!(
            column_bytes(&file, "mem_free") * 10 < column_bytes(&file, "mem_0_used"),
            "{}",
            column_bytes(&file, "mem_free")
        );
        assert!(column_bytes(&file, "mem_used_percent") * 2 < column_bytes(&file, "mem_0_used"));
        assert!(column_bytes(&file, "net") > 5 * 3000 * 2, "nothing tells it");
        let mut part = Samples::default();
        let selection = file.select(&[], &Arc::default(), i64::MIN, i64::MAX).unwrap();
        for series in &selection.series {
            let samples = &want[&key(&file, series)];
            let mut overlay = Overlay::new(&mut part, TimeUnit::Nanoseconds);
            file.read(selection.chunks_of(series), samples[1000].0, samples[1600].0, &mut overlay).unwrap();
            overlay.finish().unwrap();
            assert!(
                part.times.iter().copied().zip(part.values.iter().copied()).eq(samples[1000..=1600].iter().copied())
            );
        }
    }
    // One series has a time less, another has values of its own: they are kept over none, the others are as before.
    let mut keys = want.keys().filter(|(column, _)| column == "mem_free").cloned().collect::<Vec<_>>().into_iter();
    want.get_mut(&keys.next().unwrap()).unwrap().remove(500);
    let own = want.get_mut(&keys.next_back().unwrap()).unwrap();
    own.iter_mut().for_each(|(time, value)| *value = (*time / 10_000 % 7) as f64);
    let file = archive(3, &want, false);
    assert_eq!(read(&file, &[]), want);
    assert!(column_bytes(&file, "mem_free") < column_bytes(&file, "mem_0_used") / 2);
}

fn key(file: &ChunkFile, series: &FileSeries) -> (String, Labels) {
    let column = file.index().unwrap().column(series.column as usize).to_string();
    (column, file.tags(series.set).unwrap())
}

#[test]
fn every_flipped_bit_below_a_series_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = DiskVfs::shared();
    let want = related(1, 300);
    let chunks = Arc::new(write(&vfs, dir.path(), FileName { first: 1, last: 1 }, &want));
    let archive =
        merge(&Volume::unbounded(vfs.clone()), dir.path(), &[chunks], false, true, &|| true).unwrap().unwrap();
    let path = archive.path().to_path_buf();
    assert!(column_bytes(&archive, "mem_free") < 150, "it is over another: {}", column_bytes(&archive, "mem_free"));
    let whole = fs::read(&path).unwrap();
    for bit in 12 * 8..(archive.info().unwrap().entries_at as usize) * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        assert!(!verify_file(&vfs, &path).0.is_empty(), "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn merging_files_is_what_a_map_does(
        parts in proptest::collection::vec(proptest::collection::vec((0usize..5, 0usize..3, 0i64..200, any::<i16>()), 1..60), 1..5))
    {
        let dir = tempfile::tempdir().unwrap();
        let vfs = DiskVfs::shared();
        let mut map: BTreeMap<(String, Labels), BTreeMap<i64, f64>> = BTreeMap::new();
        let mut files = Vec::new();
        for (generation, part) in parts.into_iter().enumerate() {
            let mut one: BTreeMap<(String, Labels), BTreeMap<i64, f64>> = BTreeMap::new();
            for (column, host, time, value) in part {
                let key = (format!("m{column}"), Labels::from_pairs([("host", format!("{host}").as_str())]));
                let time = DAY * PARTITION_NS + time;
                one.entry(key.clone()).or_default().insert(time, f64::from(value));
                map.entry(key).or_default().insert(time, f64::from(value));
            }
            let content = one.into_iter().map(|(k, v)| (k, v.into_iter().collect())).collect();
            let generation = generation as u64 + 1;
            files.push(Arc::new(write(&vfs, dir.path(), FileName { first: generation, last: generation }, &content)));
        }
        let merged = merge(&Volume::unbounded(vfs.clone()), dir.path(), &files, true, true, &|| true).unwrap().unwrap();
        let want: Content = map.into_iter().map(|(k, v)| (k, v.into_iter().collect())).collect();
        prop_assert_eq!(read(&merged, &[]), want);
        prop_assert_eq!(verify_file(&vfs, merged.path()).0, vec![]);
    }
}
