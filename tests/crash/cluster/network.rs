//! A network that swallows, between the daemon and its broker, and between it and its database.

use super::field::{Field, Form};
use crate::common::proxy::Proxy;
use crate::common::{Engine, eventually};

/// A proxy before the host of that address, and the address through it.
pub(super) async fn proxied(url: &str) -> (Proxy, String) {
    let (user, place) = url.rsplit_once('@').unwrap();
    let (host, path) = place.split_once('/').unwrap();
    let proxy = Proxy::before(host.to_owned()).await;
    let through = format!("{user}@{}/{path}", proxy.address);
    (proxy, through)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_the_broker_that_swallows_is_given_up_within_heartbeats_and_nothing_is_lost() {
    let mut field = Field::shared(Engine::Sqlite, Form::Durable).await;
    let (proxy, url) = proxied(&field.url).await;
    let start = field.plain().with("BROKER__URL", url);
    let daemon = field.world.start(&start).await;
    let (flood, load) = (field.producer.start(200), field.world.clients.start_some(3, 2..4));
    for _ in 0..2 {
        field.messages_became_tasks(field.tasks_of_messages().await + 50).await;
        field.broker_is(None).await;
        let before = proxy.opened();
        proxy.swallow_what_is_open();
        let begun = std::time::Instant::now();
        eventually("both connections to be made anew", async || (proxy.opened() >= before + 2).then_some(()))
            .await;
        println!("swallowed connections were made anew after {:?}", begun.elapsed());
    }
    field.messages_became_tasks(field.tasks_of_messages().await + 50).await;
    flood.stop().await;
    load.stop().await;
    field.end(&mut [daemon]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_messages_stay_in_the_queue_and_are_not_given_back_in_a_loop() {
    // Given back even once, a message would be dead.
    let mut field = Field::shared(Engine::Postgres, Form::Quorum { limit: 0 }).await;
    let (proxy, url) = proxied(&field.world.place.database_url()).await;
    let start = field
        .plain()
        .with("DATABASE__URL", url)
        .with("DATABASE__STATEMENT_TIMEOUT_S", 2)
        .with("DATABASE__CONNECT_TIMEOUT_S", 2);
    let daemon = field.world.start(&start).await;
    let flood = field.producer.start(200);
    for round in 0..2 {
        field.messages_became_tasks(field.tasks_of_messages().await + 50).await;
        proxy.set_silent(true);
        proxy.swallow_what_is_open();
        let stopped = "no more messages are taken until these are dealt with";
        eventually("the daemon to stop consuming", async || {
            (daemon.log().matches(stopped).count() > round).then_some(())
        })
        .await;
        // It takes nothing while more waits than it could hold.
        let (taken, waiting) = (field.delivered().await, field.queue().await.messages);
        eventually("more to wait", async || (field.queue().await.messages > waiting + 200).then_some(()))
            .await;
        assert_eq!(field.delivered().await, taken, "messages were taken for which there is no room");
        proxy.set_silent(false);
        // Its lease was over.
        field.world.deaths += 1;
    }
    field.messages_became_tasks(field.tasks_of_messages().await + 50).await;
    flood.stop().await;
    field.end(&mut [daemon]).await;
}
