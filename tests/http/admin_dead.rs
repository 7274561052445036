//! The page of dead letters, on a real RabbitMQ, and on one that is away.

use std::time::Duration;

use gristmill::broker::{Broker, DIED_HEADER, DeadQueue, Publish, QUEUE_HEADER, REASON_HEADER, dead_queue};
use gristmill::clock::Clock;
use gristmill::http::Code;
use gristmill::telemetry::Health;

use crate::admin_pages::{confirm, leads_to, seen, with};
use crate::harness::{Daemon, Wishes};
use crate::outside::eventually;
use crate::pages::{look, page, problem_page, send};
use crate::rabbit::{settings, shared};

const ACT: &str = "/admin/dead/act";

/// A daemon whose dead queue has these messages, its admin's cookie, and the broker with the queue they came from.
async fn buried(name: &str, bodies: &[&str]) -> (Daemon, String, Broker, String) {
    let health = Health::new();
    let broker = Broker::start(&settings(&shared(), &[]), health.clone(), Clock::system()).unwrap().unwrap();
    broker.until_up(Duration::from_secs(20)).await.unwrap();
    let queue = format!("test.pages.{name}.{}", std::process::id());
    broker
        .ensure_queue(
            &queue,
            &gristmill::broker::Declare::AttachOrCreate(gristmill::config::QueueForm::Plain),
        )
        .await
        .unwrap();
    broker.ensure_dead_queue(&queue).await.unwrap();
    for (number, body) in bodies.iter().enumerate() {
        let letter = Publish::to_queue(&dead_queue(&queue), (*body).to_owned())
            .message_id(&format!("m{}", number + 1))
            .header(REASON_HEADER, &format!("no task, number {}", number + 1))
            .header(QUEUE_HEADER, &queue)
            .header(DIED_HEADER, "2026-01-31T12:00:00Z")
            .header("shop", "<north>");
        broker.publish_one(letter).await.unwrap();
    }
    let dead = Some(DeadQueue::new(broker.clone(), &queue));
    let (daemon, admin) = with(Wishes { idle: true, dead, health, ..Wishes::default() }).await;
    (daemon, admin, broker, queue)
}

/// The keys of the messages that the page shows.
fn keys(text: &str) -> Vec<String> {
    let boxes = text.split("name=\"key\" value=\"").skip(1);
    boxes.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_shown_sent_back_and_removed_after_a_question() {
    let (daemon, admin, broker, queue) = buried("acts", &["<b>one</b>", "two", "three", "four"]).await;
    let text = seen(&daemon, &admin, "/admin/dead").await;
    let keys = keys(&text);
    assert_eq!(keys.len(), 4, "{text}");
    for part in
        ["no task, number 1", "&#60;b&#62;one&#60;/b&#62;", "2026-01-31T12:00:00", "m4", &dead_queue(&queue)]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let one = seen(&daemon, &admin, &format!("/admin/dead/{}", keys[0])).await;
    for part in ["no task, number 1", "&#60;north&#62;", "<pre", "&#60;b&#62;one&#60;/b&#62;", "shop"] {
        assert!(one.contains(part), "{part}: {one}");
    }
    let none = look(&daemon, &format!("/admin/dead/{}", "0".repeat(32)), &[("cookie", &admin)]).await;
    problem_page(&none, Code::NotFound);

    let back = send(&daemon, ACT, &admin, &[("act", "redrive"), ("key", &keys[1]), ("key", &keys[2])]).await;
    leads_to(&back, "/admin/dead?told=sent_back.2.0.0");
    assert_eq!(broker.queue(&queue).await.unwrap().messages, 2);
    let asked = send(&daemon, ACT, &admin, &[("act", "purge"), ("key", &keys[0])]).await;
    assert!(page(&asked, 200).contains("<h1>Delete 1 message?</h1>"));
    assert_eq!(broker.queue(&dead_queue(&queue)).await.unwrap().messages, 2, "nothing was done so far");
    leads_to(&confirm(&daemon, &admin, ACT, &asked).await, "/admin/dead?told=deleted.1.0.0");
    // What is gone meanwhile is said, and nothing is done.
    let both = [("act", "redrive"), ("key", &*keys[0]), ("key", &keys[3])];
    let refused = page(&send(&daemon, ACT, &admin, &both).await, 409);
    assert!(refused.contains("role=\"alert\"") && refused.contains(&keys[0]), "{refused}");
    let asked = send(&daemon, ACT, &admin, &[("act", "redrive_all")]).await;
    assert!(page(&asked, 200).contains("Send 1 message back"));
    leads_to(&confirm(&daemon, &admin, ACT, &asked).await, "/admin/dead?told=sent_back.1.0.0");
    assert_eq!(broker.queue(&queue).await.unwrap().messages, 3);
    assert!(seen(&daemon, &admin, "/admin/dead").await.contains("There are none."));

    let lines = daemon.action_lines();
    for line in ["sent back (2, by admin #1).", "deleted (1, by admin #1).", "sent back (1, by admin #1)."] {
        assert_eq!(lines.matches(line).count(), 1, "{line}: {lines}");
    }
    leads_to(&send(&daemon, ACT, &admin, &[("act", "purge")]).await, "/admin/dead?told=nothing.0.0.0");
    problem_page(&send(&daemon, ACT, &admin, &[("act", "burn")]).await, Code::InvalidForm);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_look_they_see_the_same_and_the_first_page_counts_them() {
    let (daemon, admin, _broker, _queue) = buried("looks", &["one", "two", "three"]).await;
    let looks = (0..8).map(|_| seen(&daemon, &admin, "/admin/dead"));
    for text in futures_util::future::join_all(looks).await {
        assert_eq!(keys(&text).len(), 3, "{text}");
    }
    let overview = seen(&daemon, &admin, "/admin").await;
    assert!(overview.contains("dead letters: 3"), "{overview}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_said_in_its_place_with_no_secret() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("amqp://me:s3cret@127.0.0.1:{port}");
    let health = Health::new();
    let broker = Broker::start(&settings(&url, &[]), health.clone(), Clock::system()).unwrap().unwrap();
    let dead = Some(DeadQueue::new(broker, "work"));
    let (daemon, admin) = with(Wishes { idle: true, dead, health, ..Wishes::default() }).await;
    let text = seen(&daemon, &admin, "/admin/dead").await;
    assert!(text.contains("The broker cannot be asked now.") && !text.contains("s3cret"), "{text}");
    eventually(async || seen(&daemon, &admin, "/admin").await.contains("not to be reached").then_some(()))
        .await;
    let failed = send(&daemon, ACT, &admin, &[("act", "redrive"), ("key", "00")]).await;
    assert!(page(&failed, 503).contains("role=\"alert\""));
    let failed = send(&daemon, ACT, &admin, &[("act", "purge_all")]).await;
    assert!(page(&failed, 503).contains("role=\"alert\""));
}
