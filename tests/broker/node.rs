//! RabbitMQ nodes, ours on them, and somebody else.

use std::panic::Location;
use std::time::Duration;

use gristmill::broker::{Batch, Broker, COMPONENT, Consumer, Declare, Publish, Subscription};
use gristmill::clock::Clock;
use gristmill::config::QueueForm;
use gristmill::telemetry::Health;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::common::eventually;
pub(crate) use crate::common::rabbit::{Node, settings, shared, shared_ctl};

/// A broker with its health board.
pub(crate) struct Ours {
    pub(crate) broker: Broker,
    pub(crate) health: Health,
}

impl Ours {
    /// Begins to connect.
    pub(crate) fn begin(url: &str, changes: &[(&str, &str)]) -> Self {
        let health = Health::new();
        let broker = Broker::start(&settings(url, changes), health.clone(), Clock::system());
        Self { broker: broker.unwrap().expect("an address"), health }
    }

    /// Connected.
    pub(crate) async fn at(url: &str, changes: &[(&str, &str)]) -> Self {
        let ours = Self::begin(url, changes);
        ours.broker.until_up(Duration::from_secs(30)).await.unwrap();
        ours
    }

    pub(crate) async fn shared() -> Self {
        Self::at(&shared(), &[]).await
    }

    /// The broker's line on the health board.
    pub(crate) fn line(&self) -> String {
        let snapshot = self.health.snapshot();
        serde_json::to_string(&snapshot.components[COMPONENT]).unwrap()
    }

    /// Once its line says this.
    pub(crate) async fn until_line_has(&self, text: &str) {
        eventually(text, async || self.line().contains(text).then_some(())).await;
    }

    pub(crate) fn consumer(&self, queue: &str) -> Consumer {
        self.consumer_of(queue, Declare::AttachOrCreate(QueueForm::Plain))
    }

    pub(crate) fn consumer_of(&self, queue: &str, declare: Declare) -> Consumer {
        self.broker.consume(Subscription::new(queue, declare, 200, ""))
    }

    /// Once a consumer of the queue is there.
    pub(crate) async fn until_consumed(&self, queue: &str) {
        eventually("a consumer", async || {
            let found = self.broker.queue(queue).await.ok()?;
            (found.consumers > 0).then_some(())
        })
        .await;
    }

    /// Publishes it, as often as it takes.
    pub(crate) async fn publish_until_taken(&self, message: Publish) {
        eventually("a message to be taken", async || self.broker.publish_one(message.clone()).await.ok())
            .await;
    }
}

/// How long a delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A batch, or a failed test after a while, which says where it was waited for.
#[track_caller]
pub(crate) fn batch(consumer: &mut Consumer, max: usize) -> impl Future<Output = Batch> {
    let place = Location::caller();
    async move {
        let got = tokio::time::timeout(PATIENCE, consumer.batch(max)).await;
        got.unwrap_or_else(|_| panic!("no delivery within a minute, waited for at {place}"))
    }
}

/// So many deliveries, all acknowledged, as text.
#[track_caller]
pub(crate) fn take(consumer: &mut Consumer, count: usize) -> impl Future<Output = Vec<String>> {
    let place = Location::caller();
    async move {
        let mut taken = Vec::new();
        while taken.len() < count {
            let got = tokio::time::timeout(PATIENCE, consumer.batch(count - taken.len())).await;
            let batch = got.unwrap_or_else(|_| panic!("{taken:?} and no more within a minute, for {place}"));
            taken.extend(batch.deliveries.iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()));
            consumer.ack(&batch).await.unwrap();
        }
        taken
    }
}

/// A name that nobody else uses.
pub(crate) fn fresh(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test.{name}.{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Another client of the broker, as producers are.
pub(crate) struct Somebody {
    pub(crate) connection: Connection,
    pub(crate) channel: Channel,
}

impl Somebody {
    pub(crate) async fn at(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { connection, channel }
    }

    /// As clients do who say nothing but the name.
    pub(crate) async fn declares(&self, queue: &str) -> lapin::Result<lapin::Queue> {
        self.declares_with(queue, false, &[]).await
    }

    pub(crate) async fn declares_with(
        &self,
        queue: &str,
        durable: bool,
        arguments: &[(&str, AMQPValue)],
    ) -> lapin::Result<lapin::Queue> {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let options = QueueDeclareOptions { durable, ..QueueDeclareOptions::default() };
        // A refusal closes the channel.
        let channel = self.connection.create_channel().await?;
        channel.queue_declare(queue.into(), options, table).await
    }

    pub(crate) async fn publishes(&self, queue: &str, body: &str) {
        self.publishes_with(queue, body, BasicProperties::default()).await;
    }

    pub(crate) async fn publishes_with(&self, queue: &str, body: &str, properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = self.channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
        let confirmation = sent.await.unwrap().await.unwrap();
        assert_eq!(confirmation, lapin::Confirmation::Ack(None), "{queue}");
    }
}

/// The text of an AMQP argument.
pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
