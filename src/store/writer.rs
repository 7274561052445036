//! The way to the tracker: two bounded lanes of commands, each with the place for its answer.
//!
//! Requests come from callers, and when their lane is full they are told so at once ([`WriteError::Full`], a 503
//! at the edge). Outcomes come from runs; there is never more than one under way for each permit, so their lane
//! holds them all, and no flood of requests can keep a finished run from being written down.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Command, NewTask, Refused, Reply, Rescued, Settled, StoreError};
use crate::account::{Caller, NewUser, User};
use crate::task::{Attempt, Backoff, Outcome, Percent, Task, TaskId};
use crate::telemetry::metrics::QueueMetrics;

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
}

/// The callers' end. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    requests: mpsc::Sender<Inbound>,
    outcomes: mpsc::Sender<Inbound>,
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
        Writer { requests: requests_in, outcomes: outcomes_in, metrics: QueueMetrics::new() },
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

    /// Takes whatever is there now without waiting, up to `max`, outcomes first.
    pub fn fill(&mut self, group: &mut Vec<Inbound>, max: usize) {
        for lane in [&mut self.outcomes, &mut self.requests] {
            while group.len() < max {
                match lane.try_recv() {
                    Ok(inbound) => group.push(inbound),
                    Err(_) => break,
                }
            }
        }
    }

    /// How many commands wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.requests.len() + self.outcomes.len()
    }
}

impl Writer {
    /// Accepts tasks, all or none; they are on disk when this returns.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn create(&self, tasks: Vec<NewTask>) -> Result<Vec<Task>, WriteError> {
        let Reply::Created(tasks) = self.request(Command::Create(tasks)).await? else { mismatch() };
        Ok(tasks)
    }

    /// Stops a task.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn cancel(&self, task: TaskId, caller: Caller) -> Result<Result<Task, Refused>, WriteError> {
        self.change(Command::Cancel { task, caller }).await
    }

    /// Makes an ended task ready again.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn retry(&self, task: TaskId, caller: Caller) -> Result<Result<Task, Refused>, WriteError> {
        self.change(Command::Retry { task, caller }).await
    }

    /// Removes a task.
    ///
    /// # Errors
    /// [`WriteError`]; a refusal is the inner error.
    pub async fn delete(&self, task: TaskId, caller: Caller) -> Result<Result<Task, Refused>, WriteError> {
        self.change(Command::Delete { task, caller }).await
    }

    /// Makes a user; `None` when the e-mail is taken.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn create_user(&self, user: NewUser) -> Result<Option<User>, WriteError> {
        let reply = match self.request(Command::CreateUser(user)).await {
            // Another node took the e-mail between our look and our insert.
            Err(WriteError::Store(error)) if error.is_unique_violation() => return Ok(None),
            reply => reply?,
        };
        let Reply::UserCreated(user) = reply else { mismatch() };
        Ok(user)
    }

    /// Frees the tasks of dead nodes, at most `limit` at a time.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn rescue(&self, limit: u32) -> Result<Rescued, WriteError> {
        let Reply::Rescued(rescued) = self.request(Command::Rescue { limit }).await? else { mismatch() };
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
    ) -> Result<impl Future<Output = Result<Result<Settled, Refused>, WriteError>> + use<>, WriteError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Settle { task, attempt, outcome, backoff };
        // Waiting for room is right here, and the lane's size makes it rare: an outcome is never dropped.
        self.outcomes.send(Inbound { command, answer }).await.map_err(|_| WriteError::Interrupted)?;
        Ok(async move { settled(answered.await.map_err(|_| WriteError::Interrupted)??) })
    }

    async fn change(&self, command: Command) -> Result<Result<Task, Refused>, WriteError> {
        let Reply::Changed(changed) = self.request(command).await? else { mismatch() };
        Ok(changed.map(|task| *task))
    }

    async fn request(&self, command: Command) -> Result<Reply, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.requests.try_send(Inbound { command, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.metrics.refused();
                WriteError::Full
            }
            mpsc::error::TrySendError::Closed(_) => WriteError::Interrupted,
        })?;
        answered.await.map_err(|_| WriteError::Interrupted)?
    }
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
    use super::*;

    #[tokio::test]
    async fn a_full_lane_refuses_at_once_and_outcomes_go_first() {
        let (writer, mut lanes) = channel(1, 4);
        let ask = |writer: Writer| async move { writer.rescue(1).await };
        let waiting = tokio::spawn(ask(writer.clone()));
        while lanes.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(writer.rescue(1).await, Err(WriteError::Full)));

        let settle = {
            let writer = writer.clone();
            let outcome = Outcome::Interrupted;
            tokio::spawn(async move {
                writer.settle(TaskId(1), Attempt(1), outcome, Backoff::default()).await?.await
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
