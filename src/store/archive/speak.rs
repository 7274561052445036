//! What both databases are told in the same words. Used by the two adapters' sessions: a macro, since the drivers' types have
//! nothing in common that would be shorter to write.

use std::time::Duration;

use tokio::time::timeout;

use super::{SEEDED, Shape};
use crate::store::{MOVED_AWAY, StoreError};

/// The blobs that rows name, each once.
pub(in crate::store) const BLOBS: &str = "SELECT blob, max(bytes) FROM (SELECT blob, bytes FROM task_blobs \
     UNION ALL SELECT avatar, avatar_bytes FROM users WHERE avatar IS NOT NULL) AS named GROUP BY blob";

/// So many values go with one statement: below the bounds of both databases.
const VALUES: usize = 20_000;

/// How many rows of a table go with one statement.
pub(in crate::store) fn rows_at_once(table: &Shape) -> usize {
    (VALUES / table.columns.len().max(1)).max(1)
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The columns, as they are put in.
pub(in crate::store) fn columns(table: &Shape) -> String {
    table.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// All rows, in the order of bytes. `bytewise` is what makes this database compare texts like that.
pub(in crate::store) fn select(table: &Shape, bytewise: &str) -> String {
    let column = |column: &super::Column| match column.instead {
        Some(sql) => format!("{sql} AS {}", quoted(&column.name)),
        None => quoted(&column.name),
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let is_text = |name: &str| {
        table.columns.iter().any(|column| column.name == name && column.holds == super::ColumnType::Text)
    };
    let order = |name: &String| match is_text(name) {
        true => format!("{}.{} {bytewise}", quoted(&table.name), quoted(name)),
        false => format!("{}.{}", quoted(&table.name), quoted(name)),
    };
    let order: Vec<String> = table.key.iter().map(order).collect();
    let (columns, order) = (columns.join(", "), order.join(", "));
    format!("SELECT {columns} FROM {}{} ORDER BY {order}", quoted(&table.name), kept(&table.name))
}

pub(in crate::store) fn count(table: &str) -> String {
    format!("SELECT count(*) FROM {}{}", quoted(table), kept(table))
}

/// Which rows of a table are read: all, but for the mark of a database whose rows were moved away.
fn kept(table: &str) -> String {
    if table == "marks" { format!(" WHERE name <> '{MOVED_AWAY}'") } else { String::new() }
}

pub(in crate::store) fn any(table: &str) -> String {
    format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(table))
}

/// Whether rows of that table say that a database is in use.
pub(in crate::store) fn tells(table: &str) -> bool {
    !SEEDED.contains(&table)
}

/// Takes away the rows that a new database has from the start.
pub(in crate::store) fn clear(table: &str) -> String {
    format!("DELETE FROM {}", quoted(table))
}

pub(in crate::store) fn insert(table: &Shape) -> String {
    format!("INSERT INTO {} ({}) ", quoted(&table.name), columns(table))
}

/// A small statement takes this long at most: a database that went away in the middle of it does not answer at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A row comes within this, also the first of a large table that is sorted; and what is done to many of them is done.
const ROW: Duration = Duration::from_secs(900);

/// Does what is small, or gives up.
pub(in crate::store) async fn within<T>(
    doing: &'static str,
    small: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match timeout(PATIENCE, small).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unavailable { doing, source: sqlx::Error::PoolTimedOut }),
    }
}

/// Waits for the next row, or for what concerns many, or gives up.
pub(in crate::store) async fn next<T>(
    doing: &'static str,
    row: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout(ROW, row).await {
        Ok(row) => row.map_err(StoreError::of(doing)),
        Err(_) => Err(StoreError::Unavailable { doing, source: sqlx::Error::PoolTimedOut }),
    }
}

/// A session whose connection, of the driver `$driver`, is in `self.connection`; `$more` are the methods in which the databases
/// differ.
macro_rules! session {
    (impl $session:ty, $driver:ty, $bytewise:literal { $($more:tt)* }) => {
        #[async_trait]
        impl Session for $session {
        async fn count(&mut self, table: &Shape) -> Result<u64, StoreError> {
            let text = sqlx::AssertSqlSafe(speak::count(&table.name));
            let counted = sqlx::query_scalar::<_, i64>(text).fetch_one(&mut self.connection);
            Ok(speak::next("count rows", counted).await?.unsigned_abs())
        }

        async fn rows(&mut self, table: &Shape, take: &mut Each<'_>) -> Result<(), StoreError> {
            let doing = || StoreError::of("read all rows");
            let mut rows = sqlx::query(sqlx::AssertSqlSafe(speak::select(table, $bytewise)))
                .persistent(false)
                .fetch(&mut self.connection);
            while let Some(row) = speak::next("read all rows", rows.try_next()).await? {
                let read = |(place, column): (usize, &Column)| match column.holds {
                    ColumnType::Int => {
                        row.try_get(place).map(|value: Option<i64>| value.map_or(Value::Null, Value::Int))
                    }
                    ColumnType::Text => {
                        row.try_get(place).map(|value: Option<String>| value.map_or(Value::Null, Value::Text))
                    }
                    ColumnType::Bool => {
                        row.try_get(place).map(|value: Option<bool>| value.map_or(Value::Null, Value::Bool))
                    }
                };
                let values = table.columns.iter().enumerate().map(read).collect::<Result<Row, _>>();
                if !take(values.map_err(doing())?) {
                    break;
                }
            }
            Ok(())
        }

        async fn blobs(&mut self, take: &mut Each<'_>) -> Result<(), StoreError> {
            let text = format!("{} ORDER BY blob {}", speak::BLOBS, $bytewise);
            let mut rows = sqlx::query_as::<_, (String, Option<i64>)>(sqlx::AssertSqlSafe(text))
                .persistent(false)
                .fetch(&mut self.connection);
            while let Some((name, bytes)) = speak::next("read which blobs are named", rows.try_next()).await? {
                if !take(vec![Value::Text(name), bytes.map_or(Value::Null, Value::Int)]) {
                    break;
                }
            }
            Ok(())
        }

        async fn put(&mut self, table: &Shape, mut rows: Vec<Row>) -> Result<(), StoreError> {
            let most = speak::rows_at_once(table);
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(most));
                let whole = rows.len() == most;
                let mut insert = sqlx::QueryBuilder::<$driver>::new(speak::insert(table));
                insert.push_values(rows, |mut values, row| {
                    for (column, value) in table.columns.iter().zip(row) {
                        match (value, column.holds) {
                            (Value::Int(number), _) => values.push_bind(number),
                            (Value::Text(text), _) => values.push_bind(text),
                            (Value::Bool(flag), _) => values.push_bind(flag),
                            (Value::Null, ColumnType::Int) => values.push_bind(None::<i64>),
                            (Value::Null, ColumnType::Text) => values.push_bind(None::<String>),
                            (Value::Null, ColumnType::Bool) => values.push_bind(None::<bool>),
                        };
                    }
                });
                let query = insert.build().persistent(whole);
                speak::next("put rows in", query.execute(&mut self.connection)).await?;
                rows = rest;
            }
            Ok(())
        }

        async fn stay(&mut self) -> Result<(), StoreError> {
            speak::within("keep the connection", async {
                let asked = sqlx::query("SELECT 1").execute(&mut self.connection).await;
                asked.map(drop).map_err(StoreError::of("keep the connection"))
            })
            .await
        }

        $($more)*
        }
    };
}
pub(in crate::store) use session;

/// An archive, which gives a connection by `self.connect()`, and by `self.now(&mut connection)` the time in microseconds;
/// `$more` are the methods in which the databases differ.
macro_rules! archive {
    (impl $archive:ty { $($more:tt)* }) => {
        #[async_trait]
        impl Archive for $archive {
        async fn hold(&self, id: Uuid, span: Duration) -> Result<(), StoreError> {
            speak::within("hold the blobs", async {
                let doing = || StoreError::of("hold the blobs");
                let mut connection = self.connect().await?;
                let now = self.now(&mut connection).await?;
                let mut tx = connection.begin().await.map_err(doing())?;
                sqlx::query("DELETE FROM holds WHERE until <= $1")
                    .bind(now)
                    .execute(&mut *tx)
                    .await
                    .map_err(doing())?;
                sqlx::query("INSERT INTO holds (id, until) VALUES ($1, $2)")
                    .bind(id.to_string())
                    .bind(now.saturating_add(micros(span)))
                    .execute(&mut *tx)
                    .await
                    .map_err(doing())?;
                tx.commit().await.map_err(doing())?;
                connection.close().await.map_err(doing())
            })
            .await
        }

        async fn prolong(&self, id: Uuid, span: Duration) -> Result<bool, StoreError> {
            speak::within("hold the blobs", async {
                let doing = || StoreError::of("hold the blobs");
                let mut connection = self.connect().await?;
                let now = self.now(&mut connection).await?;
                let held = sqlx::query("UPDATE holds SET until = $2 WHERE id = $1 AND until > $3")
                    .bind(id.to_string())
                    .bind(now.saturating_add(micros(span)))
                    .bind(now)
                    .execute(&mut connection)
                    .await
                    .map_err(doing())?;
                connection.close().await.map_err(doing())?;
                Ok(held.rows_affected() == 1)
            })
            .await
        }

        async fn let_go(&self, id: Uuid) -> Result<(), StoreError> {
            speak::within("let the blobs go", async {
                let doing = || StoreError::of("let the blobs go");
                let mut connection = self.connect().await?;
                sqlx::query("DELETE FROM holds WHERE id = $1")
                    .bind(id.to_string())
                    .execute(&mut connection)
                    .await
                    .map_err(doing())?;
                connection.close().await.map_err(doing())
            })
            .await
        }

        async fn leave(&self) -> Result<(), StoreError> {
            speak::within("note that the rows were moved away", async {
                let doing = || StoreError::of("note that the rows were moved away");
                let mut connection = self.connect().await?;
                let now = self.now(&mut connection).await?;
                sqlx::query(
                    "INSERT INTO marks (name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )
                .bind(MOVED_AWAY)
                .bind(now)
                .execute(&mut connection)
                .await
                .map_err(doing())?;
                connection.close().await.map_err(doing())
            })
            .await
        }

        $($more)*
        }
    };
}
pub(in crate::store) use archive;
