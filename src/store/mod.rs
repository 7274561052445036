//! The port to the database, in domain verbs, and its two adapters.
//!
//! **Writing.** All changes of tasks, users and recordings are [`Command`]s. The tracker, which is the node's
//! only writer, hands over a group of them and [`Store::commit`] makes them one transaction:
//!
//! 1. the adapter loads what the commands speak of and locks it (`Loaded`);
//! 2. `plan` applies the commands in memory, by the pure transitions of [`crate::task::lifecycle`], to replies
//!    and a set of `Changes`; a command that is illegal gets its refusal and changes nothing;
//! 3. the adapter writes the changes, a set statement for each table, and commits.
//!
//! So the rules stand once, for both databases, and an adapter holds nothing but SQL. When the database itself
//! refuses a group (a unique name taken by another node a moment ago), the commands are tried again one by one,
//! each in a transaction of its own, so that one cannot fail its neighbours.
//!
//! **Leases** are written past the tracker, by the lease keeper's own thread; so are the books that are no tasks (who
//! does what for all nodes, how far each listener was told), by the `clerk`.
//!
//! **Reading** goes through a pool of its own and sees committed rows only.
//!
//! What must be true of both adapters is written once, in `tests/store`, and run against both.

mod archive;
mod bulk;
mod clerk;
mod command;
mod grouping;
mod holdings;
mod housekeeping;
mod library;
mod overview;
mod own;
mod people;
mod plan;
mod postgres;
mod query;
mod read;
mod row;
mod schema;
mod sqlite;
mod writer;

use std::time::Duration;

use async_trait::async_trait;

pub use archive::{
    Archive, Column, ColumnType, Each, LEFT_OUT, LoadError, Row, SEEDED, Session, Shape, TABLES, Table, Value,
};
pub use bulk::{Bulk, BulkAct};
pub use clerk::{Callback, CallbackState, CreatedTotal, Listener, Rate, Told};
pub use command::{
    Accepted, Claim, Claimed, Command, Committed, MakeAnswer, NewImage, NewPicture, NewRecording, NewReport,
    NewTask, Purged, Quota, Refused, Remember, RememberedAnswer, Reply, ReplyTo, Rescued, Settled, Take,
    Taken, Usage, UserRefused, Wanted, Word,
};
pub use holdings::{Holdings, ReportLine, Storage, UserLine, UserSearch};
pub use housekeeping::Housekeeping;
pub use library::{QuestionFilter, Questions, Report, Reports, SavedQuestions};
pub use overview::{
    ComponentReport, KindLoad, Minute, MinuteCounts, Node, NodeReport, Overview, Pause, PermitsReport,
    REMEMBERED, Rates, Span, Spread, Stretch, Totals, Trend, minute_of, start_of,
};
pub use postgres::{PostgresArchive, PostgresOptions, PostgresStore};
pub use query::{Image, KindDepth, Order, Page, Recording, Selection, TaskFilter};
pub use sqlite::{SqliteArchive, SqliteStore};
pub use writer::{Answer, Inbound, Lanes, Once, WriteError, Writer, channel};

use self::grouping::{CONFLICTS, Group, Grouping, again, group_or_apart};
use self::schema::{LEAST, MOVED_AWAY, NEWEST, check_schema, newest_of};
use crate::account::{Caller, LoginName, PasswordHash, TokenHash, User};
use crate::task::{
    Attachment, Attempt, BlobName, Event, EventSeq, ImageName, Kind, NodeId, RecordingId, Task, TaskId,
    Timestamp, UserId,
};

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or did not answer in time; whether a write took effect may be unknown.
    #[error("the database does not answer ({doing}): {source}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The driver's word.
        source: sqlx::Error,
    },
    /// It refused the write: a constraint of the schema.
    #[error("the database refuses ({doing}): {source}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The driver's word.
        source: sqlx::Error,
    },
    /// A row that we cannot have written.
    #[error("table {table}, row {row}: {problem}; restore a backup, or correct the row by hand")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// Which row.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The database was made by a newer Gristmill.
    #[error(
        "the database has schema {found}, this program knows {known}, and the database can only be used by programs that \
         know {least}: start the newer program that made it, or restore a backup from before the upgrade"
    )]
    SchemaTooNew {
        /// The newest migration in the database.
        found: i64,
        /// The newest that this program has.
        known: i64,
        /// The least that a program must have.
        least: i64,
    },
    /// The migrations could not be applied.
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Another process has the database open for writing.
    #[error("{path} is in use by another gristmill process: stop that one first")]
    InUse {
        /// The lock file.
        path: String,
    },
    /// The folder or file cannot be made or opened.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether the database judged the write itself, so that trying its parts one by one may tell which part
    /// was at fault.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether the disk of the database is full. What was to be written is not; reading goes on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Unavailable { source: sqlx::Error::Database(error), .. }
            // PostgreSQL's disk_full; SQLite's FULL.
            if matches!(error.code().as_deref(), Some("53100" | "13")))
    }

    /// Whether no database said this: it did not answer in time, or there was no way to it. One that refuses, or says
    /// that its disk is full, has answered.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if !matches!(source, sqlx::Error::Database(_)))
    }

    /// Whether a unique value was taken.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Refused { source: sqlx::Error::Database(error), .. } if error.is_unique_violation())
    }

    /// Whether another node was in the way, and is not any more by the time that we know: what is unique was just
    /// taken, or we waited for each other in a circle.
    fn is_conflict(&self) -> bool {
        let circle = matches!(self, Self::Unavailable { source: sqlx::Error::Database(error), .. }
            if matches!(error.code().as_deref(), Some("40001" | "40P01")));
        circle || self.is_unique_violation()
    }

    fn of(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| {
            let judged = matches!(&source, sqlx::Error::Database(error) if judges(&**error));
            if judged { Self::Refused { doing, source } } else { Self::Unavailable { doing, source } }
        }
    }
}

/// Whether the error is about what was asked for, not about the state of the database: trying the same again would
/// fail the same way.
fn judges(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    if code.len() == 5 {
        // PostgreSQL's classes: connection, session, rollback, rights and schema, resources, not as required, operator's
        // intervention, system, internal.
        return !["08", "25", "26", "40", "42", "53", "55", "57", "58", "XX"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // SQLite's primary codes: BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB.
    let primary = code.parse::<u32>().unwrap_or(0) & 0xff;
    !matches!(primary, 0 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 13 | 14 | 15 | 26)
}

/// For how long the database must have missed a node's session before the node is taken for dead: several times as long
/// as a living one takes to come back.
pub const MISSED: Duration = Duration::from_millis(1_500);

/// A node as it registers itself.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The new incarnation.
    pub node: NodeId,
    /// The place that only one process at a time can have (the data folder, held by a file lock): whoever had
    /// it before is known to be dead.
    pub seat: String,
    /// Host and process, for people.
    pub name: String,
    /// How long the lease holds without renewal.
    pub lease: Duration,
    /// The incarnation that this same, living process had before it lost its lease: it counts no crash.
    pub predecessor: Option<NodeId>,
}

/// The port. See the module's page for who calls which part.
#[async_trait]
pub trait Store: Questions + Reports + Holdings + Overview + Housekeeping + Send + Sync + 'static {
    /// Makes a group of commands one transaction: the replies come in the order of the commands. When this
    /// returns `Ok`, the group is on disk.
    ///
    /// # Errors
    /// When the group as a whole could not be committed; its effect may then be unknown ([`StoreError`]). A
    /// command that alone was refused by the database has its own `Err` in [`Committed::replies`].
    async fn commit(&self, commands: &[Command]) -> Result<Committed, StoreError>;

    /// Registers an incarnation, ends the lease of whoever had its seat before, and gives it a first lease.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn register(&self, registration: &Registration) -> Result<(), StoreError>;

    /// Prolongs a lease that still holds; `false` when it has run out or is gone, and cannot be had again.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn renew(&self, node: NodeId, lease: Duration) -> Result<bool, StoreError>;

    /// Shows, between renewals, that this process lives. Where the database sees who is connected to it, a node that it
    /// misses for [`MISSED`] is taken for dead before its lease runs out; elsewhere this does nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn present(&self, node: NodeId) -> Result<(), StoreError>;

    /// Gives the lease back at the end of a drain. What the node still holds counts as released, not as lost.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn retire(&self, node: NodeId) -> Result<(), StoreError>;

    /// The task of that number.
    ///
    /// # Errors
    /// When the database does not answer, or the row is corrupt.
    async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError>;

    /// A page of tasks.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Vec<Task>, StoreError>;

    /// What `node` holds according to the rows: the node compares it with what it runs.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn held_by(&self, node: NodeId) -> Result<Vec<(TaskId, Attempt)>, StoreError>;

    /// How much waits to be claimed, kind by kind.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn depths(&self) -> Result<Vec<KindDepth>, StoreError>;

    /// Up to `limit` events after `after`, in the public order: once an event has been seen, none with a lower
    /// number ever appears.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn events_after(&self, after: EventSeq, limit: u32) -> Result<Vec<(EventSeq, Event)>, StoreError>;

    /// Up to `limit` events of one task after `after`, in their order.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn events_of(
        &self,
        task: TaskId,
        after: EventSeq,
        limit: u32,
    ) -> Result<Vec<(EventSeq, Event)>, StoreError>;

    /// The newest `limit` events of one task that change its state, in their order: progress is left out.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn newest_events_of(&self, task: TaskId, limit: u32) -> Result<Vec<(EventSeq, Event)>, StoreError>;

    /// The number of the newest event; 0 before the first.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn newest_event(&self) -> Result<EventSeq, StoreError>;

    /// Whether a task of one of `kinds` is free now that `caller` may take; of kinds that are paused none is. Parked ones count once their time came
    /// and somebody looked.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn any_free(&self, kinds: &[Kind], caller: Caller) -> Result<bool, StoreError>;

    /// The oldest tasks for workers outside that have been free for longer than `age`, at most `limit` of `kind`; none
    /// while it is paused.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn free_for(&self, kind: &Kind, age: Duration, limit: u32) -> Result<Vec<TaskId>, StoreError>;

    /// How many tasks were ever made, by anybody and by `owner`.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn created_total(&self, owner: Option<UserId>) -> Result<CreatedTotal, StoreError>;

    /// How far telling the task's callback is; `None` when it has none.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn callback_of(&self, task: TaskId) -> Result<Option<CallbackState>, StoreError>;

    /// Where on the broker the producers of these tasks wait for their end.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn replies_of(&self, tasks: &[TaskId]) -> Result<Vec<(TaskId, ReplyTo)>, StoreError>;

    /// Takes a duty that one node does for all, or keeps it; `false` while another node has it whose lease holds,
    /// or when the lease of `node` does not.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn hold_duty(&self, name: &str, node: NodeId) -> Result<bool, StoreError>;

    /// Makes a relay of that name begin with what happens from now on, unless it is there already.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn begin_relay(&self, name: &str) -> Result<(), StoreError>;

    /// Gives a duty back, for another node that is better placed.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn drop_duty(&self, name: &str, node: NodeId) -> Result<(), StoreError>;

    /// How far the relay of that name has told the events, after noting `told` where it is given. A relay that is
    /// new begins with the newest event. `None` when `node` does not have the duty of that name (any more).
    ///
    /// # Errors
    /// When the database does not answer.
    async fn relay(
        &self,
        name: &str,
        node: NodeId,
        told: Option<EventSeq>,
    ) -> Result<Option<EventSeq>, StoreError>;

    /// Takes callbacks that have something to tell, at most `limit`; for `hold` nobody else gets them.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn due_callbacks(&self, limit: u32, hold: Duration) -> Result<Vec<Callback>, StoreError>;

    /// Writes down how telling a callback went; whether there is a next event to tell, by whoever told this one.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn told(&self, task: TaskId, told: &Told) -> Result<bool, StoreError>;

    /// Forgets where the producer of a task waited for its end.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn replied(&self, task: TaskId) -> Result<(), StoreError>;

    /// Whether a request of that key was answered before, and is remembered.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn is_answered(&self, scope: &str, key: &str) -> Result<bool, StoreError>;

    /// Forgets answers that need not be remembered any more, at most `limit`; says how many.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn forget_answers(&self, limit: u32) -> Result<u64, StoreError>;

    /// Tells the other nodes, where the database can. Only a hint: it may be lost.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn announce(&self, word: &str) -> Result<(), StoreError>;

    /// Listens to what nodes announce, this one included; `None` where the database cannot tell, which is where
    /// there is but one node.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn listen(&self) -> Result<Option<Box<dyn Listener>>, StoreError>;

    /// The user of that number.
    ///
    /// # Errors
    /// When the database does not answer, or the row is corrupt.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user with that token.
    ///
    /// # Errors
    /// When the database does not answer, or the row is corrupt.
    async fn user_by_token(&self, token: &TokenHash) -> Result<Option<User>, StoreError>;

    /// A page of users, by number, after that one.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError>;

    /// The user whose session that is, while it holds.
    ///
    /// # Errors
    /// When the database does not answer, or the row is corrupt.
    async fn user_by_session(&self, session: &TokenHash) -> Result<Option<User>, StoreError>;

    /// The user who is known at a login by that, and what is kept of their password; `None` without either.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn credentials(&self, login: &LoginName) -> Result<Option<(UserId, PasswordHash)>, StoreError>;

    /// Begins a session that holds for `span`; `false` when `password` is not what is kept of the user's password any
    /// more: whoever logged in by it must not outlive it.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn open_session(
        &self,
        session: &TokenHash,
        user: UserId,
        password: &PasswordHash,
        span: Duration,
    ) -> Result<bool, StoreError>;

    /// Keeps the same password under another hash, which ends no session; `false` when `old` is not what is kept any
    /// more.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn renew_password(
        &self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError>;

    /// Ends a session; whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn close_session(&self, session: &TokenHash) -> Result<bool, StoreError>;

    /// Spends of an allowance, on all nodes together: each use costs `rate.cost`, and no more than `rate.burst` may be
    /// spent ahead of time. `None` when that was done; else nothing was spent, and it can be after that time. What alone
    /// costs more than the burst is always refused.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn spend(&self, key: &str, uses: u32, rate: Rate) -> Result<Option<Duration>, StoreError>;

    /// Gives an allowance back whole.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn forgive(&self, key: &str) -> Result<(), StoreError>;

    /// Forgets sessions that are over and allowances that are whole again, at most `limit` of each; says how many.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn forget_expired(&self, limit: u32) -> Result<u64, StoreError>;

    /// The image of that name.
    ///
    /// # Errors
    /// When the database does not answer, or the row is corrupt.
    async fn image(&self, name: &ImageName) -> Result<Option<Image>, StoreError>;

    /// A page of the images that the caller may see in a list, the newest first, from before that task on; those that
    /// are ready.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn images(
        &self,
        caller: Caller,
        before: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<Image>, StoreError>;

    /// The blobs of a task.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn attachments_of(&self, task: TaskId) -> Result<Vec<Attachment>, StoreError>;

    /// The recording of that name, with its task.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn recording(&self, id: RecordingId) -> Result<Option<Recording>, StoreError>;

    /// At most `limit` of the caller's recordings, the newest first, that are older than `before`; an admin's are all.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn recordings(
        &self,
        caller: Caller,
        before: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError>;

    /// Those of `blobs` that no task has attached, and that no user has for a picture.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn unreferenced(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, StoreError>;

    /// Whether a backup is under way that needs every blob to stay which a row named when it looked. To be asked after
    /// [`Self::unreferenced`], not before: what the backup saw named may have lost its row since.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn holds_blobs(&self) -> Result<bool, StoreError>;

    /// Whether the database answers a trivial question.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The number of the newest migration applied.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn schema(&self) -> Result<i64, StoreError>;

    /// What the database's own file has free in it, in bytes, which it fills before it grows; 0 where it is no file of this
    /// machine.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn reusable(&self) -> Result<u64, StoreError>;

    /// The time by which this store judges leases and `run_at`.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Closes the pools, so that nothing is left open behind us.
    async fn close(&self);
}

/// Whose tasks of which kinds `caller` may take: the kind, and the owner as `ready` has it.
fn pairs(kinds: &[Kind], caller: Caller) -> Vec<(&str, i64)> {
    let own = caller.user().map(|user| user.0);
    kinds.iter().flat_map(|kind| own.into_iter().chain([0]).map(|owner| (kind.as_str(), owner))).collect()
}

/// The rows were locked when they were loaded, so each must still have been as it was.
fn all_changed(changed: u64, expected: usize) -> Result<(), StoreError> {
    if changed == expected as u64 {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        table: "tasks",
        row: format!("{changed} of {expected}"),
        problem: "changed under our lock: something else writes to this database".into(),
    })
}
