//! Every verb in every place, as a matrix; the page of `docs/` against the code; and random histories.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::task::{EventName, NodeId, WorkerName, invariants};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const LATER: Timestamp = Timestamp::from_micros(2_000_000);
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
const MAX_ATTEMPTS: u32 = 3;

/// Where a verb may find a task: its status, and whether a waiting one is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    NewDue,
    NewLater,
    InProgress,
    Completed,
    Failed,
    Cancelled,
}

/// A verb, with what decides where it leads. The worker's verbs speak for the newest attempt here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Start,
    StartOutside,
    Progress,
    Complete,
    FailTriesLeft,
    FailLastTry,
    FailHopeless,
    Heartbeat,
    Release,
    LoseFirst,
    LoseSecond,
    LoseThird,
    Expire,
    Cancel,
    Retry,
    Delete,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The status it has now, and the event that tells of it.
    To(Status, EventName),
    /// It stays in its status, and nobody is told.
    Quiet,
    /// It is removed.
    Gone,
    Stale,
    TooEarly,
    Forbidden,
}

impl Place {
    /// In the order of the matrix's columns.
    const ALL: [Self; 6] =
        [Self::NewDue, Self::NewLater, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    fn status(self) -> Status {
        match self {
            Self::NewDue | Self::NewLater => Status::New,
            Self::InProgress => Status::InProgress,
            Self::Completed => Status::Completed,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }

    /// As `docs/task-lifecycle.md` writes it.
    fn written(self) -> String {
        match self {
            Self::NewDue => "`New`, due".into(),
            Self::NewLater => "`New`, later".into(),
            Self::InProgress | Self::Completed | Self::Failed | Self::Cancelled => {
                format!("`{}`", self.status())
            }
        }
    }

    /// A task that stands here after `attempt` attempts, of which `failures` failed and `crashes` crashed.
    fn life(self, attempt: Attempt, failures: u32, crashes: u32) -> Life {
        let (new, _) = Life::create(
            TaskId(7),
            "noop".parse().unwrap(),
            None,
            Priority::default(),
            MAX_ATTEMPTS,
            NOW,
            NOW,
        );
        let state = match self {
            Self::NewDue => State::New { run_at: NOW },
            Self::NewLater => State::New { run_at: LATER },
            Self::InProgress => State::InProgress { holder: NodeId::fresh().into(), lease: None },
            Self::Completed => State::Completed { finished_at: NOW, result: Json::null() },
            Self::Failed => State::Failed { finished_at: NOW },
            Self::Cancelled => State::Cancelled { finished_at: NOW },
        };
        let error = Some(Failure::new(FailureReason::Error, "an earlier one"));
        Life { attempt, failures, crashes, error, state, started_at: Some(NOW), ..new }
    }
}

impl Word {
    fn all() -> impl Iterator<Item = Self> {
        Verb::ALL.into_iter().flat_map(|verb| Self::of(verb).iter().copied())
    }

    /// The words that a verb has: a verb without any does not compile.
    fn of(verb: Verb) -> &'static [Self] {
        match verb {
            Verb::Start => &[Self::Start, Self::StartOutside],
            Verb::Progress => &[Self::Progress],
            Verb::Complete => &[Self::Complete],
            Verb::Fail => &[Self::FailTriesLeft, Self::FailLastTry, Self::FailHopeless],
            Verb::Heartbeat => &[Self::Heartbeat],
            Verb::Release => &[Self::Release],
            Verb::Lose => &[Self::LoseFirst, Self::LoseSecond, Self::LoseThird],
            Verb::Expire => &[Self::Expire],
            Verb::Cancel => &[Self::Cancel],
            Verb::Retry => &[Self::Retry],
            Verb::Delete => &[Self::Delete],
        }
    }

    /// The matrix: a word without a row, or a row without all its columns, does not compile.
    #[rustfmt::skip]
    fn row(self) -> [Outcome; 6] {
        use EventName as E;
        use Outcome::{Forbidden as No, Gone, Quiet, Stale, To, TooEarly};
        use Status::{Cancelled, Completed, Failed, InProgress, New};
        match self {
            // In:                  New, due                     New, later                   In Progress                   Completed  Failed                  Cancelled
            Self::Start         => [To(InProgress, E::Started),  TooEarly,                    No,                           No,        No,                     No],
            Self::StartOutside  => [To(InProgress, E::Started),  TooEarly,                    No,                           No,        No,                     No],
            Self::Progress      => [Stale,                       Stale,                       To(InProgress, E::Progress),  Stale,     Stale,                  Stale],
            Self::Complete      => [Stale,                       Stale,                       To(Completed, E::Completed),  Stale,     Stale,                  Stale],
            Self::FailTriesLeft => [Stale,                       Stale,                       To(New, E::Retrying),         Stale,     Stale,                  Stale],
            Self::FailLastTry   => [Stale,                       Stale,                       To(Failed, E::Failed),        Stale,     Stale,                  Stale],
            Self::FailHopeless  => [Stale,                       Stale,                       To(Failed, E::Failed),        Stale,     Stale,                  Stale],
            Self::Heartbeat     => [Stale,                       Stale,                       Quiet,                        Stale,     Stale,                  Stale],
            Self::Release       => [Stale,                       Stale,                       To(New, E::Retrying),         Stale,     Stale,                  Stale],
            Self::LoseFirst     => [Stale,                       Stale,                       To(New, E::Retrying),         Stale,     Stale,                  Stale],
            Self::LoseSecond    => [Stale,                       Stale,                       To(New, E::Retrying),         Stale,     Stale,                  Stale],
            Self::LoseThird     => [Stale,                       Stale,                       To(Failed, E::Failed),        Stale,     Stale,                  Stale],
            Self::Expire        => [To(Failed, E::Failed),       To(Failed, E::Failed),       No,                           No,        No,                     No],
            Self::Cancel        => [To(Cancelled, E::Cancelled), To(Cancelled, E::Cancelled), To(Cancelled, E::Cancelled),  No,        No,                     No],
            Self::Retry         => [No,                          No,                          No,                           No,        To(New, E::Retrying),   To(New, E::Retrying)],
            Self::Delete        => [Gone,                        Gone,                        Gone,                         Gone,      Gone,                   Gone],
        }
    }

    /// As `docs/task-lifecycle.md` writes it.
    fn written(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::StartOutside => "start, outside",
            Self::Progress => "progress",
            Self::Complete => "complete",
            Self::FailTriesLeft => "fail, tries left",
            Self::FailLastTry => "fail, last try",
            Self::FailHopeless => "fail, hopeless",
            Self::Heartbeat => "heartbeat",
            Self::Release => "release",
            Self::LoseFirst => "lose, first time",
            Self::LoseSecond => "lose, second time",
            Self::LoseThird => "lose, third time",
            Self::Expire => "expire",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Delete => "delete",
        }
    }

    /// After how many attempts the word may be said at all.
    fn attempt(self) -> Attempt {
        if self == Self::Expire { Attempt::NONE } else { Attempt(2) }
    }

    /// The numbers of earlier failures with which the word means what it says.
    fn failures(self) -> std::ops::Range<u32> {
        match self {
            Self::FailTriesLeft => 0..MAX_ATTEMPTS - 1,
            Self::FailLastTry => MAX_ATTEMPTS - 1..MAX_ATTEMPTS,
            Self::Start
            | Self::StartOutside
            | Self::Progress
            | Self::Complete
            | Self::FailHopeless
            | Self::Heartbeat
            | Self::Release
            | Self::LoseFirst
            | Self::LoseSecond
            | Self::LoseThird
            | Self::Expire
            | Self::Cancel
            | Self::Retry
            | Self::Delete => 0..MAX_ATTEMPTS,
        }
    }

    /// Likewise for earlier crashes.
    fn crashes(self) -> std::ops::Range<u32> {
        match self {
            Self::LoseFirst => 0..1,
            Self::LoseSecond => 1..2,
            Self::LoseThird => 2..3,
            Self::Start
            | Self::StartOutside
            | Self::Progress
            | Self::Complete
            | Self::FailTriesLeft
            | Self::FailLastTry
            | Self::FailHopeless
            | Self::Heartbeat
            | Self::Release
            | Self::Expire
            | Self::Cancel
            | Self::Retry
            | Self::Delete => 0..POISON_CRASHES,
        }
    }

    /// The reasons that a failure of this word may have.
    fn reasons(self) -> impl Iterator<Item = FailureReason> {
        let hopeless = self == Self::FailHopeless;
        reasons_of_a_try().filter(move |reason| reason.may_retry() != hopeless)
    }

    /// Says it of `life`, for `attempt` where the word carries one.
    fn say(self, life: &Life, attempt: Attempt, reason: FailureReason) -> Said {
        let changed = match self {
            Self::Start => life.start(NodeId::fresh(), NOW),
            Self::StartOutside => life.hand_over(a_worker(), Some(UserId(3)), LEASE, NOW),
            Self::Progress => life.progress(attempt, Percent::new(50), NOW),
            Self::Complete => life.complete(attempt, Json::trusted("7"), NOW),
            Self::FailTriesLeft | Self::FailLastTry | Self::FailHopeless => {
                life.fail(attempt, Failure::new(reason, "no luck"), &BACKOFF, NOW)
            }
            Self::Heartbeat => return life.heartbeat(attempt, LEASE).map(|life| (life, None)),
            Self::Release => life.release(attempt, NOW),
            Self::LoseFirst | Self::LoseSecond | Self::LoseThird => life.lose(attempt, NOW),
            Self::Expire => life.expire(NOW, NOW),
            Self::Cancel => life.cancel(NOW),
            Self::Retry => life.retry(NOW),
            Self::Delete => Ok((life.clone(), life.delete(NOW))),
        };
        changed.map(|(life, event)| (life, Some(event)))
    }

    fn carries_attempt(self) -> bool {
        self.row().contains(&Outcome::Stale)
    }
}

impl Outcome {
    /// What came of `word`, said where `place` is.
    fn of(place: Place, word: Word, said: &Said) -> Self {
        match said {
            Ok((_, Some(event))) if event.fact == Fact::Deleted => Self::Gone,
            Ok((life, Some(event))) => Self::To(life.status(), event.fact.name()),
            Ok((life, None)) => {
                assert_eq!(life.status(), place.status());
                Self::Quiet
            }
            Err(IllegalTransition::Stale { status, current, .. }) => {
                assert_eq!((*status, *current), (place.status(), Attempt(2)));
                Self::Stale
            }
            Err(IllegalTransition::TooEarly { run_at, .. }) => {
                assert_eq!(*run_at, LATER);
                Self::TooEarly
            }
            Err(IllegalTransition::Forbidden { status, verb, .. }) => {
                assert_eq!(*status, place.status());
                assert!(Word::of(*verb).contains(&word), "{verb:?} for {word:?}");
                Self::Forbidden
            }
        }
    }
}

/// A life after a word, and the event that tells of it, where somebody is told.
type Said = Result<(Life, Option<Event>), IllegalTransition>;

/// The reasons for which a try fails; what expires was not tried.
fn reasons_of_a_try() -> impl Iterator<Item = FailureReason> {
    FailureReason::ALL.into_iter().filter(|reason| *reason != FailureReason::Expired)
}

const LEASE: Option<Lease> = Some(Lease { span: Some(Duration::from_secs(60)), until: LATER });

fn a_worker() -> Holder {
    Holder::Worker("resize@host".parse::<WorkerName>().unwrap())
}

/// Every word in every place, with every number of failures and crashes and every reason that fits the word.
fn everything(mut look: impl FnMut(Place, Word, &Life, FailureReason)) {
    for (place, word) in Place::ALL.into_iter().flat_map(|place| Word::all().map(move |word| (place, word))) {
        for failures in word.failures() {
            for crashes in word.crashes() {
                for reason in word.reasons() {
                    look(place, word, &place.life(word.attempt(), failures, crashes), reason);
                }
            }
        }
    }
}

#[test]
fn every_verb_in_every_place_does_what_the_matrix_says() {
    let mut pairs = BTreeSet::new();
    everything(|place, word, life, reason| {
        let said = word.say(life, life.attempt, reason);
        let expected = word.row()[Place::ALL.iter().position(|column| *column == place).unwrap()];
        assert_eq!(Outcome::of(place, word, &said), expected, "{word:?} in {place:?} of {life:?}");
        if let Ok((after, Some(event))) = &said
            && expected != Outcome::Gone
        {
            assert_eq!(invariants::step(life, after, event), Ok(()));
        }
        pairs.insert((place.status(), word.written().split(',').next().unwrap().to_owned()));
    });
    assert_eq!(pairs.len(), Status::ALL.len() * Verb::ALL.len());
}

#[test]
fn a_worker_that_speaks_for_another_attempt_is_stale_everywhere() {
    everything(|place, word, life, reason| {
        if !word.carries_attempt() {
            return;
        }
        for attempt in [Attempt::NONE, Attempt(1), Attempt(3), Attempt(u32::MAX)] {
            let said = word.say(life, attempt, reason);
            assert_eq!(Outcome::of(place, word, &said), Outcome::Stale, "{word:?} in {place:?} of {life:?}");
        }
    });
}

#[test]
fn only_the_verbs_that_should_raise_attempt_failures_and_crashes_do() {
    everything(|_, word, life, reason| {
        let Ok((after, _)) = word.say(life, life.attempt, reason) else { return };
        let (attempt, failures, crashes) = match word {
            Word::Start | Word::StartOutside => (1, 0, 0),
            Word::FailTriesLeft | Word::FailLastTry | Word::FailHopeless => (0, 1, 0),
            Word::LoseFirst | Word::LoseSecond | Word::LoseThird => (0, 0, 1),
            Word::Progress
            | Word::Complete
            | Word::Heartbeat
            | Word::Release
            | Word::Expire
            | Word::Cancel
            | Word::Delete => (0, 0, 0),
            Word::Retry => {
                assert_eq!((after.attempt, after.failures, after.crashes), (life.attempt, 0, 0));
                return;
            }
        };
        assert_eq!(after.attempt.0, life.attempt.0 + attempt, "{word:?}");
        assert_eq!(after.failures, life.failures + failures, "{word:?}");
        assert_eq!(after.crashes, life.crashes + crashes, "{word:?}");
    });
}

#[test]
fn a_failed_try_waits_and_all_others_are_ready_at_once() {
    everything(|_, word, life, reason| {
        let Ok((after, _)) = word.say(life, life.attempt, reason) else { return };
        let Some(run_at) = after.run_at() else { return };
        match word {
            Word::FailTriesLeft => {
                assert_eq!(run_at, NOW.after(BACKOFF.wait(life.id, life.attempt, life.failures + 1)));
            }
            Word::Delete => {}
            Word::Start
            | Word::StartOutside
            | Word::Progress
            | Word::Complete
            | Word::FailLastTry
            | Word::FailHopeless
            | Word::Heartbeat
            | Word::Release
            | Word::LoseFirst
            | Word::LoseSecond
            | Word::LoseThird
            | Word::Expire
            | Word::Cancel
            | Word::Retry => assert_eq!(run_at, NOW, "{word:?}"),
        }
    });
}

#[test]
fn what_is_taken_outside_is_held_under_its_own_lease_by_whoever_took_it() {
    let (taken, started) =
        Place::NewDue.life(Attempt(2), 0, 0).hand_over(a_worker(), Some(UserId(3)), LEASE, NOW).unwrap();
    assert_eq!((taken.holder(), taken.lease(), taken.assignee), (Some(&a_worker()), LEASE, Some(UserId(3))));
    assert_eq!(started.fact, Fact::Started { holder: a_worker(), assignee: Some(UserId(3)) });
    let longer = Some(Lease { span: None, until: LATER.after(Duration::from_secs(9)) });
    let lives = taken.heartbeat(taken.attempt, longer).unwrap();
    assert_eq!((lives.lease(), lives.holder()), (longer, Some(&a_worker())));
    assert_eq!(lives.updated_at, taken.updated_at, "a sign of life is no change");
    let done = taken.complete(taken.attempt, Json::null(), NOW).unwrap().0;
    assert_eq!((done.assignee, done.lease()), (Some(UserId(3)), None), "who did it is kept");
    assert_eq!(taken.release(taken.attempt, NOW).unwrap().0.assignee, None);
}

#[test]
fn what_expires_says_so_and_costs_nothing_that_is_counted() {
    let (after, _) = Place::NewLater.life(Attempt::NONE, 0, 0).expire(NOW, LATER).unwrap();
    assert_eq!(after.error.unwrap().reason, FailureReason::Expired);
    assert_eq!((after.attempt, after.failures, after.crashes), (Attempt::NONE, 0, 0));
}

#[test]
fn what_was_started_once_does_not_expire_while_it_waits_for_another_try() {
    let refused = Place::NewDue.life(Attempt(1), 1, 0).expire(NOW, NOW);
    assert!(matches!(refused, Err(IllegalTransition::Forbidden { verb: Verb::Expire, .. })), "{refused:?}");
}

#[test]
fn the_third_loss_is_poison_and_two_make_a_suspect() {
    let lost = |crashes| Place::InProgress.life(Attempt(2), 0, crashes).lose(Attempt(2), NOW).unwrap().0;
    assert!(!lost(0).is_suspect());
    assert!(lost(1).is_suspect());
    assert_eq!(lost(2).error.unwrap().reason, FailureReason::Poison);
}

#[test]
fn a_task_is_never_created_without_a_try() {
    let (life, event) =
        Life::create(TaskId(1), "noop".parse().unwrap(), None, Priority::default(), 0, LATER, NOW);
    assert_eq!((life.max_attempts, life.attempt, life.status()), (1, Attempt::NONE, Status::New));
    assert_eq!((event.fact, event.attempt, event.at), (Fact::Created, Attempt::NONE, NOW));
}

#[test]
fn the_page_of_the_lifecycle_says_what_the_code_does() {
    let page = include_str!("../../../docs/task-lifecycle.md");
    let table = page.split("## Transitions").nth(1).unwrap().split("\n## ").next().unwrap();
    let written: Vec<[String; 4]> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 5, "{line}");
            assert!(!cells[4].is_empty(), "who may? {line}");
            [cells[0].into(), cells[1].into(), cells[2].into(), cells[3].into()]
        })
        .collect();
    let mut done = BTreeSet::new();
    everything(|place, word, life, reason| {
        if let Ok((after, event)) = word.say(life, life.attempt, reason) {
            let gone = event.as_ref().is_some_and(|event| event.fact == Fact::Deleted);
            let to = if gone { "gone".to_owned() } else { format!("`{}`", after.status()) };
            let event = event.map_or("none".to_owned(), |event| format!("`{}`", event.fact.name().as_str()));
            done.insert([place.written(), word.written().to_owned(), to, event]);
        }
    });
    assert_eq!(written.iter().cloned().collect::<BTreeSet<_>>(), done);
    assert_eq!(written.len(), done.len(), "a row stands there twice");
    for status in Status::ALL {
        assert!(page.contains(&format!("| `{status}` |")), "the page does not explain `{status}`");
    }
}

/// For which attempt a worker speaks, seen from the newest.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Newest,
    Behind(u32),
    Ahead,
}

/// One step of a random history: a verb, and some time that passes before it.
#[derive(Debug, Clone, Copy)]
struct Step {
    verb: Verb,
    whose: Whose,
    reason: FailureReason,
    wait: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Starts and the newest attempt come often, or most histories would be refusals only.
    let verb = prop_oneof![3 => Just(Verb::Start), 5 => proptest::sample::select(Verb::ALL.to_vec())];
    let whose = prop_oneof![
        6 => Just(Whose::Newest),
        2 => (1..4_u32).prop_map(Whose::Behind),
        1 => Just(Whose::Ahead),
    ];
    let reason = proptest::sample::select(reasons_of_a_try().collect::<Vec<_>>());
    let step = (verb, whose, reason, 0..4_000_000_u64).prop_map(|(verb, whose, reason, wait)| Step {
        verb,
        whose,
        reason,
        wait,
    });
    proptest::collection::vec(step, 1..60)
}

fn take(step: Step, life: &Life, now: Timestamp) -> Said {
    let attempt = match step.whose {
        Whose::Newest => life.attempt,
        Whose::Behind(by) => Attempt(life.attempt.0.saturating_sub(by)),
        Whose::Ahead => life.attempt.next(),
    };
    let changed = match step.verb {
        Verb::Start if step.wait.is_multiple_of(2) => life.start(NodeId::fresh(), now),
        Verb::Start => life.hand_over(a_worker(), Some(UserId(3)), LEASE, now),
        Verb::Heartbeat => return life.heartbeat(attempt, life.lease().and(LEASE)).map(|life| (life, None)),
        Verb::Expire => life.expire(now, now),
        Verb::Progress => life.progress(attempt, Percent::new(30), now),
        Verb::Complete => life.complete(attempt, Json::null(), now),
        Verb::Fail => life.fail(attempt, Failure::new(step.reason, "no luck"), &BACKOFF, now),
        Verb::Release => life.release(attempt, now),
        Verb::Lose => life.lose(attempt, now),
        Verb::Cancel => life.cancel(now),
        Verb::Retry => life.retry(now),
        Verb::Delete => Ok((life.clone(), life.delete(now))),
    };
    changed.map(|(life, event)| (life, Some(event)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_a_rule(max_attempts in 1..5_u32, delay in 0..2_000_000_u64, steps in steps()) {
        let mut now = NOW;
        let run_at = now.after(Duration::from_micros(delay));
        let (mut life, created) =
            Life::create(TaskId(1), "noop".parse().unwrap(), None, Priority::default(), max_attempts, run_at, now);
        let mut events = vec![created];
        let mut completions = 0;
        let mut outcomes = BTreeSet::new();
        let mut deleted = false;
        for step in steps {
            now = now.after(Duration::from_micros(step.wait));
            let before = life.clone();
            let Ok((after, event)) = take(step, &life, now) else {
                continue;
            };
            let Some(event) = event else {
                // A sign of life changes the lease and nothing else.
                let lease = after.lease();
                let holder = after.holder().cloned().unwrap();
                let told = Life { state: State::InProgress { holder, lease }, ..before.clone() };
                prop_assert_eq!((&after, step.verb), (&told, Verb::Heartbeat));
                life = after;
                continue;
            };
            events.push(event.clone());
            if step.verb == Verb::Delete {
                deleted = true;
                break;
            }
            prop_assert_eq!(invariants::step(&before, &after, &event), Ok(()));
            prop_assert!(after.attempt >= before.attempt);
            prop_assert!(before.status() != Status::Completed, "{:?} of a completed task", step);
            prop_assert!(after.failures <= max_attempts && after.crashes <= POISON_CRASHES);
            prop_assert_eq!(after.is_suspect(), after.crashes >= SUSPECT_CRASHES);
            let outside = after.holder().is_some_and(|holder| holder.node().is_none());
            prop_assert_eq!(after.lease().is_some(), outside, "a lease of its own is for holders outside");
            prop_assert!(!outside || after.assignee == Some(UserId(3)));
            prop_assert!(after.status() != Status::New || after.assignee.is_none(), "nobody has it");
            if before.status() == Status::InProgress && after.status() != Status::InProgress {
                prop_assert!(outcomes.insert(before.attempt), "attempt {} ended twice", before.attempt);
            }
            completions += u32::from(after.status() == Status::Completed);
            life = after;
        }
        prop_assert!(completions <= 1);

        let (mut told, mut heard) = (invariants::History::default(), invariants::History::default());
        for event in &events {
            prop_assert_eq!(told.tell(event.fact.name(), event.attempt), Ok(()));
            prop_assert_eq!(heard.hear(event), Ok(()));
        }
        prop_assert_eq!(&told, &heard);
        prop_assert_eq!(told.status(), if deleted { None } else { Some(life.status()) });
    }

    #[test]
    fn a_history_with_an_event_doubled_or_left_out_is_noticed(steps in steps(), at in any::<proptest::sample::Index>()) {
        let (mut life, created) =
            Life::create(TaskId(1), "noop".parse().unwrap(), None, Priority::default(), 3, NOW, NOW);
        let mut events = vec![created];
        let mut now = NOW;
        for step in steps {
            now = now.after(Duration::from_micros(step.wait));
            // Progress may be said twice, or be passed over, without anybody being wrong.
            if step.verb != Verb::Progress && step.verb != Verb::Delete
                && let Ok((after, event)) = take(step, &life, now)
            {
                life = after;
                events.extend(event);
            }
        }
        let at = at.index(events.len());
        let replay = |events: &[Event]| {
            let mut history = invariants::History::default();
            events.iter().try_for_each(|event| history.hear(event)).map(|()| history.status())
        };
        let mut doubled = events.clone();
        doubled.insert(at, events[at].clone());
        prop_assert!(replay(&doubled).is_err(), "{:?} twice", events[at]);
        let mut fewer = events.clone();
        let missing = fewer.remove(at);
        // A task may be cancelled from where it ran or from where it waits: nobody can tell.
        let either = missing.fact.name() == EventName::Retrying
            && fewer.get(at).is_some_and(|next| next.fact == Fact::Cancelled);
        prop_assert!(either || replay(&fewer) != Ok(Some(life.status())), "{:?} left out", missing);
    }
}
