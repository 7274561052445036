//! Queues, exchanges and bindings: looking for them, and making them.
//!
//! Called by the consumers and by [`super::Broker`]. True here: each attempt has a channel of its own, since the broker
//! closes a channel over a queue that is missing (404) or was declared otherwise (406); a queue that is there is taken
//! as it is; and every answer has a time limit.

use std::time::Duration;

use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};
use tokio::time::timeout;

use super::link::{Link, Open};
use crate::config::QueueForm;

/// What a queue should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declare {
    /// Somebody else's: whatever is there; made in this form when nothing is.
    AttachOrCreate(QueueForm),
    /// One of our own quorum queues. One that is there with other arguments is used as it is, and what differs is
    /// logged.
    Ours(OwnQueue),
    /// A queue of this consumer alone, named by the broker and gone with the connection, bound to a fan-out exchange
    /// of this name, which is made when missing.
    Fanout {
        /// The exchange.
        exchange: String,
    },
}

/// The arguments of one of our own quorum queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnQueue {
    /// How often a message is delivered again before it goes to the dead letters.
    pub delivery_limit: Option<u32>,
    /// The most messages it holds; the oldest go first.
    pub max_length: Option<u32>,
    /// Where dead letters go.
    pub dead_letters: Option<DeadLetters>,
}

/// Where the dead letters of a queue go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// The exchange; empty for the default one.
    pub exchange: String,
    /// The routing key: the queue's name, through the default exchange.
    pub routing_key: String,
}

/// A queue as the broker sees it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Messages that wait in it.
    pub messages: u32,
    /// Consumers that are attached to it.
    pub consumers: u32,
}

/// A queue or exchange cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// There is no connection, or it was lost meanwhile.
    #[error("{reason}")]
    Unavailable {
        /// Why, with the broker's place.
        reason: String,
    },
    /// It is not there.
    #[error("{name} is not there: {reason}")]
    Missing {
        /// Of the queue or exchange.
        name: String,
        /// The broker's words.
        reason: String,
    },
    /// It is there, declared otherwise than asked.
    #[error("{name} is declared otherwise: {reason}")]
    Differs {
        /// Of the queue or exchange.
        name: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker does not let us, or says nothing about it.
    #[error("{name}: {reason}")]
    Refused {
        /// Of the queue or exchange.
        name: String,
        /// The broker's words.
        reason: String,
    },
    /// No name of the protocol: more than 255 bytes.
    #[error("{name} is too long a name: 255 bytes is the most")]
    BadName {
        /// Of the queue or exchange.
        name: String,
    },
}

/// A name as the protocol carries it.
pub(super) fn short(name: &str) -> Result<ShortString, TopologyError> {
    ShortString::try_new(name).map_err(|_| TopologyError::BadName { name: name.to_owned() })
}

/// Asks the broker for things on one connection.
pub(super) struct Topology<'a> {
    pub(super) link: &'a Link,
    pub(super) open: &'a Open,
    pub(super) patience: Duration,
}

impl Topology<'_> {
    /// A fresh channel.
    pub(super) async fn channel(&self) -> Result<Channel, TopologyError> {
        self.within("a channel", self.open.connection.create_channel()).await
    }

    /// The queue as it is there.
    pub(super) async fn look(&self, queue: &str) -> Result<QueueState, TopologyError> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.declare_as(queue, passive, FieldTable::default()).await
    }

    /// The queue as it should be.
    pub(super) async fn declare(&self, queue: &str, declare: &Declare) -> Result<QueueState, TopologyError> {
        match declare {
            Declare::AttachOrCreate(form) => self.attach_or_create(queue, *form).await,
            Declare::Ours(own) => self.ours(queue, own).await,
            Declare::Fanout { exchange } => {
                self.exchange(exchange, ExchangeKind::Fanout).await?;
                let exclusive =
                    QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
                let made = self.declare_as("", exclusive, FieldTable::default()).await?;
                self.bind(&made.name, exchange, "").await?;
                Ok(made)
            }
        }
    }

    async fn attach_or_create(&self, queue: &str, form: QueueForm) -> Result<QueueState, TopologyError> {
        match self.look(queue).await {
            Err(TopologyError::Missing { .. }) => {}
            found => return found,
        }
        let (durable, arguments) = match form {
            QueueForm::Plain => (false, FieldTable::default()),
            QueueForm::Durable => (true, FieldTable::default()),
            QueueForm::Quorum => (true, quorum()),
        };
        tracing::info!(queue, ?form, "the queue is not there: declaring it");
        let options = QueueDeclareOptions { durable, ..QueueDeclareOptions::default() };
        self.or_what_is_there(queue, self.declare_as(queue, options, arguments).await).await
    }

    async fn ours(&self, queue: &str, own: &OwnQueue) -> Result<QueueState, TopologyError> {
        let mut arguments = quorum();
        let mut set = |name: &str, value| {
            arguments.insert(name.into(), value);
        };
        let text = |text: &str| AMQPValue::LongString(text.into());
        if let Some(limit) = own.delivery_limit {
            set("x-delivery-limit", AMQPValue::LongLongInt(limit.into()));
        }
        if let Some(length) = own.max_length {
            set("x-max-length", AMQPValue::LongLongInt(length.into()));
            set("x-overflow", text("drop-head"));
        }
        if let Some(letters) = &own.dead_letters {
            set("x-dead-letter-exchange", text(&letters.exchange));
            set("x-dead-letter-routing-key", text(&letters.routing_key));
        }
        self.or_what_is_there(queue, self.declare_as(queue, durable(), arguments).await).await
    }

    /// A queue that differs is better than none.
    async fn or_what_is_there(
        &self,
        queue: &str,
        declared: Result<QueueState, TopologyError>,
    ) -> Result<QueueState, TopologyError> {
        match declared {
            Err(TopologyError::Differs { reason, .. }) => {
                tracing::warn!(queue, reason, "the queue was declared otherwise, and is used as it is");
                self.look(queue).await
            }
            Ok(_)
            | Err(
                TopologyError::Unavailable { .. }
                | TopologyError::Missing { .. }
                | TopologyError::Refused { .. }
                | TopologyError::BadName { .. },
            ) => declared,
        }
    }

    async fn declare_as(
        &self,
        queue: &str,
        options: QueueDeclareOptions,
        arguments: FieldTable,
    ) -> Result<QueueState, TopologyError> {
        let channel = self.channel().await?;
        let found = self.within(queue, channel.queue_declare(short(queue)?, options, arguments)).await?;
        Ok(QueueState {
            name: found.name().to_string(),
            messages: found.message_count(),
            consumers: found.consumer_count(),
        })
    }

    /// A durable exchange; one that is there of another type is an error.
    pub(super) async fn exchange(&self, name: &str, kind: ExchangeKind) -> Result<(), TopologyError> {
        let channel = self.channel().await?;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.within(name, channel.exchange_declare(short(name)?, kind, options, FieldTable::default())).await
    }

    /// Binds a queue to an exchange.
    pub(super) async fn bind(&self, queue: &str, exchange: &str, key: &str) -> Result<(), TopologyError> {
        let channel = self.channel().await?;
        let bind = channel.queue_bind(
            short(queue)?,
            short(exchange)?,
            short(key)?,
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        self.within(queue, bind).await
    }

    /// Removes the messages that wait in a queue; gives how many.
    pub(super) async fn purge(&self, queue: &str) -> Result<u32, TopologyError> {
        let channel = self.channel().await?;
        self.within(queue, channel.queue_purge(short(queue)?, QueuePurgeOptions::default())).await
    }

    /// Removes a queue with what is in it; gives how many messages that was.
    pub(super) async fn delete(&self, queue: &str) -> Result<u32, TopologyError> {
        let channel = self.channel().await?;
        self.within(queue, channel.queue_delete(short(queue)?, QueueDeleteOptions::default())).await
    }

    /// An answer within its time; a broker that answers nothing at all any more loses the connection.
    pub(super) async fn within<T>(
        &self,
        name: &str,
        asking: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, TopologyError> {
        match timeout(self.patience, asking).await {
            Ok(answer) => answer.map_err(|error| self.told(name, &error)),
            Err(_) => {
                let reason = format!("no answer within {} s", self.patience.as_secs_f64());
                let alive = self.open.doubt(&reason, self.patience).await;
                let reason = self.link.endpoint().in_place(&reason);
                Err(match alive {
                    true => TopologyError::Refused { name: name.to_owned(), reason },
                    false => TopologyError::Unavailable { reason },
                })
            }
        }
    }

    fn told(&self, name: &str, error: &lapin::Error) -> TopologyError {
        let reason = self.link.endpoint().told(error);
        let name = name.to_owned();
        if !error.is_amqp_soft_error() {
            return TopologyError::Unavailable { reason };
        }
        let code = if let ErrorKind::ProtocolError(error) = error.kind() { error.get_id() } else { 0 };
        match code {
            404 => TopologyError::Missing { name, reason },
            406 => TopologyError::Differs { name, reason },
            _ => TopologyError::Refused { name, reason },
        }
    }
}

fn durable() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}
