//! Consuming: whatever queue is there, whatever is done to it.

use std::sync::Arc;
use std::time::Duration;

use gristmill::broker::{DeadLetters, Declare, Lost, OwnQueue, Publish, Subscription, TopologyError};
use gristmill::config::QueueForm;

use crate::common::eventually;
use crate::common::proxy::Proxy;
use crate::node::{Ours, Somebody, batch, fresh, shared, shared_ctl, take, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_taken_as_somebody_else_declared_it() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    for (name, durable, arguments) in [
        ("plain", false, vec![]),
        ("durable", true, vec![]),
        ("quorum", true, vec![("x-queue-type", text("quorum"))]),
        ("priorities", false, vec![("x-max-priority", 5.into())]),
    ] {
        let queue = fresh(name);
        somebody.declares_with(&queue, durable, &arguments).await.unwrap();
        for body in ["a", "b", "c"] {
            somebody.publishes(&queue, body).await;
        }
        let mut consumer = ours.consumer(&queue);
        assert_eq!(take(&mut consumer, 3).await, ["a", "b", "c"], "{name}");
        // And the producer may still declare it as before.
        somebody.declares_with(&queue, durable, &arguments).await.unwrap();
    }
    ours.until_line_has("\"up\"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_queue_is_declared_in_the_form_that_was_asked_for() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("missing");
    let made = ours.broker.ensure_queue(&queue, &Declare::AttachOrCreate(QueueForm::Plain)).await.unwrap();
    assert_eq!((made.name.as_str(), made.messages), (queue.as_str(), 0));
    somebody.declares(&queue).await.expect("who declares it plainly agrees");
    let refused = somebody.declares_with(&queue, true, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("inequivalent arg 'durable'"), "{refused}");

    for (form, arguments) in
        [(QueueForm::Durable, vec![]), (QueueForm::Quorum, vec![("x-queue-type", text("quorum"))])]
    {
        let queue = fresh("missing");
        ours.broker.ensure_queue(&queue, &Declare::AttachOrCreate(form)).await.unwrap();
        somebody.declares_with(&queue, true, &arguments).await.unwrap();
        somebody.declares(&queue).await.expect_err("a plain one would not be kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_acknowledged_and_nothing_older_with_it() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("acks");
    somebody.declares(&queue).await.unwrap();
    for number in 0..20 {
        somebody.publishes(&queue, &number.to_string()).await;
    }
    let mut consumer = ours.consumer(&queue);
    let mut batches = Vec::new();
    let mut taken = 0;
    while taken < 20 {
        let next = batch(&mut consumer, 5).await;
        assert!((1..=5).contains(&next.deliveries.len()));
        taken += next.deliveries.len();
        batches.push(next);
    }
    // The second before the first, and the last one's halves each by themselves.
    let first = batches.remove(0);
    let last = batches.pop().unwrap();
    for later in &batches {
        consumer.ack(later).await.unwrap();
    }
    consumer.ack_each(&last.deliveries.iter().rev().collect::<Vec<_>>()).await.unwrap();
    // Twice is once.
    consumer.ack_each(&last.deliveries.iter().collect::<Vec<_>>()).await.unwrap();
    drop(consumer);
    eventually("what was not acknowledged to be back, and nothing else", async || {
        let found = ours.broker.queue(&queue).await.unwrap();
        assert!(found.messages as usize <= first.deliveries.len(), "{found:?}");
        (found.messages as usize == first.deliveries.len()).then_some(())
    })
    .await;
    let mut consumer = ours.consumer(&queue);
    let again = batch(&mut consumer, 100).await;
    assert_eq!(again.deliveries[0].body, first.deliveries[0].body);
    assert!(again.deliveries.iter().all(|delivery| delivery.redelivered));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_its_queue_is_deleted() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("deleted");
    let mut consumer = ours.consumer(&queue);
    for round in 0..3 {
        let body = round.to_string();
        let (taken, ()) = tokio::join!(batch(&mut consumer, 1), async {
            ours.until_consumed(&queue).await;
            somebody.publishes(&queue, &body).await;
        });
        assert_eq!(taken.deliveries[0].body, body);
        ours.broker.delete_queue(&queue).await.unwrap();
        // A late word on what is gone does no harm, whether it is known to be lost or not.
        let _ = consumer.ack(&taken).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_lost_its_queue_without_a_word_finds_out() {
    // What the broker says when it ends a subscription: class 60, method 30.
    let sieve = Arc::new(|kind: u8, body: &[u8]| !(kind == 1 && body.starts_with(&[0, 60, 0, 30])));
    let upstream = shared().split_once('@').unwrap().1.to_owned();
    let proxy = Proxy::with_sieve(upstream, Some(sieve)).await;
    let ours = Ours::at(&format!("amqp://{}", proxy.address), &[]).await;
    let somebody = Somebody::at(&shared()).await;
    let queue = fresh("silent");
    let declare = Declare::AttachOrCreate(QueueForm::Plain);
    let mut subscription = Subscription::new(&queue, declare, 10, "silent");
    subscription.liveness = Duration::from_millis(300);
    let mut consumer = ours.broker.consume(subscription);
    let (first, ()) = tokio::join!(batch(&mut consumer, 1), async {
        ours.until_consumed(&queue).await;
        somebody.publishes(&queue, "before").await;
    });
    consumer.ack(&first).await.unwrap();
    ours.broker.delete_queue(&queue).await.unwrap();
    somebody.declares(&queue).await.unwrap();
    somebody.publishes(&queue, "after").await;
    assert_eq!(take(&mut consumer, 1).await, ["after"]);
    assert_eq!(proxy.opened(), 2, "no connection had to be made anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_consumer_takes_nothing_and_may_acknowledge_what_it_has() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("paused");
    somebody.declares(&queue).await.unwrap();
    somebody.publishes(&queue, "before").await;
    let mut consumer = ours.consumer(&queue);
    let before = batch(&mut consumer, 10).await;
    consumer.pause().await;
    consumer.pause().await;
    somebody.publishes(&queue, "meanwhile").await;
    let found = ours.broker.queue(&queue).await.unwrap();
    assert_eq!((found.consumers, found.messages), (0, 1), "the unacknowledged one does not count");
    consumer.ack(&before).await.unwrap();
    consumer.resume();
    let after = batch(&mut consumer, 10).await;
    assert_eq!(after.deliveries.len(), 1, "the first was acknowledged");
    assert_eq!(after.deliveries[0].body, "meanwhile");
    assert!(!after.deliveries[0].redelivered);
    consumer.ack(&after).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_nobody_waits_for_any_more_loses_nothing() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("impatient");
    let mut consumer = ours.consumer(&queue);
    let publishing = async {
        ours.until_consumed(&queue).await;
        for number in 0..200 {
            somebody.publishes(&queue, &number.to_string()).await;
        }
    };
    let mut got = Vec::new();
    let taking = async {
        while got.len() < 200 {
            let patience = Duration::from_micros(got.len() as u64 * 10);
            let Ok(batch) = tokio::time::timeout(patience, consumer.batch(7)).await else { continue };
            got.extend(batch.deliveries.iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()));
            consumer.ack(&batch).await.unwrap();
        }
    };
    let both = async { tokio::join!(publishing, taking) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("something was lost");
    assert_eq!(got, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_queue_counts_deliveries_and_sends_what_is_rejected_to_its_dead_letters() {
    let ours = Ours::shared().await;
    let (queue, dead) = (fresh("own"), fresh("own.dead"));
    ours.broker.ensure_queue(&dead, &Declare::AttachOrCreate(QueueForm::Durable)).await.unwrap();
    let own = OwnQueue {
        delivery_limit: Some(3),
        max_length: Some(2),
        dead_letters: Some(DeadLetters { exchange: String::new(), routing_key: dead.clone() }),
    };
    let declare = Declare::Ours(own.clone());
    ours.broker.ensure_queue(&queue, &declare).await.unwrap();
    ours.broker.ensure_queue(&queue, &declare).await.expect("made once, found twice");
    for body in ["1", "2", "3"] {
        ours.broker.publish_one(Publish::to_queue(&queue, body)).await.unwrap();
    }
    // The oldest went, and into the dead letters.
    let mut letters = ours.consumer_of(&dead, Declare::AttachOrCreate(QueueForm::Durable));
    assert_eq!(take(&mut letters, 1).await, ["1"]);

    for count in [None, Some(1)] {
        let mut consumer = ours.consumer_of(&queue, declare.clone());
        let got = batch(&mut consumer, 1).await;
        assert_eq!((&got.deliveries[0].body[..], got.deliveries[0].delivery_count()), (&b"2"[..], count));
        if count.is_some() {
            consumer.reject(&got.deliveries[0]).await.unwrap();
            assert_eq!(take(&mut letters, 1).await, ["2"]);
        }
        drop(consumer);
        eventually("the consumer to be gone", async || {
            (ours.broker.queue(&queue).await.unwrap().consumers == 0).then_some(())
        })
        .await;
    }

    // With other arguments it is used as it is.
    let other = Declare::Ours(OwnQueue { max_length: Some(7), ..own });
    let found = ours.broker.ensure_queue(&queue, &other).await.unwrap();
    assert_eq!(found.messages, 1);
    let mut consumer = ours.consumer_of(&queue, other);
    assert_eq!(take(&mut consumer, 1).await, ["3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_reaches_everybody_who_listens() {
    let (one, other) = (Ours::shared().await, Ours::shared().await);
    let exchange = fresh("signals");
    let (mut ear, mut other_ear) =
        (one.broker.subscribe_fanout(&exchange), other.broker.subscribe_fanout(&exchange));
    let signalling = async {
        // Until both have come, nobody hears all.
        loop {
            one.broker.publish_one(Publish::to_exchange(&exchange, "", "stop")).await.ok();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = signalling => {}
        (heard, also_heard) = async { tokio::join!(batch(&mut ear, 1), batch(&mut other_ear, 1)) } => {
            assert_eq!(heard.deliveries[0].body, "stop");
            assert_eq!(also_heard.deliveries[0].body, "stop");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_cannot_be_had_is_told_on_the_health_board_until_it_can() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("exclusive");
    let exclusive = lapin::options::QueueDeclareOptions {
        exclusive: true,
        ..lapin::options::QueueDeclareOptions::default()
    };
    somebody.channel.queue_declare(queue.as_str().into(), exclusive, Default::default()).await.unwrap();
    assert!(matches!(ours.broker.queue(&queue).await, Err(TopologyError::Refused { .. })));
    let mut consumer = ours.consumer(&queue);
    let (taken, ()) = tokio::join!(batch(&mut consumer, 1), async {
        ours.until_line_has(&queue).await;
        assert!(ours.line().contains("\"down\""), "{}", ours.line());
        // It goes with its owner, and then it can be made.
        somebody.connection.close(200, "OK".into()).await.unwrap();
        ours.until_line_has("\"up\"").await;
        ours.broker.publish_one(Publish::to_queue(&queue, "at last")).await.unwrap();
    });
    assert_eq!(taken.deliveries[0].body, "at last");
    assert_eq!(consumer.ack(&taken).await, Ok::<(), Lost>(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_hard_to_read_stops_nobody() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("bytes");
    somebody.declares(&queue).await.unwrap();
    // As a producer can that writes bytes where text belongs; the client that we use here cannot.
    let publish = format!(
        "X = rabbit_misc:r(<<\"/\">>, exchange, <<>>), \
         P = fun(Id, B) -> rabbit_basic:publish(X, <<\"{queue}\">>, \
             [{{message_id, Id}}, {{reply_to, <<255>>}}, {{headers, [{{<<254,$k>>, longstr, <<253>>}}]}}], B) end, \
         [P(<<I,255,254,253,252,251,250,249>>, <<\"bytes\">>) || I <- [200, 200, 201]]."
    );
    shared_ctl(&["eval", &publish]);
    // And headers that no stack holds.
    let publish = format!(
        "X = rabbit_misc:r(<<\"/\">>, exchange, <<>>), \
         Deep = lists:foldl(fun(_, V) -> {{array, [V]}} end, {{void, undefined}}, lists:seq(1, 20000)), {{array, L}} = Deep, \
         rabbit_basic:publish(X, <<\"{queue}\">>, [{{headers, [{{<<\"deep\">>, array, L}}]}}], <<\"deep\">>)."
    );
    shared_ctl(&["eval", &publish]);
    somebody.publishes(&queue, "text").await;
    let mut consumer = ours.consumer(&queue);
    let mut got = Vec::new();
    while got.len() < 5 {
        let batch = batch(&mut consumer, 10).await;
        consumer.ack(&batch).await.unwrap();
        got.extend(batch.deliveries);
    }
    assert_eq!((&got[3].body[..], &got[4].body[..]), (&b"deep"[..], &b"text"[..]));
    assert_eq!(got[0].body, "bytes");
    assert_eq!((got[0].reply_to(), got[0].header("?k").as_deref()), (Some("?"), Some("\u{fffd}")));
    assert_eq!(got[0].message_id(), got[1].message_id(), "the same id is the same");
    assert_ne!(got[0].message_id(), got[2].message_id(), "another is another");
    ours.until_line_has("\"up\"").await;
}
