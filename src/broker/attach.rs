//! Attaching a consumer to its queue: what is asked for, one attempt, and what it gives.
//!
//! Called by `consumer.rs`, which keeps the attempt under way in a task of its own. True here: an attempt that fails
//! leaves nothing behind but what was there before it.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use rand::Rng;
use tokio::time::Instant;

use super::link::{Link, Open};
use super::topology::{Declare, Topology, TopologyError, short};

/// What to consume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The queue; not looked at for [`Declare::Fanout`], whose queue the broker names.
    pub queue: String,
    /// What the queue should be.
    pub declare: Declare,
    /// How many deliveries may wait for their acknowledgement, 1 to 65,535.
    pub prefetch: u16,
    /// The consumer's name, for people who look at the broker; the broker invents one if it is empty.
    pub consumer_tag: String,
    /// After so long without a delivery the consumer asks the broker whether it is still attached (somewhat earlier or
    /// later, so that many do not ask together).
    pub liveness: Duration,
}

impl Subscription {
    /// A subscription that asks after 30 s of silence whether it still stands.
    pub fn new(queue: &str, declare: Declare, prefetch: u16, consumer_tag: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            declare,
            prefetch,
            consumer_tag: consumer_tag.to_owned(),
            liveness: Duration::from_secs(30),
        }
    }
}

/// A channel that consumes, or did until a pause.
pub(super) struct Attached {
    pub(super) open: Arc<Open>,
    pub(super) channel: Channel,
    pub(super) queue: String,
    /// `None` while paused.
    pub(super) stream: Option<lapin::Consumer>,
    /// When to ask whether we are still attached.
    pub(super) ask: Instant,
}

/// One attempt to attach, with what it needs of its own.
pub(super) struct Attempt {
    pub(super) link: Link,
    pub(super) open: Arc<Open>,
    pub(super) patience: Duration,
    pub(super) subscription: Subscription,
    /// The channel and queue of before a pause.
    pub(super) kept: Option<(Channel, String)>,
}

impl Attempt {
    pub(super) async fn run(self) -> Result<Attached, TopologyError> {
        let Subscription { queue, declare, prefetch, consumer_tag, liveness } = &self.subscription;
        let topology = Topology { link: &self.link, open: &self.open, patience: self.patience };
        let (channel, queue) = match self.kept {
            Some(kept) => kept,
            None => {
                let found = topology.declare(queue, declare).await?;
                let channel = topology.channel().await?;
                let qos = channel.basic_qos(*prefetch, BasicQosOptions::default());
                topology.within(&found.name, qos).await?;
                (channel, found.name)
            }
        };
        let consume = channel.basic_consume(
            short(&queue)?,
            short(consumer_tag)?,
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let stream = topology.within(&queue, consume).await?;
        let ask = Instant::now() + jittered(*liveness);
        Ok(Attached { open: Arc::clone(&self.open), channel, queue, stream: Some(stream), ask })
    }
}

/// Somewhat less or more.
pub(super) fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::rng().random_range(0.8..=1.2))
}
