//! Any bytes as a body of line protocol.
#![no_main]

#[path = "../checks/line_protocol.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|body: &[u8]| check::check(body));
