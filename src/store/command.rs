//! What can be asked of the database to change, and what it answers.

use std::time::Duration;

use super::StoreError;
use crate::account::{Caller, NewUser, User};
use crate::task::{
    Attachment, Attempt, Backoff, Event, IllegalTransition, Json, Kind, NodeId, Outcome, Percent, Priority,
    RecordingId, Status, Task, TaskId, Timestamp, UserId,
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
    /// Free the tasks of nodes whose lease ran out. Answered by [`Reply::Rescued`].
    Rescue {
        /// At most so many tasks at a time, so that a mass rescue does not become one huge transaction.
        limit: u32,
        /// The incarnation that asks: it lives, whatever its lease says, and deals with its own tasks itself.
        except: Option<NodeId>,
    },
    /// Make a user. Answered by [`Reply::UserCreated`].
    CreateUser(NewUser),
}

impl Command {
    /// The tasks that it creates.
    #[must_use]
    pub fn new_tasks(&self) -> &[NewTask] {
        match self {
            Self::Create(tasks) => tasks,
            Self::Claim(_)
            | Self::Settle { .. }
            | Self::Progress { .. }
            | Self::Cancel { .. }
            | Self::Retry { .. }
            | Self::Delete { .. }
            | Self::Rescue { .. }
            | Self::CreateUser(_) => &[],
        }
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
    /// The blobs that it works on.
    pub attachments: Vec<Attachment>,
    /// The recording that it is made for.
    pub recording: Option<NewRecording>,
}

/// A recording to be kept; it lives as long as its task.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRecording {
    /// Its public name.
    pub id: RecordingId,
    /// What the uploaded file was called: text to show, never a path.
    pub filename: String,
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
}

/// The answer to one command.
#[derive(Debug)]
pub enum Reply {
    /// The tasks as they were accepted, in the order given.
    Created(Vec<Task>),
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

/// Why a command about one task was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such task, or it is not the caller's to know of.
    #[error("there is no task {0}")]
    NotFound(TaskId),
    /// Where the task stands forbids it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}
