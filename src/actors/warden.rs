//! Looks at this machine's disks once a second, so that whoever takes something new knows without asking the system, and
//! says on the health board and in the log when one is too full, and when it is not any more.
//!
//! Started by the composition root; what it sees is in [`Space`]. True here: there is one look at a time, on a thread that
//! may wait; a disk that hangs leaves what was known last.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext, Context, Handler, Message, WrapFuture};

use crate::clock::Clock;
use crate::store::Store;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::DiskMetrics;
use crate::telemetry::space::{Low, Space};

/// The name of the disks on the health board.
pub const COMPONENT: &str = "storage";

/// What the warden works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// What is known of the disks.
    pub space: Space,
    /// Which tells what its file has free in it.
    pub store: Arc<dyn Store>,
    /// Where to say that a disk is too full.
    pub health: Health,
    /// For the health board.
    pub clock: Clock,
    /// The disks' gauges.
    pub metrics: DiskMetrics,
}

/// Time to look.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// The actor.
pub struct Warden {
    parts: Parts,
    /// The disks that were too full when it looked last.
    low: Vec<Low>,
}

impl Warden {
    /// How often it looks.
    const EVERY: Duration = Duration::from_secs(1);

    /// A warden.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, low: Vec::new() }
    }
}

impl Actor for Warden {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify(Look);
    }
}

impl Handler<Look> for Warden {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let look = async move { parts.look().await };
        ctx.spawn(look.into_actor(self).map(|low, this, ctx| {
            if let Some(low) = low {
                this.tell(low);
            }
            ctx.notify_later(Look, Self::EVERY);
        }));
    }
}

impl Parts {
    /// The disks that are too full; `None` when nobody could look.
    async fn look(&self) -> Option<Vec<Low>> {
        let inside = if self.space.holds_database() {
            // When it cannot be read, only what is free outside counts.
            self.store.reusable().await.unwrap_or_else(|error| {
                tracing::debug!(%error, "what the database has free inside cannot be read");
                0
            })
        } else {
            0
        };
        let (space, metrics) = (self.space.clone(), self.metrics.clone());
        tokio::task::spawn_blocking(move || space.look(inside, &metrics)).await.ok()
    }
}

impl Warden {
    fn tell(&mut self, low: Vec<Low>) {
        for disk in &low {
            if self.low.iter().all(|before| before.disk != disk.disk) {
                tracing::error!(
                    disk = disk.disk.as_str(),
                    free = disk.free,
                    least = disk.least,
                    "a disk is nearly full: nothing new is taken until there is room (storage.min_free_bytes)"
                );
            }
        }
        for disk in &self.low {
            if low.iter().all(|now| now.disk != disk.disk) {
                tracing::info!(disk = disk.disk.as_str(), "a disk has room again");
            }
        }
        if low.is_empty() {
            self.parts.health.up(COMPONENT);
        } else {
            let names: Vec<&str> = low.iter().map(|low| low.disk.as_str()).collect();
            let reason = format!("nearly full, so nothing new is taken: {}", names.join(", "));
            self.parts.health.down(COMPONENT, self.parts.clock.utc(), reason);
        }
        self.low = low;
    }
}
