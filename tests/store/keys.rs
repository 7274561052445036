//! Keys: of which only one task lives at a time, and by which a request counts once.

use std::sync::Arc;

use gristmill::account::Caller;
use gristmill::store::{Accepted, Command, NewTask, Refused, Reply, Store};
use gristmill::task::{Attempt, EventName, EventSeq, Status, Task, TaskId};

use crate::bench::{Bench, done, ids, keyed, manual, new_task, once, take};
use crate::common::Engine;

on_both!(
    a_second_task_of_a_living_key_is_the_first_one,
    a_key_is_free_once_its_task_has_ended_or_is_gone,
    two_tasks_of_one_key_do_not_live_again_together,
    a_group_that_ends_one_and_makes_another_of_the_same_key_is_one_write,
    a_request_counts_once_also_when_its_task_is_gone,
    a_refusal_is_not_remembered_and_a_key_is_of_one_request,
    a_take_that_was_answered_before_leaves_the_next_one_free,
);

const ANYBODY: Caller = Caller::Anonymous;

fn made(reply: Reply) -> Vec<Accepted> {
    match reply {
        Reply::Created(made) => made,
        other => panic!("{other:?}"),
    }
}

async fn create(bench: &Bench, task: NewTask) -> (Task, bool) {
    let accepted = made(bench.one(Command::Create(vec![task])).await).remove(0);
    (accepted.task, accepted.fresh)
}

async fn a_second_task_of_a_living_key_is_the_first_one(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let of_ann = |key| NewTask { owner: Some(ann), ..keyed(key) };
    let manual = |key| NewTask { unique_key: Some(String::from(key)), ..manual() };
    let group =
        made(bench.one(Command::Create(vec![keyed("a"), keyed("a"), of_ann("a"), manual("a")])).await);
    let fresh: Vec<bool> = group.iter().map(|accepted| accepted.fresh).collect();
    assert_eq!(fresh, [true, false, true, true], "apart by owner and kind");
    assert_eq!(group[0].task, group[1].task);
    bench.claim(1).await;
    let (again, fresh) = create(&bench, NewTask { tags: vec!["other".into()], ..keyed("a") }).await;
    assert_eq!((again, fresh), (bench.task(group[0].task.life.id).await, false), "as it stands");
    assert!(create(&bench, keyed("b")).await.1);
    assert_eq!(bench.store.created_total(None).await.unwrap().total, 4);
    assert_eq!(bench.task(group[2].task.life.id).await.unique_key.as_deref(), Some("a"));
}

async fn a_key_is_free_once_its_task_has_ended_or_is_gone(bench: Bench) {
    let mut last = TaskId(0);
    for round in 0..4 {
        let (task, fresh) = create(&bench, keyed("a")).await;
        let id = task.life.id;
        assert!(fresh && id > last, "round {round}");
        assert!(!create(&bench, keyed("a")).await.1);
        match round {
            0 => {
                bench.claim(1).await;
                bench.settle(id, Attempt(1), done()).await.unwrap();
            }
            1 => drop(bench.change(Command::Cancel { task: id, caller: ANYBODY }).await.unwrap()),
            _ => drop(bench.change(Command::Delete { task: id, caller: ANYBODY }).await.unwrap()),
        }
        last = id;
    }
}

async fn two_tasks_of_one_key_do_not_live_again_together(bench: Bench) {
    let cancel = |task| Command::Cancel { task, caller: ANYBODY };
    let retry = |task| Command::Retry { task, caller: ANYBODY };
    let first = create(&bench, keyed("a")).await.0.life.id;
    bench.change(cancel(first)).await.unwrap();
    let second = create(&bench, keyed("a")).await.0.life.id;
    assert_eq!(bench.change(retry(first)).await, Err(Refused::UniqueTaken { task: first, other: second }));
    bench.change(cancel(second)).await.unwrap();
    let replies = bench.group(&[retry(first), retry(second), Command::Create(vec![keyed("a")])]).await;
    assert!(matches!(&replies[0], Reply::Changed(Ok(_))));
    let taken = Refused::UniqueTaken { task: second, other: first };
    assert!(matches!(&replies[1], Reply::Changed(Err(refused)) if *refused == taken), "{:?}", replies[1]);
    assert!(matches!(&replies[2], Reply::Created(made) if !made[0].fresh), "{:?}", replies[2]);
}

async fn a_group_that_ends_one_and_makes_another_of_the_same_key_is_one_write(bench: Bench) {
    let first = create(&bench, keyed("a")).await.0.life.id;
    let cancel = |task| Command::Cancel { task, caller: ANYBODY };
    let retry = |task| Command::Retry { task, caller: ANYBODY };
    let create = || Command::Create(vec![keyed("a")]);
    let events = async || bench.store.newest_event().await.unwrap();
    // A group that falls apart is written by parts: what happens in it happens at one instant only if it did not.
    let whole = async |commands: &[Command]| {
        let before = events().await;
        for reply in bench.group(commands).await {
            assert!(!matches!(reply, Reply::Changed(Err(_))), "{reply:?}");
        }
        let told = bench.store.events_after(before, 100).await.unwrap();
        assert!(told.iter().all(|(_, event)| event.at == told[0].1.at), "in parts: {told:?}");
    };
    whole(&[cancel(first), create()]).await;
    let second = TaskId(bench.store.events_after(EventSeq(0), 100).await.unwrap().last().unwrap().1.task.0);
    assert_ne!(second, first);
    whole(&[cancel(second), retry(first)]).await;
    whole(&[Command::Delete { task: first, caller: ANYBODY }, retry(second)]).await;
    whole(&[cancel(second), retry(second), cancel(second), create()]).await;
    assert_eq!(bench.task(second).await.life.status(), Status::Cancelled);
}

async fn a_request_counts_once_also_when_its_task_is_gone(bench: Bench) {
    let create = || once("k", "create", Command::Create(vec![new_task()]));
    let mut replies = bench.group(&[create(), create()]).await;
    let before = |reply: &Reply, id: TaskId| {
        let Reply::Before(answer) = reply else { panic!("{reply:?}") };
        assert_eq!((answer.status, answer.body.as_str()), (201, id.to_string().as_str()));
        assert_eq!(answer.location, Some(format!("/tasks/{id}")));
    };
    let second = replies.pop().unwrap();
    let id = made(replies.pop().unwrap())[0].task.life.id;
    before(&second, id);
    before(&bench.one(create()).await, id);
    let delete = once("d", "delete", Command::Delete { task: id, caller: ANYBODY });
    assert!(matches!(bench.one(delete.clone()).await, Reply::Changed(Ok(_))));
    before(&bench.one(create()).await, id);
    before(&bench.one(delete).await, id);
    assert_eq!(bench.store.created_total(None).await.unwrap().total, 1);
    assert!(matches!(bench.one(once("k", "other", Command::Create(vec![]))).await, Reply::KeyReused));

    assert_eq!(bench.store.forget_answers(9).await.unwrap(), 0, "not yet");
    bench.advance(61);
    assert_eq!(bench.store.forget_answers(1).await.unwrap(), 1, "no more than asked for");
    assert_eq!(bench.store.forget_answers(9).await.unwrap(), 1);
    assert!(matches!(bench.one(create()).await, Reply::Created(_)), "a new request by then");
}

async fn a_refusal_is_not_remembered_and_a_key_is_of_one_request(bench: Bench) {
    let id = bench.create(vec![new_task()]).await[0].life.id;
    let retry = || once("k", "retry", Command::Retry { task: id, caller: ANYBODY });
    for _ in 0..2 {
        assert!(matches!(bench.one(retry()).await, Reply::Changed(Err(Refused::Illegal(_)))));
    }
    bench.change(Command::Cancel { task: id, caller: ANYBODY }).await.unwrap();
    assert!(matches!(bench.one(retry()).await, Reply::Changed(Ok(_))));
    assert!(matches!(bench.one(retry()).await, Reply::Before(_)));
    let other = once("k", "cancel", Command::Cancel { task: id, caller: ANYBODY });
    assert!(matches!(bench.one(other).await, Reply::KeyReused));
    assert_eq!(bench.task(id).await.life.status(), Status::New);
}

async fn a_take_that_was_answered_before_leaves_the_next_one_free(bench: Bench) {
    let made = ids(&bench.create(vec![manual(), manual()]).await);
    let keyed = || once("k", "take", Command::Take(take(ANYBODY, 60)));
    assert!(matches!(bench.one(keyed()).await, Reply::Taken(Ok(_))));
    let replies = bench.group(&[keyed(), once("k", "other", Command::Take(take(ANYBODY, 60)))]).await;
    assert!(matches!(&replies[..], [Reply::Before(_), Reply::KeyReused]), "{replies:?}");
    assert_eq!(bench.task(made[1]).await.life.status(), Status::New);
    assert_eq!(bench.take(take(ANYBODY, 60)).await.unwrap().unwrap().life.id, made[1]);
}

/// Eight nodes on one PostgreSQL ask for the same at once, round after round; what they got.
async fn race(rounds: u32, ask: impl Fn(u32) -> Command) -> (Bench, Vec<Vec<Reply>>) {
    let bench = Bench::open(Engine::Postgres).await;
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    for _ in 0..8 {
        stores.push(bench.another().await);
    }
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut racers = tokio::task::JoinSet::new();
        for store in &stores {
            let store = store.clone();
            let mut commands = vec![ask(round)];
            // Alone, or with a neighbour of its own, which no conflict may touch.
            commands.extend((round % 2 == 0).then(|| Command::Create(vec![new_task()])));
            racers.spawn(async move {
                let mut replies = store.commit(&commands).await.unwrap().replies;
                assert!(replies.iter().all(Result::is_ok), "{replies:?}");
                replies.remove(0).unwrap()
            });
        }
        all.push(racers.join_all().await);
    }
    (bench, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_nodes_that_race_for_one_key_one_makes_the_task_and_all_are_told_of_it() {
    let (bench, rounds) = race(20, |round| Command::Create(vec![keyed(&round.to_string())])).await;
    for replies in rounds {
        let made: Vec<Accepted> = replies.into_iter().flat_map(made).collect();
        assert_eq!(made.iter().filter(|accepted| accepted.fresh).count(), 1);
        assert!(made.iter().all(|accepted| accepted.task.life.id == made[0].task.life.id), "{made:?}");
    }
    assert_eq!(bench.store.created_total(None).await.unwrap().total, 20 + 10 * 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_nodes_that_race_with_one_request_one_does_it_and_all_give_its_answer() {
    let create = |round: u32| once(&round.to_string(), "create", Command::Create(vec![new_task()]));
    let (bench, rounds) = race(20, create).await;
    for replies in rounds {
        let mut fresh = 0;
        let mut answers: Vec<String> = Vec::new();
        for reply in replies {
            answers.push(match reply {
                Reply::Created(made) => {
                    fresh += 1;
                    made[0].task.life.id.to_string()
                }
                Reply::Before(answer) => answer.body,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(fresh, 1);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    assert_eq!(bench.store.created_total(None).await.unwrap().total, 20 + 10 * 8);
}

/// Each node makes the same keys in another order, ends them and makes them again, beside takes and cancels of
/// tasks that the others know too: nobody may wait for another for ever, and no error may come of it.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_want_the_same_in_other_orders_do_not_stop_each_other() {
    let bench = Bench::open(Engine::Postgres).await;
    let shared = ids(&bench.create(vec![manual(); 20]).await);
    let mut nodes = tokio::task::JoinSet::new();
    for node in 0..4_usize {
        let (store, shared) = (bench.another().await, shared.clone());
        nodes.spawn(async move {
            for round in 0..40_usize {
                let mut keys: Vec<String> = (0..5).map(|key| format!("key {key}")).collect();
                keys.rotate_left(node);
                let kinds = |key: &str| {
                    let made = [keyed(key), NewTask { unique_key: Some(key.into()), ..manual() }];
                    if node % 2 == 0 { made.to_vec() } else { made.into_iter().rev().collect() }
                };
                let mut commands: Vec<Command> = keys.iter().map(|key| Command::Create(kinds(key))).collect();
                let task = shared[(round * 7 + node * 3) % shared.len()];
                commands.push(Command::Cancel { task, caller: ANYBODY });
                commands
                    .push(Command::Retry { task: shared[(round + node) % shared.len()], caller: ANYBODY });
                commands.push(Command::Take(take(ANYBODY, 60)));
                let replies = store.commit(&commands).await.unwrap().replies;
                let mut ends = Vec::new();
                for reply in replies {
                    if let Reply::Created(made) = reply.unwrap() {
                        ends.extend(made.iter().map(|accepted| Command::Cancel {
                            task: accepted.task.life.id,
                            caller: ANYBODY,
                        }));
                    }
                }
                for reply in store.commit(&ends).await.unwrap().replies {
                    reply.unwrap();
                }
            }
        });
    }
    nodes.join_all().await;
    let mut after = EventSeq(0);
    let mut histories = std::collections::HashMap::<TaskId, Vec<EventName>>::new();
    loop {
        let events = bench.store.events_after(after, 1000).await.unwrap();
        let Some((last, _)) = events.last() else { break };
        after = *last;
        for (_, event) in events {
            histories.entry(event.task).or_default().push(event.fact.name());
        }
    }
    assert!(histories.values().all(|names| names[0] == EventName::Created));
}
