//! Questions, counters and reports: what the kinds `quiz` and `report` and their routes read, and the saving of questions.
//!
//! Two parts of the port of their own, each implemented once for both databases, as the statements are the same.

pub(super) mod questions;
pub(super) mod reports;

use async_trait::async_trait;

use super::StoreError;
use crate::account::{CounterDay, CountersNow, Day, Portfolio};
use crate::task::{
    Attachment, Attempt, NewQuestion, Question, QuestionId, QuestionSource, ReportId, Task, TaskId,
    Timestamp, UserId,
};

/// What became of questions that were to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedQuestions {
    /// How many were new, and are saved now.
    pub new: u32,
    /// How many were there before.
    pub known: u32,
    /// How many questions the task has saved by now.
    pub of_task: u32,
}

/// Which questions a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuestionFilter {
    /// Those that have all of these, folded as questions are; part of a word is enough.
    pub words: Vec<String>,
    /// Those of that source.
    pub source: Option<QuestionSource>,
    /// Those of that category, exactly as it is written.
    pub category: Option<String>,
}

/// The questions of quizzes.
#[async_trait]
pub trait Questions: Send + Sync {
    /// Saves those of `questions` that are new, in their order, until the task has saved `goal` in all its attempts. One
    /// transaction, in which the task is held: `None`, and nothing is saved, when it is not in progress in that attempt.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn save_questions(
        &self,
        task: TaskId,
        attempt: Attempt,
        goal: u32,
        questions: &[NewQuestion],
    ) -> Result<Option<SavedQuestions>, StoreError>;

    /// How many questions that task has saved.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn questions_of(&self, task: TaskId) -> Result<u32, StoreError>;

    /// The question of that number.
    ///
    /// # Errors
    /// When the database does not answer, or the row is corrupt.
    async fn question(&self, id: QuestionId) -> Result<Option<Question>, StoreError>;

    /// The number of the question that was saved last.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn newest_question(&self) -> Result<Option<QuestionId>, StoreError>;

    /// A page of questions, the newest first, from before that one on.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn questions(
        &self,
        filter: &QuestionFilter,
        before: Option<QuestionId>,
        limit: u32,
    ) -> Result<Vec<Question>, StoreError>;
}

/// A report with the task that makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its public name.
    pub id: ReportId,
    /// Whom it is about.
    pub owner: UserId,
    /// The making of it.
    pub task: Task,
    /// The PDF, once it is made.
    pub pdf: Option<Attachment>,
    /// Until when it is kept.
    pub expires_at: Timestamp,
}

/// Counters, and reports about users.
#[async_trait]
pub trait Reports: Send + Sync {
    /// The counters of a user.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn counters(&self, user: UserId) -> Result<CountersNow, StoreError>;

    /// What the counters were at the ends of the days on which they changed since `from`, by name and day; of each
    /// counter its last change before that day comes first.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn counter_days(&self, user: UserId, from: Day) -> Result<Vec<CounterDay>, StoreError>;

    /// What a report tells of a user: tasks, storage and counters since that instant, and their newest `recent` tasks. Read one
    /// after the other, while things may change. `None` when there is no such user.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn portfolio(
        &self,
        user: UserId,
        since: Timestamp,
        recent: u32,
    ) -> Result<Option<Portfolio>, StoreError>;

    /// The report of that name, while it is kept.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn report(&self, id: ReportId) -> Result<Option<Report>, StoreError>;

    /// The tasks of reports that are kept no longer, at most `limit`.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn expired_reports(&self, limit: u32) -> Result<Vec<TaskId>, StoreError>;
}
