//! Looks at this machine's disks once a second, so that whoever takes something new knows without asking the system, and
//! says on the health board and in the log when one is too full, and when it is not any more.
//!
//! Started by the composition root; what it sees is in [`Space`]. True here: there is one look at a time, on a thread that
//! may wait; a disk that hangs leaves what was known last, and so does a database that does not say what is free inside.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::time::timeout;

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
    /// For how long it waits for the database, whose readers may all be busy, before it looks at the disks without its word.
    const PATIENCE: Duration = Duration::from_secs(1);

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
        let inside = free_inside(&self.space, &*self.store).await;
        let (space, metrics) = (self.space.clone(), self.metrics.clone());
        tokio::task::spawn_blocking(move || space.look(inside, &metrics)).await.ok()
    }
}

/// What the database's file has free in it, where it is one of this machine; `None` when it does not say so in time.
pub async fn free_inside(space: &Space, store: &dyn Store) -> Option<u64> {
    if !space.holds_database() {
        return None;
    }
    match timeout(Warden::PATIENCE, store.reusable()).await {
        Ok(Ok(inside)) => Some(inside),
        Ok(Err(error)) => {
            tracing::debug!(%error, "what the database has free inside cannot be read");
            None
        }
        Err(_) => {
            tracing::debug!("the database does not say in time what it has free inside");
            None
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;
    use crate::telemetry::disk::room_at;
    use crate::telemetry::metrics::Disk;

    #[tokio::test]
    async fn what_was_free_inside_counts_while_the_database_does_not_answer() {
        let (home, clock) = (tempfile::tempdir().unwrap(), Clock::system());
        let file = home.path().join("gristmill.db");
        let store = SqliteStore::open(&file, 1, Duration::from_secs(30), clock.clone()).await.unwrap();
        // Far more must be free than is, and far less than there is with what is inside.
        let free = room_at(home.path()).unwrap().free;
        let parts = Parts {
            space: Space::watching(vec![(Disk::Database, home.path().to_owned())], free * 2, 0),
            store: Arc::new(store),
            health: Health::default(),
            clock,
            metrics: DiskMetrics::new(),
        };
        assert!(parts.space.look(Some(free * 9), &parts.metrics).is_empty());
        parts.store.close().await;
        assert!(parts.look().await.unwrap().is_empty());
        assert!(parts.space.for_rows().is_ok());
        assert_eq!(parts.space.look(Some(0), &parts.metrics).len(), 1, "it would be low without");
    }
}
