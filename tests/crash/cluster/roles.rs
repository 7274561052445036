//! Nodes that do a part of the work each, on one database.

use gristmill::failpoint::Failpoint;
use gristmill::task::Status;
use serde_json::json;

use crate::common::{Engine, eventually};
use crate::daemon::Start;
use crate::history::Answer;
use crate::load::Clients;
use crate::world::World;

fn node(seat: &'static str, roles: &'static str) -> Start {
    Start { seat, roles, ..Start::plain() }
}

async fn status_of(clients: &Clients, path: &str) -> u16 {
    clients.get(path, false).send().await.unwrap().status().as_u16()
}

/// How many tasks have this status.
async fn count(world: &World, status: &str) -> i64 {
    let rows: Vec<(String, i64)> = world.rows("SELECT status, count(*) FROM tasks GROUP BY status").await;
    rows.iter().find(|(name, _)| name == status).map_or(0, |(_, count)| *count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_accepts_the_worker_runs_and_the_janitor_rescues() {
    let mut world = World::begin(Engine::Postgres).await;
    let door = world.start(&node("door", "http")).await;
    let mut janitor = world.place.spawn(&node("janitor", "janitor"));
    janitor.ready().await;

    let mut worker = world.place.spawn(&node("worker", "worker"));
    let inside = world.clients.at_another_door();
    inside.turn_to(worker.address()).await;
    worker.ready().await;
    for path in ["/tasks", "/tasks/1", "/record", "/events", "/users"] {
        assert_eq!(status_of(&inside, path).await, 404, "{path}");
    }
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(status_of(&inside, path).await, 200, "{path}");
    }
    worker.drain().await;

    // The first batch of an empty database has the numbers from 1.
    let deadly = format!("{}@15", Failpoint::RunDone.name());
    assert!(matches!(world.clients.batch(30).await, Answer::Done { .. }));
    let waits = world.clients.submit(json!({}), "wait=1").await;
    assert!(matches!(&waits, Answer::Done { tasks, .. } if tasks[0].status == Status::New), "{waits:?}");
    assert_eq!(count(&world, "New").await, 31, "nobody runs anything");

    let mut worker = world.place.spawn(&Start { failpoint: Some(deadly), ..node("worker", "worker") });
    worker.ended("the deadly task does not run").await;
    world.deaths += 1;
    eventually("the janitor to free what the worker held", async || {
        (count(&world, "In Progress").await == 0).then_some(())
    })
    .await;
    // It says so after the commit that we saw.
    eventually("the janitor to say that it was it", async || {
        janitor.log().contains("freed tasks whose worker is gone").then_some(())
    })
    .await;
    assert!(count(&world, "New").await > 0, "nobody runs anything");

    let mut worker = world.place.spawn(&node("worker", "worker"));
    worker.ready().await;
    world.idle().await;
    for mut daemon in [worker, janitor, door] {
        daemon.drain().await;
    }
    let judged = world.judge().await;
    assert_eq!(judged.tally.completed, 31, "{}", judged.tally);
    assert!(judged.tally.lost_workers > 0, "{}", judged.tally);
}
