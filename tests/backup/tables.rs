//! The list of tables is that of the schema, on both databases.

use std::collections::{BTreeMap, BTreeSet};

use gristmill::clock::Clock;
use gristmill::store::{ColumnType, LEFT_OUT, PostgresStore, SqliteStore, TABLES};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::common::{STATEMENT_TIMEOUT, fresh_postgres_database, postgres_options};

/// Columns with their types, and the key, by table; and which tables number their rows.
type Catalogue = (BTreeMap<String, (BTreeMap<String, &'static str>, Vec<String>)>, BTreeSet<String>);

fn listed() -> Catalogue {
    let word = |holds: ColumnType| match holds {
        ColumnType::Int => "int",
        ColumnType::Text => "text",
        ColumnType::Bool => "bool",
    };
    let tables = TABLES.iter().map(|table| {
        let columns = table.columns.iter().map(|(name, holds)| ((*name).to_owned(), word(*holds))).collect();
        (table.name.to_owned(), (columns, table.key.iter().map(|name| (*name).to_owned()).collect()))
    });
    let numbered = TABLES.iter().filter(|table| table.numbered).map(|table| table.name.to_owned());
    (tables.collect(), numbered.collect())
}

#[tokio::test]
async fn every_table_and_column_of_postgres_is_in_the_list_of_what_is_saved() {
    let url = fresh_postgres_database().await;
    let store = PostgresStore::open(&postgres_options(url.clone()), Clock::system()).await.unwrap();
    drop(store);
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text, is_identity = 'YES' \
         FROM information_schema.columns WHERE table_schema = 'public'",
    )
    .fetch_all(&mut postgres)
    .await
    .unwrap();
    let keys: Vec<(String, String)> = sqlx::query_as(
        "SELECT k.table_name::text, k.column_name::text FROM information_schema.key_column_usage AS k \
         JOIN information_schema.table_constraints AS c ON c.constraint_name = k.constraint_name \
         AND c.table_name = k.table_name \
         WHERE c.constraint_type = 'PRIMARY KEY' AND k.table_schema = 'public' ORDER BY k.ordinal_position",
    )
    .fetch_all(&mut postgres)
    .await
    .unwrap();
    let mut found: Catalogue = Default::default();
    for (table, column, holds, identity) in columns.into_iter().filter(|(table, ..)| !left_out(table)) {
        let holds = match holds.as_str() {
            "bigint" => "int",
            "text" => "text",
            "boolean" => "bool",
            other => panic!("{table}.{column} is {other}, which no backup can hold: add it to ColumnType"),
        };
        if identity {
            found.1.insert(table.clone());
        }
        found.0.entry(table).or_default().0.insert(column, holds);
    }
    for (table, column) in keys.into_iter().filter(|(table, _)| !left_out(table)) {
        found.0.get_mut(&table).unwrap().1.push(column);
    }
    assert_eq!(found, listed());
}

#[tokio::test]
async fn every_table_and_column_of_sqlite_is_in_the_list_of_what_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gristmill.db");
    drop(SqliteStore::open(&file, 1, STATEMENT_TIMEOUT, Clock::system()).await.unwrap());
    let mut sqlite = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    )
    .fetch_all(&mut sqlite)
    .await
    .unwrap();
    let mut found: Catalogue = Default::default();
    let (listed, numbered) = listed();
    for (table, sql) in tables.into_iter().filter(|(table, _)| !left_out(table)) {
        let text = format!("SELECT name, type, pk FROM pragma_table_info('{table}')");
        let columns: Vec<(String, String, i64)> =
            sqlx::query_as(AssertSqlSafe(text)).fetch_all(&mut sqlite).await.unwrap();
        let mut key: Vec<(i64, String)> = columns
            .iter()
            .filter(|(_, _, place)| *place > 0)
            .map(|(name, _, place)| (*place, name.clone()))
            .collect();
        key.sort();
        let of = |(name, holds, _): (String, String, i64)| {
            // SQLite has no type of its own for what is true or false.
            let flag = listed.get(&table).and_then(|(columns, _)| columns.get(&name)) == Some(&"bool");
            let holds = match holds.as_str() {
                "INTEGER" if flag => "bool",
                "INTEGER" => "int",
                "TEXT" => "text",
                other => panic!("{table}.{name} is {other}, which no backup can hold: add it to ColumnType"),
            };
            (name, holds)
        };
        if sql.contains("AUTOINCREMENT") {
            found.1.insert(table.clone());
        }
        let columns = columns.into_iter().map(of).collect();
        found.0.insert(table, (columns, key.into_iter().map(|(_, name)| name).collect()));
    }
    assert_eq!(found, (listed, numbered));
}

fn left_out(table: &str) -> bool {
    LEFT_OUT.contains(&table)
}
