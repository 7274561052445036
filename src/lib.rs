//! Gristmill: a job daemon with the jobs built in.

pub mod config;
pub mod telemetry;
