//! Sealine
fn main() {}
