//! Any name of a file.

#![no_main]

#[path = "../bodies/file_names.rs"]
mod file_names;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| file_names::run(bytes));
