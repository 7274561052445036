//! Questions, counters and reports.

use std::future::Future;

use async_trait::async_trait;
use sqlx::{Connection, Sqlite};

use super::SqliteStore;
use crate::account::{CounterDay, CountersNow, Day, Holding, Portfolio};
use crate::store::library::questions as rows;
use crate::store::library::reports as figures;
use crate::store::row::to_json;
use crate::store::{
    CONFLICTS, QuestionFilter, Questions, Report, Reports, SavedQuestions, Store, StoreError, again,
};
use crate::task::{Attempt, NewQuestion, Question, QuestionId, ReportId, Role, TaskId, Timestamp, UserId};

impl SqliteStore {
    /// Nothing is waited for without end.
    pub(super) async fn limited<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.patience.limit(work).await
    }
}

rows::questions!(SqliteStore, Sqlite, writer, "");
figures::reports!(SqliteStore);
