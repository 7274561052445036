//! Workers outside: claims and completions over HTTP.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::client::{Client, request};
use crate::daemon::{Daemon, Setup};
use crate::report::Report;

const WORKERS: usize = 32;
const JSON: &str = "content-type: application/json\r\n";

/// The row of one database: tasks a second that are claimed and completed, each by two requests.
pub async fn claim_and_complete(report: &mut Report, name: &str, server: Option<&str>, span: Duration) {
    let daemon = Daemon::start(&Setup::own(server).await.with("KINDS__OUTSIDE", "ocr")).await;
    // More than can be done in that time.
    let most = 12_000 * span.as_secs() as usize;
    let batch = format!("[{}]", vec![r#"{"kind":"ocr"}"#; 1_000].join(","));
    let mut client = Client::connect(daemon.address).await.unwrap();
    for _ in 0..most.div_ceil(1_000) {
        let (status, _) = client.send(&request("POST", "/tasks/batch", JSON, &batch)).await.unwrap();
        assert_eq!(status, 201);
    }
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let mut client = Client::connect(daemon.address).await.unwrap();
        workers.spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < span && work(&mut client).await {
                done += 1;
            }
            done
        });
    }
    let done: u32 = workers.join_all().await.into_iter().sum();
    let rate = f64::from(done) / begun.elapsed().as_secs_f64();
    report.row(format!("{name}: {WORKERS} outside workers: claimed and completed"), rate, "tasks/s");
    daemon.stop().await;
}

/// Claims a task and completes it; `false` when there is none.
async fn work(client: &mut Client) -> bool {
    let claim = request("POST", "/tasks/claim", JSON, r#"{"kinds":["ocr"],"lease_s":60}"#);
    let (status, body) = client.send(&claim).await.unwrap();
    if status == 204 {
        return false;
    }
    assert_eq!(status, 200);
    let task: Value = serde_json::from_slice(&body).unwrap();
    let said = format!(r#"{{"attempt":{},"result":"read"}}"#, task["attempt"]);
    let complete = request("POST", &format!("/tasks/{}/complete", task["id"]), JSON, &said);
    let (status, _) = client.send(&complete).await.unwrap();
    assert_eq!(status, 200);
    true
}
