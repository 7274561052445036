//! `backup`: the whole installation, saved to where `backup.to` says.
//!
//! Made by the janitor on schedule, or by an admin. What is done is the backups' own matter; here is that it is a task: with
//! progress, tried again when it fails, and with what it came to as its result. A try that is cut off leaves nothing that could
//! be taken for a backup, and what it copied is there for the next.

use serde::Deserialize;

use super::{Done, Run, RunError, Work, name};
use crate::backup::{BackupError, Phase, Progress, Watcher};
use crate::task::{Json, Kind, Percent};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Backup;

/// What to save: everything. `null` is the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {}

/// Its name.
#[must_use]
pub fn kind() -> Kind {
    name(Backup::NAME)
}

impl Work for Backup {
    const NAME: &'static str = "backup";
    type Payload = Option<Payload>;

    /// It takes the disk's time, and says where backups lie.
    fn admins_only(&self) -> bool {
        true
    }

    async fn run(&self, _: Option<Payload>, run: Run) -> Result<Done, RunError> {
        let watched = run.clone();
        let summary = run.desk.back_up(std::sync::Arc::new(Watched(watched))).await.map_err(failed)?;
        let result = Json::of(&summary).map_err(|error| RunError::Error(error.to_string()))?;
        Ok(Done { result, output: None, drop_input: false, image: None })
    }
}

fn failed(error: BackupError) -> RunError {
    if matches!(error, BackupError::Stopped) {
        RunError::Cancelled
    } else {
        RunError::Error(error.to_string())
    }
}

/// A run that is told how far the backup is.
struct Watched(Run);

impl Watcher for Watched {
    fn progress(&self, progress: Progress) {
        let part = |most: u64| progress.done.min(progress.total).saturating_mul(most) / progress.total.max(1);
        // Rows are quick beside the blobs, and the last hundredth is the manifest.
        let percent = match progress.phase {
            Phase::Rows => part(30),
            Phase::Blobs | Phase::Checking => 30 + part(69),
        };
        self.0.progress(Percent::new(u8::try_from(percent).unwrap_or(99)));
    }

    fn is_over(&self) -> bool {
        self.0.cancel.is_cancelled()
    }
}
