//! What those see who run the daemon: pauses that every node obeys, and numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use gristmill::account::Caller;
use gristmill::store::{
    Claim, Command, ComponentReport, KindLoad, Minute, MinuteCounts, NewTask, NodeReport, Pause,
    PermitsReport, REMEMBERED, Reply, Stretch, Take, Taken, Totals, Wanted, Word, minute_of, start_of,
};
use gristmill::task::{Attempt, Failure, FailureReason, Kind, NodeId, Outcome, TaskId, UserId};

use crate::bench::{Bench, backoff, claim, done, failed, ids, kind, manual, new_task, take, urgent};

on_both!(
    nothing_of_a_paused_kind_is_claimed_and_the_first_goes_first_once_it_goes_on,
    a_pause_is_that_of_whoever_came_first_and_outlives_the_daemon,
    a_pause_in_a_group_holds_back_what_the_same_group_would_start,
    what_is_created_with_the_end_of_a_pause_does_not_overtake_what_waited,
    a_suspect_of_a_paused_kind_keeps_nobody_waiting,
    workers_outside_get_nothing_of_a_paused_kind,
    another_node_obeys_at_once,
    what_waits_runs_and_ended_badly_is_counted,
    a_commit_tells_how_long_tasks_waited_and_ran,
    minutes_of_several_processes_are_one_history_which_is_forgotten_by_and_by,
    nodes_say_how_they_are_and_are_known_for_a_while_when_they_are_gone,
);

const EVE: Caller = Caller::Admin(Some(UserId(7)));

fn set(kind: &Kind, paused: bool) -> Command {
    Command::SetPaused { kind: kind.clone(), paused, caller: EVE }
}

fn resize() -> Kind {
    "resize".parse().unwrap()
}

impl Bench {
    async fn set_paused(&self, kind: &Kind, paused: bool) -> Option<Pause> {
        match self.one(set(kind, paused)).await {
            Reply::PauseSet { kind: of, pause } if of == *kind => pause,
            other => panic!("{other:?}"),
        }
    }
}

async fn nothing_of_a_paused_kind_is_claimed_and_the_first_goes_first_once_it_goes_on(bench: Bench) {
    let running = bench.create(vec![new_task()]).await.remove(0).life.id;
    let attempt = bench.claim(1).await[0].life.attempt;
    bench.set_paused(&kind(), true).await.unwrap();
    let waiting = ids(&bench.create(vec![urgent(0), urgent(5)]).await);
    let claimed = bench.claim_as(bench.node, 9).await;
    assert!(claimed.tasks.is_empty() && claimed.more.is_empty(), "{claimed:?}");
    bench.settle(running, attempt, done()).await.unwrap();
    assert_eq!(bench.story(running).await, ["created", "started", "completed"], "what runs goes on");
    assert_eq!(bench.set_paused(&kind(), false).await, None);
    assert_eq!(ids(&bench.claim(9).await), [waiting[1], waiting[0]]);
}

async fn a_pause_is_that_of_whoever_came_first_and_outlives_the_daemon(bench: Bench) {
    let now = bench.store.now().await.unwrap();
    assert_eq!(bench.set_paused(&kind(), false).await, None, "what is not paused goes on");
    let pause = bench.set_paused(&kind(), true).await.unwrap();
    assert_eq!((&pause.kind, pause.paused_by), (&kind(), Some(UserId(7))));
    assert!(pause.paused_at >= now);
    let again = Command::SetPaused { kind: kind(), paused: true, caller: Caller::Admin(None) };
    let Reply::PauseSet { pause: again, .. } = bench.one(again).await else { panic!("another reply") };
    assert_eq!(again.as_ref(), Some(&pause));
    bench.set_paused(&resize(), true).await.unwrap();
    let bench = bench.reopened(&["manual", "resize"]).await;
    let pauses = bench.store.pauses().await.unwrap();
    assert_eq!(pauses.iter().map(|pause| &pause.kind).collect::<Vec<_>>(), [&kind(), &resize()]);
    assert_eq!(pauses[0], pause);
    let waiting = ids(&bench.create(vec![new_task()]).await);
    assert!(bench.claim(9).await.is_empty());
    bench.set_paused(&kind(), false).await;
    assert_eq!(ids(&bench.claim(9).await), waiting);
    assert_eq!(bench.store.pauses().await.unwrap().len(), 1);
}

async fn a_pause_in_a_group_holds_back_what_the_same_group_would_start(bench: Bench) {
    let waiting = ids(&bench.create(vec![new_task()]).await);
    let free = ids(&bench.create(vec![manual()]).await);
    let replies = bench
        .group(&[
            set(&kind(), true),
            set(&"manual".parse().unwrap(), true),
            Command::Create(vec![new_task()]),
            Command::Take(take(Caller::Anonymous, 60)),
            Command::Claim(claim(bench.node, 9)),
        ])
        .await;
    assert!(matches!(&replies[3], Reply::Taken(Ok(Taken::Nothing))), "{:?}", replies[3]);
    let Reply::Claimed(claimed) = &replies[4] else { panic!("{:?}", replies[4]) };
    assert!(claimed.tasks.is_empty() && claimed.more.is_empty(), "{claimed:?}");
    assert_eq!(bench.story(waiting[0]).await, ["created"]);
    // Nothing was lost: each has its place again.
    bench.group(&[set(&kind(), false), set(&"manual".parse().unwrap(), false)]).await;
    let claimed = ids(&bench.claim(9).await);
    assert_eq!((claimed.len(), claimed[0]), (2, waiting[0]));
    assert_eq!(bench.take(take(Caller::Anonymous, 60)).await.unwrap().unwrap().life.id, free[0]);
}

async fn what_is_created_with_the_end_of_a_pause_does_not_overtake_what_waited(bench: Bench) {
    bench.set_paused(&kind(), true).await;
    let waiting = ids(&bench.create(vec![new_task()]).await);
    let fresh =
        [set(&kind(), false), Command::Create(vec![new_task()]), Command::Claim(claim(bench.node, 1))];
    let replies = bench.group(&fresh).await;
    let Reply::Claimed(claimed) = &replies[2] else { panic!("{:?}", replies[2]) };
    assert!(claimed.tasks.is_empty(), "{claimed:?}");
    assert_eq!(ids(&bench.claim(1).await), waiting);
}

async fn a_suspect_of_a_paused_kind_keeps_nobody_waiting(bench: Bench) {
    let suspect = bench.create(vec![new_task()]).await.remove(0).life.id;
    for _ in 0..2 {
        let node = NodeId::fresh();
        bench.register(node, "dead", None).await;
        let suspects = Claim { suspect: bench.task(suspect).await.life.is_suspect(), ..claim(node, 9) };
        bench.one(Command::Claim(suspects)).await;
        bench.register(NodeId::fresh(), "dead", None).await;
        bench.rescue().await;
    }
    assert!(bench.task(suspect).await.life.is_suspect());
    let node = NodeId::fresh();
    bench.register(node, "living", None).await;
    assert!(bench.claim_as(node, 1).await.suspect_waits);
    bench.set_paused(&kind(), true).await;
    assert!(!bench.claim_as(node, 1).await.suspect_waits);
    let alone = Claim { suspect: true, ..claim(node, 1) };
    let Reply::Claimed(claimed) = bench.one(Command::Claim(alone)).await else { panic!("another reply") };
    assert!(claimed.tasks.is_empty());
}

async fn workers_outside_get_nothing_of_a_paused_kind(bench: Bench) {
    let ann = Caller::Anonymous;
    let small = NewTask { kind: resize(), ..new_task() };
    let made = ids(&bench.create(vec![manual(), small]).await);
    let manual: Kind = "manual".parse().unwrap();
    bench.set_paused(&manual, true).await;
    let kinds = [manual.clone()];
    assert!(!bench.store.any_free(&kinds, ann).await.unwrap());
    assert!(bench.store.any_free(&[manual.clone(), resize()], ann).await.unwrap());
    assert_eq!(bench.store.free_for(&manual, Duration::ZERO, 9).await.unwrap(), []);
    assert_eq!(bench.take(take(ann, 60)).await.unwrap().unwrap().life.id, made[1], "of the other kind");
    assert_eq!(bench.take(take(ann, 60)).await, Ok(None));
    let by_number = Take { wanted: Wanted::Id(made[0]), ..take(ann, 60) };
    assert_eq!(bench.take(by_number).await, Ok(None), "nor by its number");
    bench.set_paused(&manual, false).await;
    assert!(bench.store.any_free(&kinds, ann).await.unwrap());
    assert_eq!(bench.store.free_for(&manual, Duration::ZERO, 9).await.unwrap(), made[..1]);
    assert_eq!(bench.take(take(ann, 60)).await.unwrap().unwrap().life.id, made[0]);
    bench.set_paused(&manual, true).await;
    let said = bench.say(made[0], 1, ann, Word::Release).await;
    assert!(said.is_ok(), "who has one in hand speaks for it: {said:?}");
}

async fn another_node_obeys_at_once(bench: Bench) {
    let Some(other) = bench.another_if_there_can_be().await else { return };
    let node = NodeId::fresh();
    bench.register(node, "other seat", None).await;
    bench.create(vec![new_task(); 2]).await;
    bench.set_paused(&kind(), true).await;
    let claimed = other.commit(&[Command::Claim(claim(node, 9))]).await.unwrap().replies.remove(0).unwrap();
    let Reply::Claimed(claimed) = claimed else { panic!("{claimed:?}") };
    assert!(claimed.tasks.is_empty());
    bench.set_paused(&kind(), false).await;
    let claimed = other.commit(&[Command::Claim(claim(node, 9))]).await.unwrap().replies.remove(0).unwrap();
    let Reply::Claimed(claimed) = claimed else { panic!("{claimed:?}") };
    assert_eq!(claimed.tasks.len(), 2);
}

async fn what_waits_runs_and_ended_badly_is_counted(bench: Bench) {
    assert_eq!(bench.store.loads().await.unwrap(), []);
    let nothing = Totals { failed: 0, created: 0 };
    assert_eq!(bench.store.totals().await.unwrap(), nothing);
    let start = bench.store.now().await.unwrap();
    let later = start.after(Duration::from_secs(60));
    let parked = NewTask { run_at: Some(later), ..new_task() };
    let made = ids(&bench.create(vec![urgent(3), urgent(2), new_task(), new_task(), parked, manual()]).await);
    let claimed = bench.claim(2).await;
    bench.settle(claimed[0].life.id, claimed[0].life.attempt, failed()).await.unwrap();
    let cancel = |task: TaskId| Command::Cancel { task, caller: Caller::Anonymous };
    bench.change(cancel(made[3])).await.unwrap();
    let loads = bench.store.loads().await.unwrap();
    let created_at = bench.task(made[2]).await.created_at;
    let expected = [
        KindLoad { outside: 1, oldest: Some(created_at), ..KindLoad::none("manual".parse().unwrap()) },
        // A try that failed waits for the next.
        KindLoad { open: 1, parked: 2, running: 1, oldest: Some(created_at), ..KindLoad::none(kind()) },
    ];
    assert_eq!(loads, expected);
    assert_eq!(loads[1].waiting(), 3);
    let give_up = Outcome::Failed(Failure::new(FailureReason::InvalidInput, "it never will"));
    bench.settle(claimed[1].life.id, claimed[1].life.attempt, give_up).await.unwrap();
    // The one that was cancelled did not fail.
    assert_eq!(bench.store.totals().await.unwrap(), Totals { failed: 1, created: 6 });
}

async fn a_commit_tells_how_long_tasks_waited_and_ran(bench: Bench) {
    let spans = async |command: Command| {
        let committed = bench.store.commit(&[command]).await.unwrap();
        let told: Vec<_> = committed.spans.iter().map(|span| (span.stretch, span.took.as_secs())).collect();
        told
    };
    let made = ids(&bench.create(vec![new_task(), manual()]).await);
    bench.advance(3);
    assert_eq!(spans(Command::Claim(claim(bench.node, 1))).await, [(Stretch::Wait, 3)]);
    bench.advance(4);
    let end = |task, outcome| Command::Settle {
        task,
        attempt: Attempt(1),
        outcome,
        backoff: backoff(),
        image: None,
    };
    assert_eq!(spans(end(made[0], failed())).await, [(Stretch::Run, 4)], "a try counts, whatever follows");
    assert_eq!(spans(Command::Take(take(Caller::Anonymous, 60))).await, [(Stretch::Wait, 7)]);
    bench.advance(5);
    let word = |word| Command::Word {
        task: made[1],
        attempt: Some(Attempt(1)),
        caller: Caller::Anonymous,
        word,
        backoff: backoff(),
    };
    assert_eq!(spans(word(Word::Heartbeat(None))).await, []);
    assert_eq!(spans(word(Word::Release)).await, [], "what was given back tells nothing");
    bench.one(Command::Take(take(Caller::Anonymous, 60))).await;
    bench.advance(6);
    let delete = Command::Delete { task: made[1], caller: Caller::Anonymous };
    assert_eq!(spans(delete).await, [(Stretch::Run, 6)]);
    // The lease of this node is over by now.
    let node = NodeId::fresh();
    bench.register(node, "another", None).await;
    let together = [Command::Create(vec![new_task()]), Command::Claim(claim(node, 9))];
    let committed = bench.store.commit(&together).await.unwrap();
    assert_eq!(committed.spans.len(), 1);
    assert_eq!((committed.spans[0].stretch, committed.spans[0].took), (Stretch::Wait, Duration::ZERO));
}

async fn minutes_of_several_processes_are_one_history_which_is_forgotten_by_and_by(bench: Bench) {
    let minute = |number: i64, kind: Kind, completed: u64| {
        let mut counts = MinuteCounts { completed, created: 2, ..MinuteCounts::default() };
        counts.runs.add(Duration::from_millis(20));
        Minute { kind, from: start_of(number), counts }
    };
    let store = &bench.store;
    let now = minute_of(store.now().await.unwrap());
    store.write_history("a", &[minute(now - 1, kind(), 1), minute(now, kind(), 5)]).await.unwrap();
    store.write_history("b", &[minute(now, kind(), 7), minute(now, resize(), 1)]).await.unwrap();
    // What a process writes again replaces what it wrote.
    store.write_history("a", &[minute(now, kind(), 6)]).await.unwrap();
    let history = store.history(start_of(now - 1)).await.unwrap();
    let told: Vec<(i64, &str, u64, u64)> = history
        .iter()
        .map(|it| {
            let runs = it.counts.runs.total();
            (minute_of(it.from) - now, it.kind.as_str(), it.counts.completed, runs)
        })
        .collect();
    assert_eq!(told, [(-1, "noop", 1, 1), (0, "noop", 13, 2), (0, "resize", 1, 1)]);
    assert_eq!(history[1].counts.created, 4);
    assert_eq!(store.history(start_of(now).after(Duration::from_secs(59))).await.unwrap(), history[1..]);
    assert_eq!(store.forget_history(start_of(now)).await.unwrap(), 1);
    assert_eq!(store.history(start_of(now - 5)).await.unwrap(), history[1..]);
    store.write_history("c", &[]).await.unwrap();
}

async fn nodes_say_how_they_are_and_are_known_for_a_while_when_they_are_gone(bench: Bench) {
    let report = NodeReport {
        version: "1.2.3".into(),
        host: "here".into(),
        roles: vec!["http".into()],
        phase: "ready".into(),
        ready: true,
        degraded: false,
        components: BTreeMap::from([(
            "broker".into(),
            ComponentReport {
                importance: "optional".into(),
                state: "down".into(),
                since: Some(bench.store.now().await.unwrap()),
                message: Some("жёлтый \"quoted\"".into()),
                restarts: 3,
                restarted_at: None,
                restarted_because: None,
            },
        )]),
        kinds: BTreeMap::from([("noop".into(), PermitsReport { permits: 2, taken: 1 })]),
    };
    bench.advance(1);
    let silent = NodeId::fresh();
    // On SQLite a newcomer ends the lease of whoever was there.
    bench.register(silent, "another seat", None).await;
    bench.store.tell_node(bench.node, &report).await.unwrap();
    let nodes = bench.store.nodes(10).await.unwrap();
    assert_eq!(nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [silent, bench.node]);
    assert_eq!((&nodes[0].said, &nodes[1].said), (&None, &Some(report)));
    let now = bench.store.now().await.unwrap();
    assert!(nodes[1].said_at.is_some_and(|at| at <= now) && nodes[0].is_alive(now));
    assert_eq!((nodes[1].name.as_str(), bench.store.nodes(1).await.unwrap().len()), ("test", 1));

    bench.store.retire(silent).await.unwrap();
    let (all, first) = (bench.store.nodes(10).await.unwrap(), bench.store.nodes(1).await.unwrap());
    assert_eq!(all.iter().map(|node| node.id).collect::<Vec<_>>(), [silent, bench.node]);
    // On PostgreSQL the older one lives on.
    let lives = all.iter().any(|node| node.is_alive(now));
    assert_eq!(first[0].is_alive(now), lives, "one that is gone takes the place of none that lives");
    bench.store.retire(bench.node).await.unwrap();
    bench.rescue().await;
    let nodes = bench.store.nodes(10).await.unwrap();
    let left: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
    assert_eq!(left, [bench.node], "who said nothing is forgotten");
    assert!(nodes[0].spared && !nodes[0].is_alive(now));
    bench.advance(REMEMBERED.as_secs() + 1);
    bench.rescue().await;
    assert_eq!(bench.store.nodes(10).await.unwrap(), []);
    bench.store.tell_node(bench.node, nodes[0].said.as_ref().unwrap()).await.unwrap();
    assert_eq!(bench.store.nodes(10).await.unwrap(), [], "a word of one that is gone makes no node");
}
