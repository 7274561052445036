//! Somebody who listens to `gristmill.events` through a durable queue of theirs.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use gristmill::task::{Event, EventSeq};
use gristmill::telling::EventMessage;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;

use crate::daemon::PATIENCE;

const QUEUE: &str = "ear";
const EXCHANGE: &str = "gristmill.events";

/// The listener's queue.
pub(super) struct Ear {
    url: String,
}

impl Ear {
    /// Makes the exchange, as a listener may who is there first, and the queue, and binds it to all events.
    pub(super) async fn begin(url: &str) -> Self {
        let ear = Self { url: url.to_owned() };
        let (_connection, channel) = ear.channel().await;
        let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let table = FieldTable::default();
        channel
            .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, exchange, table.clone())
            .await
            .unwrap();
        let queue = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(QUEUE.into(), queue, table.clone()).await.unwrap();
        let bind = QueueBindOptions::default();
        channel.queue_bind(QUEUE.into(), EXCHANGE.into(), "task.#".into(), bind, table).await.unwrap();
        ear
    }

    async fn channel(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// Takes all that is in the queue: number (`message_id`) and body, in the order of the queue.
    async fn heard(&self) -> Vec<(i64, String)> {
        let (_connection, channel) = self.channel().await;
        channel.basic_qos(1_000, BasicQosOptions::default()).await.unwrap();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let state = channel.queue_declare(QUEUE.into(), passive, FieldTable::default()).await.unwrap();
        let consume = BasicConsumeOptions::default();
        let mut messages =
            channel.basic_consume(QUEUE.into(), "".into(), consume, FieldTable::default()).await.unwrap();
        let mut heard = Vec::new();
        while heard.len() < state.message_count() as usize {
            let next = timeout(PATIENCE, messages.next()).await.expect("what was counted is there");
            let message = next.unwrap().unwrap();
            let id = message.properties.message_id().as_ref().expect("each has its number");
            heard.push((id.as_str().parse().unwrap(), String::from_utf8(message.data.clone()).unwrap()));
            if heard.len() % 500 == 0 || heard.len() == state.message_count() as usize {
                message.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
            }
        }
        heard
    }

    /// Compares what was told with what happened: every event, none else, each first told in its order. Gives how many
    /// were told more than once.
    pub(super) async fn agrees_with(&self, events: &[(EventSeq, Event)]) -> usize {
        let heard = self.heard().await;
        let mut first = HashMap::new();
        let mut order = Vec::new();
        for (id, body) in &heard {
            match first.get(id) {
                None => {
                    first.insert(*id, body);
                    order.push(*id);
                }
                Some(before) => assert_eq!(*before, body, "event {id} is told in two ways"),
            }
        }
        let happened: Vec<i64> = events.iter().map(|(seq, _)| seq.0).collect();
        let missing: Vec<&i64> = happened.iter().filter(|id| !first.contains_key(id)).take(10).collect();
        assert!(
            missing.is_empty(),
            "{} events, {} told; these are not: {missing:?}",
            events.len(),
            order.len()
        );
        assert_eq!(order, happened, "in the order in which they happened, and none that did not");
        for (seq, event) in events {
            assert_eq!(*first[&seq.0], EventMessage::of(*seq, event).json());
        }
        heard.len() - order.len()
    }
}
