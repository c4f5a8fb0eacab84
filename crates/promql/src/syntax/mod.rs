//! The syntax of PromQL: text to tree, and tree to text.
//!
//! `lexer` cuts the text into tokens, `parser` builds the `tree` by recursive descent, `writer` prints a tree
//! the way Prometheus formats queries. Nothing here knows which functions exist or what type an expression has: that is
//! checked by `plan`.
//!
//! No text can do harm: reading one takes linear time, the parser's recursion is bounded by [`NESTING_MAX`], and the
//! depth of the tree that it gives by [`LEVELS_MAX`].

mod fault;
mod lexer;
mod number;
mod parser;
mod quote;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

pub use fault::{Fault, Lines, Place};
pub use lexer::shortened;
pub use parser::{parse, parse_selector};
pub use quote::quote;
pub use tree::{
    Aggregate, Aggregator, At, Binary, BinaryOp, Call, Expr, Kind, Selector, Sign, Subquery, TimeModifiers,
};
pub use writer::pretty;

/// Brackets, calls, signs and powers inside of each other beyond this many are refused.
pub const NESTING_MAX: usize = 100;

/// Operators, signs, brackets and calls of one query beyond this many are refused.
pub const LEVELS_MAX: usize = 1000;

/// A query that was parsed.
#[derive(Debug)]
pub struct Query<'a> {
    /// Its text, to which the spans of the tree point.
    pub text: &'a str,
    /// Its tree.
    pub root: Expr,
    /// The tree is at most this deep, leaves not counted.
    pub levels: usize,
}
