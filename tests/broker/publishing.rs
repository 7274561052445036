//! Publishing: what the broker says about each message.

use std::time::Duration;

use futures_util::StreamExt;
use gristmill::broker::{Declare, Publish, PublishError};
use gristmill::config::QueueForm;
use lapin::BasicProperties;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;

use crate::node::{Ours, Somebody, batch, fresh, shared, take, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_as_it_was_sent() {
    let ours = Ours::shared().await;
    let queue = fresh("round");
    ours.broker.ensure_queue(&queue, &Declare::AttachOrCreate(QueueForm::Plain)).await.unwrap();
    let message = Publish::to_queue(&queue, "{}")
        .content_type("application/json")
        .message_id("m-1")
        .correlation_id("c-1")
        .reply_to("answers")
        .kind("task.created")
        .priority(3)
        .expiration(Duration::from_secs(600))
        .timestamp(1_700_000_000)
        .header("b", "two")
        .header("a", "one");
    ours.broker.publish_one(message).await.unwrap();
    let mut consumer = ours.consumer(&queue);
    let got = batch(&mut consumer, 1).await.deliveries.remove(0);
    assert_eq!(got.body, "{}");
    assert_eq!(
        (got.exchange.as_str(), got.routing_key.as_str(), got.redelivered),
        ("", queue.as_str(), false)
    );
    assert_eq!(got.content_type(), Some("application/json"));
    assert_eq!(got.message_id(), Some("m-1"));
    assert_eq!(got.correlation_id(), Some("c-1"));
    assert_eq!(got.reply_to(), Some("answers"));
    assert_eq!(got.kind(), Some("task.created"));
    assert_eq!(got.priority(), Some(3));
    assert_eq!(got.expiration(), Some(Duration::from_secs(600)));
    assert_eq!(got.timestamp(), Some(1_700_000_000));
    assert_eq!(got.header("a").as_deref(), Some("one"));
    let headers = [("a", "one"), ("b", "two")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(got.headers(), headers);
    assert_eq!(got.delivery_count(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_queue_takes_is_an_error_if_it_is_mandatory() {
    let ours = Ours::shared().await;
    let nowhere = fresh("nowhere");
    let result = ours.broker.publish_one(Publish::to_queue(&nowhere, "x")).await;
    let Err(PublishError::Unroutable { routing_key, .. }) = result else { panic!("{result:?}") };
    assert_eq!(routing_key, nowhere);
    ours.broker.publish_one(Publish::to_queue(&nowhere, "x").mandatory(false)).await.unwrap();

    let exchange = fresh("events");
    ours.broker.ensure_topic_exchange(&exchange).await.unwrap();
    ours.broker.publish_one(Publish::to_exchange(&exchange, "task.created.noop", "x")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_exchange_hurts_nobody_else() {
    let ours = Ours::shared().await;
    let (queue, exchange, missing) = (fresh("near"), fresh("events"), fresh("missing"));
    ours.broker.ensure_queue(&queue, &Declare::AttachOrCreate(QueueForm::Plain)).await.unwrap();
    ours.broker.ensure_topic_exchange(&exchange).await.unwrap();
    ours.broker.ensure_bound(&queue, &exchange, "task.*.noop").await.unwrap();
    for _ in 0..3 {
        let results = ours
            .broker
            .publish(vec![
                Publish::to_queue(&queue, "a"),
                Publish::to_exchange(&missing, "k", "b"),
                Publish::to_exchange(&exchange, "task.created.noop", "c"),
                Publish::to_exchange(&missing, "k", "d"),
                Publish::to_queue(&queue, "e"),
            ])
            .await;
        for place in [0, 2, 4] {
            assert_eq!(results[place], Ok(()), "{place}");
        }
        for place in [1, 3] {
            let Err(error @ PublishError::Refused { .. }) = &results[place] else { panic!("{results:?}") };
            assert!(error.to_string().contains(&missing), "{error}");
        }
    }
    let mut consumer = ours.consumer(&queue);
    let mut taken = take(&mut consumer, 9).await;
    taken.sort();
    assert_eq!(taken.concat(), "aaaccceee");
    // However many: each is told, and why.
    let many = (0..1000).map(|_| Publish::to_exchange(&missing, "k", "x")).collect();
    for result in ours.broker.publish(many).await {
        assert!(matches!(result, Err(PublishError::Refused { .. })), "{result:?}");
    }
    // Once it is there it works.
    ours.broker.ensure_fanout_exchange(&missing).await.unwrap();
    ours.broker.publish_one(Publish::to_exchange(&missing, "k", "b")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_messages_than_may_be_on_their_way_at_a_time_all_arrive() {
    let ours = Ours::shared().await;
    let queue = fresh("many");
    ours.broker.ensure_queue(&queue, &Declare::AttachOrCreate(QueueForm::Plain)).await.unwrap();
    let messages = |from: usize| {
        (from..from + 2500).map(|number| Publish::to_queue(&queue, number.to_string())).collect::<Vec<_>>()
    };
    let (one, other) = tokio::join!(ours.broker.publish(messages(0)), ours.broker.publish(messages(2500)));
    assert_eq!((one.len(), other.len()), (2500, 2500));
    assert!(one.iter().chain(&other).all(Result::is_ok));
    let mut consumer = ours.consumer(&queue);
    let mut taken: Vec<usize> =
        take(&mut consumer, 5000).await.iter().map(|body| body.parse().unwrap()).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..5000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_protocol_cannot_carry_is_an_error_and_no_panic() {
    let ours = Ours::shared().await;
    let queue = fresh("long");
    ours.broker.ensure_queue(&queue, &Declare::AttachOrCreate(QueueForm::Plain)).await.unwrap();
    let long = "x".repeat(256);
    let results = ours
        .broker
        .publish(vec![
            Publish::to_queue(&queue, "a").message_id(&long),
            Publish::to_queue(&queue, "b").message_id(&long[1..]).header("text", &long.repeat(100)),
            Publish::to_queue(&long, "c"),
        ])
        .await;
    assert!(matches!(&results[0], Err(PublishError::Invalid { reason }) if reason.contains("message id")));
    assert_eq!(results[1], Ok(()));
    assert!(matches!(results[2], Err(PublishError::Invalid { .. })));
    assert!(ours.broker.queue(&long).await.is_err());
    let body = vec![7; 300_000];
    ours.broker.publish_one(Publish::to_queue(&queue, body.clone())).await.unwrap();
    let mut consumer = ours.consumer(&queue);
    let mut got = batch(&mut consumer, 2).await.deliveries;
    if got.len() < 2 {
        got.extend(batch(&mut consumer, 2).await.deliveries);
    }
    assert_eq!(got[0].header("text").unwrap().len(), 25_600);
    assert_eq!(got[1].body, body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_that_refuses_is_told_from_one_that_takes() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("full");
    let arguments = [("x-max-length", 1.into()), ("x-overflow", text("reject-publish"))];
    somebody.declares_with(&queue, false, &arguments).await.unwrap();
    let results = ours.broker.publish((0..3).map(|_| Publish::to_queue(&queue, "x")).collect()).await;
    assert_eq!(results[0], Ok(()));
    assert!(
        results[1..].iter().all(|result| matches!(result, Err(PublishError::Nacked { .. }))),
        "{results:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_publish_leaves_the_next_one_whole() {
    let ours = Ours::shared().await;
    let queue = fresh("abandoned");
    ours.broker.ensure_queue(&queue, &Declare::AttachOrCreate(QueueForm::Plain)).await.unwrap();
    for round in 0..20 {
        let messages = (0..50).map(|_| Publish::to_queue(&queue, "left")).collect();
        let left = tokio::time::timeout(Duration::from_micros(round * 100), ours.broker.publish(messages));
        drop(left.await);
        ours.broker.publish_one(Publish::to_queue(&queue, "kept")).await.unwrap();
    }
    let found = ours.broker.queue(&queue).await.unwrap();
    assert!(found.messages >= 20, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_the_broker_cannot_bear_harms_no_other_message() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("ours");
    somebody.declares(&queue).await.unwrap();
    for round in 0..3 {
        // The broker takes the address apart, and fails over it with the whole connection.
        let made_up = Publish::to_queue("amq.rabbitmq.reply-to.g2dkABByZXBseUA.x", "answer");
        let told = ours.broker.publish(vec![made_up, Publish::to_queue(&queue, "work")]).await;
        assert!(matches!(told.as_slice(), [Err(_), Ok(())]), "{round}: {told:?}");
        ours.broker.can_publish().unwrap();
    }
    assert_eq!(take(&mut ours.consumer(&queue), 3).await, ["work"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_reply_address_gets_its_answer() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let (queue, address) = (fresh("ours"), "amq.rabbitmq.reply-to");
    somebody.declares(&queue).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let answers = somebody.channel.basic_consume(address.into(), "".into(), options, FieldTable::default());
    let mut answers = answers.await.unwrap();
    let properties = BasicProperties::default().with_reply_to(address.into());
    somebody.publishes_with(&queue, "question", properties).await;
    let mut consumer = ours.consumer(&queue);
    let asked = batch(&mut consumer, 1).await;
    let answer = Publish::to_queue(asked.deliveries[0].reply_to().unwrap(), "answer");
    ours.broker.publish_one(answer).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(30), answers.next()).await.expect("an answer");
    assert_eq!(heard.unwrap().unwrap().data, b"answer");
}
