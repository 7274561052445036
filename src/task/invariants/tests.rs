//! The checker itself can fail: each rule is shown a change or a history that breaks it, and names itself.

use super::*;
use crate::task::{
    Backoff, Failure, FailureReason, Json, NodeId, Percent, Priority, TaskId, Timestamp, UserId,
};

const NOW: Timestamp = Timestamp::from_micros(1_000);

fn created() -> Life {
    let kind = "noop".parse().unwrap();
    Life::create(TaskId(1), kind, Some(UserId(1)), Priority::default(), 2, NOW, NOW).0
}

fn running() -> Life {
    created().start(NodeId::fresh(), NOW).unwrap().0
}

fn failure() -> Failure {
    Failure::new(FailureReason::Error, "no luck")
}

fn rule_of(judged: Result<(), Violation>) -> &'static str {
    judged.expect_err("the rule let it pass").rule
}

/// What a bad hand may do to an honest change: to the life after it, and to the event.
type Tamper = fn(&mut Life, &mut Event);

#[test]
fn every_rule_of_a_step_rejects_the_change_that_breaks_it() {
    let honest = [
        running().complete(Attempt(1), Json::null(), NOW).unwrap(),
        running().release(Attempt(1), NOW).unwrap(),
        running().fail(Attempt(1), failure(), &Backoff::default(), NOW).unwrap(),
    ];
    let tampered: &[(&str, Tamper)] = &[
        ("a change concerns one task", |after, _| after.id = TaskId(2)),
        ("a change concerns one task", |_, event| event.task = TaskId(2)),
        ("the attempt never falls", |after, _| after.attempt = Attempt::NONE),
        ("only the newest attempt is spoken of", |_, event| event.attempt = Attempt(2)),
        ("an attempt begins with `started` and with nothing else", |after, _| after.attempt = Attempt(2)),
        ("every change has its event", |after, _| after.state = State::Cancelled { finished_at: NOW }),
        ("every change has its event", |_, event| event.fact = Fact::Progress(Percent::new(7))),
        ("a change is as old as its event", |_, event| event.at = Timestamp::from_micros(1)),
        ("only a waiting task starts", |_, event| {
            event.fact = Fact::Started { holder: NodeId::fresh().into(), assignee: None };
            event.attempt = Attempt(2);
        }),
    ];
    for (after, event) in honest {
        assert_eq!(step(&running(), &after, &event), Ok(()));
        for (rule, tamper) in tampered {
            let (mut after, mut event) = (after.clone(), event.clone());
            tamper(&mut after, &mut event);
            assert_eq!(rule_of(step(&running(), &after, &event)), *rule, "{after:?}\n{event:?}");
        }
    }
}

#[test]
fn a_step_from_a_completed_task_is_rejected_whatever_it_is() {
    let before = running().complete(Attempt(1), Json::null(), NOW).unwrap().0;
    for fact in [
        Fact::Retrying { cause: RetryCause::Asked, run_at: NOW },
        Fact::Retrying { cause: RetryCause::WorkerLost, run_at: NOW },
        Fact::Started { holder: NodeId::fresh().into(), assignee: None },
        Fact::Completed,
        Fact::Cancelled,
        Fact::Failed(failure()),
    ] {
        let starts = fact.name() == EventName::Started;
        let mut after = if starts { running() } else { created() };
        after.attempt = if starts { Attempt(2) } else { Attempt(1) };
        let event = Event {
            task: after.id,
            kind: after.kind.clone(),
            owner: after.owner,
            attempt: after.attempt,
            at: NOW,
            fact,
        };
        assert!(step(&before, &after, &event).is_err(), "{event:?}");
    }
}

#[test]
fn every_rule_of_a_whole_life_rejects_the_life_that_breaks_it() {
    let spoilt = |life: Life, spoil: fn(&mut Life)| {
        assert_eq!(whole(&life), Ok(()));
        let mut life = life;
        spoil(&mut life);
        rule_of(whole(&life))
    };
    let last = Failure::new(FailureReason::InvalidInput, "never");
    let failed = running().fail(Attempt(1), last, &Backoff::default(), NOW).unwrap().0;
    let completed = running().complete(Attempt(1), Json::null(), NOW).unwrap().0;

    let never_began = "only what was started runs or completes";
    assert_eq!(spoilt(running(), |life| life.attempt = Attempt::NONE), never_began);
    assert_eq!(spoilt(completed, |life| life.attempt = Attempt::NONE), never_began);
    assert_eq!(spoilt(failed, |life| life.error = None), "what failed says why");
    assert_eq!(spoilt(created(), |life| life.crashes = POISON_CRASHES), "poison is not tried again");
    assert_eq!(spoilt(created(), |life| life.failures = 2), "no more tries than allowed");
    assert_eq!(spoilt(running(), |life| life.failures = 2), "no more tries than allowed");
}

/// `started 1` and the like, read into a history; what the last event breaks.
fn told(events: &str) -> Result<History, Violation> {
    let mut history = History::default();
    for line in events.split(',') {
        let (name, attempt) = line.trim().split_once(' ').unwrap();
        history.tell(EventName::parse(name).unwrap(), attempt.parse().unwrap())?;
    }
    Ok(history)
}

#[test]
fn a_history_accepts_what_can_happen() {
    for (events, leads_to) in [
        ("created 0", Some(Status::New)),
        ("created 0, started 1, progress 1, completed 1", Some(Status::Completed)),
        ("created 0, started 1, retrying 1, started 2, failed 2, retrying 2", Some(Status::New)),
        ("created 0, cancelled 0, retrying 0, started 1, cancelled 1", Some(Status::Cancelled)),
        ("created 0, started 1, completed 1, deleted 1", None),
        ("created 0, failed 0, retrying 0, started 1", Some(Status::InProgress)),
    ] {
        assert_eq!(told(events).map(|history| history.status()), Ok(leads_to), "{events}");
    }
}

#[test]
fn a_history_rejects_what_cannot() {
    let bad = [
        ("created 0, created 0", "a task is created once"),
        ("created 1", "only the newest attempt is spoken of"),
        ("started 1", "only a waiting task starts"),
        ("deleted 0", "only what was created is deleted"),
        ("created 0, deleted 0, started 1", "nothing happens to what was deleted"),
        ("created 0, deleted 0, deleted 0", "nothing happens to what was deleted"),
        ("created 0, started 2", "each start is the next attempt"),
        ("created 0, started 1, retrying 1, started 1", "each start is the next attempt"),
        ("created 0, started 1, started 2", "only a waiting task starts"),
        ("created 0, started 1, completed 1, started 2", "only a waiting task starts"),
        ("created 0, progress 0", "only what runs has progress"),
        ("created 0, started 1, completed 1, progress 1", "only what runs has progress"),
        ("created 0, completed 0", "an attempt has one outcome"),
        ("created 0, started 1, completed 1, completed 1", "an attempt has one outcome"),
        ("created 0, started 1, completed 1, failed 1", "an attempt has one outcome"),
        ("created 0, started 1, cancelled 1, completed 1", "an attempt has one outcome"),
        ("created 0, started 1, retrying 1, failed 1", "an attempt has one outcome"),
        ("created 0, started 1, retrying 1, started 2, completed 1", "only the newest attempt is spoken of"),
        ("created 0, started 1, retrying 1, started 2, retrying 1", "only the newest attempt is spoken of"),
        ("created 0, started 1, cancelled 0", "only the newest attempt is spoken of"),
        ("created 0, started 1, cancelled 1, cancelled 1", "only what has not ended is cancelled"),
        ("created 0, started 1, completed 1, cancelled 1", "only what has not ended is cancelled"),
        (
            "created 0, started 1, completed 1, retrying 1",
            "only a running or ended task is tried again, a completed one never",
        ),
        ("created 0, retrying 0", "only a running or ended task is tried again, a completed one never"),
    ];
    for (events, rule) in bad {
        assert_eq!(rule_of(told(events).map(drop)), rule, "{events}");
    }
}

#[test]
fn only_what_waits_expires_and_nothing_that_waits_fails_otherwise() {
    let failed = |life: &Life, reason| Event {
        task: life.id,
        kind: life.kind.clone(),
        owner: life.owner,
        attempt: life.attempt,
        at: NOW,
        fact: Fact::Failed(Failure::new(reason, "late")),
    };
    for (life, reason, fits) in [
        (created(), FailureReason::Expired, true),
        (created(), FailureReason::Error, false),
        (running(), FailureReason::Error, true),
        (running(), FailureReason::Expired, false),
    ] {
        let heard = History::at(&life).hear(&failed(&life, reason));
        let rule = "only what waits expires, and it does nothing else";
        assert_eq!(heard.map_err(|broken| broken.rule), if fits { Ok(()) } else { Err(rule) }, "{reason:?}");
    }
}

#[test]
fn the_cause_of_a_further_try_must_fit_where_the_task_stands() {
    let rule = "a running task is tried again for a cause of its own, an ended one when somebody asks";
    let retrying = |life: &Life, cause| Event {
        task: life.id,
        kind: life.kind.clone(),
        owner: life.owner,
        attempt: life.attempt,
        at: NOW,
        fact: Fact::Retrying { cause, run_at: NOW },
    };
    let (running, cancelled) = (running(), running().cancel(NOW).unwrap().0);
    for (life, cause, fits) in [
        (&running, RetryCause::Asked, false),
        (&running, RetryCause::WorkerLost, true),
        (&running, RetryCause::Interrupted, true),
        (&cancelled, RetryCause::Asked, true),
        (&cancelled, RetryCause::WorkerLost, false),
        (&cancelled, RetryCause::Failed(failure()), false),
    ] {
        let heard = History::at(life).hear(&retrying(life, cause.clone()));
        assert_eq!(
            heard.map_err(|violation| violation.rule),
            if fits { Ok(()) } else { Err(rule) },
            "{cause:?}"
        );
    }
}
