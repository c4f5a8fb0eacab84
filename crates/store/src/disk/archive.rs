//! Writes the series of an archive in blocks, and finds out which series can be predicted from another.
//!
//! Fields of one measurement often are related: free memory is total less used memory, a percentage is a part of a total.
//! Their series have one tag set and the same times, and lie near one another in the order of columns. So the first
//! changing series of a column is compared with those of its tag set that were written just before; where one predicts
//! it, the column's series are written as blocks over those (docs/format/block.md).

use super::DiskError;
use super::writer::ChunkFileWriter;
use sealine_codec::Extent;
use sealine_codec::block::{self, Block, Reference};
use sealine_model::{Samples, TimeUnit};
use std::collections::VecDeque;

/// A series of fewer samples is kept in chunks: a block of so few saves little, and takes long to encode.
const BLOCK_SAMPLES_MIN: usize = 128;

/// How many columns a series is compared with: the last ones that change and are not written over another themselves.
const COLUMNS_MAX: usize = 8;

/// How many of their blocks are remembered, at 32 bytes each: bounds memory in an archive of very many series.
const BLOCKS_MAX: usize = 1 << 18;

/// How many series of a column are tried, in search of one that has the same times as another.
const SERIES_MAX: usize = 16;

/// How many samples of two series are compared.
const COMPARED: usize = 2 * block::SAMPLES_PER_PAGE;

/// A block over another must be shorter than this fraction of one by itself, and by this many bytes a sample: reading it
/// takes two blocks.
const SHORTER: f64 = 0.75;
const SAVED_MIN: f64 = 0.125;

/// What is known of the series that were written.
#[derive(Default)]
pub(super) struct Archive {
    column: String,
    /// Blocks of the column that is being written; those of earlier ones, oldest first.
    written: Vec<Written>,
    earlier: VecDeque<Vec<Written>>,
    choice: Choice,
    /// How many series of the column were tried.
    looked_at: usize,
}

/// What the series of a column are written over.
#[derive(Default, Clone, Copy)]
enum Choice {
    /// Not decided: no series so far changes and has the same times as another.
    #[default]
    Open,
    /// Nothing.
    Alone,
    /// A column, by its index in `earlier`. By themselves, they would take `alone` bytes a sample.
    Over { place: usize, alone: f64 },
}

/// A block that is not over another, of a series that changes.
#[derive(Clone, Copy)]
struct Written {
    unit: TimeUnit,
    set: u32,
    length: u32,
    count: u32,
    first: i64,
    at: u64,
}

impl Archive {
    /// Writes a series in blocks. Returns `false`, and writes nothing, if the series belongs in chunks.
    pub(super) fn series(
        &mut self,
        writer: &mut ChunkFileWriter,
        column: &str,
        set: u32,
        samples: &Samples,
    ) -> Result<bool, DiskError> {
        if samples.len() < BLOCK_SAMPLES_MIN {
            return Ok(false);
        }
        if column != self.column {
            self.next_column(column);
        }
        let first = samples.values[0].to_bits();
        let changes = samples.values.iter().any(|value| value.to_bits() != first);
        if changes && matches!(self.choice, Choice::Open) && self.looked_at < SERIES_MAX {
            self.looked_at += 1;
            self.choice = self.choose(writer, set, samples)?;
        }
        let alone = || block::encode(&samples.times, &samples.values);
        let over = match self.choice {
            Choice::Over { place, .. } if changes => self.over(writer, place, set, samples)?,
            _ => None,
        };
        let each = |blocks: &[Block]| bytes_each(blocks, samples.len());
        let blocks = match (over, self.choice) {
            // Compared with what the column's first series takes by itself; where that is no gain, with what this one does.
            (Some(over), Choice::Over { alone, .. }) if is_worth(each(&over), alone) => Some(over),
            (Some(over), _) => alone().filter(|alone| !is_worth(each(&over), each(alone))).or(Some(over)),
            (None, _) => alone(),
        };
        let Some(blocks) = blocks else { return Ok(false) };
        if changes && !matches!(self.choice, Choice::Over { .. }) && self.written.len() < BLOCKS_MAX {
            let mut at = writer.at();
            for block in &blocks {
                let (length, count) = (block.bytes.len() as u32, block.count as u32);
                self.written.push(Written { unit: block.unit, set, length, count, first: block.first, at });
                at += u64::from(length) + 4;
            }
        }
        writer.series(column, set, blocks.iter())?;
        Ok(true)
    }

    fn next_column(&mut self, column: &str) {
        self.column = column.into();
        let written = std::mem::take(&mut self.written);
        if !written.is_empty() && !matches!(self.choice, Choice::Over { .. }) {
            self.earlier.push_back(written);
        }
        while self.earlier.len() > COLUMNS_MAX || self.earlier.iter().map(Vec::len).sum::<usize>() > BLOCKS_MAX {
            self.earlier.pop_front();
        }
        (self.choice, self.looked_at) = (Choice::Open, 0);
    }

    /// Compares the start of a series with those of its tag set.
    fn choose(&self, writer: &ChunkFileWriter, set: u32, samples: &Samples) -> Result<Choice, DiskError> {
        let compared = samples.len().min(COMPARED);
        let (times, values) = (&samples.times[..compared], &samples.values[..compared]);
        let (mut alone, mut shortest, mut choice) = (None, usize::MAX, Choice::Open);
        for (place, written) in self.earlier.iter().enumerate() {
            let Some(other) = of_set(written, set).first() else { continue };
            let Some(others) = read_back(writer, other, samples, 0)? else { continue };
            let Some(others) = others.values.get(..compared) else { continue };
            if alone.is_none() {
                alone = block::encode(times, values).map(|blocks| bytes_each(&blocks, compared));
                choice = Choice::Alone;
            }
            let over = block::encode_over(other.unit, times, values, others, Reference { back: 0, length: 0 });
            if let (Some(alone), Some(over)) = (alone, over)
                && over.bytes.len() < shortest
                && is_worth(bytes_each(std::slice::from_ref(&over), compared), alone)
            {
                shortest = over.bytes.len();
                choice = Choice::Over { place, alone };
            }
        }
        Ok(choice)
    }

    /// A series in blocks over those of an earlier column. `None` if that one does not have the same times.
    fn over(
        &self,
        writer: &ChunkFileWriter,
        place: usize,
        set: u32,
        samples: &Samples,
    ) -> Result<Option<Vec<Block>>, DiskError> {
        let (mut blocks, mut from, mut at) = (Vec::new(), 0, writer.at());
        for other in of_set(&self.earlier[place], set) {
            let Some(others) = read_back(writer, other, samples, from)? else { return Ok(None) };
            let to = from + others.len();
            let reference = Reference { back: at - other.at, length: other.length as usize };
            let (times, values) = (&samples.times[from..to], &samples.values[from..to]);
            let Some(block) = block::encode_over(other.unit, times, values, &others.values, reference) else {
                return Ok(None);
            };
            at += block.bytes.len() as u64 + 4;
            from = to;
            blocks.push(block);
        }
        Ok((from == samples.len()).then_some(blocks))
    }
}

/// How many bytes the blocks take per sample.
fn bytes_each(blocks: &[Block], samples: usize) -> f64 {
    blocks.iter().map(|block| block.bytes.len()).sum::<usize>() as f64 / samples as f64
}

/// Whether `over` bytes a sample, over another series, are enough of a gain against `alone` by itself.
fn is_worth(over: f64, alone: f64) -> bool {
    over < alone * SHORTER && over < alone - SAVED_MIN
}

/// The blocks of one tag set.
fn of_set(written: &[Written], set: u32) -> &[Written] {
    let from = written.partition_point(|block| block.set < set);
    let to = written.partition_point(|block| block.set <= set);
    &written[from..to]
}

/// The samples of a block, if they have the times of `samples` from `from` on.
fn read_back(
    writer: &ChunkFileWriter,
    block: &Written,
    samples: &Samples,
    from: usize,
) -> Result<Option<Samples>, DiskError> {
    let count = block.count as usize;
    let times = samples.times.get(from..from + count).filter(|times| times.first() == Some(&block.first));
    let Some((times, last)) = times.and_then(|times| Some((times, *times.last()?))) else { return Ok(None) };
    let bytes = writer.read_back(block.at, block.length as usize)?;
    let mut others = Samples::default();
    // Fails where the last time differs.
    let decoded = block::decode(
        &bytes,
        None,
        Extent { unit: block.unit, count, first: block.first, last },
        (i64::MIN, i64::MAX),
        TimeUnit::Nanoseconds,
        &mut others,
    );
    Ok((decoded.is_ok() && others.times == times).then_some(others))
}
