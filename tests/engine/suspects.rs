//! A task that two workers died over runs alone.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use gristmill::app::open_store;
use gristmill::clock::Clock;
use gristmill::store::{Claim, Command, NewTask, Registration, Reply};
use gristmill::task::{Backoff, Json, NodeId, TaskId};
use serde_json::json;
use std::time::Duration;

use crate::common::eventually;
use crate::harness::{Daemon, on_system, settings};

/// Leaves a task of that payload behind as two daemons that died over it would.
async fn leave_a_suspect(folder: &std::path::Path, payload: &str) -> TaskId {
    let store = open_store(&settings(folder, &[]), &BTreeSet::new(), Clock::system()).await.unwrap();
    let task = NewTask {
        payload: Json::trusted(payload),
        max_attempts: 3,
        ..NewTask::plain("chaos".parse().unwrap(), None)
    };
    let mut commands = vec![Command::Create(vec![task])];
    let mut id = None;
    for _ in 0..2 {
        let node = NodeId::fresh();
        let registration = Registration {
            node,
            seat: "dead".into(),
            name: "dead".into(),
            lease: Duration::from_secs(10),
            predecessor: None,
        };
        store.register(&registration).await.unwrap();
        commands.push(Command::Rescue { limit: 10, except: None, backoff: Backoff::default() });
        store.commit(&commands).await.unwrap();
        let want = vec![("chaos".parse().unwrap(), 1)];
        let claim = Claim { node, want, known: Vec::new(), look: true, promote: true, suspect: false };
        let claimed = store.commit(&[Command::Claim(claim)]).await.unwrap().replies.remove(0).unwrap();
        let Reply::Claimed(claimed) = claimed else { panic!("{claimed:?}") };
        id = Some(claimed.tasks[0].life.id);
        commands.clear();
    }
    store.close().await;
    id.unwrap()
}

#[test]
fn a_suspect_runs_with_nothing_beside_it_and_then_all_goes_on() {
    on_system(async || {
        let folder = tempfile::tempdir().unwrap();
        let suspect = leave_a_suspect(folder.path(), "\"wait\"").await.0;
        let daemon = Daemon::start(folder.path(), &[("TASKS__RESCUE_S", "60")]).await;
        // The janitor's own tick is a minute away: the new lease itself frees it.
        eventually("the suspect to run again", async || {
            let task = daemon.task(suspect).await;
            (task["status"] == "In Progress" && task["attempt"] == 3 && task["crashes"] == 2).then_some(())
        })
        .await;
        let mut others = Vec::new();
        for _ in 0..5 {
            others.push(daemon.submit("ok", json!({})).await);
        }
        let noop = daemon.post("/tasks", &json!({})).await["id"].as_i64().unwrap();
        // Many groups more, each of which would have started one of them if any might start.
        for _ in 0..20 {
            let passing = daemon.submit("ok", json!({})).await;
            let cancelled = daemon.post(&format!("/tasks/{passing}/cancel"), &json!({})).await;
            assert_eq!(cancelled["status"], "Cancelled", "it started beside a suspect");
        }
        for id in others.iter().chain([&noop]) {
            assert_eq!(daemon.task(*id).await["status"], "New", "task {id} started beside a suspect");
        }
        assert_eq!(daemon.chaos.state.most_at_once.load(Ordering::SeqCst), 1);
        daemon.chaos.state.release();
        for id in others.iter().chain([&suspect, &noop]) {
            daemon.until(*id, "Completed").await;
        }
        daemon.app.drain().await;
    });
}
