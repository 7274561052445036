//! Backups as those have them who run the daemon: the real program makes them, beside a real daemon that works, and restores
//! them into an empty place; then all of it is compared.

#![expect(clippy::unwrap_used, reason = "what surprises a test ends it")]
#![expect(clippy::print_stdout, reason = "a measurement says what it found")]

#[path = "../common/bucket.rs"]
mod bucket;
#[path = "../common/mod.rs"]
mod common;

mod awkward;
mod broken;
mod drill;
mod mishaps;
mod moved;
mod older;
mod place;
mod schedule;
mod shelves;
mod size;
mod tables;
