//! From line protocol to a batch: every line is parsed, checked against the limits, and resolved to its row.
//!
//! The road of a line that was seen before is short: hash its key, find the row, match the fields by position. The
//! index is locked for reading once a block. Only what is new is looked at closely, and locked for.

mod remarks;
mod states;

pub use remarks::Unit;
pub(super) use states::Unsettled;

use super::Store;
use super::batch::{Batch, BatchRow};
use crate::memory::{Collision, Database, Exceeded, Field, Index, KeyHash, NewRow, hash_key};
use hashbrown::HashSet;
use parking_lot::RwLockWriteGuard;
use remarks::{Odd, likely_unit};
use sealine_base::pools::Lease;
use sealine_base::units::spoken;
use sealine_codec::lines::FIELDS_MAX;
use sealine_lineproto::{Fault, Limits, Line, LineError, Lines, Precision, Value};
use sealine_model::{Column, INFO_LABEL, Kind, Labels, NS_PER_MS, ms_of_ns, ns_from_ms};
use sealine_telemetry::Suspect;
use sealine_telemetry::notices::{Notice, NoticeKind};
use states::KeptString;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The reason of a line whose time is beyond what `retention.disk` keeps.
pub const EXPIRED: &str = "expired";

/// What holds for the lines of one request.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Sizes that a line must keep to.
    pub limits: Limits,
    /// The unit of its times.
    pub precision: Precision,
    /// What a line without a time gets: the server's, at arrival, in nanoseconds.
    pub now: i64,
    /// Times after this are refused.
    pub latest: i64,
    /// Times before this are refused: their partition has expired.
    pub earliest: i64,
    /// How many refusals are described; the others are only counted.
    pub errors_listed_max: usize,
    /// Whether the limits on cardinality hold.
    pub limited: bool,
    /// Where the unit of the times comes from.
    pub unit: Unit,
    /// How far queries look back for a sample, in nanoseconds.
    pub lookback: i64,
}

/// What became of the lines of a request.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines taken.
    pub lines: u64,
    /// Samples in them.
    pub samples: u64,
    /// Lines refused.
    pub refused: u64,
    /// How many of them for which reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// The first refusals.
    pub first: Vec<Refusal>,
    /// String fields that were not stored.
    pub strings_dropped: u64,
    /// What is logged about lines.
    pub notices: Vec<Notice>,
    /// Lines that look wrong, by `Suspect`.
    pub suspects: [u64; Suspect::ALL.len()],
    /// Names that became one.
    pub collisions: Vec<Collision>,
    /// Values that a later one of their line took the place of.
    pub fields_overwritten: u64,
}

impl Report {
    fn suspect(&mut self, why: Suspect) {
        self.suspects[why as usize] += 1;
    }
}

/// Why a line was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the line in the request, from 1.
    pub line: u64,
    /// Byte in the line, from 1.
    pub column: usize,
    /// The counter's label.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}

/// A batch that is being filled.
pub struct Stage {
    store: Weak<Store>,
    database: Arc<Database>,
    terms: Terms,
    batch: Batch,
    report: Report,
    values: Vec<(u16, f64)>,
    /// What is odd about the line that is being taken; seldom anything.
    odd: Vec<Odd>,
    /// The strings of that line that are kept.
    kept: Vec<KeptString>,
}

/// Why a line is refused: what the grammar says, or what the store adds.
enum Refused {
    Line(LineError),
    Store { reason: &'static str, message: String },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Line(error) => error.fmt(f),
            Refused::Store { message, .. } => f.write_str(message),
        }
    }
}

impl From<LineError> for Refused {
    fn from(error: LineError) -> Self {
        Refused::Line(error)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused::Line(LineError { fault, column: 1 })
    }
}

impl Stage {
    /// An empty batch for `database`.
    pub(super) fn new(store: Weak<Store>, database: Arc<Database>, terms: Terms, lease: Lease) -> Self {
        let batch = Batch::new(database.clone(), lease);
        let (report, values) = (Report::default(), Vec::new());
        Stage { store, database, terms, batch, report, values, odd: Vec::new(), kept: Vec::new() }
    }

    /// The same, where the unit of the times was not named by who sends them.
    pub fn with_unit(mut self, unit: Unit) -> Self {
        self.terms.unit = unit;
        self
    }

    /// Reserves room for a batch of this many bytes.
    pub fn expect(&mut self, bytes: usize) {
        self.batch.expect(bytes);
    }

    /// Takes whole lines; `number` is that of the first. Says whether the batch holds more than was expected of it.
    pub fn add(&mut self, block: &[u8], number: u64) -> bool {
        let database = self.database.clone();
        let limits = self.terms.limits;
        let mut lines = Lines::new(block, &limits).numbered_from(number);
        let mut index = database.index.read();
        while let Some(line) = lines.next_line() {
            let taken = match line {
                Ok(line) => match self.take_known(&index, &line) {
                    Some(taken) => taken,
                    None => {
                        drop(index);
                        let taken = self.take_new(&line);
                        index = database.index.read();
                        taken
                    }
                },
                Err(error) => Err(error.into()),
            };
            if let Err(refused) = taken {
                self.refuse(lines.raw(), lines.number(), refused);
            }
            if !self.odd.is_empty() {
                self.remark(lines.raw());
            }
            if !self.kept.is_empty() {
                drop(index);
                self.end_states(lines.raw());
                index = database.index.read();
            }
        }
        self.batch.account()
    }

    /// Takes a sample of a series that is named by its labels, as sources that do not speak line protocol have them.
    /// `time` is in milliseconds. Any value may stand, NaN and staleness markers too. Counts as a line; `number` is what a
    /// refusal calls it.
    pub fn add_sample(&mut self, labels: &Labels, time: i64, value: f64, number: u64) {
        match self.put_sample(labels, ns_from_ms(time), value) {
            Ok(()) => self.report.lines += 1,
            Err(refused) => self.refuse(labels.to_string().as_bytes(), number, refused),
        }
    }

    fn put_sample(&mut self, labels: &Labels, time: i64, value: f64) -> Result<(), Refused> {
        let Terms { earliest, latest, .. } = self.terms;
        if !(earliest..=latest).contains(&time) {
            return Err(self.untimely(time, None));
        }
        let database = self.database.clone();
        let tags = database.view().tags(labels);
        let fields = [Field::of_metric(labels.metric_name())];
        let new = NewRow::new("", &tags, &fields);
        let resolved = |index: &Index, id: u32| {
            let (row, schema) = index.row(id);
            let (field, _) = schema.find(&fields[0].raw, Kind::Float, 0)?;
            Some((BatchRow { row: row.clone(), fields: schema.fields.len() as u16 }, field))
        };
        let known = |index: &Index| resolved(index, index.find_row(&new)?);
        let make = || {
            self.admit(&database.index.read(), &[new])?;
            let mut index = database.index.write();
            self.admit(&index, &[new])?;
            index.define(None, &new).and_then(|id| resolved(&index, id)).ok_or_else(too_many_row_fields)
        };
        let found = known(&database.index.read());
        let (row, field) = found.map_or_else(make, Ok)?;
        self.batch.push(row, time, &[(field, value)]);
        Ok(())
    }

    /// Lines refused so far.
    pub fn refused(&self) -> u64 {
        self.report.refused
    }

    /// What was taken and what was not.
    pub fn finish(mut self) -> (Batch, Report) {
        self.report.samples = self.batch.samples() as u64;
        self.batch.expect(0);
        (self.batch, self.report)
    }

    /// Takes a line whose row and fields are known; `None` where one is not.
    #[inline]
    fn take_known(&mut self, index: &Index, line: &Line<'_, '_>) -> Option<Result<(), Refused>> {
        let id = index.find(hash_key(line.key.raw()))?;
        self.take(index, line, id, &[])
    }

    /// Takes a line of row `id`; `None` where a field is not known. `kept` are the rows of its strings, where they are
    /// not to be looked up.
    #[inline]
    fn take(
        &mut self,
        index: &Index,
        line: &Line<'_, '_>,
        id: u32,
        kept: &[(KeyHash, u32)],
    ) -> Option<Result<(), Refused>> {
        let (row, schema) = index.row(id);
        self.values.clear();
        let (mut hint, mut strings, mut overwritten, mut in_order) = (0, 0, 0, true);
        for field in line.fields {
            let Some((kind, word)) = word_of(field.value) else {
                strings += 1;
                continue;
            };
            let (number, at) = schema.find(field.name.raw(), kind, hint)?;
            hint = at + 1;
            in_order &= self.values.last().is_none_or(|(last, _)| *last < number);
            self.values.push((number, word));
        }
        if !in_order {
            overwritten = keep_last(&mut self.values);
        }
        let time = match self.time_of(line) {
            Ok(time) => time,
            Err(refused) => return Some(Err(refused)),
        };
        if strings > 0
            && let Err(refused) = self.keep_strings(index, line, time, kept)?
        {
            return Some(Err(refused));
        }
        if time < self.terms.early()
            && let Some(raw) = line.time
        {
            self.odd.push(Odd::Early(raw));
        }
        if !self.values.is_empty() {
            let row = BatchRow { row: row.clone(), fields: schema.fields.len() as u16 };
            self.batch.push(row, time, &self.values);
        } else if self.kept.is_empty() {
            self.odd.push(Odd::StringsAlone);
        }
        if overwritten > 0 {
            self.odd.push(Odd::FieldTwice);
            self.report.fields_overwritten += overwritten;
        }
        self.report.lines += 1;
        Some(Ok(()))
    }

    /// Makes what a line needs that is not there yet, then takes it.
    #[cold]
    fn take_new(&mut self, line: &Line<'_, '_>) -> Result<(), Refused> {
        self.time_of(line)?; // a line that is refused leaves no row behind
        let (database, limits) = (self.database.clone(), &self.terms.limits);
        let view = database.view();
        let naming = view.naming();
        let key = line.key.parse(limits)?;
        if let Some(label) = view.shared_label(key.tags.iter().map(|(tag, _)| &**tag)) {
            return Err(Refused::Store {
                reason: "duplicate_label",
                message: format!("two tags both become the label `{label}`: leave one out or rename it"),
            });
        }
        let tags = Labels::from_pairs(key.tags.iter().map(|(tag, value)| (&**tag, &**value)));
        let new = NewRow::new(&key.measurement, &tags, &[]);
        // A flood of new keys ends here: before their fields are looked at, and without the lock that readers wait for.
        self.admit(&database.index.read(), &[new])?;
        let (mut fields, mut named) = (Vec::new(), HashSet::new());
        let mut kept = Vec::new();
        for field in line.fields {
            let name = field.name.parse(limits)?;
            let raw: Arc<[u8]> = field.name.raw().into();
            if let Value::String(text) = field.value {
                if let Some(metric) = naming.info_metric(&key.measurement, &name) {
                    let tags = with_info(&tags, &text.parse(limits)?);
                    let key = info_key(line, &raw, text.raw());
                    // Rows without a measurement, as those of `add_sample`, spell their fields as metrics.
                    kept.push((key, tags, Field::of_metric(&metric)));
                }
            } else if let Some((kind, _)) = word_of(field.value)
                && named.insert((field.name.raw(), kind))
            {
                let column = Column::Field { measurement: &key.measurement, field: &name, kind };
                fields.push(Field::new(raw, column, naming));
            }
        }
        let mut needed = vec![new.with_fields(&fields)];
        needed.extend(kept.iter().map(|(_, tags, field)| NewRow::new("", tags, std::slice::from_ref(field))));
        self.admit(&database.index.read(), &needed)?; // a flood of new fields ends here
        let mut index = database.index.write();
        if !Arc::ptr_eq(index.view(), &view) {
            drop(index);
            return self.take_new(line); // other rules of naming came meanwhile
        }
        self.admit(&index, &needed)?; // others may have been quicker
        let id = index.define(Some(hash_key(line.key.raw())), &needed[0]).ok_or_else(too_many_row_fields)?;
        let mut rows = Vec::new();
        for ((key, ..), new) in kept.iter().zip(&needed[1..]) {
            rows.push((*key, index.define(Some(*key), new).ok_or_else(too_many_row_fields)?));
        }
        self.report.collisions.extend(index.take_collisions());
        // Without a gap, so that no seal can come by and forget the row again.
        let index = RwLockWriteGuard::downgrade(index);
        self.take(&index, line, id, &rows).expect("BUG: a line is not known that was just defined")
    }

    /// Whether the limits on cardinality let a line make what it needs of these rows.
    fn admit(&self, index: &Index, rows: &[NewRow<'_>]) -> Result<(), Refused> {
        if !self.terms.limited {
            return Ok(());
        }
        index.admit(rows).map_err(|exceeded| {
            // Of a flood, only what the answer lists and the first, for the log, are put into words.
            let told = self.report.notices.iter().any(|notice| notice.reason == exceeded.reason());
            let listed = self.report.first.len() < self.terms.errors_listed_max || !told;
            let message = match rows.first().and_then(|row| index.widest(row.tags)) {
                _ if !listed => String::new(),
                Some((tag, values)) if !matches!(exceeded, Exceeded::TagValues { .. }) => {
                    format!("{exceeded}; of its tags, `{tag}` has the most values, {values}")
                }
                _ => exceeded.to_string(),
            };
            Refused::Store { reason: exceeded.reason(), message }
        })
    }

    /// Stores the string fields that a rule keeps, as `1` in a row of their own; counts the others. `None` where such a
    /// row is not known yet.
    fn keep_strings(
        &mut self,
        index: &Index,
        line: &Line<'_, '_>,
        time: i64,
        kept: &[(KeyHash, u32)],
    ) -> Option<Result<(), Refused>> {
        let naming = index.view().naming();
        if naming.info_fields.is_empty() {
            let strings = line.fields.iter().filter(|field| matches!(field.value, Value::String(_))).count();
            self.report.strings_dropped += strings as u64;
            return Some(Ok(()));
        }
        let key = match line.key.parse(&self.terms.limits) {
            Ok(key) => key,
            Err(error) => return Some(Err(error.into())),
        };
        let mut rows = Vec::new();
        let mut dropped = 0;
        for field in line.fields {
            let Value::String(text) = field.value else { continue };
            let name = match field.name.parse(&self.terms.limits) {
                Ok(name) => name,
                Err(error) => return Some(Err(error.into())),
            };
            let Some(metric) = naming.info_metric(&key.measurement, &name) else {
                dropped += 1;
                continue;
            };
            let key = info_key(line, field.name.raw(), text.raw());
            let made = kept.iter().find(|(known, _)| *known == key).map(|(_, id)| *id);
            let id = made.or_else(|| index.find(key))?;
            let (row, schema) = index.row(id);
            let (number, _) = schema.find(&Field::raw_of_metric(&metric), Kind::Float, 0)?;
            let metric = schema.fields[usize::from(number)].metric.clone();
            rows.push((BatchRow { row: row.clone(), fields: schema.fields.len() as u16 }, number, metric));
        }
        self.report.strings_dropped += dropped;
        for (row, number, metric) in rows {
            self.kept.push(KeptString { row: row.row.clone(), metric, time });
            self.batch.push(row, time, &[(number, 1.0)]);
        }
        Some(Ok(()))
    }

    /// The line's time, where the database takes it.
    #[inline]
    fn time_of(&mut self, line: &Line<'_, '_>) -> Result<i64, Refused> {
        let time = line.time_ns(self.terms.precision)?.unwrap_or_else(|| self.arrival());
        if (self.terms.earliest..=self.terms.latest).contains(&time) {
            return Ok(time);
        }
        self.odd.extend(line.time.filter(|_| time < self.terms.early()).map(Odd::Early));
        Err(self.untimely(time, line.time))
    }

    /// When a line without a time came. Those of one request have one time, as InfluxDB gives them; of a listener that knows
    /// no requests each has its own, or lines of one series would take each other's place.
    fn arrival(&mut self) -> i64 {
        let now = self.terms.now;
        self.terms.now += i64::from(matches!(self.terms.unit, Unit::Setting(_)));
        now
    }

    #[cold]
    fn untimely(&self, time: i64, raw: Option<i64>) -> Refused {
        let Terms { now, latest, precision, .. } = self.terms;
        let between = |one: i64, other: i64| spoken(Duration::from_millis(ms_of_ns(one).abs_diff(ms_of_ns(other))));
        let shown = shown(time);
        if time > latest {
            let (ahead, limit) = (between(time, now), between(latest, now));
            return Refused::Store {
                reason: "future",
                message: format!(
                    "time {shown} is {ahead} ahead of the server's clock, more than the {limit} of \
                     ingest.max_future; it was read with precision={precision}"
                ),
            };
        }
        let mut message = format!(
            "time {shown} is {} before the server's clock, and in this database retention.disk keeps what is no \
             older than {}; it was read with precision={precision}",
            between(time, now),
            between(self.terms.earliest, now)
        );
        if time < self.terms.early()
            && let Some((unit, _)) = raw.and_then(|raw| likely_unit(raw, time, precision))
        {
            message.push_str(&format!("; where {unit} was meant, {}", self.terms.way_to(unit)));
        }
        Refused::Store { reason: EXPIRED, message }
    }

    /// Refuses a line, which is `raw`.
    #[cold]
    fn refuse(&mut self, raw: &[u8], line: u64, refused: Refused) {
        let refusal = match refused {
            Refused::Line(error) => {
                Refusal { line, column: error.column, reason: error.reason(), message: error.to_string() }
            }
            Refused::Store { reason, message } => Refusal { line, column: 1, reason, message },
        };
        self.report.refused += 1;
        *self.report.reasons.entry(refusal.reason).or_default() += 1;
        self.note(NoticeKind::Refusal, refusal.reason, raw, || refusal.message.clone());
        if self.report.first.len() < self.terms.errors_listed_max {
            self.report.first.push(refusal);
        }
    }
}

/// The kind of a value and its word; `None` for a string.
#[inline]
fn word_of(value: Value<'_>) -> Option<(Kind, f64)> {
    Some(match value {
        Value::Float(value) => (Kind::Float, value),
        Value::Integer(value) => Kind::of_integer(value),
        Value::Unsigned(value) => Kind::of_unsigned(value),
        Value::Boolean(value) => (Kind::Boolean, f64::from(u8::from(value))),
        Value::String(_) => return None,
    })
}

/// A time as a refusal shows it: in milliseconds, as far as that tells all of it.
fn shown(time: i64) -> String {
    if time % NS_PER_MS == 0 { format!("{} ms", time / NS_PER_MS) } else { format!("{time} ns") }
}

fn too_many_row_fields() -> Refused {
    Refused::Store {
        reason: "too_many_row_fields",
        message: format!("the row would have more than {FIELDS_MAX} different fields"),
    }
}

/// Puts values in the order of their fields; of two for one field, the later one stands. Returns how many do not.
#[cold]
fn keep_last(values: &mut Vec<(u16, f64)>) -> u64 {
    let came = values.len();
    values.sort_by_key(|(number, _)| *number);
    values.dedup_by(|later, kept| {
        let again = later.0 == kept.0;
        if again {
            *kept = *later;
        }
        again
    });
    (came - values.len()) as u64
}

/// The tags of a string that is kept: those of its line, and its text. A tag of that name is pushed aside.
fn with_info(tags: &Labels, text: &str) -> Labels {
    let aside = format!("exported_{INFO_LABEL}");
    let tags = tags.iter().map(|(tag, value)| (if tag == INFO_LABEL { &*aside } else { tag }, value));
    Labels::from_pairs(tags.chain([(INFO_LABEL, text)]))
}

/// What finds the row of a string that is kept: no client can write a key with a zero byte.
fn info_key(line: &Line<'_, '_>, field: &[u8], text: &[u8]) -> KeyHash {
    hash_key(&[line.key.raw(), field, text].join(&0))
}
