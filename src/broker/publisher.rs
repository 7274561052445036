//! Publishing with confirms.
//!
//! [`Publisher::publish`] sends a group of messages and waits for the broker's word on each. True here:
//! - `Ok` means that the broker has the message, and that a queue took it if it is mandatory.
//! - Nothing waits for a connection, or for a broker that blocks: that is an error at once, and the caller's to try
//!   again. An error does not prove that the message is not there: receivers know it by its id.
//! - Each exchange has a channel of its own: the broker closes the channel over an exchange that is missing, and that
//!   must not hit messages to others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, ExchangeKind, PublisherConfirm};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::link::{Link, Open};
use super::message::Publish;
use crate::telemetry::metrics::{BrokerMetrics, PublishResult};

/// The most messages on their way at a time.
const IN_FLIGHT: u32 = 1024;

/// The most channels kept.
const LANES: usize = 16;

/// A message that the broker does not have, or may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no connection, it was lost before the confirm, or the broker blocks publishing.
    #[error("{reason}")]
    Unavailable {
        /// Why, with the broker's place.
        reason: String,
    },
    /// It is mandatory, and no queue takes it.
    #[error("no queue takes it (exchange {exchange:?}, routing key {routing_key:?}): {reason}")]
    Unroutable {
        /// Where it was published to.
        exchange: String,
        /// With this key.
        routing_key: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker could not keep it.
    #[error(
        "the broker refused it (exchange {exchange:?}, routing key {routing_key:?}): its queue is full or failed"
    )]
    Nacked {
        /// Where it was published to.
        exchange: String,
        /// With this key.
        routing_key: String,
    },
    /// The broker does not take such a message: the exchange is missing, or we may not publish to it.
    #[error("the broker refused it (exchange {exchange:?}): {reason}")]
    Refused {
        /// Where it was published to.
        exchange: String,
        /// The broker's words.
        reason: String,
    },
    /// No confirm came in time. The broker may have it.
    #[error("no confirm within {} s", after.as_secs_f64())]
    TimedOut {
        /// The time limit.
        after: Duration,
    },
    /// The protocol cannot carry it.
    #[error("the message cannot be sent: {reason}")]
    Invalid {
        /// Why.
        reason: String,
    },
}

impl PublishError {
    fn label(&self) -> PublishResult {
        match self {
            Self::Unavailable { .. } => PublishResult::Unavailable,
            Self::Unroutable { .. } => PublishResult::Unroutable,
            Self::Nacked { .. } | Self::Refused { .. } | Self::Invalid { .. } => PublishResult::Refused,
            Self::TimedOut { .. } => PublishResult::TimedOut,
        }
    }
}

type Sent = Result<(), PublishError>;

pub(super) struct Publisher {
    link: Link,
    patience: Duration,
    lanes: Mutex<HashMap<String, Lane>>,
    room: Semaphore,
    metrics: BrokerMetrics,
}

/// The channel of one exchange.
#[derive(Clone)]
struct Lane {
    generation: u64,
    channel: Channel,
    /// A confirm was given up: lapin would remember it for as long as the channel lives.
    stale: Arc<AtomicBool>,
}

/// A message on its way.
struct Pending {
    place: usize,
    confirm: PublisherConfirm,
    lane: Lane,
    done: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            self.lane.stale.store(true, Ordering::Relaxed);
        }
    }
}

impl Publisher {
    pub(super) fn new(link: Link, patience: Duration, metrics: BrokerMetrics) -> Self {
        let room = Semaphore::new(IN_FLIGHT as usize);
        Self { link, patience, lanes: Mutex::default(), room, metrics }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn can_publish(&self) -> Result<(), PublishError> {
        self.usable().map(|_| ())
    }

    pub(super) async fn publish(&self, messages: &[Publish]) -> Vec<Sent> {
        let mut results = Vec::with_capacity(messages.len());
        for group in messages.chunks(IN_FLIGHT as usize) {
            results.extend(self.publish_group(group).await);
        }
        for result in &results {
            let label = result.as_ref().err().map_or(PublishResult::Confirmed, PublishError::label);
            self.metrics.published(label, 1);
        }
        results
    }

    async fn publish_group(&self, group: &[Publish]) -> Vec<Sent> {
        let open = match self.usable() {
            Ok(open) => open,
            Err(error) => return vec![Err(error); group.len()],
        };
        let deadline = Instant::now() + self.patience;
        let wanted = u32::try_from(group.len()).unwrap_or(IN_FLIGHT);
        let Ok(Ok(_room)) = timeout_at(deadline, self.room.acquire_many(wanted)).await else {
            let reason = self.link.endpoint().in_place("too many messages wait for their confirms");
            return vec![Err(PublishError::Unavailable { reason }); group.len()];
        };

        let mut results: Vec<Option<Sent>> = vec![None; group.len()];
        let mut pending: Vec<Pending> = Vec::with_capacity(group.len());
        let begun = Instant::now();
        let exchange = async {
            // What the broker refused of an exchange once is not asked again for each message.
            let mut refused = HashMap::<&str, PublishError>::new();
            for (place, message) in group.iter().enumerate() {
                if let Some(error) = refused.get(message.exchange.as_str()) {
                    results[place] = Some(Err(error.clone()));
                    continue;
                }
                match self.send(&open, message).await {
                    Ok((confirm, lane)) => pending.push(Pending { place, confirm, lane, done: false }),
                    Err(error) => {
                        if matches!(error, PublishError::Refused { .. }) {
                            refused.insert(message.exchange.as_str(), error.clone());
                        }
                        results[place] = Some(Err(error));
                    }
                }
            }
            for one in &mut pending {
                let confirmation = (&mut one.confirm).await;
                one.done = true;
                results[one.place] = Some(self.judged(&group[one.place], confirmation, begun));
            }
        };
        let cut_short = self.unless_cut_short(&open, deadline, exchange).await.err();
        if let Some(error) = cut_short {
            // One that is late must not hide the word on those behind it.
            for one in pending.iter_mut().filter(|one| !one.done) {
                // Only the broker's own word: an error here is the end that the cut has just made.
                if let Some(Ok(confirmation)) = (&mut one.confirm).now_or_never() {
                    one.done = true;
                    results[one.place] = Some(self.judged(&group[one.place], Ok(confirmation), begun));
                }
            }
            results.iter_mut().for_each(|result| {
                result.get_or_insert_with(|| Err(error.clone()));
            });
        }
        let late = || Err(PublishError::TimedOut { after: self.patience });
        results.into_iter().map(|result| result.unwrap_or_else(late)).collect()
    }

    /// The connection, if it takes messages now.
    fn usable(&self) -> Result<Arc<Open>, PublishError> {
        let open =
            self.link.now().map_err(|reason| PublishError::Unavailable { reason: reason.to_string() })?;
        match blocked_reason(&open) {
            Some(reason) => Err(PublishError::Unavailable { reason: self.link.endpoint().in_place(&reason) }),
            None => Ok(open),
        }
    }

    /// The work, unless the connection ends, the broker blocks it, or time is up: that connection is given up.
    async fn unless_cut_short(
        &self,
        open: &Open,
        deadline: Instant,
        work: impl Future<Output = ()>,
    ) -> Result<(), PublishError> {
        let mut blocked = open.blocked.clone();
        let unavailable =
            |reason: &str| Err(PublishError::Unavailable { reason: self.link.endpoint().in_place(reason) });
        tokio::select! {
            biased;
            () = work => Ok(()),
            _ = blocked.wait_for(Option::is_some) => {
                unavailable(&blocked_reason(open).unwrap_or_else(|| "the connection ended".to_owned()))
            }
            () = open.ended.cancelled() => unavailable("the connection ended before the confirm"),
            () = sleep_until(deadline) => {
                open.give_up(&format!("no confirm within {} s", self.patience.as_secs_f64()));
                Err(PublishError::TimedOut { after: self.patience })
            }
        }
    }

    async fn send(&self, open: &Open, message: &Publish) -> Result<(PublisherConfirm, Lane), PublishError> {
        if let Some(reason) = &message.fault {
            return Err(PublishError::Invalid { reason: reason.clone() });
        }
        // To the broker a direct reply address is no queue: it delivers, and says that it did not.
        let mandatory = message.mandatory && !message.is_direct_answer();
        let sending = async {
            let lane = self.lane(open, message.exchange.as_str()).await?;
            let options = BasicPublishOptions { mandatory, immediate: false };
            let confirm = lane
                .channel
                .basic_publish(
                    message.exchange.clone(),
                    message.routing_key.clone(),
                    options,
                    &message.body,
                    message.sealed(),
                )
                .await?;
            Ok((confirm, lane))
        };
        sending.await.map_err(|error| self.told(message, &error))
    }

    /// The channel of an exchange, fresh if the last one was closed.
    async fn lane(&self, open: &Open, exchange: &str) -> lapin::Result<Lane> {
        let mut lanes = self.lanes.lock().await;
        if let Some(lane) = lanes.get(exchange)
            && lane.generation == open.generation
            && lane.channel.status().connected()
            && !lane.stale.load(Ordering::Relaxed)
        {
            return Ok(lane.clone());
        }
        let channel = open.connection.create_channel().await?;
        if !exchange.is_empty() {
            // Told here if it is missing: a channel that the broker closes while messages are on their way to it may take
            // the whole connection along.
            let look = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            channel
                .exchange_declare(exchange.into(), ExchangeKind::Topic, look, FieldTable::default())
                .await?;
        }
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let lane = Lane { generation: open.generation, channel, stale: Arc::default() };
        if lanes.len() >= LANES {
            // More exchanges than anybody uses at a time: start over.
            lanes.clear();
        }
        lanes.insert(exchange.to_owned(), lane.clone());
        Ok(lane)
    }

    fn judged(&self, message: &Publish, confirmation: lapin::Result<Confirmation>, begun: Instant) -> Sent {
        let exchange = || message.exchange.to_string();
        let routing_key = || message.routing_key.to_string();
        match confirmation {
            // A message that found no queue is acknowledged as well.
            Ok(Confirmation::Ack(Some(returned))) => Err(PublishError::Unroutable {
                exchange: exchange(),
                routing_key: routing_key(),
                reason: returned.reply_text.to_string(),
            }),
            Ok(Confirmation::Ack(None)) => {
                self.metrics.confirmed_after(begun.elapsed());
                Ok(())
            }
            Ok(Confirmation::Nack(_)) => {
                Err(PublishError::Nacked { exchange: exchange(), routing_key: routing_key() })
            }
            Ok(Confirmation::NotRequested) => {
                Err(PublishError::Unavailable { reason: "the channel gives no confirms".to_owned() })
            }
            Err(error) => Err(self.told(message, &error)),
        }
    }

    fn told(&self, message: &Publish, error: &lapin::Error) -> PublishError {
        let reason = self.link.endpoint().told(error);
        if error.is_amqp_soft_error() {
            PublishError::Refused { exchange: message.exchange.to_string(), reason }
        } else {
            PublishError::Unavailable { reason }
        }
    }
}

fn blocked_reason(open: &Open) -> Option<String> {
    open.blocked.borrow().clone()
}
