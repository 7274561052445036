//! Actors that die, and a database that goes away.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::common::eventually;
use crate::common::faulty::Fault;
use crate::harness::{Daemon, on_system};

#[test]
fn a_tracker_that_panics_is_started_again_and_shown() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let (daemon, store) = Daemon::start_faulty(folder.path(), &[("TASKS__RESCUE_S", "60")]).await;
        daemon.still_works().await;
        store.set(Fault::Panic);
        let refused = daemon.post("/tasks", &json!({})).await;
        assert_eq!(refused["status"], 503, "{refused}");
        let trouble = eventually("the board to say so", async || {
            let board = serde_json::to_value(daemon.app.health().snapshot()).unwrap();
            (board["components"]["tracker"]["state"] == "restarting").then_some(board)
        })
        .await;
        assert_eq!(trouble["ready"], false);
        let reason = trouble["components"]["tracker"]["reason"].as_str().unwrap();
        assert!(reason.contains("a bug of ours"), "{reason}");
        store.set(Fault::None);
        eventually("the tracker to be back", async || {
            let board = serde_json::to_value(daemon.app.health().snapshot()).unwrap();
            (board["components"]["tracker"]["state"] == "up").then_some(())
        })
        .await;
        daemon.still_works().await;
        let metrics = daemon.text("/metrics").await;
        let restarts = metrics
            .lines()
            .find_map(|line| line.strip_prefix("gristmill_actor_restarts_total{actor=\"tracker\"} "))
            .unwrap();
        assert!(restarts.parse::<u32>().unwrap() >= 1);
        daemon.app.drain().await;
    });
}

#[test]
fn an_actor_that_dies_again_and_again_is_given_up_loudly() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let wishes = [("SUPERVISOR__MAX_RESTARTS", "2"), ("TASKS__RESCUE_S", "0.1")];
        let (daemon, store) = Daemon::start_faulty(folder.path(), &wishes).await;
        store.set(Fault::Panic);
        let reason = daemon.app.gave_up().await;
        assert!(reason.contains("died too often"), "{reason}");
        assert!(!daemon.app.health().is_ready());
        store.set(Fault::None);
        daemon.app.drain().await;
    });
}

#[test]
fn an_outcome_waits_for_a_database_that_is_away_and_the_work_is_not_done_again() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let (daemon, store) = Daemon::start_faulty(folder.path(), &[]).await;
        let waits = daemon.submit("wait", json!({})).await;
        daemon.until(waits, "In Progress").await;
        store.set(Fault::Unavailable);
        let refused = daemon.post("/tasks", &json!({})).await;
        assert_eq!((&refused["status"], &refused["code"]), (&json!(503), &json!("database_unavailable")));
        daemon.chaos.state.release();
        eventually("the board to say so", async || {
            let board = serde_json::to_value(daemon.app.health().snapshot()).unwrap();
            (board["components"]["database"]["state"] == "down").then_some(())
        })
        .await;
        store.set(Fault::None);
        let completed = daemon.until(waits, "Completed").await;
        assert_eq!(completed["attempt"], 1);
        assert_eq!(daemon.chaos.state.started.load(Ordering::SeqCst), 1, "the work was done once");
        daemon.app.drain().await;
    });
}
