//! The books that are no tasks: counts, duties, relays, callbacks, replies, and what nodes announce.

use std::time::Duration;

use gristmill::account::Caller;
use gristmill::store::{Command, CreatedTotal, NewTask, Reply, ReplyTo, Told};
use gristmill::task::{Attempt, EventName, EventSeq, NodeId, Percent, TaskId};

use crate::bench::{Bench, done, ids, new_task};
use crate::common::Engine;

on_both!(
    a_deletion_does_not_lower_how_many_were_made,
    a_duty_is_one_nodes_for_as_long_as_its_lease,
    a_relay_begins_with_the_newest_event_and_is_the_duty_holders,
    a_callback_is_told_each_event_in_order_and_wakes_for_the_next,
    a_callback_that_fails_waits_and_is_given_up_when_told_so,
    a_callback_outlives_its_task_until_all_is_told,
    a_reply_address_is_kept_until_it_was_used,
    what_is_announced_is_heard,
);

const ANYBODY: Caller = Caller::Anonymous;
const HOLD: Duration = Duration::from_secs(60);

fn told() -> NewTask {
    NewTask { callback: Some("https://example.com/hook".into()), ..new_task() }
}

async fn a_deletion_does_not_lower_how_many_were_made(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let hers = NewTask { owner: Some(ann), ..new_task() };
    let total = async |owner| bench.store.created_total(owner).await.unwrap();
    assert_eq!(total(Some(ann)).await, CreatedTotal::default());
    let made = ids(&bench.create(vec![new_task(), hers.clone(), hers.clone()]).await);
    assert_eq!(total(Some(ann)).await, CreatedTotal { total: 3, by_user: 2 });
    assert_eq!(total(None).await, CreatedTotal { total: 3, by_user: 0 });
    bench.change(Command::Delete { task: made[0], caller: ANYBODY }).await.unwrap();
    bench.change(Command::Delete { task: made[1], caller: Caller::User(ann) }).await.unwrap();
    assert_eq!(total(Some(ann)).await, CreatedTotal { total: 3, by_user: 2 });
    if bench.is_postgres() {
        // Another node counts in a part of its own.
        bench.another().await.commit(&[Command::Create(vec![hers, new_task()])]).await.unwrap();
        assert_eq!(total(Some(ann)).await, CreatedTotal { total: 5, by_user: 3 });
    }
    // In the group that makes it too.
    let next = TaskId(made[2].0 + if bench.is_postgres() { 3 } else { 1 });
    let replies = bench.group(&[Command::Create(vec![new_task()]), delete(next)]).await;
    assert!(matches!(&replies[1], Reply::Changed(Ok(_))), "{replies:?}");
    assert_eq!(total(None).await.total, if bench.is_postgres() { 6 } else { 4 });
}

fn delete(task: TaskId) -> Command {
    Command::Delete { task, caller: ANYBODY }
}

async fn a_duty_is_one_nodes_for_as_long_as_its_lease(bench: Bench) {
    let lease = Duration::from_secs(10);
    // Of SQLite's nodes only the newest has a lease, as there is one process.
    let other = NodeId::fresh();
    assert!(!bench.store.hold_duty("clock", other).await.unwrap(), "it has no lease");
    assert!(bench.store.hold_duty("clock", bench.node).await.unwrap());
    assert!(bench.store.hold_duty("clock", bench.node).await.unwrap(), "and keeps it");
    if bench.is_postgres() {
        bench.register(other, "other seat", None).await;
        assert!(!bench.store.hold_duty("clock", other).await.unwrap(), "somebody else has it");
        assert!(bench.store.hold_duty("another", other).await.unwrap(), "each duty by itself");
        bench.advance(9);
        assert!(bench.store.renew(other, lease).await.unwrap());
        assert!(!bench.store.hold_duty("clock", other).await.unwrap(), "the lease holds");
        bench.advance(2);
    } else {
        bench.advance(11);
        bench.register(other, "seat", None).await;
    }
    assert!(!bench.store.hold_duty("clock", bench.node).await.unwrap(), "its lease is over");
    assert!(bench.store.hold_duty("clock", other).await.unwrap());
    bench.store.drop_duty("clock", bench.node).await.unwrap();
    assert!(bench.store.hold_duty("clock", other).await.unwrap(), "only who has it gives it back");
    bench.store.retire(other).await.unwrap();
    let third = NodeId::fresh();
    bench.register(third, "third seat", None).await;
    assert!(bench.store.hold_duty("clock", third).await.unwrap(), "given back at once");
}

async fn a_relay_begins_with_the_newest_event_and_is_the_duty_holders(bench: Bench) {
    bench.create(vec![new_task(); 3]).await;
    let newest = bench.store.newest_event().await.unwrap();
    assert_eq!(newest, bench.store.events_after(EventSeq(0), 9).await.unwrap()[2].0);
    let relay = async |node, told| bench.store.relay("out", node, told).await.unwrap();
    assert_eq!(relay(bench.node, None).await, None, "nobody has the duty");
    bench.store.hold_duty("out", bench.node).await.unwrap();
    assert_eq!(relay(bench.node, None).await, Some(newest));
    bench.create(vec![new_task(); 2]).await;
    assert_eq!(relay(bench.node, None).await, Some(newest), "it stays where it is");
    let next = EventSeq(newest.0 + 1);
    assert_eq!(relay(bench.node, Some(next)).await, Some(next));
    bench.advance(11);
    let other = NodeId::fresh();
    bench.register(other, "seat", None).await;
    assert_eq!(relay(other, None).await, None);
    bench.store.hold_duty("out", other).await.unwrap();
    assert_eq!(relay(bench.node, Some(EventSeq(999))).await, None, "it is another's now");
    assert_eq!(relay(other, None).await, Some(next), "which goes on where that one was");

    let newest = bench.store.newest_event().await.unwrap();
    for _ in 0..2 {
        bench.store.begin_relay("early").await.unwrap();
        bench.create(vec![new_task()]).await;
    }
    assert!(bench.store.hold_duty("early", other).await.unwrap(), "begun, and nobody's yet");
    let told = bench.store.relay("early", other, None).await.unwrap();
    assert_eq!(told, Some(newest), "from when it was begun, not from when somebody took it");
}

async fn a_callback_is_told_each_event_in_order_and_wakes_for_the_next(bench: Bench) {
    let ids = ids(&bench.create(vec![told(), new_task(), told()]).await);
    assert_eq!(bench.store.callback_of(ids[1]).await.unwrap(), None);
    assert_eq!(bench.store.due_callbacks(1, HOLD).await.unwrap().len(), 1, "no more than asked for");
    let mut due = bench.store.due_callbacks(9, HOLD).await.unwrap();
    assert_eq!(due.len(), 1, "what is held is nobody else's");
    bench.advance(61);
    due = bench.store.due_callbacks(9, HOLD).await.unwrap();
    assert_eq!(due.len(), 2, "what was held and never told of is due again");
    let callback = due.iter().find(|due| due.task == ids[0]).unwrap();
    assert_eq!(
        (callback.url.as_str(), callback.told, callback.tries),
        ("https://example.com/hook", EventSeq(0), 0)
    );

    let node = NodeId::fresh();
    bench.register(node, "seat", None).await;
    assert_eq!(bench.claim_as(node, 9).await.tasks.len(), 3);
    let progress = Command::Progress { task: ids[0], attempt: Attempt(1), percent: Percent::new(1) };
    bench.one(progress).await;
    let mut story = Vec::new();
    let mut at = EventSeq(0);
    while bench.store.callback_of(ids[0]).await.unwrap().unwrap().pending {
        let events = bench.store.events_of(ids[0], at, 9).await.unwrap();
        let (seq, event) = events.iter().find(|(_, event)| event.fact.name() != EventName::Progress).unwrap();
        story.push(event.fact.name());
        at = *seq;
        bench.store.told(ids[0], &Told::Event(at)).await.unwrap();
    }
    assert_eq!(story, [EventName::Created, EventName::Started], "progress is not told");
    let newest = bench.store.newest_events_of(ids[0], 9).await.unwrap();
    assert_eq!(
        newest.iter().map(|(_, event)| event.fact.name()).collect::<Vec<_>>(),
        story,
        "progress is left out"
    );
    assert!(bench.store.due_callbacks(9, HOLD).await.unwrap().is_empty());
    bench.settle(ids[0], Attempt(1), done()).await.unwrap();
    let due = bench.store.due_callbacks(9, HOLD).await.unwrap();
    assert_eq!(due.iter().map(|due| (due.task, due.told)).collect::<Vec<_>>(), [(ids[0], at)]);
    assert!(bench.store.told(ids[0], &Told::Event(EventSeq(1))).await.unwrap(), "there is more");
    assert!(bench.store.due_callbacks(9, HOLD).await.unwrap().is_empty(), "and whoever told the one goes on");
    assert!(!bench.store.told(ids[0], &Told::Nothing).await.unwrap());
    let due = bench.store.due_callbacks(9, HOLD).await.unwrap();
    assert_eq!(due[0].told, at, "a slow one does not turn the book back");
    let last = bench.store.events_of(ids[0], at, 9).await.unwrap().last().unwrap().0;
    assert!(!bench.store.told(ids[0], &Told::Event(last)).await.unwrap(), "there is no more");
    let state = bench.store.callback_of(ids[0]).await.unwrap().unwrap();
    assert_eq!((state.pending, state.next_at), (false, None));
    bench.store.told(TaskId(99_999), &Told::Nothing).await.unwrap();
}

async fn a_callback_that_fails_waits_and_is_given_up_when_told_so(bench: Bench) {
    let id = bench.create(vec![told()]).await[0].life.id;
    let first = bench.store.events_of(id, EventSeq(0), 1).await.unwrap()[0].0;
    let failed = Told::Failed { error: "connection refused".into(), again_in: Duration::from_secs(30) };
    let begun = bench.store.now().await.unwrap();
    for tries in 1..=3 {
        assert_eq!(bench.store.due_callbacks(9, HOLD).await.unwrap().len(), 1);
        bench.store.told(id, &failed).await.unwrap();
        let state = bench.store.callback_of(id).await.unwrap().unwrap();
        assert_eq!(
            (state.pending, state.tries, state.last_error.as_deref()),
            (true, tries, Some("connection refused"))
        );
        bench.advance(29);
        assert!(bench.store.due_callbacks(9, HOLD).await.unwrap().is_empty(), "it waits");
        bench.advance(2);
    }
    let due = bench.store.due_callbacks(9, HOLD).await.unwrap();
    let since = due[0].since.unwrap();
    assert!(since >= begun && since < begun.after(Duration::from_secs(20)), "since the first failure");
    let error = "gone for a day".to_owned();
    bench.store.told(id, &Told::GivenUp { event: first, error }).await.unwrap();
    let state = bench.store.callback_of(id).await.unwrap().unwrap();
    assert_eq!((state.pending, state.tries, state.given_up), (false, 0, 1));
    assert_eq!(state.last_error.as_deref(), Some("gone for a day"));
    bench.change(Command::Cancel { task: id, caller: ANYBODY }).await.unwrap();
    let due = bench.store.due_callbacks(9, HOLD).await.unwrap();
    assert_eq!((due[0].told, due[0].tries, due[0].since), (first, 0, None), "the next one begins anew");
    bench.store.told(id, &Told::Nothing).await.unwrap();
    let state = bench.store.callback_of(id).await.unwrap().unwrap();
    assert!(state.pending, "there is something after all");
    assert!(state.last_error.is_some(), "nothing went well yet");
    let cancelled = bench.store.events_of(id, first, 9).await.unwrap()[0].0;
    bench.store.told(id, &Told::Event(cancelled)).await.unwrap();
    assert_eq!(bench.store.callback_of(id).await.unwrap().unwrap().last_error, None);
}

async fn a_callback_outlives_its_task_until_all_is_told(bench: Bench) {
    let id = bench.create(vec![told()]).await[0].life.id;
    let created = bench.store.events_of(id, EventSeq(0), 1).await.unwrap()[0].0;
    bench.store.told(id, &Told::Event(created)).await.unwrap();
    assert!(!bench.store.callback_of(id).await.unwrap().unwrap().pending);
    bench.change(delete(id)).await.unwrap();
    let due = bench.store.due_callbacks(9, HOLD).await.unwrap();
    assert_eq!(due.iter().map(|due| due.task).collect::<Vec<_>>(), [id]);
    let events = bench.store.events_of(id, created, 9).await.unwrap();
    assert_eq!(events[0].1.fact.name(), EventName::Deleted);
    bench.store.told(id, &Told::Event(events[0].0)).await.unwrap();
    assert_eq!(bench.store.callback_of(id).await.unwrap(), None, "nothing is left of it");
}

async fn a_reply_address_is_kept_until_it_was_used(bench: Bench) {
    let reply = |id: Option<&str>| ReplyTo { queue: "amq.gen-7".into(), correlation_id: id.map(Into::into) };
    let asks = |reply| NewTask { reply_to: Some(reply), ..new_task() };
    let made = ids(&bench.create(vec![asks(reply(Some("c-1"))), new_task(), asks(reply(None))]).await);
    let mut found = bench.store.replies_of(&made).await.unwrap();
    found.sort_by_key(|(task, _)| *task);
    assert_eq!(found, [(made[0], reply(Some("c-1"))), (made[2], reply(None))]);
    assert_eq!(bench.store.replies_of(&[]).await.unwrap(), []);
    bench.store.replied(made[0]).await.unwrap();
    assert_eq!(bench.store.replies_of(&made[..2]).await.unwrap(), []);
    bench.change(delete(made[2])).await.unwrap();
    assert_eq!(bench.store.replies_of(&made).await.unwrap().len(), 1, "its end is still to be told");
}

async fn what_is_announced_is_heard(bench: Bench) {
    let Some(mut listener) = bench.store.listen().await.unwrap() else {
        assert!(!bench.is_postgres(), "only where there is but one node");
        return bench.store.announce("nobody is there").await.unwrap();
    };
    bench.another().await.announce("cancelled 7").await.unwrap();
    bench.store.announce("paused 'manual'; \u{43f}").await.unwrap();
    let mut hear = async || tokio::time::timeout(Duration::from_secs(30), listener.hear()).await.unwrap();
    assert_eq!(hear().await.unwrap(), "cancelled 7");
    assert_eq!(hear().await.unwrap(), "paused 'manual'; \u{43f}");
}

/// One node writes an event at the very instant at which another settles that all is told. Whoever comes second must
/// see the other: an event that nobody is to tell would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_written_while_telling_is_settled_is_never_lost() {
    let bench = Bench::open(Engine::Postgres).await;
    let teller = bench.another().await;
    let task = bench.create(vec![told()]).await[0].life.id;
    let mut last = bench.store.newest_event().await.unwrap();
    for round in 0..500 {
        let due = teller.due_callbacks(9, HOLD).await.unwrap();
        assert_eq!(due.len(), 1, "round {round}: there is an event to tell, and nobody knows");
        let caller = ANYBODY;
        let change =
            [if round % 2 == 0 { Command::Cancel { task, caller } } else { Command::Retry { task, caller } }];
        let told = Told::Event(last);
        let (changed, settled) = tokio::join!(bench.store.commit(&change), teller.told(task, &told));
        changed.unwrap();
        if settled.unwrap() {
            // It knows of the event, and leaves it to others.
            teller.told(task, &Told::Nothing).await.unwrap();
        }
        let newest = bench.store.newest_event().await.unwrap();
        assert!(newest > last);
        last = newest;
    }
}
