//! What a group of commands does, decided in memory. Pure.
//!
//! The adapters load and lock what [`Needs`] names, call [`plan`], and write the [`Changes`]. Settlements of
//! runs, acceptances and wishes are applied in the order they came; claims last, so that they can take what
//! the same group made ready.

mod bulk;
mod holders;
mod keys;
mod outside;
mod pauses;
mod spans;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::command::{
    Accepted, Claim, Command, NewImage, NewRecording, NewReport, NewTask, Refused, Remember,
    RememberedAnswer, Reply, ReplyTo, Settled, Take, Usage, Wanted,
};
use super::{Pause, Span};
use crate::account::{Caller, Change, CounterName, Counters, NewUser, TokenHash, User, UserChange};
use crate::media::image::Facts;
use crate::task::{
    Attachment, Attempt, Event, EventName, FailureReason, IllegalTransition, Kind, Life, NodeId, Outcome,
    Status, Task, TaskId, Timestamp, UserId, invariants,
};

/// What must be loaded, and locked, before a group can be planned.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Tasks that commands name.
    pub(super) tasks: Vec<TaskId>,
    /// How many new numbers for tasks.
    pub(super) new_tasks: usize,
    /// How many new numbers for users.
    pub(super) new_users: usize,
    /// E-mails of which to say whether they are taken.
    pub(super) emails: Vec<String>,
    /// Whether it matters which kinds are paused.
    pub(super) pauses: bool,
    /// The claims, in order.
    pub(super) claims: Vec<Claim>,
    /// What is taken from outside by kind, in order.
    pub(super) takes: Vec<Take>,
    /// Unique keys of which to say which task lives with them.
    pub(super) unique: Vec<UniqueKey>,
    /// Requests of which to say whether they were answered before: scope and key.
    pub(super) requests: Vec<(String, String)>,
    /// Users that commands name.
    pub(super) users: Vec<UserId>,
    /// Whose counters.
    pub(super) counters: Vec<UserId>,
    /// Whose images to count.
    pub(super) usage: Vec<Option<UserId>>,
    /// How many tasks of users who are gone.
    pub(super) purge: Option<u32>,
    /// How many tasks of dead nodes, and which node is not to be taken for one.
    pub(super) rescue: Option<(u32, Option<NodeId>)>,
}

/// Of which task only one lives: its owner, kind and key.
pub(super) type UniqueKey = (Option<UserId>, Kind, String);

impl Needs {
    pub(super) fn of(commands: &[Command]) -> Self {
        let mut needs = Self::default();
        commands.iter().for_each(|command| needs.add(command));
        // In one order everywhere, so that two nodes cannot wait for each other's locks.
        needs.tasks.sort_unstable();
        needs.tasks.dedup();
        needs.users.sort_unstable();
        needs.users.dedup();
        needs.counters.sort_unstable();
        needs.counters.dedup();
        needs.usage.sort_unstable();
        needs.usage.dedup();
        needs
    }

    /// The unique keys to look for: those of new tasks, and those that ended tasks would have again when retried.
    pub(super) fn unique_keys(&self, tasks: &[Task]) -> Vec<UniqueKey> {
        let ended = tasks.iter().filter(|task| task.life.status().is_terminal());
        let mut keys: Vec<UniqueKey> =
            self.unique.iter().cloned().chain(ended.filter_map(unique_key)).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::Create(tasks) => {
                self.new_tasks += tasks.len();
                let keys = tasks
                    .iter()
                    .filter_map(|task| Some((task.owner, task.kind.clone(), task.unique_key.clone()?)));
                self.unique.extend(keys);
                let limited = |task: &&NewTask| task.adds().is_some_and(|(_, quota)| quota.limits());
                self.usage.extend(tasks.iter().filter(limited).map(|task| task.owner));
            }
            Command::Claim(claim) => {
                self.pauses = true;
                self.claims.push(claim.clone());
            }
            Command::Take(take) => {
                self.pauses = true;
                match &take.wanted {
                    Wanted::Kinds(_) => self.takes.push(take.clone()),
                    Wanted::Id(task) => self.tasks.push(*task),
                }
            }
            Command::Bulk { tasks, .. } | Command::Expire { tasks, .. } => self.tasks.extend(tasks),
            Command::SetPaused { .. } => self.pauses = true,
            Command::Settle { task, .. }
            | Command::Progress { task, .. }
            | Command::Word { task, .. }
            | Command::Cancel { task, .. }
            | Command::Retry { task, .. }
            | Command::Delete { task, .. } => self.tasks.push(*task),
            Command::Rescue { limit, except, .. } => self.rescue = Some((*limit, *except)),
            Command::CreateUser(user) => {
                self.new_users += 1;
                self.emails.extend(user.email().map(|email| email.as_str().to_owned()));
            }
            Command::ChangeUser { user, change, .. } => {
                self.users.push(*user);
                if let Change::Set(email) = &change.email {
                    self.emails.push(email.as_str().to_owned());
                }
            }
            Command::DeleteUser { user, .. } => self.users.push(*user),
            Command::ChangeCounters { user, .. } => {
                // Locked with their user, so that no change of another node is lost.
                self.users.push(*user);
                self.counters.push(*user);
            }
            Command::Purge { limit } => self.purge = Some(*limit),
            Command::Once { remember, command } => {
                self.requests.push((remember.scope.clone(), remember.key.clone()));
                self.add(command);
            }
        }
    }
}

/// What was loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The store's time.
    pub(super) now: Timestamp,
    /// Every task that was named, taken or lost, as its row says.
    pub(super) tasks: Vec<Task>,
    /// New numbers, as many as needed, ascending.
    pub(super) task_ids: Vec<TaskId>,
    /// Likewise for users.
    pub(super) user_ids: Vec<UserId>,
    /// Those of the needed e-mails that are taken.
    pub(super) taken_emails: HashSet<String>,
    /// The needed users, as far as they are there.
    pub(super) users: Vec<User>,
    /// The needed counters; who is not named has none.
    pub(super) counters: HashMap<UserId, Counters>,
    /// What those have whose images were to be counted; who is not named has nothing.
    pub(super) usage: HashMap<Option<UserId>, Usage>,
    /// Tasks of users who are gone, or in their hands.
    pub(super) purged: Vec<(TaskId, Gone)>,
    /// For each claim, in order: what was found for it.
    pub(super) found: Vec<Found>,
    /// For each take by kind, in order: the task that was found, its ready row already gone.
    pub(super) taken: Vec<Option<TaskId>>,
    /// The living tasks of the needed unique keys.
    pub(super) unique: HashMap<UniqueKey, TaskId>,
    /// Those of the needed requests that were answered before: what was asked, and the answer.
    pub(super) answered: HashMap<(String, String), (String, RememberedAnswer)>,
    /// Tasks that go on without their holder, or not at all.
    pub(super) lost: Vec<(TaskId, Lost)>,
    /// The kinds that are paused, where that matters.
    pub(super) pauses: BTreeMap<Kind, Pause>,
}

/// What became of a task that is to be rescued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its node's lease ran out, and the node is taken for dead.
    Node,
    /// Its node's lease ran out, but the node is known to live (it drained, or lost its lease without dying):
    /// nothing is held against the task.
    Spared,
    /// The lease of whoever has it outside ran out.
    Outside,
    /// It waits, and it is too late to start it.
    Waiting,
}

/// Who of a task is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// Whose it is.
    Owner,
    /// Who has it in hand, or had when it was looked for.
    Assignee(UserId),
}

/// What a claim found in the ready table; the rows are already gone from it.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether the claimer's lease still holds; when not, nothing was taken.
    pub(super) lease_holds: bool,
    /// In the order of urgency.
    pub(super) taken: Vec<TaskId>,
    pub(super) suspect_waits: bool,
    pub(super) next_due: Option<Timestamp>,
}

/// What to write.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New tasks, as they are at the end of the group.
    pub(super) created: Vec<Task>,
    /// Changed lives, each with the status and attempt that its row must still have.
    pub(super) updated: Vec<(Life, Status, Attempt)>,
    /// Likewise those that had ended and live again: written after the others, which may free their unique keys, and
    /// before what is new.
    pub(super) revived: Vec<(Life, Status, Attempt)>,
    pub(super) deleted: Vec<TaskId>,
    pub(super) ready_added: Vec<ReadyRow>,
    pub(super) ready_removed: Vec<TaskId>,
    pub(super) attachments: Vec<(TaskId, Attachment)>,
    pub(super) inputs_dropped: Vec<TaskId>,
    pub(super) recordings: Vec<(NewRecording, TaskId, Option<UserId>, Timestamp)>,
    pub(super) images: Vec<(NewImage, TaskId, Option<UserId>, Timestamp)>,
    /// Pictures that came with tasks, whose they are, and their bytes.
    pub(super) pictures: Vec<(TaskId, Option<UserId>, u64)>,
    /// Images of which all is known now: that, and the size of what is stored.
    pub(super) images_ready: Vec<(TaskId, Facts, u64)>,
    /// Images that are none: their tasks keep the reason, and nothing else.
    pub(super) images_refused: Vec<TaskId>,
    pub(super) users: Vec<(User, NewUser)>,
    pub(super) users_changed: Vec<ChangedUser>,
    pub(super) users_deleted: Vec<(UserId, Timestamp)>,
    pub(super) counters: BTreeMap<UserId, ChangedCounters>,
    pub(super) reports: Vec<(NewReport, TaskId, UserId, Timestamp)>,
    /// Forget the numbers of users who were removed before this instant, and of whom nothing is left.
    pub(super) forget_users: Option<Timestamp>,
    /// Answers to remember, and until when.
    pub(super) answers: Vec<(Remember, RememberedAnswer, Timestamp)>,
    /// How many tasks were made, by owner.
    pub(super) counts: BTreeMap<Option<UserId>, i64>,
    /// New tasks of which to tell, and where.
    pub(super) callbacks: Vec<(TaskId, String)>,
    /// Tasks of which there is something new to tell.
    pub(super) to_tell: BTreeSet<TaskId>,
    pub(super) replies: Vec<(TaskId, ReplyTo)>,
    pub(super) events: Vec<Event>,
    /// Forget nodes whose lease ran out before this instant, and that hold nothing any more.
    pub(super) forget_nodes: Option<Timestamp>,
    /// How long tasks waited that started, and tries took that ended.
    pub(super) spans: Vec<Span>,
    /// Kinds that are paused from now on, and those that are not any more.
    pub(super) pauses: BTreeMap<Kind, Option<Pause>>,
}

/// Counters of a user that changed.
#[derive(Debug, Clone)]
pub(super) struct ChangedCounters {
    /// When.
    pub(super) at: Timestamp,
    /// Those that went, if only for a while: their history goes.
    pub(super) gone: BTreeSet<CounterName>,
    /// Those that have another value then, and which.
    pub(super) set: BTreeMap<CounterName, i64>,
}

/// A user who changed.
#[derive(Debug, Clone)]
pub(super) struct ChangedUser {
    /// As they are now.
    pub(super) user: User,
    pub(super) change: UserChange,
    /// When their sessions end by the change: which of them does not.
    pub(super) end_sessions: Option<Option<TokenHash>>,
}

/// A row of the ready table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReadyRow {
    pub(super) task: TaskId,
    pub(super) kind: Kind,
    /// Whose, for claims from outside.
    pub(super) owner: Option<UserId>,
    pub(super) lane: Lane,
    /// The lane to be in once its time has come.
    pub(super) home: Lane,
    /// The priority turned round, so that an ascending index finds the most urgent first.
    pub(super) rank: i64,
    pub(super) run_at: Timestamp,
}

/// Where a ready row waits. Only rows in the open lane are found by an ordinary claim, so a million tasks for
/// next week cost today's claims nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Open = 0,
    Parked = 1,
    Suspect = 2,
    /// For claims from outside.
    Outside = 3,
}

/// The kinds that are the work of others.
pub(super) type OutsideKinds = BTreeSet<Kind>;

/// Applies `commands` to what was loaded. `outside` are the kinds that workers outside do.
pub(super) fn plan(commands: &[Command], loaded: Loaded, outside: &OutsideKinds) -> (Vec<Reply>, Changes) {
    let mut planner = Planner::new(loaded, outside);
    let mut replies: Vec<Option<Reply>> = commands.iter().map(|command| planner.apply(command)).collect();
    for (command, reply) in commands.iter().zip(&mut replies) {
        if let Command::Claim(claim) = command {
            *reply = Some(Reply::Claimed(planner.claim(claim)));
        }
    }
    let replies = replies.into_iter().flatten().collect();
    (replies, planner.finish())
}

/// A task in hand.
struct InHand {
    task: Task,
    /// Status and attempt in the database; `None` for a task that this group creates.
    row: Option<(Status, Attempt)>,
    /// What its ready row says, while the database has one.
    ready: Option<Ready>,
    changed: bool,
    deleted: bool,
}

/// Of a ready row, what a change of the task may change.
#[derive(PartialEq)]
struct Ready {
    run_at: Timestamp,
    suspect: bool,
}

impl Ready {
    fn of(life: &Life) -> Option<Self> {
        life.run_at().map(|run_at| Self { run_at, suspect: life.is_suspect() })
    }
}

struct Planner<'a> {
    now: Timestamp,
    outside: &'a OutsideKinds,
    in_hand: BTreeMap<TaskId, InHand>,
    task_ids: std::vec::IntoIter<TaskId>,
    user_ids: std::vec::IntoIter<UserId>,
    taken_emails: HashSet<String>,
    users: HashMap<UserId, User>,
    counters: HashMap<UserId, Counters>,
    usage: HashMap<Option<UserId>, Usage>,
    purged: Vec<(TaskId, Gone)>,
    found: std::vec::IntoIter<Found>,
    taken: std::vec::IntoIter<Option<TaskId>>,
    /// Found for takes that were passed over.
    passed_over: Vec<TaskId>,
    unique: HashMap<UniqueKey, TaskId>,
    answered: HashMap<(String, String), (String, RememberedAnswer)>,
    lost: Vec<(TaskId, Lost)>,
    /// As they stand after the commands so far.
    pauses: BTreeMap<Kind, Pause>,
    /// Of which nothing starts in this group.
    held_back: BTreeSet<Kind>,
    /// Created in this group and still waiting, by kind.
    fresh: HashMap<Kind, Vec<TaskId>>,
    changes: Changes,
}

impl<'a> Planner<'a> {
    fn new(loaded: Loaded, outside: &'a OutsideKinds) -> Self {
        let claimed = loaded.found.iter().flat_map(|found| found.taken.iter().copied());
        let taken: HashSet<TaskId> = claimed.chain(loaded.taken.iter().flatten().copied()).collect();
        let in_hand = loaded
            .tasks
            .into_iter()
            .map(|task| {
                let life = &task.life;
                let row = Some((life.status(), life.attempt));
                // A claim of this very group has taken the rows of those away already.
                let ready = Ready::of(life).filter(|_| !taken.contains(&life.id));
                (life.id, InHand { task, row, ready, changed: false, deleted: false })
            })
            .collect();
        Self {
            now: loaded.now,
            outside,
            in_hand,
            task_ids: loaded.task_ids.into_iter(),
            user_ids: loaded.user_ids.into_iter(),
            taken_emails: loaded.taken_emails,
            users: loaded.users.into_iter().map(|user| (user.id, user)).collect(),
            counters: loaded.counters,
            usage: loaded.usage,
            purged: loaded.purged,
            found: loaded.found.into_iter(),
            taken: loaded.taken.into_iter(),
            passed_over: Vec::new(),
            unique: loaded.unique,
            answered: loaded.answered,
            lost: loaded.lost,
            held_back: loaded.pauses.keys().cloned().collect(),
            pauses: loaded.pauses,
            fresh: HashMap::new(),
            changes: Changes::default(),
        }
    }

    /// Applies a command; claims wait for the end.
    fn apply(&mut self, command: &Command) -> Option<Reply> {
        Some(match command {
            Command::Create(tasks) => match self.over_quota(tasks) {
                Some(refused) => refused,
                None => Reply::Created(tasks.iter().map(|task| self.create(task)).collect()),
            },
            Command::Claim(_) => return None,
            Command::Take(take) => Reply::Taken(self.take(take)),
            Command::Word { task, attempt, caller, word, backoff } => {
                Reply::Changed(self.word(*task, *attempt, *caller, word, backoff))
            }
            Command::Once { remember, command } => return self.once(remember, command),
            Command::Settle { task, attempt, outcome, backoff, image } => {
                let now = self.now;
                let settled = self.speak(*task, |life| match outcome {
                    Outcome::Completed { result, .. } => life.complete(*attempt, result.clone(), now),
                    Outcome::Failed(failure) => life.fail(*attempt, failure.clone(), backoff, now),
                    Outcome::Interrupted => life.release(*attempt, now),
                });
                if let (Ok(_), Outcome::Completed { output, drop_input, .. }) = (&settled, outcome) {
                    self.changes.attachments.extend(output.iter().map(|output| (*task, output.clone())));
                    self.changes.inputs_dropped.extend(drop_input.then_some(*task));
                    let bytes = output.as_ref().map_or(0, |output| output.bytes);
                    self.changes.images_ready.extend(image.iter().map(|facts| (*task, facts.clone(), bytes)));
                }
                if let (Ok(Settled { status: Status::Failed, .. }), Outcome::Failed(failure)) =
                    (&settled, outcome)
                    && failure.reason == FailureReason::InvalidInput
                {
                    self.changes.images_refused.push(*task);
                }
                Reply::Settled(settled)
            }
            Command::Progress { task, attempt, percent } => {
                let now = self.now;
                Reply::Settled(self.speak(*task, |life| life.progress(*attempt, *percent, now)))
            }
            Command::Cancel { task, caller } => Reply::Changed(self.cancel(*task, *caller)),
            Command::Retry { task, caller } => Reply::Changed(self.retry(*task, *caller)),
            Command::Delete { task, caller } => Reply::Changed(self.delete(*task, *caller)),
            Command::Rescue { limit, backoff, .. } => Reply::Rescued(self.rescue(*limit, backoff)),
            Command::CreateUser(user) => Reply::UserCreated(self.create_user(user)),
            Command::ChangeUser { user, caller, change, session } => {
                Reply::UserChanged(self.change_user(*user, *caller, change, session.as_ref()))
            }
            Command::DeleteUser { user, caller } => Reply::UserChanged(self.delete_user(*user, *caller)),
            Command::ChangeCounters { user, caller, change } => {
                Reply::CountersChanged(self.change_counters(*user, *caller, change))
            }
            Command::Purge { limit } => Reply::Purged(self.purge(*limit)),
            Command::Expire { tasks, status, before } => Reply::Purged(self.expire(tasks, *status, *before)),
            Command::Bulk { act, tasks, caller, so_far } => {
                Reply::Bulk(self.bulk(*act, tasks, *caller, *so_far))
            }
            Command::SetPaused { kind, paused, caller } => {
                let pause = self.set_paused(kind, *paused, *caller);
                Reply::PauseSet { kind: kind.clone(), pause }
            }
        })
    }

    fn create(&mut self, new: &NewTask) -> Accepted {
        let Some(id) = self.task_ids.next() else {
            unreachable!("as many numbers were drawn as tasks are created");
        };
        if let Some(living) = self.living(new) {
            return Accepted { task: living, fresh: false };
        }
        let run_at = new.run_at.unwrap_or(self.now).max(self.now);
        let (life, event) =
            Life::create(id, new.kind.clone(), new.owner, new.priority, new.max_attempts, run_at, self.now);
        let task = Task {
            life,
            payload: new.payload.clone(),
            tags: new.tags.clone(),
            timeout: new.timeout,
            created_at: self.now,
            unique_key: new.unique_key.clone(),
            callback: new.callback.clone(),
            traceparent: new.traceparent.clone(),
            expires_at: new.expires_in.map(|span| self.now.after(span)),
        };
        self.changes.events.push(event);
        *self.changes.counts.entry(new.owner).or_default() += 1;
        self.changes.attachments.extend(new.attachments.iter().map(|attachment| (id, attachment.clone())));
        self.changes.callbacks.extend(new.callback.iter().map(|url| (id, url.clone())));
        self.changes.replies.extend(new.reply_to.iter().map(|reply_to| (id, reply_to.clone())));
        if let Some(recording) = &new.recording {
            self.changes.recordings.push((recording.clone(), id, new.owner, self.now));
        }
        if let Some(image) = &new.image {
            self.changes.images.push((image.clone(), id, new.owner, self.now));
        }
        if let (Some(report), Some(owner)) = (new.report, new.owner) {
            self.changes.reports.push((report, id, owner, self.now));
        }
        self.changes.pictures.extend(new.picture.map(|picture| (id, new.owner, picture.bytes)));
        if let Some(key) = unique_key(&task) {
            self.unique.insert(key, id);
        }
        self.fresh.entry(new.kind.clone()).or_default().push(id);
        let in_hand = InHand { task: task.clone(), row: None, ready: None, changed: true, deleted: false };
        self.in_hand.insert(id, in_hand);
        Accepted { task, fresh: true }
    }

    /// A run's word about its task.
    fn speak(
        &mut self,
        id: TaskId,
        verb: impl FnOnce(&Life) -> Result<(Life, Event), IllegalTransition>,
    ) -> Result<Settled, Refused> {
        let task = self.change(id, verb)?;
        Ok(Settled { status: task.life.status(), run_at: task.life.run_at() })
    }

    /// A caller's wish about a task of theirs. What is not theirs is not there, to them.
    fn wish(
        &mut self,
        id: TaskId,
        caller: Caller,
        verb: impl FnOnce(&Life) -> Result<(Life, Event), IllegalTransition>,
    ) -> Result<Box<Task>, Refused> {
        self.may_touch(id, caller)?;
        self.change(id, verb).map(|task| Box::new(task.clone()))
    }

    fn may_touch(&self, id: TaskId, caller: Caller) -> Result<(), Refused> {
        match self.in_hand.get(&id) {
            Some(in_hand) if !in_hand.deleted && caller.may_touch(in_hand.task.life.owner) => Ok(()),
            Some(_) | None => Err(Refused::NotFound(id)),
        }
    }

    fn change(
        &mut self,
        id: TaskId,
        verb: impl FnOnce(&Life) -> Result<(Life, Event), IllegalTransition>,
    ) -> Result<&Task, Refused> {
        let in_hand =
            self.in_hand.get_mut(&id).filter(|in_hand| !in_hand.deleted).ok_or(Refused::NotFound(id))?;
        let (life, event) = verb(&in_hand.task.life)?;
        debug_assert_eq!(invariants::step(&in_hand.task.life, &life, &event), Ok(()));
        self.changes.spans.extend(spans::ended(&in_hand.task.life, &event));
        in_hand.task.life = life;
        in_hand.changed = true;
        note(&mut self.changes, &in_hand.task, event);
        Ok(&in_hand.task)
    }

    fn delete(&mut self, id: TaskId, caller: Caller) -> Result<Box<Task>, Refused> {
        self.may_touch(id, caller)?;
        let now = self.now;
        let in_hand = self.in_hand.get_mut(&id).ok_or(Refused::NotFound(id))?;
        // A running task is stopped first, and the event says so: an attempt has an outcome.
        if in_hand.task.life.status() == Status::InProgress {
            let (life, event) = in_hand.task.life.cancel(now)?;
            self.changes.spans.extend(spans::ended(&in_hand.task.life, &event));
            in_hand.task.life = life;
            note(&mut self.changes, &in_hand.task, event);
        }
        let event = in_hand.task.life.delete(now);
        note(&mut self.changes, &in_hand.task, event);
        in_hand.deleted = true;
        Ok(Box::new(in_hand.task.clone()))
    }

    fn finish(self) -> Changes {
        let mut changes = self.changes;
        for (id, in_hand) in self.in_hand {
            let InHand { task, row, ready, changed, deleted } = in_hand;
            let life = &task.life;
            let wants = Ready::of(life).filter(|_| !deleted);
            if ready != wants {
                if ready.is_some() {
                    changes.ready_removed.push(id);
                }
                if let Some(Ready { run_at, .. }) = wants {
                    changes.ready_added.push(ready_row(life, run_at, self.now, self.outside));
                }
            }
            match (row, deleted) {
                (row, true) => {
                    changes.deleted.extend(row.map(|_| id));
                    // There is no row any more for these to belong to.
                    changes.attachments.retain(|(task, _)| *task != id);
                    changes.recordings.retain(|(_, task, ..)| *task != id);
                    changes.images.retain(|(_, task, ..)| *task != id);
                    changes.reports.retain(|(_, task, ..)| *task != id);
                    changes.pictures.retain(|(task, ..)| *task != id);
                    changes.replies.retain(|(task, _)| *task != id);
                }
                (None, false) => changes.created.push(task),
                (Some((status, attempt)), false) if changed => {
                    let revived = status.is_terminal() && !task.life.status().is_terminal();
                    let rows = if revived { &mut changes.revived } else { &mut changes.updated };
                    rows.push((task.life, status, attempt));
                }
                (Some(_), false) => {}
            }
        }
        // In one order everywhere, so that two nodes that make the same keys wait for each other one way only.
        changes.created.sort_by_cached_key(unique_key);
        changes.answers.sort_by(|(a, ..), (b, ..)| (&a.scope, &a.key).cmp(&(&b.scope, &b.key)));
        changes
    }
}

fn ready_row(life: &Life, run_at: Timestamp, now: Timestamp, outside: &OutsideKinds) -> ReadyRow {
    let home = match (outside.contains(&life.kind), life.is_suspect()) {
        (true, _) => Lane::Outside,
        (false, true) => Lane::Suspect,
        (false, false) => Lane::Open,
    };
    let lane = if run_at > now { Lane::Parked } else { home };
    let rank = -life.priority.get();
    ReadyRow { task: life.id, kind: life.kind.clone(), owner: life.owner, lane, home, rank, run_at }
}

/// Writes an event down, and that there is something to tell where somebody wants to be told.
fn note(changes: &mut Changes, task: &Task, event: Event) {
    if task.callback.is_some() && event.fact.name() != EventName::Progress {
        changes.to_tell.insert(event.task);
    }
    changes.events.push(event);
}

fn unique_key(task: &Task) -> Option<UniqueKey> {
    Some((task.life.owner, task.life.kind.clone(), task.unique_key.clone()?))
}

/// Since when it is too late to start the task, if it is. Not once it was started in time, and not when it expired
/// before and somebody asks for it all the same.
fn expired(task: &Task, now: Timestamp) -> Option<Timestamp> {
    let life = &task.life;
    let fresh = life.status() == Status::New && life.attempt == Attempt::NONE && life.error.is_none();
    task.expires_at.filter(|expires_at| fresh && *expires_at <= now)
}

#[cfg(test)]
mod tests;
