//! What a kind may ask of the database, in the kinds' own words: they know no store.
//!
//! Implemented by the actors' room over the store, and by the tests. What is written through it counts only for the
//! current attempt of a task, like every other word of a worker.

use std::sync::Arc;

use async_trait::async_trait;

use crate::account::Portfolio;
use crate::backup::{BackupError, Summary, Watcher};
use crate::task::{Attempt, NewQuestion, Question, QuestionId, TaskId, Timestamp, UserId};

/// Why the desk did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// The task is not in the hands of this attempt any more: nothing was written.
    #[error("attempt {1} does not have task {0} any more")]
    Lost(TaskId, Attempt),
    /// The database does not do it now.
    #[error("{0}")]
    Unavailable(String),
}

/// What became of questions that were to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// How many were new, and are saved now.
    pub new: u32,
    /// How many were there before: among these, or saved by whomever.
    pub known: u32,
    /// How many questions the task has saved by now, in all its attempts; never more than its goal.
    pub of_task: u32,
}

/// The desk.
#[async_trait]
pub trait Desk: Send + Sync + 'static {
    /// Saves those of `questions` that are new, in their order, until the task has saved `goal` in all its attempts; what
    /// is over then is left. An empty list tells how many it has. All of it is on disk when this returns.
    ///
    /// # Errors
    /// [`DeskError`].
    async fn save_questions(
        &self,
        task: TaskId,
        attempt: Attempt,
        goal: u32,
        questions: Vec<NewQuestion>,
    ) -> Result<Shelved, DeskError>;

    /// The question of that number.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    async fn question(&self, id: QuestionId) -> Result<Option<Question>, DeskError>;

    /// What a report tells of a user: tasks, storage and counters since that instant, and their newest `recent` tasks. `None` when
    /// there is no such user (any more).
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    async fn portfolio(
        &self,
        user: UserId,
        since: Timestamp,
        recent: u32,
    ) -> Result<Option<Portfolio>, DeskError>;

    /// Makes a backup, on a thread where that hurts nobody, and tells `watcher` how far it is.
    ///
    /// # Errors
    /// [`BackupError`]; there is no new backup then.
    async fn back_up(&self, watcher: Arc<dyn Watcher>) -> Result<Summary, BackupError>;
}
