//! The whole database, out of a server and into another.
//!
//! A look is a connection of its own whose transaction is repeatable: it sees one instant, and no statement of it has a limit
//! but the backup's own, which every one has: a connection may die without a word. What is filled is locked against nodes that start meanwhile, and is there with the commit.

use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Postgres, Row as _};
use tokio::time::timeout;
use uuid::Uuid;

use super::{MIGRATIONS, NOW, PostgresOptions, PostgresStore};
use crate::clock::Clock;
use crate::store::archive::speak::{self, archive, session};
use crate::store::archive::{
    Archive, Column, ColumnType, Each, LoadError, Row, Session, Shape, TABLES, Value,
};
use crate::store::row::micros;
use crate::store::{MOVED_AWAY, StoreError};

/// For so long a transaction waits for locks that others have: for ever, unless somebody has set another limit.
const LOCK_LIMIT: &str =
    "SELECT set_config('lock_timeout', '30s', true) WHERE current_setting('lock_timeout') = '0'";

/// What the server calls it when that is over.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// A database on a server, as backups see it.
#[derive(Debug, Clone)]
pub struct PostgresArchive {
    url: String,
    /// Without the password.
    shown: String,
    options: PgConnectOptions,
    patience: Duration,
    clock: Clock,
}

impl PostgresArchive {
    /// The database that the options name, which is told of as `shown`; connects to nothing.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(options: &PostgresOptions, shown: String, clock: Clock) -> Result<Self, StoreError> {
        let connect = PgConnectOptions::from_str(&options.url)
            .map_err(StoreError::of("read the database's address"))?
            .application_name("gristmill backup")
            .options([("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")]);
        let patience = options.connect_timeout;
        Ok(Self { url: options.url.clone(), shown, options: connect, patience, clock })
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        match timeout(self.patience, self.options.connect()).await {
            Ok(connected) => connected.map_err(StoreError::of("connect")),
            Err(_) => Err(StoreError::Unavailable { doing: "connect", source: sqlx::Error::PoolTimedOut }),
        }
    }

    async fn now(&self, connection: &mut PgConnection) -> Result<i64, StoreError> {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT {NOW}")))
            .bind(self.clock.shift())
            .fetch_one(connection)
            .await
            .map_err(StoreError::of("ask the time"))
    }
}

/// Those of our tables that are there.
async fn tables(connection: &mut PgConnection) -> Result<Vec<&'static str>, StoreError> {
    let there: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = ANY (current_schemas(false))",
    )
    .fetch_all(connection)
    .await
    .map_err(StoreError::of("look which tables there are"))?;
    Ok(TABLES.iter().map(|table| table.name).filter(|name| there.iter().any(|table| table == name)).collect())
}

archive! { impl PostgresArchive {
    async fn schema(&self) -> Result<(Option<i64>, i64), StoreError> {
        PostgresStore::schema_of(&self.url, self.patience).await
    }

    async fn look(&self) -> Result<Box<dyn Session>, StoreError> {
        let mut connection = self.connect().await?;
        // The instant is that of the first statement after the beginning.
        for text in [
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            "SELECT count(*) FROM _sqlx_migrations",
        ] {
            let done = sqlx::query(text).execute(&mut connection);
            speak::within("begin to look", async { done.await.map_err(StoreError::of("begin to look")) }).await?;
        }
        Ok(Box::new(PostgresSession { connection, filling: false }))
    }

    async fn fill(&self, schema: i64) -> Result<Box<dyn Session>, LoadError> {
        let doing = || StoreError::of("begin to fill");
        let mut connection = self.connect().await?;
        let (found, _) = self.schema().await?;
        let there = tables(&mut connection).await?;
        let mut session = PostgresSession { connection, filling: true };
        if let Some(table) = session.occupied(&there).await? {
            return Err(LoadError::Occupied { place: self.shown.clone(), table: table.to_owned() });
        }
        match found {
            Some(found) if found != schema => {
                return Err(LoadError::OtherSchema { place: self.shown.clone(), found, wanted: schema });
            }
            Some(_) => {}
            None => MIGRATIONS.run_direct(Some(schema), &mut session.connection, false).await.map_err(StoreError::from)?,
        }
        sqlx::query("BEGIN").execute(&mut session.connection).await.map_err(doing())?;
        let there = tables(&mut session.connection).await?;
        let locked: Vec<String> = there.iter().map(|table| format!("\"{table}\"")).collect();
        let limit = sqlx::query(LOCK_LIMIT).execute(&mut session.connection).await;
        limit.map_err(doing())?;
        // A node that starts waits here, and finds what was put in.
        let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", locked.join(", "));
        let locked = sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut session.connection).await;
        if let Err(error) = locked {
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            return Err(match code.as_deref() {
                Some(LOCK_NOT_AVAILABLE) => LoadError::Locked { place: self.shown.clone() },
                Some(_) | None => doing()(error).into(),
            });
        }
        if let Some(table) = session.occupied(&there).await? {
            return Err(LoadError::Occupied { place: self.shown.clone(), table: table.to_owned() });
        }
        for table in there.iter().filter(|table| !speak::tells(table)) {
            let clear = sqlx::query(sqlx::AssertSqlSafe(speak::clear(table)));
            clear.execute(&mut session.connection).await.map_err(doing())?;
        }
        Ok(Box::new(session))
    }
} }

/// A transaction on a connection of its own.
struct PostgresSession {
    connection: PgConnection,
    filling: bool,
}

impl PostgresSession {
    /// The table that has rows, if one has.
    async fn occupied(&mut self, tables: &[&'static str]) -> Result<Option<&'static str>, StoreError> {
        for table in tables.iter().filter(|table| speak::tells(table)) {
            let any = sqlx::query_scalar(sqlx::AssertSqlSafe(speak::any(table)));
            let any = any.fetch_one(&mut self.connection).await;
            if any.map_err(StoreError::of("look whether it is empty"))? {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    /// What numbers the rows of a table.
    async fn sequence(&mut self, table: &Shape) -> Result<Option<String>, StoreError> {
        if !TABLES.iter().any(|known| known.name == table.name && known.numbered) {
            return Ok(None);
        }
        sqlx::query_scalar("SELECT pg_get_serial_sequence($1, 'id')")
            .bind(format!("\"{}\"", table.name))
            .fetch_one(&mut self.connection)
            .await
            .map_err(StoreError::of("find what numbers rows"))
    }
}

session! { impl PostgresSession, Postgres, "COLLATE \"C\"" {
    async fn last_number(&mut self, table: &Shape) -> Result<Option<i64>, StoreError> {
        speak::within("read the numbers in use", async {
            let Some(sequence) = self.sequence(table).await? else { return Ok(None) };
            // Numbers are given outside of transactions: this one may be later than the look, and is never earlier.
            let text = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}");
            let last = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
                .fetch_one(&mut self.connection)
                .await
                .map_err(StoreError::of("read the numbers in use"))?;
            Ok(Some(last))
        })
        .await
    }

    async fn go_on_after(&mut self, table: &Shape, number: i64) -> Result<(), StoreError> {
        let Some(sequence) = self.sequence(table).await? else { return Ok(()) };
        sqlx::query("SELECT setval($1::regclass, greatest($2, 1), $2 > 0)")
            .bind(sequence)
            .bind(number)
            .execute(&mut self.connection)
            .await
            .map_err(StoreError::of("set the numbers in use"))?;
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let doing = || StoreError::of("commit what was put in");
        sqlx::query("COMMIT").execute(&mut self.connection).await.map_err(doing())?;
        if self.filling {
            MIGRATIONS.run_direct(None, &mut self.connection, false).await?;
        }
        self.connection.close().await.map_err(doing())
    }
} }
