//! From a full queue on the broker to committed tasks, beside a plain consumer that makes nothing of them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::broker;
use crate::client::{Client, request};
use crate::daemon::{Daemon, Setup};
use crate::report::{Report, median};

const MESSAGES: u32 = 60_000;
const ROUNDS: usize = 3;

/// After this a measurement has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// As the daemon's by default (`broker.prefetch`).
const PREFETCH: u16 = 1_000;

/// What a node does besides.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Whether each message has an id, which makes it count once.
    ids: bool,
    roles: &'static str,
}

const CASES: [Case; 3] = [
    Case { name: "taken only (role http)", ids: false, roles: "http" },
    Case { name: "taken, run and told (all roles)", ids: false, roles: "http,worker,janitor" },
    Case { name: "taken, run and told, with message_id", ids: true, roles: "http,worker,janitor" },
];

struct Taken {
    committed: f64,
    completed: f64,
}

/// The rows of one database. The plain consumer takes turns with the daemon, so that both have the same machine.
pub async fn compare(report: &mut Report, name: &str, server: Option<&str>, broker: &str) {
    let mut plain = Vec::new();
    let mut cases = CASES.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        let url = broker::fresh(broker);
        broker::fill(&url, MESSAGES, false).await;
        plain.push(broker::take(&url, MESSAGES, PREFETCH).await);
        for (case, (committed, completed)) in CASES.iter().zip(&mut cases) {
            let taken = take(server, broker, *case).await;
            committed.push(taken.committed);
            completed.push(taken.completed);
        }
    }
    let plain = median(plain);
    report.row(format!("{name}: ingress, a plain consumer, median of {ROUNDS}"), plain, "messages/s");
    for (case, (committed, completed)) in CASES.iter().zip(cases) {
        let committed = median(committed);
        let row = |what: &str| format!("{name}: ingress, {}: {what}", case.name);
        report.row(row("committed"), committed, "tasks/s");
        report.row(row("committed / plain"), committed / plain, "x");
        if case.roles.contains("worker") {
            report.row(row("completed"), median(completed), "tasks/s");
        }
    }
}

async fn take(server: Option<&str>, broker: &str, case: Case) -> Taken {
    let url = broker::fresh(broker);
    broker::fill(&url, MESSAGES, case.ids).await;
    let setup = Setup::own(server).await.with("BROKER__URL", &url).with("ROLES", case.roles);
    let daemon = Daemon::start(&setup).await;
    // From the first commit that is seen, so that the start and the way to the broker are no part of it.
    let (started, mut begun, mut first) = (Instant::now(), Instant::now(), 0);
    let committed = loop {
        let created = created(&daemon).await;
        if first == 0 && created > 0 {
            (begun, first) = (Instant::now(), created);
        }
        if created >= u64::from(MESSAGES) {
            break (created - first) as f64 / begun.elapsed().as_secs_f64();
        }
        assert!(started.elapsed() < PATIENCE, "{created} tasks of {MESSAGES} messages");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let completed = match case.roles.contains("worker") {
        true => {
            while daemon.events("completed").await < u64::from(MESSAGES) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            f64::from(MESSAGES) / begun.elapsed().as_secs_f64()
        }
        false => 0.0,
    };
    daemon.stop().await;
    Taken { committed, completed }
}

async fn created(daemon: &Daemon) -> u64 {
    let mut client = Client::connect(daemon.address).await.unwrap();
    let (status, body) = client.send(&request("GET", "/total_tasks_created", "", "")).await.unwrap();
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    answer["total_tasks_created"].as_u64().unwrap()
}
