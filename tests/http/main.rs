//! The HTTP interface from outside: a real server on a free port, over SQLite in a folder of its own.
//!
//! One program, so that it is linked once. `harness` starts the daemon and asks it; every other module is about one
//! thing that callers see.

#![expect(clippy::unwrap_used, reason = "what surprises a test ends it")]

mod access;
mod admin_dead;
mod admin_pages;
mod administration;
mod avif;
mod bulk;
mod client;
mod fields;
mod harness;
mod hot_images;
mod images;
mod images_rude;
mod keys;
mod kinds;
mod lists;
mod login;
mod operations;
mod origins;
mod outside;
mod pages;
mod photos;
mod pictures;
mod planted;
mod playback;
mod problems;
mod profiles;
mod questions;
#[path = "../common/rabbit.rs"]
mod rabbit;
mod recordings;
mod records;
mod reports;
mod rude;
mod serving;
mod stats;
#[path = "../common/faulty.rs"]
mod store;
mod strict;
mod swagger;
mod tasks;
mod users;
mod wav;
mod who;
