//! Any bytes as the body of a write, plain, gzipped, and as gzip.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealine_fuzz::gzip_body::check(bytes));
