//! What those see and do who run the daemon, in the real one: kinds that are paused, and what happened.

use std::path::Path;
use std::sync::atomic::Ordering;

use gristmill::app::Operator;
use serde_json::{Value, json};

use crate::common::eventually;
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
