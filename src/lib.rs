//! Gristmill: a job daemon with the jobs built in.
//!
//! The rooms, in dependency order: each may use only those above it (`tests/house` fails when one does not).

pub mod task;

pub mod account;

pub mod media;

pub mod clock;
pub mod config;
pub mod failpoint;
pub mod memory;
pub mod telemetry;

pub mod outbound;

pub mod store;

pub mod blob;

pub mod backup;

pub mod broker;

pub mod imaging;

pub mod quiz;

pub mod kinds;

pub mod telling;

pub mod intake;

pub mod tidy;

pub mod actors;

pub mod http;

pub mod app;

pub mod cli;
