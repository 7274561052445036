//! The shared database: PostgreSQL, with any number of nodes on it.
//!
//! - Time is the database's: leases and `run_at` are judged by one clock, whatever the nodes' own clocks say.
//! - Claims take rows with `FOR UPDATE SKIP LOCKED`: nodes never wait for each other there.
//! - Events get their numbers under a lock that is held to the end of the transaction, so the numbers come in the
//!   order of the commits and a reader that has seen one never misses a lower one
//!   (`docs/adr/0003-one-public-order.md`).
//! - A connection that sits in an open transaction for five seconds is cut by the server, so a frozen node cannot
//!   hold that lock.

mod archive;
mod group;
mod holdings;
mod housekeeping;
mod library;
mod load;
mod outside;
mod overview;
mod read;
mod write;

use std::future::Future;
use std::str::FromStr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::runtime::Handle;
use tokio::time::timeout;

pub use self::archive::PostgresArchive;
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
    ..sqlx::migrate!("migrations/postgres")
};

/// Now, on the database's clock, in microseconds, moved by `$1`.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $1";

/// How the database is reached.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// Connections for reading.
    pub readers: u32,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
}

/// The adapter.
pub struct PostgresStore {
    writer: Own<PgConnection>,
    keeper: Own<PgConnection>,
    clerk: Own<PgConnection>,
    /// The keeper's session as the row of the node has it; 0 when it has none.
    session: AtomicI32,
    options: PgConnectOptions,
    readers: PgPool,
    /// How long a read may take, the network included.
    patience: Duration,
    clock: Clock,
    /// The kinds that workers outside do.
    outside: OutsideKinds,
    /// In which part of the counts of created tasks this store counts: drawn at random, so that nodes seldom meet.
    part: i64,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date. Of several nodes that start at once, one migrates and the
    /// others wait for it.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`], and whatever keeps the database from answering.
    pub async fn open(options: &PostgresOptions, clock: Clock) -> Result<Self, StoreError> {
        let statement_timeout = options.statement_timeout.as_millis().to_string();
        let connect = PgConnectOptions::from_str(&options.url)
            .map_err(StoreError::of("read the database's address"))?
            .application_name("gristmill")
            .options([
                ("statement_timeout", statement_timeout.as_str()),
                ("idle_in_transaction_session_timeout", "5000"),
            ]);
        // Apart from all others: a migration, or waiting for another node's, may take longer than any statement.
        let migrator = connect.clone().options([("statement_timeout", "0")]);
        let mut connection = match timeout(options.connect_timeout, migrator.connect()).await {
            Ok(connected) => connected.map_err(StoreError::of("connect"))?,
            Err(_) => {
                return Err(StoreError::Unavailable { doing: "connect", source: sqlx::Error::PoolTimedOut });
            }
        };
        let known = newest_of(&MIGRATIONS);
        let newest = sqlx::query_scalar(NEWEST).fetch_optional(&mut connection).await;
        let least = sqlx::query_scalar(LEAST).fetch_optional(&mut connection).await;
        check_schema(newest, least, known)?;
        MIGRATIONS.run(&mut connection).await?;
        connection.close().await.map_err(StoreError::of("close"))?;

        // The writer only ever looks rows up by key: a plan that reads a whole table, chosen on statistics of
        // an emptier day, would be wrong each time. A table that cannot be read but whole costs so much then, by the planner's
        // reckoning, that it would compile the statement, which takes a hundred times as long as running it.
        let by_key = [
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_seqscan", "off"),
            ("jit", "off"),
        ];
        let readers = PgPoolOptions::new()
            .max_connections(options.readers.max(1))
            .acquire_timeout(options.connect_timeout)
            .test_before_acquire(false)
            // One that does not answer is closed hard, and its place in the pool is free again.
            .after_release(|connection, _| {
                Box::pin(async move {
                    match timeout(RELEASE_PATIENCE, connection.ping()).await {
                        Ok(pong) => pong.map(|()| true),
                        Err(_) => Err(sqlx::Error::PoolTimedOut),
                    }
                })
            })
            .connect_lazy_with(connect.clone());
        Ok(Self {
            writer: Own::new(connect.clone().options(by_key), options.connect_timeout),
            keeper: Own::new(connect.clone(), options.connect_timeout),
            clerk: Own::new(connect.clone(), options.connect_timeout),
            session: AtomicI32::new(0),
            options: connect,
            readers,
            patience: options.statement_timeout * 2,
            clock,
            outside: OutsideKinds::new(),
            part: rand::random_range(0..PARTS),
        })
    }

    /// A read, unless it takes too long: the server limits its own part, this limits the network's.
    async fn limited<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match timeout(self.patience, read).await {
            Ok(read) => read,
            Err(_) => {
                Err(StoreError::Unavailable { doing: "read in time", source: sqlx::Error::PoolTimedOut })
            }
        }
    }
}

clerk!(PostgresStore, clerk, "FOR UPDATE SKIP LOCKED", "FOR UPDATE");

/// In how many parts created tasks are counted, at most.
const PARTS: i64 = 1_000;

/// Where nodes announce things to each other.
const CHANNEL: &str = "gristmill";

/// A connection that listens.
struct Ears {
    /// There until this is dropped.
    listener: Option<PgListener>,
    /// sqlx spawns when a listener is dropped, and panics where it cannot: the actor that has this may be dropped after
    /// its runtime.
    runtime: Handle,
}

impl Drop for Ears {
    fn drop(&mut self) {
        let _runtime = self.runtime.enter();
        self.listener = None;
    }
}

#[async_trait]
impl Listener for Ears {
    async fn hear(&mut self) -> Result<String, StoreError> {
        let Some(listener) = &mut self.listener else { unreachable!("it goes only with this") };
        let word = listener.recv().await.map_err(StoreError::of("listen to the other nodes"))?;
        Ok(word.payload().to_owned())
    }
}

impl PostgresStore {
    const REHOME: &'static str = "WITH outside AS (SELECT jsonb_array_elements_text($1::jsonb) AS kind), \
        moved AS (SELECT ready.task, CASE WHEN ready.home <> 3 THEN 3 WHEN tasks.crashes >= $2 THEN 2 ELSE 0 END \
        AS home FROM ready JOIN tasks ON tasks.id = ready.task \
        WHERE (ready.home = 3) <> (ready.kind IN (SELECT kind FROM outside))) \
        UPDATE ready SET home = moved.home, lane = CASE WHEN lane = 1 THEN 1 ELSE moved.home END \
        FROM moved WHERE ready.task = moved.task";

    /// This store, with `kinds` being done by workers outside.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn with_outside(mut self, kinds: impl IntoIterator<Item = Kind>) -> Result<Self, StoreError> {
        self.outside = kinds.into_iter().collect();
        self.rehome().await?;
        Ok(self)
    }

    /// The schema of the database at `url`, `None` when it has none yet, and the one that this program knows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn schema_of(url: &str, patience: Duration) -> Result<(Option<i64>, i64), StoreError> {
        let known = newest_of(&MIGRATIONS);
        let look = async {
            let mut connection = PgConnection::connect(url).await.map_err(StoreError::of("connect"))?;
            let made: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
                .fetch_one(&mut connection)
                .await
                .map_err(StoreError::of("look"))?;
            let newest = "SELECT max(version) FROM _sqlx_migrations";
            match made {
                true => sqlx::query_scalar(newest)
                    .fetch_one(&mut connection)
                    .await
                    .map_err(StoreError::of("look")),
                false => Ok(None),
            }
        };
        match timeout(patience, look).await {
            Ok(found) => Ok((found?, known)),
            Err(_) => Err(StoreError::Unavailable { doing: "look", source: sqlx::Error::PoolTimedOut }),
        }
    }
}

/// How long a connection may take to answer when it comes back to the pool.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, commands: &[Command]) -> Result<Committed, StoreError> {
        group_or_apart(self, commands).await
    }

    async fn register(&self, registration: &Registration) -> Result<(), StoreError> {
        let doing = StoreError::of;
        let mut connection = self.keeper.borrow().await?;
        let mut tx = connection.begin().await.map_err(doing("register the node"))?;
        sqlx::query(
            "UPDATE nodes SET lease_until = 0, spared = (id IS NOT DISTINCT FROM $2) \
             WHERE seat = $1 AND lease_until > 0",
        )
        .bind(&registration.seat)
        .bind(registration.predecessor.map(|node| node.to_string()))
        .execute(&mut *tx)
        .await
        .map_err(doing("end older leases"))?;
        let text = format!(
            "INSERT INTO nodes (id, seat, name, started_at, lease_until, session) \
             SELECT $2, $3, $4, now.now, now.now + $5, pg_backend_pid() FROM (SELECT {NOW} AS now) AS now"
        );
        sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(self.clock.shift())
            .bind(registration.node.to_string())
            .bind(&registration.seat)
            .bind(&registration.name)
            .bind(micros(registration.lease))
            .execute(&mut *tx)
            .await
            .map_err(doing("register the node"))?;
        tx.commit().await.map_err(doing("register the node"))?;
        // The new row knows this session, so a process that dies at once is missed as well; the next sign of life says
        // it again, should the connection have been made anew by then.
        self.session.store(0, Ordering::Relaxed);
        connection.keep();
        Ok(())
    }

    async fn renew(&self, node: NodeId, lease: Duration) -> Result<bool, StoreError> {
        let text = format!(
            "UPDATE nodes SET lease_until = now.now + $2 FROM (SELECT {NOW} AS now) AS now \
             WHERE id = $3 AND lease_until > now.now"
        );
        let mut connection = self.keeper.borrow().await?;
        let renewed = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(self.clock.shift())
            .bind(micros(lease))
            .bind(node.to_string())
            .execute(&mut *connection)
            .await
            .map_err(StoreError::of("renew the lease"))?;
        connection.keep();
        Ok(renewed.rows_affected() == 1)
    }

    async fn present(&self, node: NodeId) -> Result<(), StoreError> {
        let doing = || StoreError::of("show that the node lives");
        let mut connection = self.keeper.borrow().await?;
        let session: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut *connection)
            .await
            .map_err(doing())?;
        if self.session.load(Ordering::Relaxed) != session {
            sqlx::query("UPDATE nodes SET session = $1, missed_at = NULL WHERE id = $2")
                .bind(i64::from(session))
                .bind(node.to_string())
                .execute(&mut *connection)
                .await
                .map_err(doing())?;
            self.session.store(session, Ordering::Relaxed);
        }
        connection.keep();
        Ok(())
    }

    async fn retire(&self, node: NodeId) -> Result<(), StoreError> {
        let mut connection = self.keeper.borrow().await?;
        sqlx::query("UPDATE nodes SET lease_until = 0, spared = TRUE WHERE id = $1")
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
        self.limited(self.write_duty(name, node)).await
    }

    async fn drop_duty(&self, name: &str, node: NodeId) -> Result<(), StoreError> {
        self.limited(self.write_drop_duty(name, node)).await
    }

    async fn begin_relay(&self, name: &str) -> Result<(), StoreError> {
        self.limited(self.write_begin_relay(name)).await
    }

    async fn relay(
        &self,
        name: &str,
        node: NodeId,
        told: Option<EventSeq>,
    ) -> Result<Option<EventSeq>, StoreError> {
        self.limited(self.write_relay(name, node, told)).await
    }

    async fn due_callbacks(&self, limit: u32, hold: Duration) -> Result<Vec<Callback>, StoreError> {
        self.limited(self.write_due_callbacks(limit, hold)).await
    }

    async fn told(&self, task: TaskId, told: &Told) -> Result<bool, StoreError> {
        self.limited(self.write_told(task, told)).await
    }

    async fn replied(&self, task: TaskId) -> Result<(), StoreError> {
        self.limited(self.write_replied(task)).await
    }

    async fn forget_answers(&self, limit: u32) -> Result<u64, StoreError> {
        self.limited(self.write_forget_answers(limit)).await
    }

    async fn announce(&self, word: &str) -> Result<(), StoreError> {
        let mut connection = self.clerk.borrow().await?;
        self.limited(async {
            // A word is no promise: its commit need not wait for the disk, as others' would have to wait for it.
            sqlx::query("SELECT set_config('synchronous_commit', 'off', TRUE), pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(word)
                .execute(&mut *connection)
                .await
                .map(drop)
                .map_err(StoreError::of("tell the other nodes"))
        })
        .await?;
        connection.keep();
        Ok(())
    }

    async fn listen(&self) -> Result<Option<Box<dyn Listener>>, StoreError> {
        let doing = || StoreError::of("listen to the other nodes");
        let connect = async {
            // Of a pool of its own, since it is busy for as long as somebody listens.
            let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await.map_err(doing())?;
            listener.ignore_pool_close_event(true);
            listener.listen(CHANNEL).await.map_err(doing())?;
            Ok(listener)
        };
        let listener = self.limited(connect).await?;
        Ok(Some(Box::new(Ears { listener: Some(listener), runtime: Handle::current() })))
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
        self.limited(self.write_open_session(session, user, password, span)).await
    }

    async fn renew_password(
        &self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.limited(self.write_renew_password(user, old, new)).await
    }

    async fn close_session(&self, session: &TokenHash) -> Result<bool, StoreError> {
        self.limited(self.write_close_session(session)).await
    }

    async fn spend(&self, key: &str, uses: u32, rate: Rate) -> Result<Option<Duration>, StoreError> {
        self.limited(self.write_spend(key, uses, rate)).await
    }

    async fn forgive(&self, key: &str) -> Result<(), StoreError> {
        self.limited(self.write_forgive(key)).await
    }

    async fn forget_expired(&self, limit: u32) -> Result<u64, StoreError> {
        self.limited(self.write_forget_expired(limit)).await
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
        sqlx::query("SELECT 1").execute(&self.readers).await.map(drop).map_err(StoreError::of("ping"))
    }

    async fn schema(&self) -> Result<i64, StoreError> {
        let newest = "SELECT max(version) FROM _sqlx_migrations";
        sqlx::query_scalar(newest)
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::of("look at the schema"))
    }

    async fn reusable(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let now: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT {NOW}")))
            .bind(self.clock.shift())
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::of("ask the time"))?;
        Ok(Timestamp::from_micros(now))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.keeper.close().await;
        self.clerk.close().await;
        self.writer.close().await;
    }
}
