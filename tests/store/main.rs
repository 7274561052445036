//! The conformance suite of the store: every test runs against SQLite and against a real PostgreSQL, so that the
//! twins cannot drift.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;

mod conformance;
mod order;
mod schema;
