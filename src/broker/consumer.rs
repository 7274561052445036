//! Consuming: batches of deliveries, acknowledged as a whole.
//!
//! A [`Consumer`] belongs to one task, which asks it for batches. True here:
//! - It attaches itself again for as long as it lives: after a lost connection, a queue that was deleted under it, a
//!   channel that was closed over it. Nobody has to notice.
//! - A future that is dropped loses nothing: what has arrived waits inside for the next call.
//! - An acknowledgement of a delivery whose channel is gone is [`Lost`]: the broker delivers it again, to us or to
//!   another. So what is done about a delivery must be harmless when done twice.
//! - The broker sends no more than the prefetch before an acknowledgement, which bounds what waits inside.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions};
use rand::Rng;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::attach::{Attached, Attempt, Subscription, jittered};
use super::link::{Board, Link};
use super::message::Delivery;
use super::topology::{Declare, QueueState, Topology, TopologyError};
use crate::telemetry::metrics::BrokerMetrics;

/// The pause after a failed attempt to attach, at the least and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The channel that a delivery came on is gone: it will come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the broker was lost before the acknowledgement: the messages come again")]
pub struct Lost;

/// Deliveries that were there together, in their order; not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
}

/// A consumer of one queue. To be used by one task.
pub struct Consumer {
    link: Link,
    board: Board,
    patience: Duration,
    metrics: BrokerMetrics,
    subscription: Subscription,
    /// Counts the channels.
    generation: u64,
    attached: Option<Attached>,
    /// Arrived, not given out.
    waiting: VecDeque<Delivery>,
    /// Not acknowledged, given out or waiting.
    unacked: BTreeSet<u64>,
    paused: bool,
    failures: u32,
    /// When to try again.
    not_before: Instant,
    /// An attempt to attach that is under way: it goes on when nobody waits for it.
    attempt: Option<AbortOnDropHandle<Result<Attached, TopologyError>>>,
    /// A question whether we are still attached, likewise.
    question: Option<AbortOnDropHandle<Result<QueueState, TopologyError>>>,
}

/// What the wait for a delivery ended with.
enum Heard {
    Delivery(Box<lapin::message::Delivery>),
    Ended(String),
    Silence,
    Answer(Result<QueueState, TopologyError>),
}

impl Consumer {
    pub(super) fn new(
        link: Link,
        board: Board,
        patience: Duration,
        metrics: BrokerMetrics,
        subscription: Subscription,
    ) -> Self {
        Self {
            link,
            board,
            patience,
            metrics,
            subscription,
            generation: 0,
            attached: None,
            waiting: VecDeque::new(),
            unacked: BTreeSet::new(),
            paused: false,
            failures: 0,
            not_before: Instant::now(),
            attempt: None,
            question: None,
        }
    }

    /// The next deliveries: waits for one, and takes what else is there, at most `max` (at least 1). Never ends; while
    /// paused, it gives what had arrived before and then waits.
    pub async fn batch(&mut self, max: usize) -> Batch {
        loop {
            self.take_what_is_there();
            if !self.waiting.is_empty() {
                let count = max.max(1).min(self.waiting.len());
                return Batch { deliveries: self.waiting.drain(..count).collect() };
            }
            if self.paused {
                return std::future::pending().await;
            }
            self.attach().await;
            match self.hear().await {
                Heard::Delivery(delivery) => self.arrived(*delivery),
                Heard::Ended(reason) => self.detach(&reason),
                Heard::Silence => self.ask(),
                Heard::Answer(answer) => self.answered(answer),
            }
        }
    }

    /// Acknowledges a batch.
    ///
    /// # Errors
    /// [`Lost`]: all of it comes again.
    pub async fn ack(&mut self, batch: &Batch) -> Result<(), Lost> {
        let tags = self.tags_of(&batch.deliveries)?;
        let (Some(first), Some(last)) = (tags.first().copied(), tags.last().copied()) else { return Ok(()) };
        let alone = self.unacked.range(..=last).count() == tags.len();
        if alone && first != last {
            return self.settle(&tags, last, Settle::AckUpTo).await;
        }
        // Something older is not done yet: it must not be acknowledged along.
        for tag in tags {
            self.settle(&[tag], tag, Settle::Ack).await?;
        }
        Ok(())
    }

    /// Acknowledges deliveries one by one, in whatever order.
    ///
    /// # Errors
    /// [`Lost`]: those that are not acknowledged yet come again.
    pub async fn ack_each(&mut self, deliveries: &[&Delivery]) -> Result<(), Lost> {
        for delivery in deliveries {
            for tag in self.tags_of(std::slice::from_ref(*delivery))? {
                self.settle(&[tag], tag, Settle::Ack).await?;
            }
        }
        Ok(())
    }

    /// Whether a delivery may still be acknowledged, as far as is known: the channel on which it came stands. If not, it
    /// comes again.
    #[must_use]
    pub fn holds(&self, delivery: &Delivery) -> bool {
        let stands = |attached: &Attached| {
            !attached.open.ended.is_cancelled() && attached.channel.status().connected()
        };
        delivery.generation == self.generation && self.attached.as_ref().is_some_and(stands)
    }

    /// Refuses a delivery: it goes to the queue's dead letters, or away if the queue has none.
    ///
    /// # Errors
    /// [`Lost`]: it comes again.
    pub async fn reject(&mut self, delivery: &Delivery) -> Result<(), Lost> {
        for tag in self.tags_of(std::slice::from_ref(delivery))? {
            self.settle(&[tag], tag, Settle::Reject).await?;
        }
        Ok(())
    }

    /// Takes nothing more. What is not acknowledged stays ours, and may be acknowledged still.
    pub async fn pause(&mut self) {
        self.paused = true;
        if self.attempt.is_some() {
            // What it begins must be ended.
            self.attempted().await;
        }
        let Some(attached) = &mut self.attached else { return };
        let Some(stream) = attached.stream.take() else { return };
        let cancel = attached.channel.basic_cancel(stream.tag(), BasicCancelOptions::default());
        let cancelled = timeout(self.patience, cancel).await;
        // What came before the broker had heard us is ours too.
        let mut stream = stream;
        while let Some(Some(Ok(delivery))) = stream.next().now_or_never() {
            self.arrived(delivery);
        }
        match cancelled {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.detach(&self.link.endpoint().told(&error)),
            Err(_) => {
                self.give_up();
                self.detach("no answer to the end of a subscription");
            }
        }
    }

    /// The same, for good: first lets come what the broker may be sending already, until it may send no more before an
    /// acknowledgement, or nothing came for as long as `quiet`. What a quorum queue sends while it is told to stop never
    /// reaches us, and counts as given back once.
    pub async fn pause_in_good_order(&mut self, quiet: Duration) {
        while self.unacked.len() < usize::from(self.subscription.prefetch)
            && self.attached.as_ref().is_some_and(|attached| attached.stream.is_some())
        {
            match timeout(quiet, self.hear()).await {
                Ok(Heard::Delivery(delivery)) => self.arrived(*delivery),
                Ok(Heard::Ended(reason)) => self.detach(&reason),
                Ok(Heard::Answer(_)) => {}
                Ok(Heard::Silence) | Err(_) => break,
            }
        }
        self.pause().await;
    }

    /// Takes deliveries again.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The tags of deliveries that are not acknowledged yet, in order.
    fn tags_of(&self, deliveries: &[Delivery]) -> Result<Vec<u64>, Lost> {
        if deliveries.iter().any(|delivery| delivery.generation != self.generation) || self.attached.is_none()
        {
            return Err(Lost);
        }
        let tags: BTreeSet<u64> = deliveries.iter().map(|delivery| delivery.tag).collect();
        Ok(tags.intersection(&self.unacked).copied().collect())
    }

    async fn settle(&mut self, tags: &[u64], tag: u64, how: Settle) -> Result<(), Lost> {
        let Some(attached) = &self.attached else { return Err(Lost) };
        let channel = &attached.channel;
        let told = async {
            match how {
                Settle::AckUpTo => channel.basic_ack(tag, BasicAckOptions { multiple: true }).await,
                Settle::Ack => channel.basic_ack(tag, BasicAckOptions { multiple: false }).await,
                Settle::Reject => {
                    channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: false }).await
                }
            }
        };
        let told = timeout(self.patience, told).await;
        if let Ok(Ok(())) = told {
            for tag in tags {
                self.unacked.remove(tag);
            }
            if how != Settle::Reject {
                self.metrics.acked(tags.len() as u64);
            }
            return Ok(());
        }
        match told {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.detach(&self.link.endpoint().told(&error)),
            Err(_) => {
                self.give_up();
                self.detach("no answer to an acknowledgement");
            }
        }
        Err(Lost)
    }

    fn arrived(&mut self, received: lapin::message::Delivery) {
        self.metrics.delivered(1);
        self.unacked.insert(received.delivery_tag);
        self.waiting.push_back(Delivery::new(received, self.generation));
        if let Some(attached) = &mut self.attached {
            attached.ask = Instant::now() + jittered(self.subscription.liveness);
        }
    }

    fn take_what_is_there(&mut self) {
        while let Some(stream) = self.attached.as_mut().and_then(|attached| attached.stream.as_mut()) {
            match stream.next().now_or_never() {
                None => return,
                Some(Some(Ok(delivery))) => self.arrived(delivery),
                Some(Some(Err(error))) => self.detach(&self.link.endpoint().told(&error)),
                Some(None) => self.detach("the broker ended the subscription"),
            }
        }
    }

    /// Waits for something to happen.
    async fn hear(&mut self) -> Heard {
        let Some(attached) = &mut self.attached else { return Heard::Silence };
        let Some(stream) = &mut attached.stream else { return Heard::Silence };
        let question = &mut self.question;
        let answer = async {
            match question {
                Some(asked) => {
                    let answer = asked.await;
                    *question = None;
                    answer.unwrap_or_else(|error| Err(broken(&error)))
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            delivery = stream.next() => match delivery {
                Some(Ok(delivery)) => Heard::Delivery(Box::new(delivery)),
                Some(Err(error)) => Heard::Ended(self.link.endpoint().told(&error)),
                None => Heard::Ended("the broker ended the subscription".to_owned()),
            },
            () = attached.open.ended.cancelled() => Heard::Ended("the connection ended".to_owned()),
            answer = answer => Heard::Answer(answer),
            () = sleep_until(attached.ask) => Heard::Silence,
        }
    }

    /// Attached, however long it takes.
    async fn attach(&mut self) {
        while self.attached.as_ref().is_none_or(|attached| attached.stream.is_none()) {
            if self.attempt.is_none() {
                sleep_until(self.not_before).await;
                let open = self.link.up().await;
                // After a pause the channel may still be good, and what is not acknowledged hangs on it.
                let kept = self.attached.as_ref().filter(|attached| {
                    attached.open.generation == open.generation && attached.channel.status().connected()
                });
                let attempt = Attempt {
                    kept: kept.map(|attached| (attached.channel.clone(), attached.queue.clone())),
                    link: self.link.clone(),
                    open,
                    patience: self.patience,
                    subscription: self.subscription.clone(),
                };
                if attempt.kept.is_none() {
                    self.begin_anew();
                }
                self.attempt = Some(AbortOnDropHandle::new(tokio::spawn(attempt.run())));
            }
            self.attempted().await;
        }
    }

    /// Waits for the attempt that is under way.
    async fn attempted(&mut self) {
        let Some(attempt) = &mut self.attempt else { return };
        let result = attempt.await.unwrap_or_else(|error| Err(broken(&error)));
        self.attempt = None;
        match result {
            Ok(attached) => {
                tracing::debug!(queue = attached.queue, "consuming");
                self.board.well(&self.name());
                self.failures = 0;
                self.attached = Some(attached);
            }
            Err(error) => {
                self.begin_anew();
                self.failed(&error);
            }
        }
    }

    /// A new channel: what came on the last one comes again.
    fn begin_anew(&mut self) {
        self.generation += 1;
        self.attached = None;
        self.question = None;
        self.waiting.clear();
        self.unacked.clear();
    }

    fn detach(&mut self, reason: &str) {
        tracing::info!(queue = self.subscription.queue, reason, "no longer consuming: attaching again");
        self.begin_anew();
    }

    fn give_up(&self) {
        if let Some(attached) = &self.attached {
            attached.open.give_up(&format!("no answer within {} s", self.patience.as_secs_f64()));
        }
    }

    /// Asks on another channel whether the queue is there and has a consumer.
    fn ask(&mut self) {
        let Some(attached) = &mut self.attached else { return };
        attached.ask = Instant::now() + jittered(self.subscription.liveness);
        let (link, open, queue) = (self.link.clone(), Arc::clone(&attached.open), attached.queue.clone());
        let patience = self.patience;
        let question = async move { Topology { link: &link, open: &open, patience }.look(&queue).await };
        self.question = Some(AbortOnDropHandle::new(tokio::spawn(question)));
    }

    fn answered(&mut self, answer: Result<QueueState, TopologyError>) {
        match answer {
            Ok(found) if found.consumers > 0 => {}
            Ok(_) => self.detach("the queue has no consumer, though we had subscribed"),
            Err(error) => self.detach(&error.to_string()),
        }
    }

    fn failed(&mut self, error: &TopologyError) {
        match error {
            // The connection's own trouble, and told as such.
            TopologyError::Unavailable { .. } => {}
            TopologyError::Missing { .. }
            | TopologyError::Differs { .. }
            | TopologyError::Refused { .. }
            | TopologyError::BadName { .. } => {
                let reason = format!("queue {}: {error}", self.subscription.queue);
                if self.board.trouble(&self.name(), &reason) {
                    tracing::warn!(queue = self.subscription.queue, %error, "cannot consume");
                }
            }
        }
        self.failures += 1;
        let bound = PAUSES.0.saturating_mul(1 << self.failures.min(16)).min(PAUSES.1);
        self.not_before = Instant::now() + bound.mul_f64(rand::rng().random_range(0.5..=1.0));
    }

    fn name(&self) -> String {
        match &self.subscription.declare {
            Declare::Fanout { exchange } => format!("consumer of exchange {exchange}"),
            Declare::AttachOrCreate(_) | Declare::Ours(_) => {
                format!("consumer of {}", self.subscription.queue)
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.board.forget(&self.name());
    }
}

/// A fault of ours, as what the broker might say.
fn broken(error: &tokio::task::JoinError) -> TopologyError {
    tracing::error!(%error, "a task of a consumer panicked");
    TopologyError::Unavailable { reason: "a task of the consumer panicked".to_owned() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settle {
    AckUpTo,
    Ack,
    Reject,
}
