//! What kinds may ask of the database, answered from the store.
//!
//! Given to every run by its runner. Knows no rules of its own: which attempt counts is looked at by the store, in the
//! transaction that writes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::account::Portfolio;
use crate::backup::{BackupError, Backups, Summary, Watcher};
use crate::failpoint::{self, Failpoint};
use crate::kinds::desk::{Desk, DeskError, Shelved};
use crate::store::{Store, StoreError};
use crate::task::{Attempt, NewQuestion, Question, QuestionId, TaskId, Timestamp, UserId};
use crate::telemetry::metrics::BackupMetrics;

/// The desk over a store.
pub struct StoreDesk {
    store: Arc<dyn Store>,
    backups: Option<(Backups, BackupMetrics)>,
}

impl StoreDesk {
    /// The desk over that store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, backups: None }
    }

    /// The same, where backups can be made as well.
    #[must_use]
    pub fn with_backups(self, backups: Backups, metrics: BackupMetrics) -> Self {
        Self { backups: Some((backups, metrics)), ..self }
    }
}

#[async_trait]
impl Desk for StoreDesk {
    async fn save_questions(
        &self,
        task: TaskId,
        attempt: Attempt,
        goal: u32,
        questions: Vec<NewQuestion>,
    ) -> Result<Shelved, DeskError> {
        let saved = self.store.save_questions(task, attempt, goal, &questions).await.map_err(unavailable)?;
        failpoint::hit_for(Failpoint::QuestionsSaved, task);
        let saved = saved.ok_or(DeskError::Lost(task, attempt))?;
        Ok(Shelved { new: saved.new, known: saved.known, of_task: saved.of_task })
    }

    async fn question(&self, id: QuestionId) -> Result<Option<Question>, DeskError> {
        self.store.question(id).await.map_err(unavailable)
    }

    async fn portfolio(
        &self,
        user: UserId,
        since: Timestamp,
        recent: u32,
    ) -> Result<Option<Portfolio>, DeskError> {
        self.store.portfolio(user, since, recent).await.map_err(unavailable)
    }

    async fn back_up(&self, watcher: Arc<dyn Watcher>) -> Result<Summary, BackupError> {
        let Some((backups, metrics)) = self.backups.clone() else { return Err(BackupError::NoDatabase) };
        let handle = Handle::current();
        let made = tokio::task::spawn_blocking(move || backups.make(&handle, &*watcher)).await;
        let made = made.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime goes down, and this run with it.
            Err(_) => Err(BackupError::Stopped),
        });
        match &made {
            Ok(summary) => {
                tracing::info!(
                    name = summary.name,
                    rows = summary.rows,
                    blobs = summary.blobs,
                    "made a backup"
                );
                metrics.made(
                    summary.created_at,
                    Duration::from_millis(summary.took_ms),
                    summary.bytes + summary.blob_bytes,
                );
                if summary.lost > 0 {
                    tracing::error!(
                        lost = summary.lost,
                        "the backup lacks blobs that are not to be found, or damaged"
                    );
                }
            }
            Err(BackupError::Stopped) => {}
            Err(error) => {
                tracing::error!(%error, "a backup could not be made");
                metrics.failed();
            }
        }
        made
    }
}

/// What is wrong with the database is in the log; a task's error is for whoever sent the task.
fn unavailable(error: StoreError) -> DeskError {
    tracing::warn!(%error, "a run got no answer from the database");
    DeskError::Unavailable("the database did not answer".to_owned())
}
