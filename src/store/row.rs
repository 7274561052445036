//! Rows to types, and types to what the statements take: the only place where a text becomes a status.

use std::str::FromStr;
use std::time::Duration;

use sqlx::FromRow;

use super::{Image, RememberedAnswer, StoreError};
use crate::account::{Avatar, TokenHash, User};
use crate::media::image::Facts;
use crate::task::{
    Attachment, Attempt, Event, EventData, EventName, EventSeq, Fact, Failure, Holder, Json, Lease, Life,
    Priority, RetryCause, Role, State, Status, Task, TaskId, Timestamp, UserId,
};

/// The columns of [`TaskRow`], in the order of the table.
pub(super) const TASK_COLUMNS: &str = "id, kind, owner, status, priority, max_attempts, attempt, failures, \
     crashes, run_at, holder, assignee, lease, lease_until, progress, result, error, started_at, finished_at, \
     created_at, updated_at, timeout, payload, tags, unique_key, callback, traceparent, expires_at";

/// A row of `tasks`, on both databases.
#[derive(Debug, FromRow)]
pub(super) struct TaskRow {
    id: i64,
    kind: String,
    owner: Option<i64>,
    status: String,
    priority: i64,
    max_attempts: i64,
    attempt: i64,
    failures: i64,
    crashes: i64,
    run_at: Option<i64>,
    holder: Option<String>,
    assignee: Option<i64>,
    lease: Option<i64>,
    lease_until: Option<i64>,
    progress: Option<i64>,
    result: Option<String>,
    error: Option<String>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    timeout: Option<i64>,
    payload: String,
    tags: String,
    unique_key: Option<String>,
    callback: Option<String>,
    traceparent: Option<String>,
    expires_at: Option<i64>,
}

impl TaskRow {
    pub(super) fn into_task(self) -> Result<Task, StoreError> {
        let id = self.id;
        self.read().map_err(|problem| StoreError::Corrupt { table: "tasks", row: id.to_string(), problem })
    }

    /// The task; a row that is none is reported and left out, so that it holds up nobody else's.
    pub(super) fn into_task_or_report(self) -> Option<Task> {
        self.into_task().inspect_err(|error| tracing::error!(%error, "left out of its group")).ok()
    }

    fn read(self) -> Result<Task, String> {
        let state = match Status::parse(&self.status) {
            Some(Status::New) => State::New { run_at: instant(self.run_at, "run_at")? },
            Some(Status::InProgress) => State::InProgress {
                holder: read(self.holder.as_deref().unwrap_or_default(), "holder")?,
                lease: self
                    .lease_until
                    .map(|until| Lease { span: self.lease.map(span), until: Timestamp::from_micros(until) }),
            },
            Some(Status::Completed) => State::Completed {
                finished_at: instant(self.finished_at, "finished_at")?,
                result: Json::trusted(self.result.as_deref().unwrap_or("null")),
            },
            Some(Status::Failed) => State::Failed { finished_at: instant(self.finished_at, "finished_at")? },
            Some(Status::Cancelled) => {
                State::Cancelled { finished_at: instant(self.finished_at, "finished_at")? }
            }
            None => return Err(format!("`{}` is no status", self.status)),
        };
        let life = Life {
            id: TaskId(self.id),
            kind: read(&self.kind, "kind")?,
            owner: self.owner.map(UserId),
            priority: Priority::new(self.priority).ok_or("priority is out of bounds")?,
            max_attempts: count(self.max_attempts, "max_attempts")?,
            attempt: Attempt(count(self.attempt, "attempt")?),
            failures: count(self.failures, "failures")?,
            crashes: count(self.crashes, "crashes")?,
            assignee: self.assignee.map(UserId),
            progress: self.progress.map(|percent| count(percent, "progress").map(percent_of)).transpose()?,
            error: self.error.as_deref().map(|text| json::<Failure>(text, "error")).transpose()?,
            state,
            started_at: self.started_at.map(Timestamp::from_micros),
            updated_at: Timestamp::from_micros(self.updated_at),
        };
        Ok(Task {
            life,
            payload: Json::trusted(&self.payload),
            tags: if self.tags == "[]" { Vec::new() } else { json(&self.tags, "tags")? },
            timeout: self.timeout.map(span),
            created_at: Timestamp::from_micros(self.created_at),
            unique_key: self.unique_key,
            callback: self.callback,
            traceparent: self.traceparent.as_deref().map(|text| read(text, "traceparent")).transpose()?,
            expires_at: self.expires_at.map(Timestamp::from_micros),
        })
    }
}

/// A row of `events`, on both databases.
#[derive(Debug, FromRow)]
pub(super) struct EventRow {
    id: i64,
    task: i64,
    kind: String,
    owner: Option<i64>,
    event: String,
    attempt: i64,
    at: i64,
    data: Option<String>,
}

impl EventRow {
    pub(super) fn into_event(self) -> Result<(EventSeq, Event), StoreError> {
        let id = self.id;
        self.read().map_err(|problem| StoreError::Corrupt { table: "events", row: id.to_string(), problem })
    }

    fn read(self) -> Result<(EventSeq, Event), String> {
        let name = EventName::parse(&self.event).ok_or_else(|| format!("`{}` is no event", self.event))?;
        let data = match &self.data {
            Some(text) => json::<EventData>(text, "data")?,
            None => EventData::default(),
        };
        let event = Event {
            task: TaskId(self.task),
            kind: read(&self.kind, "kind")?,
            owner: self.owner.map(UserId),
            attempt: Attempt(count(self.attempt, "attempt")?),
            at: Timestamp::from_micros(self.at),
            fact: fact(name, data)?,
        };
        Ok((EventSeq(self.id), event))
    }
}

fn fact(name: EventName, data: EventData) -> Result<Fact, String> {
    let missing = |what: &str| format!("`{}` without its {what}", name.as_str());
    Ok(match name {
        EventName::Created => Fact::Created,
        EventName::Started => Fact::Started { holder: data.holder(), assignee: data.assignee },
        EventName::Progress => Fact::Progress(data.percent.ok_or_else(|| missing("percent"))?),
        EventName::Completed => Fact::Completed,
        EventName::Failed => Fact::Failed(data.error.ok_or_else(|| missing("error"))?),
        EventName::Retrying => {
            let cause = match data.cause.as_deref() {
                Some("failed") => RetryCause::Failed(data.error.ok_or_else(|| missing("error"))?),
                Some("interrupted") => RetryCause::Interrupted,
                Some("worker_lost") => RetryCause::WorkerLost,
                Some("asked") => RetryCause::Asked,
                Some(_) | None => return Err(missing("cause")),
            };
            Fact::Retrying { cause, run_at: data.run_at.ok_or_else(|| missing("run_at"))? }
        }
        EventName::Cancelled => Fact::Cancelled,
        EventName::Deleted => Fact::Deleted,
    })
}

/// A row of `remembered`, on both databases.
#[derive(Debug, FromRow)]
pub(super) struct RememberedRow {
    scope: String,
    key: String,
    request: String,
    status: i64,
    location: Option<String>,
    body: String,
}

impl RememberedRow {
    /// The request by scope and key, what was asked, and the answer.
    pub(super) fn into_answer(self) -> ((String, String), (String, RememberedAnswer)) {
        let status = u16::try_from(self.status).unwrap_or(500);
        let answer = RememberedAnswer { status, location: self.location, body: self.body };
        ((self.scope, self.key), (self.request, answer))
    }
}

/// The columns of [`UserRow`].
pub(super) const USER_COLUMNS: &str = "users.id, users.name, users.email, users.gender, users.avatar, \
     users.avatar_bytes, users.role, users.password IS NOT NULL AS has_password, users.created_at";

/// A row of `users`, on both databases.
#[derive(Debug, FromRow)]
pub(super) struct UserRow {
    id: i64,
    name: Option<String>,
    email: Option<String>,
    gender: Option<String>,
    avatar: Option<String>,
    avatar_bytes: Option<i64>,
    role: String,
    has_password: bool,
    created_at: i64,
}

impl UserRow {
    pub(super) fn into_user(self) -> Result<User, StoreError> {
        let read = || -> Result<User, String> {
            Ok(User {
                id: UserId(self.id),
                name: self.name.as_deref().map(|name| read(name, "name")).transpose()?,
                email: self.email.as_deref().map(|email| read(email, "email")).transpose()?,
                gender: self.gender.as_deref().map(|gender| read(gender, "gender")).transpose()?,
                avatar: match (&self.avatar, self.avatar_bytes) {
                    (Some(blob), Some(bytes)) => {
                        Some(Avatar { blob: read(blob, "avatar")?, bytes: bytes.unsigned_abs() })
                    }
                    (Some(_), None) | (None, _) => None,
                },
                role: read(&self.role, "role")?,
                has_password: self.has_password,
                created_at: Timestamp::from_micros(self.created_at),
            })
        };
        read().map_err(|problem| StoreError::Corrupt { table: "users", row: self.id.to_string(), problem })
    }
}

/// A row of `recordings`, on both databases.
#[derive(Debug, FromRow)]
pub(super) struct RecordingRow {
    pub(super) id: String,
    pub(super) task: i64,
    pub(super) owner: Option<i64>,
    pub(super) filename: String,
}

/// The columns of [`ImageRow`], and where they come from.
pub(super) const IMAGE_COLUMNS: &str = "images.id, images.name, images.task, images.owner, images.filename, \
     images.format, images.bytes, images.width, images.height, images.frames, images.thumbhash, \
     images.delete_token, images.created_at, task_blobs.blob FROM images LEFT JOIN task_blobs \
     ON task_blobs.task = images.task AND task_blobs.role = 'output' AND images.ready_at IS NOT NULL";

/// A row of `images` with the blob that it is, on both databases.
#[derive(Debug, FromRow)]
pub(super) struct ImageRow {
    id: String,
    name: String,
    task: i64,
    owner: Option<i64>,
    filename: String,
    format: String,
    bytes: i64,
    width: i64,
    height: i64,
    frames: i64,
    thumbhash: Option<String>,
    delete_token: String,
    created_at: i64,
    blob: Option<String>,
}

impl ImageRow {
    pub(super) fn into_image(self) -> Result<Image, StoreError> {
        let read = || -> Result<Image, String> {
            let thumbhash = self.thumbhash.as_deref().map(unhex).transpose()?.unwrap_or_default();
            Ok(Image {
                id: read(&self.id, "id")?,
                name: read(&self.name, "name")?,
                task: TaskId(self.task),
                owner: self.owner.map(UserId),
                filename: self.filename.clone(),
                facts: Facts {
                    format: read(&self.format, "format")?,
                    width: count(self.width, "width")?,
                    height: count(self.height, "height")?,
                    frames: count(self.frames, "frames")?,
                    thumbhash,
                },
                bytes: self.bytes.unsigned_abs(),
                blob: self.blob.as_deref().map(|blob| read(blob, "blob")).transpose()?,
                delete_token: TokenHash::trusted(self.delete_token.clone()),
                created_at: Timestamp::from_micros(self.created_at),
            })
        };
        read().map_err(|problem| StoreError::Corrupt { table: "images", row: self.id.clone(), problem })
    }
}

/// A few bytes as a column of text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let byte = |at| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.ok_or_else(|| "thumbhash is not hexadecimal".to_owned())
}

/// A row of `task_blobs`, on both databases.
#[derive(Debug, FromRow)]
pub(super) struct BlobRow {
    role: String,
    blob: String,
    bytes: i64,
}

/// The same with the task that it belongs to.
#[derive(Debug, FromRow)]
pub(super) struct OwnedBlobRow {
    pub(super) task: i64,
    #[sqlx(flatten)]
    pub(super) blob: BlobRow,
}

impl BlobRow {
    pub(super) fn into_attachment(self, task: TaskId) -> Result<Attachment, StoreError> {
        let read = || -> Result<Attachment, String> {
            Ok(Attachment {
                role: Role::parse(&self.role).ok_or_else(|| format!("`{}` is no role", self.role))?,
                blob: read(&self.blob, "blob")?,
                bytes: self.bytes.unsigned_abs(),
            })
        };
        read().map_err(|problem| StoreError::Corrupt { table: "task_blobs", row: task.to_string(), problem })
    }
}

/// The columns of a life as the statements write them.
pub(super) struct LifeColumns {
    pub(super) status: &'static str,
    pub(super) run_at: Option<i64>,
    pub(super) holder: Option<String>,
    pub(super) assignee: Option<i64>,
    pub(super) lease: Option<i64>,
    pub(super) lease_until: Option<i64>,
    pub(super) progress: Option<i64>,
    pub(super) result: Option<Json>,
    pub(super) error: Option<String>,
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
}

impl LifeColumns {
    pub(super) fn of(life: &Life) -> Self {
        let result = match &life.state {
            State::Completed { result, .. } => Some(result.clone()),
            State::New { .. } | State::InProgress { .. } | State::Failed { .. } | State::Cancelled { .. } => {
                None
            }
        };
        Self {
            status: life.status().as_str(),
            run_at: life.run_at().map(Timestamp::as_micros),
            holder: life.holder().map(Holder::to_string),
            assignee: life.assignee.map(|user| user.0),
            lease: life.lease().and_then(|lease| lease.span).map(micros),
            lease_until: life.lease().map(|lease| lease.until.as_micros()),
            progress: life.progress.map(|percent| i64::from(percent.get())),
            result,
            error: life.error.as_ref().map(to_json),
            started_at: life.started_at.map(Timestamp::as_micros),
            finished_at: life.finished_at().map(Timestamp::as_micros),
        }
    }
}

/// What goes with an event, as its column.
pub(super) fn event_data(event: &Event) -> Option<String> {
    event.fact.data().map(|data| to_json(&data))
}

/// JSON of a type of ours, all of which can be written as JSON.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => unreachable!("a row type that is no JSON: {error}"),
    }
}

pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}

fn instant(micros: Option<i64>, column: &str) -> Result<Timestamp, String> {
    micros.map(Timestamp::from_micros).ok_or_else(|| format!("{column} is missing"))
}

fn count(number: i64, column: &str) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{column} is {number}"))
}

fn percent_of(percent: u32) -> crate::task::Percent {
    crate::task::Percent::new(u8::try_from(percent).unwrap_or(u8::MAX))
}

fn read<T: FromStr>(text: &str, column: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{column} is `{text}`"))
}

fn json<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{column}: {error}"))
}
