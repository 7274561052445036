//! Reads new events from the store and gives them to this node's listeners, once for all of them. Reads nothing while
//! nobody listens, and no more than the newest number while all only want to know whether there is anything new.
//!
//! What wakes it: the tracker's bell after each commit, what other nodes announce, the first listener, and a poll
//! behind them. It reads by number, so whatever a wake-up was lost costs a poll's wait and no event.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use tokio::time::sleep;

use super::Bench;
use crate::store::Store;
use crate::task::EventSeq;
use crate::telemetry::metrics::TellingMetrics;
use crate::telling::{Bell, Feed};

/// What the notifier works with; shared by its incarnations.
#[derive(Clone)]
pub struct Parts {
    /// Where and until when it works.
    pub bench: Bench,
    /// What happened.
    pub store: Arc<dyn Store>,
    /// Who listens.
    pub feed: Feed,
    /// Rung after each commit.
    pub bell: Bell,
    /// The metrics.
    pub metrics: TellingMetrics,
}

/// The actor.
pub struct Notifier {
    parts: Parts,
}

impl Notifier {
    /// A notifier.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        self.parts.bench.work(ctx, parts.run());
    }
}

impl Parts {
    /// How often to look when nobody says that there is anything: how late events of other nodes come at the worst.
    const POLL: Duration = Duration::from_millis(500);
    /// The pause after a read that failed.
    const PAUSE: Duration = Duration::from_secs(1);
    /// The pause after a look for those who only want to know whether there is anything new.
    const REST: Duration = Duration::from_millis(100);
    /// Events read at a time.
    const PAGE: u32 = 1_000;

    async fn run(self) {
        let (mut rung, mut arrivals) = (self.bell.ears(), self.feed.arrivals());
        let mut told: Option<EventSeq> = None;
        loop {
            self.metrics.set_listeners(self.feed.listeners());
            if self.feed.listeners() == 0 {
                told = None;
                if self.feed.pulses() == 0 {
                    arrivals.hear().await;
                    continue;
                }
                self.beat().await;
                // Whoever feels the pulse does not count the beats.
                sleep(Self::REST).await;
                tokio::select! {
                    () = rung.hear() => {}
                    () = arrivals.hear() => {}
                    () = sleep(Self::POLL) => {}
                }
                continue;
            }
            match self.tell(told).await {
                Ok((until, more)) => {
                    told = Some(until);
                    if more {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "events could not be read for those who listen");
                    sleep(Self::PAUSE).await;
                    continue;
                }
            }
            tokio::select! {
                () = rung.hear() => {}
                () = arrivals.hear() => {}
                () = sleep(Self::POLL) => {}
            }
        }
    }

    /// Tells those who only want to know whether there is anything new.
    async fn beat(&self) {
        match self.store.newest_event().await {
            Ok(newest) => self.feed.beat(newest),
            Err(error) => {
                tracing::warn!(%error, "whether there are events could not be seen");
                sleep(Self::PAUSE).await;
            }
        }
    }

    /// Gives the listeners what came after `told`, and says how far that is and whether there may be more.
    async fn tell(&self, told: Option<EventSeq>) -> Result<(EventSeq, bool), crate::store::StoreError> {
        let Some(after) = told else {
            // From here on all is told live. Those who listen read for themselves what came before.
            let newest = self.store.newest_event().await?;
            self.feed.publish(newest, newest, &[]);
            return Ok((newest, true));
        };
        let events = self.store.events_after(after, Self::PAGE).await?;
        let Some((until, _)) = events.last() else { return Ok((after, false)) };
        self.feed.publish(after, *until, &events);
        Ok((*until, events.len() == Self::PAGE as usize))
    }
}
