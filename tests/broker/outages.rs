//! A broker that is killed, wiped, not there yet, or in alarm.

use std::time::{Duration, Instant};

use gristmill::broker::{Declare, Lost, Publish, PublishError};
use gristmill::config::QueueForm;

use crate::common::eventually;
use crate::node::{Node, Ours, Somebody, batch, fresh, take};

const DURABLE: Declare = Declare::AttachOrCreate(QueueForm::Durable);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_or_wiped_is_joined_again_and_nothing_confirmed_is_lost() {
    let node = Node::start();
    let ours = Ours::at(&node.url(), &[]).await;
    let mut consumer = ours.consumer_of("kept", DURABLE);
    let mut plain = ours.consumer("plain");
    let mut ear = ours.broker.subscribe_fanout("signals");
    ours.broker.ensure_queue("kept", &DURABLE).await.unwrap();
    for body in ["1", "2", "3"] {
        ours.broker.publish_one(Publish::to_queue("kept", body).message_id(body)).await.unwrap();
    }
    let held = batch(&mut consumer, 1).await;
    ours.until_line_has("\"up\"").await;

    node.kill();
    let told = eventually("a publish to fail", async || {
        ours.broker.publish_one(Publish::to_queue("kept", "x")).await.err()
    })
    .await;
    assert!(matches!(told, PublishError::Unavailable { .. }), "{told:?}");
    ours.until_line_has("Connection refused").await;
    assert!(ours.line().contains(&node.host()), "{}", ours.line());
    // While it is down an error comes at once, without the time limit of a confirm (10 s).
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(ours.broker.publish_one(Publish::to_queue("kept", "x")).await.is_err());
    }
    assert!(ours.broker.queue("kept").await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(consumer.ack(&held).await, Err(Lost));

    node.again();
    let bodies = take(&mut consumer, 3).await;
    assert_eq!(bodies, ["1", "2", "3"], "what was confirmed, and what was not acknowledged");
    ours.publish_until_taken(Publish::to_queue("kept", "4")).await;
    assert_eq!(take(&mut consumer, 1).await, ["4"]);
    ours.until_line_has("\"up\"").await;

    node.kill();
    node.wipe();
    node.again();
    // Each makes its own queue again: nobody has to restart.
    let (kept, plain, ()) = tokio::join!(batch(&mut consumer, 1), batch(&mut plain, 1), async {
        ours.publish_until_taken(Publish::to_queue("kept", "5")).await;
        ours.publish_until_taken(Publish::to_queue("plain", "6")).await;
    });
    // A listener's queue goes with its connection, and what is in it: signals are hints, and given again.
    let signal = Publish::to_exchange("signals", "", "7").mandatory(true);
    let heard = tokio::select! {
        heard = batch(&mut ear, 1) => heard,
        never = async { loop { ours.publish_until_taken(signal.clone()).await } } => never,
    };
    for (batch, body) in [(kept, "5"), (plain, "6"), (heard, "7")] {
        assert_eq!(batch.deliveries[0].body, body);
    }
    ours.broker.close().await;
    assert!(!ours.health.snapshot().components.contains_key("broker"), "nobody's worry any more");
    assert!(ours.broker.publish_one(Publish::to_queue("kept", "x")).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_later_is_joined_when_it_comes() {
    let node = Node::start();
    node.kill();
    let begun = Instant::now();
    let ours = Ours::begin(&node.url(), &[]);
    assert!(ours.broker.publish_one(Publish::to_queue("q", "x")).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(2));
    ours.until_line_has("\"down\"").await;
    let mut consumer = ours.consumer("q");
    let (got, ()) = tokio::join!(batch(&mut consumer, 1), async {
        node.again();
        ours.publish_until_taken(Publish::to_queue("q", "x")).await;
    });
    assert_eq!(got.deliveries[0].body, "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_in_alarm_takes_nothing_gives_on_and_the_health_board_says_so() {
    let node = Node::start();
    let ours = Ours::at(&node.url(), &[("CONFIRM_TIMEOUT_S", "60")]).await;
    let queue = fresh("alarm");
    ours.broker.ensure_queue(&queue, &DURABLE).await.unwrap();
    for number in 0..50 {
        ours.broker.publish_one(Publish::to_queue(&queue, number.to_string())).await.unwrap();
    }
    let mut consumer = ours.consumer_of(&queue, DURABLE);
    take(&mut consumer, 1).await;
    ours.until_line_has("\"up\"").await;

    node.ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    // The broker says it to those who publish; until then nobody can know.
    let begun = Instant::now();
    let told = eventually("a publish to be refused", async || {
        ours.broker.publish_one(Publish::to_queue(&queue, "50")).await.err()
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(30), "not by the time limit: {:?}", begun.elapsed());
    let PublishError::Unavailable { reason } = &told else { panic!("{told:?}") };
    assert!(reason.contains("the broker has blocked publishing: "), "{reason}");
    assert!(ours.line().contains("\"down\""), "{}", ours.line());
    assert!(ours.line().contains("the broker has blocked publishing: "), "{}", ours.line());
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(ours.broker.publish_one(Publish::to_queue(&queue, "x")).await.is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Consuming goes on, and so does asking.
    take(&mut consumer, 49).await;
    ours.broker.queue(&queue).await.unwrap();

    node.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    ours.until_line_has("\"up\"").await;
    ours.publish_until_taken(Publish::to_queue(&queue, "last")).await;
    // What was under way when the alarm came may have arrived: an error is no proof that it did not.
    while take(&mut consumer, 1).await != ["last"] {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_broker_is_joined_by_who_trusts_its_certificate() {
    let node = Node::prepare(|folder| {
        certificates(folder);
        let folder = folder.display();
        format!(
            "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.cacertfile = {folder}/ca.pem\n\
             ssl_options.certfile = {folder}/server.pem\nssl_options.keyfile = {folder}/server.key\n\
             ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
            free_port()
        )
    });
    node.again();
    let extra = std::fs::read_to_string(node.folder().join("extra.conf")).unwrap();
    let port = extra.lines().next().unwrap().rsplit(':').next().unwrap().to_owned();
    let ca = node.folder().join("ca.pem");
    let url = format!("amqps://127.0.0.1:{port}");

    let ours = Ours::at(&url, &[("CA_FILE", ca.to_str().unwrap())]).await;
    let queue = fresh("tls");
    let mut consumer = ours.consumer(&queue);
    let (got, ()) = tokio::join!(batch(&mut consumer, 1), async {
        ours.publish_until_taken(Publish::to_queue(&queue, "secret")).await;
    });
    assert_eq!(got.deliveries[0].body, "secret");

    let stranger = Ours::begin(&url, &[]);
    stranger.until_line_has("certificate").await;
    let elsewhere = Ours::begin(&format!("amqps://localhost:{port}"), &[("CA_FILE", ca.to_str().unwrap())]);
    elsewhere.until_line_has("certificate").await;
    let plain = Ours::begin(&format!("amqp://127.0.0.1:{port}"), &[]);
    plain.until_line_has("\"down\"").await;
}

/// An authority of our own, and a certificate of the server for 127.0.0.1 alone.
fn certificates(folder: &std::path::Path) {
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=test authority' -keyout ca.key -out ca.pem \
          -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
        openssl req -newkey rsa:2048 -nodes -subj '/CN=test broker' -keyout server.key -out server.csr
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem
        chmod a+r server.key";
    let output =
        std::process::Command::new("bash").args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_hold_the_same_queue_share_its_messages() {
    let url = crate::node::shared();
    let (one, other, somebody) =
        (Ours::at(&url, &[]).await, Ours::at(&url, &[]).await, Somebody::at(&url).await);
    let queue = fresh("shared");
    let (mut mine, mut theirs) = (one.consumer(&queue), other.consumer(&queue));
    let publishing = async {
        eventually("both to be there", async || {
            (one.broker.queue(&queue).await.ok()?.consumers == 2).then_some(())
        })
        .await;
        for number in 0..20 {
            somebody.publishes(&queue, &number.to_string()).await;
        }
    };
    let (mine, theirs, ()) = tokio::join!(take(&mut mine, 10), take(&mut theirs, 10), publishing);
    let mut all: Vec<u32> = mine.iter().chain(&theirs).map(|body| body.parse().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}
