//! The door for workers that are not ours: programs and people who take tasks, and speak for them.
//!
//! Called by the routes. Whoever waits for a task is woken by the tracker's word of what was made or freed on this
//! node (`Openings`), and looks now and then all the same: other nodes make tasks too.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Done, Intake, IntakeError, done};
use crate::account::Caller;
use crate::store::{Once, Remember, Take, Taken, Wanted, Word};
use crate::task::{Attempt, Holder, Kind, Task, TaskId, WorkerName};

/// How a program outside wants to work.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimTerms {
    /// What it calls itself.
    pub worker: WorkerName,
    /// How long it may hold the task without a word; `None` is the configured lease.
    pub lease: Option<Duration>,
}

impl Intake {
    /// How often whoever waits for a task looks, without having been told of one.
    const LOOK_OUT: Duration = Duration::from_secs(1);

    /// Gives a program the most urgent free task of `kinds`, waiting for one until `deadline`; `None` when none
    /// came. Waiting ends early when `enough` resolves (a drain). Who hangs up drops the future: then nothing is
    /// taken, except where the write was on its way already; such a task is free again when its lease runs out.
    ///
    /// # Errors
    /// [`IntakeError::NotClaimable`] for a kind that there is not, or that is the daemon's own work.
    pub async fn claim(
        &self,
        caller: Caller,
        kinds: Vec<Kind>,
        terms: ClaimTerms,
        (deadline, enough): (Instant, impl Future<Output = ()>),
        remember: Option<Remember>,
    ) -> Result<Done<Option<Task>>, IntakeError> {
        self.admit(caller)?;
        let outside = self.kinds.outside();
        if let Some((index, kind)) = kinds.iter().enumerate().find(|(_, kind)| !outside.contains(*kind)) {
            let (kind, claimable) = (kind.clone(), outside.iter().cloned().collect());
            return Err(IntakeError::NotClaimable { index, kind, claimable });
        }
        let mut enough = pin!(enough);
        let take = Take {
            wanted: Wanted::Kinds(kinds.clone()),
            caller,
            holder: Holder::Worker(terms.worker),
            lease: Some(terms.lease.unwrap_or(self.policy.lease)),
        };
        loop {
            // Before the look, so that a task that comes between the two is not missed.
            let opening = self.openings.of(&kinds);
            match self.take_one(&take, remember.clone()).await? {
                Done::Now(None) => {}
                taken @ (Done::Now(Some(_)) | Done::Before(_)) => return Ok(taken),
            }
            if Instant::now() >= deadline {
                return Ok(Done::Now(None));
            }
            tokio::select! {
                biased;
                () = &mut enough => return Ok(Done::Now(None)),
                () = self.look_out(&kinds, caller, opening, deadline) => {}
            }
        }
    }

    /// Gives a program that task; `None` while its kind is paused.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not free, or not for workers outside.
    pub async fn claim_one(
        &self,
        caller: Caller,
        task: TaskId,
        terms: ClaimTerms,
        remember: Option<Remember>,
    ) -> Result<Done<Option<Task>>, IntakeError> {
        self.admit(caller)?;
        let take = Take {
            wanted: Wanted::Id(task),
            caller,
            holder: Holder::Worker(terms.worker),
            lease: Some(terms.lease.unwrap_or(self.policy.lease)),
        };
        match done(self.writer.take(take, remember).await?)? {
            Done::Before(answer) => Ok(Done::Before(answer)),
            Done::Now(taken) => match taken? {
                Taken::Task(task) => Ok(Done::Now(Some(*task))),
                Taken::Nothing => Ok(Done::Now(None)),
                Taken::Expired => Err(IntakeError::Refused(crate::store::Refused::NotFound(task))),
            },
        }
    }

    /// Gives a person the oldest free task of kind `manual`; `None` where none is free.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn take_free(
        &self,
        caller: Caller,
        remember: Option<Remember>,
    ) -> Result<Done<Option<Task>>, IntakeError> {
        self.admit(caller)?;
        let take = Take {
            wanted: Wanted::Kinds(vec![crate::kinds::manual::kind()]),
            caller,
            holder: Holder::Person,
            lease: self.policy.manual_lease,
        };
        self.take_one(&take, remember).await
    }

    /// Writes down what a worker says of its task; the task as it is then.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where the attempt is over, or the task is in other hands.
    pub async fn word(
        &self,
        caller: Caller,
        task: TaskId,
        attempt: Option<Attempt>,
        word: Word,
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
        self.admit(caller)?;
        let backoff = self.policy.backoff;
        let written = self.writer.word((task, attempt), caller, word, backoff, remember).await?;
        done(written)?.transpose()
    }

    async fn take_one(
        &self,
        take: &Take,
        remember: Option<Remember>,
    ) -> Result<Done<Option<Task>>, IntakeError> {
        loop {
            let taken: Once<_> = self.writer.take(take.clone(), remember.clone()).await?;
            match done(taken)? {
                Done::Before(answer) => return Ok(Done::Before(answer)),
                Done::Now(Ok(Taken::Task(task))) => return Ok(Done::Now(Some(*task))),
                Done::Now(Ok(Taken::Nothing)) => return Ok(Done::Now(None)),
                // What was first had expired; behind it there may be one that has not.
                Done::Now(Ok(Taken::Expired)) => {}
                Done::Now(Err(refused)) => return Err(refused.into()),
            }
        }
    }

    /// Waits until there may be a task of `kinds` to take, or `deadline`.
    async fn look_out(
        &self,
        kinds: &[Kind],
        caller: Caller,
        opening: tokio::sync::oneshot::Receiver<()>,
        deadline: Instant,
    ) {
        let mut opening = opening;
        loop {
            let next = deadline.min(Instant::now() + Self::LOOK_OUT);
            if timeout_at(next, &mut opening).await.is_ok() || Instant::now() >= deadline {
                return;
            }
            // A cheap look, so that a thousand waiting workers do not write a thousand times a second. When it
            // fails, the write that follows says why.
            if self.store.any_free(kinds, caller).await.unwrap_or(true) {
                return;
            }
        }
    }
}
