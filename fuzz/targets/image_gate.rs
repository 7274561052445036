//! Any bytes through the gate of images.

#![no_main]

#[path = "../bodies/image_gate.rs"]
mod image_gate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| image_gate::run(bytes));
