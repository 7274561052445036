//! The broker's room against a real RabbitMQ: one that `./test` provides for tests that leave it alone, and nodes of
//! their own for those that kill, wipe or block it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod consuming;
mod dead;
mod letters;
mod network;
mod node;
mod outages;
mod publishing;
mod secrets;
