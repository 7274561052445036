//! Migrations: alike on both databases, and never the wrong way.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill::clock::Clock;
use gristmill::store::{PostgresStore, SqliteStore, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::common::{STATEMENT_TIMEOUT, fresh_postgres_database, postgres_options};

const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'from the future', TRUE, $1, 0)";

#[test]
fn both_databases_have_the_same_migrations_by_number_and_name() {
    let names = |folder: &str| -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        let mut names: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gristmill.db");
    drop(SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap());
    let mut sqlite = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let of_sqlite: Vec<(String, String)> = sqlx::query_as(
        "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'",
    )
    .fetch_all(&mut sqlite)
    .await
    .unwrap();

    let url = fresh_postgres_database().await;
    drop(PostgresStore::open(&postgres_options(url.clone()), Clock::system()).await.unwrap());
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    let of_postgres: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public'",
    )
    .fetch_all(&mut postgres)
    .await
    .unwrap();
    let sorted = |rows: Vec<(String, String)>| {
        let mut tables = BTreeMap::<String, Vec<String>>::new();
        for (table, column) in rows {
            tables.entry(table).or_default().push(column);
        }
        tables.values_mut().for_each(|columns| columns.sort());
        tables
    };
    assert_eq!(sorted(of_sqlite), sorted(of_postgres));
}

#[tokio::test]
async fn a_database_of_a_newer_program_stops_the_start_with_a_clear_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gristmill.db");
    drop(SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap());
    let mut sqlite = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query(NEWER).bind(vec![0_u8; 48]).execute(&mut sqlite).await.unwrap();
    sqlite.close().await.unwrap();
    too_new(SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.map(drop));

    let url = fresh_postgres_database().await;
    drop(PostgresStore::open(&postgres_options(url.clone()), Clock::system()).await.unwrap());
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    sqlx::query(NEWER).bind(vec![0_u8; 48]).execute(&mut postgres).await.unwrap();
    too_new(PostgresStore::open(&postgres_options(url), Clock::system()).await.map(drop));
}

fn too_new(opened: Result<(), StoreError>) {
    let error = opened.unwrap_err();
    assert!(matches!(error, StoreError::SchemaTooNew { found: 9999, .. }), "{error:?}");
    assert!(error.to_string().contains("schema 9999"), "{error}");
}

#[tokio::test]
async fn two_processes_cannot_have_one_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gristmill.db");
    let first = SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap();
    let second = SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.map(drop);
    assert!(matches!(second, Err(StoreError::InUse { .. })), "{second:?}");
    drop(first);
    SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap();
}

#[tokio::test]
async fn the_databases_themselves_refuse_what_makes_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gristmill.db");
    drop(SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap());
    let mut sqlite = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let url = fresh_postgres_database().await;
    drop(PostgresStore::open(&postgres_options(url.clone()), Clock::system()).await.unwrap());
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    for (status, run_at, holder, finished_at, result) in [
        ("Done", "1", "NULL", "NULL", "NULL"),
        ("New", "NULL", "NULL", "NULL", "NULL"),
        ("New", "1", "'n'", "NULL", "NULL"),
        ("In Progress", "NULL", "NULL", "NULL", "NULL"),
        ("Completed", "NULL", "NULL", "NULL", "'null'"),
        ("Completed", "NULL", "NULL", "1", "NULL"),
        ("Failed", "NULL", "NULL", "1", "NULL"),
        ("Cancelled", "NULL", "NULL", "NULL", "NULL"),
    ] {
        let text = format!(
            "INSERT INTO tasks (kind, status, priority, max_attempts, attempt, failures, crashes, run_at, holder, \
             finished_at, result, created_at, updated_at, payload, tags) VALUES ('noop', '{status}', 0, 1, 0, 0, \
             0, {run_at}, {holder}, {finished_at}, {result}, 1, 1, 'null', '[]')"
        );
        let refused = sqlx::query(AssertSqlSafe(text.clone())).execute(&mut sqlite).await;
        assert!(refused.is_err(), "SQLite took {text}");
        let refused = sqlx::query(AssertSqlSafe(text.clone())).execute(&mut postgres).await;
        assert!(refused.is_err(), "PostgreSQL took {text}");
    }
}
