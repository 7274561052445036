//! A broker of its own that is killed, stopped, blocked, wiped, or loses a queue or an exchange, under load.

use gristmill::task::Status;
use serde_json::json;

use super::field::Field;
use super::producer::QUEUE;
use crate::common::{Engine, eventually};
use crate::history::Answer;
use crate::load::Clients;

/// HTTP goes on: a task is accepted and completes.
async fn serves(clients: &Clients) {
    let answer = clients.submit(json!({}), "wait=2").await;
    let Answer::Done { tasks, .. } = &answer else { panic!("not accepted: {answer:?}") };
    assert_eq!(tasks[0].status, Status::Completed, "{answer:?}");
}

/// Waits until so many more messages than now have become tasks.
async fn takes_on(field: &Field, count: usize) {
    field.messages_became_tasks(field.tasks_of_messages().await + count).await;
}

/// Tasks are taken, hints are listened to, and the daemon says that it lacks nothing.
async fn all_goes_on(field: &Field) {
    takes_on(field, 50).await;
    eventually("hints to be listened to", async || {
        let queue = field.producer.broker().queue("gristmill.run.noop").await.ok()?;
        (queue.consumers > 0).then_some(())
    })
    .await;
    field.broker_is(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_stopped_or_blocked_costs_neither_a_task_nor_an_event() {
    let mut field = Field::own(Engine::Postgres).await;
    let start = field.plain();
    let mut daemon = field.world.start(&start).await;
    let (flood, load) = (field.producer.start(200), field.world.clients.start_some(1, 2..4));
    // RabbitMQ writes down half a second late which quorum queues it leads: killed before, it never finds them again.
    takes_on(&field, 300).await;

    // Killed, and back at once.
    field.node().kill();
    field.node().again();
    all_goes_on(&field).await;

    // Away for a while.
    field.node().stop();
    field.broker_is(Some("Connection refused")).await;
    serves(&field.world.clients).await;
    // Who starts without it joins it when it comes.
    daemon.kill();
    field.world.deaths += 1;
    let daemon = field.world.start(&start).await;
    field.broker_is(Some("Connection refused")).await;
    serves(&field.world.clients).await;
    field.node().again();
    all_goes_on(&field).await;

    // In alarm. What it already has goes in: acknowledgements have a connection of their own.
    flood.stop().await;
    field.node().ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    field.broker_is(Some("the broker has blocked publishing")).await;
    field.messages_became_tasks(field.producer.confirmed()).await;
    eventually("all messages to be acknowledged", async || (field.queue().await.messages == 0).then_some(()))
        .await;
    serves(&field.world.clients).await;
    field.node().ctl(&["set_vm_memory_high_watermark", "0.6"]);
    field.broker_is(None).await;
    let flood = field.producer.start(200);
    takes_on(&field, 50).await;

    flood.stop().await;
    load.stop().await;
    field.end(&mut [daemon]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_loses_queues_an_exchange_or_all_it_had_is_furnished_again() {
    let mut field = Field::own(Engine::Sqlite).await;
    let start = field.plain();
    let daemon = field.world.start(&start).await;
    let (flood, load) = (field.producer.start(200), field.world.clients.start_some(2, 2..4));
    takes_on(&field, 50).await;

    // Messages in a queue go with it: the producer sends them again, and they are told apart by their `message_id`.
    field.producer.broker().delete_queue(QUEUE).await.unwrap();
    takes_on(&field, 50).await;
    field.producer.broker().delete_queue("gristmill.run.noop").await.unwrap();
    field.delete_exchange("gristmill.events").await;
    field.deafen();
    all_goes_on(&field).await;
    field.exchange_is_back("gristmill.events").await;

    field.node().kill();
    field.node().wipe();
    field.node().again();
    all_goes_on(&field).await;
    flood.stop().await;
    load.stop().await;
    field.producer.send_all_again().await;
    field.exchange_is_back("gristmill.events").await;
    field.end(&mut [daemon]).await;
}
