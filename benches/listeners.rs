//! A thousand listeners of `/events` while tasks are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::{Client, request};
use crate::daemon::{Daemon, Setup};
use crate::load;
use crate::millis;
use crate::report::Report;

const LISTENERS: usize = 1_000;

/// One in so many reads the time in each event; the others count events, which costs this process less.
const WATCHED: usize = 50;

/// A task of kind noop is created, started and completed.
const EVENTS_PER_TASK: u64 = 3;

/// The rows at a rate of so many tasks a second.
pub async fn listen(report: &mut Report, server: &str, rate: u32, span: Duration) {
    let daemon = Daemon::start(&Setup::own(Some(server)).await).await;
    let (latencies, mut arrived) = mpsc::unbounded_channel();
    let heard: Arc<Vec<AtomicU64>> = Arc::new((0..LISTENERS).map(|_| AtomicU64::new(0)).collect());
    let mut listeners = JoinSet::new();
    for place in 0..LISTENERS {
        let stream = subscribe(&daemon).await;
        let latencies = (place % WATCHED == 0).then(|| latencies.clone());
        listeners.spawn(hear(stream, Arc::clone(&heard), place, latencies));
    }
    let (before, begun) = (daemon.cpu(), Instant::now());
    let made = make(&daemon, rate, span).await;
    let (made_in, expected) = (begun.elapsed(), made * EVENTS_PER_TASK);
    let all_heard = || heard.iter().all(|count| count.load(Ordering::Relaxed) >= expected);
    while !all_heard() && begun.elapsed() < span * 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (took, cpu) = (begun.elapsed(), daemon.cpu() - before);
    let row = |what: &str| format!("{LISTENERS} listeners, {rate} tasks/s: {what}");
    let complete = heard.iter().filter(|count| count.load(Ordering::Relaxed) == expected).count();
    report.row(row("made"), made as f64 / made_in.as_secs_f64(), "tasks/s");
    report.row(row("listeners that heard every event once"), complete as f64, "");
    report.row(
        row("events delivered"),
        (expected * LISTENERS as u64) as f64 / took.as_secs_f64(),
        "events/s",
    );
    let mut all = Vec::new();
    while let Ok(latency) = arrived.try_recv() {
        all.push(latency);
    }
    let latency = load::quantiles(all);
    report.row(row("event to arrival, p50"), millis(latency.p50), "ms");
    report.row(row("event to arrival, p99"), millis(latency.p99), "ms");
    report.row(row("CPU of the daemon"), cpu.as_secs_f64() / took.as_secs_f64() * 100.0, "%");
    report.row(row("memory (RSS)"), daemon.rss_mb(), "MB");
    listeners.shutdown().await;
    daemon.stop().await;
}

/// Makes tasks at the rate over several connections; the number made.
async fn make(daemon: &Daemon, rate: u32, span: Duration) -> u64 {
    const CONNECTIONS: u32 = 32;
    let begun = Instant::now();
    let mut makers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(daemon.address).await.unwrap();
        let mut beat = tokio::time::interval(Duration::from_secs(1) * CONNECTIONS / rate);
        makers.spawn(async move {
            let (post, mut made) = (request("POST", "/tasks", "", ""), 0);
            while begun.elapsed() < span {
                beat.tick().await;
                let (status, _) = client.send(&post).await.unwrap();
                assert_eq!(status, 201);
                made += 1;
            }
            made
        });
    }
    makers.join_all().await.into_iter().sum()
}

/// A stream that has begun.
async fn subscribe(daemon: &Daemon) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.address).await.unwrap();
    stream.write_all(&request("GET", "/events", "", "")).await.unwrap();
    let mut head = Vec::new();
    while !head.windows(6).any(|six| six == b"retry:") {
        let read = stream.read_buf(&mut head).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&head));
    }
    stream
}

/// Reads to the end of the stream.
async fn hear(
    mut stream: TcpStream,
    heard: Arc<Vec<AtomicU64>>,
    place: usize,
    latencies: Option<mpsc::UnboundedSender<Duration>>,
) {
    let mut buffer = Vec::with_capacity(64 * 1024);
    while stream.read_buf(&mut buffer).await.unwrap_or(0) > 0 {
        let now = Utc::now();
        let whole = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut count = 0;
        for line in buffer[..whole].split(|byte| *byte == b'\n') {
            if line.starts_with(b"id: ") {
                count += 1;
            } else if let (Some(latencies), true) = (&latencies, line.starts_with(b"data: ")) {
                let _ = latencies.send(age(line, now));
            }
        }
        buffer.drain(..whole);
        heard[place].fetch_add(count, Ordering::Relaxed);
    }
}

/// How long ago the event was, by the same machine's clock.
fn age(data: &[u8], now: DateTime<Utc>) -> Duration {
    let text = std::str::from_utf8(data).unwrap();
    let at = text.split_once(r#""at":""#).unwrap().1.split_once('"').unwrap().0;
    let at = DateTime::parse_from_rfc3339(at).unwrap();
    (now - at.to_utc()).to_std().unwrap_or_default()
}
