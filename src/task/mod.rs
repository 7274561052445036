//! The vocabulary and the lifecycle of a task. Pure: no clock, no database, no runtime, no HTTP.
//!
//! Everything that changes a task's state goes through the transition functions of [`lifecycle`]; each takes
//! the life as it was and the instant, and returns the life as it is now together with the event that tells
//! the world. The store calls them inside its transaction and writes both, so a state without its event, or
//! an event without its state, cannot be written.
//!
//! ```text
//!             create                 start                  complete
//!   (nothing) ──────► New ─────────────────────► In Progress ──────► Completed
//!                      ▲ ▲                        │  │  │ │
//!                      │ └── fail, tries left ────┘  │  │ └─ fail, no tries left ──► Failed
//!                      │     release (interrupted)   │  └─── lose, third time ─────► Failed (poison)
//!                      │     lose (worker died)      │
//!                      │                             └────── cancel ───────────────► Cancelled
//!                      ├──────────────────── expire ───────────────────────────────► Failed (expired)
//!                      ├──────────────────── cancel ───────────────────────────────► Cancelled
//!                      └──────────────────── retry ◄── Failed, Cancelled
//! ```
//!
//! `delete` is allowed from every state. What must hold over any history of these verbs is written once, in
//! [`invariants`], and evaluated by the property tests, the model check, the crash tests' history checker and
//! debug assertions in the store.

mod attachment;
mod event;
mod holder;
mod id;
mod image;
pub mod invariants;
mod kind;
pub mod lifecycle;
mod outcome;
pub mod question;
mod report;
mod retry;
mod time;
mod trace;

pub use attachment::{Attachment, BlobName, BlobNameError, Role};
pub use event::{Event, EventData, EventName, Fact, RetryCause};
pub use holder::{Holder, HolderError, Lease, WorkerName, WorkerNameError};
pub use id::{Attempt, EventSeq, NodeId, RecordingId, TaskId, UserId};
pub use image::{ImageId, ImageName, ImageNameError};
pub use kind::{Kind, KindError};
pub use lifecycle::{IllegalTransition, Life, POISON_CRASHES, SUSPECT_CRASHES, State, Status, Verb};
pub use outcome::{Failure, FailureReason, Json, Outcome, Percent};
pub use question::{NewQuestion, NoQuestion, Question, QuestionId, QuestionSource, UnknownSource};
pub use report::ReportId;
pub use retry::Backoff;
pub use time::{Timestamp, TimestampError};
pub use trace::{TraceId, TraceParent, TraceParentError};

use std::time::Duration;

/// How urgent a task is: higher runs sooner among the tasks of its kind. From -100 to 100, 0 unless said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(i8);

impl Priority {
    /// The least urgent and the most urgent.
    pub const BOUNDS: (i64, i64) = (-100, 100);

    /// The priority `value`, or `None` outside [`Priority::BOUNDS`].
    #[must_use]
    pub fn new(value: i64) -> Option<Self> {
        let (low, high) = Self::BOUNDS;
        if !(low..=high).contains(&value) {
            return None;
        }
        i8::try_from(value).ok().map(Self)
    }

    /// The number as given.
    #[must_use]
    pub fn get(self) -> i64 {
        i64::from(self.0)
    }
}

/// A whole task: its life, and what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The part that changes.
    pub life: Life,
    /// The input of the kind, a JSON text; `null` when none was given.
    pub payload: Json,
    /// Free words to find it by, at most [`Task::MAX_TAGS`].
    pub tags: Vec<String>,
    /// How long one run may take before it is stopped and counted as a failed try; `None` takes the default.
    pub timeout: Option<Duration>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// While this task has not ended, no other of the same owner and kind is made with this key; at most
    /// [`Task::MAX_UNIQUE_KEY_BYTES`].
    pub unique_key: Option<String>,
    /// Where to tell of its events.
    pub callback: Option<String>,
    /// The trace that it belongs to, in the form of the W3C header of that name.
    pub traceparent: Option<TraceParent>,
    /// Too late to start from then on: a worker that would take it then fails it instead.
    pub expires_at: Option<Timestamp>,
}

impl Task {
    /// The most tags a task may carry.
    pub const MAX_TAGS: usize = 16;
    /// The longest tag, in bytes.
    pub const MAX_TAG_BYTES: usize = 64;
    /// The longest payload, in bytes of its JSON text. A page of a list carries up to a thousand of them, so larger
    /// input belongs into a blob.
    pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
    /// The longest unique key, in bytes.
    pub const MAX_UNIQUE_KEY_BYTES: usize = 200;
    /// The highest `max_attempts` that may be asked for.
    pub const MAX_ATTEMPTS: u32 = 100;
    /// The longest `timeout_s` that may be asked for: seven days.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
}
