//! A task as callers ask for it: the fields of a submission, each checked by itself.

use std::time::Duration;

use actix_web::web::Bytes;
use utoipa::ToSchema;

use super::Problem;
use super::base64_text;
use super::json::{self, Form};
use super::problem::Fault;
use crate::intake::Submission;
use crate::kinds::manual;
use crate::task::{Json, Kind, Priority, Status, Task, Timestamp};

/// The fields that there are.
pub(super) const FIELDS: &[&str] = &[
    "kind",
    "payload",
    "meta",
    "image",
    "priority",
    "run_at",
    "max_attempts",
    "timeout_s",
    "tags",
    "unique_key",
    "callback_url",
];

/// The most tasks in one batch.
pub(super) const MAX_BATCH: usize = 10_000;

/// The shortest `timeout_s`: below that nothing could ever run.
const MIN_TIMEOUT_S: f64 = 0.001;

/// A task to be created. Every field may be left out; `null` is the same as leaving it out.
#[derive(ToSchema)]
#[schema(as = NewTask, example = json!({"kind": "noop", "payload": {"any": "thing"}, "priority": 10, "tags": ["nightly"]}))]
#[expect(dead_code, reason = "documents what `submission` reads")]
pub(super) struct NewTaskSchema {
    /// What to do; `noop` unless said, `manual` where there is `meta` or `image`.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,31}$", default = "noop")]
    kind: Option<String>,
    /// The kind's input, any JSON of at most 256 KiB (262,144 bytes of text); kept as it is.
    payload: Option<serde_json::Value>,
    /// What a person is to know of a `manual` task, any JSON of at most 256 KiB, in place of a payload; kept as the
    /// payload `{"meta": ...}`.
    meta: Option<serde_json::Value>,
    /// A picture that belongs to a `manual` task, in base64 (plain, or a `data:` URL): of `images.formats`, at most
    /// `images.max_bytes`. What is not the picture (place, device, names) is taken out of it. It is at
    /// `/tasks/{id}/image`.
    #[schema(content_encoding = "base64")]
    image: Option<String>,
    /// How urgent: higher runs sooner.
    #[schema(minimum = -100, maximum = 100, default = 0)]
    priority: Option<i64>,
    /// The earliest start, RFC 3339; at once unless said.
    #[schema(format = DateTime)]
    run_at: Option<String>,
    /// Tries allowed; `tasks.max_attempts` unless said.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<u32>,
    /// How long one try may take, in seconds; `tasks.timeout_s` unless said.
    #[schema(minimum = 0.001, maximum = 604_800)]
    timeout_s: Option<f64>,
    /// Words to find it by: at most 16, each of 1 to 64 bytes.
    #[schema(max_items = 16)]
    tags: Option<Vec<String>>,
    /// While a task of yours of this kind with this key has not ended, no other is made: that one is the answer. 1 to
    /// 200 bytes, no control characters.
    #[schema(min_length = 1, max_length = 200)]
    unique_key: Option<String>,
    /// Where to tell of the task's events, in their order: a public `http` or `https` address, which is called with
    /// POST and signed as Standard Webhooks are.
    #[schema(max_length = 2000, example = "https://example.com/hook")]
    callback_url: Option<String>,
}

/// One submission out of the body; an empty body is an empty object.
pub(super) fn one(body: &[u8]) -> Result<Submission, Problem> {
    let (submission, faults) = submission(json::object(body, FIELDS)?);
    json::refuse(faults)?;
    Ok(submission)
}

/// The submission in the body of a message from the broker: the same as over HTTP, and beside it `status`, which may
/// only be `New`, as the documented producers write it.
///
/// # Errors
/// What is wrong with it.
pub fn read_message(body: &[u8]) -> Result<Submission, String> {
    let fields: Vec<&str> = FIELDS.iter().copied().chain(["status"]).collect();
    let read = || -> Result<Submission, Problem> {
        let mut form = json::object(body, &fields)?;
        form.parsed("status", |text| match Status::parse(text) {
            Some(Status::New) => Ok(()),
            Some(_) | None => Err("a new task is `New`".to_owned()),
        });
        let (submission, faults) = submission(form);
        json::refuse(faults)?;
        Ok(submission)
    };
    read().map_err(|problem| problem.story())
}

/// The submissions of a batch.
pub(super) fn batch(body: &[u8]) -> Result<Vec<Submission>, Problem> {
    let mut submissions = Vec::new();
    let mut all = Vec::new();
    for form in json::array(body, MAX_BATCH, FIELDS)? {
        let (submission, faults) = submission(form);
        submissions.push(submission);
        all.extend(faults);
        if all.len() > 100 {
            break;
        }
    }
    json::refuse(all)?;
    Ok(submissions)
}

fn submission(mut form: Form<'_>) -> (Submission, Vec<Fault>) {
    let attempts = (1, i64::from(Task::MAX_ATTEMPTS));
    let timeouts = (MIN_TIMEOUT_S, Task::MAX_TIMEOUT.as_secs_f64());
    let (kind, payload) = work(&mut form);
    let image = form.parsed("image", |text| base64_text::bytes(text, u64::MAX).map(Bytes::from));
    let submission = Submission {
        kind,
        payload,
        priority: form.whole("priority", Priority::BOUNDS).and_then(Priority::new).unwrap_or_default(),
        run_at: form.parsed("run_at", instant),
        max_attempts: form.whole("max_attempts", attempts).and_then(|tries| u32::try_from(tries).ok()),
        timeout: form.number("timeout_s", timeouts).map(Duration::from_secs_f64),
        tags: tags(&mut form),
        unique_key: form.parsed("unique_key", |key| check_key(key).map(|()| key.to_owned())),
        callback_url: form.text("callback_url"),
        image,
        ..Submission::default()
    };
    (submission, form.faults())
}

/// What to do, and with what: `meta` or `image` alone make a task for people.
fn work(form: &mut Form<'_>) -> (Option<Kind>, Option<Json>) {
    let kind = form.parsed("kind", str::parse::<Kind>);
    let payload = form.any("payload", Task::MAX_PAYLOAD_BYTES);
    let meta = form.any("meta", Task::MAX_PAYLOAD_BYTES);
    let manual = manual::kind();
    let has = [("meta", meta.is_some()), ("image", form.raw("image").is_some())];
    for (name, _) in has.into_iter().filter(|(_, has)| *has) {
        if kind.as_ref().is_some_and(|kind| *kind != manual) {
            form.fault(name, format!("only a task of kind `{manual}` has it, which is the kind unless said"));
        }
    }
    let kind = if has.iter().any(|(_, has)| *has) { Some(manual) } else { kind };
    for (name, _) in has.into_iter().filter(|(_, has)| *has && payload.is_some()) {
        form.fault(name, format!("give either `{name}` or `payload`"));
    }
    let Some(meta) = meta else { return (kind, payload) };
    (kind, Some(Json::trusted(&format!("{{\"meta\":{}}}", meta.as_str()))))
}

/// Whether that can be a unique key.
fn check_key(key: &str) -> Result<(), String> {
    let most = Task::MAX_UNIQUE_KEY_BYTES;
    if (1..=most).contains(&key.len()) && !key.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!("expected 1 to {most} bytes without control characters, got {} bytes", key.len()))
}

fn tags(form: &mut Form<'_>) -> Vec<String> {
    // More than there may be are not even read: comparing each with each would hold the worker thread for a minute.
    let tags = form.texts::<{ Task::MAX_TAGS }>("tags").unwrap_or_default();
    if let Some(problem) = tags.iter().find_map(|tag| check_tag(tag).err()) {
        form.fault("tags", problem);
    }
    if let Some((_, twice)) =
        tags.iter().enumerate().find(|(at, tag)| tags.iter().take(*at).any(|t| t == *tag))
    {
        form.fault("tags", format!("`{twice}` is given twice"));
    }
    tags
}

/// Whether that can be a tag.
pub(super) fn check_tag(tag: &str) -> Result<(), String> {
    let fits = (1..=Task::MAX_TAG_BYTES).contains(&tag.len()) && !tag.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    let shown: String = tag.chars().take(20).filter(|c| !c.is_control()).collect();
    let most = Task::MAX_TAG_BYTES;
    Err(format!("`{shown}` is no tag: 1 to {most} bytes, no control characters"))
}

/// An instant in RFC 3339.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!("expected a time as RFC 3339 writes it (2026-01-31T12:00:00Z), got `{shown}`")
    })
}
