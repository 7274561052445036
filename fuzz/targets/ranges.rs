//! Any conditions and ranges of a request for a file.

#![no_main]

#[path = "../bodies/ranges.rs"]
mod ranges;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ranges::run(bytes));
