//! A task as JSON: the one form in which all routes show it.
//!
//! True here: `id`, `kind`, `status`, `created_at` and `updated_at` are always there; any other field is left out where
//! it has no value, or where its value is `null`. What the caller gave as JSON comes back as the text that it was. Where
//! a task calls back is for its owner's eyes: whoever works on it for somebody else does not see it.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::account::Caller;
use crate::kinds::manual;
use crate::store::CallbackState;
use crate::task::{Failure, Holder, Json, State, Task, Timestamp};

/// A task.
#[derive(Serialize, ToSchema)]
#[schema(as = Task, example = json!({
    "id": 7, "kind": "noop", "status": "Completed", "priority": 0, "attempt": 1, "failures": 0, "crashes": 0,
    "max_attempts": 3, "tags": ["nightly"],
    "created_at": "2026-01-31T12:00:00.000000Z", "updated_at": "2026-01-31T12:00:00.020000Z",
    "started_at": "2026-01-31T12:00:00.010000Z", "finished_at": "2026-01-31T12:00:00.020000Z"
}))]
pub(super) struct TaskView<'a> {
    /// The number: from 1.
    #[schema(minimum = 1)]
    id: i64,
    /// What it does.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,31}$", example = "noop")]
    kind: &'a str,
    /// Where it stands.
    #[schema(schema_with = status_schema)]
    status: &'static str,
    /// Whose it is; left out where nobody owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<i64>,
    /// The user who has it in hand, or had when it ended; left out where no user took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<i64>,
    /// What the program outside calls itself that has it in hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    /// Until when whoever has it in hand may keep it without a word; then it is free again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    lease_until: Option<Timestamp>,
    /// How urgent: higher runs sooner.
    #[schema(minimum = -100, maximum = 100)]
    priority: i64,
    /// The newest try, from 1; 0 before the first.
    attempt: u32,
    /// Tries that failed.
    failures: u32,
    /// Workers that died while they ran it.
    crashes: u32,
    /// Tries allowed.
    max_attempts: u32,
    /// How far the newest try is, in percent, where the kind tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    progress: Option<u8>,
    /// The earliest start, while it waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    run_at: Option<Timestamp>,
    /// Too late to start from then on: it fails instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When the newest try started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How long one try may take, in seconds, where the caller said so.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    timeout_s: Option<f64>,
    /// Words to find it by.
    tags: &'a [String],
    /// While it has not ended, no other of its owner and kind is made with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_key: Option<&'a str>,
    /// Where its events are told; shown to its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_url: Option<&'a str>,
    /// How far telling them is; only where one task is asked for by its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<CallbackView<'a>>,
    /// The trace that it belongs to, in the form of the header of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    /// What a `manual` task was made of, where it was made of `meta`; in place of `payload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    meta: Option<&'a RawValue>,
    /// The picture of a `manual` task that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<PictureView>,
    /// The kind's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<&'a RawValue>,
    /// The kind's answer, once it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<&'a RawValue>,
    /// Why the newest failed try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FailureSchema>)]
    error: Option<&'a Failure>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// The picture of a task.
#[derive(Serialize, ToSchema)]
#[schema(as = TaskPicture)]
pub(super) struct PictureView {
    /// Where it is.
    #[schema(example = "/tasks/7/image")]
    url: String,
    /// What it is.
    #[schema(example = "jpeg")]
    format: String,
    /// Columns of pixels.
    width: u32,
    /// Rows.
    height: u32,
    /// The size of the file, in bytes.
    size: u64,
}

impl PictureView {
    fn of(task: &Task, picture: manual::Picture) -> Self {
        let manual::Picture { format, width, height, bytes } = picture;
        Self { url: format!("/tasks/{}/image", task.life.id), format, width, height, size: bytes }
    }
}

/// How far telling a task's events is.
#[derive(Serialize, ToSchema)]
#[schema(as = Callback)]
pub(super) struct CallbackView<'a> {
    /// Whether there is something to tell.
    pending: bool,
    /// Failed tries to tell the next event.
    tries: u32,
    /// When the next try is, while there is something to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<Timestamp>,
    /// Events that were passed over, since telling them failed for too long.
    given_up: u64,
    /// What went wrong last; left out once it goes well again.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
}

/// Why a try failed.
#[derive(ToSchema)]
#[schema(as = Failure)]
#[expect(dead_code, reason = "documents the form of `task::Failure`")]
pub(super) struct FailureSchema {
    /// The word: `error`, `invalid_input`, `upstream`, `upstream_timeout`, `timeout`, `panic`, `expired` or `poison`.
    #[schema(example = "invalid_input")]
    reason: String,
    /// The story.
    message: String,
}

fn status_schema() -> utoipa::openapi::Object {
    let words = crate::task::Status::ALL.map(crate::task::Status::as_str);
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::Type::String)
        .description(Some("Where it stands."))
        .enum_values(Some(words))
        .build()
}

impl<'a> TaskView<'a> {
    /// The form of `task` as `caller` sees it, who may.
    pub(super) fn of(task: &'a Task, caller: Caller) -> Self {
        let life = &task.life;
        let (meta, image, payload) = match input(task) {
            Input::Payload(payload) => (None, None, payload),
            Input::Manual(meta, image) => (meta, image, None),
        };
        let result = match &life.state {
            State::Completed { result, .. } => raw(result),
            State::New { .. } | State::InProgress { .. } | State::Failed { .. } | State::Cancelled { .. } => {
                None
            }
        };
        Self {
            id: life.id.0,
            kind: life.kind.as_str(),
            status: life.status().as_str(),
            owner: life.owner.map(|owner| owner.0),
            assignee: life.assignee.map(|assignee| assignee.0),
            worker: match life.holder() {
                Some(Holder::Worker(name)) => Some(name.as_str()),
                Some(Holder::Node(_) | Holder::Person) | None => None,
            },
            lease_until: life.lease().map(|lease| lease.until),
            priority: life.priority.get(),
            attempt: life.attempt.0,
            failures: life.failures,
            crashes: life.crashes,
            max_attempts: life.max_attempts,
            progress: life.progress.map(|percent| percent.get()),
            run_at: life.run_at(),
            expires_at: task.expires_at,
            started_at: life.started_at,
            finished_at: life.finished_at(),
            timeout_s: task.timeout.map(|timeout| timeout.as_secs_f64()),
            tags: &task.tags,
            unique_key: task.unique_key.as_deref(),
            callback_url: task.callback.as_deref().filter(|_| caller.may_touch(life.owner)),
            callback: None,
            traceparent: task.traceparent.map(|trace| trace.to_string()),
            meta,
            image,
            payload,
            result,
            error: life.error.as_ref(),
            created_at: task.created_at,
            updated_at: life.updated_at,
        }
    }

    /// The JSON text of `task` as `caller` sees it.
    pub(super) fn json(task: &'a Task, caller: Caller) -> Vec<u8> {
        Self::many(&Self::of(task, caller))
    }

    /// The same, with how far telling its events is.
    pub(super) fn with_callback(mut self, callback: &'a CallbackState) -> Self {
        self.callback = Some(CallbackView {
            pending: callback.pending,
            tries: callback.tries,
            next_at: callback.next_at,
            given_up: callback.given_up,
            last_error: callback.last_error.as_deref(),
        });
        self
    }

    /// The JSON text of whatever holds views. Texts and numbers always have a JSON form.
    pub(super) fn many<T: Serialize + ?Sized>(views: &T) -> Vec<u8> {
        serde_json::to_vec(views).unwrap_or_default()
    }
}

/// What a task was made of, as it was given.
enum Input<'a> {
    Payload(Option<&'a RawValue>),
    /// `meta`, a picture, or both.
    Manual(Option<&'a RawValue>, Option<PictureView>),
}

fn input(task: &Task) -> Input<'_> {
    if task.life.kind == manual::kind()
        && let Some(manual::Payload { meta, image }) = manual::read(&task.payload)
        && (meta.get() != "null" || image.is_some())
    {
        let meta = Some(meta).filter(|meta| meta.get() != "null");
        return Input::Manual(meta, image.map(|picture| PictureView::of(task, picture)));
    }
    Input::Payload(raw(&task.payload))
}

/// The text as it is. Checked when it came in; should a row hold something else all the same, it is left out rather than
/// break the whole answer.
fn raw(json: &Json) -> Option<&RawValue> {
    if json.is_null() { None } else { serde_json::from_str(json.as_str()).ok() }
}

/// Whole seconds without a fraction.
#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
fn seconds<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let seconds = seconds.unwrap_or_default();
    if seconds.fract() == 0.0 {
        // At most seven days.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by `Task::MAX_TIMEOUT`")]
        serializer.serialize_i64(seconds as i64)
    } else {
        serializer.serialize_f64(seconds)
    }
}
