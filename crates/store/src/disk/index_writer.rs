//! Encodes the index of a chunk file: which tags there are, which sets have them, and where each column's series stand.
//! docs/format/chunks.md has the layout.
//!
//! Tag sets are asked for anew for each tag instead of being held, and one tag's values are in hand at a time: a
//! file that is merged from others never has all its texts in memory twice.

use super::writer::ColumnEntries;
use sealine_codec::varint;
use std::collections::BTreeMap;

/// The tag sets of a file by number, in byte order of their tags.
pub trait TagSets<'a> {
    /// How many there are.
    fn count(&self) -> u32;

    /// Names and values of a set's tags, in byte order of the names.
    fn pairs(&self, set: u32) -> impl Iterator<Item = (&'a str, &'a str)>;

    /// The hash of a set.
    fn hash(&self, set: u32) -> u128;
}

/// The index of a file with these columns and tag sets.
pub fn encode_index<'a>(database: &str, columns: &[ColumnEntries], sets: &impl TagSets<'a>) -> Vec<u8> {
    let mut out = Vec::new();
    varint::push_bytes(&mut out, database.as_bytes());

    let mut tags: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut next = Vec::with_capacity(sets.count() as usize); // by set: where its next pair goes in `pairs`
    let mut count = 0;
    for set in 0..sets.count() {
        next.push(count);
        for (name, _) in sets.pairs(set) {
            tags.entry(name).or_default().push(set);
            count += 1;
        }
    }
    let mut pairs = vec![(0u32, 0u32); count];
    varint::push(&mut out, tags.len() as u64);
    for (tag, (name, having)) in tags.into_iter().enumerate() {
        let value_of = |set: u32| sets.pairs(set).find(|(n, _)| *n == name).map_or("", |(_, value)| value);
        let mut found: Vec<(&str, u32)> = having.into_iter().map(|set| (value_of(set), set)).collect();
        found.sort_by_key(|(value, _)| *value); // keeps the order of sets that have the same
        let (mut values, mut postings) = (Table::default(), Table::default());
        for (value, same) in found.chunk_by(|a, b| a.0 == b.0).enumerate() {
            values.push(|bytes| bytes.extend_from_slice(same[0].0.as_bytes()));
            postings.push(|bytes| {
                let mut before = 0;
                for (_, set) in same {
                    varint::push(bytes, u64::from(set - before));
                    before = *set;
                }
            });
            for (_, set) in same {
                let at = &mut next[*set as usize];
                pairs[*at] = (tag as u32, value as u32);
                *at += 1;
            }
        }
        varint::push_bytes(&mut out, name.as_bytes());
        values.write(&mut out);
        postings.write(&mut out);
    }

    let (mut table, mut from) = (Table::default(), 0);
    for to in next {
        table.push(|bytes| {
            for (tag, value) in &pairs[from..to] {
                varint::push(bytes, u64::from(*tag));
                varint::push(bytes, u64::from(*value));
            }
        });
        from = to;
    }
    drop(pairs);
    table.write(&mut out);
    for set in 0..sets.count() {
        out.extend_from_slice(&sets.hash(set).to_le_bytes());
    }

    let mut names = Table::default();
    for column in columns {
        names.push(|bytes| bytes.extend_from_slice(column.name.as_bytes()));
    }
    names.write(&mut out);
    for column in columns {
        varint::push(&mut out, column.series);
        for block in &column.blocks {
            out.extend_from_slice(&block.first_set.to_le_bytes());
            out.extend_from_slice(&block.crc.to_le_bytes());
            out.extend_from_slice(&block.entries_at.to_le_bytes());
            out.extend_from_slice(&block.chunks_at.to_le_bytes());
        }
    }
    out
}

/// A table of byte strings: their count, the offsets at which they end as `u32`s, then the strings.
#[derive(Default)]
struct Table {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Table {
    /// Adds the string that `write` appends.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len() as u32);
    }

    fn write(self, out: &mut Vec<u8>) {
        varint::push(out, self.ends.len() as u64);
        out.extend(self.ends.iter().flat_map(|end| end.to_le_bytes()));
        out.extend_from_slice(&self.bytes);
    }
}
