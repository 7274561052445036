//! Tells the broker: every event to the exchange `gristmill.events`, and producers who asked for it how their task ended.
//!
//! One node does it for all (a duty). It reads the events by number, publishes a page with confirms, and only then notes
//! how far it is; so after an outage, or on another node, it goes on where it was: nothing is left out, and what was
//! published just before may come twice, with the same `message_id`. A queue that refuses (it is full, and set to) holds
//! up the others for a moment only; after that it misses what it refuses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Bench;
use super::keeper::Lease;
use crate::broker::{Broker, Publish, PublishError};
use crate::clock::Clock;
use crate::failpoint::{self, Failpoint};
use crate::store::{ReplyTo, Store, StoreError};
use crate::task::{Event, EventName, EventSeq, NodeId, TaskId};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::TellingMetrics;
use crate::telling::{Bell, Ears, Ending, EventMessage};

/// The exchange.
pub const EXCHANGE: &str = "gristmill.events";

/// Its name on the health board.
pub const COMPONENT: &str = "broker events";

/// The duty, and the relay's name.
pub const DUTY: &str = "relay";

/// What the relay works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where and until when it works.
    pub bench: Bench,
    /// What happened.
    pub store: Arc<dyn Store>,
    /// Where to tell it.
    pub broker: Broker,
    /// Under which incarnation.
    pub lease: Lease,
    /// Rung after each commit.
    pub bell: Bell,
    /// Cancelled when the daemon drains.
    pub draining: CancellationToken,
    /// Where to say that events wait.
    pub health: Health,
    /// For the health board.
    pub clock: Clock,
    /// The metrics.
    pub metrics: TellingMetrics,
}

/// The actor.
pub struct Relay {
    parts: Parts,
}

impl Relay {
    /// A relay.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Relay {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        self.parts.bench.work(ctx, parts.run());
    }
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the broker does not take events: {0}")]
    Publish(#[from] PublishError),
    #[error("the exchange `{EXCHANGE}` cannot be had: {0}")]
    Exchange(#[from] crate::broker::TopologyError),
}

impl Parts {
    /// How often to look when no bell rings.
    const POLL: Duration = Duration::from_millis(500);
    /// How often to see whether the duty is free.
    const WAIT: Duration = Duration::from_secs(2);
    /// How often to see whether this node has a lease.
    const LEASE: Duration = Duration::from_millis(100);
    /// The pause after a round that failed.
    const PAUSE: Duration = Duration::from_secs(1);
    /// Events at a time.
    const PAGE: u32 = 500;
    /// For how long all wait for a queue that refuses events.
    const REFUSED: Duration = Duration::from_secs(5);

    async fn run(self) {
        let mut rung = self.bell.ears();
        let mut refused_since = None;
        let mut trouble = None;
        loop {
            let Some(node) = self.lease.holder() else {
                sleep(Self::LEASE).await;
                continue;
            };
            if self.broker.can_publish().is_err() {
                // The duty is for somebody who can do it; the broker's own line on the board says why we cannot.
                sleep(Self::LEASE).await;
                continue;
            }
            match self.serve(node, &mut rung, &mut refused_since, &mut trouble).await {
                Ok(()) => sleep(Self::WAIT.mul_f64(rand::random_range(0.8..1.2))).await,
                // The connection is closed already: the next daemon goes on.
                Err(_) if self.draining.is_cancelled() => std::future::pending().await,
                Err(error) => {
                    // Once for each reason: an outage may last for days, and this is tried every second.
                    if trouble.replace(error.to_string()) == Some(error.to_string()) {
                        tracing::debug!(%error, "events still wait to be told to the broker");
                    } else {
                        tracing::warn!(%error, "events wait to be told to the broker");
                    }
                    self.health.down(COMPONENT, self.clock.utc(), error.to_string());
                    self.let_others(node, &error).await;
                    sleep(Self::PAUSE).await;
                }
            }
        }
    }

    /// Gives the duty back when it is the way from this node to the broker that fails: another's may be open.
    async fn let_others(&self, node: NodeId, error: &RelayError) {
        match error {
            // Nobody can do anything then.
            RelayError::Store(_) => {}
            RelayError::Publish(_) | RelayError::Exchange(_) => {
                if let Err(error) = self.store.drop_duty(DUTY, node).await {
                    tracing::debug!(%error, "the duty to tell events could not be given back");
                }
                if self.broker.can_publish().is_ok() {
                    // It is not for us to do, though the way is open: others take so long to see that it is free.
                    sleep(Self::WAIT * 3 / 2).await;
                }
            }
        }
    }

    /// Does the duty for as long as it is this node's; returns when it is not. `trouble` is what it failed over last.
    async fn serve(
        &self,
        node: NodeId,
        rung: &mut Ears,
        refused_since: &mut Option<Instant>,
        trouble: &mut Option<String>,
    ) -> Result<(), RelayError> {
        if !self.store.hold_duty(DUTY, node).await? {
            self.health.up(COMPONENT);
            return Ok(());
        }
        self.broker.ensure_topic_exchange(EXCHANGE).await?;
        let Some(mut told) = self.store.relay(DUTY, node, None).await? else { return Ok(()) };
        if trouble.is_none() {
            tracing::info!(%told, "this node tells the broker of events");
        }
        loop {
            let events = self.store.events_after(told, Self::PAGE).await?;
            if let Some((last, _)) = events.last() {
                self.publish(&events, refused_since).await?;
                self.reply(&events).await?;
                failpoint::hit(Failpoint::RelayBeforeNote);
                // Somebody else has the duty by now: they go on from where we were.
                match self.store.relay(DUTY, node, Some(*last)).await? {
                    Some(noted) => told = noted,
                    None => return Ok(()),
                }
                self.metrics.relayed(events.len());
                self.health.up(COMPONENT);
                if trouble.take().is_some() {
                    tracing::info!("events are told to the broker again");
                }
                if events.len() == Self::PAGE as usize {
                    continue;
                }
            }
            if self.lease.holder() != Some(node) {
                return Ok(());
            }
            if events.is_empty() && trouble.is_none() {
                self.health.up(COMPONENT);
            }
            tokio::select! {
                () = rung.hear() => {}
                () = sleep(Self::POLL) => {}
            }
        }
    }

    /// Publishes a page. `refused_since` is since when a queue that is bound to the exchange refuses what comes.
    async fn publish(
        &self,
        events: &[(EventSeq, Event)],
        refused_since: &mut Option<Instant>,
    ) -> Result<(), RelayError> {
        let messages = events.iter().map(|(seq, event)| {
            let key = format!("task.{}.{}", event.fact.name().as_str(), event.kind);
            Publish::to_exchange(EXCHANGE, &key, EventMessage::of(*seq, event).json())
                .content_type("application/json")
                .message_id(&seq.to_string())
                .kind("gristmill.event")
                .timestamp(u64::try_from(event.at.as_micros() / 1_000_000).unwrap_or(0))
                .persistent(true)
        });
        let published = self.broker.publish(messages.collect()).await;
        let (mut refused, mut refusal) = (0_usize, None);
        for error in published.into_iter().filter_map(Result::err) {
            match error {
                PublishError::Nacked { .. } => {
                    refused += 1;
                    refusal.get_or_insert(error);
                }
                PublishError::Unavailable { .. }
                | PublishError::Unroutable { .. }
                | PublishError::Refused { .. }
                | PublishError::TimedOut { .. }
                | PublishError::Invalid { .. } => return Err(error.into()),
            }
        }
        let Some(error) = refusal else {
            *refused_since = None;
            return Ok(());
        };
        // All other queues have them already, and would have them again and again.
        if refused_since.get_or_insert_with(Instant::now).elapsed() < Self::REFUSED {
            return Err(error.into());
        }
        tracing::warn!(refused, %error, "a queue bound to the exchange refuses events: it misses them");
        Ok(())
    }

    /// Tells the producers that wait for the end of a task that ended.
    async fn reply(&self, events: &[(EventSeq, Event)]) -> Result<(), RelayError> {
        let ended: Vec<TaskId> =
            events.iter().filter(|(_, event)| ends(event.fact.name())).map(|(_, event)| event.task).collect();
        let waiting: HashMap<TaskId, ReplyTo> = self.store.replies_of(&ended).await?.into_iter().collect();
        for (task, reply_to) in waiting {
            let Some(message) = self.ending(task, &reply_to).await? else { continue };
            let direct = message.is_direct_answer();
            match self.broker.publish_one(message).await {
                Ok(()) => {}
                // Whoever asked is gone, and their queue with them.
                Err(PublishError::Unroutable { .. }) => {
                    tracing::info!(
                        task_id = task.0,
                        queue = reply_to.queue,
                        "nobody waits for the end of the task any more"
                    );
                }
                // The queue is full, or not for us to write to: its owner's to mend, and all others wait for us.
                Err(
                    error @ (PublishError::Nacked { .. }
                    | PublishError::Refused { .. }
                    | PublishError::Invalid { .. }),
                ) => {
                    tracing::warn!(task_id = task.0, %error, "a producer was not told of the end of its task")
                }
                Err(error @ (PublishError::Unavailable { .. } | PublishError::TimedOut { .. })) => {
                    // An address that the broker cannot bear ends the connection each time.
                    if !direct {
                        return Err(error.into());
                    }
                    tracing::warn!(task_id = task.0, %error, "a direct reply address was not told of the end of its task");
                }
            }
            self.store.replied(task).await?;
        }
        Ok(())
    }

    /// What to tell the producer; `None` when the task was made ready again meanwhile, and has not ended after all.
    async fn ending(&self, task: TaskId, reply_to: &ReplyTo) -> Result<Option<Publish>, StoreError> {
        let row = self.store.task(task).await?;
        let body = match &row {
            Some(row) => match Ending::of(row) {
                Some(ending) => ending.json(),
                None => return Ok(None),
            },
            None => format!(r#"{{"id":{task},"status":"Deleted"}}"#),
        };
        let trace = row.and_then(|row| row.traceparent);
        let message = Publish::to_queue(&reply_to.queue, body)
            .content_type("application/json")
            .kind("gristmill.ending")
            .persistent(true)
            .mandatory(true);
        let message = match trace {
            Some(trace) => message.header("traceparent", &trace.to_string()),
            None => message,
        };
        Ok(Some(match &reply_to.correlation_id {
            Some(id) => message.correlation_id(id),
            None => message,
        }))
    }
}

fn ends(name: EventName) -> bool {
    match name {
        EventName::Completed | EventName::Failed | EventName::Cancelled | EventName::Deleted => true,
        EventName::Created | EventName::Started | EventName::Progress | EventName::Retrying => false,
    }
}
