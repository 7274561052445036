//! What is there that need not be: tasks that ended long ago, events of tasks that are gone. Written once for both databases,
//! as the statements are the same.
//!
//! Asked by `tidy`, on the node that cleans up for all. True here: finding removes nothing; tasks go by
//! [`Command::Expire`](super::Command::Expire) alone, which looks at each again under its lock; events go only with all of
//! their task's, once everybody who was to be told of them was.

use async_trait::async_trait;

use super::StoreError;
use crate::task::{EventSeq, Kind, Status, TaskId, Timestamp};

/// Finding what may go.
#[async_trait]
pub trait Housekeeping {
    /// Tasks of that kind that ended so before that instant, the longest ago first, at most `limit`.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn ended(
        &self,
        kind: &Kind,
        status: Status,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError>;

    /// How many there are.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn count_ended(&self, kind: &Kind, status: Status, before: Timestamp) -> Result<u64, StoreError>;

    /// Forgets all events of tasks that were removed before that instant, of at most `limit` of these tasks; says of how
    /// many. Not of those of which a callback is to be told, nor, while events are `relayed`, before they were;
    /// and never the newest of all.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn forget_events(&self, before: Timestamp, relayed: bool, limit: u32) -> Result<u64, StoreError>;

    /// The event up to which those of tasks that are gone may have been forgotten; 0 when none were.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn forgotten_events(&self) -> Result<EventSeq, StoreError>;

    /// When all rows of this database were moved to another, if they were ([`Archive::leave`](super::Archive::leave)): blobs
    /// that none of its rows name are named there, and are not to be swept.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn moved_away(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// The housekeeping of an adapter for `$db`, whose clerk's connection is in `self.$connection`.
macro_rules! housekeeping {
    ($store:ty, $db:ty, $connection:ident) => {
        impl $store {
            async fn read_ended(
                &self,
                kind: &Kind,
                status: Status,
                before: Timestamp,
                limit: u32,
            ) -> Result<Vec<TaskId>, StoreError> {
                let found: Vec<i64> = sqlx::query_scalar(
                    "SELECT id FROM tasks WHERE kind = $1 AND status = $2 AND finished_at < $3 \
                     ORDER BY finished_at LIMIT $4",
                )
                .bind(kind.as_str())
                .bind(status.as_str())
                .bind(before.as_micros())
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::of("look for tasks that ended long ago"))?;
                Ok(found.into_iter().map(TaskId).collect())
            }

            async fn read_count_ended(
                &self,
                kind: &Kind,
                status: Status,
                before: Timestamp,
            ) -> Result<u64, StoreError> {
                let count: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM tasks WHERE kind = $1 AND status = $2 AND finished_at < $3",
                )
                .bind(kind.as_str())
                .bind(status.as_str())
                .bind(before.as_micros())
                .fetch_one(&self.readers)
                .await
                .map_err(StoreError::of("count tasks that ended long ago"))?;
                Ok(count.unsigned_abs())
            }

            async fn drop_events(&self, before: Timestamp, relayed: bool, limit: u32) -> Result<u64, StoreError> {
                let doing = || StoreError::of("forget events of tasks that are gone");
                // The newest stays, by which it is known how far the numbers are. Looked for without the writer's connection: most of the time there is nothing.
                let found: Vec<(i64, i64)> = sqlx::query_as(
                    "SELECT id, task FROM events WHERE event = 'deleted' AND at < $1 AND id < (SELECT max(id) FROM events) \
                     AND (NOT $2 OR id <= coalesce((SELECT min(told) FROM duties), 0)) \
                     AND NOT EXISTS (SELECT 1 FROM callbacks WHERE callbacks.task = events.task AND next_at IS NOT NULL) \
                     ORDER BY at, id LIMIT $3",
                )
                .bind(before.as_micros())
                .bind(relayed)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await
                .map_err(doing())?;
                let Some(last) = found.iter().map(|(id, _)| *id).max() else { return Ok(0) };
                let mut connection = self.$connection.borrow().await?;
                let mut tx = connection.begin().await.map_err(doing())?;
                for table in ["events", "replies"] {
                    let mut text = QueryBuilder::<$db>::new(format!("DELETE FROM {table} WHERE task IN ("));
                    let mut list = text.separated(", ");
                    for (_, task) in &found {
                        list.push_bind(*task);
                    }
                    text.push(")");
                    text.build().execute(&mut *tx).await.map_err(doing())?;
                }
                sqlx::query("UPDATE marks SET value = $1 WHERE name = 'events_forgotten' AND value < $1")
                    .bind(last)
                    .execute(&mut *tx)
                    .await
                    .map_err(doing())?;
                tx.commit().await.map_err(doing())?;
                connection.keep();
                Ok(found.len() as u64)
            }

            async fn read_forgotten_events(&self) -> Result<EventSeq, StoreError> {
                let mark: Option<i64> =
                    sqlx::query_scalar("SELECT value FROM marks WHERE name = 'events_forgotten'")
                        .fetch_optional(&self.readers)
                        .await
                        .map_err(StoreError::of("look which events are forgotten"))?;
                Ok(EventSeq(mark.unwrap_or(0)))
            }

            async fn read_moved_away(&self) -> Result<Option<Timestamp>, StoreError> {
                let mark: Option<i64> = sqlx::query_scalar("SELECT value FROM marks WHERE name = $1")
                    .bind(MOVED_AWAY)
                    .fetch_optional(&self.readers)
                    .await
                    .map_err(StoreError::of("look whether the rows were moved away"))?;
                Ok(mark.map(Timestamp::from_micros))
            }
        }

        #[async_trait]
        impl Housekeeping for $store {
            async fn ended(
                &self,
                kind: &Kind,
                status: Status,
                before: Timestamp,
                limit: u32,
            ) -> Result<Vec<TaskId>, StoreError> {
                self.limited(self.read_ended(kind, status, before, limit)).await
            }

            async fn count_ended(
                &self,
                kind: &Kind,
                status: Status,
                before: Timestamp,
            ) -> Result<u64, StoreError> {
                self.limited(self.read_count_ended(kind, status, before)).await
            }

            async fn forget_events(
                &self,
                before: Timestamp,
                relayed: bool,
                limit: u32,
            ) -> Result<u64, StoreError> {
                self.limited(self.drop_events(before, relayed, limit)).await
            }

            async fn forgotten_events(&self) -> Result<EventSeq, StoreError> {
                self.limited(self.read_forgotten_events()).await
            }

            async fn moved_away(&self) -> Result<Option<Timestamp>, StoreError> {
                self.limited(self.read_moved_away()).await
            }
        }
    };
}

pub(super) use housekeeping;
