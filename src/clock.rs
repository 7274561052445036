//! Time as an input: the only place that asks the system what time it is.
//!
//! The store asks the [`Clock`] (on SQLite) or the database's own clock moved by [`Clock::shift`] (on
//! PostgreSQL, where nodes must agree), so a test that advances the clock moves both.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::task::Timestamp;

/// A clock, cheap to clone; clones advance together.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    shift_micros: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(Utc::now().timestamp_micros().saturating_add(self.shift()))
    }

    /// The time now, as the health board writes it.
    #[must_use]
    pub fn utc(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.now().as_micros()).unwrap_or_default()
    }

    /// Moves this clock and all its clones forward: for tests that would otherwise have to wait.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.shift_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// How far it was moved, in microseconds.
    #[must_use]
    pub fn shift(&self) -> i64 {
        self.shift_micros.load(Ordering::SeqCst)
    }
}
