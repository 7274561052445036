//! What can be asked of the database to change, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bulk::{Bulk, BulkAct};
use super::{Pause, Span, StoreError};
use crate::account::{
    Caller, Counters, CountersChange, CountersError, NewUser, TokenHash, User, UserChange, UserError,
};
use crate::media::image::{Facts, Format};
use crate::task::{
    Attachment, Attempt, Backoff, Event, Failure, Holder, IllegalTransition, ImageId, ImageName, Json, Kind,
    NodeId, Outcome, Percent, Priority, RecordingId, ReportId, Status, Task, TaskId, Timestamp, TraceParent,
    UserId,
};

/// One change, asked for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Accept tasks: all or none. Answered by [`Reply::Created`].
    Create(Vec<NewTask>),
    /// Take ready tasks. Answered by [`Reply::Claimed`].
    Claim(Claim),
    /// Write down how a run ended. Answered by [`Reply::Settled`].
    Settle {
        /// Which task.
        task: TaskId,
        /// The attempt that ended.
        attempt: Attempt,
        /// How.
        outcome: Outcome,
        /// When to try again, should it have failed.
        backoff: Backoff,
        /// What the run found out about the image that its task is made for.
        image: Option<Facts>,
    },
    /// Write down how far a run is. Answered by [`Reply::Settled`].
    Progress {
        /// Which task.
        task: TaskId,
        /// The attempt that runs.
        attempt: Attempt,
        /// How far.
        percent: Percent,
    },
    /// Stop a task. Answered by [`Reply::Changed`].
    Cancel {
        /// Which task.
        task: TaskId,
        /// On whose wish.
        caller: Caller,
    },
    /// Make an ended task ready again. Answered by [`Reply::Changed`].
    Retry {
        /// Which task.
        task: TaskId,
        /// On whose wish.
        caller: Caller,
    },
    /// Remove a task and what it owns. Answered by [`Reply::Changed`], with the task as it last was.
    Delete {
        /// Which task.
        task: TaskId,
        /// On whose wish.
        caller: Caller,
    },
    /// Give a task to somebody outside. Answered by [`Reply::Taken`].
    Take(Take),
    /// Write down what somebody outside says of a task in their hands. Answered by [`Reply::Changed`].
    Word {
        /// Which task.
        task: TaskId,
        /// The attempt that they speak for; `None` is the current one, which only a user may say of a task that
        /// was given to that user.
        attempt: Option<Attempt>,
        /// Who speaks.
        caller: Caller,
        /// What they say.
        word: Word,
        /// When to try again, should it have failed.
        backoff: Backoff,
    },
    /// Do what the command says, unless a request of this key was answered before. Answered by what the command is
    /// answered by, by [`Reply::Before`], or by [`Reply::KeyReused`].
    Once {
        /// The key, and what to remember.
        remember: Remember,
        /// What to do; not itself a `Once`, nor a `Claim` or `Rescue`.
        command: Box<Command>,
    },
    /// Free the tasks whose holder's lease ran out, and end those that it is too late to start. Answered by
    /// [`Reply::Rescued`].
    Rescue {
        /// At most so many tasks at a time, so that a mass rescue does not become one huge transaction.
        limit: u32,
        /// The incarnation that asks: it lives, whatever its lease says, and deals with its own tasks itself.
        except: Option<NodeId>,
        /// When to try again what took longer outside than its task allows.
        backoff: Backoff,
    },
    /// Make a user. Answered by [`Reply::UserCreated`].
    CreateUser(NewUser),
    /// Change a user. Answered by [`Reply::UserChanged`].
    ChangeUser {
        /// Which.
        user: UserId,
        /// On whose wish.
        caller: Caller,
        /// What.
        change: UserChange,
        /// Of the sessions that the change ends, the one that goes on all the same: that of the caller.
        session: Option<TokenHash>,
    },
    /// Remove a user, who is nobody from then on; what is theirs goes with [`Command::Purge`]. Answered by
    /// [`Reply::UserChanged`], with the user as they last were.
    DeleteUser {
        /// Which.
        user: UserId,
        /// On whose wish.
        caller: Caller,
    },
    /// Change a user's counters. Answered by [`Reply::CountersChanged`].
    ChangeCounters {
        /// Whose.
        user: UserId,
        /// On whose wish.
        caller: Caller,
        /// How.
        change: CountersChange,
    },
    /// Remove tasks of users who are gone, and give back what they had in hand. Answered by [`Reply::Purged`].
    Purge {
        /// At most so many tasks at a time.
        limit: u32,
    },
    /// Remove those of these tasks that ended like this before that instant, and have not lived again since. Answered by
    /// [`Reply::Purged`].
    Expire {
        /// Which.
        tasks: Vec<TaskId>,
        /// How they must have ended.
        status: Status,
        /// Before when.
        before: Timestamp,
    },
    /// Do the same to many tasks, each by itself. Answered by [`Reply::Bulk`].
    Bulk {
        /// What.
        act: BulkAct,
        /// To which.
        tasks: Vec<TaskId>,
        /// On whose wish.
        caller: Caller,
        /// What was done before, of which this goes on.
        so_far: Bulk,
    },
    /// Let nothing of a kind start on any node, or let it go on. Answered by [`Reply::PauseSet`].
    SetPaused {
        /// Which kind.
        kind: Kind,
        /// Whether it is to be paused.
        paused: bool,
        /// On whose wish.
        caller: Caller,
    },
}

impl Command {
    /// What is to be done, without what is to be remembered of it.
    fn act(&self) -> &Self {
        if let Self::Once { command, .. } = self { command.act() } else { self }
    }

    /// The tasks that it creates.
    #[must_use]
    pub fn new_tasks(&self) -> &[NewTask] {
        if let Self::Create(tasks) = self.act() { tasks } else { &[] }
    }

    /// How many tasks it is about, as far as that weighs on a group: 1 where it is about none.
    #[must_use]
    pub fn weight(&self) -> usize {
        let tasks = if let Self::Bulk { tasks, .. } | Self::Expire { tasks, .. } = self.act() {
            tasks.len()
        } else {
            self.new_tasks().len()
        };
        tasks.max(1)
    }

    /// The result that a program outside gives with this, if it does.
    #[must_use]
    pub fn result(&self) -> Option<&Json> {
        if let Self::Word { word: Word::Complete(result), .. } = self.act() { Some(result) } else { None }
    }
}

/// A task to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// What it does.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Option<UserId>,
    /// How urgent.
    pub priority: Priority,
    /// The kind's input.
    pub payload: Json,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Tries allowed.
    pub max_attempts: u32,
    /// How long one run may take.
    pub timeout: Option<Duration>,
    /// The earliest start; `None` is at once.
    pub run_at: Option<Timestamp>,
    /// After this time without a start, it is too late to start it.
    pub expires_in: Option<Duration>,
    /// The key of which only one task of this owner and kind lives at a time.
    pub unique_key: Option<String>,
    /// Where to tell of its events.
    pub callback: Option<String>,
    /// The trace that it belongs to.
    pub traceparent: Option<TraceParent>,
    /// Where on the broker to tell how it ended.
    pub reply_to: Option<ReplyTo>,
    /// The blobs that it works on.
    pub attachments: Vec<Attachment>,
    /// The recording that it is made for.
    pub recording: Option<NewRecording>,
    /// The image that it is made for.
    pub image: Option<NewImage>,
    /// The report that it makes, about its owner.
    pub report: Option<NewReport>,
    /// The picture that comes with it, which is one of its attachments.
    pub picture: Option<NewPicture>,
}

impl NewTask {
    /// A task of `kind` that is like most: one try, nothing asked for.
    #[must_use]
    pub fn plain(kind: Kind, owner: Option<UserId>) -> Self {
        Self {
            kind,
            owner,
            priority: Priority::default(),
            payload: Json::null(),
            tags: Vec::new(),
            max_attempts: 1,
            timeout: None,
            run_at: None,
            expires_in: None,
            unique_key: None,
            callback: None,
            traceparent: None,
            reply_to: None,
            attachments: Vec::new(),
            recording: None,
            image: None,
            report: None,
            picture: None,
        }
    }

    /// What it adds to what its owner has here, and how much that may be.
    pub(super) fn adds(&self) -> Option<(u64, Quota)> {
        let image = self.image.as_ref().map(|image| (image.bytes, image.quota));
        image.or_else(|| self.picture.as_ref().map(|picture| (picture.bytes, picture.quota)))
    }
}

/// A picture with a task, as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPicture {
    /// What is stored of it.
    pub bytes: u64,
    /// How much its owner may have here, this one included.
    pub quota: Quota,
}

/// Where a producer on the broker listens for the end of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    /// The queue.
    pub queue: String,
    /// What the producer knows its request by.
    pub correlation_id: Option<String>,
}

/// A request that counts once: its key, and how to remember the answer.
#[derive(Clone)]
pub struct Remember {
    /// Whose keys, so that nobody meets another's.
    pub scope: String,
    /// The key that the caller chose.
    pub key: String,
    /// The hash of what is asked: the same key for anything else is refused.
    pub request: String,
    /// For how long.
    pub keep: Duration,
    /// The answer to remember; `None` when the reply is none to hold anybody to (a refusal).
    pub answer: MakeAnswer,
}

/// What makes the answer out of the reply.
pub type MakeAnswer = Arc<dyn Fn(&Reply) -> Option<RememberedAnswer> + Send + Sync>;

impl fmt::Debug for Remember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remember").field("scope", &self.scope).field("key", &self.key).finish_non_exhaustive()
    }
}

/// An answer as it is remembered and given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The header of that name.
    pub location: Option<String>,
    /// The body, as text.
    pub body: String,
}

/// Which task to give to somebody outside, and on what terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Take {
    /// Which.
    pub wanted: Wanted,
    /// Who asks.
    pub caller: Caller,
    /// Into whose hands.
    pub holder: Holder,
    /// How long it may be held without a word; `None` is for as long as it takes.
    pub lease: Option<Duration>,
}

/// Which task somebody outside wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The most urgent of these kinds, then the oldest.
    Kinds(Vec<Kind>),
    /// That one.
    Id(TaskId),
}

/// What somebody outside says of the task in their hands. Each word is a sign of life.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// They live; with a lease of another length from now on, if they say so.
    Heartbeat(Option<Duration>),
    /// So far they are.
    Progress(Percent),
    /// They are done.
    Complete(Json),
    /// The try failed.
    Fail(Failure),
    /// They give it back undone.
    Release,
}

/// A recording to be kept; it lives as long as its task.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRecording {
    /// Its public name.
    pub id: RecordingId,
    /// What the uploaded file was called: text to show, never a path.
    pub filename: String,
}

/// A report to be made; it lives as long as its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewReport {
    /// Its public name.
    pub id: ReportId,
    /// For how long it is kept.
    pub keep: Duration,
}

/// An image to be kept; it lives as long as its task.
#[derive(Debug, Clone, PartialEq)]
pub struct NewImage {
    /// Its number.
    pub id: ImageId,
    /// The name under which it is served.
    pub name: ImageName,
    /// What the uploaded file was called: text to show, never a path.
    pub filename: String,
    /// What its bytes say it is.
    pub format: Format,
    /// The size of the upload, until it is known how much is stored.
    pub bytes: u64,
    /// Columns of pixels, as they are seen, upright.
    pub width: u32,
    /// Rows, likewise.
    pub height: u32,
    /// How many frames.
    pub frames: u32,
    /// What is kept of the token with which anybody may remove it.
    pub delete_token: TokenHash,
    /// How much its owner may have here, this one included.
    pub quota: Quota,
}

/// How much somebody may have here. Callers without an identity are counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// The most images; `None` is any number.
    pub images: Option<u64>,
    /// The most bytes; `None` is any number.
    pub bytes: Option<u64>,
}

impl Quota {
    /// Whether there is any bound.
    pub(super) fn limits(self) -> bool {
        self.images.is_some() || self.bytes.is_some()
    }
}

/// How much somebody has here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Images.
    pub images: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Which ready tasks to take, and for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The incarnation that will run them. It gets none when its lease has run out.
    pub node: NodeId,
    /// At most so many of each kind: as many as there are free permits.
    pub want: Vec<(Kind, u32)>,
    /// Look at what was waiting before this group, and then at what the group itself creates (`true`), or only
    /// at the latter (`false`): the tracker knows when the first can only be empty, and saves the look.
    pub look: bool,
    /// The kinds that this node has: of others it need not know that a suspect waits.
    pub known: Vec<Kind>,
    /// First move what has come due from the parked lane to the open one.
    pub promote: bool,
    /// Take one suspect instead of anything else.
    pub suspect: bool,
}

/// What a group did.
#[derive(Debug)]
pub struct Committed {
    /// An answer for each command, in their order.
    pub replies: Vec<Result<Reply, StoreError>>,
    /// Everything that happened, in the order of the events' numbers.
    pub events: Vec<Event>,
    /// How long tasks waited that started, and tries took that ended.
    pub spans: Vec<Span>,
}

/// The answer to one command.
#[derive(Debug)]
pub enum Reply {
    /// The tasks, in the order given.
    Created(Vec<Accepted>),
    /// No task was made: with its image its owner would have more here than their quota, which is told with what they
    /// have.
    OverQuota(Quota, Usage),
    /// What somebody outside got.
    Taken(Result<Taken, Refused>),
    /// What a request of this key was answered.
    Before(RememberedAnswer),
    /// The key was used for another request.
    KeyReused,
    /// The tasks taken.
    Claimed(Claimed),
    /// Where the word of a run left its task, or why it has no say.
    Settled(Result<Settled, Refused>),
    /// The task as it is now, or why not.
    Changed(Result<Box<Task>, Refused>),
    /// What a rescue found.
    Rescued(Rescued),
    /// The new user; `None` when the e-mail is taken.
    UserCreated(Option<User>),
    /// The user as they are now, or why not.
    UserChanged(Result<Box<User>, UserRefused>),
    /// The counters as they are now, or why not.
    CountersChanged(Result<Counters, UserRefused>),
    /// What a purge removed.
    Purged(Purged),
    /// What was done to many tasks, what was done before included.
    Bulk(Bulk),
    /// How a kind stands now.
    PauseSet {
        /// Which kind.
        kind: Kind,
        /// Its pause, while there is one.
        pause: Option<Pause>,
    },
}

/// A task that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The task: as it was accepted just now, or the living one of the same unique key as it stands.
    pub task: Task,
    /// Whether it was made just now.
    pub fresh: bool,
}

/// What somebody outside got.
#[derive(Debug)]
pub enum Taken {
    /// This task, now in progress.
    Task(Box<Task>),
    /// Nothing is free, or it is of a kind that is paused.
    Nothing,
    /// What was next had expired: there may be more behind it.
    Expired,
}

/// What a claim took.
#[derive(Debug, Default)]
pub struct Claimed {
    /// The tasks, now in progress, most urgent first.
    pub tasks: Vec<Task>,
    /// The kinds of which more may be ready: as many were found as were looked for.
    pub more: Vec<Kind>,
    /// A suspect waits for its turn alone.
    pub suspect_waits: bool,
    /// When the next parked task comes due.
    pub next_due: Option<Timestamp>,
}

/// Where a run's word left its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The status now.
    pub status: Status,
    /// When it may run again, if it is to.
    pub run_at: Option<Timestamp>,
}

/// What a rescue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rescued {
    /// Tasks freed or ended as poison.
    pub tasks: u32,
    /// Whether the limit cut it short.
    pub more: bool,
}

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Tasks removed or given back.
    pub tasks: u32,
    /// Whether the limit cut it short.
    pub more: bool,
}

/// Why a command about a user was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserRefused {
    /// There is no such user.
    #[error("there is no user {0}")]
    NotFound(UserId),
    /// The caller may not.
    #[error("only user {0} and admins may do that")]
    NotTheirs(UserId),
    /// Only admins say who is one.
    #[error("only an admin may change a role")]
    NotAdmin,
    /// The e-mail is another's.
    #[error("the e-mail is another user's")]
    EmailTaken,
    /// They would not be a user any more.
    #[error(transparent)]
    Invalid(#[from] UserError),
    /// They would not be counters any more.
    #[error(transparent)]
    Counters(#[from] CountersError),
}

/// Why a command about one task was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such task, or it is not the caller's to know of.
    #[error("there is no task {0}")]
    NotFound(TaskId),
    /// Where the task stands forbids it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// Its kind is the daemon's own work.
    #[error(
        "task {task} is of kind `{kind}`, which the daemon runs itself: workers outside take kinds that are theirs"
    )]
    NotOutside {
        /// Which task.
        task: TaskId,
        /// Of which kind.
        kind: Kind,
    },
    /// A node has it in hand, or somebody else outside, or the caller did not say which attempt is theirs.
    #[error(
        "task {0} is in other hands: only who claimed it can speak for it, as the user they were then or by the \
         attempt that they were given"
    )]
    NotHeld(TaskId),
    /// It cannot live again while another of its unique key does.
    #[error("task {task} cannot be tried again: task {other} with the same unique key has not ended")]
    UniqueTaken {
        /// Which task.
        task: TaskId,
        /// The one that lives.
        other: TaskId,
    },
}
