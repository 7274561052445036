//! The janitor's part in backups: a task of that kind when its time has come, and how old the newest is.
//!
//! Time is cut into slots of `backup.every_h`, counted from `backup.at_h` on the database's clock. A slot that has begun gets one
//! task, whichever node comes first: the request is remembered by the slot's number, as those of callers are by their keys. So
//! a daemon that was down at the hour makes up for it when it is back, once.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};

use super::{Janitor, Parts};
use crate::backup::{Backups, Manifest};
use crate::kinds;
use crate::store::{NewTask, Once, Remember, RememberedAnswer, Reply, WriteError};
use crate::task::{Timestamp, UserId};
use crate::telemetry::metrics::BackupMetrics;

/// How often to look whether a slot has begun.
const LOOK: Duration = Duration::from_secs(30);

/// How often to look at the backups themselves: in a bucket each look is paid for.
const LOOK_THERE: Duration = Duration::from_secs(300);

/// How soon after the start: the lease is there by then, or nearly.
const SOON: Duration = Duration::from_secs(2);

/// How long one try may take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the janitor knows of backups.
#[derive(Clone)]
pub struct Plan {
    /// Where they are.
    pub backups: Backups,
    /// How often one is made; `None` for never.
    pub every: Option<Duration>,
    /// From which time of the day that is counted.
    pub at: Duration,
    /// Tries of one.
    pub max_attempts: u32,
    /// What is told of them.
    pub metrics: BackupMetrics,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Schedule;

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LookAtBackups;

/// Begins to look after backups.
pub(super) fn begin(plan: &Plan, ctx: &mut Context<Janitor>) {
    plan.metrics.set_interval(plan.every.unwrap_or_default());
    if plan.every.is_some() {
        ctx.notify_later(Schedule, SOON);
    }
    ctx.notify_later(LookAtBackups, SOON);
}

/// The number of the slot that `now` is in.
fn slot(now: Timestamp, every: Duration, at: Duration) -> i64 {
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    now.as_micros().saturating_sub(micros(at)).div_euclid(micros(every).max(1))
}

impl Handler<Schedule> for Janitor {
    type Result = ();

    fn handle(&mut self, _: Schedule, ctx: &mut Context<Self>) {
        let Some(every) = self.parts.backup.every else { return };
        let parts = self.parts.clone();
        let duty = self.has_duty();
        let schedule = async move { if duty { parts.schedule_backup(every).await } else { Ok(()) } };
        ctx.spawn(schedule.into_actor(self).map(|scheduled, _, ctx| {
            if let Err(error) = scheduled {
                tracing::warn!(%error, "a backup could not be scheduled; tried again soon");
            }
            ctx.notify_later(Schedule, LOOK);
        }));
    }
}

impl Handler<LookAtBackups> for Janitor {
    type Result = ();

    fn handle(&mut self, _: LookAtBackups, ctx: &mut Context<Self>) {
        // Not at once on duty: looked at again soon, until it is known who is.
        if !self.has_duty() {
            ctx.notify_later(LookAtBackups, LOOK);
            return;
        }
        let plan = self.parts.backup.clone();
        let look = async move { tokio::task::spawn_blocking(move || plan.backups.newest()).await };
        ctx.spawn(look.into_actor(self).map(|newest, this, ctx| {
            match newest {
                Ok(Ok(Some(newest))) => this.parts.backup.tell(&newest),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the backups could not be looked at"),
                Err(error) => tracing::warn!(%error, "looking at the backups ended early"),
            }
            ctx.notify_later(LookAtBackups, LOOK_THERE);
        }));
    }
}

impl Plan {
    fn tell(&self, newest: &Manifest) {
        let took = newest.finished_at.since(newest.created_at);
        self.metrics.made(newest.created_at, took, newest.bytes() + newest.blob_bytes);
    }
}

/// Why no backup was scheduled.
#[derive(Debug, thiserror::Error)]
enum ScheduleError {
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Parts {
    /// Makes the task of this slot, unless it was made.
    async fn schedule_backup(&self, every: Duration) -> Result<(), ScheduleError> {
        let slot = slot(self.store.now().await?, every, self.backup.at);
        let key = format!("{} h, {slot}", every.as_secs() / 3600);
        if self.store.is_answered(SCOPE, &key).await? {
            return Ok(());
        }
        let task = NewTask {
            max_attempts: self.backup.max_attempts,
            timeout: Some(LONGEST),
            // While one is at work, the next slot's is the same one.
            unique_key: Some("scheduled".to_owned()),
            ..NewTask::plain(kinds::backup::kind(), Some(UserId::NOBODYS))
        };
        let made = RememberedAnswer { status: 201, location: None, body: String::new() };
        let remember = Remember {
            scope: SCOPE.to_owned(),
            key,
            request: "scheduled".to_owned(),
            keep: every * 2,
            answer: Arc::new(move |reply: &Reply| matches!(reply, Reply::Created(_)).then(|| made.clone())),
        };
        match self.writer.create(vec![task], Some(remember)).await? {
            Once::Now(_) => tracing::info!("a backup is scheduled"),
            // Another node was quicker.
            Once::Before(_) => {}
            Once::KeyReused => tracing::warn!(
                "no backup is scheduled: the key of this slot is another request's, so nodes of different versions are at work; \
                 the next slot is tried again"
            ),
            Once::OverQuota(quota, usage) => {
                tracing::warn!(?quota, ?usage, "no backup is scheduled: a quota refuses its task");
            }
        }
        Ok(())
    }
}

/// Whose keys the slots are: no caller's scope has this name.
const SCOPE: &str = "janitor: backups";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_begin_at_their_hour() {
        let hour = |hours: u64| Duration::from_secs(hours * 3600);
        let at = |day: u64, hours: u64| Timestamp::from_micros(0).after(hour(day * 24 + hours));
        let daily = |now| slot(now, hour(24), hour(3));
        assert_eq!(daily(at(20_000, 2)) + 1, daily(at(20_000, 3)));
        assert_eq!(daily(at(20_000, 3)), daily(at(20_001, 2)));
        let often = |now| slot(now, hour(6), hour(3));
        assert_eq!(often(at(20_000, 9)), often(at(20_000, 14)));
        assert_eq!(often(at(20_000, 14)) + 1, often(at(20_000, 15)));
    }
}
