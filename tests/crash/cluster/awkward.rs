//! Neighbours who make it hard: queues that take nothing, and a connection that goes while the database is away. Messages
//! without a `message_id`, so that each delivery would make a task.

use lapin::options::{BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};

use super::field::{Field, Form, dead};
use super::network::proxied;
use super::producer::QUEUE;
use crate::common::{Engine, eventually};

/// What the daemon says while it keeps messages that it cannot deal with.
pub(super) const STOPPED: &str = "no more messages are taken until these are dealt with";

/// Makes a queue that holds one message and refuses all others, and fills it.
async fn full(channel: &Channel, queue: &str) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, arguments).await.unwrap();
    send(channel, queue, "", BasicProperties::default()).await;
}

pub(super) async fn send(channel: &Channel, queue: &str, body: &str, properties: BasicProperties) {
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties).await;
    sent.unwrap().await.unwrap();
}

pub(super) async fn channel(field: &Field) -> Channel {
    let channel = field.connection().await.create_channel().await.unwrap();
    channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await.unwrap();
    channel
}

pub(super) async fn tasks(field: &Field) -> i64 {
    let rows: Vec<(i64,)> = field.world.rows("SELECT count(*) FROM tasks").await;
    rows[0].0
}

pub(super) async fn become_tasks(field: &Field, count: i64) {
    eventually(&format!("{count} tasks"), async || (tasks(field).await >= count).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_takes_nothing_holds_up_neither_the_events_nor_the_endings_of_others() {
    let mut field = Field::shared(Engine::Sqlite, Form::Durable).await;
    let daemon = {
        let start = field.plain();
        field.world.start(&start).await
    };
    field.exchange_is_back("gristmill.events").await;
    let channel = channel(&field).await;
    full(&channel, "no-answers").await;
    full(&channel, "no-events").await;
    let (bind, table) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind("no-events".into(), "gristmill.events".into(), "task.#".into(), bind, table)
        .await
        .unwrap();
    let mut headers = FieldTable::default();
    headers.insert("reply-on".into(), AMQPValue::LongString("completed".into()));
    let asks = BasicProperties::default().with_reply_to("no-answers".into()).with_headers(headers);
    send(&channel, QUEUE, "{}", asks).await;
    become_tasks(&field, 1).await;
    field.world.clients.submit(serde_json::json!({}), "wait=2").await;
    field.settled().await;
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_a_task_does_not_come_again_for_a_neighbour_that_cannot_be_buried() {
    let mut field = Field::shared(Engine::Sqlite, Form::Durable).await;
    let channel = channel(&field).await;
    full(&channel, &dead()).await;
    for body in ["{}", "no task", "{}", "{}"] {
        send(&channel, QUEUE, body, BasicProperties::default()).await;
    }
    let mut starts = 0;
    // What had not come along when the daemon stopped consuming comes to the next one.
    while starts < 2 || tasks(&field).await < 3 {
        let start = field.plain();
        let mut daemon = field.world.start(&start).await;
        eventually("the daemon to stop consuming", async || daemon.log().contains(STOPPED).then_some(()))
            .await;
        daemon.drain().await;
        starts += 1;
        assert!(starts < 10, "what is behind never comes");
    }
    assert_eq!(tasks(&field).await, 3);
    assert_eq!(field.queue().await.messages, 1, "what could not be buried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_while_the_database_is_away_is_left_to_come_again_when_its_connection_goes() {
    let mut field = Field::shared(Engine::Postgres, Form::Durable).await;
    let (database, database_url) = proxied(&field.world.place.database_url()).await;
    let (broker, url) = proxied(&field.url).await;
    let start = field.plain().with("BROKER__URL", url).with("DATABASE__URL", database_url);
    let start = start.with("DATABASE__STATEMENT_TIMEOUT_S", 2);
    let daemon = field.world.start(&start).await;
    let channel = channel(&field).await;
    send(&channel, QUEUE, "{}", BasicProperties::default()).await;
    become_tasks(&field, 1).await;

    database.set_silent(true);
    database.swallow_what_is_open();
    for _ in 0..5 {
        send(&channel, QUEUE, "{}", BasicProperties::default()).await;
    }
    eventually("the daemon to stop consuming", async || daemon.log().contains(STOPPED).then_some(())).await;
    let (before, delivered) = (broker.opened(), field.delivered().await);
    broker.swallow_what_is_open();
    eventually("new connections", async || (broker.opened() >= before + 2).then_some(())).await;
    eventually("the messages to be back, or here again", async || {
        (field.queue().await.messages == 5 || field.delivered().await > delivered).then_some(())
    })
    .await;
    database.set_silent(false);
    become_tasks(&field, 6).await;
    eventually("the queue to be empty", async || (field.queue().await.messages == 0).then_some(())).await;
    field.world.idle().await;
    drop(daemon);
    assert_eq!(tasks(&field).await, 6);
}
