//! The broker (RabbitMQ): connections that come back, publishing with confirms, consuming in batches.
//!
//! The composition root starts one [`Broker`] when `broker.url` is set; the actors that take tasks from queues, spread
//! hints and relay events use it, and `gristmill dead` as well. It knows AMQP and nothing of tasks. True here:
//! - The daemon never waits for the broker: starting returns at once, publishing without a connection is an error at
//!   once, and consumers wait by themselves.
//! - Messages go out on one connection and come in on another: in an alarm RabbitMQ stops reading from those that
//!   publish, and acknowledgements must still get through. Answers to direct reply addresses have one of their own, which
//!   a made-up address may end without harm to anything else.
//! - The component `broker` on the health board is optional: without it the node is ready, and `degraded`.
//! - No user and no password is in any error, log line, metric or `Debug` of this room.
//!
//! | file | owns |
//! | --- | --- |
//! | `endpoint.rs` | where the broker is; one attempt to connect |
//! | `repair.rs` | what would break the connection, made harmless on its way in |
//! | `link.rs` | a connection that is kept up; the line on the health board |
//! | `topology.rs` | queues, exchanges, bindings |
//! | `publisher.rs` | sending, and the broker's word on each message |
//! | `attach.rs` | what a consumer asks for, and one attempt to get it |
//! | `consumer.rs` | batches of deliveries and their acknowledgement |
//! | `message.rs` | messages going out and coming in |
//! | `browse.rs` | a look into a queue |
//! | `dead.rs` | the queue of messages that are no tasks |
//! | `letters.rs` | looking after it |

mod attach;
mod browse;
mod consumer;
mod dead;
mod endpoint;
mod letters;
mod link;
mod message;
mod publisher;
mod repair;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use lapin::ExchangeKind;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::attach::Subscription;
pub use self::browse::Browser;
pub use self::consumer::{Batch, Consumer, Lost};
pub use self::dead::{Burial, DIED_HEADER, QUEUE_HEADER, REASON_HEADER, dead_queue, died_at, original_queue};
pub use self::endpoint::BrokerFileError;
pub use self::letters::{Bounds, Choice, DeadQueue, DeadQueueError, Letter, Looked, Removal, Removed, Which};
pub use self::message::{Delivery, Publish};
pub use self::publisher::PublishError;
pub use self::topology::{DeadLetters, Declare, OwnQueue, QueueState, TopologyError};

use self::endpoint::Endpoint;
use self::link::{Board, Link};
use self::publisher::Publisher;
use self::topology::Topology;
use crate::clock::Clock;
use crate::config::BrokerSettings;
use crate::telemetry::health::{Health, Importance};
use crate::telemetry::metrics::{BrokerConnection, BrokerMetrics};

/// Its name on the health board.
pub const COMPONENT: &str = "broker";

/// The broker. Clones share its connections.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    publishing: Link,
    consuming: Link,
    publisher: Publisher,
    /// For direct answers: made with the first of them.
    answerer: OnceCell<Publisher>,
    board: Board,
    health: Health,
    metrics: BrokerMetrics,
    patience: Duration,
    closing: CancellationToken,
    clock: Clock,
}

impl Broker {
    /// Begins to connect, on the current tokio runtime, and returns at once; `None` when the settings name no broker.
    ///
    /// # Errors
    /// [`BrokerFileError`] when a file that the settings name cannot be used.
    pub fn start(
        settings: &BrokerSettings,
        health: Health,
        clock: Clock,
    ) -> Result<Option<Self>, BrokerFileError> {
        let Some(endpoint) = Endpoint::new(settings)? else { return Ok(None) };
        let endpoint = Arc::new(endpoint);
        let closing = CancellationToken::new();
        let metrics = BrokerMetrics::new();
        health.register(COMPONENT, Importance::Optional);
        let board = Board::new(health.clone(), clock.clone(), COMPONENT, closing.clone());
        let link = |which| {
            let endpoint = Arc::clone(&endpoint);
            Link::start(which, endpoint, settings.retry_cap, board.clone(), metrics.clone(), closing.clone())
        };
        let publishing = link(BrokerConnection::Publishing);
        let consuming = link(BrokerConnection::Consuming);
        let publisher = Publisher::new(publishing.clone(), settings.confirm_timeout, metrics.clone());
        let inner = Inner {
            publishing,
            consuming,
            publisher,
            answerer: OnceCell::new(),
            board,
            health,
            metrics,
            patience: settings.confirm_timeout,
            closing,
            clock,
        };
        Ok(Some(Self { inner: Arc::new(inner) }))
    }

    /// Waits until both connections stand.
    ///
    /// # Errors
    /// Why they do not, when they do not within `patience`.
    pub async fn until_up(&self, patience: Duration) -> Result<(), String> {
        let up = async {
            self.inner.publishing.up().await;
            self.inner.consuming.up().await;
        };
        if timeout(patience, up).await.is_ok() {
            return Ok(());
        }
        let why =
            [&self.inner.publishing, &self.inner.consuming].into_iter().find_map(|link| link.now().err());
        why.map_or(Ok(()), |reason| Err(reason.to_string()))
    }

    /// Whether messages can be published now, as far as is known.
    ///
    /// # Errors
    /// Why not.
    pub fn can_publish(&self) -> Result<(), PublishError> {
        self.inner.publisher.can_publish()
    }

    /// Publishes messages, and gives the broker's word on each, in their order, within the time limit
    /// (`broker.confirm_timeout_s`) a thousand. Without a connection, or while the broker blocks publishing, that is an
    /// error at once. `Ok` means that the broker has the message; after any other word it may still have it.
    pub async fn publish(&self, messages: Vec<Publish>) -> Vec<Result<(), PublishError>> {
        let inner = &*self.inner;
        if !messages.iter().any(Publish::is_direct_answer) {
            return inner.publisher.publish(&messages).await;
        }
        let order: Vec<bool> = messages.iter().map(Publish::is_direct_answer).collect();
        let (direct, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(Publish::is_direct_answer);
        let mut others = inner.publisher.publish(&others).await.into_iter();
        let mut direct = self.answerer().await.publish(&direct).await.into_iter();
        order
            .into_iter()
            .filter_map(|is_direct| if is_direct { direct.next() } else { others.next() })
            .collect()
    }

    /// Publishes one message, as [`Broker::publish`].
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish_one(&self, message: Publish) -> Result<(), PublishError> {
        self.publish(vec![message]).await.pop().unwrap_or(Ok(()))
    }

    /// A consumer; it attaches itself when it is first asked for a batch.
    pub fn consume(&self, subscription: Subscription) -> Consumer {
        let inner = &*self.inner;
        let (link, board, metrics) = (inner.consuming.clone(), inner.board.clone(), inner.metrics.clone());
        Consumer::new(link, board, inner.patience, metrics, subscription)
    }

    /// A consumer of everything that is published to a fan-out exchange from now on (from its first batch on, and not
    /// while the connection is down): for signals to every node, which may be lost.
    pub fn subscribe_fanout(&self, exchange: &str) -> Consumer {
        let declare = Declare::Fanout { exchange: exchange.to_owned() };
        self.consume(Subscription::new(exchange, declare, 1000, ""))
    }

    /// A look into a queue.
    ///
    /// # Errors
    /// [`TopologyError::Missing`] when there is no such queue.
    pub async fn browse(&self, queue: &str) -> Result<Browser, TopologyError> {
        Browser::open(self.inner.consuming.clone(), queue, self.inner.patience).await
    }

    /// The queue as it should be, made when missing.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn ensure_queue(&self, queue: &str, declare: &Declare) -> Result<QueueState, TopologyError> {
        self.asking(async |topology| topology.declare(queue, declare).await).await
    }

    /// The queue as it is.
    ///
    /// # Errors
    /// [`TopologyError::Missing`] when there is no such queue.
    pub async fn queue(&self, queue: &str) -> Result<QueueState, TopologyError> {
        self.asking(async |topology| topology.look(queue).await).await
    }

    /// Removes all messages that wait in a queue, and says how many.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn purge_queue(&self, queue: &str) -> Result<u32, TopologyError> {
        self.asking(async |topology| topology.purge(queue).await).await
    }

    /// Removes a queue and what is in it, and says how many messages that was.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn delete_queue(&self, queue: &str) -> Result<u32, TopologyError> {
        self.asking(async |topology| topology.delete(queue).await).await
    }

    /// A durable topic exchange, made when missing.
    ///
    /// # Errors
    /// [`TopologyError::Differs`] when there is an exchange of this name and another type.
    pub async fn ensure_topic_exchange(&self, name: &str) -> Result<(), TopologyError> {
        self.asking(async |topology| topology.exchange(name, ExchangeKind::Topic).await).await
    }

    /// A durable fan-out exchange, made when missing.
    ///
    /// # Errors
    /// [`TopologyError::Differs`] when there is an exchange of this name and another type.
    pub async fn ensure_fanout_exchange(&self, name: &str) -> Result<(), TopologyError> {
        self.asking(async |topology| topology.exchange(name, ExchangeKind::Fanout).await).await
    }

    /// Binds a queue to an exchange; both must be there.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub async fn ensure_bound(&self, queue: &str, exchange: &str, key: &str) -> Result<(), TopologyError> {
        self.asking(async |topology| topology.bind(queue, exchange, key).await).await
    }

    /// Says goodbye to the broker and stops connecting. What is not acknowledged is delivered again, to others.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.publishing.ended().await;
        self.inner.consuming.ended().await;
        if let Some(answerer) = self.inner.answerer.get() {
            answerer.link().ended().await;
        }
        self.inner.health.remove(COMPONENT);
    }

    /// Who publishes direct answers. The first to ask waits for its connection, so that the first answer is not lost.
    async fn answerer(&self) -> &Publisher {
        let inner = &*self.inner;
        let make = async || {
            let link = inner.publishing.another(BrokerConnection::Answering);
            // If it does not come, publishing says why.
            let _ = timeout(inner.patience, link.up()).await;
            Publisher::new(link, inner.patience, inner.metrics.clone())
        };
        inner.answerer.get_or_init(make).await
    }

    /// On the connection that publishes nothing, since the other may be blocked.
    async fn asking<T>(
        &self,
        ask: impl AsyncFnOnce(Topology<'_>) -> Result<T, TopologyError>,
    ) -> Result<T, TopologyError> {
        let link = &self.inner.consuming;
        let open = link.now().map_err(|reason| TopologyError::Unavailable { reason: reason.to_string() })?;
        ask(Topology { link, open: &open, patience: self.inner.patience }).await
    }
}
