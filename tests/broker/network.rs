//! A network that swallows: connections that are open, and answer nothing any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill::broker::{Lost, Publish, PublishError, TopologyError};

use crate::common::eventually;
use crate::common::proxy::{Proxy, Sieve};
use crate::node::{Ours, Somebody, batch, fresh, shared, take};

async fn proxied() -> (Proxy, String) {
    let upstream = shared().split_once('@').unwrap().1.to_owned();
    let proxy = Proxy::before(upstream).await;
    let url = format!("amqp://{}", proxy.address);
    (proxy, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_into_a_swallowed_connection_fails_in_time_and_the_next_has_a_new_one() {
    let (proxy, url) = proxied().await;
    // Heartbeats far apart: it is the missing confirm that tells.
    let ours = Ours::at(&url, &[("CONFIRM_TIMEOUT_S", "0.7"), ("HEARTBEAT_S", "600")]).await;
    let queue = fresh("swallowed");
    ours.broker.ensure_queue(&queue, &declare()).await.unwrap();
    for _ in 0..2 {
        ours.publish_until_taken(Publish::to_queue(&queue, "before")).await;
        proxy.swallow_what_is_open();
        let begun = Instant::now();
        let results =
            ours.broker.publish(vec![Publish::to_queue(&queue, "a"), Publish::to_queue(&queue, "b")]).await;
        let late = PublishError::TimedOut { after: Duration::from_millis(700) };
        assert_eq!(results, [Err(late.clone()), Err(late)]);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // The other connection is found dead by whoever uses it next.
        assert!(ours.broker.queue(&queue).await.is_err());
        ours.publish_until_taken(Publish::to_queue(&queue, "after")).await;
        eventually("the other connection to be new", async || ours.broker.queue(&queue).await.ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_behind_a_swallowed_connection_is_back_after_two_heartbeats() {
    let (proxy, url) = proxied().await;
    let ours = Ours::at(&url, &[("HEARTBEAT_S", "1"), ("CONFIRM_TIMEOUT_S", "60")]).await;
    let somebody = Somebody::at(&shared()).await;
    let queue = fresh("heartbeat");
    somebody.declares(&queue).await.unwrap();
    somebody.publishes(&queue, "held").await;
    let mut consumer = ours.consumer(&queue);
    let held = batch(&mut consumer, 1).await;
    proxy.swallow_what_is_open();
    somebody.publishes(&queue, "next").await;
    let begun = Instant::now();
    // In whatever order: the first one is put back when the broker sees the end.
    let mut again = take(&mut consumer, 2).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    again.sort();
    assert_eq!(again, ["held", "next"]);
    assert_eq!(consumer.ack(&held).await, Err(Lost));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_says_nothing_is_left_in_time_and_leaves_no_thread() {
    let (proxy, url) = proxied().await;
    proxy.set_silent(true);
    let before = lapin_threads();
    let ours = Ours::begin(&url, &[("CONNECT_TIMEOUT_S", "0.2"), ("RETRY_CAP_S", "0.1")]);
    ours.until_line_has("no connection within 0.2 s").await;
    eventually("many attempts", async || (proxy.opened() > 20).then_some(())).await;
    proxy.set_silent(false);
    ours.broker.until_up(Duration::from_secs(30)).await.unwrap();
    // Other tests of this process have connections too: what counts is that twenty attempts left nearly nothing.
    eventually("the threads of the attempts to end", async || (lapin_threads() < before + 16).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_gives_no_answer_costs_the_others_nothing() {
    let (hung, well) = (fresh("hung"), fresh("well"));
    let upstream = shared().split_once('@').unwrap().1.to_owned();
    // The answer to a declaration has the queue's name in it; nobody gets to see that of one queue.
    let unheard = hung.clone().into_bytes();
    let sieve: Sieve = Arc::new(move |_, body| {
        !(body.starts_with(&[0, 50, 0, 11]) && body.windows(unheard.len()).any(|part| part == unheard))
    });
    let proxy = Proxy::with_sieve(upstream, Some(sieve)).await;
    let ours = Ours::at(&format!("amqp://{}", proxy.address), &[("CONFIRM_TIMEOUT_S", "0.5")]).await;
    let mut consumer = ours.consumer(&well);
    let (held, ()) = tokio::join!(batch(&mut consumer, 1), async {
        ours.publish_until_taken(Publish::to_queue(&well, "held")).await;
    });
    let refused = ours.broker.ensure_queue(&hung, &declare()).await;
    let Err(TopologyError::Refused { name, reason }) = &refused else { panic!("{refused:?}") };
    assert!(*name == hung && reason.contains("no answer within 0.5 s"), "{reason}");
    assert_eq!(consumer.ack(&held).await, Ok(()), "the connection still stands");
    let mut stuck = ours.consumer(&hung);
    let attaching = tokio::spawn(async move { stuck.batch(1).await });
    ours.until_line_has(&format!("queue {hung}: {hung}")).await;
    attaching.abort();
    assert_eq!(proxy.opened(), 2, "no connection was made anew");
}

/// Threads of this process that serve a connection.
fn lapin_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    tasks.map(name).filter(|name| name.starts_with("lapin")).count()
}

fn declare() -> gristmill::broker::Declare {
    gristmill::broker::Declare::AttachOrCreate(gristmill::config::QueueForm::Plain)
}
