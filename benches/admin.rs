//! The pages for admins and the lists behind them, with a few tasks and with a hundred thousand.

use std::time::{Duration, Instant};

use crate::client::{Client, request};
use crate::daemon::{Daemon, Setup};
use crate::millis;
use crate::report::{Report, median};

/// How many tasks there are, each time.
const SIZES: [usize; 2] = [1_000, 100_000];

/// So many are made by one request.
const BATCH: usize = 1_000;

/// How often each is fetched.
const TIMES: usize = 21;

/// What is fetched. The last ones look for what few or none of the tasks have.
const PATHS: [&str; 12] = [
    "/admin",
    "/admin/tasks",
    "/admin/tasks?status=Completed",
    "/admin/tasks?kind=noop",
    "/admin/kinds",
    "/admin/nodes",
    "/admin/storage",
    "/tasks?limit=100&order=-id",
    "/admin/tasks?status=Failed",
    "/admin/tasks?tag=rare",
    "/admin/tasks?q=rare",
    "/admin/tasks?before=2001-01-01T00:00",
];

/// The rows of one database.
pub async fn pages(report: &mut Report, name: &str, server: Option<&str>) {
    let daemon = Daemon::start(&Setup::own(server).await).await;
    let mut made = 0;
    for size in SIZES {
        fill(&daemon, size - made).await;
        made = size;
        let head = format!("accept: text/html\r\nauthorization: Bearer {}\r\n", daemon.operator());
        for path in PATHS {
            // A connection of its own: an answer of several parts would confuse the next.
            let mut client = Client::connect(daemon.address).await.unwrap();
            let fetch = request("GET", path, &head, "");
            let mut all = Vec::new();
            for _ in 0..TIMES {
                let sent = Instant::now();
                let (status, body) = client.send(&fetch).await.unwrap();
                all.push(millis(sent.elapsed()));
                assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
            }
            report.row(format!("{name}, {size} tasks: {path}, median of {TIMES}"), median(all), "ms");
        }
    }
    daemon.stop().await;
}

/// Makes tasks, and waits until all of them are done.
async fn fill(daemon: &Daemon, tasks: usize) {
    let before = daemon.events("completed").await;
    let body = format!("[{}]", vec!["{}"; BATCH].join(","));
    let post = request("POST", "/tasks/batch", "content-type: application/json\r\n", &body);
    let mut client = Client::connect(daemon.address).await.unwrap();
    for _ in 0..tasks / BATCH {
        let (status, _) = client.send(&post).await.unwrap();
        assert_eq!(status, 201);
    }
    while daemon.events("completed").await < before + tasks as u64 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
