//! What is kept here, and whose it is: sums of storage, and the lists of all reports and all users.
//!
//! For those who run the daemon. A part of the port of its own, implemented once for both databases, as the statements are
//! the same but for the size of the database itself. Lists are read by keyset: what comes before a known number, never an
//! offset.

pub(super) mod rows;

use async_trait::async_trait;

use super::{Selection, StoreError};
use crate::account::{Holding, User};
use crate::task::{ReportId, Status, TaskId, Timestamp, UserId};

/// What is kept, by what it is. What several name is counted for each that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Storage {
    /// Images, those that are being checked included.
    pub images: Holding,
    /// Recordings as they came.
    pub originals: Holding,
    /// The MP3s made of them.
    pub mp3s: Holding,
    /// Reports that are made.
    pub reports: Holding,
    /// Pictures of tasks.
    pub pictures: Holding,
    /// Avatars.
    pub avatars: Holding,
    /// Whatever else tasks have: what is being worked on, above all.
    pub others: Holding,
    /// All of it, each blob once, however many name it.
    pub blobs: Holding,
    /// The database's own size, in bytes: of SQLite's file without its journal.
    pub database: u64,
}

/// A report, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLine {
    /// Its public name.
    pub id: ReportId,
    /// The task that makes it.
    pub task: TaskId,
    /// Whom it is about.
    pub owner: UserId,
    /// Where that task stands.
    pub status: Status,
    /// The size of the PDF, once it is made.
    pub bytes: Option<u64>,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// Until when it is kept.
    pub expires_at: Timestamp,
}

/// Which users a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UserSearch {
    /// All.
    #[default]
    All,
    /// The one of that number.
    Number(UserId),
    /// Those whose name has that in it, and the one whose e-mail it is.
    Text(String),
}

/// A user with what they have, as a list shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLine {
    /// Who.
    pub user: User,
    /// How many tasks they ever made.
    pub tasks: u64,
    /// Their images.
    pub images: Holding,
    /// How many recordings they have.
    pub recordings: u64,
}

/// What is kept here, for those who run the daemon.
#[async_trait]
pub trait Holdings: Send + Sync {
    /// The sums. Their cost grows with all that is kept: for a hundred thousand images it is a fraction of a second, so who
    /// asks often keeps the answer for a while.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn storage(&self) -> Result<Storage, StoreError>;

    /// A page of all reports, the newest first, from before that task on; those whose time is over and that are not
    /// removed yet included.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn report_lines(&self, before: Option<TaskId>, limit: u32) -> Result<Vec<ReportLine>, StoreError>;

    /// A page of users with what they have, the newest first, from before that one on.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn user_lines(
        &self,
        search: &UserSearch,
        before: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<UserLine>, StoreError>;

    /// How many tasks are selected; no more than `most` are counted.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn count_selected(&self, selection: &Selection, most: u32) -> Result<u64, StoreError>;
}
