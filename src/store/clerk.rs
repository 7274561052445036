//! Keeping the books that are not tasks: who does what for all nodes, how far each listener has been told, which
//! requests were answered. Written once for both databases, as the statements are the same.
//!
//! Small writes past the tracker, each by itself, on a connection that is not the tracker's: on SQLite they take turns
//! with it, as there is one writer. None of them touches a task.

use crate::task::{EventSeq, TaskId, Timestamp, TraceParent};

/// Somebody to be told of a task's events, taken for telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Of which task.
    pub task: TaskId,
    /// Where.
    pub url: String,
    /// The newest event that was told or given up.
    pub told: EventSeq,
    /// Failed tries to tell the next one.
    pub tries: u32,
    /// Since when they fail.
    pub since: Option<Timestamp>,
    /// The trace of the task, while there is the task.
    pub traceparent: Option<TraceParent>,
}

/// How a try to tell went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was told that event. While there is a next one, it stays in the hands of whoever told this one.
    Event(EventSeq),
    /// Whoever had it for telling tells no more of it now; what there is to tell, others may.
    Nothing,
    /// It failed, and is tried again after that time.
    Failed {
        /// What went wrong.
        error: String,
        /// The wait.
        again_in: std::time::Duration,
    },
    /// It failed for too long: that event is passed over. As for [`Told::Event`], for the next one.
    GivenUp {
        /// Which event.
        event: EventSeq,
        /// What went wrong last.
        error: String,
    },
}

/// How far the telling of a task's events is, for whoever looks at the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackState {
    /// Whether there is something to tell.
    pub pending: bool,
    /// Failed tries to tell the next event.
    pub tries: u32,
    /// When the next try is, while there is something to tell.
    pub next_at: Option<Timestamp>,
    /// Events that were passed over, since telling them failed for too long.
    pub given_up: u64,
    /// What went wrong last; `None` once it goes well again.
    pub last_error: Option<String>,
}

/// How many tasks were ever made; deletion takes none away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreatedTotal {
    /// By anybody.
    pub total: u64,
    /// By the user who was asked about.
    pub by_user: u64,
}

/// How fast an allowance may be spent, by the generic cell rate algorithm (ITU-T I.371): a use moves an instant on by
/// `cost`, from now at the earliest, and is refused where that would lie more than `burst` in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What one use costs.
    pub cost: std::time::Duration,
    /// How much may be spent ahead.
    pub burst: std::time::Duration,
}

impl Rate {
    /// So many uses in that time, all of which may come at once. `uses` is at least 1.
    #[must_use]
    pub fn per(uses: u32, time: std::time::Duration) -> Self {
        Self { cost: time / uses.max(1), burst: time }
    }
}

/// What other nodes are told through the database, where it can tell.
#[async_trait::async_trait]
pub trait Listener: Send {
    /// The next word. When this fails the listener is of no use any more.
    async fn hear(&mut self) -> Result<String, super::StoreError>;
}

/// A row of `callbacks` as it is taken: task, url, told, tries, since, traceparent.
pub(super) type CallbackRow = (i64, String, i64, i64, Option<i64>, Option<String>);

pub(super) fn callback((task, url, told, tries, since, trace): CallbackRow) -> Callback {
    Callback {
        task: TaskId(task),
        url,
        told: EventSeq(told),
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        since: since.map(Timestamp::from_micros),
        traceparent: trace.and_then(|text| text.parse().ok()),
    }
}

/// A row of `callbacks` as it is shown: next_at, tries, given_up, last_error.
pub(super) type CallbackStateRow = (Option<i64>, i64, i64, Option<String>);

pub(super) fn callback_state((next_at, tries, given_up, last_error): CallbackStateRow) -> CallbackState {
    CallbackState {
        pending: next_at.is_some(),
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        next_at: next_at.map(Timestamp::from_micros),
        given_up: given_up.unsigned_abs(),
        last_error,
    }
}

/// The clerk of an adapter: its connection is in `self.$connection`, `$lock` is what makes others pass over a row.
macro_rules! clerk {
    ($store:ty, $connection:ident, $pass_over:literal, $lock:literal) => {
        impl $store {
            pub(super) async fn write_duty(&self, name: &str, node: NodeId) -> Result<bool, StoreError> {
                let now = self.now().await?.as_micros();
                let mut connection = self.$connection.borrow().await?;
                // Held by whoever has it while their lease holds; theirs to have whose own lease holds.
                let taken = sqlx::query(
                    "INSERT INTO duties (name, node) SELECT $1, $2 WHERE EXISTS (SELECT 1 FROM nodes \
                     WHERE id = $2 AND lease_until > $3) \
                     ON CONFLICT (name) DO UPDATE SET node = excluded.node WHERE duties.node = excluded.node \
                     OR NOT EXISTS (SELECT 1 FROM nodes WHERE id = duties.node AND lease_until > $3)",
                )
                .bind(name)
                .bind(node.to_string())
                .bind(now)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::of("take a duty"))?;
                connection.keep();
                Ok(taken.rows_affected() == 1)
            }

            pub(super) async fn write_open_session(
                &self,
                session: &TokenHash,
                user: UserId,
                password: &PasswordHash,
                span: Duration,
            ) -> Result<bool, StoreError> {
                let now = self.now().await?;
                let mut connection = self.$connection.borrow().await?;
                // On PostgreSQL a change of the password and this would pass each other by without the lock.
                let begun = sqlx::query(concat!(
                    "INSERT INTO sessions (token_hash, owner, created_at, expires_at) SELECT $1, id, $3, $4 FROM users \
                     WHERE id = $2 AND password = $5 AND deleted_at IS NULL ",
                    $lock
                ))
                .bind(session.as_str())
                .bind(user.0)
                .bind(now.as_micros())
                .bind(now.after(span).as_micros())
                .bind(password.as_str())
                .execute(&mut *connection)
                .await
                .map_err(StoreError::of("begin a session"))?;
                connection.keep();
                Ok(begun.rows_affected() > 0)
            }

            pub(super) async fn write_renew_password(
                &self,
                user: UserId,
                old: &PasswordHash,
                new: &PasswordHash,
            ) -> Result<bool, StoreError> {
                let mut connection = self.$connection.borrow().await?;
                let renewed = sqlx::query("UPDATE users SET password = $3 WHERE id = $1 AND password = $2")
                    .bind(user.0)
                    .bind(old.as_str())
                    .bind(new.as_str())
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("hash a password anew"))?;
                connection.keep();
                Ok(renewed.rows_affected() > 0)
            }

            pub(super) async fn write_close_session(&self, session: &TokenHash) -> Result<bool, StoreError> {
                let mut connection = self.$connection.borrow().await?;
                let closed = sqlx::query("DELETE FROM sessions WHERE token_hash = $1")
                    .bind(session.as_str())
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("end a session"))?;
                connection.keep();
                Ok(closed.rows_affected() > 0)
            }

            pub(super) async fn write_spend(
                &self,
                key: &str,
                uses: u32,
                rate: clerk::Rate,
            ) -> Result<Option<Duration>, StoreError> {
                let now = self.now().await?;
                let cost = micros(rate.cost.saturating_mul(uses));
                let most = now.after(rate.burst).as_micros();
                let mut connection = self.$connection.borrow().await?;
                // More was spent ahead than may be: the clock was set back, and it is not held against anybody.
                let spent = sqlx::query(
                    "INSERT INTO allowances (key, spent_until) SELECT $1, $2 + $3 WHERE $2 + $3 <= $4 \
                     ON CONFLICT (key) DO UPDATE SET spent_until = (CASE WHEN allowances.spent_until BETWEEN $2 AND $4 THEN allowances.spent_until ELSE $2 END) \
                     + $3 WHERE (CASE WHEN allowances.spent_until BETWEEN $2 AND $4 THEN allowances.spent_until ELSE $2 END) + $3 \
                     <= $4",
                )
                .bind(key)
                .bind(now.as_micros())
                .bind(cost)
                .bind(most)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::of("spend of an allowance"))?;
                if spent.rows_affected() > 0 {
                    connection.keep();
                    return Ok(None);
                }
                let until: Option<i64> = sqlx::query_scalar("SELECT spent_until FROM allowances WHERE key = $1")
                    .bind(key)
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(StoreError::of("look at an allowance"))?;
                connection.keep();
                let from = until.unwrap_or(0).max(now.as_micros());
                let wait = from.saturating_add(cost).saturating_sub(most);
                Ok(Some(Duration::from_micros(wait.max(1).unsigned_abs())))
            }

            pub(super) async fn write_forgive(&self, key: &str) -> Result<(), StoreError> {
                let mut connection = self.$connection.borrow().await?;
                sqlx::query("DELETE FROM allowances WHERE key = $1")
                    .bind(key)
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("give an allowance back"))?;
                connection.keep();
                Ok(())
            }

            pub(super) async fn write_forget_expired(&self, limit: u32) -> Result<u64, StoreError> {
                let now = self.now().await?.as_micros();
                let mut connection = self.$connection.borrow().await?;
                let mut forgotten = 0;
                for text in [
                    "DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions \
                     WHERE expires_at <= $1 LIMIT $2)",
                    "DELETE FROM allowances WHERE spent_until <= $1 AND key IN (SELECT key FROM allowances \
                     WHERE spent_until <= $1 LIMIT $2)",
                ] {
                    let gone = sqlx::query(text)
                        .bind(now)
                        .bind(i64::from(limit))
                        .execute(&mut *connection)
                        .await
                        .map_err(StoreError::of("forget what is over"))?;
                    forgotten += gone.rows_affected();
                }
                connection.keep();
                Ok(forgotten)
            }

            pub(super) async fn write_drop_duty(&self, name: &str, node: NodeId) -> Result<(), StoreError> {
                let mut connection = self.$connection.borrow().await?;
                sqlx::query("UPDATE duties SET node = NULL WHERE name = $1 AND node = $2")
                    .bind(name)
                    .bind(node.to_string())
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("give a duty back"))?;
                connection.keep();
                Ok(())
            }

            pub(super) async fn write_begin_relay(&self, name: &str) -> Result<(), StoreError> {
                let mut connection = self.$connection.borrow().await?;
                sqlx::query(
                    "INSERT INTO duties (name, told) SELECT $1, coalesce(max(id), 0) FROM events WHERE TRUE \
                     ON CONFLICT (name) DO NOTHING",
                )
                .bind(name)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::of("begin a relay"))?;
                connection.keep();
                Ok(())
            }

            pub(super) async fn write_relay(
                &self,
                name: &str,
                node: NodeId,
                told: Option<EventSeq>,
            ) -> Result<Option<EventSeq>, StoreError> {
                let mut connection = self.$connection.borrow().await?;
                // A relay that was never there before begins with what happens from now on.
                let row: Option<i64> = sqlx::query_scalar(
                    "UPDATE duties SET told = coalesce($3, told, (SELECT coalesce(max(id), 0) FROM events)) \
                     WHERE name = $1 AND node = $2 RETURNING told",
                )
                .bind(name)
                .bind(node.to_string())
                .bind(told.map(|told| told.0))
                .fetch_optional(&mut *connection)
                .await
                .map_err(StoreError::of("note how far a relay is"))?;
                connection.keep();
                Ok(row.map(EventSeq))
            }

            pub(super) async fn write_due_callbacks(
                &self,
                limit: u32,
                hold: Duration,
            ) -> Result<Vec<Callback>, StoreError> {
                let now = self.now().await?;
                let mut connection = self.$connection.borrow().await?;
                let rows: Vec<clerk::CallbackRow> = sqlx::query_as(concat!(
                    "UPDATE callbacks SET next_at = $2 WHERE task IN (SELECT task FROM callbacks \
                     WHERE next_at IS NOT NULL AND next_at <= $1 ORDER BY next_at LIMIT $3 ",
                    $pass_over,
                    ") RETURNING task, url, told, tries, since, \
                     (SELECT traceparent FROM tasks WHERE tasks.id = callbacks.task)"
                ))
                .bind(now.as_micros())
                .bind(now.after(hold).as_micros())
                .bind(i64::from(limit))
                .fetch_all(&mut *connection)
                .await
                .map_err(StoreError::of("take callbacks"))?;
                connection.keep();
                Ok(rows.into_iter().map(clerk::callback).collect())
            }

            pub(super) async fn write_told(&self, task: TaskId, told: &Told) -> Result<bool, StoreError> {
                let doing = || StoreError::of("write down what was told");
                let now = self.now().await?;
                let mut connection = self.$connection.borrow().await?;
                let mut tx = connection.begin().await.map_err(doing())?;
                // Whoever writes an event of the task holds this row until the event can be seen.
                let lock = concat!("SELECT told FROM callbacks WHERE task = $1 ", $lock);
                let Some(before): Option<i64> =
                    sqlx::query_scalar(lock).bind(task.0).fetch_optional(&mut *tx).await.map_err(doing())?
                else {
                    tx.rollback().await.map_err(doing())?;
                    connection.keep();
                    return Ok(false);
                };
                let goes_on = match told {
                    Told::Failed { error, again_in } => {
                        sqlx::query(
                            "UPDATE callbacks SET tries = tries + 1, since = coalesce(since, $2), next_at = $3, \
                             last_error = $4 WHERE task = $1",
                        )
                        .bind(task.0)
                        .bind(now.as_micros())
                        .bind(now.after(*again_in).as_micros())
                        .bind(error)
                        .execute(&mut *tx)
                        .await
                        .map_err(doing())?;
                        false
                    }
                    Told::Event(_) | Told::Nothing | Told::GivenUp { .. } => {
                        let (event, given_up, error) = match told {
                            // Somebody else may have come further, if this one was slow.
                            Told::Event(event) => (event.0.max(before), 0_i64, None),
                            Told::GivenUp { event, error } => (event.0.max(before), 1, Some(error)),
                            Told::Nothing | Told::Failed { .. } => (before, 0, None),
                        };
                        let keeps = !matches!(told, Told::Nothing);
                        // Who goes on keeps it: given free between two events, somebody else would tell the next as well.
                        let next_at: Option<i64> = sqlx::query_scalar(
                            "UPDATE callbacks SET told = $2, tries = 0, since = NULL, \
                             given_up = given_up + $3, last_error = CASE WHEN $7 THEN last_error ELSE $4 END, \
                             next_at = CASE WHEN EXISTS \
                             (SELECT 1 FROM events WHERE task = $1 AND id > $2 AND event <> 'progress') \
                             THEN CASE WHEN $6 THEN coalesce(next_at, $5) ELSE $5 END END \
                             WHERE task = $1 RETURNING next_at",
                        )
                        .bind(task.0)
                        .bind(event)
                        .bind(given_up)
                        .bind(error)
                        .bind(now.as_micros())
                        .bind(keeps)
                        .bind(matches!(told, Told::Nothing))
                        .fetch_one(&mut *tx)
                        .await
                        .map_err(doing())?;
                        keeps && next_at.is_some()
                    }
                };
                sqlx::query(
                    "DELETE FROM callbacks WHERE task = $1 AND next_at IS NULL \
                     AND NOT EXISTS (SELECT 1 FROM tasks WHERE id = $1)",
                )
                .bind(task.0)
                .execute(&mut *tx)
                .await
                .map_err(doing())?;
                tx.commit().await.map_err(doing())?;
                connection.keep();
                Ok(goes_on)
            }

            pub(super) async fn write_replied(&self, task: TaskId) -> Result<(), StoreError> {
                let mut connection = self.$connection.borrow().await?;
                sqlx::query("DELETE FROM replies WHERE task = $1")
                    .bind(task.0)
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("forget a reply address"))?;
                connection.keep();
                Ok(())
            }

            pub(super) async fn write_forget_answers(&self, limit: u32) -> Result<u64, StoreError> {
                let now = self.now().await?.as_micros();
                let mut connection = self.$connection.borrow().await?;
                let gone = sqlx::query(
                    "DELETE FROM remembered WHERE (scope, key) IN (SELECT scope, key FROM remembered \
                     WHERE forget_at <= $1 LIMIT $2)",
                )
                .bind(now)
                .bind(i64::from(limit))
                .execute(&mut *connection)
                .await
                .map_err(StoreError::of("forget old answers"))?;
                connection.keep();
                Ok(gone.rows_affected())
            }

            /// Puts the ready rows of a kind where it is claimed now, should that have been different before.
            pub(super) async fn rehome(&self) -> Result<(), StoreError> {
                let mut connection = self.$connection.borrow().await?;
                let kinds: Vec<&str> = self.outside.iter().map(Kind::as_str).collect();
                sqlx::query(Self::REHOME)
                    .bind(crate::store::row::to_json(&kinds))
                    .bind(i64::from(crate::task::SUSPECT_CRASHES))
                    .execute(&mut *connection)
                    .await
                    .map_err(StoreError::of("sort what is ready"))?;
                connection.keep();
                Ok(())
            }
        }
    };
}

pub(super) use clerk;
