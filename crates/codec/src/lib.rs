//! Bytes and back: Gorilla chunks, the blocks of archives, the compact form of lines, and the variable-length integers that
//! these are made of.

pub mod block;
pub mod gorilla;
pub mod lines;
mod overlay;
pub mod varint;

pub use overlay::{Finer, Overlay};

use sealine_model::TimeUnit;

/// What is known of a chunk or a block besides its bytes, and is stored beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// What its times are counted in.
    pub unit: TimeUnit,
    /// How many samples there are.
    pub count: usize,
    /// Time of the first sample, nanoseconds.
    pub first: i64,
    /// Time of the last sample, nanoseconds.
    pub last: i64,
}

/// How a run of samples is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A Gorilla chunk.
    Chunk,
    /// A block.
    Block,
}
