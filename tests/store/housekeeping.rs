//! What may go: tasks that ended long ago, and the events of tasks that are gone.

use std::time::Duration;

use gristmill::account::Caller;
use gristmill::store::{Command, NewTask, Purged, Reply, Told};
use gristmill::task::{Json, Kind, NodeId, Outcome, Status, TaskId, Timestamp};

use crate::bench::{Bench, kind, new_task};

on_both! {
    what_ended_long_ago_is_found_by_kind_and_end_the_oldest_first,
    a_task_is_removed_only_if_it_still_stands_so_under_the_lock,
    what_is_removed_is_gone_with_all_that_is_its_own_and_the_count_stays,
    events_go_with_all_of_their_task_once_it_is_gone_for_long,
    events_stay_while_somebody_is_to_be_told_of_them,
}

const MINUTE: Duration = Duration::from_secs(60);

async fn expire(bench: &Bench, tasks: &[TaskId], status: Status, before: Timestamp) -> u32 {
    match bench.one(Command::Expire { tasks: tasks.to_vec(), status, before }).await {
        Reply::Purged(Purged { tasks, more: false }) => tasks,
        other => panic!("{other:?}"),
    }
}

async fn completed(bench: &Bench) -> TaskId {
    let made = bench.create(vec![new_task()]).await;
    // Time goes on here faster than leases are renewed.
    let node = NodeId::fresh();
    bench.register(node, &node.to_string(), None).await;
    let started = bench.claim_as(node, 1).await.tasks;
    assert_eq!(started[0].life.id, made[0].life.id);
    let outcome = Outcome::Completed { result: Json::null(), output: None, drop_input: false };
    bench.settle(started[0].life.id, started[0].life.attempt, outcome).await.unwrap();
    started[0].life.id
}

async fn cancelled(bench: &Bench) -> TaskId {
    let made = bench.create(vec![new_task()]).await;
    let id = made[0].life.id;
    bench.change(Command::Cancel { task: id, caller: Caller::Admin(None) }).await.unwrap();
    id
}

async fn now(bench: &Bench) -> Timestamp {
    bench.store.now().await.unwrap()
}

async fn what_ended_long_ago_is_found_by_kind_and_end_the_oldest_first(bench: Bench) {
    let first = completed(&bench).await;
    let stopped = cancelled(&bench).await;
    bench.test.clock.advance(MINUTE);
    let second = completed(&bench).await;
    let waiting = bench.create(vec![new_task()]).await[0].life.id;
    bench.test.clock.advance(MINUTE);
    let other: Kind = "resize".parse().unwrap();
    let (store, now) = (&bench.store, now(&bench).await);
    let ended = async |status, before, limit| store.ended(&kind(), status, before, limit).await.unwrap();
    assert_eq!(ended(Status::Completed, now, 10).await, [first, second]);
    assert_eq!(ended(Status::Completed, now, 1).await, [first]);
    assert_eq!(ended(Status::Completed, now.before(MINUTE + MINUTE / 2), 10).await, [first]);
    assert_eq!(ended(Status::Cancelled, now, 10).await, [stopped]);
    assert_eq!(ended(Status::Failed, now, 10).await, []);
    assert_eq!(store.ended(&other, Status::Completed, now, 10).await.unwrap(), []);
    assert_eq!(store.count_ended(&kind(), Status::Completed, now).await.unwrap(), 2);
    assert_eq!(store.count_ended(&kind(), Status::New, now).await.unwrap(), 0, "{waiting}");
}

async fn a_task_is_removed_only_if_it_still_stands_so_under_the_lock(bench: Bench) {
    let id = cancelled(&bench).await;
    bench.test.clock.advance(MINUTE);
    let later = now(&bench).await;
    let waiting = bench.create(vec![new_task()]).await[0].life.id;
    assert_eq!(expire(&bench, &[id], Status::Completed, later).await, 0, "it ended otherwise");
    assert_eq!(expire(&bench, &[id], Status::Cancelled, later.before(2 * MINUTE)).await, 0, "it ended later");
    for status in [Status::New, Status::InProgress, Status::Cancelled] {
        assert_eq!(expire(&bench, &[waiting], status, later.after(MINUTE)).await, 0, "it has not ended");
    }
    // Between the look and the lock somebody tries it again.
    bench.change(Command::Retry { task: id, caller: Caller::Admin(None) }).await.unwrap();
    assert_eq!(expire(&bench, &[id], Status::Cancelled, later).await, 0, "it lives");
    bench.change(Command::Cancel { task: id, caller: Caller::Admin(None) }).await.unwrap();
    assert_eq!(expire(&bench, &[id], Status::Cancelled, later).await, 0, "it ended anew");
    bench.test.clock.advance(MINUTE);
    let later = now(&bench).await;
    assert_eq!(expire(&bench, &[id, waiting, TaskId(99_999)], Status::Cancelled, later).await, 1);
    assert_eq!(expire(&bench, &[id], Status::Cancelled, later).await, 0, "it is gone");
    assert!(bench.store.task(waiting).await.unwrap().is_some());
}

async fn what_is_removed_is_gone_with_all_that_is_its_own_and_the_count_stays(bench: Bench) {
    let task = NewTask { tags: vec!["red".to_owned()], unique_key: Some("k".to_owned()), ..new_task() };
    let id = bench.create(vec![task.clone()]).await[0].life.id;
    bench.change(Command::Cancel { task: id, caller: Caller::Admin(None) }).await.unwrap();
    bench.test.clock.advance(MINUTE);
    assert_eq!(expire(&bench, &[id], Status::Cancelled, now(&bench).await).await, 1);
    assert!(bench.store.task(id).await.unwrap().is_none());
    assert_eq!(bench.story(id).await, ["created", "cancelled", "deleted"]);
    assert_eq!(bench.store.created_total(None).await.unwrap().total, 1);
    assert!(bench.create(vec![task]).await[0].life.id > id, "its key is free");
}

async fn events_go_with_all_of_their_task_once_it_is_gone_for_long(bench: Bench) {
    let store = &bench.store;
    let (gone, stays) = (cancelled(&bench).await, cancelled(&bench).await);
    bench.change(Command::Delete { task: gone, caller: Caller::Admin(None) }).await.unwrap();
    let last = store.newest_event().await.unwrap();
    bench.test.clock.advance(MINUTE);
    let young = cancelled(&bench).await;
    bench.change(Command::Delete { task: young, caller: Caller::Admin(None) }).await.unwrap();
    let before = now(&bench).await.before(MINUTE / 2);
    assert_eq!(store.forget_events(before.before(MINUTE), false, 10).await.unwrap(), 0, "not gone for long");
    assert_eq!(store.forgotten_events().await.unwrap().0, 0);
    assert_eq!(store.forget_events(before, false, 10).await.unwrap(), 1);
    assert_eq!(store.forgotten_events().await.unwrap(), last);
    assert_eq!(bench.story(gone).await, [""; 0]);
    assert_eq!(bench.story(stays).await, ["created", "cancelled"]);
    assert_eq!(bench.story(young).await, ["created", "cancelled", "deleted"]);
    assert_eq!(store.forget_events(before, false, 10).await.unwrap(), 0);

    // As many at a time as are wanted.
    let later = now(&bench).await.after(MINUTE);
    for _ in 0..3 {
        let id = cancelled(&bench).await;
        bench.change(Command::Delete { task: id, caller: Caller::Admin(None) }).await.unwrap();
    }
    assert_eq!(store.forget_events(later, false, 3).await.unwrap(), 3);
    assert_eq!(
        store.forget_events(later, false, 3).await.unwrap(),
        0,
        "the newest tells how far the numbers are"
    );
    let newest = store.newest_event().await.unwrap();
    cancelled(&bench).await;
    assert_eq!(store.forget_events(later, false, 3).await.unwrap(), 1);
    assert_eq!(store.forgotten_events().await.unwrap(), newest);
}

async fn events_stay_while_somebody_is_to_be_told_of_them(bench: Bench) {
    let store = &bench.store;
    let task = NewTask { callback: Some("http://example.com/".to_owned()), ..new_task() };
    let id = bench.create(vec![task]).await[0].life.id;
    bench.change(Command::Delete { task: id, caller: Caller::Admin(None) }).await.unwrap();
    let later = now(&bench).await.after(MINUTE);
    assert_eq!(store.forget_events(later, false, 10).await.unwrap(), 0, "a callback waits");
    while let Some(callback) = store.due_callbacks(1, MINUTE).await.unwrap().pop() {
        let events = store.events_of(id, callback.told, 10).await.unwrap();
        for (seq, _) in events {
            store.told(id, &Told::Event(seq)).await.unwrap();
        }
        store.told(id, &Told::Nothing).await.unwrap();
    }
    let node: NodeId = bench.node;
    store.begin_relay("relay").await.unwrap();
    assert!(store.hold_duty("relay", node).await.unwrap());
    let other = cancelled(&bench).await;
    bench.change(Command::Delete { task: other, caller: Caller::Admin(None) }).await.unwrap();
    assert_eq!(store.forget_events(later, true, 10).await.unwrap(), 1, "the relay began behind the first");
    assert_eq!(bench.story(other).await, ["created", "cancelled", "deleted"], "and is before the second");
    cancelled(&bench).await;
    let newest = store.newest_event().await.unwrap();
    store.relay("relay", node, Some(newest)).await.unwrap();
    assert_eq!(store.forget_events(later, true, 10).await.unwrap(), 1);
}
