//! Deaths with a story of their own.

use std::collections::BTreeSet;

use gristmill::failpoint::Failpoint;
use gristmill::task::{Attempt, Fact, NodeId, RetryCause, Status, TaskId};
use serde_json::json;

use crate::common::{Engine, eventually};
use crate::daemon::Start;
use crate::history::{Answer, Wav};
use crate::rounds::leases;
use crate::world::World;

/// The only task of an answer.
pub(crate) fn only(answer: &Answer) -> TaskId {
    let Answer::Done { tasks, .. } = answer else { panic!("expected a task: {answer:?}") };
    assert_eq!(tasks.len(), 1, "{answer:?}");
    tasks[0].id
}

/// Long enough to be caught in the middle.
const LONG: Wav = Wav { millis: 60_000, hertz: 1_000 };

/// One task of a batch kills the process whenever it is done; its fifty neighbours are innocent.
async fn poison(engine: Engine) {
    let mut world = World::begin(engine).await;
    // The first batch of an empty database has the numbers from 1.
    let deadly = TaskId(26);
    let start = Start::dying_at(format!("{}@{deadly}", Failpoint::RunDone.name()));
    let mut daemon = world.start(&start).await;
    let batch = world.clients.clone();
    // Its answer may be cut off by the first death.
    let sent = tokio::spawn(async move { batch.batch(51).await });
    while world.deaths < 3 {
        let status = daemon.ended("the deadly task does not run").await;
        assert_eq!(status.code(), None, "killed by a signal: {status}");
        world.deaths += 1;
        daemon = world.spawn(&start);
    }
    sent.await.unwrap();
    // Still armed: whoever ran the deadly task a fourth time would die.
    daemon.ready().await;
    world.clients.turn_to(daemon.address()).await;
    world.idle().await;
    daemon.drain().await;
    let judged = world.judge().await;
    println!("{engine:?}, poison: {}", judged.tally);
    assert_eq!((judged.tally.completed, judged.tally.poison), (50, 1), "{}", judged.tally);
    let guilty = judged.end.tasks.iter().find(|task| task.life.status() == Status::Failed).unwrap();
    assert_eq!(guilty.life.id, deadly);
}

/// A task in progress at the death runs again at once, not when its lease is over.
async fn rescue(engine: Engine) {
    let mut world = World::begin(engine).await;
    let hour = Start::plain().with("TASKS__LEASE_S", 3600).with("TASKS__RESCUE_S", 300);
    let mut daemon = world.start(&hour).await;
    let task = only(&world.clients.upload(LONG, "respond-async").await);
    let mine = true;
    world.see(task, mine, "it runs", |seen| seen.status == Status::InProgress).await;
    daemon.kill();
    world.deaths += 1;

    let mut daemon = world.start(&hour).await;
    // The bound on waiting is a minute, the lease is an hour.
    let again = world.see(task, mine, "it runs again", |seen| seen.attempt == Attempt(2)).await;
    assert!(matches!(again.status, Status::InProgress | Status::Completed), "{again:?}");
    world.idle().await;
    daemon.drain().await;
    let judged = world.judge().await;
    assert_eq!((judged.tally.completed, judged.tally.lost_workers), (1, 1), "{}", judged.tally);
}

/// A drain gives back what it cannot finish, and nothing is held against it.
async fn drain(engine: Engine) {
    let mut world = World::begin(engine).await;
    let mut daemon = world.start(&Start::plain().with("SHUTDOWN__GRACE_S", 0)).await;
    let task = only(&world.clients.upload(LONG, "respond-async").await);
    world.see(task, true, "it runs", |seen| seen.status == Status::InProgress).await;
    daemon.drain().await;
    let rows: Vec<(String, i64, i64)> = world.rows("SELECT status, crashes, failures FROM tasks").await;
    assert_eq!(rows, [("New".to_owned(), 0, 0)], "given back, at no cost");
    let judged = world.judge().await;
    assert_eq!((judged.tally.completed, judged.tally.lost_workers), (1, 0), "{}", judged.tally);
    let interrupted = |fact: &Fact| matches!(fact, Fact::Retrying { cause: RetryCause::Interrupted, .. });
    assert_eq!(judged.end.events.iter().filter(|(_, event)| interrupted(&event.fact)).count(), 1);
}

macro_rules! on_both {
    ($($story:ident => $sqlite:ident, $postgres:ident;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sqlite() {
            $story(Engine::Sqlite).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $postgres() {
            $story(Engine::Postgres).await;
        }
    )* };
}

on_both! {
    poison => a_task_that_kills_its_worker_three_times_is_poison_and_its_fifty_neighbours_complete_on_sqlite,
        a_task_that_kills_its_worker_three_times_is_poison_and_its_fifty_neighbours_complete_on_postgres;
    rescue => what_ran_when_the_daemon_died_runs_again_as_soon_as_it_is_back_on_sqlite,
        what_ran_when_the_daemon_died_runs_again_as_soon_as_it_is_back_on_postgres;
    drain => a_drain_gives_back_what_it_cannot_finish_at_no_cost_on_sqlite,
        a_drain_gives_back_what_it_cannot_finish_at_no_cost_on_postgres;
}

/// The zombie: its work is somebody else's by the time it wakes up, and whatever it still says of it bounces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_daemon_that_wakes_up_changes_nothing_of_what_was_given_to_another() {
    let mut world = World::begin(Engine::Postgres).await;
    let mut frozen = world.start(&Start::plain()).await;
    let task = only(&world.clients.upload(Wav { millis: 120_000, ..LONG }, "respond-async").await);
    world.see(task, true, "it runs", |seen| seen.status == Status::InProgress).await;
    frozen.signal("STOP");
    world.deaths += 1;

    let mut other = world.start(&Start { seat: "other", ..Start::plain() }).await;
    // Which it can only once the first one's lease is over.
    let seen = world.see(task, true, "the other completes it", |seen| seen.status.is_terminal()).await;
    assert_eq!((seen.status, seen.attempt), (Status::Completed, Attempt(2)));
    let before = finished(&world).await;

    frozen.signal("CONT");
    leases(&world, 2).await;
    eventually("the frozen one notices", async || frozen.log().contains("the lease was lost").then_some(()))
        .await;
    // It is of use again: it takes new work, and the other goes.
    other.drain().await;
    world.clients.turn_to(frozen.address()).await;
    only(&world.clients.submit(json!({}), "wait=2").await);
    assert_eq!(finished(&world).await[..1], before, "what was completed stays as it was");
    frozen.drain().await;
    let judged = world.judge().await;
    assert_eq!((judged.tally.completed, judged.tally.lost_workers), (2, 1), "{}", judged.tally);
    let started = judged.end.events.iter().filter_map(|(_, event)| match &event.fact {
        Fact::Started { holder, .. } => holder.node(),
        Fact::Created
        | Fact::Progress(_)
        | Fact::Completed
        | Fact::Failed(_)
        | Fact::Retrying { .. }
        | Fact::Cancelled
        | Fact::Deleted => None,
    });
    let nodes: BTreeSet<NodeId> = started.collect();
    assert_eq!(nodes.len(), 3, "the frozen one, the other, and the frozen one under a new name");
}

async fn finished(world: &World) -> Vec<(i64, i64, i64)> {
    world.rows("SELECT id, attempt, finished_at FROM tasks WHERE finished_at IS NOT NULL ORDER BY id").await
}

/// The same, frozen between the end of a run and the word of it: that word is the first thing it says when it wakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outcome_that_a_frozen_daemon_had_on_its_lips_does_not_count() {
    let mut world = World::begin(Engine::Postgres).await;
    let mut frozen = world.start(&Start::dying_at(format!("{}=STOP", Failpoint::RunDone.name()))).await;
    let task = only(&world.clients.upload(Wav { millis: 120_000, ..LONG }, "respond-async").await);
    eventually("it is frozen", async || frozen.is_frozen().then_some(())).await;
    world.deaths += 1;

    let mut other = world.start(&Start { seat: "other", ..Start::plain() }).await;
    world.see(task, true, "the other runs it", |seen| seen.attempt == Attempt(2)).await;
    frozen.signal("CONT");
    eventually("the frozen one's word is refused", async || {
        frozen.log().contains("the outcome came too late and does not count").then_some(())
    })
    .await;
    world.idle().await;
    frozen.drain().await;
    other.drain().await;
    let judged = world.judge().await;
    assert_eq!((judged.tally.completed, judged.tally.lost_workers), (1, 1), "{}", judged.tally);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_in_the_same_data_folder_is_refused_and_the_first_one_does_not_mind() {
    let mut world = World::begin(Engine::Sqlite).await;
    let mut first = world.start(&Start::plain()).await;
    let mut second = world.place.spawn(&Start::plain());
    let status = second.ended("it is refused").await;
    assert_eq!(status.code(), Some(1));
    let folder = world.place.path().join("one");
    let message =
        format!("{} is the data folder of another gristmill process: stop that one", folder.display());
    assert!(second.log().contains(&message), "`{message}` is not in\n{}", second.log());
    only(&world.clients.submit(json!({}), "wait=2").await);
    first.drain().await;
    world.judge().await;
}
