//! Producers that mean no good, against the real daemon and a real broker: what one of them sends must not touch others.

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};

use crate::programs::World;

const EXCHANGE: &str = "gristmill.events";

async fn channel(world: &World) -> Channel {
    let url = world.broker.as_deref().expect("a broker");
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    connection.create_channel().await.unwrap()
}

async fn declare(channel: &Channel, queue: &str, arguments: FieldTable) {
    channel.queue_declare(queue.into(), QueueDeclareOptions::default(), arguments).await.unwrap();
}

async fn consume(channel: &Channel, queue: &str) -> Consumer {
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.unwrap()
}

async fn publish(channel: &Channel, queue: &str, body: &str, properties: BasicProperties) {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), queue.into(), options, body.as_bytes(), properties)
        .await
        .unwrap()
        .await
        .unwrap();
}

/// Asks for a task, and to be told there how it ends.
async fn ask(channel: &Channel, reply_to: &str) {
    let mut headers = FieldTable::default();
    headers.insert("reply-on".into(), AMQPValue::LongString("completed".into()));
    let properties = BasicProperties::default().with_reply_to(reply_to.into()).with_headers(headers);
    publish(channel, "task_queue", "{}", properties).await;
}

/// The next message: its type, its id, its body.
async fn next(consumer: &mut Consumer) -> (String, String, String) {
    let patience = std::time::Duration::from_secs(60);
    let heard = tokio::time::timeout(patience, consumer.next()).await.expect("a message").unwrap().unwrap();
    let (kind, id) = (heard.properties.kind(), heard.properties.message_id());
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    let body = String::from_utf8(heard.data.clone()).unwrap();
    (text(kind).unwrap_or_default(), text(id).unwrap_or_default(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_hands_its_trace_to_its_task_and_has_it_back_with_the_ending() {
    let world = World::with_broker(&[]);
    let channel = channel(&world).await;
    declare(&channel, "task_queue", FieldTable::default()).await;
    declare(&channel, "answers", FieldTable::default()).await;
    let mut answers = consume(&channel, "answers").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut headers = FieldTable::default();
    headers.insert("reply-on".into(), AMQPValue::LongString("completed".into()));
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    headers.insert("traceparent".into(), AMQPValue::LongString(parent.into()));
    let properties = BasicProperties::default().with_reply_to("answers".into()).with_headers(headers);
    publish(&channel, "task_queue", "{}", properties).await;
    let ending = loop {
        let patience = std::time::Duration::from_secs(60);
        let heard =
            tokio::time::timeout(patience, answers.next()).await.expect("a message").unwrap().unwrap();
        if heard.properties.kind().as_ref().is_some_and(|kind| kind.as_str() == "gristmill.ending") {
            break heard;
        }
    };
    let headers = ending.properties.headers().clone().unwrap();
    let Some(AMQPValue::LongString(place)) = headers.inner().get("traceparent") else {
        panic!("no trace in {headers:?}")
    };
    assert!(place.to_string().starts_with(&format!("00-{trace}-")), "{place}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_given_holds_up_neither_events_nor_other_answers() {
    let world = World::with_broker(&[]);
    let channel = channel(&world).await;
    declare(&channel, "task_queue", FieldTable::default()).await;
    declare(&channel, "answers", FieldTable::default()).await;
    declare(&channel, "ears", FieldTable::default()).await;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let none = FieldTable::default;
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, none()).await.unwrap();
    let bind = QueueBindOptions::default();
    channel
        .queue_bind("ears".into(), EXCHANGE.into(), "task.completed.*".into(), bind, none())
        .await
        .unwrap();
    // A queue that is full, and says so.
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    declare(&channel, "full", arguments).await;
    publish(&channel, "full", "all there is room for", BasicProperties::default()).await;

    let (mut ears, mut answers) = (consume(&channel, "ears").await, consume(&channel, "answers").await);
    let mut heard = Vec::new();
    for reply_to in ["full", "amq.rabbitmq.reply-to.g2dkABByZXBseUA.x", "answers"] {
        ask(&channel, reply_to).await;
        heard.push(next(&mut ears).await.1);
    }
    let mut told = [next(&mut answers).await, next(&mut answers).await];
    told.sort();
    let told: Vec<(&str, &str)> = told.iter().map(|(kind, _, body)| (kind.as_str(), body.as_str())).collect();
    assert!(matches!(told[0], ("gristmill.accepted", r#"{"id":3}"#)), "{told:?}");
    assert!(told[1].0 == "gristmill.ending" && told[1].1.contains("Completed"), "{told:?}");
    // What is held up would be told again with each try.
    assert_eq!(world.get("/tasks?status=Completed").await.as_array().unwrap().len(), 3);
    let numbers: Vec<u64> = heard.iter().map(|number| number.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "told again: {numbers:?}");
}
