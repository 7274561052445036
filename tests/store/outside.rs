//! Workers outside: what they may take, what counts of what they say, and what becomes of it when they fall silent.

use std::collections::HashSet;
use std::time::Duration;

use gristmill::account::Caller;
use gristmill::store::{Claim, Command, NewTask, Refused, Reply, Rescued, Take, Taken, Wanted, Word};
use gristmill::task::{
    Attempt, EventSeq, Fact, Failure, FailureReason, Holder, IllegalTransition, Json, NodeId, Outcome,
    Percent, Priority, RetryCause, Status, Task, TaskId,
};

use crate::bench::{Bench, claim, done, ids, kind, manual, new_task, take};

on_both!(
    a_take_is_of_the_most_urgent_then_the_oldest_and_of_what_is_ones_own_or_nobodys,
    twenty_takers_get_each_of_two_hundred_tasks_once,
    what_is_for_later_is_taken_once_its_time_has_come,
    a_suspect_is_taken_like_any_other_and_the_third_loss_is_poison,
    a_take_by_number_obeys_the_owner_the_kind_and_the_status,
    a_take_and_a_cancel_that_race_leave_one_story,
    words_of_an_attempt_that_is_over_write_nothing,
    what_a_node_or_somebody_else_holds_is_not_spoken_for,
    words_write_what_they_say,
    a_sign_of_life_prolongs_the_lease_but_not_past_the_time_limit,
    a_person_who_falls_silent_is_not_blamed_and_one_without_a_lease_keeps_the_task,
    a_task_that_comes_too_late_is_ended_by_whoever_finds_it_first,
    what_is_free_can_be_asked,
    kinds_that_change_hands_are_sorted_anew,
);

const ANYBODY: Caller = Caller::Anonymous;

fn urgent(priority: i64, task: NewTask) -> NewTask {
    NewTask { priority: Priority::new(priority).unwrap(), ..task }
}

fn stale(refused: Result<Task, Refused>) {
    let is_stale = matches!(refused, Err(Refused::Illegal(IllegalTransition::Stale { .. })));
    assert!(is_stale, "{refused:?} should be stale");
}

fn words() -> [Word; 6] {
    [
        Word::Heartbeat(None),
        Word::Heartbeat(Some(Duration::from_secs(5))),
        Word::Progress(Percent::new(1)),
        Word::Complete(Json::null()),
        Word::Fail(Failure::new(FailureReason::Error, "no luck")),
        Word::Release,
    ]
}

async fn a_take_is_of_the_most_urgent_then_the_oldest_and_of_what_is_ones_own_or_nobodys(bench: Bench) {
    let ann = Caller::User(bench.user("ann@example.com").await);
    let bob = Caller::User(bench.user("bob@example.com").await);
    let of = |caller: Caller, task: NewTask| NewTask { owner: caller.user(), ..task };
    let resize = NewTask { kind: "resize".parse().unwrap(), ..new_task() };
    let made = ids(&bench
        .create(vec![
            of(bob, urgent(9, manual())),
            of(ann, manual()),
            urgent(5, resize),
            manual(),
            of(ann, urgent(5, manual())),
            new_task(),
        ])
        .await);
    let now = bench.store.now().await.unwrap();
    let first = bench.take(take(ann, 60)).await.unwrap().unwrap();
    assert_eq!(first, bench.task(made[2]).await, "what is told is what is written");
    assert_eq!((first.life.attempt, first.life.assignee), (Attempt(1), ann.user()));
    assert_eq!(first.life.holder(), Some(&Holder::Worker("tester".parse().unwrap())));
    let lease = first.life.lease().unwrap();
    assert_eq!(lease.span, Some(Duration::from_secs(60)));
    assert!(lease.until >= now.after(Duration::from_secs(60)));

    let manual_only = Wanted::Kinds(vec!["manual".parse().unwrap()]);
    let mut order = Vec::new();
    while let Some(task) = bench.take(Take { wanted: manual_only.clone(), ..take(ann, 60) }).await.unwrap() {
        order.push(task.life.id);
    }
    assert_eq!(order, [made[4], made[1], made[3]]);
    assert_eq!(bench.take(take(ANYBODY, 60)).await, Ok(None), "what is left is bob's");
    assert_eq!(bench.take(take(bob, 60)).await.unwrap().unwrap().life.id, made[0]);
    assert_eq!(bench.story(made[0]).await, ["created", "started"]);
    assert_eq!(ids(&bench.claim(9).await), [made[5]], "and the daemon does its own");
}

async fn twenty_takers_get_each_of_two_hundred_tasks_once(bench: Bench) {
    let ann = Caller::User(bench.user("ann@example.com").await);
    let owned = NewTask { owner: ann.user(), ..manual() };
    let tasks = (0..200).map(|n| urgent(n % 3, if n % 2 == 0 { owned.clone() } else { manual() })).collect();
    let made: HashSet<TaskId> = ids(&bench.create(tasks).await).into_iter().collect();
    let other = if bench.is_postgres() { bench.another().await } else { bench.store.clone() };
    let mut takers = tokio::task::JoinSet::new();
    for taker in 0..20 {
        let store = if taker % 2 == 0 { bench.store.clone() } else { other.clone() };
        takers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let mut committed = store.commit(&[Command::Take(take(ann, 60))]).await.unwrap();
                match committed.replies.remove(0).unwrap() {
                    Reply::Taken(Ok(Taken::Task(task))) => mine.push(task.life.id),
                    Reply::Taken(Ok(Taken::Nothing)) => return mine,
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    let mut taken: Vec<TaskId> = takers.join_all().await.into_iter().flatten().collect();
    while let Some(task) = bench.take(take(ann, 60)).await.unwrap() {
        taken.push(task.life.id);
    }
    assert_eq!(taken.len(), made.len(), "none twice");
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), made, "and none forgotten");
}

async fn what_is_for_later_is_taken_once_its_time_has_come(bench: Bench) {
    let soon = bench.store.now().await.unwrap().after(Duration::from_secs(60));
    let id = bench.create(vec![NewTask { run_at: Some(soon), ..manual() }]).await[0].life.id;
    bench.promote().await;
    assert_eq!(bench.take(take(ANYBODY, 60)).await, Ok(None));
    let early = bench.take_id(id, ANYBODY).await;
    assert!(matches!(early, Err(Refused::Illegal(IllegalTransition::TooEarly { .. }))), "{early:?}");
    bench.advance(61);
    bench.promote().await;
    assert_eq!(bench.take(take(ANYBODY, 60)).await.unwrap().unwrap().life.id, id);
}

async fn a_suspect_is_taken_like_any_other_and_the_third_loss_is_poison(bench: Bench) {
    let id = bench.create(vec![manual()]).await[0].life.id;
    for crashes in 1..=3 {
        let task = bench.take(take(ANYBODY, 5)).await.unwrap().expect("free for whoever comes");
        assert_eq!(task.life.attempt, Attempt(crashes));
        assert_eq!(bench.rescue().await, Rescued::default(), "its lease holds");
        bench.advance(6);
        assert_eq!(bench.rescue().await.tasks, 1);
        let life = bench.task(id).await.life;
        assert_eq!((life.crashes, life.failures, life.lease()), (crashes, 0, None));
    }
    let life = bench.task(id).await.life;
    assert_eq!((life.status(), life.error.unwrap().reason), (Status::Failed, FailureReason::Poison));
    let told = ["created", "started", "retrying", "started", "retrying", "started", "failed"];
    assert_eq!(bench.story(id).await, told);
    let events = bench.store.events_of(id, EventSeq(0), 100).await.unwrap();
    assert_eq!(bench.store.newest_events_of(id, 2).await.unwrap(), events[5..], "the newest, in their order");
    let Fact::Retrying { cause, .. } = &events[2].1.fact else { panic!("{events:?}") };
    assert_eq!(*cause, RetryCause::WorkerLost);
    let holder = Holder::Worker("tester".parse().unwrap());
    assert_eq!(events[1].1.fact, Fact::Started { holder, assignee: None });
}

async fn a_take_by_number_obeys_the_owner_the_kind_and_the_status(bench: Bench) {
    let ann = Caller::User(bench.user("ann@example.com").await);
    let bob = Caller::User(bench.user("bob@example.com").await);
    let made =
        ids(&bench.create(vec![NewTask { owner: ann.user(), ..manual() }, new_task(), manual()]).await);
    for stranger in [bob, ANYBODY] {
        assert_eq!(bench.take_id(made[0], stranger).await, Err(Refused::NotFound(made[0])));
    }
    assert_eq!(
        bench.take_id(made[1], ann).await,
        Err(Refused::NotOutside { task: made[1], kind: kind() }),
        "the daemon's own work"
    );
    assert_eq!(bench.take_id(TaskId(77_777), ann).await, Err(Refused::NotFound(TaskId(77_777))));
    assert_eq!(bench.take_id(made[0], ann).await.unwrap().life.assignee, ann.user());
    assert_eq!(bench.take_id(made[2], bob).await.unwrap().life.assignee, bob.user());
    let again = bench.take_id(made[2], ann).await;
    assert!(matches!(again, Err(Refused::Illegal(IllegalTransition::Forbidden { .. }))), "{again:?}");
    assert_eq!(bench.take(take(ann, 60)).await, Ok(None), "what was taken by number is not free");
}

async fn a_take_and_a_cancel_that_race_leave_one_story(bench: Bench) {
    let other = if bench.is_postgres() { bench.another().await } else { bench.store.clone() };
    for round in 0..50 {
        let id = bench.create(vec![manual()]).await[0].life.id;
        let wanted = if round % 2 == 0 { Wanted::Id(id) } else { take(ANYBODY, 60).wanted };
        let take = [Command::Take(Take { wanted, ..take(ANYBODY, 60) })];
        let cancel = [Command::Cancel { task: id, caller: ANYBODY }];
        let (taken, cancelled) = tokio::join!(bench.store.commit(&take), other.commit(&cancel));
        let taken = matches!(taken.unwrap().replies.remove(0), Ok(Reply::Taken(Ok(Taken::Task(_)))));
        let cancelled = cancelled.unwrap().replies.remove(0).unwrap();
        assert!(matches!(cancelled, Reply::Changed(Ok(_))), "{cancelled:?}");
        let expected: &[&str] =
            if taken { &["created", "started", "cancelled"] } else { &["created", "cancelled"] };
        assert_eq!(bench.story(id).await, expected);
        assert_eq!(bench.task(id).await.life.status(), Status::Cancelled);
    }
}

async fn words_of_an_attempt_that_is_over_write_nothing(bench: Bench) {
    let made = ids(&bench.create(vec![manual(); 3]).await);
    let [lost, cancelled, retaken] = made[..] else { panic!("{made:?}") };
    for id in [lost, retaken] {
        let five = Some(Duration::from_secs(5));
        let take = Take { wanted: Wanted::Id(id), lease: five, ..take(ANYBODY, 0) };
        bench.take(take).await.unwrap().unwrap();
    }
    bench.take_id(cancelled, ANYBODY).await.unwrap();
    bench.change(Command::Cancel { task: cancelled, caller: ANYBODY }).await.unwrap();
    bench.advance(6);
    assert_eq!(bench.rescue().await.tasks, 2);
    bench.take_id(retaken, ANYBODY).await.unwrap();
    for id in [lost, cancelled, retaken] {
        let before = (bench.task(id).await, bench.story(id).await);
        for word in words() {
            stale(bench.say(id, 1, ANYBODY, word.clone()).await);
            stale(bench.say(id, 9, ANYBODY, word).await);
        }
        assert_eq!((bench.task(id).await, bench.story(id).await), before);
    }
    bench.say(retaken, 2, ANYBODY, Word::Complete(Json::null())).await.unwrap();
}

async fn what_a_node_or_somebody_else_holds_is_not_spoken_for(bench: Bench) {
    let ann = Caller::User(bench.user("ann@example.com").await);
    let bob = Caller::User(bench.user("bob@example.com").await);
    let made =
        ids(&bench.create(vec![new_task(), manual(), NewTask { owner: ann.user(), ..manual() }]).await);
    let [of_node, of_ann, hers] = made[..] else { panic!("{made:?}") };
    bench.claim(1).await;
    bench.take_id(of_ann, ann).await.unwrap();
    bench.take_id(hers, ann).await.unwrap();
    for word in words() {
        assert_eq!(bench.say(of_node, 1, ANYBODY, word.clone()).await, Err(Refused::NotHeld(of_node)));
        for other in [bob, ANYBODY] {
            assert_eq!(bench.say(of_ann, 1, other, word.clone()).await, Err(Refused::NotHeld(of_ann)));
            assert_eq!(bench.say(hers, 1, other, word.clone()).await, Err(Refused::NotFound(hers)));
        }
        assert_eq!(bench.say(TaskId(5_555), 1, ann, word).await, Err(Refused::NotFound(TaskId(5_555))));
    }
    bench.say(hers, None, ann, Word::Release).await.unwrap();
    bench.settle(of_node, Attempt(1), done()).await.unwrap();
}

async fn words_write_what_they_say(bench: Bench) {
    let made = ids(&bench.create(vec![manual(); 3]).await);
    for id in &made {
        bench.take_id(*id, ANYBODY).await.unwrap();
    }
    let on = bench.say(made[0], 1, ANYBODY, Word::Progress(Percent::new(40))).await.unwrap();
    assert_eq!(on.life.progress, Some(Percent::new(40)));
    let answer = Json::trusted("{\"width\":7}");
    let done = bench.say(made[0], 1, ANYBODY, Word::Complete(answer)).await.unwrap();
    assert_eq!(done, bench.task(made[0]).await);
    assert_eq!(done.life.status(), Status::Completed);
    let failure = Failure::new(FailureReason::Error, "no luck");
    let waits = bench.say(made[1], 1, ANYBODY, Word::Fail(failure.clone())).await.unwrap();
    assert_eq!((waits.life.status(), waits.life.failures, waits.life.error), (Status::New, 1, Some(failure)));
    let given_back = bench.say(made[2], 1, ANYBODY, Word::Release).await.unwrap();
    assert_eq!((given_back.life.status(), given_back.life.failures), (Status::New, 0));
    assert_eq!(bench.take(take(ANYBODY, 60)).await.unwrap().unwrap().life.id, made[2], "free at once");
    assert_eq!(bench.take(take(ANYBODY, 60)).await, Ok(None), "what failed waits");
    assert_eq!(bench.story(made[0]).await, ["created", "started", "progress", "completed"]);
}

async fn a_sign_of_life_prolongs_the_lease_but_not_past_the_time_limit(bench: Bench) {
    let limited = NewTask { timeout: Some(Duration::from_secs(30)), ..manual() };
    let id = bench.create(vec![limited]).await[0].life.id;
    let started = bench.take(take(ANYBODY, 10)).await.unwrap().unwrap().life.started_at.unwrap();
    bench.advance(8);
    let events = bench.story(id).await;
    bench.say(id, 1, ANYBODY, Word::Heartbeat(None)).await.unwrap();
    assert_eq!(bench.story(id).await, events, "nobody is told of a sign of life");
    bench.advance(8);
    assert_eq!(bench.rescue().await.tasks, 0, "prolonged by its first length");
    bench.say(id, 1, ANYBODY, Word::Progress(Percent::new(3))).await.unwrap();
    bench.advance(8);
    assert_eq!(bench.rescue().await.tasks, 0, "progress is a sign of life");
    let hundred = Some(Duration::from_secs(100));
    let task = bench.say(id, 1, ANYBODY, Word::Heartbeat(hundred)).await.unwrap();
    let lease = task.life.lease().unwrap();
    assert_eq!((lease.span, lease.until), (hundred, started.after(Duration::from_secs(30))));
    assert_eq!(bench.task(id).await, task);
    bench.advance(7);
    assert_eq!(bench.rescue().await.tasks, 1);
    let life = bench.task(id).await.life;
    assert_eq!((life.status(), life.failures, life.crashes), (Status::New, 1, 0), "a failed try");
    assert_eq!(life.error.unwrap().reason, FailureReason::Timeout);
}

async fn a_person_who_falls_silent_is_not_blamed_and_one_without_a_lease_keeps_the_task(bench: Bench) {
    let made = ids(&bench.create(vec![manual(), manual()]).await);
    let person = |id, lease_s: Option<u64>| Take {
        wanted: Wanted::Id(id),
        holder: Holder::Person,
        lease: lease_s.map(Duration::from_secs),
        ..take(ANYBODY, 0)
    };
    bench.take(person(made[0], Some(60))).await.unwrap().unwrap();
    let kept = bench.take(person(made[1], None)).await.unwrap().unwrap();
    assert_eq!((kept.life.lease(), kept.life.holder()), (None, Some(&Holder::Person)));
    bench.advance(1_000_000);
    assert_eq!(bench.rescue().await, Rescued { tasks: 1, more: false });
    let life = bench.task(made[0]).await.life;
    assert_eq!((life.status(), life.crashes, life.failures), (Status::New, 0, 0));
    assert_eq!(bench.task(made[1]).await, kept);
}

async fn a_task_that_comes_too_late_is_ended_by_whoever_finds_it_first(bench: Bench) {
    let late = |task: NewTask| NewTask { expires_in: Some(Duration::from_secs(5)), ..task };
    let later = Some(bench.store.now().await.unwrap().after(Duration::from_secs(60)));
    let made = ids(&bench
        .create(vec![
            late(new_task()),
            late(manual()),
            NewTask { run_at: later, ..late(manual()) },
            late(manual()),
            late(new_task()),
        ])
        .await);
    let [first, taken, parked, by_number, second] = made[..] else { panic!("{made:?}") };
    let written = bench.task(first).await;
    assert_eq!(written.expires_at, Some(written.created_at.after(Duration::from_secs(5))));
    assert_eq!(ids(&bench.claim(9).await), [first, second], "in time");
    for task in [first, second] {
        bench.settle(task, Attempt(1), Outcome::Interrupted).await.unwrap();
    }
    bench.advance(6);
    assert_eq!(bench.claim(9).await.len(), 2, "what was started in time is not late any more");
    let fresh = bench.create(vec![late(new_task())]).await[0].life.id;
    bench.advance(6);
    let node = NodeId::fresh();
    bench.register(node, "later", None).await;
    let (claims, reply) = (claim(node, 9), bench.one(Command::Take(take(ANYBODY, 60))).await);
    assert!(matches!(reply, Reply::Taken(Ok(Taken::Expired))), "{reply:?}");
    let refused = bench.take_id(by_number, ANYBODY).await;
    assert!(matches!(refused, Err(Refused::Illegal(IllegalTransition::Forbidden { .. }))), "{refused:?}");
    let Reply::Claimed(none) = bench.one(Command::Claim(claims)).await else { panic!() };
    assert!(none.tasks.is_empty());
    assert_eq!(bench.rescue().await.tasks, 3, "the parked one, and two whose node is gone");
    for id in [taken, parked, by_number, fresh] {
        let life = bench.task(id).await.life;
        assert_eq!(life.status(), Status::Failed, "{life:?}");
        assert_eq!(life.error.unwrap().reason, FailureReason::Expired);
        assert_eq!(bench.story(id).await, ["created", "failed"]);
    }
    bench.change(Command::Retry { task: fresh, caller: ANYBODY }).await.unwrap();
    bench.rescue().await;
    let claim = Claim { want: vec![(kind(), 9)], ..claim(node, 9) };
    let Reply::Claimed(again) = bench.one(Command::Claim(claim)).await else { panic!() };
    assert!(ids(&again.tasks).contains(&fresh), "who asks for it all the same gets it");
}

async fn what_is_free_can_be_asked(bench: Bench) {
    let ann = Caller::User(bench.user("ann@example.com").await);
    let kinds = ["manual".parse().unwrap()];
    let free = async |caller| bench.store.any_free(&kinds, caller).await.unwrap();
    assert!(!free(ann).await);
    let hers = bench.create(vec![NewTask { owner: ann.user(), ..manual() }]).await[0].life.id;
    assert_eq!((free(ann).await, free(ANYBODY).await), (true, false));
    let anybodys = bench.create(vec![manual()]).await[0].life.id;
    assert!(free(ANYBODY).await);
    let old = async |seconds| bench.store.free_for(&kinds[0], Duration::from_secs(seconds), 9).await.unwrap();
    assert_eq!(old(5).await, []);
    bench.advance(6);
    assert_eq!(old(5).await, [hers, anybodys]);
    assert_eq!(bench.store.free_for(&kinds[0], Duration::ZERO, 1).await.unwrap(), [hers]);
    bench.take_id(hers, ann).await.unwrap();
    assert_eq!(old(5).await, [anybodys]);
}

async fn kinds_that_change_hands_are_sorted_anew(bench: Bench) {
    // Made while the daemon did them, one of them under suspicion.
    let made = ids(&bench.create(vec![manual(); 2]).await);
    for _ in 0..2 {
        let five = Some(Duration::from_secs(5));
        bench.take(Take { wanted: Wanted::Id(made[0]), lease: five, ..take(ANYBODY, 0) }).await.unwrap();
        bench.advance(6);
        assert_eq!(bench.rescue().await.tasks, 1);
    }
    let bench = bench.reopened(&[]).await;
    let claim =
        |suspect| Claim { want: vec![("manual".parse().unwrap(), 9)], suspect, ..claim(bench.node, 9) };
    let Reply::Claimed(claimed) = bench.one(Command::Claim(claim(false))).await else { panic!() };
    assert_eq!(ids(&claimed.tasks), [made[1]], "the daemon's now");
    bench.settle(made[1], Attempt(1), Outcome::Interrupted).await.unwrap();
    let bench = bench.reopened(&["manual"]).await;
    let taken = [bench.take(take(ANYBODY, 60)).await, bench.take(take(ANYBODY, 60)).await];
    let taken: Vec<TaskId> = taken.into_iter().map(|task| task.unwrap().unwrap().life.id).collect();
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), made.into_iter().collect());
}
