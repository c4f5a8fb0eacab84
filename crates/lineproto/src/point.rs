//! A line as an owned value, checked to the last name: for tests and tools, not for the hot path.

use super::error::LineError;
use super::limits::Limits;
use super::lines::{Line, Lines, Value};

/// One line with everything resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// What is measured.
    pub measurement: String,
    /// Keys and values in the order of the line.
    pub tags: Vec<(String, String)>,
    /// Names and values in the order of the line.
    pub fields: Vec<(String, FieldValue)>,
    /// As written; the unit is the request's.
    pub time: Option<i64>,
}

/// The owned form of [`Value`].
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "they are those of Value")]
pub enum FieldValue {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(String),
}

impl Line<'_, '_> {
    /// Resolves key, names and strings.
    ///
    /// Errors: the first of those that is not as it should be.
    pub fn to_point(&self, limits: &Limits) -> Result<Point, LineError> {
        let key = self.key.parse(limits)?;
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in self.fields {
            let value = match field.value {
                Value::Float(float) => FieldValue::Float(float),
                Value::Integer(integer) => FieldValue::Integer(integer),
                Value::Unsigned(integer) => FieldValue::Unsigned(integer),
                Value::Boolean(boolean) => FieldValue::Boolean(boolean),
                Value::String(string) => match string.parse(limits) {
                    Ok(text) => FieldValue::String(text.into_owned()),
                    Err(fault) => return Err(LineError { fault, column: field.name.column() }),
                },
            };
            fields.push((field.name.parse(limits)?.into_owned(), value));
        }
        Ok(Point {
            measurement: key.measurement.into_owned(),
            tags: key.tags.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect(),
            fields,
            time: self.time,
        })
    }
}

/// The lines of a block, each resolved, with the number it has in the block.
pub fn parse_points(block: &[u8], limits: &Limits) -> Vec<(u64, Result<Point, LineError>)> {
    let mut lines = Lines::new(block, limits);
    let mut points = Vec::new();
    while let Some(line) = lines.next_line() {
        let point = line.and_then(|line| line.to_point(limits));
        points.push((lines.number(), point));
    }
    points
}
