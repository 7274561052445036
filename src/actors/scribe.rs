//! Writes down every few seconds what this node counts, for charts. Nothing waits for it: what fails is written with the
//! next.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext, Context, Handler, Message, WrapFuture};

use super::tally::Tally;
use crate::store::Store;

/// What the scribe works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where it writes.
    pub store: Arc<dyn Store>,
    /// What was counted.
    pub tally: Tally,
}

/// Time to write.
#[derive(Message)]
#[rtype(result = "()")]
struct Write;

/// The actor.
pub struct Scribe {
    parts: Parts,
}

impl Scribe {
    /// How often it writes.
    const EVERY: Duration = Duration::from_secs(3);

    /// A scribe.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Scribe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify_later(Write, Self::EVERY);
    }
}

impl Handler<Write> for Scribe {
    type Result = ();

    fn handle(&mut self, _: Write, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let write = async move { parts.write().await };
        ctx.spawn(write.into_actor(self).map(|(), _, ctx| {
            ctx.notify_later(Write, Self::EVERY);
        }));
    }
}

impl Parts {
    async fn write(&self) {
        if let Err(error) = self.tally.write(&*self.store).await {
            tracing::warn!(%error, "what was counted could not be written; it is with the next");
        }
    }
}
