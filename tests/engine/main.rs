//! The engine as a whole, in this process, with kinds that misbehave: what a run does wrong hurts itself alone, an
//! actor that dies comes back, a drain leaves nothing behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod actors;
mod administration;
mod callbacks;
mod chaos;
mod drain;
mod events;
mod harness;
mod images;
mod lease;
mod limits;
mod network;
mod runs;
mod suspects;
mod time;
mod watched;
