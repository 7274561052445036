//! What those see and do who run the daemon, in the real one: kinds that are paused, and what happened.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gristmill::app::Operator;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::common::faulty::Fault;
use crate::harness::{Daemon, on_system};

impl Daemon {
    /// Does something that only whoever runs the daemon may.
    pub(crate) async fn operate(&self, folder: &Path, path: &str) -> Value {
        self.as_operator(folder, reqwest::Method::POST, path).await
    }

    /// Looks at something that only whoever runs the daemon may see.
    pub(crate) async fn inspect(&self, folder: &Path, path: &str) -> Value {
        self.as_operator(folder, reqwest::Method::GET, path).await
    }

    async fn as_operator(&self, folder: &Path, method: reqwest::Method, path: &str) -> Value {
        let operator = Operator::read(folder).unwrap();
        let client = reqwest::Client::new();
        let request = client.request(method, self.url(path)).bearer_auth(operator.token.reveal());
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }
}

#[test]
fn a_pause_outlives_the_daemon_lets_runs_go_on_and_ends_at_once() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        // No poll within this test: what resumes does so because it was told.
        let slow = [("TASKS__POLL_S", "60")];
        let daemon = Daemon::start(folder.path(), &slow).await;
        let running = daemon.submit("wait", json!({})).await;
        daemon.until(running, "In Progress").await;
        daemon.operate(folder.path(), "/kinds/chaos/pause").await;
        let waiting = daemon.submit("ok", json!({})).await;
        // Another kind goes through the same groups.
        for _ in 0..5 {
            let noop = daemon.post("/tasks", &json!({})).await["id"].as_i64().unwrap();
            daemon.until(noop, "Completed").await;
        }
        daemon.chaos.state.release();
        daemon.until(running, "Completed").await;
        assert_eq!(daemon.task(waiting).await["status"], "New");
        eventually("the gauge to tell", async || {
            daemon.text("/metrics").await.contains("gristmill_kind_paused{kind=\"chaos\"} 1").then_some(())
        })
        .await;
        daemon.app.drain().await;

        let daemon = Daemon::start(folder.path(), &slow).await;
        let noop = daemon.post("/tasks", &json!({})).await["id"].as_i64().unwrap();
        daemon.until(noop, "Completed").await;
        assert_eq!(daemon.task(waiting).await["status"], "New");
        assert_eq!(daemon.chaos.state.started.load(Ordering::SeqCst), 0);
        daemon.operate(folder.path(), "/kinds/chaos/resume").await;
        daemon.until(waiting, "Completed").await;
        daemon.app.drain().await;
    });
}

#[test]
fn what_happened_is_told_of_each_kind_and_outlives_the_daemon() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        for what in ["ok", "ok", "ok"] {
            let id = daemon.submit(what, json!({})).await;
            daemon.until(id, "Completed").await;
        }
        let failing = daemon.submit("fail", json!({ "max_attempts": 1 })).await;
        daemon.until(failing, "Failed").await;
        // The end of a drain writes what the scribe has not.
        daemon.app.drain().await;
        let daemon = Daemon::start(folder.path(), &[]).await;
        let id = daemon.submit("ok", json!({})).await;
        daemon.until(id, "Completed").await;
        let chaos = eventually("the scribe to write", async || {
            let kinds = daemon.inspect(folder.path(), "/kinds").await;
            let chaos =
                kinds.as_array().unwrap().iter().find(|kind| kind["kind"] == "chaos").unwrap().clone();
            let completed = chaos["per_minute"]["completed"]["last_60m"].as_f64().unwrap();
            // Four within the hour.
            ((completed * 60.0).round() as i64 == 4).then_some(chaos)
        })
        .await;
        let of = |what: &str| (chaos["per_minute"][what]["last_60m"].as_f64().unwrap() * 60.0).round() as i64;
        assert_eq!((of("created"), of("failed"), of("retried")), (5, 1, 0), "{chaos}");
        for span in ["wait_s", "run_s"] {
            assert!(chaos[span]["p50"].as_f64() <= chaos[span]["p95"].as_f64(), "{chaos}");
            assert!(chaos[span]["p95"].as_f64().is_some_and(|seconds| seconds > 0.0), "{chaos}");
        }
        daemon.app.drain().await;
    });
}

#[test]
fn a_node_tells_how_it_is_and_how_often_its_actors_died() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let (daemon, store) = Daemon::start_faulty(folder.path(), &[("TASKS__RESCUE_S", "60")]).await;
        let running = daemon.submit("wait", json!({})).await;
        daemon.until(running, "In Progress").await;
        // The store panics, and with it whoever writes.
        store.set(Fault::Panic);
        assert_eq!(daemon.post("/tasks", &json!({})).await["status"], 503);
        store.set(Fault::None);
        let node = eventually("the node to tell", async || {
            let nodes = daemon.inspect(folder.path(), "/nodes").await;
            let node = nodes[0].clone();
            let restarts = node["components"]["tracker"]["restarts"].as_u64();
            (node["ready"] == true && restarts.is_some_and(|restarts| restarts > 0)).then_some(node)
        })
        .await;
        let stands = (&node["alive"], &node["phase"], &node["degraded"]);
        assert_eq!(stands, (&json!(true), &json!("ready"), &json!(false)));
        assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(node["roles"], json!(["http", "worker", "janitor"]));
        let tracker = &node["components"]["tracker"];
        assert_eq!((&tracker["state"], &tracker["importance"]), (&json!("up"), &json!("required")));
        assert!(tracker["restarted_because"].as_str().unwrap().contains("a bug of ours"), "{node}");
        assert!(tracker.get("since").is_none(), "{node}");
        assert_eq!(node["kinds"]["chaos"]["taken"], 1, "{node}");
        assert!(node["name"].as_str().unwrap().starts_with(node["host"].as_str().unwrap()), "{node}");
        daemon.chaos.state.release();
        daemon.app.drain().await;
    });
}

#[test]
fn a_change_is_told_once_a_second_at_most_and_the_end_of_the_daemon_at_once() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        let operator = Operator::read(folder.path()).unwrap();
        let client = reqwest::Client::new();
        let request = client.get(daemon.url("/admin/live")).bearer_auth(operator.token.reveal());
        let mut stream = request.send().await.unwrap();
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        let mut told = async || {
            let piece = tokio::time::timeout(Duration::from_secs(30), stream.chunk()).await.unwrap();
            let text = String::from_utf8(piece.unwrap()?.to_vec()).unwrap();
            let word: Value = serde_json::from_str(text.strip_prefix("data: ").unwrap().trim_end()).unwrap();
            Some(word["seq"].as_i64().unwrap())
        };
        assert_eq!(told().await, Some(0), "how it stands is told at once");
        let begun = Instant::now();
        let mut newest = 0;
        for _ in 0..2 {
            for _ in 0..5 {
                let id = daemon.submit("ok", json!({})).await;
                daemon.until(id, "Completed").await;
            }
            let seq = told().await.unwrap();
            assert!(seq > newest, "{seq} after {newest}");
            newest = seq;
        }
        assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?} for two words", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(9), "not for want of news: {:?}", begun.elapsed());
        // A pause is no event, and told all the same.
        let begun = Instant::now();
        daemon.operate(folder.path(), "/kinds/chaos/pause").await;
        told().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        daemon.app.drain().await;
        while told().await.is_some() {}
    });
}
