//! Runs that go wrong.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::common::eventually;
use crate::harness::{Daemon, on_system};

#[test]
fn a_run_that_panics_is_a_failed_try_and_hurts_nobody_else() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        for (payload, text) in [("panic", "chaos panics"), ("panic_computing", "chaos panics computing")] {
            let id = daemon.submit(payload, json!({ "max_attempts": 1 })).await;
            let failed = daemon.until(id, "Failed").await;
            assert_eq!(failed["error"]["reason"], "panic");
            assert!(failed["error"]["message"].as_str().unwrap().contains(text), "{failed}");
            daemon.still_works().await;
        }
        daemon.app.drain().await;
    });
}

#[test]
fn a_run_that_hangs_past_its_deadline_is_given_up() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        let id = daemon.submit("hang", json!({ "max_attempts": 1, "timeout_s": 0.2 })).await;
        let failed = daemon.until(id, "Failed").await;
        assert_eq!(failed["error"]["reason"], "timeout");
        daemon.still_works().await;
        daemon.app.drain().await;
    });
}

#[test]
fn a_thread_that_computes_on_keeps_its_permit_until_it_ends() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        let cores = std::thread::available_parallelism().unwrap().get();
        let spin = json!({ "max_attempts": 1, "timeout_s": 0.1 });
        let mut spinning = Vec::new();
        for _ in 0..cores {
            spinning.push(daemon.submit("spin", spin.clone()).await);
        }
        for id in spinning {
            assert_eq!(daemon.until(id, "Failed").await["error"]["reason"], "timeout");
        }
        let metrics = daemon.text("/metrics").await;
        let abandoned = format!("gristmill_runs_abandoned{{kind=\"chaos\"}} {cores}");
        assert!(metrics.contains(&abandoned), "{metrics}");
        // Every permit of the kind is out: the next one waits, other kinds do not.
        let waiting = daemon.submit("ok", json!({})).await;
        let noop = daemon.post("/tasks", &json!({})).await["id"].as_i64().unwrap();
        daemon.until(noop, "Completed").await;
        assert_eq!(daemon.task(waiting).await["status"], "New");
        daemon.chaos.state.release();
        daemon.until(waiting, "Completed").await;
        daemon.app.drain().await;
    });
}

#[test]
fn a_cancelled_run_is_told_and_what_it_says_afterwards_does_not_count() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        let id = daemon.submit("wait", json!({})).await;
        daemon.until(id, "In Progress").await;
        let cancelled = daemon.post(&format!("/tasks/{id}/cancel"), &json!({})).await;
        assert_eq!(cancelled["status"], "Cancelled");
        eventually("the run to see it", async || {
            (daemon.chaos.state.stopped.load(Ordering::SeqCst) == 1).then_some(())
        })
        .await;
        daemon.still_works().await;
        assert_eq!(daemon.task(id).await["status"], "Cancelled");

        let retried = daemon.post(&format!("/tasks/{id}/retry"), &json!({})).await;
        assert_eq!(retried["status"], "New");
        daemon.until(id, "In Progress").await;
        daemon.chaos.state.release();
        assert_eq!(daemon.until(id, "Completed").await["attempt"], 2);
        daemon.app.drain().await;
    });
}

#[test]
fn a_failed_try_is_tried_again_and_an_input_that_can_never_succeed_is_not() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[("TASKS__RETRY_BASE_S", "0.05")]).await;
        let id = daemon.submit("fail_once", json!({})).await;
        let completed = daemon.until(id, "Completed").await;
        assert_eq!((&completed["attempt"], &completed["failures"]), (&json!(2), &json!(1)));
        assert_eq!(completed["result"], "done");

        let id = daemon.submit("fail", json!({ "max_attempts": 3 })).await;
        let failed = daemon.until(id, "Failed").await;
        assert_eq!((&failed["attempt"], &failed["failures"]), (&json!(3), &json!(3)));

        let id = daemon.submit("invalid", json!({ "max_attempts": 3 })).await;
        let failed = daemon.until(id, "Failed").await;
        assert_eq!((&failed["attempt"], &failed["error"]["reason"]), (&json!(1), &json!("invalid_input")));
        daemon.app.drain().await;
    });
}

#[test]
fn no_more_run_at_once_than_there_are_permits() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(folder.path(), &[]).await;
        let cores = std::thread::available_parallelism().unwrap().get();
        let tasks: Vec<_> = (0..cores * 20).map(|_| json!({ "kind": "chaos", "payload": "ok" })).collect();
        let created = daemon.post("/tasks/batch", &json!(tasks)).await;
        for task in created.as_array().unwrap() {
            daemon.until(task["id"].as_i64().unwrap(), "Completed").await;
        }
        let most = daemon.chaos.state.most_at_once.load(Ordering::SeqCst) as usize;
        assert!(most <= cores, "{most} at once");
        assert_eq!(daemon.chaos.state.attempts(), vec![1; cores * 20], "each ran once");
        daemon.app.drain().await;
    });
}

#[test]
fn a_task_for_later_starts_when_it_is_due() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        // The poll is far off: the alarm must do it.
        let daemon = Daemon::start(folder.path(), &[("TASKS__POLL_S", "60")]).await;
        let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(700);
        let id = daemon.submit("ok", json!({ "run_at": soon.to_rfc3339() })).await;
        assert_eq!(daemon.task(id).await["status"], "New");
        let completed = daemon.until(id, "Completed").await;
        let started: chrono::DateTime<chrono::Utc> =
            completed["started_at"].as_str().unwrap().parse().unwrap();
        assert!(started >= soon, "{started} is before {soon}");
        daemon.app.drain().await;
    });
}
