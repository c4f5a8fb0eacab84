//! A column of numbers as `pco` compresses it: one description of all (delta encoding, bins and their weights), then pages
//! which with it can be decoded by themselves.
//!
//! What the bytes may ask for is bounded before `pco` allocates anything for it: dictionaries and windows to look back
//! into, which we never write, are refused.

use super::{BlockError, SAMPLES_PER_PAGE};
use pco::data_types::Number;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{ChunkCompressor, ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};
use std::ops::Range;

/// How hard `pco` tries, of 12. More costs time and finds little in series of a day.
const LEVEL: usize = 6;

/// Bytes with which `pco` says in which version of its format a column is.
pub(super) const FORMAT_BYTES: usize = 2;

/// Numbers that `pco` decodes at once.
const BATCH: usize = 256;
const _: () = assert!(SAMPLES_PER_PAGE.is_multiple_of(BATCH), "a page is read in whole batches");

/// The low four bits of a description say its mode; of those, this is the highest that we read: 4 is a dictionary.
const MODE_MAX: u8 = 3;

/// A compressed column.
pub(super) struct Column {
    bytes: Vec<u8>,
    /// Where the description ends, then each page.
    ends: Vec<usize>,
}

impl Column {
    /// Compresses numbers, at least one, in pages of [`SAMPLES_PER_PAGE`]. `None` where `pco` cannot.
    pub(super) fn compress<T: Number>(numbers: &[T]) -> Option<Column> {
        Column::compress_as(numbers, ModeSpec::Auto)
    }

    /// Compresses values as multiples of a unit, and what they are off.
    pub(super) fn compress_counts(values: &[f64], unit: f64) -> Option<Column> {
        Column::compress_as(values, ModeSpec::TryFloatMult(unit))
    }

    fn compress_as<T: Number>(numbers: &[T], mode: ModeSpec) -> Option<Column> {
        let compressor = |delta| compressor(numbers, mode.clone(), delta);
        let found = compressor(DeltaSpec::Auto)?;
        if !matches!(found.meta().delta_encoding, DeltaEncoding::Lookback { .. }) {
            return Column::of(found);
        }
        // Looking back takes a window for each page that is read.
        let plain = Column::of(compressor(DeltaSpec::NoOp)?)?;
        let deltas = Column::of(compressor(DeltaSpec::TryConsecutive(1))?)?;
        Some(if plain.bytes.len() < deltas.bytes.len() { plain } else { deltas })
    }

    fn of(mut compressor: ChunkCompressor) -> Option<Column> {
        let mut bytes = Vec::new();
        compressor.write_meta(&mut bytes).ok()?;
        let mut ends = vec![bytes.len()];
        for page in 0..compressor.n_per_page().len() {
            compressor.write_page(page, &mut bytes).ok()?;
            ends.push(bytes.len());
        }
        Some(Column { bytes, ends })
    }

    /// Its length.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What all pages need.
    pub(super) fn description(&self) -> &[u8] {
        &self.bytes[..self.ends[0]]
    }

    /// One page.
    pub(super) fn page(&self, number: usize) -> &[u8] {
        &self.bytes[self.ends[number]..self.ends[number + 1]]
    }
}

fn compressor<T: Number>(numbers: &[T], mode: ModeSpec, delta: DeltaSpec) -> Option<ChunkCompressor> {
    let pages = numbers.chunks(SAMPLES_PER_PAGE).map(|page| page.len()).collect();
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_mode_spec(mode)
        .with_delta_spec(delta)
        .with_paging_spec(PagingSpec::Exact(pages));
    FileCompressor::default().chunk_compressor(numbers, &config).ok()
}

/// The version of its format in which `pco` writes.
pub(super) fn format() -> [u8; FORMAT_BYTES] {
    let mut format = [0; FORMAT_BYTES];
    let written = FileCompressor::default().write_header(&mut format[..]).map(|rest| rest.is_empty());
    assert!(written == Ok(true), "BUG: pco says its format in other than {FORMAT_BYTES} bytes");
    format
}

/// A column as it lies in a block.
pub(super) struct Pages<'a> {
    /// What it is a column of, for messages.
    pub name: &'static str,
    /// In which version of `pco`'s format it is.
    pub format: [u8; FORMAT_BYTES],
    /// Numbers in all pages: each but the last holds [`SAMPLES_PER_PAGE`].
    pub count: usize,
    pub description: &'a [u8],
    pub pages: Vec<&'a [u8]>,
}

impl Pages<'_> {
    /// Gives the numbers in `range`, which must lie within the column, to `each`: in order, up to a batch at a time.
    /// Decodes no page that has none of them, and none further than needed.
    pub(super) fn read<T: Number + Default>(
        &self,
        range: Range<usize>,
        each: &mut dyn FnMut(&[T]),
    ) -> Result<(), BlockError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut decompressor = self.decompressor::<T>()?;
        let mut batch = [T::default(); BATCH];
        for number in range.start / SAMPLES_PER_PAGE..range.end.div_ceil(SAMPLES_PER_PAGE) {
            let first = number * SAMPLES_PER_PAGE;
            let damaged = |why: String| BlockError::Page { column: self.name, page: number, why };
            let bytes = *self.pages.get(number).ok_or_else(|| damaged("it is not there".into()))?;
            let length = self.count.saturating_sub(first).min(SAMPLES_PER_PAGE);
            let mut page = decompressor.page_decompressor(bytes, length).map_err(|error| damaged(error.message))?;
            for at in (first..range.end.min(first + length)).step_by(BATCH) {
                let read = page.read(&mut batch).map_err(|error| damaged(error.message))?.n_processed;
                let wanted = range.start.clamp(at, at + read) - at..range.end.clamp(at, at + read) - at;
                each(&batch[wanted]);
            }
        }
        Ok(())
    }

    fn decompressor<T: Number>(&self) -> Result<ChunkDecompressor<T>, BlockError> {
        let damaged = |why: &str| BlockError::Description { column: self.name, why: why.into() };
        let (file, rest) = FileDecompressor::new(&self.format[..]).map_err(|error| damaged(&error.message))?;
        if !rest.is_empty() || self.description.first().is_none_or(|byte| byte & 15 > MODE_MAX) {
            return Err(damaged("it is in a form that is not written"));
        }
        let (decompressor, rest) =
            file.chunk_decompressor::<T, _>(self.description).map_err(|error| damaged(&error.message))?;
        if !rest.is_empty() || matches!(decompressor.meta().delta_encoding, DeltaEncoding::Lookback { .. }) {
            return Err(damaged("it is in a form that is not written"));
        }
        Ok(decompressor)
    }
}
