//! What kinds may ask of the database, answered from the store.
//!
//! Given to every run by its runner. Knows no rules of its own: which attempt counts is looked at by the store, in the
//! transaction that writes.

use std::sync::Arc;

use async_trait::async_trait;

use crate::account::Portfolio;
use crate::failpoint::{self, Failpoint};
use crate::kinds::desk::{Desk, DeskError, Shelved};
use crate::store::{Store, StoreError};
use crate::task::{Attempt, NewQuestion, Question, QuestionId, TaskId, Timestamp, UserId};

/// The desk over a store.
pub struct StoreDesk {
    store: Arc<dyn Store>,
}

impl StoreDesk {
    /// The desk over that store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
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
}

/// What is wrong with the database is in the log; a task's error is for whoever sent the task.
fn unavailable(error: StoreError) -> DeskError {
    tracing::warn!(%error, "a run got no answer from the database");
    DeskError::Unavailable("the database did not answer".to_owned())
}
