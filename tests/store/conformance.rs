//! What both adapters promise.

use std::collections::HashSet;
use std::time::Duration;

use gristmill::account::{Caller, NewUser, Token};
use gristmill::store::{
    Claim, Command, NewRecording, NewTask, Order, Page, Recording, Refused, Registration, Reply, Rescued,
    Settled, TaskFilter,
};
use gristmill::task::{
    Attachment, Attempt, BlobName, EventName, EventSeq, FailureReason, IllegalTransition, Json, NodeId,
    Outcome, Percent, Priority, RecordingId, Role, Status, Task, TaskId, UserId,
};

use crate::bench::{Bench, backoff, claim, done, failed, ids, kind, new_task, new_user, page, urgent};
use crate::common::eventually;

on_both!(
    a_created_task_reads_back_as_it_was_given,
    numbers_rise_and_are_never_used_twice,
    claims_take_the_most_urgent_first_and_no_more_than_wanted,
    a_claim_may_take_what_its_own_group_created,
    two_thousand_racing_claims_give_each_task_to_one,
    a_task_for_later_is_not_claimed_before_its_time,
    an_outcome_counts_once_and_only_from_the_current_attempt,
    a_failed_try_waits_and_the_last_one_ends_the_task,
    a_dead_nodes_tasks_are_freed_and_the_third_time_they_are_poison,
    a_spared_nodes_tasks_are_freed_without_blame,
    a_node_does_not_judge_its_own_tasks,
    a_lease_that_ran_out_cannot_be_renewed_and_claims_nothing,
    a_process_that_died_is_known_before_its_lease_runs_out,
    a_newcomer_in_the_seat_ends_the_lease_of_whoever_had_it,
    a_suspect_waits_apart_from_all_others,
    cancel_retry_and_delete_obey_the_status_and_the_owner,
    an_illegal_command_leaves_its_neighbours_alone,
    a_refused_user_leaves_its_neighbours_alone,
    lists_filter_and_page_by_key,
    a_recording_lives_with_its_task_and_so_do_its_blobs,
    every_change_has_its_event_in_one_order,
    what_a_node_holds_and_what_is_ready_can_be_asked,
);

async fn a_created_task_reads_back_as_it_was_given(bench: Bench) {
    let now = bench.store.now().await.unwrap();
    let given = NewTask {
        owner: None,
        priority: Priority::new(-7).unwrap(),
        payload: Json::trusted("{\"text\":\"жёлтый \\\"quoted\\\" \\u0000\",\"n\":1e3}"),
        tags: vec!["a".into(), "b, \"c\"".into(), "a".into()],
        max_attempts: 5,
        timeout: Some(Duration::from_millis(1500)),
        run_at: Some(now.after(Duration::from_secs(60))),
        ..new_task()
    };
    let created = bench.create(vec![given.clone()]).await.remove(0);
    assert_eq!(bench.task(created.life.id).await, created);
    assert_eq!(created.payload, given.payload);
    assert_eq!(created.tags, given.tags);
    assert_eq!(created.timeout, given.timeout);
    assert_eq!((created.life.priority, created.life.max_attempts), (given.priority, 5));
    assert_eq!(created.life.run_at(), given.run_at);
    assert_eq!(bench.store.task(TaskId(999_999)).await.unwrap(), None);
}

async fn numbers_rise_and_are_never_used_twice(bench: Bench) {
    let first = ids(&bench.create(vec![new_task(); 3]).await);
    assert!(first.is_sorted());
    let last = first[2];
    bench.change(Command::Delete { task: last, caller: Caller::Anonymous }).await.unwrap();
    let next = ids(&bench.create(vec![new_task()]).await);
    assert!(next[0] > last, "{next:?} after {last} was deleted");
}

async fn claims_take_the_most_urgent_first_and_no_more_than_wanted(bench: Bench) {
    let created = ids(&bench.create(vec![urgent(0), urgent(5), urgent(-5), urgent(5), urgent(0)]).await);
    let claimed = bench.claim_as(bench.node, 3).await;
    assert_eq!(ids(&claimed.tasks), [created[1], created[3], created[0]]);
    assert_eq!(claimed.more, [kind()], "more are ready");
    let rest = bench.claim_as(bench.node, 9).await;
    assert_eq!(ids(&rest.tasks), [created[4], created[2]]);
    assert!(rest.more.is_empty() && bench.claim(9).await.is_empty());
    for task in claimed.tasks.iter().chain(&rest.tasks) {
        assert_eq!(bench.task(task.life.id).await, *task);
        assert_eq!((task.life.attempt, task.life.holder()), (Attempt(1), Some(&bench.node.into())));
    }
}

async fn a_claim_may_take_what_its_own_group_created(bench: Bench) {
    let waiting = ids(&bench.create(vec![urgent(1)]).await);
    let later = bench.store.now().await.unwrap().after(Duration::from_secs(60));
    let fresh = vec![urgent(0), urgent(9), NewTask { run_at: Some(later), ..urgent(50) }, urgent(0)];
    let committed =
        bench.store.commit(&[Command::Create(fresh), Command::Claim(claim(bench.node, 3))]).await.unwrap();
    let mut replies = committed.replies.into_iter().map(Result::unwrap);
    let (Some(Reply::Created(created)), Some(Reply::Claimed(claimed))) = (replies.next(), replies.next())
    else {
        panic!("a reply is missing or out of order");
    };
    let created: Vec<TaskId> = created.iter().map(|accepted| accepted.task.life.id).collect();
    assert_eq!(ids(&claimed.tasks), [waiting[0], created[1], created[0]], "what waited longer goes first");
    assert_eq!(claimed.more, [kind()]);
    assert_eq!(ids(&bench.claim(9).await), [created[3]], "what is for later stays");
    assert_eq!(bench.story(created[1]).await, ["created", "started"]);
}

async fn two_thousand_racing_claims_give_each_task_to_one(bench: Bench) {
    const TASKS: usize = 2_000;
    let created: HashSet<TaskId> = ids(&bench.create(vec![new_task(); TASKS]).await).into_iter().collect();
    let mut racers = tokio::task::JoinSet::new();
    // However slow the machine is.
    let node = NodeId::fresh();
    let lease = Duration::from_secs(3600);
    let (seat, name) = ("racers".to_owned(), "test".to_owned());
    bench.store.register(&Registration { node, seat, name, lease, predecessor: None }).await.unwrap();
    for _ in 0..TASKS {
        let store = bench.store.clone();
        racers.spawn(async move {
            let mut committed = store.commit(&[Command::Claim(claim(node, 1))]).await.unwrap();
            match committed.replies.remove(0).unwrap() {
                Reply::Claimed(claimed) => ids(&claimed.tasks),
                other => panic!("{other:?}"),
            }
        });
    }
    let claimed: Vec<TaskId> = racers.join_all().await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), TASKS);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), created);
}

async fn a_task_for_later_is_not_claimed_before_its_time(bench: Bench) {
    let soon = bench.store.now().await.unwrap().after(Duration::from_secs(60));
    let created = bench.create(vec![NewTask { run_at: Some(soon), ..new_task() }]).await;
    let claimed = bench.claim_as(bench.node, 9).await;
    assert!(claimed.tasks.is_empty());
    assert_eq!(claimed.next_due, Some(soon), "the dispatcher learns when to look again");
    bench.test.clock.advance(Duration::from_secs(61));
    let node = NodeId::fresh();
    bench.register(node, "third", None).await;
    assert_eq!(ids(&bench.claim_as(node, 9).await.tasks), ids(&created));
}

async fn an_outcome_counts_once_and_only_from_the_current_attempt(bench: Bench) {
    let id = bench.create(vec![new_task()]).await[0].life.id;
    let stale = |refused: Result<Settled, Refused>| {
        assert!(
            matches!(refused, Err(Refused::Illegal(IllegalTransition::Stale { .. }))),
            "{refused:?} should be stale"
        );
    };
    stale(bench.settle(id, Attempt(0), done()).await);
    bench.claim(1).await;
    stale(bench.settle(id, Attempt(2), done()).await);
    match bench.one(Command::Progress { task: id, attempt: Attempt(1), percent: Percent::new(40) }).await {
        Reply::Settled(settled) => assert_eq!(settled.unwrap().status, Status::InProgress),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.task(id).await.life.progress, Some(Percent::new(40)));
    let settled = bench.settle(id, Attempt(1), done()).await.unwrap();
    assert_eq!(settled, Settled { status: Status::Completed, run_at: None });
    stale(bench.settle(id, Attempt(1), done()).await);
    stale(bench.settle(id, Attempt(1), failed()).await);
    assert_eq!(
        bench.settle(TaskId(424_242), Attempt(1), done()).await,
        Err(Refused::NotFound(TaskId(424_242)))
    );
    assert_eq!(bench.story(id).await, ["created", "started", "progress", "completed"]);
    assert!(bench.claim(9).await.is_empty(), "a completed task never runs again");
}

async fn a_failed_try_waits_and_the_last_one_ends_the_task(bench: Bench) {
    let id = bench.create(vec![NewTask { max_attempts: 2, ..new_task() }]).await[0].life.id;
    bench.claim(1).await;
    let settled = bench.settle(id, Attempt(1), failed()).await.unwrap();
    assert_eq!(settled.status, Status::New);
    assert!(settled.run_at.unwrap() > bench.store.now().await.unwrap().after(Duration::from_secs(40)));
    assert!(bench.claim(9).await.is_empty(), "not before its time");
    let waiting = bench.task(id).await.life;
    assert_eq!((waiting.failures, waiting.error.unwrap().message.as_str()), (1, "it broke"));

    bench.test.clock.advance(Duration::from_secs(101));
    let node = NodeId::fresh();
    bench.register(node, "later", None).await;
    assert_eq!(bench.claim_as(node, 9).await.tasks.len(), 1);
    let settled = bench.settle(id, Attempt(2), failed()).await.unwrap();
    assert_eq!(settled, Settled { status: Status::Failed, run_at: None });
    assert_eq!(bench.story(id).await, ["created", "started", "retrying", "started", "failed"]);
}

async fn a_dead_nodes_tasks_are_freed_and_the_third_time_they_are_poison(bench: Bench) {
    let id = bench.create(vec![new_task()]).await[0].life.id;
    assert_eq!(bench.claim(1).await.len(), 1);
    assert_eq!(bench.rescue().await, Rescued::default(), "its holder lives");
    for crashes in 1..=3 {
        let node = NodeId::fresh();
        // The daemon was killed and started again: the same seat, a new incarnation.
        bench.register(node, "seat", None).await;
        assert_eq!(bench.rescue().await, Rescued { tasks: 1, more: false });
        let life = bench.task(id).await.life;
        assert_eq!((life.crashes, life.failures), (crashes, 0), "a crash costs no try");
        if crashes < 3 {
            assert_eq!(life.status(), Status::New);
            let claim = Claim { suspect: life.is_suspect(), ..claim(node, 1) };
            let Reply::Claimed(claimed) = bench.one(Command::Claim(claim)).await else { panic!() };
            assert_eq!(claimed.tasks.len(), 1, "after crash {crashes}");
        } else {
            assert_eq!(life.status(), Status::Failed);
            assert_eq!(life.error.unwrap().reason, FailureReason::Poison);
        }
    }
}

async fn a_spared_nodes_tasks_are_freed_without_blame(bench: Bench) {
    let id = bench.create(vec![new_task()]).await[0].life.id;
    bench.claim(1).await;
    let again = NodeId::fresh();
    // It lost its lease, knows it, and registers anew: the same, living process.
    bench.register(again, "seat", Some(bench.node)).await;
    assert_eq!(bench.rescue().await.tasks, 1);
    assert_eq!(bench.task(id).await.life.crashes, 0);
    bench.claim_as(again, 1).await;
    bench.store.retire(again).await.unwrap();
    assert_eq!(bench.rescue().await.tasks, 1, "a drain's leftovers are freed at once");
    let life = bench.task(id).await.life;
    assert_eq!((life.crashes, life.attempt, life.status()), (0, Attempt(2), Status::New));
}

async fn a_node_does_not_judge_its_own_tasks(bench: Bench) {
    let id = bench.create(vec![new_task()]).await[0].life.id;
    bench.claim(1).await;
    // The process was frozen, or its machine slept: its lease ran out, and it is its own janitor that wakes first.
    bench.test.clock.advance(Duration::from_secs(11));
    let own = Command::Rescue { limit: 100, except: Some(bench.node), backoff: backoff() };
    assert!(matches!(bench.one(own).await, Reply::Rescued(Rescued { tasks: 0, .. })));
    assert_eq!(bench.task(id).await.life.status(), Status::InProgress);
    assert_eq!(bench.rescue().await.tasks, 1, "others may");
}

async fn a_lease_that_ran_out_cannot_be_renewed_and_claims_nothing(bench: Bench) {
    let lease = Duration::from_secs(10);
    bench.create(vec![new_task()]).await;
    bench.test.clock.advance(Duration::from_secs(9));
    assert!(bench.store.renew(bench.node, lease).await.unwrap());
    bench.test.clock.advance(Duration::from_secs(9));
    assert!(bench.store.renew(bench.node, lease).await.unwrap());
    let held = bench.claim(1).await;
    assert_eq!(held.len(), 1);
    bench.create(vec![new_task()]).await;
    bench.test.clock.advance(Duration::from_secs(11));
    assert!(!bench.store.renew(bench.node, lease).await.unwrap());
    assert!(bench.claim(9).await.is_empty(), "no lease, no claim");
    assert_eq!(bench.rescue().await.tasks, 1);
    assert!(!bench.store.renew(bench.node, lease).await.unwrap(), "and it stays lost");
    let zombie = bench.settle(held[0].life.id, Attempt(1), done()).await;
    assert!(matches!(zombie, Err(Refused::Illegal(IllegalTransition::Stale { .. }))), "{zombie:?}");
}

async fn a_process_that_died_is_known_before_its_lease_runs_out(bench: Bench) {
    let id = bench.create(vec![new_task()]).await[0].life.id;
    let (other, node) = (bench.another_if_there_can_be().await, NodeId::fresh());
    let registration = Registration {
        node,
        seat: "other seat".into(),
        name: "test".into(),
        lease: Duration::from_secs(10),
        predecessor: None,
    };
    let Some(other) = other else { return };
    // It may die before its first sign of life.
    other.register(&registration).await.unwrap();
    assert_eq!(bench.claim_as(node, 1).await.tasks.len(), 1);
    for _ in 0..3 {
        bench.advance(2);
        assert_eq!(bench.rescue().await.tasks, 0, "it is there, though it says nothing");
    }
    // Its connections end with it.
    other.close().await;
    eventually("the node to be missed", async || {
        bench.rescue().await;
        bench.advance(1);
        // Within the lease, of which four seconds are left, and the tenths that this takes.
        (bench.task(id).await.life.status() == Status::New).then_some(())
    })
    .await;
    assert_eq!(bench.task(id).await.life.crashes, 1);
    assert!(!bench.store.renew(node, Duration::from_secs(10)).await.unwrap(), "and it stays over");
}

async fn a_newcomer_in_the_seat_ends_the_lease_of_whoever_had_it(bench: Bench) {
    let lease = Duration::from_secs(10);
    let newcomer = NodeId::fresh();
    bench.register(newcomer, "seat", None).await;
    assert!(!bench.store.renew(bench.node, lease).await.unwrap());
    assert!(bench.store.renew(newcomer, lease).await.unwrap());
}

async fn a_suspect_waits_apart_from_all_others(bench: Bench) {
    let suspect = bench.create(vec![new_task()]).await[0].life.id;
    let mut node = bench.node;
    for _ in 0..2 {
        assert_eq!(bench.claim_as(node, 1).await.tasks.len(), 1);
        node = NodeId::fresh();
        bench.register(node, "seat", None).await;
        bench.rescue().await;
    }
    let innocent = bench.create(vec![new_task()]).await[0].life.id;
    let claimed = bench.claim_as(node, 9).await;
    assert_eq!(ids(&claimed.tasks), [innocent]);
    assert!(claimed.suspect_waits);
    let alone = Claim { suspect: true, ..claim(node, 9) };
    let Reply::Claimed(claimed) = bench.one(Command::Claim(alone)).await else { panic!() };
    assert_eq!(ids(&claimed.tasks), [suspect]);
}

async fn cancel_retry_and_delete_obey_the_status_and_the_owner(bench: Bench) {
    let ann = Caller::User(bench.user("ann@example.com").await);
    let bob = Caller::User(bench.user("bob@example.com").await);
    let id = bench.create(vec![NewTask { owner: ann.user(), ..new_task() }]).await[0].life.id;
    for stranger in [bob, Caller::Anonymous] {
        let task = id;
        for command in [
            Command::Cancel { task, caller: stranger },
            Command::Retry { task, caller: stranger },
            Command::Delete { task, caller: stranger },
        ] {
            assert_eq!(bench.change(command).await, Err(Refused::NotFound(id)));
        }
    }
    let forbidden = |refused: Result<Task, Refused>| {
        assert!(
            matches!(refused, Err(Refused::Illegal(IllegalTransition::Forbidden { .. }))),
            "{refused:?} should be forbidden"
        );
    };
    forbidden(bench.change(Command::Retry { task: id, caller: ann }).await);
    let cancelled = bench.change(Command::Cancel { task: id, caller: ann }).await.unwrap();
    assert_eq!(cancelled.life.status(), Status::Cancelled);
    assert!(bench.claim(9).await.is_empty());
    forbidden(bench.change(Command::Cancel { task: id, caller: ann }).await);
    let retried = bench.change(Command::Retry { task: id, caller: ann }).await.unwrap();
    assert_eq!(retried.life.status(), Status::New);
    bench.claim(1).await;
    bench.change(Command::Delete { task: id, caller: ann }).await.unwrap();
    assert_eq!(bench.store.task(id).await.unwrap(), None);
    assert_eq!(bench.settle(id, Attempt(1), done()).await, Err(Refused::NotFound(id)));
    assert_eq!(
        bench.story(id).await,
        ["created", "cancelled", "retrying", "started", "cancelled", "deleted"]
    );
}

async fn an_illegal_command_leaves_its_neighbours_alone(bench: Bench) {
    let id = bench.create(vec![new_task()]).await[0].life.id;
    let settle =
        |attempt| Command::Settle { task: id, attempt, outcome: done(), backoff: backoff(), image: None };
    let commands = [
        settle(Attempt(7)),
        Command::Create(vec![new_task()]),
        Command::Cancel { task: TaskId(31_337), caller: Caller::Anonymous },
        Command::Cancel { task: id, caller: Caller::Anonymous },
        Command::Cancel { task: id, caller: Caller::Anonymous },
    ];
    let committed = bench.store.commit(&commands).await.unwrap();
    let replies: Vec<Reply> = committed.replies.into_iter().map(Result::unwrap).collect();
    assert!(matches!(replies[0], Reply::Settled(Err(_))));
    assert!(matches!(&replies[1], Reply::Created(tasks) if tasks.len() == 1));
    assert!(matches!(replies[2], Reply::Changed(Err(Refused::NotFound(_)))));
    assert!(matches!(replies[3], Reply::Changed(Ok(_))));
    assert!(matches!(replies[4], Reply::Changed(Err(Refused::Illegal(_)))), "the first of them won");
    assert_eq!(bench.task(id).await.life.status(), Status::Cancelled);
}

async fn a_refused_user_leaves_its_neighbours_alone(bench: Bench) {
    bench.user("ann@example.com").await;
    let token = Token::fresh().hash();
    let twin = |email: &str| {
        Command::CreateUser(NewUser::new(None, Some(email.parse().unwrap()), token.clone()).unwrap())
    };
    let commands = [
        Command::Create(vec![new_task()]),
        Command::CreateUser(new_user("ann@example.com")),
        // Two users of one token: only the database can see that, and it refuses the whole group.
        twin("x@example.com"),
        twin("y@example.com"),
        Command::Create(vec![new_task()]),
    ];
    let committed = bench.store.commit(&commands).await.unwrap();
    assert!(matches!(&committed.replies[0], Ok(Reply::Created(_))));
    assert!(matches!(&committed.replies[1], Ok(Reply::UserCreated(None))));
    assert!(matches!(&committed.replies[2], Ok(Reply::UserCreated(Some(_)))));
    assert!(matches!(&committed.replies[3], Err(error) if error.is_unique_violation()));
    assert!(matches!(&committed.replies[4], Ok(Reply::Created(_))));
    let tasks = bench.store.tasks(&TaskFilter::of(Caller::Anonymous), &page(100)).await.unwrap();
    assert_eq!(tasks.len(), 2, "each accepted once");
    let found = bench.store.user_by_token(&token).await.unwrap().unwrap();
    assert_eq!(found.email.unwrap().as_str(), "x@example.com");
}

async fn lists_filter_and_page_by_key(bench: Bench) {
    let ann = Caller::User(bench.user("ann@example.com").await);
    let tagged = NewTask { owner: ann.user(), tags: vec!["red".into()], ..new_task() };
    let other = NewTask { owner: ann.user(), kind: "other".parse().unwrap(), ..new_task() };
    let all = ids(&bench.create(vec![tagged.clone(), other, tagged, new_task()]).await);
    let list = async |filter: TaskFilter, page: Page| ids(&bench.store.tasks(&filter, &page).await.unwrap());
    let hers = TaskFilter::of(ann);
    assert_eq!(list(hers.clone(), page(10)).await, all[..3]);
    assert_eq!(list(TaskFilter::of(Caller::Anonymous), page(10)).await, all[3..]);
    assert_eq!(list(hers.clone(), page(2)).await, all[..2]);
    assert_eq!(list(hers.clone(), Page { after: Some(all[1]), ..page(2) }).await, [all[2]]);
    let newest = Page { order: Order::Descending, ..page(2) };
    assert_eq!(list(hers.clone(), newest).await, [all[2], all[1]]);
    assert_eq!(list(hers.clone(), Page { after: Some(all[1]), ..newest }).await, [all[0]]);
    let with = |change: fn(&mut TaskFilter)| {
        let mut filter = hers.clone();
        change(&mut filter);
        list(filter, page(10))
    };
    assert_eq!(with(|filter| filter.tag = Some("red".into())).await, [all[0], all[2]]);
    assert_eq!(with(|filter| filter.tag = Some("blue".into())).await, []);
    assert_eq!(with(|filter| filter.kind = Some("other".parse().unwrap())).await, [all[1]]);
    assert_eq!(with(|filter| filter.status = Some(Status::New)).await, all[..3]);
    assert_eq!(with(|filter| filter.status = Some(Status::Failed)).await, []);
    let created = bench.task(all[0]).await.created_at;
    let from = TaskFilter { created_from: Some(created), ..hers.clone() };
    assert_eq!(list(from, page(10)).await, all[..3]);
    let before = TaskFilter { created_before: Some(created), ..hers.clone() };
    assert_eq!(list(before, page(10)).await, []);
    bench.change(Command::Delete { task: all[0], caller: ann }).await.unwrap();
    assert_eq!(with(|filter| filter.tag = Some("red".into())).await, [all[2]]);
}

async fn a_recording_lives_with_its_task_and_so_do_its_blobs(bench: Bench) {
    let ann = bench.user("ann@example.com").await;
    let (wav, mp3) = (BlobName::of_digest(&[1; 32]), BlobName::of_digest(&[2; 32]));
    let recording = RecordingId::fresh();
    let input = Attachment { role: Role::Input, blob: wav.clone(), bytes: 10 };
    let output = Attachment { role: Role::Output, blob: mp3.clone(), bytes: 5 };
    let task = NewTask {
        owner: Some(ann),
        attachments: vec![input.clone()],
        recording: Some(NewRecording { id: recording, filename: "talk.wav".into() }),
        ..new_task()
    };
    let id = bench.create(vec![task]).await[0].life.id;
    let kept = bench.store.recording(recording).await.unwrap().unwrap();
    assert_eq!((kept.owner, kept.filename.as_str(), kept.task.life.id), (Some(ann), "talk.wav", id));
    assert_eq!(kept.attachments, [input]);
    let both = [wav.clone(), mp3.clone()];
    assert_eq!(bench.store.unreferenced(&both).await.unwrap(), std::slice::from_ref(&mp3));

    bench.claim(1).await;
    let made = Outcome::Completed { result: Json::null(), output: Some(output.clone()), drop_input: true };
    bench.settle(id, Attempt(1), made).await.unwrap();
    let kept = bench.store.recording(recording).await.unwrap().unwrap();
    assert_eq!(kept.attachments, [output]);
    assert_eq!(bench.store.unreferenced(&both).await.unwrap(), [wav]);
    // Listed as it is found by name, for whose it is and for admins.
    let list = async |caller, before, limit| bench.store.recordings(caller, before, limit).await.unwrap();
    for caller in [Caller::User(ann), Caller::Admin(None)] {
        assert_eq!(list(caller, None, 9).await, std::slice::from_ref(&kept));
        assert_eq!(list(caller, Some(id), 9).await, []);
    }
    for caller in [Caller::Anonymous, Caller::User(UserId(ann.0 + 1))] {
        assert_eq!(list(caller, None, 9).await, []);
    }
    let later = NewTask {
        owner: Some(ann),
        recording: Some(NewRecording { id: RecordingId::fresh(), filename: "b.wav".into() }),
        ..new_task()
    };
    let later = bench.create(vec![later]).await[0].life.id;
    let tasks = |list: Vec<Recording>| list.iter().map(|one| one.task.life.id).collect::<Vec<_>>();
    assert_eq!(tasks(list(Caller::User(ann), None, 9).await), [later, id]);
    assert_eq!(tasks(list(Caller::User(ann), None, 1).await), [later]);
    bench.change(Command::Delete { task: later, caller: Caller::User(ann) }).await.unwrap();

    bench.change(Command::Delete { task: id, caller: Caller::User(ann) }).await.unwrap();
    assert_eq!(bench.store.recording(recording).await.unwrap(), None);
    assert_eq!(bench.store.unreferenced(&both).await.unwrap().len(), 2);
    assert_eq!(bench.store.recording(RecordingId::fresh()).await.unwrap(), None);
}

async fn every_change_has_its_event_in_one_order(bench: Bench) {
    let created = ids(&bench.create(vec![new_task(); 5]).await);
    bench.claim(3).await;
    bench.settle(created[0], Attempt(1), done()).await.unwrap();
    let all = bench.store.events_after(EventSeq(0), 100).await.unwrap();
    let numbers: Vec<EventSeq> = all.iter().map(|(seq, _)| *seq).collect();
    assert!(numbers.is_sorted() && numbers.len() == 9, "{numbers:?}");
    let names: Vec<EventName> = all.iter().map(|(_, event)| event.fact.name()).collect();
    let expected = [&[EventName::Created; 5][..], &[EventName::Started; 3], &[EventName::Completed]].concat();
    assert_eq!(names, expected);
    let tail = bench.store.events_after(numbers[6], 100).await.unwrap();
    assert_eq!(tail, all[7..]);
    assert_eq!(bench.store.events_after(EventSeq(0), 2).await.unwrap(), all[..2]);
}

async fn what_a_node_holds_and_what_is_ready_can_be_asked(bench: Bench) {
    let created = ids(&bench.create(vec![new_task(); 3]).await);
    bench.claim(2).await;
    let mut held = bench.store.held_by(bench.node).await.unwrap();
    held.sort();
    assert_eq!(held, [(created[0], Attempt(1)), (created[1], Attempt(1))]);
    assert_eq!(bench.store.held_by(NodeId::fresh()).await.unwrap(), []);
    let depths = bench.store.depths().await.unwrap();
    assert_eq!(
        depths.iter().map(|depth| (depth.kind.as_str(), depth.ready)).collect::<Vec<_>>(),
        [("noop", 1)]
    );
    bench.store.ping().await.unwrap();
}
