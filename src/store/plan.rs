//! What a group of commands does, decided in memory. Pure.
//!
//! The adapters load and lock what [`Needs`] names, call [`plan`], and write the [`Changes`]. Settlements of
//! runs, acceptances and wishes are applied in the order they came; claims last, so that they can take what
//! the same group made ready.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Claim, Claimed, Command, NewRecording, NewTask, Refused, Reply, Rescued, Settled};
use crate::account::{Caller, NewUser, TokenHash, User};
use crate::task::{
    Attachment, Attempt, Event, IllegalTransition, Kind, Life, NodeId, Outcome, Status, Task, TaskId,
    Timestamp, UserId, invariants,
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
    /// The claims, in order.
    pub(super) claims: Vec<Claim>,
    /// How many tasks of dead nodes, and which node is not to be taken for one.
    pub(super) rescue: Option<(u32, Option<NodeId>)>,
}

impl Needs {
    pub(super) fn of(commands: &[Command]) -> Self {
        let mut needs = Self::default();
        for command in commands {
            match command {
                Command::Create(tasks) => needs.new_tasks += tasks.len(),
                Command::Claim(claim) => needs.claims.push(claim.clone()),
                Command::Settle { task, .. }
                | Command::Progress { task, .. }
                | Command::Cancel { task, .. }
                | Command::Retry { task, .. }
                | Command::Delete { task, .. } => needs.tasks.push(*task),
                Command::Rescue { limit, except } => needs.rescue = Some((*limit, *except)),
                Command::CreateUser(user) => {
                    needs.new_users += 1;
                    needs.emails.extend(user.email().map(|email| email.as_str().to_owned()));
                }
            }
        }
        // In one order everywhere, so that two nodes cannot wait for each other's locks.
        needs.tasks.sort_unstable();
        needs.tasks.dedup();
        needs
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
    /// For each claim, in order: what was found for it.
    pub(super) found: Vec<Found>,
    /// Tasks whose holder's lease ran out, and whether that holder is known to be alive (it drained or lost its
    /// lease without dying), in which case nothing is held against the task.
    pub(super) lost: Vec<(TaskId, bool)>,
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
    pub(super) deleted: Vec<TaskId>,
    pub(super) ready_added: Vec<ReadyRow>,
    pub(super) ready_removed: Vec<TaskId>,
    pub(super) attachments: Vec<(TaskId, Attachment)>,
    pub(super) inputs_dropped: Vec<TaskId>,
    pub(super) recordings: Vec<(NewRecording, TaskId, Option<UserId>, Timestamp)>,
    pub(super) users: Vec<(User, TokenHash)>,
    pub(super) events: Vec<Event>,
    /// Forget nodes whose lease ran out before this instant, and that hold nothing any more.
    pub(super) forget_nodes: Option<Timestamp>,
}

/// A row of the ready table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReadyRow {
    pub(super) task: TaskId,
    pub(super) kind: Kind,
    pub(super) lane: Lane,
    pub(super) suspect: bool,
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
}

/// Applies `commands` to what was loaded.
pub(super) fn plan(commands: &[Command], loaded: Loaded) -> (Vec<Reply>, Changes) {
    let mut planner = Planner::new(loaded);
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

struct Planner {
    now: Timestamp,
    in_hand: BTreeMap<TaskId, InHand>,
    task_ids: std::vec::IntoIter<TaskId>,
    user_ids: std::vec::IntoIter<UserId>,
    taken_emails: HashSet<String>,
    found: std::vec::IntoIter<Found>,
    lost: Vec<(TaskId, bool)>,
    /// Created in this group and still waiting, by kind.
    fresh: HashMap<Kind, Vec<TaskId>>,
    changes: Changes,
}

impl Planner {
    fn new(loaded: Loaded) -> Self {
        let taken: HashSet<TaskId> =
            loaded.found.iter().flat_map(|found| found.taken.iter().copied()).collect();
        let in_hand = loaded
            .tasks
            .into_iter()
            .map(|task| {
                let life = &task.life;
                let row = Some((life.status(), life.attempt));
                // A claim of this very group has taken the rows of those away already.
                let ready = Ready::of(life).filter(|_| !taken.contains(&life.id));
                (life.id, InHand { task, row, ready, deleted: false })
            })
            .collect();
        Self {
            now: loaded.now,
            in_hand,
            task_ids: loaded.task_ids.into_iter(),
            user_ids: loaded.user_ids.into_iter(),
            taken_emails: loaded.taken_emails,
            found: loaded.found.into_iter(),
            lost: loaded.lost,
            fresh: HashMap::new(),
            changes: Changes::default(),
        }
    }

    /// Applies a command; claims wait for the end.
    fn apply(&mut self, command: &Command) -> Option<Reply> {
        Some(match command {
            Command::Create(tasks) => Reply::Created(tasks.iter().map(|task| self.create(task)).collect()),
            Command::Claim(_) => return None,
            Command::Settle { task, attempt, outcome, backoff } => {
                let now = self.now;
                let settled = self.speak(*task, |life| match outcome {
                    Outcome::Completed { result, .. } => life.complete(*attempt, result.clone(), now),
                    Outcome::Failed(failure) => life.fail(*attempt, failure.clone(), backoff, now),
                    Outcome::Interrupted => life.release(*attempt, now),
                });
                if let (Ok(_), Outcome::Completed { output, drop_input, .. }) = (&settled, outcome) {
                    self.changes.attachments.extend(output.iter().map(|output| (*task, output.clone())));
                    self.changes.inputs_dropped.extend(drop_input.then_some(*task));
                }
                Reply::Settled(settled)
            }
            Command::Progress { task, attempt, percent } => {
                let now = self.now;
                Reply::Settled(self.speak(*task, |life| life.progress(*attempt, *percent, now)))
            }
            Command::Cancel { task, caller } => {
                let now = self.now;
                Reply::Changed(self.wish(*task, *caller, |life| life.cancel(now)))
            }
            Command::Retry { task, caller } => {
                let now = self.now;
                Reply::Changed(self.wish(*task, *caller, |life| life.retry(now)))
            }
            Command::Delete { task, caller } => Reply::Changed(self.delete(*task, *caller)),
            Command::Rescue { limit, .. } => Reply::Rescued(self.rescue(*limit)),
            Command::CreateUser(user) => Reply::UserCreated(self.create_user(user)),
        })
    }

    fn create(&mut self, new: &NewTask) -> Task {
        let Some(id) = self.task_ids.next() else {
            unreachable!("as many numbers were drawn as tasks are created");
        };
        let run_at = new.run_at.unwrap_or(self.now).max(self.now);
        let (life, event) =
            Life::create(id, new.kind.clone(), new.owner, new.priority, new.max_attempts, run_at, self.now);
        let task = Task {
            life,
            payload: new.payload.clone(),
            tags: new.tags.clone(),
            timeout: new.timeout,
            created_at: self.now,
        };
        self.changes.events.push(event);
        self.changes.attachments.extend(new.attachments.iter().map(|attachment| (id, attachment.clone())));
        if let Some(recording) = &new.recording {
            self.changes.recordings.push((recording.clone(), id, new.owner, self.now));
        }
        self.fresh.entry(new.kind.clone()).or_default().push(id);
        self.in_hand.insert(id, InHand { task: task.clone(), row: None, ready: None, deleted: false });
        task
    }

    fn create_user(&mut self, new: &NewUser) -> Option<User> {
        let email = new.email().cloned();
        if let Some(email) = &email
            && !self.taken_emails.insert(email.as_str().to_owned())
        {
            return None;
        }
        let id = self.user_ids.next()?;
        let user = User { id, name: new.name().cloned(), email, created_at: self.now };
        self.changes.users.push((user.clone(), new.token.clone()));
        Some(user)
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
        in_hand.task.life = life;
        self.changes.events.push(event);
        Ok(&in_hand.task)
    }

    fn delete(&mut self, id: TaskId, caller: Caller) -> Result<Box<Task>, Refused> {
        self.may_touch(id, caller)?;
        let now = self.now;
        let in_hand = self.in_hand.get_mut(&id).ok_or(Refused::NotFound(id))?;
        // A running task is stopped first, and the event says so: an attempt has an outcome.
        if in_hand.task.life.status() == Status::InProgress {
            let (life, event) = in_hand.task.life.cancel(now)?;
            in_hand.task.life = life;
            self.changes.events.push(event);
        }
        self.changes.events.push(in_hand.task.life.delete(now));
        in_hand.deleted = true;
        Ok(Box::new(in_hand.task.clone()))
    }

    fn rescue(&mut self, limit: u32) -> Rescued {
        let lost = std::mem::take(&mut self.lost);
        let more = lost.len() >= limit as usize;
        let mut tasks = 0;
        for (id, holder_lives) in lost {
            let now = self.now;
            let freed = self.change(id, |life| {
                if holder_lives { life.release(life.attempt, now) } else { life.lose(life.attempt, now) }
            });
            // A command earlier in this very group may have ended it.
            tasks += u32::from(freed.is_ok());
        }
        self.changes.forget_nodes = Some(self.now);
        Rescued { tasks, more }
    }

    fn claim(&mut self, claim: &Claim) -> Claimed {
        let found = self.found.next().unwrap_or_default();
        let mut claimed =
            Claimed { suspect_waits: found.suspect_waits, next_due: found.next_due, ..Claimed::default() };
        for id in &found.taken {
            self.start(*id, claim.node, &mut claimed);
        }
        if claim.suspect {
            return claimed;
        }
        for (kind, wanted) in &claim.want {
            let wanted = *wanted as usize;
            let got = claimed.tasks.iter().filter(|task| task.life.kind == *kind).count();
            if got >= wanted {
                claimed.more.push(kind.clone());
            } else if found.lease_holds {
                self.claim_fresh(kind, wanted - got, claim.node, &mut claimed);
            }
        }
        claimed
    }

    /// Nothing else of this kind waits: what the group itself created is next, and is started with its own
    /// insert, without ever passing through the ready table.
    fn claim_fresh(&mut self, kind: &Kind, wanted: usize, node: NodeId, claimed: &mut Claimed) {
        let Some(fresh) = self.fresh.get_mut(kind) else { return };
        let mut due: Vec<TaskId> = std::mem::take(fresh);
        let urgency = |id: &TaskId| self.in_hand.get(id).map(|in_hand| in_hand.task.life.priority);
        due.sort_by_key(|id| (std::cmp::Reverse(urgency(id)), *id));
        let mut started = 0;
        let mut due = due.into_iter();
        while started < wanted {
            let Some(id) = due.next() else { return };
            started += usize::from(self.start(id, node, claimed));
        }
        if !due.as_slice().is_empty() {
            claimed.more.push(kind.clone());
            // For the next claim of this group.
            self.fresh.insert(kind.clone(), due.collect());
        }
    }

    fn start(&mut self, id: TaskId, node: NodeId, claimed: &mut Claimed) -> bool {
        let now = self.now;
        match self.change(id, |life| life.start(node, now)) {
            Ok(task) => {
                let task = task.clone();
                claimed.tasks.push(task);
                true
            }
            // Cancelled, deleted or parked by this same group.
            Err(_) => false,
        }
    }

    fn finish(self) -> Changes {
        let mut changes = self.changes;
        for (id, in_hand) in self.in_hand {
            let InHand { task, row, ready, deleted } = in_hand;
            let life = &task.life;
            let wants = Ready::of(life).filter(|_| !deleted);
            if ready != wants {
                if ready.is_some() {
                    changes.ready_removed.push(id);
                }
                if let Some(Ready { run_at, .. }) = wants {
                    changes.ready_added.push(ready_row(life, run_at, self.now));
                }
            }
            match (row, deleted) {
                (Some(_), true) => changes.deleted.push(id),
                (None, true) => {
                    // It never had a row for these to belong to.
                    changes.attachments.retain(|(task, _)| *task != id);
                    changes.recordings.retain(|(_, task, ..)| *task != id);
                }
                (None, false) => changes.created.push(task),
                (Some((status, attempt)), false) => {
                    if life.updated_at == self.now {
                        changes.updated.push((task.life, status, attempt));
                    }
                }
            }
        }
        changes
    }
}

fn ready_row(life: &Life, run_at: Timestamp, now: Timestamp) -> ReadyRow {
    let suspect = life.is_suspect();
    let lane = match (run_at > now, suspect) {
        (true, _) => Lane::Parked,
        (false, true) => Lane::Suspect,
        (false, false) => Lane::Open,
    };
    ReadyRow { task: life.id, kind: life.kind.clone(), lane, suspect, rank: -life.priority.get(), run_at }
}

#[cfg(test)]
mod tests;
