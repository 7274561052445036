//! The conformance suite of the store: every test runs against SQLite and against a real PostgreSQL, so that the
//! twins cannot drift.

#[path = "../common/mod.rs"]
mod common;

mod conformance;
mod order;
mod schema;
