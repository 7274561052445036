//! What the same disk and databases allow by themselves, in the same run.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::report::Report;

const SPAN: Duration = Duration::from_secs(2);

/// Overwrites of one page, each synced.
pub fn disk(report: &mut Report) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = OpenOptions::new().create_new(true).write(true).open(folder.path().join("sync")).unwrap();
    file.write_all_at(&[0; 65_536], 0).unwrap();
    file.sync_all().unwrap();
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < SPAN {
        file.write_all_at(&[1; 4096], 0).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    report.row(
        "raw disk: synced overwrites of 4 KiB",
        f64::from(count) / begun.elapsed().as_secs_f64(),
        "/s",
    );
}

/// A row as narrow as can be, in groups, by plain sqlx: a statement a row, a transaction a group.
pub async fn sqlite(report: &mut Report) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = SqliteConnectOptions::from_str("sqlite:")
        .unwrap()
        .filename(folder.path().join("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await.unwrap();
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, kind TEXT, status TEXT, at INTEGER)";
    sqlx::query(table).execute(&mut connection).await.unwrap();
    for group in [1, 64, 1000] {
        let (begun, mut rows) = (Instant::now(), 0);
        while begun.elapsed() < SPAN {
            let mut tx = connection.begin().await.unwrap();
            for _ in 0..group {
                sqlx::query("INSERT INTO t (kind, status, at) VALUES (?1, ?2, ?3)")
                    .bind("noop")
                    .bind("New")
                    .bind(1_i64)
                    .execute(&mut *tx)
                    .await
                    .unwrap();
            }
            tx.commit().await.unwrap();
            rows += group;
        }
        let rate = f64::from(rows) / begun.elapsed().as_secs_f64();
        report.row(format!("raw sqlite by plain sqlx: rows in groups of {group}"), rate, "/s");
    }
}

/// The same on PostgreSQL, a group being one statement with arrays.
pub async fn postgres(report: &mut Report, url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    for statement in [
        "DROP TABLE IF EXISTS raw_rows",
        "CREATE TABLE raw_rows (id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, kind TEXT, status TEXT, at BIGINT)",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    for group in [1_usize, 64, 1000] {
        let (kinds, statuses, times) = (vec!["noop"; group], vec!["New"; group], vec![1_i64; group]);
        let (begun, mut rows) = (Instant::now(), 0);
        while begun.elapsed() < SPAN {
            sqlx::query(
                "INSERT INTO raw_rows (kind, status, at) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])",
            )
            .bind(&kinds)
            .bind(&statuses)
            .bind(&times)
            .execute(&mut connection)
            .await
            .unwrap();
            rows += group;
        }
        let rate = rows as f64 / begun.elapsed().as_secs_f64();
        report.row(format!("raw postgres by plain sqlx: rows in groups of {group}"), rate, "/s");
    }
    sqlx::query("DROP TABLE raw_rows").execute(&mut connection).await.unwrap();
}
