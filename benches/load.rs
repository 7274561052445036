//! Loads, each bounded in time and count.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Client, request};
use crate::daemon::Daemon;

pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
}

pub struct Throughput {
    pub accepted: f64,
    pub completed: f64,
    pub latency: Latency,
}

pub struct Idle {
    pub rss_mb: f64,
    pub cpu_percent: f64,
}

/// Of at least one.
pub fn quantiles(mut all: Vec<Duration>) -> Latency {
    all.sort();
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    Latency { p50: at(0.5), p99: at(0.99) }
}

/// What it takes to do nothing.
pub async fn idle(daemon: &Daemon, span: Duration) -> Idle {
    let (begun, before) = (Instant::now(), daemon.cpu());
    tokio::time::sleep(span).await;
    let cpu = daemon.cpu() - before;
    Idle { rss_mb: daemon.rss_mb(), cpu_percent: cpu.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0 }
}

/// One task at a time, 20 a second, on an idle daemon: from before the POST is sent until the answer is here that
/// the task has completed.
pub async fn latency(daemon: &Daemon, count: usize) -> Latency {
    let post = request("POST", "/tasks", "prefer: wait=10\r\n", "");
    let mut client = Client::connect(daemon.address).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let (status, body) = client.send(&post).await.unwrap();
        all.push(begun.elapsed());
        assert!(status == 201 && String::from_utf8(body).unwrap().contains("\"Completed\""));
        tokio::time::sleep(Duration::from_millis(50).saturating_sub(begun.elapsed())).await;
    }
    quantiles(all)
}

/// Tasks one by one over so many connections; each is accepted durably before its connection sends the next.
pub async fn one_by_one(daemon: &Daemon, connections: usize, span: Duration) -> Throughput {
    run(&[daemon], connections, span, 1, request("POST", "/tasks", "", "")).await
}

/// The same over several nodes, the connections divided among them.
pub async fn over_nodes(daemons: &[&Daemon], connections: usize, span: Duration) -> Throughput {
    run(daemons, connections, span, 1, request("POST", "/tasks", "", "")).await
}

/// Tasks in batches of `size`.
pub async fn batches(daemon: &Daemon, connections: usize, size: usize, span: Duration) -> Throughput {
    let body = format!("[{}]", vec!["{}"; size].join(","));
    let post = request("POST", "/tasks/batch", "content-type: application/json\r\n", &body);
    run(&[daemon], connections, span, size, post).await
}

async fn run(
    daemons: &[&Daemon],
    connections: usize,
    span: Duration,
    size: usize,
    post: Vec<u8>,
) -> Throughput {
    let before = completed(daemons).await;
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for connection in 0..connections {
        let address = daemons[connection % daemons.len()].address;
        let mut client = Client::connect(address).await.unwrap();
        let post = post.clone();
        clients.spawn(async move {
            let mut all = Vec::new();
            while begun.elapsed() < span {
                let sent = Instant::now();
                let (status, _) = client.send(&post).await.unwrap();
                assert_eq!(status, 201);
                all.push(sent.elapsed());
            }
            all
        });
    }
    let all: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
    let took = begun.elapsed();
    let accepted = all.len() * size;
    while completed(daemons).await < before + accepted as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Throughput {
        accepted: accepted as f64 / took.as_secs_f64(),
        completed: accepted as f64 / begun.elapsed().as_secs_f64(),
        latency: quantiles(all),
    }
}

/// By all of them: each counts what it wrote down itself.
async fn completed(daemons: &[&Daemon]) -> u64 {
    let mut sum = 0;
    for daemon in daemons {
        sum += daemon.events("completed").await;
    }
    sum
}
