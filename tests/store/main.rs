//! The conformance suite of the store: every test runs against SQLite and against a real PostgreSQL, so that the
//! twins cannot drift.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;

/// Runs a test against both databases, each in a module of its own name.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::Bench::open(crate::common::Engine::Sqlite).await).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::Bench::open(crate::common::Engine::Postgres).await).await; })*
        }
    };
}

mod bench;
mod books;
mod bulk;
mod conformance;
mod holdings;
mod housekeeping;
mod images;
mod keys;
mod library;
mod order;
mod outside;
mod overview;
mod people;
mod schema;
mod upgrade;
