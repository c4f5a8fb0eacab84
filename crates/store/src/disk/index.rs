//! Reads the index of a chunk file in place: only where its tables stand is decoded when it is loaded.

use super::format::{LABELS_VERSION, SERIES_PER_BLOCK};
use super::names::{KnownNames, MetricNames};
use roaring::RoaringBitmap;
use sealine_codec::varint::Cursor;
use sealine_model::postings::{LabelIndex, TagIndex};
use sealine_model::{LabelView, Labels, LimitedSet, METRIC_NAME, Naming, own_labels};
use std::ops::Range;
use std::sync::Arc;

/// The index of one chunk file. Built only over bytes whose checksum matched.
pub struct FileIndex {
    bytes: Vec<u8>,
    database: Box<str>,
    tags: Vec<TagTable>,
    /// Whether sets have the labels of the database among their tags, which do not count: then the file's hashes and the
    /// order of its sets are those of what it says, not of the tags.
    has_own_labels: bool,
    sets: Table,
    /// Where the hashes of the sets stand, 16 bytes each.
    hashes_at: usize,
    columns: Table,
    /// By column: series, and where its blocks stand.
    blocks: Vec<(u64, usize)>,
    names: KnownNames,
}

struct TagTable {
    name: Box<str>,
    values: Table,
    postings: Table,
    /// Whether this is a label of the database.
    is_own: bool,
}

/// Byte strings that can be reached by number.
#[derive(Clone, Copy)]
struct Table {
    count: usize,
    offsets_at: usize,
    bytes_at: usize,
}

/// A block of entries, as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Number of the first series' tag set.
    pub first_set: u32,
    /// CRC32C of the entries.
    pub crc: u32,
    /// Offset from the start of the entries.
    pub entries_at: u64,
    /// Offset of the block's first chunk in the file.
    pub chunks_at: u64,
    /// Series in the block.
    pub series: usize,
}

const BLOCK_BYTES: usize = 24;

impl FileIndex {
    /// Takes the bytes of an index of a file of this version; `None` where they are not one.
    pub fn new(bytes: Vec<u8>, version: u32) -> Option<FileIndex> {
        let mut cursor = Cursor::new(&bytes);
        let database: Box<str> = cursor.read_str()?.into();
        let mut tags = Vec::new();
        for _ in 0..cursor.read_len()? {
            let name: Box<str> = cursor.read_str()?.into();
            let values = Table::parse(&bytes, &mut cursor)?;
            let postings = Table::parse(&bytes, &mut cursor)?;
            if values.count != postings.count {
                return None;
            }
            tags.push(TagTable { name, values, postings, is_own: false });
        }
        let sets = Table::parse(&bytes, &mut cursor)?;
        let hashes_at = bytes.len() - cursor.rest().len();
        cursor.take(sets.count.checked_mul(16)?)?;
        let columns = Table::parse(&bytes, &mut cursor)?;
        let mut blocks = Vec::new();
        for _ in 0..columns.count {
            let series = cursor.read()?;
            blocks.push((series, bytes.len() - cursor.rest().len()));
            cursor.take(usize::try_from(series.div_ceil(SERIES_PER_BLOCK as u64)).ok()?.checked_mul(BLOCK_BYTES)?)?;
        }
        cursor.is_empty().then_some(())?;
        let names = KnownNames::default();
        let has_own_labels = false;
        let mut index = FileIndex { database, tags, has_own_labels, sets, hashes_at, columns, blocks, names, bytes };
        if version <= LABELS_VERSION {
            index.find_own_labels();
        }
        // Or blocks could share their entries, and reading the file would take more memory than the file.
        let entries = (0..index.columns.count).flat_map(|column| {
            let blocks = 0..index.block_count(column);
            blocks.map(|block| index.block(column, block).entries_at).collect::<Vec<_>>()
        });
        entries.is_sorted().then_some(())?;
        Some(index)
    }

    /// Finds the labels that name the database: all sets have one, and it says nothing else.
    fn find_own_labels(&mut self) {
        let is_own = |table: &TagTable| {
            let is = |(label, value): (&str, &str)| {
                *label == *table.name && table.values.count == 1 && self.text(&table.values, 0) == value
            };
            own_labels(&self.database).any(is) && self.postings(table, 0).count() == self.sets.count
        };
        let own: Vec<bool> = self.tags.iter().map(is_own).collect();
        self.has_own_labels = own.contains(&true);
        self.tags.iter_mut().zip(own).for_each(|(table, is_own)| table.is_own = is_own);
    }

    /// The database whose series these are.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Bytes it takes in memory.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many tag sets there are.
    pub fn set_count(&self) -> usize {
        self.sets.count
    }

    /// How many columns there are.
    pub fn column_count(&self) -> usize {
        self.columns.count
    }

    /// The key of a column ([`sealine_model::Column`]); columns are in order of their keys.
    pub fn column(&self, column: usize) -> &str {
        self.text(&self.columns, column)
    }

    /// How many blocks of entries a column has.
    pub fn block_count(&self, column: usize) -> usize {
        self.blocks[column].0.div_ceil(SERIES_PER_BLOCK as u64) as usize
    }

    /// A block of a column's entries.
    pub fn block(&self, column: usize, block: usize) -> BlockRef {
        let (series, at) = self.blocks[column];
        let bytes = &self.bytes[at + block * BLOCK_BYTES..][..BLOCK_BYTES];
        let u32_at = |at: usize| bytes[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let u64_at = |at: usize| bytes[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        BlockRef {
            first_set: u32_at(0),
            crc: u32_at(4),
            entries_at: u64_at(8),
            chunks_at: u64_at(16),
            series: (series as usize - block * SERIES_PER_BLOCK).min(SERIES_PER_BLOCK),
        }
    }

    /// The block that follows in the file, of this column or the next: where a block's entries and chunks end.
    pub fn block_after(&self, column: usize, block: usize) -> Option<BlockRef> {
        if block + 1 < self.block_count(column) {
            return Some(self.block(column, block + 1));
        }
        (column + 1..self.columns.count).find(|m| self.block_count(*m) > 0).map(|m| self.block(m, 0))
    }

    /// The hash of a tag set; `None` where the file does not have it.
    pub fn set_hash(&self, set: u32) -> Option<u128> {
        let at = self.hashes_at + set as usize * 16;
        let hash = || self.bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u128::from_le_bytes(*b));
        (!self.has_own_labels).then(hash)
    }

    /// Whether sets are in the order of their tags.
    pub fn is_in_order(&self) -> bool {
        !self.has_own_labels
    }

    /// The tags of a set.
    pub fn set(&self, set: u32) -> Labels {
        Labels::from_pairs(self.pairs(set))
    }

    /// What PromQL calls the columns under these rules.
    pub fn names(&self, naming: &Arc<Naming>) -> Arc<MetricNames> {
        self.names.get(naming, (0..self.columns.count).map(|column| self.column(column)))
    }

    /// Names and values of a set's tags.
    pub fn pairs(&self, set: u32) -> impl Iterator<Item = (&str, &str)> {
        let mut cursor = Cursor::new(self.entry(&self.sets, set as usize));
        let pairs = std::iter::from_fn(move || Some((cursor.read_len()?, cursor.read_len()?)));
        pairs.filter_map(|(tag, value)| {
            let table = self.tags.get(tag).filter(|table| !table.is_own && value < table.values.count)?;
            Some((&*table.name, self.text(&table.values, value)))
        })
    }

    /// Adds the names of the labels that sets among `sets` have; `None` stands for all sets.
    pub fn label_names(&self, view: &LabelView, sets: Option<&RoaringBitmap>, into: &mut LimitedSet<'_>) {
        for table in self.tag_tables() {
            if into.is_over() {
                return;
            }
            let label = view.label(&table.name);
            if !into.has(&label) && (0..table.values.count).any(|value| self.is_among(table, value, sets)) {
                into.add(&label);
            }
        }
        if self.has_any(sets) {
            into.add(METRIC_NAME);
            view.own().for_each(|(label, _)| into.add(label));
        }
    }

    /// Adds the values that `label` has in sets among `sets`; `None` stands for all sets.
    pub fn label_values(&self, view: &LabelView, label: &str, sets: Option<&RoaringBitmap>, into: &mut LimitedSet<'_>) {
        if let Some(value) = view.own_value(label) {
            if self.has_any(sets) {
                into.add(value);
            }
            return;
        }
        for table in self.tag_tables().filter(|table| *view.label(&table.name) == *label) {
            for value in 0..table.values.count {
                if into.is_over() {
                    return;
                }
                if self.is_among(table, value, sets) {
                    into.add(self.text(&table.values, value));
                }
            }
        }
    }

    fn has_any(&self, sets: Option<&RoaringBitmap>) -> bool {
        sets.map_or(self.sets.count > 0, |sets| !sets.is_empty())
    }

    /// Whether a set among `sets` has this value.
    fn is_among(&self, table: &TagTable, value: usize, sets: Option<&RoaringBitmap>) -> bool {
        sealine_base::work::count(1);
        sets.is_none_or(|sets| self.postings(table, value).any(|set| sets.contains(set)))
    }

    fn tag(&self, name: &str) -> Option<&TagTable> {
        let at = self.tags.binary_search_by(|table| (*table.name).cmp(name)).ok()?;
        self.tags.get(at).filter(|table| !table.is_own)
    }

    fn tag_tables(&self) -> impl Iterator<Item = &TagTable> {
        self.tags.iter().filter(|table| !table.is_own)
    }

    fn postings(&self, table: &TagTable, value: usize) -> impl Iterator<Item = u32> + '_ {
        let mut cursor = Cursor::new(self.entry(&table.postings, value));
        let mut before = 0u32;
        std::iter::from_fn(move || {
            sealine_base::work::count(1);
            before = before.checked_add(u32::try_from(cursor.read()?).ok()?)?;
            Some(before)
        })
    }

    fn entry(&self, table: &Table, at: usize) -> &[u8] {
        sealine_base::work::count(1);
        let range = table.range(&self.bytes, at).unwrap_or(0..0);
        self.bytes.get(range).unwrap_or_default()
    }

    fn text(&self, table: &Table, at: usize) -> &str {
        std::str::from_utf8(self.entry(table, at)).unwrap_or_default()
    }

    /// Where `text` stands in a table whose strings are in order.
    fn find(&self, table: &Table, text: &str) -> Option<usize> {
        let (mut low, mut high) = (0, table.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.entry(table, middle).cmp(text.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

impl Table {
    /// The table at the cursor, which is moved behind it.
    fn parse(bytes: &[u8], cursor: &mut Cursor<'_>) -> Option<Table> {
        let count = cursor.read_len()?;
        let offsets_at = bytes.len() - cursor.rest().len();
        cursor.take(count.checked_mul(4)?)?;
        let bytes_at = bytes.len() - cursor.rest().len();
        let table = Table { count, offsets_at, bytes_at };
        let end = if count == 0 { bytes_at } else { table.range(bytes, count - 1)?.end };
        cursor.take(end.checked_sub(bytes_at)?)?;
        Some(table)
    }

    fn range(&self, bytes: &[u8], at: usize) -> Option<Range<usize>> {
        let end_of = |at: usize| {
            let end = bytes.get(self.offsets_at + at * 4..)?.first_chunk()?;
            Some(self.bytes_at + u32::from_le_bytes(*end) as usize)
        };
        let start = if at == 0 { self.bytes_at } else { end_of(at - 1)? };
        Some(start..end_of(at)?)
    }
}

impl TagIndex for FileIndex {
    fn each_tag(&self, see: &mut dyn FnMut(&str)) {
        self.tag_tables().for_each(|table| see(&table.name));
    }
}

impl LabelIndex for FileIndex {
    fn all(&self) -> RoaringBitmap {
        (0..self.sets.count as u32).collect()
    }

    fn add_value(&self, tag: &str, value: &str, into: &mut RoaringBitmap) {
        if let Some(table) = self.tag(tag)
            && let Some(at) = self.find(&table.values, value)
        {
            into.extend(self.postings(table, at));
        }
    }

    fn value_count(&self, tag: &str) -> usize {
        self.tag(tag).map_or(0, |table| table.values.count)
    }

    fn add_values(&self, tag: &str, pass: &dyn Fn(&str) -> bool, into: &mut RoaringBitmap) {
        let Some(table) = self.tag(tag) else { return };
        for value in (0..table.values.count).filter(|value| pass(self.text(&table.values, *value))) {
            into.extend(self.postings(table, value));
        }
    }
}
