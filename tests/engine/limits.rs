//! What bounds the daemon: as many tasks wait as may, and what ended long ago goes, under load, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::common::eventually;
use crate::harness::{Daemon, on_system};

/// A task that waits for next year.
fn later(kind: &str) -> Value {
    json!({ "kind": kind, "run_at": "2100-01-01T00:00:00Z" })
}

fn accepted(answers: &[Value]) -> usize {
    for answer in answers.iter().filter(|answer| answer["id"].is_null()) {
        assert_eq!((&answer["code"], &answer["status"]), (&json!("queue_full"), &json!(503)), "{answer}");
        assert_eq!(answer["retry_after_s"], 5, "{answer}");
    }
    answers.iter().filter(|answer| answer["id"].is_i64()).count()
}

#[test]
fn as_many_tasks_wait_as_may_however_many_ask_at_once() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("TASKS__MAX_WAITING", "40"),
            ("TASKS__MAX_WAITING_KINDS", "noop = 15, image = 1"),
            ("TASKS__SWEEP_S", "1"),
        ];
        let daemon = Daemon::start(folder.path(), &settings).await;
        let noop = later("noop");
        let noops = join_all((0..60).map(|_| daemon.post("/tasks", &noop))).await;
        assert_eq!(accepted(&noops), 15, "the bound of the kind");
        let manual = later("manual");
        let manuals = join_all((0..60).map(|_| daemon.post("/tasks", &manual))).await;
        assert_eq!(accepted(&manuals), 25, "what is left of the whole");
        let batch = daemon.post("/tasks/batch", &json!([manual, manual])).await;
        assert_eq!(batch["code"], "queue_full", "{batch}");

        // A file is refused before it comes: its type and bytes are not even looked at.
        let upload = reqwest::Client::new().post(daemon.url("/upload")).header("content-type", "image/png");
        let upload = upload.body("no image").send().await.unwrap();
        assert_eq!(upload.status(), 503);

        // What is stopped makes way, and what is stopped does not come back while there is none.
        let first = manuals.iter().find_map(|answer| answer["id"].as_i64()).unwrap();
        daemon.post(&format!("/tasks/{first}/cancel"), &json!({})).await;
        eventually("room for one", async || daemon.post("/tasks", &manual).await["id"].as_i64()).await;
        let retried = daemon.post(&format!("/tasks/{first}/retry"), &json!({})).await;
        assert_eq!(retried["code"], "queue_full", "{retried}");
        let retried = daemon.post("/tasks/retry?all=true", &json!({})).await;
        assert_eq!(retried["code"], "queue_full", "{retried}");
        let cancelled = daemon.post("/tasks/cancel?kind=noop", &json!({})).await;
        assert_eq!(cancelled["changed"], 15, "{cancelled}");
        eventually("room for all of them again", async || {
            (daemon.post("/tasks/retry?kind=noop", &json!({})).await["changed"] == 15).then_some(())
        })
        .await;
        daemon.app.drain().await;
    });
}

#[test]
fn what_ended_goes_under_load_and_nothing_that_has_not() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("TASKS__KEEP_COMPLETED_S", "0.001"),
            ("TASKS__KEEP_FAILED_S", "0.001"),
            ("TASKS__KEEP_KINDS", "manual cancelled = 0"),
            ("TASKS__KEEP_CANCELLED_S", "0.001"),
        ];
        let daemon = Daemon::start(folder.path(), &settings).await;
        let mut waiting = Vec::new();
        for kind in ["noop", "manual", "manual"] {
            waiting.push(daemon.post("/tasks", &later(kind)).await["id"].as_i64().unwrap());
        }
        let taken = daemon.submit("ok", json!({ "kind": "manual", "payload": null })).await;
        let claimed =
            daemon.post("/tasks/claim", &json!({ "id": taken, "worker": "w", "lease_s": 600 })).await;
        assert_eq!(claimed["id"], taken, "{claimed}");
        let kept = waiting.pop().unwrap();
        daemon.post(&format!("/tasks/{kept}/cancel"), &json!({})).await;
        waiting.push(kept);

        let stream = reqwest::get(daemon.url("/events?last_event_id=0")).await.unwrap();
        let begun = std::time::Instant::now();
        let (mut made, mut first, mut since) = (0, None, 0);
        // Until the first is gone and for some batches more, so that tasks end while others are removed.
        while since < 5 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was removed of {made}");
            let batch: Vec<Value> = (0..50)
                .map(|at| json!({ "kind": "chaos", "payload": if at % 10 == 0 { "invalid" } else { "ok" }, "max_attempts": 1 }))
                .collect();
            let answer = daemon.post("/tasks/batch", &json!(batch)).await;
            made += answer.as_array().unwrap_or_else(|| panic!("{answer}")).len();
            let first = *first.get_or_insert_with(|| answer[0]["id"].as_i64().unwrap());
            since += i32::from(daemon.task(first).await["id"].is_null());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let stories = timeout(Duration::from_secs(60), stories(stream, made)).await.unwrap();
        let ended: Vec<&Vec<String>> =
            stories.values().filter(|story| story.last().unwrap() == "deleted").collect();
        assert_eq!(ended.len(), made);
        for story in ended {
            assert!(["completed", "failed"].contains(&story[story.len() - 2].as_str()), "{story:?}");
        }
        for task in waiting.iter().chain([&taken]) {
            let answer = daemon.task(*task).await;
            assert_eq!(answer["id"], *task, "{answer}");
        }
        let total = daemon.get("/total_tasks_created").await;
        assert_eq!(total["total_tasks_created"].as_u64().unwrap(), made as u64 + 4);
        assert_eq!(daemon.get("/tasks?kind=chaos").await, json!([]));
        daemon.app.drain().await;
    });
}

/// The events by task, once so many tasks are gone.
async fn stories(mut stream: reqwest::Response, gone: usize) -> BTreeMap<i64, Vec<String>> {
    let (mut text, mut stories, mut deleted) = (String::new(), BTreeMap::<i64, Vec<String>>::new(), 0);
    while deleted < gone {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        while let Some((frame, rest)) = text.split_once("\n\n") {
            if let Some((_, data)) = frame.split_once("data: ") {
                let event: Value = serde_json::from_str(data).unwrap();
                let word = event["event"].as_str().unwrap().to_owned();
                deleted += usize::from(word == "deleted");
                stories.entry(event["task"].as_i64().unwrap()).or_default().push(word);
            }
            text = rest.to_owned();
        }
    }
    stories
}
