//! Migrations: alike on both databases, and never the wrong way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gristmill::account::Caller;
use gristmill::clock::Clock;
use gristmill::store::{Command, PostgresStore, Registration, Reply, SqliteStore, Store, StoreError};
use gristmill::task::{Backoff, EventSeq, Json, NodeId, Outcome, Status};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::bench::{claim, new_task};
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

/// What a later program may have done to a database that this one can live with, and what one that it cannot says.
const LIVABLE: [&str; 3] = [
    "ALTER TABLE tasks ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'",
    "CREATE TABLE moods (name TEXT PRIMARY KEY, mood TEXT)",
    "CREATE INDEX tasks_coloured ON tasks (colour, id)",
];
const UNLIVABLE: &str = "UPDATE marks SET value = 9999 WHERE name = 'compatible_from'";

/// The databases after a later program was there, by the statements that it made; opened by this one, as its error.
async fn after_a_later_program(statements: &[&str]) -> [Result<Arc<dyn Store>, StoreError>; 2] {
    let folder = tempfile::tempdir().unwrap().keep();
    let file = folder.join("gristmill.db");
    drop(SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap());
    let mut sqlite = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let url = fresh_postgres_database().await;
    drop(PostgresStore::open(&postgres_options(url.clone()), Clock::system()).await.unwrap());
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    sqlx::query(NEWER).bind(vec![0_u8; 48]).execute(&mut sqlite).await.unwrap();
    sqlx::query(NEWER).bind(vec![0_u8; 48]).execute(&mut postgres).await.unwrap();
    for text in statements {
        sqlx::query(AssertSqlSafe((*text).to_owned())).execute(&mut sqlite).await.unwrap();
        sqlx::query(AssertSqlSafe((*text).to_owned())).execute(&mut postgres).await.unwrap();
    }
    sqlite.close().await.unwrap();
    let sqlite = SqliteStore::open(&file, 2, STATEMENT_TIMEOUT, Clock::system()).await;
    let postgres = PostgresStore::open(&postgres_options(url), Clock::system()).await;
    [
        sqlite.map(|store| Arc::new(store) as Arc<dyn Store>),
        postgres.map(|store| Arc::new(store) as Arc<dyn Store>),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_later_program_that_says_so_is_worked_on() {
    for store in after_a_later_program(&LIVABLE).await {
        let store = store.unwrap();
        assert_eq!(store.schema().await.unwrap(), 9999);
        let node = NodeId::fresh();
        let (seat, name) = ("seat".to_owned(), "test".to_owned());
        let lease = Duration::from_secs(10);
        store.register(&Registration { node, seat, name, lease, predecessor: None }).await.unwrap();
        let made = store.commit(&[Command::Create(vec![new_task(), new_task()])]).await.unwrap();
        assert!(matches!(&made.replies[..], [Ok(Reply::Created(made))] if made.len() == 2), "{made:?}");
        let claimed = store.commit(&[Command::Claim(claim(node, 2))]).await.unwrap();
        let [Ok(Reply::Claimed(claimed))] = &claimed.replies[..] else { panic!("{claimed:?}") };
        let backoff = Backoff::default();
        for task in &claimed.tasks {
            let (task, attempt) = (task.life.id, task.life.attempt);
            let outcome = Outcome::Completed { result: Json::null(), output: None, drop_input: false };
            let settle = Command::Settle { task, attempt, outcome, backoff, image: None };
            store.commit(&[settle]).await.unwrap();
            assert_eq!(store.task(task).await.unwrap().unwrap().life.status(), Status::Completed);
        }
        assert_eq!(store.events_after(EventSeq(0), 100).await.unwrap().len(), 6);
        let delete = Command::Delete { task: claimed.tasks[0].life.id, caller: Caller::Admin(None) };
        assert!(matches!(store.commit(&[delete]).await.unwrap().replies[..], [Ok(Reply::Changed(Ok(_)))]));
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_only_later_programs_can_use_stops_the_start_with_a_clear_word() {
    for statements in [vec![UNLIVABLE], vec!["DROP TABLE marks"], vec!["DELETE FROM marks"]] {
        for opened in after_a_later_program(&statements).await {
            let error = opened.map(drop).unwrap_err();
            assert!(matches!(error, StoreError::SchemaTooNew { found: 9999, least: 9999, .. }), "{error:?}");
            assert!(error.to_string().contains("schema 9999"), "{error}");
        }
    }
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

/// The migrations from this number on are such that a program of the version before can work on the database: it neither
/// misses what it knows nor is refused what it writes. What it cannot live with says so in `marks` (docs/limits.md).
const ADDITIVE_FROM: u32 = 9;

#[test]
fn later_migrations_take_nothing_away_from_programs_that_do_not_know_them() {
    for folder in ["sqlite", "postgres"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        for file in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
            let name = file.file_name().to_string_lossy().into_owned();
            let number: u32 = name.split('_').next().unwrap().parse().unwrap();
            if number < ADDITIVE_FROM {
                continue;
            }
            let text = std::fs::read_to_string(file.path()).unwrap();
            let faults = not_additive(&text);
            assert_eq!(faults, [""; 0], "{folder}/{name}");
        }
    }
}

/// The statements of a migration that an older program could trip over, unless it is one that says so.
fn not_additive(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join(" ").to_uppercase();
    if text.contains("'COMPATIBLE_FROM'") && text.contains("UPDATE MARKS") {
        return Vec::new();
    }
    let made: Vec<&str> = text.split(';').filter_map(|statement| after(statement, "CREATE TABLE ")).collect();
    let faulty = |statement: &&str| {
        let on_new = |words: &str| after(statement, words).is_some_and(|table| made.contains(&table));
        let column = statement.contains("ADD COLUMN");
        statement.contains("DROP ")
            || statement.contains("RENAME ")
            || statement.contains("SET NOT NULL")
            || statement.contains("ADD CONSTRAINT")
            || statement.contains("CREATE UNIQUE INDEX") && !on_new(" ON ")
            || statement.contains("CREATE TRIGGER")
            || column && statement.contains("NOT NULL") && !statement.contains("DEFAULT")
    };
    text.split(';').filter(faulty).map(|statement| statement.trim().to_owned()).collect()
}

/// The word behind these.
fn after<'a>(statement: &'a str, words: &str) -> Option<&'a str> {
    statement.split_once(words)?.1.split_whitespace().next()
}

#[test]
fn what_an_older_program_could_trip_over_is_seen() {
    for (text, faults) in [
        ("CREATE TABLE a (x INTEGER NOT NULL); CREATE UNIQUE INDEX i ON a (x);", 0),
        ("ALTER TABLE tasks ADD COLUMN x INTEGER; CREATE INDEX i ON tasks (x) -- DROP it never\n;", 0),
        ("ALTER TABLE tasks ADD COLUMN x INTEGER NOT NULL DEFAULT 0;", 0),
        ("ALTER TABLE tasks ADD COLUMN x INTEGER NOT NULL;", 1),
        ("alter table tasks drop column x; DROP INDEX i; ALTER TABLE t RENAME TO u;", 3),
        ("CREATE UNIQUE INDEX i ON tasks (x);", 1),
        ("DROP TABLE x; UPDATE marks SET value = 12 WHERE name = 'compatible_from';", 0),
    ] {
        assert_eq!(not_additive(text).len(), faults, "{text}");
    }
}
