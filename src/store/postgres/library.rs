//! Questions, counters and reports.

use async_trait::async_trait;
use sqlx::{Connection, Postgres};

use super::PostgresStore;
use crate::account::{CounterDay, CountersNow, Day, Holding, Portfolio};
use crate::store::library::questions as rows;
use crate::store::library::reports as figures;
use crate::store::row::to_json;
use crate::store::{
    CONFLICTS, QuestionFilter, Questions, Report, Reports, SavedQuestions, Store, StoreError, again,
};
use crate::task::{Attempt, NewQuestion, Question, QuestionId, ReportId, Role, TaskId, Timestamp, UserId};

rows::questions!(PostgresStore, Postgres, clerk, "FOR UPDATE");
figures::reports!(PostgresStore);
