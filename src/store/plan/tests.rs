//! What a group does, where the conformance suite cannot look; and tables in memory that random groups must
//! leave whole.

mod outside;
mod random;

use std::time::Duration;

use super::*;
use crate::account::Token;
use crate::store::command::{Rescued, Taken, Word};
use crate::task::invariants::History;
use crate::task::{
    Backoff, EventName, Failure, FailureReason, Holder, Json, Percent, Priority, RecordingId, Role, State,
};

const BACKOFF: Backoff = Backoff { base: Duration::from_micros(8), cap: Duration::from_micros(100) };
const ANYBODY: Caller = Caller::Anonymous;

fn kind(name: &str) -> Kind {
    name.parse().unwrap()
}

fn node(number: u128) -> NodeId {
    NodeId(uuid::Uuid::from_u128(number))
}

fn new_task() -> NewTask {
    NewTask { max_attempts: 2, ..NewTask::plain(kind("noop"), None) }
}

fn urgent(priority: i64) -> NewTask {
    NewTask { priority: Priority::new(priority).unwrap(), ..new_task() }
}

fn claim(by: NodeId, want: u32) -> Command {
    let want = vec![(kind("noop"), want)];
    Command::Claim(Claim { node: by, want, known: Vec::new(), look: true, promote: true, suspect: false })
}

fn settle(task: TaskId, attempt: u32, outcome: Outcome) -> Command {
    Command::Settle { task, attempt: Attempt(attempt), outcome, backoff: BACKOFF, image: None }
}

fn done() -> Outcome {
    Outcome::Completed { result: Json::null(), output: None, drop_input: false }
}

/// The command, to count once. Only what went well is remembered: by the number of the task.
fn once(key: &str, request: &str, command: Command) -> Command {
    let answer = |reply: &Reply| {
        let task = if let Reply::Created(tasks) = reply {
            tasks.first().map(|accepted| &accepted.task)?
        } else if let Reply::Taken(Ok(Taken::Task(task))) | Reply::Changed(Ok(task)) = reply {
            task
        } else {
            return None;
        };
        Some(RememberedAnswer { status: 200, location: None, body: task.life.id.to_string() })
    };
    let remember = Remember {
        scope: "anybody".into(),
        key: key.into(),
        request: request.into(),
        keep: Duration::from_secs(60),
        answer: std::sync::Arc::new(answer),
    };
    Command::Once { remember, command: Box::new(command) }
}

fn attachment() -> Attachment {
    Attachment { role: Role::Input, blob: crate::task::BlobName::of_digest(&[7; 32]), bytes: 1 }
}

/// The tables that a group reads and writes, as plainly as can be: what an adapter does, without SQL. `manual` is
/// done outside.
struct Tables {
    now: Timestamp,
    outside: OutsideKinds,
    tasks: BTreeMap<TaskId, Task>,
    ready: BTreeMap<TaskId, ReadyRow>,
    histories: BTreeMap<TaskId, History>,
    next: i64,
    /// Nodes whose lease is over, and whether they are known to live.
    over: HashMap<NodeId, bool>,
    /// What was answered to which request: what was asked, and the answer.
    remembered: HashMap<(String, String), (String, RememberedAnswer)>,
    /// Where callbacks stand: whether there is something to tell.
    callbacks: BTreeMap<TaskId, bool>,
    counted: i64,
    pauses: BTreeMap<Kind, Pause>,
}

impl Tables {
    fn new() -> Self {
        Self {
            now: Timestamp::from_micros(1_000),
            outside: OutsideKinds::from([kind("manual")]),
            tasks: BTreeMap::new(),
            ready: BTreeMap::new(),
            histories: BTreeMap::new(),
            next: 1,
            over: HashMap::new(),
            remembered: HashMap::new(),
            callbacks: BTreeMap::new(),
            counted: 0,
            pauses: BTreeMap::new(),
        }
    }

    /// Makes a group one transaction.
    fn commit(&mut self, commands: &[Command]) -> (Vec<Reply>, Vec<Event>) {
        let (replies, changes) = plan(commands, self.load(Needs::of(commands)), &self.outside.clone());
        assert_eq!(replies.len(), commands.len());
        let events = changes.events.clone();
        let started = events.iter().filter(|event| event.fact.name() == EventName::Started);
        for event in started {
            assert!(!self.pauses.contains_key(&event.kind), "it starts while its kind is paused: {event:?}");
        }
        self.write(changes);
        self.look_whole();
        (replies, events)
    }

    fn load(&mut self, mut needs: Needs) -> Loaded {
        needs.hold_back(&self.pauses);
        let found: Vec<Found> = needs.claims.iter().map(|claim| self.take(claim)).collect();
        let lost: Vec<(TaskId, Lost)> = self
            .tasks
            .values()
            .filter_map(|task| Some((task.life.id, self.lost(task)?)))
            .take(needs.rescue.map_or(0, |(limit, _)| limit as usize))
            .collect();
        let taken: Vec<Option<TaskId>> = needs.takes.iter().map(|take| self.take_outside(take)).collect();
        let claimed = found.iter().flat_map(|found| &found.taken).chain(taken.iter().flatten());
        let wanted: HashSet<&TaskId> =
            needs.tasks.iter().chain(claimed).chain(lost.iter().map(|(task, _)| task)).collect();
        let mut tasks: Vec<Task> = wanted.iter().filter_map(|id| self.tasks.get(id).cloned()).collect();
        let keys = needs.unique_keys(&tasks);
        let living = self.tasks.values().filter(|task| !task.life.status().is_terminal());
        let unique: HashMap<UniqueKey, TaskId> = living
            .filter_map(|task| Some((unique_key(task)?, task.life.id)))
            .filter(|(key, _)| keys.contains(key))
            .collect();
        tasks.extend(unique.values().filter(|id| !wanted.contains(id)).map(|id| self.tasks[id].clone()));
        let asked = |(name, _): &(&(String, String), _)| needs.requests.contains(name);
        let answered = self.remembered.iter().filter(asked);
        let count = i64::try_from(needs.new_tasks).unwrap();
        self.next += count;
        Loaded {
            now: self.now,
            tasks,
            task_ids: (self.next - count..self.next).map(TaskId).collect(),
            user_ids: (1..=100).map(UserId).take(needs.new_users).collect(),
            users: Vec::new(),
            counters: HashMap::new(),
            usage: HashMap::new(),
            purged: Vec::new(),
            taken_emails: HashSet::new(),
            found,
            taken,
            unique,
            answered: answered.map(|(name, answer)| (name.clone(), answer.clone())).collect(),
            lost,
            pauses: self.pauses.clone(),
        }
    }

    fn lost(&self, task: &Task) -> Option<Lost> {
        let life = &task.life;
        if expired(task, self.now).is_some() {
            return Some(Lost::Waiting);
        }
        if life.lease().is_some_and(|lease| lease.until <= self.now) {
            return Some(Lost::Outside);
        }
        let spared = *self.over.get(&life.holder()?.node()?)?;
        Some(if spared { Lost::Spared } else { Lost::Node })
    }

    fn take_outside(&mut self, take: &Take) -> Option<TaskId> {
        let Wanted::Kinds(kinds) = &take.wanted else { return None };
        let row = self
            .ready
            .values()
            .filter(|row| row.lane == Lane::Outside && kinds.contains(&row.kind))
            .filter(|row| take.caller.may_take(row.owner))
            .min_by_key(|row| (row.rank, row.run_at, row.task))?
            .task;
        self.ready.remove(&row);
        Some(row)
    }

    fn take(&mut self, claim: &Claim) -> Found {
        let mut found = Found { lease_holds: !self.over.contains_key(&claim.node), ..Found::default() };
        if !found.lease_holds {
            return found;
        }
        if claim.promote {
            for row in
                self.ready.values_mut().filter(|row| row.lane == Lane::Parked && row.run_at <= self.now)
            {
                row.lane = row.home;
            }
        }
        for (kind, limit) in claim.want.iter().filter(|_| claim.look) {
            let (lane, limit) = if claim.suspect { (Lane::Suspect, 1) } else { (Lane::Open, *limit) };
            let mut rows: Vec<&ReadyRow> =
                self.ready.values().filter(|row| row.lane == lane && row.kind == *kind).collect();
            rows.sort_by_key(|row| (row.rank, row.run_at, row.task));
            found.taken.extend(rows.iter().take(limit as usize).map(|row| row.task));
        }
        self.ready.retain(|task, _| !found.taken.contains(task));
        found
    }

    fn write(&mut self, changes: Changes) {
        for id in changes.deleted {
            assert!(self.tasks.remove(&id).is_some(), "no task {id} to delete");
        }
        for (life, status, attempt) in changes.updated.into_iter().chain(changes.revived) {
            let row = self.tasks.get_mut(&life.id).expect("a row to change");
            assert_eq!((row.life.status(), row.life.attempt), (status, attempt), "the row as it was");
            row.life = life;
            self.look_unique();
        }
        for task in changes.created {
            assert!(matches!(
                task.life.state,
                State::New { .. } | State::InProgress { .. } | State::Cancelled { .. }
            ));
            assert_eq!((task.life.failures, task.life.crashes), (0, 0), "the insert writes zeros");
            assert_eq!((task.life.assignee, task.life.lease()), (None, None), "nor has it these columns");
            assert!(self.tasks.insert(task.life.id, task).is_none(), "a number used twice");
            self.look_unique();
        }
        for id in changes.ready_removed {
            assert!(self.ready.remove(&id).is_some(), "no ready row of task {id} to remove");
        }
        for row in changes.ready_added {
            assert!(self.ready.insert(row.task, row).is_none(), "a second ready row");
        }
        for (id, _) in &changes.attachments {
            assert!(self.tasks.contains_key(id), "an attachment of no task");
        }
        for (_, id, ..) in &changes.recordings {
            assert!(self.tasks.contains_key(id), "a recording of no task");
        }
        for (id, _) in &changes.replies {
            assert!(self.tasks.contains_key(id), "a reply address of no task");
        }
        for (id, _) in changes.callbacks {
            assert!(self.callbacks.insert(id, true).is_none(), "a second callback");
        }
        for id in changes.to_tell {
            self.callbacks.insert(id, true).expect("a callback to wake");
        }
        for (remember, answer, until) in changes.answers {
            assert!(until > self.now);
            let before = self.remembered.insert((remember.scope, remember.key), (remember.request, answer));
            assert_eq!(before, None, "a request answered twice");
        }
        for (kind, pause) in changes.pauses {
            match pause {
                Some(pause) => self.pauses.insert(kind, pause),
                None => self.pauses.remove(&kind),
            };
        }
        self.counted += changes.counts.values().sum::<i64>();
        for event in &changes.events {
            assert_eq!(event.at, self.now);
            self.histories.entry(event.task).or_default().hear(event).unwrap();
            let pending = self.callbacks.get(&event.task);
            assert!(event.fact.name() == EventName::Progress || pending != Some(&false), "untold: {event:?}");
        }
    }

    /// Tells all that there is to tell.
    fn tell(&mut self) {
        self.callbacks.values_mut().for_each(|pending| *pending = false);
    }

    /// A ready row exactly for each waiting task, and each task where its events left it.
    fn look_whole(&self) {
        let waiting: Vec<TaskId> = self
            .tasks
            .values()
            .filter(|task| task.life.status() == Status::New)
            .map(|task| task.life.id)
            .collect();
        assert_eq!(self.ready.keys().copied().collect::<Vec<_>>(), waiting, "ready rows and waiting tasks");
        for row in self.ready.values() {
            let life = &self.tasks[&row.task].life;
            let home = match (self.outside.contains(&life.kind), life.is_suspect()) {
                (true, _) => Lane::Outside,
                (false, true) => Lane::Suspect,
                (false, false) => Lane::Open,
            };
            assert_eq!((Some(row.run_at), row.home), (life.run_at(), home), "{life:?}");
            assert_eq!((&row.kind, row.owner, row.rank), (&life.kind, life.owner, -life.priority.get()));
            if row.lane != Lane::Parked {
                assert!(row.lane == row.home && row.run_at <= self.now, "{row:?} at {}", self.now);
            }
        }
        assert_eq!(self.counted, i64::try_from(self.histories.len()).unwrap(), "each was made once");
        for (id, history) in &self.histories {
            assert_eq!(history.status(), self.tasks.get(id).map(|task| task.life.status()), "task {id}");
        }
    }

    /// What the databases' unique index asks, at each moment of a write.
    fn look_unique(&self) {
        let mut keys = HashSet::new();
        for task in self.tasks.values().filter(|task| !task.life.status().is_terminal()) {
            assert!(unique_key(task).is_none_or(|key| keys.insert(key)), "two live with one key: {task:?}");
        }
    }

    fn status(&self, id: i64) -> Option<Status> {
        self.tasks.get(&TaskId(id)).map(|task| task.life.status())
    }
}

fn claimed(reply: &Reply) -> Vec<i64> {
    let Reply::Claimed(claimed) = reply else { panic!("{reply:?}") };
    claimed.tasks.iter().map(|task| task.life.id.0).collect()
}

fn names(events: &[Event]) -> Vec<(i64, EventName)> {
    events.iter().map(|event| (event.task.0, event.fact.name())).collect()
}

#[test]
fn a_claim_sees_what_its_group_made_wherever_it_stands_in_the_group() {
    let mut tables = Tables::new();
    let (replies, events) =
        tables.commit(&[claim(node(1), 9), Command::Create(vec![new_task(), urgent(5), urgent(5)])]);
    assert_eq!(claimed(&replies[0]), [2, 3, 1], "the most urgent first, and the older of two");
    assert!(tables.ready.is_empty(), "started with their insert");
    let of = |id| [(id, EventName::Created), (id, EventName::Started)];
    for id in 1..=3 {
        assert!(of(id).iter().all(|told| names(&events).contains(told)));
    }
}

#[test]
fn what_waited_before_goes_first_and_several_claims_share_what_is_new() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task()])]);
    let create = Command::Create(vec![urgent(9), urgent(9), urgent(9)]);
    let (replies, _) = tables.commit(&[create, claim(node(1), 2), claim(node(2), 1), claim(node(1), 9)]);
    assert_eq!(claimed(&replies[1]), [1, 2]);
    assert_eq!(claimed(&replies[2]), [3], "the first claim left some, and the second finds them");
    assert_eq!(claimed(&replies[3]), [4]);
    let more = |reply: &Reply| matches!(reply, Reply::Claimed(claimed) if !claimed.more.is_empty());
    assert_eq!((more(&replies[1]), more(&replies[2]), more(&replies[3])), (true, true, false));
}

#[test]
fn a_node_without_a_lease_gets_nothing_old_and_nothing_new() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task()])]);
    tables.over.insert(node(1), false);
    let (replies, _) = tables.commit(&[Command::Create(vec![new_task()]), claim(node(1), 9)]);
    assert_eq!(claimed(&replies[1]), Vec::<i64>::new());
    assert_eq!(tables.ready.len(), 2);
}

#[test]
fn a_task_cancelled_or_parked_in_the_group_that_made_it_is_not_started() {
    let mut tables = Tables::new();
    let later = NewTask { run_at: Some(Timestamp::from_micros(9_000)), ..new_task() };
    let cancel = Command::Cancel { task: TaskId(1), caller: ANYBODY };
    let (replies, _) = tables.commit(&[Command::Create(vec![new_task(), later]), cancel, claim(node(1), 9)]);
    assert_eq!(claimed(&replies[2]), Vec::<i64>::new());
    assert_eq!(tables.status(1), Some(Status::Cancelled));
    assert_eq!(tables.ready[&TaskId(2)].lane, Lane::Parked);
}

#[test]
fn a_task_deleted_in_the_group_that_made_it_leaves_nothing_but_its_events() {
    let mut tables = Tables::new();
    let recording = NewRecording { id: RecordingId::fresh(), filename: "a.wav".into() };
    let made = NewTask { attachments: vec![attachment()], recording: Some(recording), ..new_task() };
    let delete = Command::Delete { task: TaskId(1), caller: ANYBODY };
    let (_, events) = tables.commit(&[Command::Create(vec![made, new_task()]), delete]);
    let expected = [(1, EventName::Created), (2, EventName::Created), (1, EventName::Deleted)];
    assert_eq!(names(&events), expected);
    assert_eq!(tables.tasks.len(), 1);
}

#[test]
fn commands_about_one_task_take_effect_in_the_order_they_came() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task()]), claim(node(1), 1)]);
    let cancel = || Command::Cancel { task: TaskId(1), caller: ANYBODY };
    let retry = Command::Retry { task: TaskId(1), caller: ANYBODY };
    let (replies, events) =
        tables.commit(&[cancel(), settle(TaskId(1), 1, done()), cancel(), retry, claim(node(2), 1)]);
    assert!(matches!(&replies[0], Reply::Changed(Ok(_))));
    let stale = |reply: &Reply| {
        matches!(reply, Reply::Settled(Err(Refused::Illegal(IllegalTransition::Stale { .. }))))
    };
    assert!(stale(&replies[1]), "{:?}", replies[1]);
    assert!(matches!(&replies[2], Reply::Changed(Err(Refused::Illegal(_)))), "{:?}", replies[2]);
    assert!(matches!(&replies[3], Reply::Changed(Ok(_))));
    // Its ready row comes with this commit, so the next claim finds it.
    assert_eq!(claimed(&replies[4]), Vec::<i64>::new());
    assert_eq!(names(&events), [(1, EventName::Cancelled), (1, EventName::Retrying)]);
    let (replies, _) = tables.commit(&[claim(node(2), 1)]);
    assert_eq!(claimed(&replies[0]), [1]);
    assert_eq!(tables.tasks[&TaskId(1)].life.attempt, Attempt(2));
}

#[test]
fn of_two_outcomes_in_one_group_the_first_counts() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task()]), claim(node(1), 1)]);
    let (replies, events) =
        tables.commit(&[settle(TaskId(1), 1, Outcome::Interrupted), settle(TaskId(1), 1, done())]);
    assert!(matches!(&replies[0], Reply::Settled(Ok(_))));
    assert!(matches!(&replies[1], Reply::Settled(Err(_))));
    assert_eq!(names(&events), [(1, EventName::Retrying)]);
}

#[test]
fn an_outcome_in_the_group_of_its_rescue_wins_when_it_comes_first() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task(), new_task()]), claim(node(1), 2)]);
    tables.over.insert(node(1), false);
    let (replies, _) = tables.commit(&[
        settle(TaskId(1), 1, done()),
        Command::Rescue { limit: 10, except: None, backoff: BACKOFF },
        settle(TaskId(2), 1, done()),
        Command::Rescue { limit: 10, except: None, backoff: BACKOFF },
    ]);
    let rescued = |reply: &Reply| {
        let Reply::Rescued(rescued) = reply else { panic!("{reply:?}") };
        *rescued
    };
    assert_eq!(rescued(&replies[1]), Rescued { tasks: 1, more: false });
    assert_eq!(rescued(&replies[3]), Rescued { tasks: 0, more: false });
    assert!(matches!(&replies[2], Reply::Settled(Err(_))), "too late");
    assert_eq!((tables.status(1), tables.status(2)), (Some(Status::Completed), Some(Status::New)));
    assert_eq!(tables.tasks[&TaskId(2)].life.crashes, 1);
}

#[test]
fn only_a_holder_that_is_known_to_live_is_without_blame() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task()]), claim(node(1), 1)]);
    tables.commit(&[Command::Create(vec![new_task()]), claim(node(2), 1)]);
    tables.over = HashMap::from([(node(1), true), (node(2), false)]);
    tables.commit(&[Command::Rescue { limit: 10, except: None, backoff: BACKOFF }]);
    let crashes = |id| tables.tasks[&TaskId(id)].life.crashes;
    assert_eq!((crashes(1), crashes(2)), (0, 1));
}

#[test]
fn a_suspect_made_innocent_by_hand_leaves_the_lane_of_suspects_at_the_same_instant_too() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task()])]);
    for crash in 1..=2 {
        tables.commit(&[claim(node(crash), 1)]);
        tables.over.insert(node(crash), false);
        tables.commit(&[Command::Rescue { limit: 1, except: None, backoff: BACKOFF }]);
    }
    assert_eq!(tables.ready[&TaskId(1)].lane, Lane::Suspect);
    let wish = |task, caller| [Command::Cancel { task, caller }, Command::Retry { task, caller }];
    tables.commit(&wish(TaskId(1), ANYBODY));
    assert_eq!(tables.ready[&TaskId(1)].lane, Lane::Open);
}

#[test]
fn deleting_what_runs_tells_of_its_end_first() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![new_task()]), claim(node(1), 1)]);
    let delete = Command::Delete { task: TaskId(1), caller: ANYBODY };
    let (replies, events) = tables.commit(&[delete, settle(TaskId(1), 1, done())]);
    assert_eq!(names(&events), [(1, EventName::Cancelled), (1, EventName::Deleted)]);
    assert!(matches!(&replies[1], Reply::Settled(Err(Refused::NotFound(_)))));
}

#[test]
fn a_stranger_changes_nothing_and_learns_nothing() {
    let mut tables = Tables::new();
    tables.commit(&[Command::Create(vec![NewTask { owner: Some(UserId(1)), ..new_task() }])]);
    for caller in [ANYBODY, Caller::User(UserId(2))] {
        let task = TaskId(1);
        let wishes = [
            Command::Cancel { task, caller },
            Command::Retry { task, caller },
            Command::Delete { task, caller },
        ];
        let (replies, events) = tables.commit(&wishes);
        assert!(events.is_empty());
        for reply in replies {
            assert!(matches!(reply, Reply::Changed(Err(Refused::NotFound(_)))), "{reply:?}");
        }
    }
}

#[test]
fn of_two_users_with_one_email_in_one_group_the_first_is_made() {
    let user = || {
        let email = Some("ann@example.com".parse().unwrap());
        Command::CreateUser(NewUser::new(None, email, Token::fresh().hash()).unwrap())
    };
    let commands = [user(), user()];
    let (replies, changes) = plan(&commands, Tables::new().load(Needs::of(&commands)), &OutsideKinds::new());
    assert!(matches!(&replies[0], Reply::UserCreated(Some(_))));
    assert!(matches!(&replies[1], Reply::UserCreated(None)));
    assert_eq!(changes.users.len(), 1);
}

#[test]
fn what_is_needed_is_named_once_and_in_one_order() {
    let cancel = |task| Command::Cancel { task: TaskId(task), caller: ANYBODY };
    let needs = Needs::of(&[
        cancel(9),
        cancel(2),
        settle(TaskId(9), 1, done()),
        Command::Rescue { limit: 3, except: None, backoff: BACKOFF },
    ]);
    assert_eq!(needs.tasks, [TaskId(2), TaskId(9)]);
    assert_eq!(needs.rescue, Some((3, None)));
}
