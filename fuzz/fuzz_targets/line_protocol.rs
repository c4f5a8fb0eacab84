//! Any bytes as a body of line protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealine_fuzz::line_protocol::check(bytes));
