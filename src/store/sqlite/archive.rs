//! The whole database, out of its file and into a new one.
//!
//! Works beside the daemon that has the file, from another process too: a look is a connection of its own, whose transaction
//! sees one instant of the write-ahead log. What is filled is another file beside it, which takes the place of the empty one
//! when all is in it: until then nothing is there that anybody could take for a database.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite};
use uuid::Uuid;

use super::{MIGRATIONS, PATIENCE, SqliteStore, lock};
use crate::clock::Clock;
use crate::store::archive::speak::{self, archive, session};
use crate::store::archive::{
    Archive, Column, ColumnType, Each, LoadError, Row, SEEDED, Session, Shape, TABLES, Value,
};
use crate::store::row::micros;
use crate::store::{MOVED_AWAY, StoreError, newest_of};

/// A database in a file, as backups see it.
#[derive(Debug, Clone)]
pub struct SqliteArchive {
    file: PathBuf,
    clock: Clock,
}

impl SqliteArchive {
    /// The database in that file; opens nothing.
    #[must_use]
    pub fn new(file: &Path, clock: Clock) -> Self {
        Self { file: file.to_owned(), clock }
    }

    /// Where a database is made before it is moved to `file`; one that lies there was left by a restore that was broken off.
    #[must_use]
    pub fn draft_of(file: &Path) -> PathBuf {
        file.with_extension("filling")
    }

    /// A connection to what is there.
    async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(&self.file)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .pragma("cache_size", "-8000");
        options.connect().await.map_err(StoreError::of("open"))
    }

    #[expect(clippy::unused_async, reason = "as its twin, which asks the database")]
    async fn now(&self, _: &mut SqliteConnection) -> Result<i64, StoreError> {
        // As `holds_blobs` compares: the daemon is another process.
        Ok(self.clock.unsteady().as_micros())
    }

    /// The table that has rows, if one has.
    async fn occupied(&self) -> Result<Option<&'static str>, StoreError> {
        if fs::metadata(&self.file).map_or(0, |file| file.len()) == 0 {
            return Ok(None);
        }
        let doing = || StoreError::of("look whether it is empty");
        let mut connection = self.connect().await?;
        let there: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut connection)
            .await
            .map_err(doing())?;
        let mut found = None;
        let ours = TABLES.iter().filter(|table| there.iter().any(|name| name == table.name));
        for table in ours.filter(|table| speak::tells(table.name)) {
            let any = sqlx::query_scalar(sqlx::AssertSqlSafe(speak::any(table.name)));
            if any.fetch_one(&mut connection).await.map_err(doing())? {
                found = Some(table.name);
                break;
            }
        }
        connection.close().await.map_err(doing())?;
        Ok(found)
    }
}

archive! { impl SqliteArchive {
    async fn schema(&self) -> Result<(Option<i64>, i64), StoreError> {
        if fs::metadata(&self.file).is_ok_and(|file| file.len() == 0) {
            return Ok((None, newest_of(&MIGRATIONS)));
        }
        SqliteStore::schema_of(&self.file).await
    }

    async fn look(&self) -> Result<Box<dyn Session>, StoreError> {
        let mut connection = self.connect().await?;
        // The instant is that of the first look into the file.
        for text in ["PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM _sqlx_migrations"] {
            sqlx::query(text).execute(&mut connection).await.map_err(StoreError::of("begin to look"))?;
        }
        Ok(Box::new(SqliteSession { connection, filling: None }))
    }

    async fn fill(&self, schema: i64) -> Result<Box<dyn Session>, LoadError> {
        let lock = lock(&self.file)?;
        if let Some(table) = self.occupied().await? {
            return Err(LoadError::Occupied {
                place: self.file.display().to_string(),
                table: table.to_owned(),
            });
        }
        let draft = Self::draft_of(&self.file);
        for left in [draft.clone(), beside(&draft, "-journal")] {
            remove(&left)?;
        }
        fs::OpenOptions::new().create_new(true).write(true).open(&draft).map_err(io(&draft))?;
        private(&draft)?;
        let options = SqliteConnectOptions::new()
            .filename(&draft)
            // Without a log beside it: the file alone is moved.
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", "-16000");
        let mut connection = options.connect().await.map_err(StoreError::of("make the database"))?;
        MIGRATIONS.run_direct(Some(schema), &mut connection, false).await.map_err(StoreError::from)?;
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await;
        begun.map_err(StoreError::of("begin to fill"))?;
        let there: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut connection)
            .await
            .map_err(StoreError::of("look which tables there are"))?;
        for table in SEEDED.iter().filter(|table| there.iter().any(|name| name == *table)) {
            let clear = sqlx::query(sqlx::AssertSqlSafe(speak::clear(table))).execute(&mut connection).await;
            clear.map_err(StoreError::of("begin to fill"))?;
        }
        let filling = Filling { draft, file: self.file.clone(), _lock: lock };
        Ok(Box::new(SqliteSession { connection, filling: Some(filling) }))
    }
} }

/// A transaction on a connection of its own.
struct SqliteSession {
    connection: SqliteConnection,
    /// Where that is a file which is being filled.
    filling: Option<Filling>,
}

/// A new database that is not in its place yet.
struct Filling {
    draft: PathBuf,
    file: PathBuf,
    /// Nobody opens the database meanwhile.
    _lock: File,
}

impl Drop for Filling {
    fn drop(&mut self) {
        // After it was put in its place there is nothing under this name; else the next one to fill removes it as well.
        let _ = fs::remove_file(&self.draft);
    }
}

session! { impl SqliteSession, Sqlite, "COLLATE BINARY" {
    async fn last_number(&mut self, table: &Shape) -> Result<Option<i64>, StoreError> {
        if !is_numbered(table) {
            return Ok(None);
        }
        let last = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = $1")
            .bind(&table.name)
            .fetch_one(&mut self.connection)
            .await
            .map_err(StoreError::of("read the numbers in use"))?;
        Ok(Some(last))
    }

    async fn go_on_after(&mut self, table: &Shape, number: i64) -> Result<(), StoreError> {
        for text in [
            "DELETE FROM sqlite_sequence WHERE name = $1",
            "INSERT INTO sqlite_sequence (name, seq) SELECT $1, $2 WHERE $2 > 0",
        ] {
            sqlx::query(text)
                .bind(&table.name)
                .bind(number)
                .execute(&mut self.connection)
                .await
                .map_err(StoreError::of("set the numbers in use"))?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let doing = || StoreError::of("commit what was put in");
        sqlx::query("COMMIT").execute(&mut self.connection).await.map_err(doing())?;
        let Some(filling) = &self.filling else { return self.connection.close().await.map_err(doing()) };
        MIGRATIONS.run_direct(None, &mut self.connection, false).await?;
        self.connection.close().await.map_err(doing())?;
        File::open(&filling.draft).and_then(|file| file.sync_all()).map_err(io(&filling.draft))?;
        // What a database that was empty left beside it would be read as this one's.
        for end in ["-wal", "-shm", "-journal"] {
            remove(&beside(&filling.file, end))?;
        }
        fs::rename(&filling.draft, &filling.file).map_err(io(&filling.file))?;
        let folder = filling.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
    }
} }

fn is_numbered(table: &Shape) -> bool {
    TABLES.iter().any(|known| known.name == table.name && known.numbered)
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// For its owner alone: it holds e-mails, and the hashes of passwords and tokens.
fn private(file: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(io(file))
}

fn remove(file: &Path) -> Result<(), StoreError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(file)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    move |source| StoreError::Io { path: path.display().to_string(), source }
}
