//! The files that a deployment starts from: `docker-compose.yml`, `Dockerfile`, and what lies in `config/` for nginx,
//! Prometheus and Grafana.
//!
//! nginx and Prometheus are real, run with these files in front of real daemons; what is changed in a file for that (an
//! address, a folder) is changed by a rule that fails when the file does not have it. There is no Docker here: its files are
//! read strictly, and what they say is compared with the daemon.

#![expect(clippy::unwrap_used, reason = "what surprises a test ends it")]

#[path = "../common/mod.rs"]
mod common;

mod catalogue;
mod compose;
mod image;
mod logs;
mod nginx;
mod prometheus;
mod stand;
mod traces;
