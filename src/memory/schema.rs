//! Which fields a row has: shared by all rows of a measurement that have the same ones.

use roaring::RoaringBitmap;
use std::sync::Arc;

/// A measurement with a list of fields, and the rows that have just these. A row that gains a field moves on to
/// another schema that starts with the same fields, so a field's index in a row never changes.
#[derive(Debug)]
pub struct Schema {
    /// The measurement, unescaped.
    pub measurement: Box<str>,
    /// The fields; the index of one is its number in every row of the schema.
    pub fields: Vec<Field>,
    /// The spellings in which clients write the fields, in the order in which a line has them.
    pub(super) spellings: Vec<(Box<[u8]>, u16)>,
    /// The rows that have these fields.
    pub(super) rows: RoaringBitmap,
}

/// One field of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name as it was first written, escapes and all: what finds it again.
    pub raw: Box<[u8]>,
    /// The metric that it feeds.
    pub metric: Arc<str>,
}

impl Schema {
    /// What a row with these fields counts as, in series: it takes memory without a field too.
    pub(super) fn counted(&self) -> u64 {
        self.fields.len().max(1) as u64
    }

    /// The index of the field written as `raw`. `hint` is where it most likely is: a line has its fields in the order
    /// of the line before. Give the returned position plus one as the hint for the next field.
    #[inline]
    pub fn find(&self, raw: &[u8], hint: usize) -> Option<(u16, usize)> {
        if let Some((spelling, index)) = self.spellings.get(hint)
            && **spelling == *raw
        {
            return Some((*index, hint));
        }
        let at = self.spellings.iter().position(|(spelling, _)| **spelling == *raw)?;
        Some((self.spellings[at].1, at))
    }
}
