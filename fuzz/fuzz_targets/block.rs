//! Any bytes as a block, and as samples to encode.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealine_fuzz::block::check(bytes));
