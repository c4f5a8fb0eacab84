//! The rows of a database and their fields: found by what a line calls them, made, and forgotten.

mod admission;
mod collisions;
mod search;

pub use collisions::{Collision, Renamed};
pub use search::Selected;

use super::cardinality::{Cardinality, Counts};
use super::row::Row;
use super::schema::{Field, Schema};
use crate::codec::lines::FIELDS_MAX;
use crate::series::Labels;
use collisions::Spellings;
use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Ways in which clients may write one row (order of tags, escapes) that are remembered; a further one is looked up
/// by its labels each time.
const SPELLINGS_MAX: u8 = 8;

/// Bytes of a row without its labels: itself, its place in the list, and the hashes that find it, with the room that
/// tables keep free.
const ROW_BYTES: usize = size_of::<Row>() + 2 * size_of::<Slot>() + 4 * size_of::<(KeyHash, u32)>();

/// Bytes of a label's value without its text: its place in a table, and the list of its rows.
const VALUE_BYTES: usize = 2 * size_of::<(Box<str>, RoaringBitmap)>() + 64;

/// The rows of one database.
#[derive(Default)]
pub struct Index {
    /// 128-bit hashes of keys as clients write them, and of rows' own keys, to row numbers. The hash stands for the
    /// key: two keys with one hash would take 2^64 keys to be likely.
    known: HashTable<(KeyHash, u32)>,
    rows: Vec<Option<Slot>>,
    free: Vec<u32>,
    schemas: Vec<Schema>,
    /// Hash of a measurement and its fields' spellings to the schema that has just these.
    schema_ids: HashMap<KeyHash, u32>,
    /// Metric name to the fields of schemas that feed it.
    metrics: HashMap<Arc<str>, Vec<(u32, u16)>>,
    /// Label name to value to rows.
    labels: HashMap<Box<str>, HashMap<Box<str>, RoaringBitmap>>,
    counts: Counts,
    /// Metric name to the measurements that feed it, beside that of the first schema in `metrics`.
    shared: HashMap<Arc<str>, Vec<Box<str>>>,
    spellings: Spellings,
    /// What was met since somebody asked.
    collisions: Vec<Collision>,
}

/// A hash in halves, so that it needs no alignment of 16.
pub type KeyHash = (u64, u64);

struct Slot {
    row: Arc<Row>,
    schema: u32,
    /// How its tags were spelled first: a number of [`Spellings`].
    tags: u16,
    spellings: u8,
}

/// A row to be found or made.
#[derive(Clone, Copy)]
pub struct NewRow<'a> {
    /// The measurement, unescaped.
    pub measurement: &'a str,
    /// The row's labels.
    pub labels: &'a Labels,
    /// The fields that the line has, in its order.
    pub fields: &'a [Field],
    /// The tags whose labels are called otherwise, in order of the labels; `None` where that is not known.
    renamed: Option<&'a [(Box<str>, Box<str>)]>,
    /// What finds the row among all.
    own: KeyHash,
}

impl<'a> NewRow<'a> {
    /// The row of a measurement, unescaped, with these labels, of which a line has these fields.
    pub fn new(measurement: &'a str, labels: &'a Labels, fields: &'a [Field]) -> Self {
        NewRow { measurement, labels, fields, renamed: None, own: own_key(measurement, labels) }
    }

    /// The same row, whose tags a line spells so.
    pub fn with_tags(self, renamed: &'a Renamed) -> Self {
        NewRow { renamed: Some(renamed), ..self }
    }

    /// The same row, of which a line has these fields.
    pub fn with_fields<'b>(&self, fields: &'b [Field]) -> NewRow<'b>
    where
        'a: 'b,
    {
        NewRow { fields, ..*self }
    }
}

/// By schema, the metrics of its fields.
pub type SchemaMetrics = Vec<Vec<Arc<str>>>;

/// About how many bytes a row takes in the index.
fn row_bytes(labels: &Labels) -> usize {
    ROW_BYTES + labels.as_bytes().len()
}

/// The hash of a key as a client writes it.
pub fn hash_key(raw: &[u8]) -> (u64, u64) {
    let hash = xxh3_128(raw);
    (hash as u64, (hash >> 64) as u64)
}

impl Index {
    /// No row yet; what comes is counted in `cardinality`, and held against its limits by [`Self::admit`].
    pub fn new(cardinality: Arc<Cardinality>) -> Self {
        Index { counts: Counts::new(cardinality), ..Index::default() }
    }

    /// The number of the row that a line calls `key`.
    #[inline]
    pub fn find(&self, key: KeyHash) -> Option<u32> {
        self.known.find(key.0, |(known, _)| *known == key).map(|(_, row)| *row)
    }

    /// The number of the row with the measurement and the labels of `new`.
    pub fn find_row(&self, new: &NewRow<'_>) -> Option<u32> {
        self.find(new.own)
    }

    /// A row and its fields. The number must come from [`Self::find`] or [`Self::define`] under the same lock.
    pub fn row(&self, id: u32) -> (&Arc<Row>, &Schema) {
        let slot = self.rows[id as usize].as_ref().expect("BUG: a row number outlived its row");
        (&slot.row, &self.schemas[slot.schema as usize])
    }

    /// Finds or makes a row, gives it the fields it does not have yet, and remembers that a line calls it `key`.
    /// `None` where the row would come to more than [`FIELDS_MAX`] fields. Asks no limit on cardinality. For a line, notes
    /// names that became one: [`Self::take_collisions`].
    pub fn define(&mut self, key: Option<KeyHash>, new: &NewRow<'_>) -> Option<u32> {
        let own = new.own;
        let known = self.find(own);
        let had = known.map_or(0, |id| self.row(id).1.spellings.len());
        if had + new.fields.len() > FIELDS_MAX {
            return None;
        }
        let id = known.unwrap_or_else(|| self.insert(new));
        self.add_fields(id, new);
        self.note_tags(id, new);
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
        let mut bytes = row_bytes(new.labels);
        for (name, value) in new.labels {
            let values = match self.labels.get_mut(name) {
                Some(values) => values,
                None => self.labels.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(rows) => rows.insert(id),
                None => {
                    bytes += VALUE_BYTES + value.len();
                    values.entry(value.into()).or_default().insert(id)
                }
            };
        }
        let schema = self.schema(new.measurement, new.fields.to_vec());
        let made = &mut self.schemas[schema as usize];
        made.rows.insert(id);
        self.counts.add(&made.measurement, made.counted());
        self.counts.add_bytes(bytes as i64);
        let row = Arc::new(Row::new(id, new.labels.clone()));
        let slot = Some(Slot { row, schema, tags: 0, spellings: 0 });
        match self.rows.get_mut(id as usize) {
            Some(place) => *place = slot,
            None => self.rows.push(slot),
        }
        self.known.insert_unique(new.own.0, (new.own, id), |(key, _)| key.0);
        id
    }

    /// Moves a row on to the schema that has the fields of `new` too.
    fn add_fields(&mut self, id: u32, new: &NewRow<'_>) {
        let slot = self.rows[id as usize].as_ref().expect("BUG: a row number outlived its row");
        let before = slot.schema;
        let known = &self.schemas[before as usize];
        if new.fields.iter().enumerate().all(|(at, field)| known.find(&field.raw, at).is_some()) {
            return;
        }
        let mut spelled: Vec<Field> = known
            .spellings
            .iter()
            .map(|(raw, at)| Field { raw: raw.clone(), metric: known.fields[usize::from(*at)].metric.clone() })
            .collect();
        for field in new.fields {
            if !spelled.iter().any(|f| f.raw == field.raw) {
                spelled.push(field.clone());
            }
        }
        let after = self.schema(new.measurement, spelled);
        let left = &mut self.schemas[before as usize];
        left.rows.remove(id);
        let had = left.counted();
        let joined = &mut self.schemas[after as usize];
        joined.rows.insert(id);
        self.counts.add(&joined.measurement, joined.counted() - had);
        self.rows[id as usize].as_mut().expect("looked up above").schema = after;
    }

    /// The schema with these spellings, in this order.
    fn schema(&mut self, measurement: &str, spelled: Vec<Field>) -> u32 {
        let mut key = measurement.as_bytes().to_vec();
        for field in &spelled {
            key.push(0);
            key.extend_from_slice(&field.raw);
        }
        let key = hash_key(&key);
        if let Some(id) = self.schema_ids.get(&key) {
            return *id;
        }
        let id = self.schemas.len() as u32;
        let mut schema = Schema {
            measurement: measurement.into(),
            fields: Vec::new(),
            spellings: Vec::new(),
            rows: RoaringBitmap::new(),
        };
        for Field { raw, metric } in spelled {
            let field = match schema.fields.iter().position(|f| f.metric == metric) {
                Some(field) => field as u16,
                None => {
                    let field = schema.fields.len() as u16;
                    let (metric, feeds) = match self.metrics.get_key_value(&metric) {
                        Some((known, _)) => (known.clone(), self.metrics.get_mut(&metric).expect("just found")),
                        None => (metric.clone(), self.metrics.entry(metric).or_default()),
                    };
                    feeds.push((id, field));
                    schema.fields.push(Field { raw: raw.clone(), metric });
                    field
                }
            };
            schema.spellings.push((raw, field));
        }
        self.schemas.push(schema);
        self.schema_ids.insert(key, id);
        id
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
        self.schemas.iter().map(|schema| schema.rows.len() * schema.fields.len() as u64).sum()
    }

    /// The rows, each with the number of its schema, and by schema the metrics of its fields: what a seal goes through.
    pub fn snapshot(&self) -> (Vec<(Arc<Row>, u32)>, SchemaMetrics) {
        let rows = self.rows.iter().flatten().map(|slot| (slot.row.clone(), slot.schema)).collect();
        let metrics = |schema: &Schema| schema.fields.iter().map(|field| field.metric.clone()).collect();
        (rows, self.schemas.iter().map(metrics).collect())
    }

    /// Forgets those of these rows that hold no sample and that nobody else holds. Returns how many went.
    pub fn forget(&mut self, rows: &[u32]) -> usize {
        let (mut gone, mut bytes) = (RoaringBitmap::new(), 0);
        for &id in rows {
            let Some(place) = self.rows.get_mut(id as usize) else { continue };
            // A request that is under way holds the row it found, and finds it only under this lock.
            let Some(slot) = place.take_if(|s| Arc::strong_count(&s.row) == 1 && s.row.is_empty()) else { continue };
            bytes += row_bytes(&slot.row.labels);
            for (name, value) in &slot.row.labels {
                let Some(values) = self.labels.get_mut(name) else { continue };
                if let Some(carry) = values.get_mut(value) {
                    carry.remove(id);
                    if carry.is_empty() {
                        values.remove(value);
                        bytes += VALUE_BYTES + value.len();
                    }
                }
                if values.is_empty() {
                    self.labels.remove(name);
                }
            }
            let schema = &mut self.schemas[slot.schema as usize];
            schema.rows.remove(id);
            self.counts.remove(&schema.measurement, schema.counted());
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
fn own_key(measurement: &str, labels: &Labels) -> KeyHash {
    let mut key = Vec::with_capacity(measurement.len() + labels.as_bytes().len() + 2);
    key.push(0);
    key.extend_from_slice(measurement.as_bytes());
    key.push(0);
    key.extend_from_slice(labels.as_bytes());
    hash_key(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Gathering, METRIC_NAME, Matcher};

    fn fields(names: &[&str]) -> Vec<Field> {
        let field = |n: &&str| Field { raw: n.as_bytes().into(), metric: format!("cpu_{n}").into() };
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
            (schema.find(b"user", 0), schema.find(b"system", 0), schema.find(b"idle", 0)),
            (Some((0, 0)), Some((1, 1)), None)
        );
        assert_eq!((index.len(), index.series()), (1, 2));
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
                index.select(text).iter().map(|s| s.row.labels.with(METRIC_NAME, &s.metric).to_string()).collect();
            all.sort();
            all
        };
        assert_eq!(
            series(&[Matcher::equal(METRIC_NAME, "cpu_idle")]),
            [r#"cpu_idle{dc="eu", host="a"}"#, r#"cpu_idle{dc="us", host="c"}"#]
        );
        assert_eq!(series(&[Matcher::equal("dc", "eu")]).len(), 3);
        let values = |label: &str, m: &[Matcher]| {
            let mut into = Gathering::new(usize::MAX, &|| false);
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
