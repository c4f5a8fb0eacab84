//! Any bytes as a chunk, and as samples to encode.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealine_fuzz::gorilla::check(bytes));
