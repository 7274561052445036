//! Pauses and numbers, in SQL that both databases take.

use std::collections::BTreeMap;

use super::{KindLoad, Minute, MinuteCounts, Node, Pause, Spread, start_of};
use crate::store::StoreError;
use crate::task::{Kind, Timestamp, UserId};

/// A row of `paused_kinds`: kind, paused_at, paused_by.
pub(in crate::store) type PauseRow = (String, i64, Option<i64>);

/// A pause, of its row.
pub(in crate::store) fn pause((kind, paused_at, paused_by): PauseRow) -> Result<Pause, StoreError> {
    Ok(Pause {
        kind: kind_of("paused_kinds", kind)?,
        paused_at: Timestamp::from_micros(paused_at),
        paused_by: paused_by.map(UserId),
    })
}

/// Pauses by kind, for a group.
pub(in crate::store) fn pauses(rows: Vec<PauseRow>) -> Result<BTreeMap<Kind, Pause>, StoreError> {
    rows.into_iter().map(|row| pause(row).map(|pause| (pause.kind.clone(), pause))).collect()
}

/// What waits: kind, lane, how many, and from when the first was ready. Lane by lane, since there is an index for each in which
/// the kinds stand together: at a million waiting tasks this is a fifth of a second, and a walk over the table more than one.
pub(in crate::store) const WAITING: &str = "SELECT kind, CAST(0 AS BIGINT), count(*), min(run_at) FROM ready \
    WHERE lane = 0 GROUP BY kind UNION ALL SELECT kind, 1, count(*), 0 FROM ready WHERE lane = 1 GROUP BY kind \
    UNION ALL SELECT kind, 2, count(*), min(run_at) FROM ready WHERE lane = 2 GROUP BY kind \
    UNION ALL SELECT kind, 3, count(*), min(run_at) FROM ready WHERE lane = 3 GROUP BY kind";

/// What waits, by kind and lane (with the time from which its first was ready), and what runs, by kind.
pub(in crate::store) fn loads(
    waiting: Vec<(String, i64, i64, i64)>,
    running: Vec<(String, i64)>,
) -> Result<Vec<KindLoad>, StoreError> {
    let mut loads = BTreeMap::<String, (i64, [i64; 4], Option<i64>)>::new();
    for (kind, lane, tasks, first) in waiting {
        let (_, lanes, oldest) = loads.entry(kind).or_default();
        // The schema allows no other lane.
        if let Some(place) = usize::try_from(lane).ok().and_then(|lane| lanes.get_mut(lane)) {
            *place = tasks;
        }
        if lane != 1 {
            *oldest = Some(oldest.map_or(first, |oldest| oldest.min(first)));
        }
    }
    for (kind, tasks) in running {
        loads.entry(kind).or_default().0 = tasks;
    }
    let load = |(kind, (running, lanes, oldest)): (String, (i64, [i64; 4], Option<i64>))| {
        let [open, parked, suspect, outside] = lanes.map(i64::unsigned_abs);
        let kind = kind_of("tasks", kind)?;
        let oldest = oldest.map(Timestamp::from_micros);
        Ok(KindLoad { kind, open, parked, suspect, outside, running: running.unsigned_abs(), oldest })
    };
    loads.into_iter().map(load).collect()
}

/// A row of `nodes`: id, name, started_at, lease_until, spared, said, said_at.
pub(in crate::store) type NodeRow = (String, String, i64, i64, bool, Option<String>, Option<i64>);

/// A node, of its row.
pub(in crate::store) fn node(row: NodeRow) -> Result<Node, StoreError> {
    let (id, name, started_at, lease_until, spared, said, said_at) = row;
    let number = id.parse().map_err(|_| StoreError::Corrupt {
        table: "nodes",
        row: id,
        problem: "its id is no incarnation".to_owned(),
    })?;
    Ok(Node {
        id: number,
        name,
        started_at: Timestamp::from_micros(started_at),
        lease_until: Timestamp::from_micros(lease_until),
        spared,
        said: said.and_then(|said| serde_json::from_str(&said).ok()),
        said_at: said_at.map(Timestamp::from_micros),
    })
}

/// A row of `kind_minutes`, without who counted: minute, kind, the five counts, waits, runs.
pub(in crate::store) type MinuteRow = (i64, String, i64, i64, i64, i64, i64, String, String);

/// Minutes of the rows of all who counted, ordered by minute and kind, each once.
pub(in crate::store) fn history(rows: Vec<MinuteRow>) -> Result<Vec<Minute>, StoreError> {
    let mut history: Vec<Minute> = Vec::new();
    for row in rows {
        let minute = minute(row)?;
        match history.last_mut() {
            Some(last) if last.from == minute.from && last.kind == minute.kind => {
                last.counts.merge(&minute.counts);
            }
            Some(_) | None => history.push(minute),
        }
    }
    Ok(history)
}

fn minute(row: MinuteRow) -> Result<Minute, StoreError> {
    let (minute, kind, created, completed, failed, cancelled, retried, waits, runs) = row;
    let [created, completed, failed, cancelled, retried] =
        [created, completed, failed, cancelled, retried].map(i64::unsigned_abs);
    let (waits, runs) = (spread(minute, &waits)?, spread(minute, &runs)?);
    let counts = MinuteCounts { created, completed, failed, cancelled, retried, waits, runs };
    Ok(Minute { kind: kind_of("kind_minutes", kind)?, from: start_of(minute), counts })
}

fn spread(minute: i64, text: &str) -> Result<Spread, StoreError> {
    let counts: Result<Vec<u64>, _> = serde_json::from_str(text);
    // Counts for the bounds of another version are of no use here.
    counts.map(|counts| Spread::of(&counts).unwrap_or_default()).map_err(|error| StoreError::Corrupt {
        table: "kind_minutes",
        row: minute.to_string(),
        problem: error.to_string(),
    })
}

/// A count as the databases have it.
pub(in crate::store) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(in crate::store) fn kind_of(table: &'static str, kind: String) -> Result<Kind, StoreError> {
    kind.parse().map_err(|error| StoreError::Corrupt {
        table,
        row: kind.clone(),
        problem: format!("{error}"),
    })
}

/// [`Overview`](super::Overview) of an adapter.
macro_rules! overview {
    ($store:ty, $connection:ident) => {
        impl $store {
            async fn read_pauses(&self) -> Result<Vec<Pause>, StoreError> {
                let found: Vec<rows::PauseRow> =
                    sqlx::query_as("SELECT kind, paused_at, paused_by FROM paused_kinds ORDER BY kind")
                        .fetch_all(&self.readers)
                        .await
                        .map_err(StoreError::of("look which kinds are paused"))?;
                found.into_iter().map(rows::pause).collect()
            }

            async fn read_loads(&self) -> Result<Vec<KindLoad>, StoreError> {
                let doing = || StoreError::of("count what waits and runs");
                let waiting =
                    sqlx::query_as(rows::WAITING)
                        .fetch_all(&self.readers)
                        .await
                        .map_err(doing())?;
                let running =
                    // By the index of what runs, not by that of kinds, which has all that ever were.
                    sqlx::query_as("SELECT kind || '', count(*) FROM tasks WHERE status = 'In Progress' GROUP BY 1")
                        .fetch_all(&self.readers)
                        .await
                        .map_err(doing())?;
                rows::loads(waiting, running)
            }

            async fn read_history(&self, since: Timestamp) -> Result<Vec<Minute>, StoreError> {
                let found: Vec<rows::MinuteRow> = sqlx::query_as(
                    "SELECT minute, kind, created, completed, failed, cancelled, retried, waits, runs \
                     FROM kind_minutes WHERE minute >= $1 ORDER BY minute, kind",
                )
                .bind(minute_of(since))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("read what happened"))?;
                rows::history(found)
            }

            async fn put_history(&self, counter: &str, minutes: &[Minute]) -> Result<(), StoreError> {
                let doing = || StoreError::of("write down what happened");
                let mut connection = self.$connection.borrow().await?;
                let mut tx = connection.begin().await.map_err(doing())?;
                for minute in minutes {
                    let counts = &minute.counts;
                    sqlx::query(
                        "INSERT INTO kind_minutes (minute, kind, counter, created, completed, failed, cancelled, \
                         retried, waits, runs) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                         ON CONFLICT (minute, kind, counter) DO UPDATE SET created = excluded.created, \
                         completed = excluded.completed, failed = excluded.failed, cancelled = excluded.cancelled, \
                         retried = excluded.retried, waits = excluded.waits, runs = excluded.runs",
                    )
                    .bind(minute_of(minute.from))
                    .bind(minute.kind.as_str())
                    .bind(counter)
                    .bind(rows::number(counts.created))
                    .bind(rows::number(counts.completed))
                    .bind(rows::number(counts.failed))
                    .bind(rows::number(counts.cancelled))
                    .bind(rows::number(counts.retried))
                    .bind(to_json(&counts.waits.counts()))
                    .bind(to_json(&counts.runs.counts()))
                    .execute(&mut *tx)
                    .await
                    .map_err(doing())?;
                }
                tx.commit().await.map_err(doing())?;
                connection.keep();
                Ok(())
            }

            async fn drop_history(&self, before: Timestamp) -> Result<u64, StoreError> {
                let mut connection = self.$connection.borrow().await?;
                let gone = sqlx::query("DELETE FROM kind_minutes WHERE minute < $1")
                    .bind(minute_of(before))
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("forget what happened"))?;
                connection.keep();
                Ok(gone.rows_affected())
            }

            async fn put_node(&self, node: NodeId, report: &NodeReport) -> Result<(), StoreError> {
                let now = self.now().await?;
                let mut connection = self.$connection.borrow().await?;
                sqlx::query("UPDATE nodes SET said = $2, said_at = $3 WHERE id = $1")
                    .bind(node.to_string())
                    .bind(to_json(report))
                    .bind(now.as_micros())
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("write down what the node says of itself"))?;
                connection.keep();
                Ok(())
            }

            async fn read_nodes(&self, limit: u32) -> Result<Vec<Node>, StoreError> {
                let now = self.now().await?;
                let mut found: Vec<rows::NodeRow> = sqlx::query_as(
                    "SELECT id, name, started_at, lease_until, spared, said, said_at FROM nodes \
                     ORDER BY CASE WHEN lease_until > $2 THEN 0 ELSE 1 END, started_at DESC, id LIMIT $1",
                )
                .bind(i64::from(limit))
                .bind(now.as_micros())
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("list nodes"))?;
                // Those that live are among them whatever came and went since; the order is that of their starts.
                found.sort_by(|one, other| other.2.cmp(&one.2).then_with(|| one.0.cmp(&other.0)));
                found.into_iter().map(rows::node).collect()
            }

            async fn read_totals(&self) -> Result<Totals, StoreError> {
                // By an index, in whose words SQLite wants to be asked.
                let (failed,): (i64,) = sqlx::query_as(
                    "SELECT count(*) FROM tasks WHERE status = 'Failed' AND status IN ('Failed', 'Cancelled')",
                )
                .fetch_one(&self.readers)
                .await
                .map_err(StoreError::of("count what ended badly"))?;
                let created = self.read_created_total(None).await?;
                Ok(Totals { failed: failed.unsigned_abs(), created: created.total })
            }
        }

        #[async_trait]
        impl Overview for $store {
            async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
                self.limited(self.read_pauses()).await
            }

            async fn loads(&self) -> Result<Vec<KindLoad>, StoreError> {
                self.limited(self.read_loads()).await
            }

            async fn selected(
                &self,
                selection: &Selection,
                after: Option<TaskId>,
                limit: u32,
            ) -> Result<Vec<TaskId>, StoreError> {
                self.limited(self.read_selected(selection, after, limit)).await
            }

            async fn history(&self, since: Timestamp) -> Result<Vec<Minute>, StoreError> {
                self.limited(self.read_history(since)).await
            }

            async fn write_history(&self, counter: &str, minutes: &[Minute]) -> Result<(), StoreError> {
                self.limited(self.put_history(counter, minutes)).await
            }

            async fn forget_history(&self, before: Timestamp) -> Result<u64, StoreError> {
                self.limited(self.drop_history(before)).await
            }

            async fn tell_node(&self, node: NodeId, report: &NodeReport) -> Result<(), StoreError> {
                self.limited(self.put_node(node, report)).await
            }

            async fn nodes(&self, limit: u32) -> Result<Vec<Node>, StoreError> {
                self.limited(self.read_nodes(limit)).await
            }

            async fn totals(&self) -> Result<Totals, StoreError> {
                self.limited(self.read_totals()).await
            }
        }
    };
}

/// The functions of an adapter whose transaction is `Tx` that write pauses.
macro_rules! write_pauses {
    () => {
        /// Kinds that are paused, or are not any more. Another node may have paused them at this very moment.
        async fn write_pauses(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
            for (kind, pause) in &changes.pauses {
                let query = match pause {
                    Some(pause) => sqlx::query(
                        "INSERT INTO paused_kinds (kind, paused_at, paused_by) VALUES ($1, $2, $3) \
                         ON CONFLICT (kind) DO NOTHING",
                    )
                    .bind(kind.as_str())
                    .bind(pause.paused_at.as_micros())
                    .bind(pause.paused_by.map(|user| user.0)),
                    None => sqlx::query("DELETE FROM paused_kinds WHERE kind = $1").bind(kind.as_str()),
                };
                query.execute(&mut **tx).await.map_err(StoreError::of("pause a kind"))?;
            }
            Ok(())
        }
    };
}

pub(in crate::store) use {overview, write_pauses};
