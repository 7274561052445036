//! Writes down every few seconds what this node counts, for charts, and what it has to say of itself, for those who run the
//! daemon: the latter when it changed, and now and then all the same. Nothing waits for it: what fails is written with the next.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext, Context, Handler, Message, WrapFuture};

use super::demand::Demand;
use super::keeper::Lease;
use super::tally::Tally;
use crate::store::{ComponentReport, NodeReport, PermitsReport, Store};
use crate::task::{NodeId, Timestamp};
use crate::telemetry::health::{Component, Health};

/// What the scribe works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where it writes.
    pub store: Arc<dyn Store>,
    /// What was counted.
    pub tally: Tally,
    /// Under which incarnation the node speaks.
    pub lease: Lease,
    /// How its components are.
    pub health: Health,
    /// What it runs.
    pub demand: Demand,
    /// The words of its roles.
    pub roles: Vec<String>,
    /// The name of its machine.
    pub host: String,
}

/// What was said last, by which incarnation, and how many ticks ago.
type Said = Option<(NodeId, NodeReport, u32)>;

/// Time to write.
#[derive(Message)]
#[rtype(result = "()")]
struct Write;

/// The actor.
pub struct Scribe {
    parts: Parts,
    said: Said,
    /// Whether there was a lease to speak under.
    has_spoken: bool,
}

impl Scribe {
    /// How often it writes.
    const EVERY: Duration = Duration::from_secs(3);
    /// The same while the node is not known to have a lease yet.
    const AT_FIRST: Duration = Duration::from_millis(200);
    /// After so many times of nothing new the node says again what it said.
    const AGAIN: u32 = 20;

    /// A scribe.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, said: None, has_spoken: false }
    }
}

impl Actor for Scribe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify_later(Write, Self::AT_FIRST);
    }
}

impl Handler<Write> for Scribe {
    type Result = ();

    fn handle(&mut self, _: Write, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let said = self.said.take();
        let write = async move { parts.write(said).await };
        ctx.spawn(write.into_actor(self).map(|said, this, ctx| {
            this.has_spoken |= said.is_some();
            let pause = if this.has_spoken { Self::EVERY } else { Self::AT_FIRST };
            this.said = said;
            ctx.notify_later(Write, pause);
        }));
    }
}

impl Parts {
    /// Writes what there is to write; gives what the node has said by then.
    async fn write(&self, said: Said) -> Said {
        if let Err(error) = self.tally.write(&*self.store).await {
            tracing::warn!(%error, "what was counted could not be written; it is with the next");
        }
        let node = self.lease.holder()?;
        let report = self.report();
        if let Some((of, last, age)) = said
            && of == node
            && last == report
            && age < Scribe::AGAIN
        {
            return Some((node, report, age + 1));
        }
        if let Err(error) = self.store.tell_node(node, &report).await {
            tracing::warn!(%error, "how this node is could not be written; the next time it is");
            // Not said, so that it is said next time; and no sooner.
            return Some((node, report, Scribe::AGAIN));
        }
        Some((node, report, 0))
    }

    fn report(&self) -> NodeReport {
        let (board, mut restarts) = (self.health.snapshot(), self.health.restarts());
        let instant = |at: chrono::DateTime<chrono::Utc>| Timestamp::from_micros(at.timestamp_micros());
        let component = |(name, component): (String, Component)| {
            let trouble = component.state.trouble();
            let restarts = restarts.remove(&name);
            let report = ComponentReport {
                importance: component.importance.as_str().to_owned(),
                state: component.state.as_str().to_owned(),
                since: trouble.map(|(since, _)| instant(since)),
                message: trouble.map(|(_, reason)| reason.to_owned()),
                restarts: restarts.as_ref().map_or(0, |restarts| restarts.count),
                restarted_at: restarts.as_ref().map(|restarts| instant(restarts.last)),
                restarted_because: restarts.map(|restarts| restarts.reason),
            };
            (name, report)
        };
        let kinds = self.demand.permits().map(|(kind, permits, free)| {
            (kind.to_string(), PermitsReport { permits, taken: permits.saturating_sub(free) })
        });
        NodeReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.host.clone(),
            roles: self.roles.clone(),
            phase: board.phase.as_str().to_owned(),
            ready: board.ready,
            degraded: board.degraded,
            components: board.components.into_iter().map(component).collect(),
            kinds: kinds.collect(),
        }
    }
}
