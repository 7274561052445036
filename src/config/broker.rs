//! `[broker]`: the RabbitMQ that tasks come from and events go to. Consumed by the broker.

use std::path::PathBuf;
use std::time::Duration;

use super::rule::{Choice, choice, optional_broker_url, optional_file, seconds, text, whole};
use super::section::section;
use super::value::BrokerUrl;

/// How a queue is declared that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueForm {
    /// Neither durable nor with arguments: what clients declare when they say nothing.
    Plain,
    /// Classic, and kept over a restart of the broker.
    Durable,
    /// Replicated, and kept over a restart of the broker.
    Quorum,
}

impl Choice for QueueForm {
    const ALL: &'static [(&'static str, Self)] =
        &[("plain", Self::Plain), ("durable", Self::Durable), ("quorum", Self::Quorum)];
}

section! {
    /// The RabbitMQ, if there is one. The daemon starts, serves and works without it, and joins it when it comes;
    /// meanwhile `/health/ready` says `degraded`.
    BrokerSettings = "broker" {
        /// Where it is, as `amqp://user:password@host/vhost`, or `amqps://` for TLS; without a user, `guest`. Empty: no
        /// broker. A password in the URL is never printed; to keep it out of files, set the environment variable or
        /// `password_file`.
        "url" => url: Option<BrokerUrl> = "", optional_broker_url();

        /// A file that holds the password, for a URL without one; a line break at its end is not part of it.
        "password_file" => password_file: Option<PathBuf> = "", optional_file();

        /// A file of certificates (PEM) that `amqps` trusts besides those of the system.
        "ca_file" => ca_file: Option<PathBuf> = "", optional_file();

        /// The queue from which tasks come. What is there is taken as it is, however it was declared. Messages that
        /// are no tasks go to the queue of this name with `.dead` at the end.
        "queue" => queue: String = "task_queue", text(1..=200);

        /// How that queue is declared when it is not there: `plain` as most clients do by default, so that a producer
        /// which declares it again agrees, but then it and its messages end with the broker's process; `durable` and
        /// `quorum` outlive it, and then a producer must declare the same, or nothing.
        "declare" => declare: QueueForm = "plain", choice();

        /// How many messages the broker may send before the first is acknowledged. At most half of them are committed
        /// together, while the other half is on its way. More raise throughput; this many may come again after a crash.
        "prefetch" => prefetch: u16 = 1000, whole(1..=10_000);

        /// How often the two sides let each other know that they live, in seconds; after twice that without a word the
        /// connection is given up.
        "heartbeat_s" => heartbeat_s: u16 = 10, whole(1..=600);

        /// How long to wait for a connection, in seconds.
        "connect_timeout_s" => connect_timeout: Duration = 10, seconds(0.1..=300.0);

        /// How long to wait until the broker confirms a message, in seconds. Then it counts as lost, and the
        /// connection is made anew.
        "confirm_timeout_s" => confirm_timeout: Duration = 10, seconds(0.1..=300.0);

        /// The longest pause between two attempts to connect, in seconds. Pauses grow up to it, and are drawn at
        /// random so that nodes do not come back all at once.
        "retry_cap_s" => retry_cap: Duration = 10, seconds(0.1..=600.0);

        /// How many messages a run queue (`gristmill.run.<kind>`) holds; the oldest go first. They are hints, and come
        /// again while there is work.
        "run_queue_length" => run_queue_length: u32 = 10_000, whole(1..=10_000_000);

        /// How often a message of a run queue is delivered again before it goes to the dead letters.
        "delivery_limit" => delivery_limit: u32 = 20, whole(1..=1_000_000);

        check consistent;
    }
}

fn consistent(settings: &BrokerSettings) -> Vec<(&'static str, String)> {
    let password = settings.url.as_ref().is_some_and(|url| url.password().is_some());
    if password && settings.password_file.is_some() {
        return vec![("password_file", "gives a password, and broker.url has one too: keep one".to_owned())];
    }
    Vec::new()
}
