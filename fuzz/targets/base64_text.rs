//! Any text as a file in base64.

#![no_main]

#[path = "../bodies/base64_text.rs"]
mod base64_text;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| base64_text::run(bytes));
