//! Any bytes as a segment of the log, and as the payloads of its records.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealine_fuzz::log::check(bytes));
