//! The real binary, killed: at random instants and at every failpoint, under load, on both databases.
//!
//! Clients write down what they asked and what came back (`load`); when the daemon has had time to finish, what they
//! were told is compared with what is there (`history`, the judge of all tests here). `GRISTMILL_CRASH_ROUNDS` sets
//! the number of kills a database, `GRISTMILL_CRASH_SEED` repeats a run's instants.

#![expect(clippy::unwrap_used, reason = "what surprises a test ends it")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a run says what it did, and with which seed")]

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/bucket.rs"]
mod bucket;

mod cluster;
mod daemon;
mod full_disk;
mod history;
mod images;
mod judged;
mod load;
mod points;
mod printed;
mod rounds;
mod shared_bucket;
mod special;
mod sync;
mod world;
