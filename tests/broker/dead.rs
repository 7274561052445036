//! The dead queue, and `gristmill dead` on it.

use std::process::{Command, Output};

use gristmill::broker::{Burial, DIED_HEADER, Delivery, QUEUE_HEADER, REASON_HEADER, dead_queue};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

use crate::node::{Ours, Somebody, batch, fresh, shared};

/// `gristmill dead` on a queue.
fn dead(queue: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_gristmill"))
        .arg("dead")
        .args(arguments)
        .current_dir(folder.path())
        .env("GRISTMILL__BROKER__URL", shared())
        .env("GRISTMILL__BROKER__QUEUE", queue)
        .output()
        .unwrap()
}

/// What it said, done.
fn done(queue: &str, arguments: &[&str]) -> String {
    let output = dead(queue, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it complained of, with this code.
fn refused(queue: &str, arguments: &[&str], code: i32) -> String {
    let output = dead(queue, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn listed(queue: &str) -> Vec<Value> {
    serde_json::from_str(&done(queue, &["list", "--json"])).unwrap()
}

/// A queue with these messages, each buried with a reason of its own.
pub(crate) async fn buried(bodies: &[&str]) -> (Ours, String) {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let queue = fresh("work");
    somebody.declares(&queue).await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert("shop".into(), AMQPValue::LongString("north".into()));
    headers.insert("tries".into(), AMQPValue::LongInt(-3));
    headers.insert("deep".into(), AMQPValue::FieldTable(FieldTable::default()));
    for (number, body) in bodies.iter().enumerate() {
        let properties = BasicProperties::default()
            .with_message_id(format!("m{}", number + 1).into())
            .with_correlation_id("c".into())
            .with_reply_to("answers".into())
            .with_user_id("guest".into())
            .with_expiration("3600000".into())
            .with_headers(headers.clone());
        somebody.publishes_with(&queue, body, properties).await;
    }
    let mut consumer = ours.consumer(&queue);
    let mut count = 0;
    while count < bodies.len() {
        let batch = batch(&mut consumer, 10).await;
        let reasons: Vec<String> =
            (0..batch.deliveries.len()).map(|place| format!("no task: {}", count + place + 1)).collect();
        let burials: Vec<Burial<'_>> = batch
            .deliveries
            .iter()
            .zip(&reasons)
            .map(|(delivery, reason)| Burial { delivery, reason })
            .collect();
        let results = ours.broker.bury(&queue, &burials).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        consumer.ack(&batch).await.unwrap();
        count += batch.deliveries.len();
    }
    drop(consumer);
    (ours, queue)
}

pub(crate) async fn whole(ours: &Ours, queue: &str) -> Vec<Delivery> {
    let mut browser = ours.broker.browse(queue).await.unwrap();
    let mut found = Vec::new();
    while let Some((message, _)) = browser.next().await.unwrap() {
        found.push(message);
    }
    browser.close().await.unwrap();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_buried_whole_in_a_durable_queue() {
    let (ours, queue) = buried(&["{\"status\": 1}"]).await;
    let found = whole(&ours, &dead_queue(&queue)).await.remove(0);
    assert_eq!(found.body, "{\"status\": 1}");
    assert_eq!(found.message_id(), Some("m1"));
    assert_eq!((found.correlation_id(), found.reply_to()), (Some("c"), Some("answers")));
    assert_eq!(found.expiration(), None, "it waits for somebody to look");
    assert_eq!(found.header("shop").as_deref(), Some("north"));
    assert_eq!(found.header("tries").as_deref(), Some("-3"));
    assert!(found.headers().iter().any(|(name, _)| name == "deep"));
    assert_eq!(found.header(REASON_HEADER).as_deref(), Some("no task: 1"));
    assert_eq!(found.header(QUEUE_HEADER).as_deref(), Some(queue.as_str()));
    assert!(found.header(DIED_HEADER).is_some());
    let somebody = Somebody::at(&shared()).await;
    somebody.declares_with(&dead_queue(&queue), true, &[]).await.expect("a durable classic queue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_asks_for_copies_is_buried_once_and_comes_back_once() {
    let (ours, somebody) = (Ours::shared().await, Somebody::at(&shared()).await);
    let (queue, elsewhere) = (fresh("work"), fresh("elsewhere"));
    somebody.declares(&queue).await.unwrap();
    somebody.declares(&elsewhere).await.unwrap();
    let copies = [queue.as_str(), &elsewhere].map(|name| AMQPValue::LongString(name.into()));
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(copies.to_vec().into()));
    somebody.publishes_with(&queue, "no task", BasicProperties::default().with_headers(headers)).await;
    let mut consumer = ours.consumer(&queue);
    let arrived = batch(&mut consumer, 10).await;
    let burials: Vec<Burial<'_>> =
        arrived.deliveries.iter().map(|delivery| Burial { delivery, reason: "no task" }).collect();
    assert!(ours.broker.bury(&queue, &burials).await.iter().all(Result::is_ok));
    consumer.ack(&arrived).await.unwrap();
    drop(consumer);
    assert_eq!(whole(&ours, &elsewhere).await.len(), 1, "the publisher's own copy, and no other");
    let found = whole(&ours, &dead_queue(&queue)).await;
    assert_eq!(found.len(), arrived.deliveries.len());
    assert!(found[0].header("CC").is_none());
    assert!(found[0].headers().iter().any(|(name, _)| name == "x-gristmill-cc"), "{:?}", found[0].headers());
    assert!(done(&queue, &["redrive", "--all"]).contains("1 sent back"));
    assert_eq!((whole(&ours, &queue).await.len(), whole(&ours, &elsewhere).await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_changes_nothing() {
    let (_ours, queue) = buried(&["a", "bb", "ccc\u{1b}[2J"]).await;
    for _ in 0..2 {
        let lines = listed(&queue);
        let of = |key: &str| lines.iter().map(|line| line[key].clone()).collect::<Vec<_>>();
        assert_eq!(of("position"), [1, 2, 3]);
        assert_eq!(of("message_id"), ["m1", "m2", "m3"]);
        assert_eq!(of("reason"), ["no task: 1", "no task: 2", "no task: 3"]);
        assert_eq!(of("size"), [1, 2, 7]);
        assert!(of("age_s").iter().all(|age| age.as_i64().is_some_and(|age| (0..60).contains(&age))));
    }
    let text = done(&queue, &["list", "--limit", "2"]);
    assert!(text.contains("no task: 2") && !text.contains("no task: 3"), "{text}");
    assert!(text.contains("and 1 more"), "{text}");

    let by_id = done(&queue, &["show", "m2"]);
    assert_eq!(by_id, done(&queue, &["show", "2"]));
    for part in ["message id: m2", "shop: north", "tries: -3", "reply to: answers", "\n\nbb\n"] {
        assert!(by_id.contains(part), "{part:?} in {by_id}");
    }
    assert!(!done(&queue, &["show", "3"]).contains('\u{1b}'), "no escape reaches the terminal");
    let shown: Value = serde_json::from_str(&done(&queue, &["show", "3", "--json"])).unwrap();
    assert_eq!(shown["body"], "ccc\u{1b}[2J");
    assert_eq!(shown["headers"]["shop"], "north");
    assert!(refused(&queue, &["show", "4"], 1).contains("has no message 4"));
    assert_eq!(listed(&queue).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_back_arrives_as_it_was_and_is_dead_no_more() {
    let (ours, queue) = buried(&["a", "b", "c", "d"]).await;
    assert!(done(&queue, &["redrive", "m3", "1"]).contains("2 sent back"));
    let back = whole(&ours, &queue).await;
    assert_eq!(back.iter().map(|message| &message.body[..]).collect::<Vec<_>>(), [b"a", b"c"]);
    let names: Vec<String> = back[0].headers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["deep", "shop", "tries", "x-gristmill-user-id"]);
    assert_eq!(back[0].message_id(), Some("m1"));
    let left: Vec<Value> = listed(&queue).iter().map(|line| line["message_id"].clone()).collect();
    assert_eq!(left, ["m2", "m4"]);

    assert!(refused(&queue, &["redrive", "m2", "m9"], 1).contains("m9"));
    assert_eq!(listed(&queue).len(), 2, "nothing was done");
    assert!(done(&queue, &["redrive", "--all"]).contains("2 sent back"));
    assert_eq!(whole(&ours, &queue).await.len(), 4);
    assert!(listed(&queue).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_back_stays() {
    let (ours, queue) = buried(&["a", "b"]).await;
    ours.broker.delete_queue(&queue).await.unwrap();
    let told = refused(&queue, &["redrive", "--all"], 1);
    assert!(told.contains("message 1 stays") && told.contains("no queue takes it"), "{told}");
    let left: Vec<Value> = listed(&queue).iter().map(|line| line["message_id"].clone()).collect();
    assert_eq!(left, ["m1", "m2"], "in their order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purging_needs_a_word_and_takes_what_was_named() {
    let (_ours, queue) = buried(&["a", "b", "c"]).await;
    assert!(refused(&queue, &["purge", "--all"], 2).contains("--yes"));
    refused(&queue, &["purge", "--yes"], 2);
    refused(&queue, &["redrive"], 2);
    refused(&queue, &["redrive", "1", "--all"], 2);
    assert!(done(&queue, &["purge", "2", "--yes"]).contains("1 removed"));
    let left: Vec<Value> = listed(&queue).iter().map(|line| line["message_id"].clone()).collect();
    assert_eq!(left, ["m1", "m3"]);
    assert!(done(&queue, &["purge", "--all", "--yes"]).contains("2 removed"));
    assert!(done(&queue, &["list"]).contains("no messages"));
}

#[test]
fn without_a_queue_or_a_broker_the_command_says_what_is_missing() {
    let queue = fresh("never");
    assert!(done(&queue, &["list"]).contains("no messages"));
    assert_eq!(done(&queue, &["list", "--json"]).trim(), "[]");
    assert!(done(&queue, &["redrive", "--all"]).contains("0 sent back"));
    refused(&queue, &["show", "1"], 1);

    let with = |url: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command.args(["dead", "list"]).current_dir(folder.path()).env("GRISTMILL__BROKER__URL", url);
        command.env("GRISTMILL__BROKER__CONNECT_TIMEOUT_S", "0.3").output().unwrap()
    };
    let output = with("");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = with(&format!("amqp://me:hidden@127.0.0.1:{port}"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(&port.to_string()) && !told.contains("hidden"), "{told}");
}
