//! Gristmill: a job daemon with the jobs built in.
//!
//! The rooms, in dependency order: each may use only those above it (`tests/house.rs` fails when one does not).

pub mod task;

pub mod account;

pub mod clock;
pub mod failpoint;

pub mod store;

pub mod blob;
