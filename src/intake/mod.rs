//! The one door in. Whatever comes from outside, over HTTP now and over other ways later, becomes a task here and
//! nowhere else: it is checked against the registry of kinds, the caller is checked, and the tracker is asked to
//! write it. Knows nothing of the forms in which callers speak.

mod arrivals;
mod bulk;
mod images;
mod kinds;
mod limits;
mod openings;
mod outside;
mod pictures;
mod reports;
mod submission;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use arrivals::{Arrivals, Watch};
pub use images::ImageUpload;
pub use limits::{Limits, Mark, Most, QueueFull, Turn, Waiting};
pub use openings::Openings;
pub use outside::ClaimTerms;
pub use pictures::Pictures;
pub use reports::ReportTerms;
pub use submission::{IntakeError, Submission};

use crate::account::{Caller, NewUser, TokenHash, User, UserChange};
use crate::blob::Kept;
use crate::kinds::{Registry, transcode};
use crate::outbound::{Policy as OutboundPolicy, Target};
use crate::store::{
    Accepted, NewRecording, NewTask, Once, Refused, Remember, RememberedAnswer, Store, StoreError, Writer,
};
use crate::task::{Attachment, Backoff, Json, RecordingId, Role, Task, TaskId, UserId};

/// What the intake allows.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether callers without an identity may create tasks.
    pub anonymous: bool,
    /// Tries allowed where the caller does not say.
    pub max_attempts: u32,
    /// Whether the upload stays after its conversion.
    pub keep_original: bool,
    /// How long a worker outside may hold a task without a word, where it does not say.
    pub lease: Duration,
    /// How long a person may; `None` is for as long as it takes.
    pub manual_lease: Option<Duration>,
    /// When a try that failed outside is tried again.
    pub backoff: Backoff,
    /// Where callbacks may go.
    pub callbacks: OutboundPolicy,
    /// What there must be room for.
    pub limits: Limits,
}

/// What came of a request that may carry a key.
#[derive(Debug)]
pub enum Done<T> {
    /// It was done now.
    Now(T),
    /// It was done before, and answered like this.
    Before(RememberedAnswer),
}

impl<T> Done<T> {
    /// The same, with what was done now made into something else.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Done<U> {
        match self {
            Self::Now(done) => Done::Now(make(done)),
            Self::Before(answer) => Done::Before(answer),
        }
    }
}

impl<T> Done<Result<T, Refused>> {
    fn transpose(self) -> Result<Done<T>, IntakeError> {
        Ok(match self {
            Self::Now(done) => Done::Now(done?),
            Self::Before(answer) => Done::Before(answer),
        })
    }
}

/// A key that was used for another request is the caller's mistake.
fn done<T>(once: Once<T>) -> Result<Done<T>, IntakeError> {
    match once {
        Once::OverQuota(quota, usage) => Err(IntakeError::OverQuota(quota, usage)),
        Once::Now(done) => Ok(Done::Now(done)),
        Once::Before(answer) => Ok(Done::Before(answer)),
        Once::KeyReused => Err(IntakeError::KeyReused),
    }
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    writer: Writer,
    store: Arc<dyn Store>,
    kinds: Arc<Registry>,
    arrivals: Arrivals,
    openings: Openings,
    pictures: Pictures,
    limits: Limits,
    policy: Arc<Policy>,
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

    /// So many tasks of a user who is removed are removed at a time, and so often before the answer.
    const PURGE_LIMIT: u32 = 500;
    const PURGES: u32 = 4;

    /// The door to the tracker behind `writer`.
    #[must_use]
    pub fn new(
        writer: Writer,
        store: Arc<dyn Store>,
        kinds: Arc<Registry>,
        arrivals: Arrivals,
        openings: Openings,
        pictures: Pictures,
        policy: Policy,
    ) -> Self {
        let limits = policy.limits.clone();
        Self { writer, store, kinds, arrivals, openings, pictures, limits, policy: Arc::new(policy) }
    }

    /// Accepts tasks, all or none. When this returns, they are on disk.
    ///
    /// # Errors
    /// [`IntakeError`]; of several faults the first.
    pub async fn submit(
        &self,
        caller: Caller,
        submissions: Vec<Submission>,
        remember: Option<Remember>,
    ) -> Result<Done<Vec<Accepted>>, IntakeError> {
        self.admit(caller)?;
        self.accept(caller, submissions, remember).await
    }

    async fn accept(
        &self,
        caller: Caller,
        mut submissions: Vec<Submission>,
        remember: Option<Remember>,
    ) -> Result<Done<Vec<Accepted>>, IntakeError> {
        let images: Vec<_> = submissions.iter_mut().map(|submission| submission.image.take()).collect();
        let mut tasks = submissions
            .into_iter()
            .enumerate()
            .map(|(index, submission)| self.check(caller, index, submission))
            .collect::<Result<Vec<_>, _>>()?;
        let _turn = self.limits.let_in(&tasks)?;
        // Pinned until the rows name them.
        let mut kept = Vec::new();
        for (index, (task, image)) in tasks.iter_mut().zip(images).enumerate() {
            if let Some(image) = image {
                let _room = self.expect_file(None, Some(image.len() as u64))?;
                kept.push(self.picture(index, task, image).await?);
            }
        }
        let made = self.writer.create(tasks, remember).await;
        drop(kept);
        done(made?)
    }

    /// Accepts a task that came over the broker, which has let its producer in; nobody owns it. When this returns, it is
    /// on disk.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn submit_from_broker(
        &self,
        submission: Submission,
        remember: Option<Remember>,
    ) -> Result<Done<Vec<Accepted>>, IntakeError> {
        self.accept(Caller::Anonymous, vec![submission], remember).await
    }

    /// Accepts a recording for conversion, to be known by `id` and its file's name; the upload's blob belongs to its
    /// task from then on.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn record(
        &self,
        owner: UserId,
        upload: &Kept,
        (id, filename): (RecordingId, String),
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
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
            payload,
            max_attempts: self.policy.max_attempts,
            attachments: vec![Attachment {
                role: Role::Input,
                blob: upload.name.clone(),
                bytes: upload.bytes,
            }],
            recording: Some(NewRecording { id, filename }),
            ..NewTask::plain(kind, Some(owner))
        };
        let _turn = self.limits.let_in(std::slice::from_ref(&task))?;
        let created = done(self.writer.create(vec![task], remember).await?)?;
        Ok(created.map(|mut tasks| match tasks.pop() {
            Some(made) => made.task,
            None => unreachable!("one task was asked for"),
        }))
    }

    /// Stops a task of the caller's.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not theirs or has ended; [`IntakeError::WantsToken`].
    pub async fn cancel(
        &self,
        caller: Caller,
        task: TaskId,
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
        self.admit(caller)?;
        self.wants_no_token(caller, task).await?;
        done(self.writer.cancel(task, caller, remember).await?)?.transpose()
    }

    /// Makes an ended task of the caller's ready again.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not theirs, or neither failed nor cancelled; [`IntakeError::QueueFull`].
    pub async fn retry(
        &self,
        caller: Caller,
        task: TaskId,
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
        self.admit(caller)?;
        let _turn = self.may_wait_again(task).await?;
        done(self.writer.retry(task, caller, remember).await?)?.transpose()
    }

    /// Removes a task of the caller's, stopping it first if it runs, with what it owns.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] where it is not theirs; [`IntakeError::WantsToken`].
    pub async fn delete(
        &self,
        caller: Caller,
        task: TaskId,
        remember: Option<Remember>,
    ) -> Result<Done<Task>, IntakeError> {
        self.admit(caller)?;
        self.wants_no_token(caller, task).await?;
        done(self.writer.delete(task, caller, remember).await?)?.transpose()
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`IntakeError::EmailTaken`].
    pub async fn create_user(
        &self,
        user: NewUser,
        remember: Option<Remember>,
    ) -> Result<Done<User>, IntakeError> {
        self.limits.room_for_rows()?;
        Ok(match done(self.writer.create_user(user, remember).await?)? {
            Done::Now(user) => Done::Now(user.ok_or(IntakeError::EmailTaken)?),
            Done::Before(answer) => Done::Before(answer),
        })
    }

    /// Changes a user. A change that ends the user's sessions lets `session` go on.
    ///
    /// # Errors
    /// [`IntakeError::UserRefused`].
    pub async fn change_user(
        &self,
        caller: Caller,
        user: UserId,
        change: UserChange,
        session: Option<TokenHash>,
        remember: Option<Remember>,
    ) -> Result<Done<User>, IntakeError> {
        Ok(match done(self.writer.change_user(user, caller, change, session, remember).await?)? {
            Done::Now(changed) => Done::Now(changed?),
            Done::Before(answer) => Done::Before(answer),
        })
    }

    /// Removes a user with what is theirs. Of what there is very much, the janitor removes the rest.
    ///
    /// # Errors
    /// [`IntakeError::UserRefused`].
    pub async fn delete_user(
        &self,
        caller: Caller,
        user: UserId,
        remember: Option<Remember>,
    ) -> Result<Done<User>, IntakeError> {
        let gone = match done(self.writer.delete_user(user, caller, remember).await?)? {
            Done::Now(gone) => gone?,
            Done::Before(answer) => return Ok(Done::Before(answer)),
        };
        for _ in 0..Self::PURGES {
            // The user is gone whatever comes of this; what is left is found later.
            match self.writer.purge(Self::PURGE_LIMIT).await {
                Ok(purged) if purged.more => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "what a user left could not be removed yet");
                    break;
                }
            }
        }
        Ok(Done::Now(gone))
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

    /// What tells from now on whether the task has ended since, or was deleted, as far as this node did that.
    #[must_use]
    pub fn watch(&self, task: TaskId) -> Watch {
        self.arrivals.watch(task)
    }

    fn admit(&self, caller: Caller) -> Result<(), IntakeError> {
        match caller {
            Caller::Anonymous if !self.policy.anonymous => Err(IntakeError::Anonymous),
            Caller::Anonymous | Caller::User(_) | Caller::Admin(_) => Ok(()),
        }
    }

    fn check(&self, caller: Caller, index: usize, submission: Submission) -> Result<NewTask, IntakeError> {
        let kind = submission.kind.unwrap_or_else(crate::kinds::noop::kind);
        let payload = submission.payload.unwrap_or_else(Json::null);
        let mut owner = caller.user();
        match self.kinds.get(&kind) {
            Some(work) => {
                if let Some(instead) = work.other_door() {
                    return Err(IntakeError::NotDirect { index, kind, instead });
                }
                if work.admins_only() && !caller.is_admin() {
                    return Err(IntakeError::AdminsOnly);
                }
                // What nobody owns is everybody's.
                if work.admins_only() {
                    owner = owner.or(Some(UserId::NOBODYS));
                }
                if let Err(problem) = work.check(&payload) {
                    return Err(IntakeError::Payload { index, kind, problem });
                }
            }
            None if self.kinds.outside().contains(&kind) => {}
            None => {
                return Err(IntakeError::UnknownKind { index, kind, known: self.kinds.names().join(", ") });
            }
        }
        if let Some(url) = &submission.callback_url
            && let Err(error) = Target::parse(url, &self.policy.callbacks)
        {
            return Err(IntakeError::Callback { index, problem: error.to_string() });
        }
        Ok(NewTask {
            priority: submission.priority,
            payload,
            tags: submission.tags,
            max_attempts: submission.max_attempts.unwrap_or(self.policy.max_attempts),
            timeout: submission.timeout,
            run_at: submission.run_at,
            expires_in: submission.expires_in,
            unique_key: submission.unique_key,
            callback: submission.callback_url,
            reply_to: submission.reply_to,
            ..NewTask::plain(kind, owner)
        })
    }
}
