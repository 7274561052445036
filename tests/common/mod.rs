//! What several test binaries share: databases of their own, and waiting for conditions.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this"
)]

pub mod faulty;
pub mod proxy;
pub mod rabbit;
pub mod wav;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gristmill::clock::Clock;
use gristmill::store::{PostgresOptions, PostgresStore, SqliteStore, Store};
use gristmill::task::Kind;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// How long a statement may take on SQLite: as long as in a daemon that is told nothing else.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// A store of a test's own, empty, and what keeps it there.
pub struct TestStore {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    /// Where the PostgreSQL is, when it is one.
    url: Option<String>,
    outside: Vec<Kind>,
    folder: Option<tempfile::TempDir>,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

impl TestStore {
    pub async fn open(engine: Engine) -> Self {
        Self::open_with(engine, &[]).await
    }

    /// One on which workers outside do those kinds.
    pub async fn open_with(engine: Engine, outside: &[&str]) -> Self {
        let clock = Clock::system();
        let outside: Vec<Kind> = outside.iter().map(|kind| kind.parse().unwrap()).collect();
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let store = sqlite(folder.path(), &clock, &outside).await;
                Self { store, clock, url: None, outside, folder: Some(folder) }
            }
            Engine::Postgres => {
                let url = fresh_postgres_database().await;
                let store = another_postgres(&url, &clock, &outside).await;
                Self { store, clock, url: Some(url), outside, folder: None }
            }
        }
    }

    pub fn is_postgres(&self) -> bool {
        self.url.is_some()
    }

    /// Closed, and opened again with other kinds done outside.
    pub async fn reopened(self, outside: &[&str]) -> Self {
        self.store.close().await;
        let outside: Vec<Kind> = outside.iter().map(|kind| kind.parse().unwrap()).collect();
        let store: Arc<dyn Store> = match (&self.folder, &self.url) {
            (Some(folder), _) => sqlite(folder.path(), &self.clock, &outside).await,
            (None, url) => another_postgres(url.as_ref().unwrap(), &self.clock, &outside).await,
        };
        Self { store, outside, ..self }
    }

    /// The store of another node on the same PostgreSQL.
    pub async fn another(&self) -> Arc<dyn Store> {
        another_postgres(self.url.as_ref().unwrap(), &self.clock, &self.outside).await
    }
}

async fn sqlite(folder: &Path, clock: &Clock, outside: &[Kind]) -> Arc<dyn Store> {
    let store =
        SqliteStore::open(&folder.join("gristmill.db"), 2, STATEMENT_TIMEOUT, clock.clone()).await.unwrap();
    Arc::new(store.with_outside(outside.iter().cloned()).await.unwrap())
}

async fn another_postgres(url: &str, clock: &Clock, outside: &[Kind]) -> Arc<dyn Store> {
    let store = PostgresStore::open(&postgres_options(url.to_owned()), clock.clone()).await.unwrap();
    Arc::new(store.with_outside(outside.iter().cloned()).await.unwrap())
}

pub fn postgres_options(url: String) -> PostgresOptions {
    PostgresOptions {
        url,
        readers: 2,
        connect_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(20),
    }
}

/// A new, empty database on the test server, whose address `./test` provides.
pub async fn fresh_postgres_database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = std::env::var("GRISTMILL_TEST_POSTGRES") else {
        panic!("these tests need a PostgreSQL: run them with ./test, or under scripts/with-postgres");
    };
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

/// Waits until `look` finds something. The bound is for a broken program only: it is far beyond what any
/// condition takes.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
