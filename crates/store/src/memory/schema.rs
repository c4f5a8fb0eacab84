//! Which fields a row has: a list that rows of a measurement share, for as long as they gain the same ones in the same
//! order.

use super::index::{KeyHash, hash_key};
use hashbrown::HashTable;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Up to this many names are compared one by one. Of more, a table finds one.
const COMPARED_MAX: usize = 16;

/// A measurement with a list of fields that only grows. Each of its rows has the first so many of them, so a field's
/// number in a row never changes, and a row that gains the next field moves on without a copy of the list.
#[derive(Debug)]
pub(super) struct Schema {
    /// The measurement, unescaped.
    pub measurement: Box<str>,
    /// The fields; the index of one is its number in every row that has it.
    fields: Vec<Field>,
    by_metric: Names,
    /// The spellings in which clients write the fields, in the order in which they came.
    spellings: Vec<Spelling>,
    by_raw: Names,
    /// The rows, by how many of the spellings they have.
    rows: BTreeMap<u16, RoaringBitmap>,
}

/// One field of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name as it was first written, escapes and all: what finds it again.
    pub raw: Arc<[u8]>,
    /// The metric that it feeds.
    pub metric: Arc<str>,
}

/// One way to write a field.
#[derive(Debug, Clone)]
struct Spelling {
    raw: Arc<[u8]>,
    /// The field's number.
    field: u16,
    /// How many fields a row has whose last spelling this is.
    fields: u16,
}

/// The fields of one row, which are the first ones of its schema.
#[derive(Debug, Clone, Copy)]
pub struct RowSchema<'a> {
    /// The measurement, unescaped.
    pub measurement: &'a str,
    /// The fields, by their number in the row.
    pub fields: &'a [Field],
    spellings: &'a [Spelling],
    schema: &'a Schema,
}

impl<'a> RowSchema<'a> {
    /// What a row with these fields counts as, in series: it takes memory without a field too.
    pub(super) fn counted(&self) -> u64 {
        self.fields.len().max(1) as u64
    }

    /// The number of the field written as `raw`. `hint` is where it most likely is: a line has its fields in the order
    /// of the line before. Give the returned position plus one as the hint for the next field.
    #[inline]
    pub fn find(&self, raw: &[u8], hint: usize) -> Option<(u16, usize)> {
        if let Some(spelling) = self.spellings.get(hint)
            && *spelling.raw == *raw
        {
            return Some((spelling.field, hint));
        }
        let at = self.schema.by_raw.find(raw, self.spellings.len(), |at| &self.schema.spellings[at].raw)?;
        Some((self.spellings[at].field, at))
    }

    /// The ways to write its fields that the row has behind the first `had`, each with its field.
    pub(super) fn spelled_from(&self, had: usize) -> impl Iterator<Item = (&'a [u8], u16)> {
        self.spellings.iter().skip(had).map(|spelling| (&*spelling.raw, spelling.field))
    }

    /// How many ways to write its fields the row has.
    pub(super) fn spellings(&self) -> usize {
        self.spellings.len()
    }

    /// Whether one of the fields feeds this metric.
    pub(super) fn has_metric(&self, metric: &str) -> bool {
        self.schema.field_of(metric, self.fields.len()).is_some()
    }
}

impl Schema {
    pub fn new(measurement: &str) -> Self {
        Schema {
            measurement: measurement.into(),
            fields: Vec::new(),
            by_metric: Names::default(),
            spellings: Vec::new(),
            by_raw: Names::default(),
            rows: BTreeMap::new(),
        }
    }

    /// A schema that starts with the first `count` spellings of this one.
    pub fn branch(&self, count: u16) -> Self {
        let start = self.of_row(count);
        sealine_base::work::count(start.spellings.len());
        let mut branch = Schema::new(&self.measurement);
        (branch.fields, branch.spellings) = (start.fields.to_vec(), start.spellings.to_vec());
        branch.by_metric.grow(branch.fields.len(), |at| branch.fields[at].metric.as_bytes());
        branch.by_raw.grow(branch.spellings.len(), |at| &branch.spellings[at].raw);
        branch
    }

    /// Adds a spelling at the end. Returns the number of its field, where that is a new one.
    pub fn push(&mut self, Field { raw, metric }: Field) -> Option<u16> {
        let known = self.field_of(&metric, self.fields.len());
        let field = known.unwrap_or(self.fields.len()) as u16;
        if known.is_none() {
            self.fields.push(Field { raw: raw.clone(), metric });
            self.by_metric.grow(self.fields.len(), |at| self.fields[at].metric.as_bytes());
        }
        self.spellings.push(Spelling { raw, field, fields: self.fields.len() as u16 });
        self.by_raw.grow(self.spellings.len(), |at| &self.spellings[at].raw);
        known.is_none().then_some(field)
    }

    /// All fields that some row has, or had.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields of a row that has the first `count` spellings.
    #[inline]
    pub fn of_row(&self, count: u16) -> RowSchema<'_> {
        let spellings = &self.spellings[..usize::from(count)];
        let fields = spellings.last().map_or(0, |last| usize::from(last.fields));
        RowSchema { measurement: &self.measurement, fields: &self.fields[..fields], spellings, schema: self }
    }

    /// The spelling behind the first `count`.
    pub fn next(&self, count: u16) -> Option<&[u8]> {
        self.spellings.get(usize::from(count)).map(|spelling| &*spelling.raw)
    }

    /// Puts a row with those that have the first `count` spellings.
    pub fn insert(&mut self, row: u32, count: u16) {
        self.rows.entry(count).or_default().insert(row);
    }

    /// Takes it away from them.
    pub fn remove(&mut self, row: u32, count: u16) {
        if let Some(rows) = self.rows.get_mut(&count) {
            rows.remove(row);
            if rows.is_empty() {
                self.rows.remove(&count);
            }
        }
    }

    /// The rows that have a field, in several sets; none of these is empty.
    pub fn rows_with(&self, field: u16) -> impl Iterator<Item = &RoaringBitmap> {
        let before = self.spellings.partition_point(|spelling| spelling.fields <= field);
        self.rows.range(before as u16 + 1..).map(|(_, rows)| rows) // it has at most 65,535 spellings
    }

    /// How many series its rows have.
    pub fn series(&self) -> u64 {
        self.rows.iter().map(|(count, rows)| rows.len() * self.of_row(*count).fields.len() as u64).sum()
    }

    fn field_of(&self, metric: &str, among: usize) -> Option<usize> {
        self.by_metric.find(metric.as_bytes(), among, |at| self.fields[at].metric.as_bytes())
    }
}

/// What finds the schema in which rows of a measurement begin.
pub(super) fn first_key(measurement: &str) -> KeyHash {
    hash_key(&[&[0], measurement.as_bytes()].concat())
}

/// What finds the schema that a row goes on in which has the first `count` spellings of `schema` and gains one that is
/// not the next.
pub(super) fn branch_key(schema: u32, count: u16, raw: &[u8]) -> KeyHash {
    hash_key(&[&[1], &schema.to_le_bytes()[..], &count.to_le_bytes(), raw].concat())
}

/// Finds the places of names in a list that only grows. Empty while they are few.
#[derive(Debug, Default)]
struct Names(HashTable<u16>);

impl Names {
    /// The place of a name among the first `count` of the list.
    fn find<'n>(&self, name: &[u8], count: usize, at: impl Fn(usize) -> &'n [u8]) -> Option<usize> {
        if self.0.is_empty() {
            sealine_base::work::count(count);
            return (0..count).find(|place| at(*place) == name);
        }
        sealine_base::work::count(1);
        let found = self.0.find(xxh3_64(name), |place| at(usize::from(*place)) == name)?;
        Some(usize::from(*found)).filter(|place| *place < count)
    }

    /// The list has grown to `count` names.
    fn grow<'n>(&mut self, count: usize, at: impl Fn(usize) -> &'n [u8]) {
        let from = if count <= COMPARED_MAX { count } else { self.0.len() };
        for place in from..count {
            self.0.insert_unique(xxh3_64(at(place)), place as u16, |other| xxh3_64(at(usize::from(*other))));
        }
    }
}
