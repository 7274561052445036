//! The world outside in one group: what is taken and said, keys, and requests that count once.

use super::*;
use crate::task::WorkerName;

fn manual() -> NewTask {
    NewTask { kind: kind("manual"), ..new_task() }
}

fn take(wanted: Wanted) -> Command {
    let holder = Holder::Worker("w".parse::<WorkerName>().unwrap());
    Command::Take(Take { wanted, caller: ANYBODY, holder, lease: Some(Duration::from_micros(50)) })
}

fn take_any() -> Command {
    take(Wanted::Kinds(vec![kind("manual")]))
}

fn say(task: i64, attempt: Option<u32>, word: Word) -> Command {
    let attempt = attempt.map(Attempt);
    Command::Word { task: TaskId(task), attempt, caller: ANYBODY, word, backoff: BACKOFF }
}

fn keyed(key: &str) -> NewTask {
    NewTask { unique_key: Some(key.into()), ..new_task() }
}

fn taken(reply: &Reply) -> Option<i64> {
    let Reply::Taken(Ok(Taken::Task(task))) = reply else { return None };
    Some(task.life.id.0)
}

fn made(reply: &Reply) -> Vec<(i64, bool)> {
    let Reply::Created(made) = reply else { panic!("{reply:?}") };
    made.iter().map(|accepted| (accepted.task.life.id.0, accepted.fresh)).collect()
}

#[test]
fn a_claim_passes_over_what_is_done_outside_also_when_its_own_group_made_it() {
    let mut tables = Tables::new();
    let (replies, _) = tables.commit(&[Command::Create(vec![manual(), new_task()]), claim(node(1), 9)]);
    assert_eq!(claimed(&replies[1]), [2]);
    assert_eq!(tables.ready[&TaskId(1)].lane, Lane::Outside);
    let (replies, _) = tables.commit(&[take_any(), take_any()]);
    assert_eq!((taken(&replies[0]), taken(&replies[1])), (Some(1), None));
}

#[test]
fn nobody_outside_can_know_of_a_task_that_the_same_group_makes() {
    let mut tables = Tables::new();
    let (replies, _) = tables.commit(&[
        Command::Create(vec![manual()]),
        take(Wanted::Id(TaskId(1))),
        say(1, Some(0), Word::Release),
    ]);
    assert!(matches!(&replies[1], Reply::Taken(Err(Refused::NotFound(TaskId(1))))), "{:?}", replies[1]);
    assert!(matches!(&replies[2], Reply::Changed(Err(Refused::NotFound(TaskId(1))))), "{:?}", replies[2]);
    assert_eq!(tables.status(1), Some(Status::New));
}

#[test]
fn what_was_taken_by_number_earlier_in_the_group_is_not_taken_again_by_kind() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![manual()])]);
    let (replies, events) = tables.commit(&[take(Wanted::Id(TaskId(1))), take_any()]);
    assert_eq!(taken(&replies[0]), Some(1));
    assert!(matches!(&replies[1], Reply::Taken(Ok(Taken::Expired))), "look again: {:?}", replies[1]);
    assert_eq!(names(&events), [(1, EventName::Started)]);
}

#[test]
fn a_sign_of_life_in_the_group_of_the_rescue_counts_when_it_comes_first() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![manual(), manual()])]);
    tables.commit(&[take_any(), take_any()]);
    tables.now = Timestamp::from_micros(2_000);
    let beat = || say(1, Some(1), Word::Heartbeat(None));
    let late = || say(2, Some(1), Word::Heartbeat(None));
    let rescue = Command::Rescue { limit: 10, except: None, backoff: BACKOFF };
    let (replies, events) = tables.commit(&[beat(), rescue, late()]);
    assert!(matches!(&replies[1], Reply::Rescued(Rescued { tasks: 1, .. })), "{:?}", replies[1]);
    assert!(matches!(&replies[2], Reply::Changed(Err(_))));
    assert_eq!(names(&events), [(2, EventName::Retrying)]);
    assert_eq!(tables.tasks[&TaskId(2)].life.crashes, 1);
}

#[test]
fn only_a_caller_with_a_name_may_leave_the_attempt_out() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![manual()])]);
    tables.commit(&[take_any()]);
    let (replies, _) = tables.commit(&[say(1, None, Word::Release), say(1, Some(1), Word::Release)]);
    assert!(matches!(&replies[0], Reply::Changed(Err(Refused::NotHeld(_)))), "{:?}", replies[0]);
    assert!(matches!(&replies[1], Reply::Changed(Ok(_))));
}

#[test]
fn a_key_is_free_again_within_the_very_group_that_ends_its_task() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![keyed("a")]), claim(node(1), 1)]);
    let (replies, _) = tables.commit(&[
        Command::Create(vec![keyed("a"), keyed("b"), keyed("b")]),
        settle(TaskId(1), 1, done()),
        Command::Create(vec![keyed("a")]),
        Command::Delete { task: TaskId(3), caller: ANYBODY },
        Command::Create(vec![keyed("b")]),
    ]);
    assert_eq!(made(&replies[0]), [(1, false), (3, true), (3, false)]);
    assert_eq!(made(&replies[2]), [(5, true)]);
    assert_eq!(made(&replies[4]), [(6, true)]);
}

#[test]
fn keys_are_apart_by_owner_and_by_kind() {
    let mut tables = Tables::new();
    let owned = NewTask { owner: Some(UserId(1)), ..keyed("a") };
    let other = NewTask { kind: kind("manual"), ..keyed("a") };
    let (replies, _) = tables.commit(&[Command::Create(vec![keyed("a"), owned, other, keyed("a")])]);
    assert_eq!(made(&replies[0]), [(1, true), (2, true), (3, true), (1, false)]);
}

#[test]
fn of_two_that_want_to_live_again_with_one_key_the_first_does() {
    let mut tables = Tables::new();
    let cancel = |task| Command::Cancel { task: TaskId(task), caller: ANYBODY };
    let retry = |task| Command::Retry { task: TaskId(task), caller: ANYBODY };
    for task in 1..=2 {
        tables.commit(&[Command::Create(vec![keyed("a")]), cancel(task)]);
    }
    let (replies, _) = tables.commit(&[retry(1), retry(2), Command::Create(vec![keyed("a")])]);
    assert!(matches!(&replies[0], Reply::Changed(Ok(_))));
    let Reply::Changed(Err(Refused::UniqueTaken { task, other })) = &replies[1] else {
        panic!("{:?}", replies[1]);
    };
    assert_eq!((task.0, other.0), (2, 1));
    assert_eq!(made(&replies[2]), [(1, false)]);
    // One ends as the other begins, in one write.
    let (replies, _) = tables.commit(&[cancel(1), retry(2)]);
    assert!(replies.iter().all(|reply| matches!(reply, Reply::Changed(Ok(_)))), "{replies:?}");
}

#[test]
fn a_request_of_a_known_key_leaves_everything_as_it_was() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![manual()])]);
    tables.commit(&[once("k", "create", Command::Create(vec![new_task()]))]);
    let (replies, events) = tables.commit(&[
        once("k", "create", Command::Create(vec![new_task()])),
        once("k", "take", take_any()),
        take_any(),
    ]);
    assert!(matches!(&replies[0], Reply::Before(answer) if answer.body == "2"), "{:?}", replies[0]);
    assert!(matches!(&replies[1], Reply::KeyReused));
    assert_eq!(taken(&replies[2]), Some(1), "what was found for who does not want it goes to the next");
    assert_eq!(names(&events), [(1, EventName::Started)]);
    tables.commit(&[say(1, Some(1), Word::Release)]);
    let before = tables.ready[&TaskId(1)].clone();
    let (_, events) = tables.commit(&[once("k", "take", take_any())]);
    assert!(events.is_empty());
    assert_eq!(tables.ready[&TaskId(1)], before, "its row is there again");
}

#[test]
fn the_same_request_twice_in_one_group_counts_once_and_a_refusal_is_no_answer() {
    let mut tables = Tables::new();
    let create = || once("k", "create", Command::Create(vec![new_task()]));
    let cancel = || once("c", "cancel", Command::Cancel { task: TaskId(9), caller: ANYBODY });
    let (replies, _) = tables.commit(&[create(), create(), cancel(), cancel()]);
    assert!(matches!(&replies[1], Reply::Before(answer) if answer.body == "1"), "{:?}", replies[1]);
    for reply in &replies[2..] {
        assert!(matches!(reply, Reply::Changed(Err(Refused::NotFound(_)))), "{reply:?}");
    }
    assert_eq!(tables.tasks.len(), 1);
}

#[test]
fn a_late_task_is_ended_by_whoever_comes_to_take_it_and_not_once_it_was_started() {
    let mut tables = Tables::new();
    let late = |task: NewTask| NewTask { expires_in: Some(Duration::from_micros(10)), ..task };
    tables.commit(&[Command::Create(vec![late(new_task()), late(manual()), late(manual())])]);
    tables.commit(&[take_any()]);
    tables.now = Timestamp::from_micros(1_010);
    let (replies, _) = tables.commit(&[say(2, Some(1), Word::Release), claim(node(1), 9), take_any()]);
    assert_eq!(claimed(&replies[1]), Vec::<i64>::new());
    assert!(matches!(&replies[2], Reply::Taken(Ok(Taken::Expired))), "{:?}", replies[2]);
    let reason = |id| tables.tasks[&TaskId(id)].life.error.as_ref().map(|error| error.reason);
    assert_eq!((reason(1), reason(3)), (Some(FailureReason::Expired), Some(FailureReason::Expired)));
    let (replies, _) =
        tables.commit(&[Command::Rescue { limit: 9, except: None, backoff: BACKOFF }, take_any()]);
    assert_eq!(taken(&replies[1]), Some(2), "started in time, and given back");
    // Whoever asks for a late one all the same gets it.
    let (replies, _) = tables.commit(&[Command::Retry { task: TaskId(1), caller: ANYBODY }]);
    assert!(matches!(&replies[0], Reply::Changed(Ok(_))));
    let (replies, _) = tables.commit(&[claim(node(1), 9)]);
    assert_eq!(claimed(&replies[0]), [1]);
}
