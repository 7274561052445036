//! Through which the janitor and the runs of the kind `backup` tell of backups.

use std::time::Duration;

use metrics::{Counter, Gauge};

use super::super::{
    BACKUP_BYTES, BACKUP_DURATION, BACKUP_FAILURES, BACKUP_INTERVAL, BACKUP_NEWEST, counter, gauge,
};
use crate::task::Timestamp;

/// The backups. Clones share their handles.
#[derive(Clone)]
pub struct BackupMetrics {
    newest: Gauge,
    took: Gauge,
    bytes: Gauge,
    interval: Gauge,
    failures: Counter,
}

impl BackupMetrics {
    /// The handles; their series show 0 from now on.
    #[expect(
        clippy::new_without_default,
        reason = "making handles registers series, which a default should not"
    )]
    pub fn new() -> Self {
        Self {
            newest: gauge(&BACKUP_NEWEST, &[]),
            took: gauge(&BACKUP_DURATION, &[]),
            bytes: gauge(&BACKUP_BYTES, &[]),
            interval: gauge(&BACKUP_INTERVAL, &[]),
            failures: counter(&BACKUP_FAILURES, &[]),
        }
    }

    /// The newest backup shows that instant, took so long, and has so many bytes.
    #[expect(clippy::cast_precision_loss, reason = "seconds and bytes, for a chart")]
    pub fn made(&self, at: Timestamp, took: Duration, bytes: u64) {
        self.newest.set((at.as_micros() / 1_000_000) as f64);
        self.took.set(took.as_secs_f64());
        self.bytes.set(bytes as f64);
    }

    /// A backup is made every so often; zero for never.
    pub fn set_interval(&self, every: Duration) {
        self.interval.set(every.as_secs_f64());
    }

    /// A backup could not be made.
    pub fn failed(&self) {
        self.failures.increment(1);
    }
}
