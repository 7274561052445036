//! What the daemon says about itself: the log, the action log, traces, metrics and health.
//!
//! Started by the composition root before anything else, and called from every room below. Nothing here knows
//! tasks, databases or HTTP: callers hand over names and numbers.
//!
//! What is true:
//! - Telling never waits for long and never fails the teller: what cannot be written is dropped and counted.
//! - Names are closed sets. A metric exists if and only if the catalogue in `metrics.rs` declares it; its
//!   labels come from enums, from the registry of kinds or from the table of routes; so the number of series
//!   is bounded.
//! - No secret is logged. Rooms pass ids and names, never tokens, passwords or bodies.

pub mod action_log;
pub mod disk;
pub mod health;
pub mod logging;
pub mod metrics;
mod plain;
pub mod space;
pub mod systemd;
pub mod traces;

pub use self::action_log::{Action, ActionLog, RefusalReason};
pub use self::health::{ComponentState, Health, Importance, Phase};
pub use self::logging::LogHandle;
pub use self::metrics::MetricsHandle;
