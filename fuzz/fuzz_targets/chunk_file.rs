//! Any bytes as a chunk file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealine_fuzz::chunk_file::check(bytes));
