//! What the benchmarks ask of the broker itself, by plain lapin.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

pub const QUEUE: &str = "task_queue";

/// A virtual host of one's own on the node at `server`: its address. What earlier measurements left is elsewhere.
pub fn fresh(server: &str) -> String {
    let name = format!("bench-{}", uuid::Uuid::new_v4().simple());
    let ctl = std::env::var("GRISTMILL_TEST_RABBITMQ_CTL").expect("set together with the address");
    for arguments in
        [vec!["add_vhost", &name], vec!["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"]]
    {
        let output = Command::new(&ctl).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    format!("{server}/{name}")
}

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel) -> u32 {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await.unwrap().message_count()
}

/// Puts so many persistent messages of some hundred bytes into the durable queue, and returns once they are there.
pub async fn fill(url: &str, count: u32, with_ids: bool) {
    let (connection, channel) = channel(url).await;
    declare(&channel).await;
    for number in 0..count {
        let body = format!(
            r#"{{"kind":"noop","payload":{{"number":{number},"note":"some hundred bytes, as a producer would send them"}}}}"#
        );
        let properties = BasicProperties::default().with_delivery_mode(2);
        let properties = match with_ids {
            true => properties.with_message_id(uuid::Uuid::new_v4().to_string().into()),
            false => properties,
        };
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), QUEUE.into(), options, body.as_bytes(), properties);
        sent.await.unwrap();
    }
    while declare(&channel).await < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    connection.close(200, "filled".into()).await.unwrap();
}

/// Takes so many messages and does nothing but acknowledge them, whatever is there at a time as one batch: messages a
/// second.
pub async fn take(url: &str, count: u32, prefetch: u16) -> f64 {
    let (connection, channel) = channel(url).await;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.unwrap();
    let begun = Instant::now();
    let consume = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(QUEUE.into(), "plain".into(), consume, FieldTable::default()).await.unwrap();
    let mut taken = 0;
    while taken < count {
        let mut last = consumer.next().await.unwrap().unwrap();
        taken += 1;
        while let Some(Some(next)) = consumer.next().now_or_never() {
            last = next.unwrap();
            taken += 1;
        }
        last.ack(BasicAckOptions { multiple: true }).await.unwrap();
    }
    // The answer to this comes after the broker has read every acknowledgement.
    declare(&channel).await;
    let rate = f64::from(taken) / begun.elapsed().as_secs_f64();
    connection.close(200, "taken".into()).await.unwrap();
    rate
}
