//! The lease: lost, it fences the node; had again, the node goes on.

use std::sync::atomic::Ordering;

use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::common::{eventually, fresh_postgres_database};
use crate::harness::{Daemon, on_system};

#[test]
fn a_node_that_loses_its_lease_stops_its_runs_and_goes_on_as_a_new_incarnation() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let url = fresh_postgres_database().await;
        let daemon = Daemon::start(
            folder.path(),
            &[("DATABASE__URL", &url), ("TASKS__LEASE_S", "3"), ("TASKS__RESCUE_S", "0.1")],
        )
        .await;
        let waits = daemon.submit("wait", json!({})).await;
        daemon.until(waits, "In Progress").await;
        // Somebody ends the lease behind the node's back, as a database that was away for too long would.
        let mut database = PgConnection::connect(&url).await.unwrap();
        sqlx::query("UPDATE nodes SET lease_until = 1").execute(&mut database).await.unwrap();
        eventually("the run to be stopped", async || {
            (daemon.chaos.state.stopped.load(Ordering::SeqCst) >= 1).then_some(())
        })
        .await;
        daemon.chaos.state.release();
        let completed = daemon.until(waits, "Completed").await;
        assert!(completed["attempt"].as_i64().unwrap() >= 2, "{completed}");
        assert_eq!(completed["failures"], 0, "losing a lease costs no try");
        daemon.still_works().await;
        daemon.app.drain().await;
    });
}

#[test]
fn two_nodes_on_one_database_share_the_work_and_a_cancel_reaches_the_other() {
    on_system(async || {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let url = fresh_postgres_database().await;
        let first = Daemon::start(one.path(), &[("DATABASE__URL", &url)]).await;
        let second = Daemon::start(two.path(), &[("DATABASE__URL", &url)]).await;
        let cores = std::thread::available_parallelism().unwrap().get();
        // As many as one node runs at once, twice: its poll brings the other half to the second.
        let mut all = Vec::new();
        for _ in 0..cores * 2 {
            all.push(first.submit("wait", json!({})).await);
        }
        for id in &all {
            first.until(*id, "In Progress").await;
        }
        eventually("both nodes to have begun their half", async || {
            let started = |daemon: &Daemon| daemon.chaos.state.started.load(Ordering::SeqCst) as usize;
            (started(&first) == cores && started(&second) == cores).then_some(())
        })
        .await;
        for id in &all {
            let cancelled = first.post(&format!("/tasks/{id}/cancel"), &json!({})).await;
            assert_eq!(cancelled["status"], "Cancelled");
        }
        eventually("both nodes' runs to be stopped", async || {
            let stopped = |daemon: &Daemon| daemon.chaos.state.stopped.load(Ordering::SeqCst) as usize;
            (stopped(&first) == cores && stopped(&second) == cores).then_some(())
        })
        .await;
        first.app.drain().await;
        second.app.drain().await;
    });
}

#[test]
fn connections_that_are_cut_are_made_anew_and_no_accepted_task_is_lost() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let url = fresh_postgres_database().await;
        let daemon = Daemon::start(folder.path(), &[("DATABASE__URL", &url)]).await;
        let mut database = PgConnection::connect(&url).await.unwrap();
        let mut accepted = Vec::new();
        for _ in 0..5 {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE application_name = 'gristmill' AND datname = current_database()";
            sqlx::query(cut).execute(&mut database).await.unwrap();
            let created = eventually("a task to be accepted again", async || {
                let answer = daemon.post("/tasks", &json!({ "kind": "chaos", "payload": "ok" })).await;
                answer["id"].as_i64()
            })
            .await;
            accepted.push(created);
        }
        for id in accepted {
            daemon.until(id, "Completed").await;
        }
        assert!(daemon.app.health().is_ready());
        daemon.app.drain().await;
    });
}
