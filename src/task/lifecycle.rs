//! The state of a task and the only functions that change it.
//!
//! Each function takes the [`Life`] as it was, checks that the verb is legal there, and returns the life as it
//! is now with the [`Event`] that tells of it. A verb that is illegal in a state is an [`IllegalTransition`],
//! never a panic and never a silent no-op: in a daemon a late or doubled message is ordinary.
//!
//! The verbs of a worker (`progress`, `heartbeat`, `complete`, `fail`, `release`, `lose`) carry the attempt they speak for.
//! One that is not the current attempt of a task in progress is refused as stale; that is the whole of fencing.

use std::fmt;

use super::{
    Attempt, Backoff, Event, Fact, Failure, FailureReason, Holder, Json, Kind, Lease, Percent, Priority,
    RetryCause, TaskId, Timestamp, UserId,
};

/// A task that was running when its worker died this often ends `Failed` with [`FailureReason::Poison`].
pub const POISON_CRASHES: u32 = 3;

/// From this many crashes on a task is a suspect, and runs with nothing else beside it on its node: so it
/// cannot take innocent neighbours along, and they cannot be taken for guilty.
pub const SUSPECT_CRASHES: u32 = 2;

/// The part of a task that changes, with what its changes depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// Which task.
    pub id: TaskId,
    /// What it does.
    pub kind: Kind,
    /// Whose it is; `None` when nobody owns it.
    pub owner: Option<UserId>,
    /// How urgent.
    pub priority: Priority,
    /// Tries allowed: the n-th failure with `n = max_attempts` is the last. At least 1.
    pub max_attempts: u32,
    /// The newest attempt; [`Attempt::NONE`] before the first start.
    pub attempt: Attempt,
    /// Tries used up since it was created or last retried by hand.
    pub failures: u32,
    /// Workers that died while they ran it, since it was created or last retried by hand.
    pub crashes: u32,
    /// The user who took the newest attempt in hand, when it was one; kept when the task ends.
    pub assignee: Option<UserId>,
    /// How far the newest attempt has come, when it tells.
    pub progress: Option<Percent>,
    /// Why the newest failed try failed; kept while it is tried again, gone when it completes.
    pub error: Option<Failure>,
    /// Where it stands.
    pub state: State,
    /// When the newest attempt started.
    pub started_at: Option<Timestamp>,
    /// When the newest change was made.
    pub updated_at: Timestamp,
}

/// Where a task stands, with what only that place has.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Waits for a worker, not before `run_at`.
    New {
        /// The earliest start.
        run_at: Timestamp,
    },
    /// A worker has it.
    InProgress {
        /// Who.
        holder: Holder,
        /// For how long, when somebody outside has it: `None` is for as long as it takes. A node's own lease is
        /// that of what it runs.
        lease: Option<Lease>,
    },
    /// Done, with the kind's answer.
    Completed {
        /// When.
        finished_at: Timestamp,
        /// JSON of the kind's own shape.
        result: Json,
    },
    /// Ended without success; the failure is in [`Life::error`].
    Failed {
        /// When.
        finished_at: Timestamp,
    },
    /// Stopped by somebody's wish.
    Cancelled {
        /// When.
        finished_at: Timestamp,
    },
}

/// The name of a state: exactly these words on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are explained at `State`")]
pub enum Status {
    New,
    InProgress,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 5] = [Self::New, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::InProgress => "In Progress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// The status that `word` is.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether the task has ended (it may still be retried by hand, unless it completed).
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::New | Self::InProgress => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can be done to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// A worker takes it.
    Start,
    /// Its worker tells how far it is.
    Progress,
    /// Its worker is done.
    Complete,
    /// Its worker's try failed.
    Fail,
    /// Its worker gives a sign of life.
    Heartbeat,
    /// Its worker gives it back undone.
    Release,
    /// Its worker died.
    Lose,
    /// It is too late to start it.
    Expire,
    /// Somebody stops it.
    Cancel,
    /// Somebody makes it ready again.
    Retry,
    /// Somebody removes it.
    Delete,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 11] = [
        Self::Start,
        Self::Progress,
        Self::Complete,
        Self::Fail,
        Self::Heartbeat,
        Self::Release,
        Self::Lose,
        Self::Expire,
        Self::Cancel,
        Self::Retry,
        Self::Delete,
    ];

    /// The word, for errors and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Progress => "progress",
            Self::Complete => "complete",
            Self::Fail => "fail",
            Self::Heartbeat => "heartbeat",
            Self::Release => "release",
            Self::Lose => "lose",
            Self::Expire => "expire",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Delete => "delete",
        }
    }
}

/// The verb is not allowed where the task stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    /// The status forbids it.
    #[error("task {task} is {status}: it cannot {} from there", verb.as_str())]
    Forbidden {
        /// Which task.
        task: TaskId,
        /// Where it stands.
        status: Status,
        /// What was tried.
        verb: Verb,
    },
    /// It is too early.
    #[error("task {task} does not run before {run_at}")]
    TooEarly {
        /// Which task.
        task: TaskId,
        /// The earliest start.
        run_at: Timestamp,
    },
    /// A worker spoke for an attempt that is not, or no longer, the current one in progress.
    #[error("attempt {given} of task {task} has no say: the task is {status} at attempt {current}")]
    Stale {
        /// Which task.
        task: TaskId,
        /// The attempt the worker spoke for.
        given: Attempt,
        /// The newest attempt.
        current: Attempt,
        /// Where the task stands.
        status: Status,
    },
}

/// A life after a change, and the event that tells of it.
pub type Changed = (Life, Event);

impl Life {
    /// A new life: `New`, ready from `run_at`, no attempt yet.
    #[must_use]
    pub fn create(
        id: TaskId,
        kind: Kind,
        owner: Option<UserId>,
        priority: Priority,
        max_attempts: u32,
        run_at: Timestamp,
        now: Timestamp,
    ) -> Changed {
        let life = Self {
            id,
            kind,
            owner,
            priority,
            max_attempts: max_attempts.max(1),
            attempt: Attempt::NONE,
            failures: 0,
            crashes: 0,
            assignee: None,
            progress: None,
            error: None,
            state: State::New { run_at },
            started_at: None,
            updated_at: now,
        };
        let event = life.tell(now, Fact::Created);
        (life, event)
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.state {
            State::New { .. } => Status::New,
            State::InProgress { .. } => Status::InProgress,
            State::Completed { .. } => Status::Completed,
            State::Failed { .. } => Status::Failed,
            State::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Whether it must run with nothing beside it.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes >= SUSPECT_CRASHES
    }

    /// The earliest start, while it waits for one.
    #[must_use]
    pub fn run_at(&self) -> Option<Timestamp> {
        match self.state {
            State::New { run_at } => Some(run_at),
            State::InProgress { .. }
            | State::Completed { .. }
            | State::Failed { .. }
            | State::Cancelled { .. } => None,
        }
    }

    /// Who holds it, while somebody does.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        match &self.state {
            State::InProgress { holder, .. } => Some(holder),
            State::New { .. } | State::Completed { .. } | State::Failed { .. } | State::Cancelled { .. } => {
                None
            }
        }
    }

    /// The lease under which somebody outside holds it, while there is one.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        match self.state {
            State::InProgress { lease, .. } => lease,
            State::New { .. } | State::Completed { .. } | State::Failed { .. } | State::Cancelled { .. } => {
                None
            }
        }
    }

    /// When it ended, once it has.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        match self.state {
            State::New { .. } | State::InProgress { .. } => None,
            State::Completed { finished_at, .. }
            | State::Failed { finished_at }
            | State::Cancelled { finished_at } => Some(finished_at),
        }
    }

    /// A worker takes the task: the attempt rises.
    ///
    /// # Errors
    /// [`IllegalTransition`] unless the task is `New` and its time has come.
    pub fn start(&self, holder: impl Into<Holder>, now: Timestamp) -> Result<Changed, IllegalTransition> {
        self.hand_over(holder.into(), None, None, now)
    }

    /// Somebody outside takes the task: the attempt rises. `lease` is how long it may be held without a word.
    ///
    /// # Errors
    /// [`IllegalTransition`] unless the task is `New` and its time has come.
    pub fn hand_over(
        &self,
        holder: Holder,
        assignee: Option<UserId>,
        lease: Option<Lease>,
        now: Timestamp,
    ) -> Result<Changed, IllegalTransition> {
        let run_at = self.run_at().ok_or_else(|| self.forbidden(Verb::Start))?;
        if run_at > now {
            return Err(IllegalTransition::TooEarly { task: self.id, run_at });
        }
        let fact = Fact::Started { holder: holder.clone(), assignee };
        Ok(self.become_with(State::InProgress { holder, lease }, now, fact, |life| {
            life.attempt = life.attempt.next();
            life.assignee = assignee;
            life.progress = None;
            life.started_at = Some(now);
        }))
    }

    /// The worker tells how far it is. Going back is allowed: an honest estimate may.
    ///
    /// # Errors
    /// [`IllegalTransition::Stale`] unless `attempt` is the current one in progress.
    pub fn progress(
        &self,
        attempt: Attempt,
        percent: Percent,
        now: Timestamp,
    ) -> Result<Changed, IllegalTransition> {
        self.current(attempt)?;
        Ok(self.become_with(self.state.clone(), now, Fact::Progress(percent), |life| {
            life.progress = Some(percent);
        }))
    }

    /// The worker gives a sign of life: its lease is `lease` from now on. Nothing that anybody is told of.
    ///
    /// # Errors
    /// [`IllegalTransition::Stale`] unless `attempt` is the current one in progress.
    pub fn heartbeat(&self, attempt: Attempt, lease: Option<Lease>) -> Result<Self, IllegalTransition> {
        self.current(attempt)?;
        let state = match &self.state {
            State::InProgress { holder, .. } => State::InProgress { holder: holder.clone(), lease },
            State::New { .. } | State::Completed { .. } | State::Failed { .. } | State::Cancelled { .. } => {
                return Err(self.forbidden(Verb::Heartbeat));
            }
        };
        Ok(Self { state, ..self.clone() })
    }

    /// The worker is done.
    ///
    /// # Errors
    /// [`IllegalTransition::Stale`] unless `attempt` is the current one in progress.
    pub fn complete(
        &self,
        attempt: Attempt,
        result: Json,
        now: Timestamp,
    ) -> Result<Changed, IllegalTransition> {
        self.current(attempt)?;
        Ok(self.become_with(State::Completed { finished_at: now, result }, now, Fact::Completed, |life| {
            life.error = None;
            life.progress = life.progress.map(|_| Percent::new(100));
        }))
    }

    /// The try failed: back to `New` after a wait while tries are left and another may help, else `Failed`.
    ///
    /// # Errors
    /// [`IllegalTransition::Stale`] unless `attempt` is the current one in progress.
    pub fn fail(
        &self,
        attempt: Attempt,
        failure: Failure,
        backoff: &Backoff,
        now: Timestamp,
    ) -> Result<Changed, IllegalTransition> {
        self.current(attempt)?;
        let failures = self.failures.saturating_add(1);
        let (state, fact) = if failure.reason.may_retry() && failures < self.max_attempts {
            let run_at = now.after(backoff.wait(self.id, attempt, failures));
            (State::New { run_at }, Fact::Retrying { cause: RetryCause::Failed(failure.clone()), run_at })
        } else {
            (State::Failed { finished_at: now }, Fact::Failed(failure.clone()))
        };
        Ok(self.become_with(state, now, fact, |life| {
            life.failures = failures;
            life.error = Some(failure);
        }))
    }

    /// The worker gives the task back undone, for reasons that are not the task's: ready at once, no try used.
    ///
    /// # Errors
    /// [`IllegalTransition::Stale`] unless `attempt` is the current one in progress.
    pub fn release(&self, attempt: Attempt, now: Timestamp) -> Result<Changed, IllegalTransition> {
        self.current(attempt)?;
        let fact = Fact::Retrying { cause: RetryCause::Interrupted, run_at: now };
        Ok(self.become_with(State::New { run_at: now }, now, fact, |_| {}))
    }

    /// The worker died or lost its lease: ready at once and counted; the third time it is poison.
    ///
    /// # Errors
    /// [`IllegalTransition::Stale`] unless `attempt` is the current one in progress.
    pub fn lose(&self, attempt: Attempt, now: Timestamp) -> Result<Changed, IllegalTransition> {
        self.current(attempt)?;
        let crashes = self.crashes.saturating_add(1);
        if crashes < POISON_CRASHES {
            let fact = Fact::Retrying { cause: RetryCause::WorkerLost, run_at: now };
            return Ok(self.become_with(State::New { run_at: now }, now, fact, |life| life.crashes = crashes));
        }
        let failure = Failure::new(
            FailureReason::Poison,
            format!(
                "its worker died {crashes} times while running it: see what the daemon's log says of the last \
                 starts, then retry it by hand"
            ),
        );
        let fact = Fact::Failed(failure.clone());
        Ok(self.become_with(State::Failed { finished_at: now }, now, fact, |life| {
            life.crashes = crashes;
            life.error = Some(failure);
        }))
    }

    /// It is too late to start it: nobody wants its result any more. What was started once is not late any more,
    /// also when it waits for another try.
    ///
    /// # Errors
    /// [`IllegalTransition::Forbidden`] unless it is `New` and was never started.
    pub fn expire(&self, expired: Timestamp, now: Timestamp) -> Result<Changed, IllegalTransition> {
        if self.status() != Status::New || self.attempt != Attempt::NONE {
            return Err(self.forbidden(Verb::Expire));
        }
        let story = format!("it was to start before {expired}, and no worker was free for it until then");
        let failure = Failure::new(FailureReason::Expired, story);
        let fact = Fact::Failed(failure.clone());
        Ok(self.become_with(State::Failed { finished_at: now }, now, fact, |life| {
            life.error = Some(failure);
        }))
    }

    /// Somebody stops it. From `In Progress` the state changes at once and the worker is told afterwards: what
    /// it still says is stale.
    ///
    /// # Errors
    /// [`IllegalTransition::Forbidden`] once it has ended.
    pub fn cancel(&self, now: Timestamp) -> Result<Changed, IllegalTransition> {
        match self.status() {
            Status::New | Status::InProgress => {
                Ok(self.become_with(State::Cancelled { finished_at: now }, now, Fact::Cancelled, |_| {}))
            }
            Status::Completed | Status::Failed | Status::Cancelled => Err(self.forbidden(Verb::Cancel)),
        }
    }

    /// Somebody makes it ready again, with all its tries; the attempt goes on counting.
    ///
    /// # Errors
    /// [`IllegalTransition::Forbidden`] unless it is `Failed` or `Cancelled`.
    pub fn retry(&self, now: Timestamp) -> Result<Changed, IllegalTransition> {
        match self.status() {
            Status::Failed | Status::Cancelled => {
                let fact = Fact::Retrying { cause: RetryCause::Asked, run_at: now };
                Ok(self.become_with(State::New { run_at: now }, now, fact, |life| {
                    life.failures = 0;
                    life.crashes = 0;
                    life.progress = None;
                }))
            }
            Status::New | Status::InProgress | Status::Completed => Err(self.forbidden(Verb::Retry)),
        }
    }

    /// Somebody removes it: what is left is the event. Legal everywhere.
    #[must_use]
    pub fn delete(&self, now: Timestamp) -> Event {
        self.tell(now, Fact::Deleted)
    }

    fn current(&self, given: Attempt) -> Result<(), IllegalTransition> {
        let status = self.status();
        if status == Status::InProgress && given == self.attempt {
            return Ok(());
        }
        Err(IllegalTransition::Stale { task: self.id, given, current: self.attempt, status })
    }

    pub(crate) fn forbidden(&self, verb: Verb) -> IllegalTransition {
        IllegalTransition::Forbidden { task: self.id, status: self.status(), verb }
    }

    fn become_with(
        &self,
        state: State,
        now: Timestamp,
        fact: Fact,
        change: impl FnOnce(&mut Self),
    ) -> Changed {
        let mut life = Self { state, updated_at: now, ..self.clone() };
        if life.status() == Status::New {
            life.assignee = None;
        }
        change(&mut life);
        let event = life.tell(now, fact);
        (life, event)
    }

    fn tell(&self, at: Timestamp, fact: Fact) -> Event {
        Event { task: self.id, kind: self.kind.clone(), owner: self.owner, attempt: self.attempt, at, fact }
    }
}

#[cfg(test)]
mod tests;
