//! Which fields a row has: a list that rows of a measurement share, for as long as they gain the same ones in the same
//! order.

use super::index::{KeyHash, hash_key};
use hashbrown::HashTable;
use roaring::RoaringBitmap;
use sealine_model::{Column, Kind, Naming};
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

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
    by_column: Places,
    /// The spellings in which clients write the fields, in the order in which they came.
    spellings: Vec<Spelling>,
    by_raw: Places,
    /// The rows, by how many of the spellings they have.
    rows: BTreeMap<u16, RoaringBitmap>,
}

/// One field of a schema, with values of one kind: a field that changes its kind is there once for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name as it was first written, escapes and all: with the kind, what finds it again.
    pub raw: Arc<[u8]>,
    /// Of which kind its values are.
    pub kind: Kind,
    /// The key of its column ([`Column::key`]): its identity in every tier.
    pub column: Arc<str>,
    /// The metric that it feeds.
    pub metric: Arc<str>,
}

impl Field {
    /// The field that lines write as `raw`.
    pub fn new(raw: Arc<[u8]>, column: Column<'_>, naming: &Naming) -> Field {
        Field { raw, kind: column.kind(), column: column.key().into(), metric: column.metric(naming).into() }
    }

    /// A series that came by its metric's name. No line finds it by its field's.
    pub fn of_metric(metric: &str) -> Field {
        let raw = Field::raw_of_metric(metric).into();
        Field { raw, kind: Kind::Float, column: metric.into(), metric: metric.into() }
    }

    /// What finds a series again that came by its metric's name: starts with a byte that no field has.
    pub fn raw_of_metric(metric: &str) -> Vec<u8> {
        [&[0], metric.as_bytes()].concat()
    }
}

/// One way to write a field with values of one kind.
#[derive(Debug, Clone)]
struct Spelling {
    raw: Arc<[u8]>,
    kind: Kind,
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

    /// The number of the field written as `raw`, with values of this kind. `hint` is where it most likely is: a line has its fields in the order
    /// of the line before. Give the returned position plus one as the hint for the next field.
    #[inline]
    pub fn find(&self, raw: &[u8], kind: Kind, hint: usize) -> Option<(u16, usize)> {
        if let Some(spelling) = self.spellings.get(hint)
            && spelling.is(raw, kind)
        {
            return Some((spelling.field, hint));
        }
        let is = |at: usize| self.schema.spellings[at].is(raw, kind);
        let at = self.schema.by_raw.find(|| hash_spelling(raw, kind), self.spellings.len(), is)?;
        Some((self.spellings[at].field, at))
    }

    /// The fields of the ways to write them that the row has behind the first `had`.
    pub(super) fn spelled_from(&self, had: usize) -> impl Iterator<Item = u16> {
        self.spellings.iter().skip(had).map(|spelling| spelling.field)
    }

    /// How many ways to write its fields the row has.
    pub(super) fn spellings(&self) -> usize {
        self.spellings.len()
    }

    /// Whether the column with this key is one of the fields.
    pub(super) fn has_column(&self, column: &str) -> bool {
        self.schema.field_of(column, self.fields.len()).is_some()
    }

    /// Whether one of the fields feeds this metric.
    pub(super) fn has_metric(&self, metric: &str) -> bool {
        sealine_base::work::count(self.fields.len());
        self.fields.iter().any(|field| *field.metric == *metric)
    }
}

impl Schema {
    pub fn new(measurement: &str) -> Self {
        Schema {
            measurement: measurement.into(),
            fields: Vec::new(),
            by_column: Places::default(),
            spellings: Vec::new(),
            by_raw: Places::default(),
            rows: BTreeMap::new(),
        }
    }

    /// A schema that starts with the first `count` spellings of this one.
    pub fn branch(&self, count: u16) -> Self {
        let start = self.of_row(count);
        sealine_base::work::count(start.spellings.len());
        let mut branch = Schema::new(&self.measurement);
        (branch.fields, branch.spellings) = (start.fields.to_vec(), start.spellings.to_vec());
        branch.by_column.grow(branch.fields.len(), |at| hash_column(&branch.fields[at].column));
        branch.by_raw.grow(branch.spellings.len(), |at| branch.spellings[at].hash());
        branch
    }

    /// Adds a spelling at the end. Returns the number of its field, where that is a new one.
    pub fn push(&mut self, new: Field) -> Option<u16> {
        let known = self.field_of(&new.column, self.fields.len());
        let field = known.unwrap_or(self.fields.len()) as u16;
        let (raw, kind) = (new.raw.clone(), new.kind);
        if known.is_none() {
            self.fields.push(new);
            self.by_column.grow(self.fields.len(), |at| hash_column(&self.fields[at].column));
        }
        self.spellings.push(Spelling { raw, kind, field, fields: self.fields.len() as u16 });
        self.by_raw.grow(self.spellings.len(), |at| self.spellings[at].hash());
        known.is_none().then_some(field)
    }

    /// All fields that some row has, or had.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Has its fields feed what these rules call them.
    pub fn rename(&mut self, naming: &Naming) {
        for field in &mut self.fields {
            field.metric = Column::of(&field.column).metric(naming).into();
        }
    }

    /// The fields of a row that has the first `count` spellings.
    #[inline]
    pub fn of_row(&self, count: u16) -> RowSchema<'_> {
        let spellings = &self.spellings[..usize::from(count)];
        let fields = spellings.last().map_or(0, |last| usize::from(last.fields));
        RowSchema { measurement: &self.measurement, fields: &self.fields[..fields], spellings, schema: self }
    }

    /// Whether the spelling behind the first `count`, where there is one, is that of a field.
    pub fn next_is(&self, count: u16, field: &Field) -> Option<bool> {
        self.spellings.get(usize::from(count)).map(|spelling| spelling.is(&field.raw, field.kind))
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

    fn field_of(&self, column: &str, among: usize) -> Option<usize> {
        self.by_column.find(|| hash_column(column), among, |at| *self.fields[at].column == *column)
    }
}

impl Spelling {
    #[inline]
    fn is(&self, raw: &[u8], kind: Kind) -> bool {
        self.kind == kind && *self.raw == *raw
    }

    fn hash(&self) -> u64 {
        hash_spelling(&self.raw, self.kind)
    }
}

fn hash_spelling(raw: &[u8], kind: Kind) -> u64 {
    xxh3_64_with_seed(raw, kind as u64)
}

fn hash_column(column: &str) -> u64 {
    xxh3_64(column.as_bytes())
}

/// What finds the schema in which rows of a measurement begin.
pub(super) fn first_key(measurement: &str) -> KeyHash {
    hash_key(&[&[0], measurement.as_bytes()].concat())
}

/// What finds the schema that a row goes on in which has the first `count` spellings of `schema` and gains one that is
/// not the next.
pub(super) fn branch_key(schema: u32, count: u16, field: &Field) -> KeyHash {
    hash_key(&[&[1, field.kind as u8], &schema.to_le_bytes()[..], &count.to_le_bytes(), &field.raw].concat())
}

/// Finds places in a list that only grows, by what stands there. Empty while they are few.
#[derive(Debug, Default)]
struct Places(HashTable<u16>);

impl Places {
    /// The place of what has this hash, among the first `count` of the list.
    fn find(&self, hash: impl Fn() -> u64, count: usize, is: impl Fn(usize) -> bool) -> Option<usize> {
        if self.0.is_empty() {
            sealine_base::work::count(count);
            return (0..count).find(|place| is(*place));
        }
        sealine_base::work::count(1);
        let found = self.0.find(hash(), |place| is(usize::from(*place)))?;
        Some(usize::from(*found)).filter(|place| *place < count)
    }

    /// The list has grown to `count`.
    fn grow(&mut self, count: usize, hash: impl Fn(usize) -> u64) {
        let from = if count <= COMPARED_MAX { count } else { self.0.len() };
        for place in from..count {
            self.0.insert_unique(hash(place), place as u16, |other| hash(usize::from(*other)));
        }
    }
}
