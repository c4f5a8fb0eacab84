//! Bytes and back: Gorilla chunks, the compact form of lines, and the variable-length integers both are made of.

pub mod block;
pub mod gorilla;
pub mod lines;
pub mod varint;
