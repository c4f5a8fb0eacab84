//! The rows of a database and their fields: found by what a line calls them, made, and forgotten.

mod admission;
mod collisions;
mod search;

pub use collisions::Collision;
pub use search::Selected;

use super::cardinality::{Cardinality, Counts};
use super::row::Row;
use super::schema::{Field, RowSchema, Schema, branch_key, first_key};
use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;
use sealine_codec::lines::FIELDS_MAX;
use sealine_model::{LabelView, Labels};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Ways in which clients may write one row (order of tags, escapes) that are remembered; a further one is looked up
/// by its tags each time.
const SPELLINGS_MAX: u8 = 8;

/// Bytes of a row without its tags: itself, its place in the list, and the hashes that find it, with the room that
/// tables keep free.
const ROW_BYTES: usize = size_of::<Row>() + 2 * size_of::<Slot>() + 4 * size_of::<(KeyHash, u32)>();

/// Bytes of a tag's value without its text: its place in a table, and the list of its rows.
const VALUE_BYTES: usize = 2 * size_of::<(Box<str>, RoaringBitmap)>() + 64;

/// Bytes of a field in a schema without its texts: it, its spelling, their places in tables, and its place among the
/// feeds of its metric.
const FIELD_BYTES: usize = 80;

/// The rows of one database.
#[derive(Default)]
pub struct Index {
    /// 128-bit hashes of keys as clients write them, and of rows' own keys, to row numbers. The hash stands for the
    /// key: two keys with one hash would take 2^64 keys to be likely.
    known: HashTable<(KeyHash, u32)>,
    rows: Vec<Option<Slot>>,
    free: Vec<u32>,
    schemas: Vec<Schema>,
    /// Where rows begin ([`first_key`]) and go on ([`branch_key`]).
    schema_ids: HashMap<KeyHash, u32>,
    /// Metric name to the fields of schemas that feed it.
    metrics: HashMap<Arc<str>, Vec<(u32, u16)>>,
    /// Tag to value to rows.
    tags: HashMap<Box<str>, HashMap<Box<str>, RoaringBitmap>>,
    counts: Counts,
    /// Metric name to the measurements that feed it, beside that of the first schema in `metrics`.
    shared: HashMap<Arc<str>, Vec<Box<str>>>,
    /// How PromQL sees the rows.
    view: Arc<LabelView>,
    /// Whether there was ever a row with a tag that is called otherwise as a label.
    has_renamed: bool,
    /// What was met since somebody asked.
    collisions: Vec<Collision>,
}

/// A hash in halves, so that it needs no alignment of 16.
pub type KeyHash = (u64, u64);

struct Slot {
    row: Arc<Row>,
    schema: u32,
    /// How many of the schema's spellings the row has.
    fields: u16,
    /// In how many ways its key is spelled.
    spellings: u8,
}

/// A row to be found or made.
#[derive(Clone, Copy)]
pub struct NewRow<'a> {
    /// The measurement, unescaped.
    pub measurement: &'a str,
    /// The row's tags.
    pub tags: &'a Labels,
    /// The fields that the line has, in its order.
    pub fields: &'a [Field],
    /// What finds the row among all.
    own: KeyHash,
}

impl<'a> NewRow<'a> {
    /// The row of a measurement, unescaped, with these tags, of which a line has these fields.
    pub fn new(measurement: &'a str, tags: &'a Labels, fields: &'a [Field]) -> Self {
        NewRow { measurement, tags, fields, own: own_key(measurement, tags) }
    }

    /// The same row, of which a line has these fields.
    pub fn with_fields<'b>(&self, fields: &'b [Field]) -> NewRow<'b>
    where
        'a: 'b,
    {
        NewRow { fields, ..*self }
    }
}

/// By schema, the keys of its fields' columns.
pub type SchemaColumns = Vec<Vec<Arc<str>>>;

/// About how many bytes a row takes in the index.
fn row_bytes(tags: &Labels) -> usize {
    ROW_BYTES + tags.as_bytes().len()
}

/// The hash of a key as a client writes it.
pub fn hash_key(raw: &[u8]) -> (u64, u64) {
    let hash = xxh3_128(raw);
    (hash as u64, (hash >> 64) as u64)
}

impl Index {
    /// No row yet; PromQL sees them by `view`. New ones are counted in `cardinality`, and checked against its limits by
    /// [`Self::admit`].
    pub fn new(cardinality: Arc<Cardinality>, view: Arc<LabelView>) -> Self {
        Index { counts: Counts::new(cardinality), view, ..Index::default() }
    }

    /// How PromQL sees the rows.
    pub fn view(&self) -> &Arc<LabelView> {
        &self.view
    }

    /// Has PromQL see the rows, and call their fields, in another way.
    pub fn set_view(&mut self, view: Arc<LabelView>) {
        let texts = |metrics: &HashMap<Arc<str>, _>| metrics.keys().map(|metric| metric.len() as i64).sum::<i64>();
        let before = texts(&self.metrics);
        (self.view, self.metrics, self.shared) = (view, HashMap::new(), HashMap::new());
        for (id, schema) in self.schemas.iter_mut().enumerate() {
            schema.rename(self.view.naming());
            for (number, field) in schema.fields().iter().enumerate() {
                self.metrics.entry_ref(&field.metric).or_default().push((id as u32, number as u16));
            }
        }
        self.has_renamed |= !self.view.is_plain(self);
        self.counts.add_bytes(texts(&self.metrics) - before);
    }

    /// The number of the row that a line calls `key`.
    #[inline]
    pub fn find(&self, key: KeyHash) -> Option<u32> {
        self.known.find(key.0, |(known, _)| *known == key).map(|(_, row)| *row)
    }

    /// The number of the row with the measurement and the tags of `new`.
    pub fn find_row(&self, new: &NewRow<'_>) -> Option<u32> {
        self.find(new.own)
    }

    /// A row and its fields. The number must come from [`Self::find`] or [`Self::define`] under the same lock.
    pub fn row(&self, id: u32) -> (&Arc<Row>, RowSchema<'_>) {
        let slot = self.rows[id as usize].as_ref().expect("BUG: a row number outlived its row");
        (&slot.row, self.schemas[slot.schema as usize].of_row(slot.fields))
    }

    /// Finds or makes a row, gives it the fields it does not have yet, and remembers that a line calls it `key`.
    /// `None` where the row would have more than [`FIELDS_MAX`] fields. Asks no limit on cardinality. For a line, notes
    /// names that became one: [`Self::take_collisions`].
    pub fn define(&mut self, key: Option<KeyHash>, new: &NewRow<'_>) -> Option<u32> {
        let own = new.own;
        let known = self.find(own);
        let has = known.map(|id| self.row(id).1);
        let had = has.map_or(0, |has| has.spellings());
        let is_new =
            |(at, field): &(usize, &Field)| has.is_none_or(|has| has.find(&field.raw, field.kind, *at).is_none());
        let more = new.fields.iter().enumerate().filter(is_new).count();
        if had + more > FIELDS_MAX {
            return None;
        }
        let id = known.unwrap_or_else(|| self.insert(new));
        if more > 0 {
            self.add_fields(id, new);
        }
        if known.is_none() {
            self.note_tags(id, new, key.is_some());
        }
        self.note_fields(id, new, had, key.is_some());
        let known = key.is_some_and(|key| self.find(key) == Some(id));
        let slot = self.rows[id as usize].as_mut().expect("found or inserted above");
        if let Some(key) = key
            && slot.spellings < SPELLINGS_MAX
            && !known
        {
            slot.spellings += 1;
            self.known.insert_unique(key.0, (key, id), |(key, _)| key.0);
        }
        Some(id)
    }

    fn insert(&mut self, new: &NewRow<'_>) -> u32 {
        let id = self.free.pop().unwrap_or(self.rows.len() as u32);
        let mut bytes = row_bytes(new.tags);
        for (name, value) in new.tags {
            let values = match self.tags.get_mut(name) {
                Some(values) => values,
                None => self.tags.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(rows) => rows.insert(id),
                None => {
                    bytes += VALUE_BYTES + value.len();
                    values.entry(value.into()).or_default().insert(id)
                }
            };
        }
        let schema = match self.schema_ids.get(&first_key(new.measurement)) {
            Some(schema) => *schema,
            None => self.new_schema(first_key(new.measurement), Schema::new(new.measurement)),
        };
        self.schemas[schema as usize].insert(id, 0);
        self.counts.add(new.measurement, self.schemas[schema as usize].of_row(0).counted());
        self.counts.add_bytes(bytes as i64);
        let row = Arc::new(Row::new(id, new.tags.clone()));
        let slot = Some(Slot { row, schema, fields: 0, spellings: 0 });
        match self.rows.get_mut(id as usize) {
            Some(place) => *place = slot,
            None => self.rows.push(slot),
        }
        self.known.insert_unique(new.own.0, (new.own, id), |(key, _)| key.0);
        id
    }

    /// Gives a row the fields of `new` that it does not have.
    fn add_fields(&mut self, id: u32, new: &NewRow<'_>) {
        let slot = self.rows[id as usize].as_ref().expect("BUG: a row number outlived its row");
        let before = (slot.schema, slot.fields);
        let (mut schema, mut count) = before;
        for (at, field) in new.fields.iter().enumerate() {
            if self.schemas[schema as usize].of_row(count).find(&field.raw, field.kind, at).is_none() {
                schema = self.schema_with(schema, count, field);
                count += 1;
            }
        }
        let left = &mut self.schemas[before.0 as usize];
        let had = left.of_row(before.1).counted();
        left.remove(id, before.1);
        let joined = &mut self.schemas[schema as usize];
        joined.insert(id, count);
        self.counts.add(new.measurement, joined.of_row(count).counted() - had);
        let slot = self.rows[id as usize].as_mut().expect("looked up above");
        (slot.schema, slot.fields) = (schema, count);
    }

    /// The schema in which `field` follows on the first `count` spellings of `schema`: most often the same. Where rows
    /// go different ways, those that come second get a copy of what they have in common, so there are no more schemas
    /// than rows, and none has more fields than some row.
    fn schema_with(&mut self, schema: u32, count: u16, field: &Field) -> u32 {
        match self.schemas[schema as usize].next_is(count, field) {
            Some(true) => return schema,
            Some(false) => {}
            None => {
                self.push_field(schema, field);
                return schema;
            }
        }
        let key = branch_key(schema, count, field);
        if let Some(branch) = self.schema_ids.get(&key) {
            return *branch;
        }
        let branch = self.new_schema(key, self.schemas[schema as usize].branch(count));
        self.push_field(branch, field);
        branch
    }

    fn new_schema(&mut self, key: KeyHash, schema: Schema) -> u32 {
        let id = self.schemas.len() as u32;
        for (number, field) in schema.fields().iter().enumerate() {
            if let Some(feeds) = self.metrics.get_mut(&field.metric) {
                feeds.push((id, number as u16));
            }
        }
        self.counts.add_bytes((schema.fields().len() * FIELD_BYTES) as i64);
        self.schemas.push(schema);
        self.schema_ids.insert(key, id);
        id
    }

    /// Adds a spelling at the end of a schema. Schemas share the texts.
    fn push_field(&mut self, schema: u32, field: &Field) {
        let Field { raw, kind, column, metric } = field;
        let mut bytes = FIELD_BYTES;
        let known = match self.metrics.get_key_value(metric) {
            Some((metric, feeds)) => {
                let first =
                    feeds.first().map(|(schema, field)| &self.schemas[*schema as usize].fields()[*field as usize]);
                let raw = first.map(|first| &first.raw).filter(|first| *first == raw).unwrap_or(raw);
                let column = first.map(|first| &first.column).filter(|first| *first == column).unwrap_or(column);
                Field { raw: raw.clone(), kind: *kind, column: column.clone(), metric: metric.clone() }
            }
            None => {
                bytes += raw.len() + column.len() + metric.len();
                self.metrics.insert(metric.clone(), Vec::new());
                field.clone()
            }
        };
        if let Some(number) = self.schemas[schema as usize].push(known) {
            self.metrics.entry_ref(metric).or_default().push((schema, number));
        }
        self.counts.add_bytes(bytes as i64);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many series there are.
    pub fn series(&self) -> u64 {
        self.schemas.iter().map(Schema::series).sum()
    }

    /// The rows, each with the number of its schema, and by schema the columns of its fields: what a seal goes through.
    pub fn snapshot(&self) -> (Vec<(Arc<Row>, u32)>, SchemaColumns) {
        sealine_base::work::count(self.rows.len());
        let rows = self.rows.iter().flatten().map(|slot| (slot.row.clone(), slot.schema)).collect();
        let columns = |schema: &Schema| {
            sealine_base::work::count(schema.fields().len());
            schema.fields().iter().map(|field| field.column.clone()).collect()
        };
        (rows, self.schemas.iter().map(columns).collect())
    }

    /// Forgets those of these rows that hold no sample and that nobody else holds. Returns how many went.
    pub fn forget(&mut self, rows: &[u32]) -> usize {
        let (mut gone, mut bytes) = (RoaringBitmap::new(), 0);
        for &id in rows {
            let Some(place) = self.rows.get_mut(id as usize) else { continue };
            // A request that is under way holds the row it found, and finds it only under this lock.
            let Some(slot) = place.take_if(|s| Arc::strong_count(&s.row) == 1 && s.row.is_empty()) else { continue };
            bytes += row_bytes(&slot.row.tags);
            for (name, value) in &slot.row.tags {
                let Some(values) = self.tags.get_mut(name) else { continue };
                if let Some(carry) = values.get_mut(value) {
                    carry.remove(id);
                    if carry.is_empty() {
                        values.remove(value);
                        bytes += VALUE_BYTES + value.len();
                    }
                }
                if values.is_empty() {
                    self.tags.remove(name);
                }
            }
            let schema = &mut self.schemas[slot.schema as usize];
            schema.remove(id, slot.fields);
            self.counts.remove(&schema.measurement, schema.of_row(slot.fields).counted());
            self.free.push(id);
            gone.insert(id);
        }
        if !gone.is_empty() {
            self.known.retain(|(_, id)| !gone.contains(*id));
        }
        self.counts.add_bytes(-(bytes as i64));
        gone.len() as usize
    }
}

/// The hash of a row's own key, which no client can write: what it is called starts with a zero byte.
fn own_key(measurement: &str, tags: &Labels) -> KeyHash {
    hash_key(&[&[0], measurement.as_bytes(), &[0], tags.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealine_model::{Column, Kind, LimitedSet, METRIC_NAME, Matcher, Naming};

    const F: Kind = Kind::Float;

    fn fields(names: &[&str]) -> Vec<Field> {
        let field = |n: &&str| {
            let column = Column::Field { measurement: "cpu", field: n, kind: Kind::Float };
            Field::new(n.as_bytes().into(), column, &Naming::default())
        };
        names.iter().map(field).collect()
    }

    fn define(index: &mut Index, raw: &str, labels: &Labels, names: &[&str]) -> u32 {
        let fields = fields(names);
        let new = NewRow::new("cpu", labels, &fields);
        index.define(Some(hash_key(raw.as_bytes())), &new).unwrap()
    }

    #[test]
    fn a_row_is_found_by_every_spelling_and_keeps_its_field_numbers() {
        let mut index = Index::default();
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
        let id = define(&mut index, "cpu,a=1,b=2", &labels, &["user"]);
        assert_eq!(define(&mut index, "cpu,b=2,a=1", &labels, &["system", "user"]), id);
        assert_eq!(index.find(hash_key(b"cpu,b=2,a=1")), Some(id));
        assert_eq!(index.find(hash_key(b"cpu,a=1,b=2")), Some(id));
        assert_eq!(index.find(hash_key(b"cpu,a=1")), None);
        let (_, schema) = index.row(id);
        assert_eq!(
            (schema.find(b"user", F, 0), schema.find(b"system", F, 0), schema.find(b"idle", F, 0)),
            (Some((0, 0)), Some((1, 1)), None)
        );
        assert_eq!((index.len(), index.series()), (1, 2));
    }

    #[test]
    fn rows_that_gain_fields_in_any_order_share_what_they_have_in_common_and_keep_their_numbers() {
        let mut index = Index::default();
        let names: Vec<String> = (0..40).map(|at| format!("f{at}")).collect();
        let labels = |row: usize| Labels::from_pairs([("row", &*format!("{row}"))]);
        let rows: Vec<Labels> = (0..30).map(labels).collect();
        // By row, the fields in the order in which it gains them: some rows go together for a while, some all the way.
        let field = |row: usize, at: usize| if at < row { at } else { (at * 7 + row / 3) % names.len() };
        let mut model: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
        for at in 0..names.len() {
            for (row, labels) in rows.iter().enumerate() {
                let id = define(&mut index, &format!("cpu,row={row}"), labels, &[&names[field(row, at)]]);
                if !model[row].contains(&field(row, at)) {
                    model[row].push(field(row, at));
                }
                let schema = index.row(id).1;
                let has: Vec<&[u8]> = schema.fields.iter().map(|field| &*field.raw).collect();
                assert_eq!(has, model[row].iter().map(|field| names[*field].as_bytes()).collect::<Vec<_>>());
                for (number, name) in has.iter().enumerate() {
                    assert_eq!(schema.find(name, F, 0), Some((number as u16, number)));
                }
                let others = names.iter().enumerate().filter(|(field, _)| !model[row].contains(field));
                assert!(others.into_iter().all(|(_, name)| schema.find(name.as_bytes(), F, 0).is_none()));
            }
        }
        assert!(index.schemas.len() <= rows.len(), "{} schemas", index.schemas.len());
        assert_eq!(index.series(), model.iter().map(Vec::len).sum::<usize>() as u64);
        for (field, name) in names.iter().enumerate() {
            let found = index.select(&[Matcher::equal(METRIC_NAME, &format!("cpu_{name}"))]);
            let mut found: Vec<(u32, u16)> = found.iter().map(|one| (one.row.id, one.field)).collect();
            found.sort();
            let number = |fields: &Vec<usize>| fields.iter().position(|other| *other == field).map(|at| at as u16);
            let want = model.iter().enumerate().filter_map(|(row, fields)| Some((row as u32, number(fields)?)));
            assert_eq!(found, want.collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn selects_by_name_and_labels() {
        let mut index = Index::default();
        for host in ["a", "b", "c"] {
            let labels = Labels::from_pairs([("host", host), ("dc", if host == "c" { "us" } else { "eu" })]);
            let id = define(&mut index, host, &labels, if host == "b" { &["user"] } else { &["user", "idle"] });
            let values = if host == "b" { &[(0, 1.0)][..] } else { &[(0, 1.0), (1, 1.0)] };
            index.row(id).0.append(1, 5, values);
        }
        let series = |text: &[Matcher]| {
            let mut all: Vec<String> =
                index.select(text).iter().map(|s| s.row.tags.with(METRIC_NAME, &s.metric).to_string()).collect();
            all.sort();
            all
        };
        assert_eq!(
            series(&[Matcher::equal(METRIC_NAME, "cpu_idle")]),
            [r#"cpu_idle{dc="eu", host="a"}"#, r#"cpu_idle{dc="us", host="c"}"#]
        );
        assert_eq!(series(&[Matcher::equal("dc", "eu")]).len(), 3);
        let values = |label: &str, m: &[Matcher]| {
            let mut into = LimitedSet::new(usize::MAX, &|| false);
            index.label_values(label, m, (5, 6), &mut into);
            into.finish().unwrap()
        };
        assert_eq!(values("host", &[Matcher::equal(METRIC_NAME, "cpu_idle")]), ["a", "c"]);
        assert_eq!(values(METRIC_NAME, &[Matcher::equal("host", "b")]), ["cpu_user"]);
    }

    #[test]
    fn empty_rows_are_forgotten_and_their_numbers_used_again() {
        let mut index = Index::default();
        let labels = Labels::from_pairs([("host", "a")]);
        let id = define(&mut index, "a", &labels, &["user"]);
        let held = index.row(id).0.clone();
        assert_eq!(index.forget(&[id]), 0, "somebody holds the row");
        held.append(1, 0, &[(0, 1.0)]);
        drop(held);
        assert_eq!(index.forget(&[id]), 0, "it holds a sample");
        index.row(id).0.close(1);
        index.row(id).0.drop_closed(1);
        assert_eq!(index.forget(&[id, 7]), 1);
        assert_eq!((index.len(), index.series(), index.find(hash_key(b"a"))), (0, 0, None));
        assert_eq!(index.select(&[Matcher::equal("host", "a")]).len(), 0);
        assert_eq!(define(&mut index, "b", &Labels::from_pairs([("host", "b")]), &["user"]), id);
    }
}
