//! Influx line protocol: bytes in, borrowed lines out. Knows no socket and no store.
//!
//! A line is read at two depths, because a server sees the same key again and again:
//!
//! 1. [`Lines`] walks a block and gives, for each line, its raw key, its fields with their values, and its time. It
//!    does not look inside the key, and it allocates nothing for a line.
//! 2. [`Key::parse`] and [`Name::parse`] resolve escapes and check what a name may hold. A store calls them for keys
//!    and names that it has not seen before.
//!
//! Both are [`nom`] parsers over `&[u8]`. What is accepted, what is refused and where a bad line ends is told in
//! docs/line-protocol.md. A body that arrives in pieces goes through a [`Splitter`] first.
//!
//! ```
//! use sealine_lineproto::{Limits, Lines, Value};
//!
//! let limits = Limits::default();
//! let mut lines = Lines::new(b"cpu,host=a usage=1.5,cores=4i 1700000000000000000\ncpu usage=NaN\n", &limits);
//! let line = lines.next_line().expect("a line").expect("a good one");
//! assert_eq!((line.key.raw(), line.time), (&b"cpu,host=a"[..], Some(1_700_000_000_000_000_000)));
//! assert_eq!(line.fields[1].value, Value::Integer(4));
//! assert_eq!(line.key.parse(&limits)?.tags[0], ("host".into(), "a".into()));
//!
//! let error = lines.next_line().expect("a line").expect_err("not a number");
//! assert_eq!((lines.number(), error.reason()), (2, "not_finite"));
//! # Ok::<(), sealine_lineproto::LineError>(())
//! ```

mod error;
mod grammar;
mod key;
mod limits;
mod lines;
mod number;
mod point;
mod precision;
mod scan;
mod split;
mod text;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use error::{Fault, LineError, Part};
pub use key::{Key, KeyParts, Tag};
pub use limits::{Limits, setting};
pub use lines::{Field, Line, Lines, Value};
pub use point::{FieldValue, Point, parse_points};
pub use precision::{Precision, PrecisionError};
pub use split::{Split, Splitter};
pub use text::{Name, RawString};
