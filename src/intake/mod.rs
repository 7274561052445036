//! The one door in. Whatever comes from outside, over HTTP now and over other ways later, becomes a task here and
//! nowhere else: it is checked against the registry of kinds, the caller is checked, and the tracker is asked to
//! write it. Knows nothing of the forms in which callers speak.

mod arrivals;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use arrivals::Arrivals;

use crate::account::{Caller, Email, Name, NewUser, Token, User, UserError};
use crate::blob::Kept;
use crate::kinds::{Registry, transcode};
use crate::store::{NewRecording, NewTask, Refused, Store, StoreError, WriteError, Writer};
use crate::task::{Attachment, Json, Kind, Priority, RecordingId, Role, Task, TaskId, Timestamp, UserId};

/// A task as a caller asks for it, every field checked by itself; what fits together is checked here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Submission {
    /// What to do; `None` makes a `noop`.
    pub kind: Option<Kind>,
    /// Its input; `None` is `null`.
    pub payload: Option<Json>,
    /// How urgent.
    pub priority: Priority,
    /// The earliest start; `None` is at once.
    pub run_at: Option<Timestamp>,
    /// Tries allowed; `None` is the configured number.
    pub max_attempts: Option<u32>,
    /// How long one run may take; `None` is the configured time.
    pub timeout: Option<Duration>,
    /// Words to find it by.
    pub tags: Vec<String>,
}

/// What the intake allows.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Whether callers without an identity may create tasks.
    pub anonymous: bool,
    /// Tries allowed where the caller does not say.
    pub max_attempts: u32,
    /// Whether the upload stays after its conversion.
    pub keep_original: bool,
}

/// Why something was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IntakeError {
    /// The caller must say who they are.
    #[error("callers without an identity may not do this here: send `Authorization: Bearer <token>`")]
    Anonymous,
    /// No such kind.
    #[error("there is no kind `{kind}`; there are: {known}")]
    UnknownKind {
        /// Which of the submissions, from 0.
        index: usize,
        /// What was asked for.
        kind: Kind,
        /// What there is.
        known: String,
    },
    /// The kind has a door of its own.
    #[error("tasks of kind `{kind}` are not created directly: {instead}")]
    NotDirect {
        /// Which of the submissions, from 0.
        index: usize,
        /// What was asked for.
        kind: Kind,
        /// What to do.
        instead: &'static str,
    },
    /// The payload is not one of that kind.
    #[error("the payload does not fit kind `{kind}`: {problem}")]
    Payload {
        /// Which of the submissions, from 0.
        index: usize,
        /// Of which kind.
        kind: Kind,
        /// What is wrong with it.
        problem: String,
    },
    /// There is a user with that e-mail.
    #[error("a user with this e-mail exists already")]
    EmailTaken,
    /// The user cannot be made.
    #[error(transparent)]
    User(#[from] UserError),
    /// The task cannot be changed like that.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    writer: Writer,
    store: Arc<dyn Store>,
    kinds: Arc<Registry>,
    arrivals: Arrivals,
    policy: Policy,
}

/// Takes a waiter off the board when it is dropped.
struct Tidy<'a> {
    arrivals: &'a Arrivals,
    task: TaskId,
}

impl Drop for Tidy<'_> {
    fn drop(&mut self) {
        self.arrivals.tidy(self.task);
    }
}

impl Intake {
    /// How often a waiter looks at the row, behind the word of the tracker: this is the delay with which the end
    /// of a task on another node is seen.
    const LOOK: Duration = Duration::from_millis(500);

    /// The door to the tracker behind `writer`.
    #[must_use]
    pub fn new(
        writer: Writer,
        store: Arc<dyn Store>,
        kinds: Arc<Registry>,
        arrivals: Arrivals,
        policy: Policy,
    ) -> Self {
        Self { writer, store, kinds, arrivals, policy }
    }

    /// Accepts tasks, all or none. When this returns, they are on disk.
    ///
    /// # Errors
    /// [`IntakeError`]; of several faults the first.
    pub async fn submit(
        &self,
        caller: Caller,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Task>, IntakeError> {
        self.admit(caller)?;
        let tasks = submissions
            .into_iter()
            .enumerate()
            .map(|(index, submission)| self.check(caller, index, submission))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.writer.create(tasks).await?)
    }

    /// Accepts a recording for conversion; the upload's blob belongs to its task from then on.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn record(
        &self,
        owner: UserId,
        upload: &Kept,
        filename: String,
    ) -> Result<(RecordingId, Task), IntakeError> {
        let id = RecordingId::fresh();
        let payload = transcode::Payload {
            input: upload.name.clone(),
            settings: transcode::Settings::default(),
            keep_original: self.policy.keep_original,
        };
        let kind = transcode::kind();
        let payload = Json::of(&payload).map_err(|error| IntakeError::Payload {
            index: 0,
            kind: kind.clone(),
            problem: error.to_string(),
        })?;
        let task = NewTask {
            kind,
            owner: Some(owner),
            priority: Priority::default(),
            payload,
            tags: Vec::new(),
            max_attempts: self.policy.max_attempts,
            timeout: None,
            run_at: None,
            attachments: vec![Attachment {
                role: Role::Input,
                blob: upload.name.clone(),
                bytes: upload.bytes,
            }],
            recording: Some(NewRecording { id, filename }),
        };
        let mut tasks = self.writer.create(vec![task]).await?;
        let Some(task) = tasks.pop() else { unreachable!("one task was asked for") };
        Ok((id, task))
    }

    /// Stops a task of the caller's.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not theirs or has ended.
    pub async fn cancel(&self, caller: Caller, task: TaskId) -> Result<Task, IntakeError> {
        self.admit(caller)?;
        Ok(self.writer.cancel(task, caller).await??)
    }

    /// Makes an ended task of the caller's ready again.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not theirs, or neither failed nor cancelled.
    pub async fn retry(&self, caller: Caller, task: TaskId) -> Result<Task, IntakeError> {
        self.admit(caller)?;
        Ok(self.writer.retry(task, caller).await??)
    }

    /// Removes a task of the caller's, stopping it first if it runs, with what it owns.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not theirs.
    pub async fn delete(&self, caller: Caller, task: TaskId) -> Result<(), IntakeError> {
        self.admit(caller)?;
        self.writer.delete(task, caller).await??;
        Ok(())
    }

    /// Makes a user, and the token that is shown this once.
    ///
    /// # Errors
    /// [`IntakeError::User`] without name and e-mail, [`IntakeError::EmailTaken`].
    pub async fn create_user(
        &self,
        name: Option<Name>,
        email: Option<Email>,
    ) -> Result<(User, Token), IntakeError> {
        let token = Token::fresh();
        let user = NewUser::new(name, email, token.hash())?;
        let user = self.writer.create_user(user).await?.ok_or(IntakeError::EmailTaken)?;
        Ok((user, token))
    }

    /// Waits until the task has ended, at most until `deadline`, and gives it as it is then; `None` when it is
    /// gone.
    ///
    /// # Errors
    /// When the row cannot be read.
    pub async fn wait(&self, task: TaskId, deadline: Instant) -> Result<Option<Task>, StoreError> {
        // Dropped however the wait ends, also when the caller hangs up.
        let _tidy = Tidy { arrivals: &self.arrivals, task };
        loop {
            // Registered before the look, so that an end between the two is not missed.
            let ended = self.arrivals.of(task);
            let row = self.store.task(task).await?;
            let over = row.as_ref().is_none_or(|task| task.life.status().is_terminal());
            if over || Instant::now() >= deadline {
                return Ok(row);
            }
            // Woken, timed out, or the tracker restarted: look again either way.
            let _ = timeout_at(deadline.min(Instant::now() + Self::LOOK), ended).await;
        }
    }

    fn admit(&self, caller: Caller) -> Result<(), IntakeError> {
        match caller {
            Caller::Anonymous if !self.policy.anonymous => Err(IntakeError::Anonymous),
            Caller::Anonymous | Caller::User(_) => Ok(()),
        }
    }

    fn check(&self, caller: Caller, index: usize, submission: Submission) -> Result<NewTask, IntakeError> {
        let kind = submission.kind.unwrap_or_else(crate::kinds::noop::kind);
        let Some(work) = self.kinds.get(&kind) else {
            return Err(IntakeError::UnknownKind { index, kind, known: self.kinds.names().join(", ") });
        };
        if let Some(instead) = work.other_door() {
            return Err(IntakeError::NotDirect { index, kind, instead });
        }
        let payload = submission.payload.unwrap_or_else(Json::null);
        if let Err(problem) = work.check(&payload) {
            return Err(IntakeError::Payload { index, kind, problem });
        }
        Ok(NewTask {
            kind,
            owner: caller.user(),
            priority: submission.priority,
            payload,
            tags: submission.tags,
            max_attempts: submission.max_attempts.unwrap_or(self.policy.max_attempts),
            timeout: submission.timeout,
            run_at: submission.run_at,
            attachments: Vec::new(),
            recording: None,
        })
    }
}
