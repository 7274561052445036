//! The blob store: what its two forms do alike, and what a bucket does to us that a folder does not.
//!
//! The store that speaks S3 runs in this process, checks signatures, and can be dead, silent, slow or wrong.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/bucket.rs"]
mod bucket;

/// Runs a test on both stores, each in a module of its own name.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod folder {
            $(#[test]
            fn $name() { super::$name(&crate::bench::Bench::folder()); })*
        }
        mod in_bucket {
            $(#[test]
            fn $name() { super::$name(&crate::bench::Bench::bucket()); })*
        }
    };
}

mod bench;
mod conformance;
mod outages;
mod sharing;
