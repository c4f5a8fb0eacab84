//! What every part stands on. Only these modules read the clock, touch data files, ask how much memory there is and what
//! the host is called, keep the account of memory, and settle who goes first at the processors; so a test can stand in
//! for each.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests damage files by hand and wait in real time"))]

pub mod causes;
pub mod clock;
pub mod cores;
pub mod excerpt;
pub mod machine;
pub mod planted;
pub mod pools;
pub mod units;
pub mod vfs;
pub mod work;
