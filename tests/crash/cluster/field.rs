//! Where a story takes place: a world, a broker, a producer and a listener; and its end before the judge.

use std::sync::atomic::{AtomicU32, Ordering};

use gristmill::broker::QueueState;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use serde_json::Value;

use super::ear::Ear;
use super::producer::{Producer, QUEUE};
use crate::common::rabbit::{Node, shared, shared_ctl};
use crate::common::{Engine, eventually};
use crate::daemon::{Daemon, Start};
use crate::load::Clients;
use crate::world::{Judged, World};

/// The place of a story.
pub(super) struct Field {
    pub(super) world: World,
    pub(super) producer: Producer,
    pub(super) url: String,
    ear: Option<Ear>,
    /// A broker of its own; else it has a virtual host on the one that all share.
    node: Option<Node>,
}

/// How the producer declares its queue.
pub(super) enum Form {
    Durable,
    /// Replicated, with a limit on how often a message may be given back; then it goes to the dead queue.
    Quorum {
        limit: i64,
    },
}

impl Field {
    /// On the broker that all share.
    pub(super) async fn shared(engine: Engine, form: Form) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let host = format!("field{}", COUNT.fetch_add(1, Ordering::Relaxed));
        shared_ctl(&["add_vhost", &host]);
        shared_ctl(&["set_permissions", "-p", &host, "guest", ".*", ".*", ".*"]);
        Self::at(engine, &form, format!("{}/{host}", shared()), None).await
    }

    /// On a broker of its own.
    pub(super) async fn own(engine: Engine) -> Self {
        let node = Node::start();
        Self::at(engine, &Form::Durable, node.url(), Some(node)).await
    }

    async fn at(engine: Engine, form: &Form, url: String, node: Option<Node>) -> Self {
        let world = World::begin(engine).await;
        let producer = Producer::new(&url, &world.clients);
        let field = Self { ear: Some(Ear::begin(&url).await), world, producer, url, node };
        field.declare(form).await;
        field
    }

    pub(super) fn node(&self) -> &Node {
        self.node.as_ref().expect("a broker of its own")
    }

    /// A daemon with the broker.
    pub(super) fn plain(&self) -> Start {
        Self::furnish(Start::plain(), &self.url)
    }

    /// A daemon with the broker at this address.
    pub(super) fn furnish(start: Start, url: &str) -> Start {
        start.with("BROKER__URL", url).with("BROKER__RETRY_CAP_S", 0.5).with("BROKER__HEARTBEAT_S", 2)
    }

    /// Makes the queue of tasks, and the dead queue where the broker itself may put something there.
    async fn declare(&self, form: &Form) {
        let connection = self.connection().await;
        let channel = connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        if let Form::Quorum { limit } = form {
            channel.queue_declare(dead().as_str().into(), options, arguments.clone()).await.unwrap();
            let text = |text: &str| AMQPValue::LongString(text.into());
            arguments.insert("x-queue-type".into(), text("quorum"));
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(*limit));
            arguments.insert("x-dead-letter-exchange".into(), text(""));
            arguments.insert("x-dead-letter-routing-key".into(), text(&dead()));
        }
        channel.queue_declare(QUEUE.into(), options, arguments).await.unwrap();
    }

    pub(super) async fn connection(&self) -> Connection {
        Connection::connect(&self.url, ConnectionProperties::default()).await.unwrap()
    }

    pub(super) async fn delete_exchange(&self, name: &str) {
        let channel = self.connection().await.create_channel().await.unwrap();
        channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await.unwrap();
    }

    /// Waits until somebody has made that exchange.
    pub(super) async fn exchange_is_back(&self, name: &str) {
        let connection = self.connection().await;
        eventually(&format!("the exchange {name}"), async || {
            let channel = connection.create_channel().await.ok()?;
            let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            let table = FieldTable::default();
            channel.exchange_declare(name.into(), ExchangeKind::Topic, passive, table).await.ok()
        })
        .await;
    }

    /// From here on the broker forgets what the listener was to hear.
    pub(super) fn deafen(&mut self) {
        self.ear = None;
    }

    /// The queue of tasks, once the broker can be asked.
    pub(super) async fn queue(&self) -> QueueState {
        eventually("the queue of tasks", async || self.producer.broker().queue(QUEUE).await.ok()).await
    }

    /// What `/health/ready` says.
    pub(super) async fn health(&self) -> Value {
        let answer = self.world.clients.get("/health/ready", false).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Waits until the daemon is ready, and lacks its broker for a reason with these words in it, or for none.
    pub(super) async fn broker_is(&self, trouble: Option<&str>) {
        eventually(&format!("the broker's trouble is {trouble:?}"), async || {
            let health = self.health().await;
            assert_eq!(health["ready"], true, "{health}");
            let said = health["components"]["broker"].to_string();
            let as_told = match trouble {
                Some(words) => health["degraded"] == true && said.contains(words),
                None => health["degraded"] == false && said.contains("\"up\""),
            };
            as_told.then_some(())
        })
        .await;
    }

    /// One of the daemon's metrics.
    pub(super) async fn metric(clients: &Clients, name: &str) -> Option<f64> {
        let text = clients.get("/metrics", false).send().await.ok()?.text().await.ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    /// How many messages the broker has delivered to the daemon.
    pub(super) async fn delivered(&self) -> f64 {
        Self::metric(&self.world.clients, "gristmill_broker_delivered_total").await.expect("it is counted")
    }

    /// How many messages have become tasks.
    pub(super) async fn tasks_of_messages(&self) -> usize {
        let text = "SELECT count(*) FROM remembered WHERE scope = 'queue task_queue'";
        let rows: Vec<(i64,)> = self.world.rows(text).await;
        usize::try_from(rows[0].0).unwrap()
    }

    /// Waits until so many messages have become tasks.
    pub(super) async fn messages_became_tasks(&self, count: usize) {
        eventually(&format!("{count} messages are tasks"), async || {
            (self.tasks_of_messages().await >= count).then_some(())
        })
        .await;
    }

    /// Waits until all is done, with a daemon there and nobody who asks for more: the queue is empty, what was
    /// confirmed became tasks, the tasks have ended, the broker was told.
    pub(super) async fn settled(&self) {
        self.messages_became_tasks(self.producer.confirmed()).await;
        eventually("the queue to be empty", async || (self.queue().await.messages == 0).then_some(())).await;
        self.world.idle().await;
        eventually("all events to be told", async || {
            let text =
                "SELECT (SELECT coalesce(max(id), 0) FROM events) - told FROM duties WHERE name = 'relay'";
            let rows: Vec<(i64,)> = self.world.rows(text).await;
            (rows == [(0,)]).then_some(())
        })
        .await;
    }

    /// How many messages are in the dead queue.
    pub(super) async fn dead(&self) -> u32 {
        self.producer.broker().queue(&dead()).await.map_or(0, |queue| queue.messages)
    }

    /// Ends the story: all is settled, the daemon drains, the dead queue is empty, the listener and the judge agree.
    pub(super) async fn end(&mut self, daemons: &mut [Daemon]) -> Judged {
        self.settled().await;
        for daemon in daemons {
            daemon.drain().await;
        }
        assert_eq!(self.dead().await, 0, "messages in the dead queue");
        let judged = self.world.judge().await;
        let twice = match &self.ear {
            Some(ear) => ear.agrees_with(&judged.end.events).await.to_string(),
            None => "unheard".to_owned(),
        };
        println!("{}; {} events told, {twice} of them again", judged.tally, judged.end.events.len());
        assert!(judged.tally.completed > 0, "nothing was done: {}", judged.tally);
        judged
    }
}

/// The dead queue.
pub(super) fn dead() -> String {
    gristmill::broker::dead_queue(QUEUE)
}
