//! The shared database: PostgreSQL, with any number of nodes on it.
//!
//! - Time is the database's: leases and `run_at` are judged by one clock, whatever the nodes' own clocks say.
//! - Claims take rows with `FOR UPDATE SKIP LOCKED`: nodes never wait for each other there.
//! - Events get their numbers under a lock that is held to the end of the transaction, so the numbers come in the
//!   order of the commits and a reader that has seen one never misses a lower one
//!   (`docs/adr/0003-one-public-order.md`).
//! - A connection that sits in an open transaction for five seconds is cut by the server, so a frozen node cannot
//!   hold that lock.

mod group;
mod read;

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::row::micros;
use super::{
    Command, Committed, KindDepth, Page, Recording, Registration, Store, StoreError, TaskFilter,
    check_schema, group_or_apart,
};
use crate::account::{TokenHash, User};
use crate::clock::Clock;
use crate::task::{Attempt, BlobName, Event, EventSeq, NodeId, RecordingId, Task, TaskId, Timestamp, UserId};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

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
#[derive(Debug)]
pub struct PostgresStore {
    writer: PgPool,
    keeper: PgPool,
    readers: PgPool,
    clock: Clock,
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
                ("tcp_keepalives_idle", "10"),
            ]);
        let pool =
            |size: u32| PgPoolOptions::new().max_connections(size).acquire_timeout(options.connect_timeout);
        // The writer only ever looks rows up by key: a plan that reads a whole table, chosen on statistics of
        // an emptier day, would be wrong each time.
        let by_key = [("enable_hashjoin", "off"), ("enable_mergejoin", "off"), ("enable_seqscan", "off")];
        let writer = connect.clone().options(by_key);
        let writer = pool(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(writer)
            .await
            .map_err(StoreError::of("connect"))?;
        let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        let newest = "SELECT max(version) FROM _sqlx_migrations";
        check_schema(sqlx::query_scalar(newest).fetch_optional(&writer).await, known)?;
        MIGRATIONS.run(&writer).await?;
        let keeper = pool(1).connect_lazy_with(connect.clone());
        let readers = pool(options.readers.max(1)).test_before_acquire(false).connect_lazy_with(connect);
        Ok(Self { writer, keeper, readers, clock })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, commands: &[Command]) -> Result<Committed, StoreError> {
        group_or_apart(self, commands).await
    }

    async fn register(&self, registration: &Registration) -> Result<(), StoreError> {
        let doing = StoreError::of;
        let mut tx = self.keeper.begin().await.map_err(doing("register the node"))?;
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
            "INSERT INTO nodes (id, seat, name, started_at, lease_until) \
             SELECT $2, $3, $4, now.now, now.now + $5 FROM (SELECT {NOW} AS now) AS now"
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
        tx.commit().await.map_err(doing("register the node"))
    }

    async fn renew(&self, node: NodeId, lease: Duration) -> Result<bool, StoreError> {
        let text = format!(
            "UPDATE nodes SET lease_until = now.now + $2 FROM (SELECT {NOW} AS now) AS now \
             WHERE id = $3 AND lease_until > now.now"
        );
        let renewed = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(self.clock.shift())
            .bind(micros(lease))
            .bind(node.to_string())
            .execute(&self.keeper)
            .await
            .map_err(StoreError::of("renew the lease"))?;
        Ok(renewed.rows_affected() == 1)
    }

    async fn retire(&self, node: NodeId) -> Result<(), StoreError> {
        sqlx::query("UPDATE nodes SET lease_until = 0, spared = TRUE WHERE id = $1")
            .bind(node.to_string())
            .execute(&self.keeper)
            .await
            .map(drop)
            .map_err(StoreError::of("give the lease back"))
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.read_task(id).await
    }

    async fn tasks(&self, filter: &TaskFilter, page: &Page) -> Result<Vec<Task>, StoreError> {
        self.read_tasks(filter, page).await
    }

    async fn held_by(&self, node: NodeId) -> Result<Vec<(TaskId, Attempt)>, StoreError> {
        self.read_held_by(node).await
    }

    async fn depths(&self) -> Result<Vec<KindDepth>, StoreError> {
        self.read_depths().await
    }

    async fn events_after(&self, after: EventSeq, limit: u32) -> Result<Vec<(EventSeq, Event)>, StoreError> {
        self.read_events_after(after, limit).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read_user(id).await
    }

    async fn user_by_token(&self, token: &TokenHash) -> Result<Option<User>, StoreError> {
        self.read_user_by_token(token).await
    }

    async fn recording(&self, id: RecordingId) -> Result<Option<Recording>, StoreError> {
        self.read_recording(id).await
    }

    async fn unreferenced(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, StoreError> {
        self.read_unreferenced(blobs).await
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
        self.writer.close().await;
    }
}
