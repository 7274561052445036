//! Counters, portfolios and reports, in SQL that both databases take.

use crate::account::{
    Activity, Count, CounterDay, CounterName, Counters, CountersNow, Day, RecentWork, Stored,
};
use crate::store::StoreError;
use crate::task::{Attempt, Status, TaskId, Timestamp, UserId};

/// The length of what activity and storage are counted by, in microseconds: a quarter of an hour.
pub(in crate::store) const QUARTER: i64 = 900_000_000;

/// Counters of rows: name, value, when it changed.
pub(in crate::store) fn counters(
    user: UserId,
    rows: Vec<(String, i64, i64)>,
) -> Result<CountersNow, StoreError> {
    let updated_at = rows.iter().map(|(.., at)| *at).max().map(Timestamp::from_micros);
    let values = rows.into_iter().map(|(name, value, _)| Ok((name_of(user, &name)?, value)));
    let values = values.collect::<Result<_, StoreError>>()?;
    let counters = Counters::new(values).map_err(|error| corrupt("counters", user, error.to_string()))?;
    Ok(CountersNow { counters, updated_at })
}

/// A day of a counter, of its row: name, day, value.
pub(in crate::store) fn counter_day(
    user: UserId,
    (name, day, value): (String, i64, i64),
) -> Result<CounterDay, StoreError> {
    Ok(CounterDay { name: name_of(user, &name)?, day: Day(day), value })
}

fn name_of(user: UserId, name: &str) -> Result<CounterName, StoreError> {
    name.parse().map_err(|error| corrupt("counters", user, format!("{error}")))
}

fn corrupt(table: &'static str, user: UserId, problem: String) -> StoreError {
    StoreError::Corrupt { table, row: format!("of user {user}"), problem }
}

/// Tasks counted, of a row: kind, status, how many.
pub(in crate::store) fn count(
    user: UserId,
    (kind, status, tasks): (String, String, i64),
) -> Result<Count, StoreError> {
    let kind = kind.parse().map_err(|error| corrupt("tasks", user, format!("{error}")))?;
    let status =
        Status::parse(&status).ok_or_else(|| corrupt("tasks", user, format!("`{status}` is no status")))?;
    Ok(Count { kind, status, tasks: tasks.unsigned_abs() })
}

/// The same within a quarter of an hour, of a row: the quarter, kind, status, how many.
pub(in crate::store) fn activity(
    user: UserId,
    (quarter, kind, status, tasks): (i64, String, String, i64),
) -> Result<Activity, StoreError> {
    let from = Timestamp::from_micros(quarter.saturating_mul(QUARTER));
    Ok(Activity { from, count: count(user, (kind, status, tasks))? })
}

/// What is held of a quarter of an hour, of a row: the quarter, the bytes.
pub(in crate::store) fn stored((quarter, bytes): (i64, i64)) -> Stored {
    Stored { from: Timestamp::from_micros(quarter.saturating_mul(QUARTER)), bytes: bytes.unsigned_abs() }
}

/// The columns of a [`RecentRow`].
pub(in crate::store) const RECENT: &str = "id, kind, status, created_at, finished_at, attempt, error";

/// A row of [`RECENT`].
pub(in crate::store) type RecentRow = (i64, String, String, i64, Option<i64>, i64, Option<String>);

/// A line about a task, of its row.
pub(in crate::store) fn recent(row: RecentRow) -> Result<RecentWork, StoreError> {
    let id = row.0;
    read_recent(row).map_err(|problem| StoreError::Corrupt { table: "tasks", row: id.to_string(), problem })
}

fn read_recent(row: RecentRow) -> Result<RecentWork, String> {
    let (id, kind, status, created_at, finished_at, attempt, error) = row;
    let status = Status::parse(&status).ok_or_else(|| format!("`{status}` is no status"))?;
    let attempt = u32::try_from(attempt).map_err(|_| format!("attempt is {attempt}"))?;
    let error = error.map(|text| serde_json::from_str(&text)).transpose();
    Ok(RecentWork {
        id: TaskId(id),
        kind: kind.parse().map_err(|error| format!("kind: {error}"))?,
        status,
        created_at: Timestamp::from_micros(created_at),
        finished_at: finished_at.filter(|_| status.is_terminal()).map(Timestamp::from_micros),
        attempt: Attempt(attempt),
        error: error.map_err(|problem| format!("error: {problem}"))?,
    })
}

/// [`Reports`](super::Reports) of an adapter.
macro_rules! reports {
    ($store:ty) => {
        impl $store {
            async fn read_counters(&self, user: UserId) -> Result<CountersNow, StoreError> {
                let rows: Vec<(String, i64, i64)> =
                    sqlx::query_as("SELECT name, value, updated_at FROM counters WHERE owner = $1")
                        .bind(user.0)
                        .fetch_all(&self.readers)
                        .await
                        .map_err(StoreError::of("read counters"))?;
                figures::counters(user, rows)
            }

            async fn read_counter_days(&self, user: UserId, from: Day) -> Result<Vec<CounterDay>, StoreError> {
                let rows: Vec<(String, i64, i64)> = sqlx::query_as(
                    "SELECT name, day, value FROM counter_days WHERE owner = $1 AND (day >= $2 OR day = \
                     (SELECT max(day) FROM counter_days AS earlier WHERE earlier.owner = $1 \
                     AND earlier.name = counter_days.name AND earlier.day < $2)) ORDER BY name, day",
                )
                .bind(user.0)
                .bind(from.0)
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("read the days of counters"))?;
                rows.into_iter().map(|row| figures::counter_day(user, row)).collect()
            }

            async fn read_portfolio(
                &self,
                user: UserId,
                since: Timestamp,
                recent: u32,
            ) -> Result<Option<Portfolio>, StoreError> {
                let doing = || StoreError::of("read what a user has");
                let Some(known) = self.read_user(user).await? else { return Ok(None) };
                let totals: Vec<(String, String, i64)> = sqlx::query_as(
                    "SELECT kind, status, count(*) FROM tasks WHERE owner = $1 GROUP BY kind, status \
                     ORDER BY kind, status",
                )
                .bind(user.0)
                .fetch_all(&self.readers)
                .await
                .map_err(doing())?;
                // Division of whole numbers is the same on both databases; instants are after 1970.
                let activity: Vec<(i64, String, String, i64)> = sqlx::query_as(
                    "SELECT created_at / $3 AS quarter, kind, status, count(*) FROM tasks \
                     WHERE owner = $1 AND created_at >= $2 GROUP BY quarter, kind, status \
                     ORDER BY quarter, kind, status",
                )
                .bind(user.0)
                .bind(since.as_micros())
                .bind(figures::QUARTER)
                .fetch_all(&self.readers)
                .await
                .map_err(doing())?;
                // The sum of integers is wider than one on PostgreSQL.
                let (recordings, recorded): (i64, i64) = sqlx::query_as(
                    "SELECT count(DISTINCT recordings.id), CAST(coalesce(sum(task_blobs.bytes), 0) AS BIGINT) \
                     FROM recordings LEFT JOIN task_blobs ON task_blobs.task = recordings.task \
                     WHERE recordings.owner = $1",
                )
                .bind(user.0)
                .fetch_one(&self.readers)
                .await
                .map_err(doing())?;
                let (images, pictured): (i64, i64) = sqlx::query_as(
                    "SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM images \
                     WHERE coalesce(owner, 0) = $1 AND ready_at IS NOT NULL",
                )
                .bind(user.0)
                .fetch_one(&self.readers)
                .await
                .map_err(doing())?;
                let storage: i64 = sqlx::query_scalar(
                    "SELECT CAST(coalesce(sum(task_blobs.bytes), 0) AS BIGINT) FROM tasks \
                     JOIN task_blobs ON task_blobs.task = tasks.id WHERE tasks.owner = $1",
                )
                .bind(user.0)
                .fetch_one(&self.readers)
                .await
                .map_err(doing())?;
                let stored: Vec<(i64, i64)> = sqlx::query_as(
                    "SELECT tasks.created_at / $3 AS quarter, CAST(sum(task_blobs.bytes) AS BIGINT) FROM tasks \
                     JOIN task_blobs ON task_blobs.task = tasks.id \
                     WHERE tasks.owner = $1 AND tasks.created_at >= $2 GROUP BY quarter ORDER BY quarter",
                )
                .bind(user.0)
                .bind(since.as_micros())
                .bind(figures::QUARTER)
                .fetch_all(&self.readers)
                .await
                .map_err(doing())?;
                let text = format!("SELECT {} FROM tasks WHERE owner = $1 ORDER BY id DESC LIMIT $2", figures::RECENT);
                let newest: Vec<figures::RecentRow> = sqlx::query_as(sqlx::AssertSqlSafe(text))
                    .bind(user.0)
                    .bind(i64::from(recent))
                    .fetch_all(&self.readers)
                    .await
                    .map_err(doing())?;
                let holding = |count: i64, bytes: i64| Holding {
                    count: count.unsigned_abs(),
                    bytes: bytes.unsigned_abs(),
                };
                Ok(Some(Portfolio {
                    user: known,
                    counters: self.read_counters(user).await?.counters,
                    history: self.read_counter_days(user, Day::of(since)).await?,
                    totals: totals.into_iter().map(|row| figures::count(user, row)).collect::<Result<_, _>>()?,
                    activity: activity
                        .into_iter()
                        .map(|row| figures::activity(user, row))
                        .collect::<Result<_, _>>()?,
                    recordings: holding(recordings, recorded),
                    images: holding(images, pictured),
                    storage: storage.unsigned_abs(),
                    stored: stored.into_iter().map(figures::stored).collect(),
                    recent: newest.into_iter().map(figures::recent).collect::<Result<_, _>>()?,
                }))
            }

            async fn read_report(&self, id: ReportId) -> Result<Option<Report>, StoreError> {
                let row: Option<(i64, i64, i64)> =
                    sqlx::query_as("SELECT task, owner, expires_at FROM reports WHERE id = $1 AND expires_at > $2")
                        .bind(id.to_string())
                        .bind(self.now().await?.as_micros())
                        .fetch_optional(&self.readers)
                        .await
                        .map_err(StoreError::of("read a report"))?;
                let Some((task, owner, expires_at)) = row else { return Ok(None) };
                let (task, owner) = (TaskId(task), UserId(owner));
                let Some(made_by) = self.read_task(task).await? else { return Ok(None) };
                let attachments = self.read_attachments_of(task).await?;
                Ok(Some(Report {
                    id,
                    owner,
                    task: made_by,
                    pdf: attachments.into_iter().find(|attachment| attachment.role == Role::Output),
                    expires_at: Timestamp::from_micros(expires_at),
                }))
            }

            async fn read_expired_reports(&self, limit: u32) -> Result<Vec<TaskId>, StoreError> {
                let tasks: Vec<i64> = sqlx::query_scalar(
                    "SELECT task FROM reports WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2",
                )
                .bind(self.now().await?.as_micros())
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("look for reports that are over"))?;
                Ok(tasks.into_iter().map(TaskId).collect())
            }
        }

        #[async_trait]
        impl Reports for $store {
            async fn counters(&self, user: UserId) -> Result<CountersNow, StoreError> {
                self.limited(self.read_counters(user)).await
            }

            async fn counter_days(&self, user: UserId, from: Day) -> Result<Vec<CounterDay>, StoreError> {
                self.limited(self.read_counter_days(user, from)).await
            }

            async fn portfolio(
                &self,
                user: UserId,
                since: Timestamp,
                recent: u32,
            ) -> Result<Option<Portfolio>, StoreError> {
                self.limited(self.read_portfolio(user, since, recent)).await
            }

            async fn report(&self, id: ReportId) -> Result<Option<Report>, StoreError> {
                self.limited(self.read_report(id)).await
            }

            async fn expired_reports(&self, limit: u32) -> Result<Vec<TaskId>, StoreError> {
                self.limited(self.read_expired_reports(limit)).await
            }
        }
    };
}

pub(in crate::store) use reports;
