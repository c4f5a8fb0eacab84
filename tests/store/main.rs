//! Stories about the store and what it is made of, as a library in the process of the test: with a clock that is moved, a
//! disk that refuses, and bytes that nobody would send or write. `cargo test --test store retention::` runs those of one
//! file. All that they share is the process: each has a store, a folder and a clock of its own.

#[path = "../support/mod.rs"]
mod support;

// Samples come, in any order and at any time.
mod any_order;
mod clock_jumps;
mod many_series_a_day;
mod names_that_become_one;
mod retention;
mod shedding;
mod store_survives;

// The disk refuses, forgets, or gives back something else.
mod corruption;
mod full_disk;
mod log_that_stays;
mod simulation;
mod strange_folders;

// Bytes as they are.
mod corpora;
mod earlier_formats;
mod formats;
mod identity;
