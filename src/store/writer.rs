//! The way to the tracker: two bounded lanes of commands, each with the place for its answer.
//!
//! Requests come from callers, and when their lane is full they are told so at once ([`WriteError::Full`], a 503
//! at the edge). Outcomes come from runs; there is never more than one under way for each permit, so their lane
//! holds them all, and no flood of requests can keep a finished run from being written down.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    Accepted, Bulk, BulkAct, Command, NewTask, Pause, Purged, Quota, Refused, Remember, RememberedAnswer,
    Reply, Rescued, Settled, StoreError, Take, Taken, Usage, UserRefused, Word,
};
use crate::account::{Caller, Counters, CountersChange, NewUser, TokenHash, User, UserChange};
use crate::media::image::Facts;
use crate::task::{
    Attempt, Backoff, Kind, NodeId, Outcome, Percent, Status, Task, TaskId, Timestamp, UserId,
};
use crate::telemetry::metrics::QueueMetrics;
use crate::telemetry::traces::{self, Part};

/// Why a command was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// Too many commands wait already.
    #[error("the daemon has more writes waiting than it may hold: try again in a moment")]
    Full,
    /// The tracker ended before it answered: whether the command took effect is unknown.
    #[error("the daemon was interrupted while it wrote: the command may or may not have taken effect")]
    Interrupted,
    /// The database failed: whether the command took effect is unknown unless it says that it refused it.
    #[error("{0}")]
    Store(Arc<StoreError>),
}

/// A command on its way, and where the answer goes.
#[derive(Debug)]
pub struct Inbound {
    /// What is asked for.
    pub command: Command,
    /// Where to answer. Nobody may be listening any more; the command counts all the same.
    pub answer: oneshot::Sender<Result<Reply, WriteError>>,
    /// The room it takes, given back when it is done with.
    room: Option<OwnedSemaphorePermit>,
}

/// Where an answer goes, and the room that its command takes until then.
#[derive(Debug)]
pub struct Answer {
    to: oneshot::Sender<Result<Reply, WriteError>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Answer {
    /// Answers. Whoever no longer waits need not know.
    pub fn give(self, answer: Result<Reply, WriteError>) {
        let _ = self.to.send(answer);
    }
}

impl Inbound {
    /// The command, and where to answer it.
    #[must_use]
    pub fn into_parts(self) -> (Command, Answer) {
        (self.command, Answer { to: self.answer, _room: self.room })
    }

    /// How many tasks it is about, or one.
    fn tasks(&self) -> usize {
        self.command.weight()
    }

    fn kibibytes(&self) -> usize {
        self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// The room that waiting requests may take together, in KiB: 256 MiB.
const ROOM: usize = 256 * 1024;

/// The room that one group may take, in KiB, not counting its last command: 8 MiB, some tens of milliseconds of
/// writing, so that neither a lease nor a caller waits long for its turn.
const GROUP_ROOM: usize = 8 * 1024;

/// The room that a command takes, in KiB: what its payloads or its result weigh, and something for every task.
fn room_of(command: &Command) -> u32 {
    let payloads: usize = command.new_tasks().iter().map(|task| task.payload.as_str().len() + 512).sum();
    let bytes = payloads + command.result().map_or(0, |result| result.as_str().len());
    // Of tasks that are there, it is not known what they weigh.
    let bytes = bytes.max(command.weight() * 512);
    u32::try_from(bytes.div_ceil(1024).min(ROOM)).unwrap_or(u32::MAX)
}

/// The callers' end. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    requests: mpsc::Sender<Inbound>,
    outcomes: mpsc::Sender<Inbound>,
    /// In KiB, for requests; outcomes are as many as there are permits, and always let in.
    room: Arc<Semaphore>,
    metrics: QueueMetrics,
}

/// The tracker's end.
#[derive(Debug)]
pub struct Lanes {
    requests: mpsc::Receiver<Inbound>,
    outcomes: mpsc::Receiver<Inbound>,
}

/// A pair of lanes: the callers' for at most `requests` waiting commands, the runs' for at most `outcomes`.
#[must_use]
pub fn channel(requests: usize, outcomes: usize) -> (Writer, Lanes) {
    let (requests_in, requests_out) = mpsc::channel(requests.max(1));
    let (outcomes_in, outcomes_out) = mpsc::channel(outcomes.max(1));
    (
        Writer {
            requests: requests_in,
            outcomes: outcomes_in,
            room: Arc::new(Semaphore::new(ROOM)),
            metrics: QueueMetrics::new(),
        },
        Lanes { requests: requests_out, outcomes: outcomes_out },
    )
}

impl Lanes {
    /// Waits for the first command, then takes whatever else is there, up to `max`, outcomes first. `None`
    /// once all callers are gone. Loses nothing when dropped while it waits.
    pub async fn group(&mut self, max: usize) -> Option<Vec<Inbound>> {
        let first = tokio::select! {
            biased;
            outcome = self.outcomes.recv() => outcome?,
            request = self.requests.recv() => request?,
        };
        let mut group = vec![first];
        self.fill(&mut group, max);
        Some(group)
    }

    /// Takes whatever is there now without waiting, outcomes first, until the group makes `max` tasks or takes the
    /// room that a group may take.
    pub fn fill(&mut self, group: &mut Vec<Inbound>, max: usize) {
        let mut tasks: usize = group.iter().map(Inbound::tasks).sum();
        let mut room: usize = group.iter().map(Inbound::kibibytes).sum();
        for lane in [&mut self.outcomes, &mut self.requests] {
            while tasks < max && room < GROUP_ROOM {
                let Ok(inbound) = lane.try_recv() else { break };
                tasks += inbound.tasks();
                room += inbound.kibibytes();
                group.push(inbound);
            }
        }
    }

    /// How many commands wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.requests.len() + self.outcomes.len()
    }
}

/// What came of a request that may carry a key.
#[derive(Debug)]
pub enum Once<T> {
    /// It was done now.
    Now(T),
    /// It was done before, and answered like this.
    Before(RememberedAnswer),
    /// Its key was used for another request.
    KeyReused,
    /// It was not done: somebody would have more here than they may.
    OverQuota(Quota, Usage),
}

impl<T> Once<T> {
    /// The same, with what was done now made into something else.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Once<U> {
        match self {
            Self::Now(done) => Once::Now(make(done)),
            Self::Before(answer) => Once::Before(answer),
            Self::KeyReused => Once::KeyReused,
            Self::OverQuota(quota, usage) => Once::OverQuota(quota, usage),
        }
    }

    /// What was done now, when the request had no key.
    ///
    /// # Panics
    /// When it had one.
    #[track_caller]
    pub fn unkeyed(self) -> T {
        match self {
            Self::Now(done) => done,
            Self::Before(_) | Self::KeyReused | Self::OverQuota(..) => {
                unreachable!("a request without a key has no earlier answer, and without an image no quota")
            }
        }
    }
}

impl Writer {
    /// Accepts tasks, all or none; they are on disk when this returns.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn create(
        &self,
        mut tasks: Vec<NewTask>,
        remember: Option<Remember>,
    ) -> Result<Once<Vec<Accepted>>, WriteError> {
        // A task belongs to the trace of whoever asks for it, by whatever door they come.
        if let Some(here) = traces::here() {
            tasks.iter_mut().for_each(|task| task.traceparent = task.traceparent.or(Some(here)));
        }
        let mut step = traces::child(Part::Inside, || "commit".into());
        let created = self.once(Command::Create(tasks), remember, |reply| {
            let Reply::Created(tasks) = reply else { mismatch() };
            tasks
        });
        let created = created.await;
        if let (Some(step), Err(_)) = (&mut step, &created) {
            step.fail("not_written");
        }
        created
    }

    /// Stops a task.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn cancel(
        &self,
        task: TaskId,
        caller: Caller,
        remember: Option<Remember>,
    ) -> Result<Once<Result<Task, Refused>>, WriteError> {
        self.once(Command::Cancel { task, caller }, remember, changed).await
    }

    /// Makes an ended task ready again.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn retry(
        &self,
        task: TaskId,
        caller: Caller,
        remember: Option<Remember>,
    ) -> Result<Once<Result<Task, Refused>>, WriteError> {
        self.once(Command::Retry { task, caller }, remember, changed).await
    }

    /// Removes a task.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn delete(
        &self,
        task: TaskId,
        caller: Caller,
        remember: Option<Remember>,
    ) -> Result<Once<Result<Task, Refused>>, WriteError> {
        self.once(Command::Delete { task, caller }, remember, changed).await
    }

    /// Gives a task to somebody outside.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn take(
        &self,
        take: Take,
        remember: Option<Remember>,
    ) -> Result<Once<Result<Taken, Refused>>, WriteError> {
        self.once(Command::Take(take), remember, |reply| {
            let Reply::Taken(taken) = reply else { mismatch() };
            taken
        })
        .await
    }

    /// Writes down what somebody outside says of their task.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn word(
        &self,
        (task, attempt): (TaskId, Option<Attempt>),
        caller: Caller,
        word: Word,
        backoff: Backoff,
        remember: Option<Remember>,
    ) -> Result<Once<Result<Task, Refused>>, WriteError> {
        self.once(Command::Word { task, attempt, caller, word, backoff }, remember, changed).await
    }

    /// Makes a user; `None` when the e-mail is taken.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn create_user(
        &self,
        user: NewUser,
        remember: Option<Remember>,
    ) -> Result<Once<Option<User>>, WriteError> {
        let created = self.once(Command::CreateUser(user), remember, |reply| {
            let Reply::UserCreated(user) = reply else { mismatch() };
            user
        });
        match created.await {
            // Another node took the e-mail between our look and our insert.
            Err(WriteError::Store(error)) if error.is_unique_violation() => Ok(Once::Now(None)),
            created => created,
        }
    }

    /// Changes a user; see [`Command::ChangeUser`].
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn change_user(
        &self,
        user: UserId,
        caller: Caller,
        change: UserChange,
        session: Option<TokenHash>,
        remember: Option<Remember>,
    ) -> Result<Once<Result<User, UserRefused>>, WriteError> {
        let command = Command::ChangeUser { user, caller, change, session };
        match self.once(command, remember, user_changed).await {
            // As for a user who is made.
            Err(WriteError::Store(error)) if error.is_unique_violation() => {
                Ok(Once::Now(Err(UserRefused::EmailTaken)))
            }
            changed => changed,
        }
    }

    /// Removes a user, and gives them as they last were.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn delete_user(
        &self,
        user: UserId,
        caller: Caller,
        remember: Option<Remember>,
    ) -> Result<Once<Result<User, UserRefused>>, WriteError> {
        self.once(Command::DeleteUser { user, caller }, remember, user_changed).await
    }

    /// Changes a user's counters, and gives all of them as they are then.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn change_counters(
        &self,
        user: UserId,
        caller: Caller,
        change: CountersChange,
        remember: Option<Remember>,
    ) -> Result<Once<Result<Counters, UserRefused>>, WriteError> {
        self.once(Command::ChangeCounters { user, caller, change }, remember, |reply| {
            let Reply::CountersChanged(counters) = reply else { mismatch() };
            counters
        })
        .await
    }

    /// Does the same to many tasks in one transaction, and counts on from `so_far`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn bulk(
        &self,
        act: BulkAct,
        tasks: Vec<TaskId>,
        caller: Caller,
        so_far: Bulk,
        remember: Option<Remember>,
    ) -> Result<Once<Bulk>, WriteError> {
        self.once(Command::Bulk { act, tasks, caller, so_far }, remember, |reply| {
            let Reply::Bulk(bulk) = reply else { mismatch() };
            bulk
        })
        .await
    }

    /// Pauses a kind on every node, or lets it go on; its pause as it stands then.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn set_paused(
        &self,
        kind: Kind,
        paused: bool,
        caller: Caller,
        remember: Option<Remember>,
    ) -> Result<Once<Option<Pause>>, WriteError> {
        self.once(Command::SetPaused { kind, paused, caller }, remember, |reply| {
            let Reply::PauseSet { pause, .. } = reply else { mismatch() };
            pause
        })
        .await
    }

    /// Removes what users left who are gone, at most `limit` tasks at a time.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn purge(&self, limit: u32) -> Result<Purged, WriteError> {
        let Reply::Purged(purged) = self.request(Command::Purge { limit }).await? else { mismatch() };
        Ok(purged)
    }

    /// Removes those of these tasks that ended like this before that instant; says how many.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn expire(
        &self,
        tasks: Vec<TaskId>,
        status: Status,
        before: Timestamp,
    ) -> Result<Purged, WriteError> {
        let expire = Command::Expire { tasks, status, before };
        let Reply::Purged(purged) = self.request(expire).await? else { mismatch() };
        Ok(purged)
    }

    /// Frees the tasks of dead nodes, at most `limit` at a time; `except` is the asker, who lives.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn rescue(
        &self,
        limit: u32,
        except: Option<NodeId>,
        backoff: Backoff,
    ) -> Result<Rescued, WriteError> {
        let rescue = Command::Rescue { limit, except, backoff };
        let Reply::Rescued(rescued) = self.request(rescue).await? else { mismatch() };
        Ok(rescued)
    }

    /// Writes down how far a run is. Waits for no room: progress is news, and the next word replaces it.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn progress(
        &self,
        task: TaskId,
        attempt: Attempt,
        percent: Percent,
    ) -> Result<Result<Settled, Refused>, WriteError> {
        settled(self.request(Command::Progress { task, attempt, percent }).await?)
    }

    /// Sends the word of how a run ended on its way, and gives what resolves once it is written down (a refusal
    /// is the inner error). In between, the run's permit may be given back.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn settle(
        &self,
        task: TaskId,
        attempt: Attempt,
        outcome: Outcome,
        backoff: Backoff,
        image: Option<Facts>,
    ) -> Result<impl Future<Output = Result<Result<Settled, Refused>, WriteError>> + use<>, WriteError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Settle { task, attempt, outcome, backoff, image };
        // Waiting for room is right here, and the lane's size makes it rare: an outcome is never dropped.
        self.outcomes
            .send(Inbound { command, answer, room: None })
            .await
            .map_err(|_| WriteError::Interrupted)?;
        Ok(async move { settled(answered.await.map_err(|_| WriteError::Interrupted)??) })
    }

    /// Has the tracker write a group in which nothing changes. It goes with the outcomes: a full lane of requests does not
    /// keep it waiting.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn probe(&self) -> Result<(), WriteError> {
        let (answer, answered) = oneshot::channel();
        // At most none are removed: a transaction, and not a row that is touched.
        let command = Command::Purge { limit: 0 };
        self.outcomes
            .send(Inbound { command, answer, room: None })
            .await
            .map_err(|_| WriteError::Interrupted)?;
        answered.await.map_err(|_| WriteError::Interrupted)?.map(drop)
    }

    /// Sends a command, once for all times if there is something to remember it by.
    async fn once<T>(
        &self,
        command: Command,
        remember: Option<Remember>,
        read: impl FnOnce(Reply) -> T,
    ) -> Result<Once<T>, WriteError> {
        let command = match remember {
            Some(remember) => Command::Once { remember, command: Box::new(command) },
            None => command,
        };
        Ok(match self.request(command).await? {
            Reply::Before(answer) => Once::Before(answer),
            Reply::KeyReused => Once::KeyReused,
            Reply::OverQuota(quota, usage) => Once::OverQuota(quota, usage),
            reply @ (Reply::Created(_)
            | Reply::Taken(_)
            | Reply::Claimed(_)
            | Reply::Settled(_)
            | Reply::Changed(_)
            | Reply::Rescued(_)
            | Reply::UserCreated(_)
            | Reply::UserChanged(_)
            | Reply::CountersChanged(_)
            | Reply::Purged(_)
            | Reply::Bulk(_)
            | Reply::PauseSet { .. }) => Once::Now(read(reply)),
        })
    }

    async fn request(&self, command: Command) -> Result<Reply, WriteError> {
        let (answer, answered) = oneshot::channel();
        let room = Arc::clone(&self.room).try_acquire_many_owned(room_of(&command)).map_err(|_| {
            self.metrics.refused();
            WriteError::Full
        })?;
        self.requests.try_send(Inbound { command, answer, room: Some(room) }).map_err(
            |error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    self.metrics.refused();
                    WriteError::Full
                }
                mpsc::error::TrySendError::Closed(_) => WriteError::Interrupted,
            },
        )?;
        answered.await.map_err(|_| WriteError::Interrupted)?
    }
}

fn changed(reply: Reply) -> Result<Task, Refused> {
    let Reply::Changed(changed) = reply else { mismatch() };
    changed.map(|task| *task)
}

fn user_changed(reply: Reply) -> Result<User, UserRefused> {
    let Reply::UserChanged(changed) = reply else { mismatch() };
    changed.map(|user| *user)
}

fn settled(reply: Reply) -> Result<Result<Settled, Refused>, WriteError> {
    let Reply::Settled(settled) = reply else { mismatch() };
    Ok(settled)
}

/// The plan answers each command with its own reply; anything else is a bug of ours, which the caller's panic
/// boundary turns into an error for this one caller.
#[track_caller]
fn mismatch() -> ! {
    unreachable!("the plan gave the reply of another command")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn batch(tasks: usize, bytes: usize) -> Command {
        let task = NewTask {
            payload: crate::task::Json::trusted(&"x".repeat(bytes)),
            ..NewTask::plain("noop".parse().unwrap(), None)
        };
        Command::Create(vec![task; tasks])
    }

    #[test]
    fn what_a_worker_outside_made_takes_room_too() {
        let word = Command::Word {
            task: TaskId(1),
            attempt: None,
            caller: Caller::Anonymous,
            word: Word::Complete(crate::task::Json::trusted(&"x".repeat(200 << 10))),
            backoff: Backoff { base: Duration::ZERO, cap: Duration::ZERO },
        };
        assert_eq!(room_of(&word), 200);
        let remember = Remember {
            scope: String::new(),
            key: String::new(),
            request: String::new(),
            keep: Duration::ZERO,
            answer: Arc::new(|_| None),
        };
        assert_eq!(room_of(&Command::Once { remember, command: Box::new(word) }), 200);
    }

    #[tokio::test]
    async fn a_group_is_bounded_in_tasks_and_in_bytes_and_so_is_what_waits() {
        let (writer, mut lanes) = channel(100, 4);
        let send = |command: Command| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.request(command).await.map(drop) })
        };
        for _ in 0..5 {
            send(batch(400, 1));
        }
        while lanes.waiting() < 5 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lanes.group(1_000).await.unwrap().len(), 3, "400, 800, and the one that passes the bound");
        assert_eq!(lanes.group(1_000).await.unwrap().len(), 2);

        let heavy: Vec<_> = (0..20).map(|_| send(batch(1, 14 << 20))).collect();
        while lanes.waiting() < 18 {
            tokio::task::yield_now().await;
        }
        let group = lanes.group(1_000).await.unwrap();
        assert_eq!(group.len(), 1, "one that is heavier than a group may be goes alone");
        drop((group, lanes));
        let mut full = 0;
        for sent in heavy {
            full += usize::from(matches!(sent.await.unwrap(), Err(WriteError::Full)));
        }
        assert_eq!(full, 2, "of 20 times 14 MiB, 18 fit into the room");
    }

    #[tokio::test]
    async fn a_full_lane_refuses_at_once_and_outcomes_go_first() {
        let (writer, mut lanes) = channel(1, 4);
        let ask = |writer: Writer| async move { writer.rescue(1, None, Backoff::default()).await };
        let waiting = tokio::spawn(ask(writer.clone()));
        while lanes.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(writer.rescue(1, None, Backoff::default()).await, Err(WriteError::Full)));

        let settle = {
            let writer = writer.clone();
            let outcome = Outcome::Interrupted;
            tokio::spawn(async move {
                writer.settle(TaskId(1), Attempt(1), outcome, Backoff::default(), None).await?.await
            })
        };
        while lanes.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        let group = lanes.group(10).await.unwrap();
        assert!(matches!(group[0].command, Command::Settle { .. }), "{:?}", group[0].command);
        assert_eq!(group.len(), 2);
        drop(group);
        assert!(matches!(waiting.await.unwrap(), Err(WriteError::Interrupted)));
        assert!(matches!(settle.await.unwrap(), Err(WriteError::Interrupted)));
    }
}
