//! Bytes and back: Gorilla chunks, the blocks of archives, the compact form of lines, and the variable-length integers that
//! these are made of.

pub mod block;
pub mod gorilla;
pub mod lines;
mod overlay;
pub mod varint;

pub use overlay::Overlay;

/// How a run of samples is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A Gorilla chunk.
    Chunk,
    /// A block.
    Block,
}
