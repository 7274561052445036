//! The embedded database: SQLite in a file of ours.
//!
//! One process at a time: a lock on a file beside the database says so, and lets go when the process dies,
//! however it dies. So whoever opens it knows that every node it finds registered is dead.
//!
//! - WAL with `synchronous=FULL`: a commit is synced before it returns.
//! - One connection writes (`BEGIN IMMEDIATE`, so that no lock is ever upgraded). The tracker's groups and the keeper's
//!   renewals take turns on it, first come, first served: with a connection of its own the keeper would wait for
//!   SQLite's lock by chance, and under load for seconds. A read-only pool is for everybody else.
//! - Rows travel as one JSON array a statement (`json_each`): a group of any size is a fixed number of
//!   statements, each prepared once.

mod archive;
mod group;
mod holdings;
mod housekeeping;
mod library;
mod load;
mod overview;
mod patience;
mod read;
mod write;

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

pub use self::archive::SqliteArchive;
use self::patience::Patience;
use super::clerk::{self, clerk};
use super::own::Own;
use super::plan::OutsideKinds;
use super::row::micros;
use super::{
    Callback, CallbackState, Command, Committed, CreatedTotal, Image, KindDepth, LEAST, Listener, NEWEST,
    Page, Rate, Recording, Registration, ReplyTo, Store, StoreError, TaskFilter, Told, check_schema,
    group_or_apart, newest_of,
};
use crate::account::{Caller, LoginName, PasswordHash, TokenHash, User};
use crate::clock::Clock;
use crate::task::{
    Attachment, Attempt, BlobName, Event, EventSeq, ImageName, Kind, NodeId, RecordingId, Task, TaskId,
    Timestamp, UserId,
};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate::Migrator {
    // Those of a newer program, which says that we can live with them.
    ignore_missing: true,
    ..sqlx::migrate!("migrations/sqlite")
};

/// The adapter.
pub struct SqliteStore {
    writer: Own<SqliteConnection>,
    readers: SqlitePool,
    /// That of whoever reads.
    patience: Arc<Patience>,
    clock: Clock,
    /// The kinds that workers outside do.
    outside: OutsideKinds,
    /// In which part of the counts of created tasks this store counts: there is but one node.
    part: i64,
    /// The next unused number of a task and of a user: nobody else gives them out.
    next_task: AtomicI64,
    next_user: AtomicI64,
    /// Held for as long as the database is open.
    lock: Mutex<Option<File>>,
}

impl SqliteStore {
    /// Opens the database in `file`, making it (and its folder) where there is none, and brings its schema up
    /// to date. Reading is given up after `statement_timeout`, and what it does is ended.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it, [`StoreError::SchemaTooNew`], and whatever keeps the
    /// file from being opened.
    pub async fn open(
        file: &Path,
        readers: u32,
        statement_timeout: Duration,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let lock = lock(file)?;
        let options = SqliteConnectOptions::from_str("sqlite:")
            .map_err(StoreError::of("open"))?
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            // 16 MB of log before it is folded into the file: fewer, longer folds, and a bound on its growth.
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            .pragma("cache_size", "-8000");
        let mut connection = options.connect().await.map_err(StoreError::of("open"))?;
        let known = newest_of(&MIGRATIONS);
        let newest = sqlx::query_scalar(NEWEST).fetch_optional(&mut connection).await;
        let least = sqlx::query_scalar(LEAST).fetch_optional(&mut connection).await;
        check_schema(newest, least, known)?;
        MIGRATIONS.run(&mut connection).await?;
        let patience = Patience::new(statement_timeout);
        let watched = patience.clone();
        let readers = SqlitePoolOptions::new()
            .max_connections(readers.max(1))
            .test_before_acquire(false)
            .acquire_timeout(PATIENCE)
            .after_connect(move |connection, _| {
                let watch = watched.watch();
                Box::pin(async move {
                    connection.lock_handle().await?.set_progress_handler(Patience::STEPS, watch);
                    Ok(())
                })
            })
            .connect_lazy_with(options.clone().read_only(true).pragma("cache_size", "-2000"));
        let next_task = next_number(&mut connection, "tasks").await?;
        let next_user = next_number(&mut connection, "users").await?;
        let writer = Own::made(connection, options.clone(), PATIENCE);
        let outside = OutsideKinds::new();
        Ok(Self {
            writer,
            readers,
            patience,
            clock,
            outside,
            part: 0,
            next_task,
            next_user,
            lock: Mutex::new(Some(lock)),
        })
    }
}

clerk!(SqliteStore, writer, "", "");

impl SqliteStore {
    const REHOME: &'static str = "UPDATE ready SET home = moved.home, \
        lane = CASE WHEN lane = 1 THEN 1 ELSE moved.home END FROM (SELECT ready.task, \
        CASE WHEN ready.home <> 3 THEN 3 WHEN tasks.crashes >= $2 THEN 2 ELSE 0 END AS home \
        FROM ready JOIN tasks ON tasks.id = ready.task \
        WHERE (ready.home = 3) <> (ready.kind IN (SELECT value FROM json_each($1)))) AS moved \
        WHERE ready.task = moved.task";

    /// This store, with `kinds` being done by workers outside.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn with_outside(mut self, kinds: impl IntoIterator<Item = Kind>) -> Result<Self, StoreError> {
        self.outside = kinds.into_iter().collect();
        self.rehome().await?;
        Ok(self)
    }

    /// The schema of the database in `file`, `None` when there is none yet, and the one that this program knows.
    ///
    /// # Errors
    /// When the file cannot be read as a database.
    pub async fn schema_of(file: &Path) -> Result<(Option<i64>, i64), StoreError> {
        let known = newest_of(&MIGRATIONS);
        if !file.exists() {
            return Ok((None, known));
        }
        let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(PATIENCE);
        let mut connection = options.connect().await.map_err(StoreError::of("open"))?;
        let tables = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";
        let made: bool =
            sqlx::query_scalar(tables).fetch_one(&mut connection).await.map_err(StoreError::of("look"))?;
        let newest = "SELECT max(version) FROM _sqlx_migrations";
        let found = match made {
            true => {
                sqlx::query_scalar(newest).fetch_one(&mut connection).await.map_err(StoreError::of("look"))?
            }
            false => None,
        };
        Ok((found, known))
    }
}

/// How long opening the file may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first number that was never used in that table.
async fn next_number(
    connection: &mut SqliteConnection,
    table: &'static str,
) -> Result<AtomicI64, StoreError> {
    sqlx::query_scalar::<_, i64>("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?1")
        .bind(table)
        .fetch_one(connection)
        .await
        .map(AtomicI64::new)
        .map_err(StoreError::of("read the numbers in use"))
}

/// Takes the lock file beside the database, without waiting.
fn lock(file: &Path) -> Result<File, StoreError> {
    let path = file.with_extension("lock");
    let io = |source| StoreError::Io { path: path.display().to_string(), source };
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    }
    // Made before SQLite makes it, for its owner alone: it holds e-mails. What SQLite puts beside it follows suit.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .map_err(|source| StoreError::Io { path: file.display().to_string(), source })?;
    let lock =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: file.display().to_string() }),
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, commands: &[Command]) -> Result<Committed, StoreError> {
        group_or_apart(self, commands).await
    }

    async fn register(&self, registration: &Registration) -> Result<(), StoreError> {
        let now = self.clock.now();
        let doing = StoreError::of;
        let mut connection = self.writer.borrow().await?;
        let begin = connection.begin_with("BEGIN IMMEDIATE");
        let mut tx = begin.await.map_err(doing("register the node"))?;
        // Whoever is registered here held this file's lock before us: they are dead, or were us.
        sqlx::query("UPDATE nodes SET lease_until = 0, spared = (id IS ?1) WHERE lease_until > 0")
            .bind(registration.predecessor.map(|node| node.to_string()))
            .execute(&mut *tx)
            .await
            .map_err(doing("end older leases"))?;
        sqlx::query(
            "INSERT INTO nodes (id, seat, name, started_at, lease_until) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(registration.node.to_string())
        .bind(&registration.seat)
        .bind(&registration.name)
        .bind(now.as_micros())
        .bind(now.after(registration.lease).as_micros())
        .execute(&mut *tx)
        .await
        .map_err(doing("register the node"))?;
        tx.commit().await.map_err(doing("register the node"))?;
        connection.keep();
        Ok(())
    }

    async fn renew(&self, node: NodeId, lease: Duration) -> Result<bool, StoreError> {
        let now = self.clock.now().as_micros();
        let mut connection = self.writer.borrow().await?;
        let renewed =
            sqlx::query("UPDATE nodes SET lease_until = ?1 + ?2 WHERE id = ?3 AND lease_until > ?1")
                .bind(now)
                .bind(micros(lease))
                .bind(node.to_string())
                .execute(&mut *connection)
                .await
                .map_err(StoreError::of("renew the lease"))?;
        connection.keep();
        Ok(renewed.rows_affected() == 1)
    }

    async fn present(&self, _: NodeId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn retire(&self, node: NodeId) -> Result<(), StoreError> {
        let mut connection = self.writer.borrow().await?;
        sqlx::query("UPDATE nodes SET lease_until = 0, spared = 1 WHERE id = ?1")
            .bind(node.to_string())
            .execute(&mut *connection)
            .await
            .map_err(StoreError::of("give the lease back"))?;
        connection.keep();
        Ok(())
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.limited(self.read_task(id)).await
    }

    async fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Vec<Task>, StoreError> {
        self.limited(self.read_tasks(filter, page)).await
    }

    async fn held_by(&self, node: NodeId) -> Result<Vec<(TaskId, Attempt)>, StoreError> {
        self.limited(self.read_held_by(node)).await
    }

    async fn depths(&self) -> Result<Vec<KindDepth>, StoreError> {
        self.limited(self.read_depths()).await
    }

    async fn events_after(&self, after: EventSeq, limit: u32) -> Result<Vec<(EventSeq, Event)>, StoreError> {
        self.limited(self.read_events_after(after, limit)).await
    }

    async fn events_of(
        &self,
        task: TaskId,
        after: EventSeq,
        limit: u32,
    ) -> Result<Vec<(EventSeq, Event)>, StoreError> {
        self.limited(self.read_events_of(task, after, limit)).await
    }

    async fn newest_events_of(&self, task: TaskId, limit: u32) -> Result<Vec<(EventSeq, Event)>, StoreError> {
        self.limited(self.read_newest_events_of(task, limit)).await
    }

    async fn newest_event(&self) -> Result<EventSeq, StoreError> {
        self.limited(self.read_newest_event()).await
    }

    async fn any_free(&self, kinds: &[Kind], caller: Caller) -> Result<bool, StoreError> {
        self.limited(self.read_any_free(kinds, caller)).await
    }

    async fn free_for(&self, kind: &Kind, age: Duration, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        self.limited(self.read_free_for(kind, age, limit)).await
    }

    async fn is_answered(&self, scope: &str, key: &str) -> Result<bool, StoreError> {
        self.limited(self.read_is_answered(scope, key)).await
    }

    async fn created_total(&self, owner: Option<UserId>) -> Result<CreatedTotal, StoreError> {
        self.limited(self.read_created_total(owner)).await
    }

    async fn callback_of(&self, task: TaskId) -> Result<Option<CallbackState>, StoreError> {
        self.limited(self.read_callback_of(task)).await
    }

    async fn replies_of(&self, tasks: &[TaskId]) -> Result<Vec<(TaskId, ReplyTo)>, StoreError> {
        self.limited(self.read_replies_of(tasks)).await
    }

    async fn hold_duty(&self, name: &str, node: NodeId) -> Result<bool, StoreError> {
        self.write_duty(name, node).await
    }

    async fn drop_duty(&self, name: &str, node: NodeId) -> Result<(), StoreError> {
        self.write_drop_duty(name, node).await
    }

    async fn begin_relay(&self, name: &str) -> Result<(), StoreError> {
        self.write_begin_relay(name).await
    }

    async fn relay(
        &self,
        name: &str,
        node: NodeId,
        told: Option<EventSeq>,
    ) -> Result<Option<EventSeq>, StoreError> {
        self.write_relay(name, node, told).await
    }

    async fn due_callbacks(&self, limit: u32, hold: Duration) -> Result<Vec<Callback>, StoreError> {
        self.write_due_callbacks(limit, hold).await
    }

    async fn told(&self, task: TaskId, told: &Told) -> Result<bool, StoreError> {
        self.write_told(task, told).await
    }

    async fn replied(&self, task: TaskId) -> Result<(), StoreError> {
        self.write_replied(task).await
    }

    async fn forget_answers(&self, limit: u32) -> Result<u64, StoreError> {
        self.write_forget_answers(limit).await
    }

    async fn announce(&self, _: &str) -> Result<(), StoreError> {
        // There is nobody else.
        Ok(())
    }

    async fn listen(&self) -> Result<Option<Box<dyn Listener>>, StoreError> {
        Ok(None)
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.limited(self.read_user(id)).await
    }

    async fn user_by_token(&self, token: &TokenHash) -> Result<Option<User>, StoreError> {
        self.limited(self.read_user_by_token(token)).await
    }

    async fn users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.limited(self.read_users(after, limit)).await
    }

    async fn user_by_session(&self, session: &TokenHash) -> Result<Option<User>, StoreError> {
        self.limited(self.read_user_by_session(session)).await
    }

    async fn credentials(&self, login: &LoginName) -> Result<Option<(UserId, PasswordHash)>, StoreError> {
        self.limited(self.read_credentials(login)).await
    }

    async fn open_session(
        &self,
        session: &TokenHash,
        user: UserId,
        password: &PasswordHash,
        span: Duration,
    ) -> Result<bool, StoreError> {
        self.write_open_session(session, user, password, span).await
    }

    async fn renew_password(
        &self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.write_renew_password(user, old, new).await
    }

    async fn close_session(&self, session: &TokenHash) -> Result<bool, StoreError> {
        self.write_close_session(session).await
    }

    async fn spend(&self, key: &str, uses: u32, rate: Rate) -> Result<Option<Duration>, StoreError> {
        self.write_spend(key, uses, rate).await
    }

    async fn forgive(&self, key: &str) -> Result<(), StoreError> {
        self.write_forgive(key).await
    }

    async fn forget_expired(&self, limit: u32) -> Result<u64, StoreError> {
        self.write_forget_expired(limit).await
    }

    async fn image(&self, name: &ImageName) -> Result<Option<Image>, StoreError> {
        self.limited(self.read_image(name)).await
    }

    async fn images(
        &self,
        caller: Caller,
        before: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<Image>, StoreError> {
        self.limited(self.read_images(caller, before, limit)).await
    }

    async fn attachments_of(&self, task: TaskId) -> Result<Vec<Attachment>, StoreError> {
        self.limited(self.read_attachments_of(task)).await
    }

    async fn recording(&self, id: RecordingId) -> Result<Option<Recording>, StoreError> {
        self.limited(self.read_recording(id)).await
    }

    async fn recordings(
        &self,
        caller: Caller,
        before: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError> {
        self.limited(self.read_recordings(caller, before, limit)).await
    }

    async fn unreferenced(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, StoreError> {
        self.limited(self.read_unreferenced(blobs)).await
    }

    async fn holds_blobs(&self) -> Result<bool, StoreError> {
        self.limited(self.read_holds_blobs()).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let ping = sqlx::query("SELECT 1").execute(&self.readers);
        self.limited(async { ping.await.map(drop).map_err(StoreError::of("ping")) }).await
    }

    async fn schema(&self) -> Result<i64, StoreError> {
        let newest = "SELECT max(version) FROM _sqlx_migrations";
        sqlx::query_scalar(newest)
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::of("look at the schema"))
    }

    async fn reusable(&self) -> Result<u64, StoreError> {
        let free: i64 = sqlx::query_scalar(
            "SELECT (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size)",
        )
        .fetch_one(&self.readers)
        .await
        .map_err(StoreError::of("look at what is free inside"))?;
        Ok(free.unsigned_abs())
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        // Last, and not only when the last reference goes: whoever waits for the file may have it now.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
