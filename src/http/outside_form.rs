//! What workers outside send: the forms of a claim and of what they say of their tasks.
//!
//! Called by `outside`. Strict as every form: a field that is unknown, missing or out of bounds is a fault.

use std::time::Duration;

use utoipa::ToSchema;

use super::Problem;
use super::json::{self, Form};
use crate::account::Caller;
use crate::intake::ClaimTerms;
use crate::task::{Attempt, Kind, TaskId, WorkerName};

/// The most kinds that one claim may name.
const MAX_KINDS: usize = 32;

/// How long a lease may be asked for, in seconds.
pub(super) const LEASE_S: (f64, f64) = (1.0, 3600.0);

/// How long a claim may wait, in seconds.
const WAIT_S: (f64, f64) = (0.0, 60.0);

/// Which task to take, and on what terms.
#[derive(ToSchema)]
#[schema(as = Claim, example = json!({"kinds": ["resize"], "lease_s": 60, "wait_s": 20, "worker": "resize-1"}))]
#[expect(dead_code, reason = "documents what `claim` reads")]
pub(super) struct ClaimSchema {
    /// The kinds to take from: the most urgent free task among them, then the oldest. Each once.
    #[schema(min_items = 1, max_items = 32)]
    kinds: Option<Vec<String>>,
    /// That very task, in place of `kinds`.
    #[schema(minimum = 1)]
    id: Option<i64>,
    /// For how long it may be held without a word, in seconds; `tasks.lease_s` unless said. Each word prolongs it by as
    /// much, up to the end of the task's own `timeout_s`.
    #[schema(minimum = 1, maximum = 3600)]
    lease_s: Option<f64>,
    /// How long to wait for a task of `kinds`, in seconds; not at all unless said, and at most `http.max_wait_s`.
    #[schema(minimum = 0, maximum = 60, default = 0)]
    wait_s: Option<f64>,
    /// What the worker calls itself, for people and logs: 1 to 64 visible ASCII characters; `anonymous` or `user-7`
    /// unless said.
    #[schema(min_length = 1, max_length = 64)]
    worker: Option<String>,
}

/// A sign of life.
#[derive(ToSchema)]
#[schema(as = Heartbeat, example = json!({"attempt": 1}))]
#[expect(dead_code, reason = "documents what `heartbeat` reads")]
pub(super) struct HeartbeatSchema {
    /// The attempt that the claim gave.
    #[schema(minimum = 1)]
    attempt: u32,
    /// Another length for the lease, from now on, in seconds.
    #[schema(minimum = 1, maximum = 3600)]
    lease_s: Option<f64>,
}

/// How far it is.
#[derive(ToSchema)]
#[schema(as = Progress, example = json!({"attempt": 1, "percent": 40}))]
#[expect(dead_code, reason = "documents what `progress` reads")]
pub(super) struct ProgressSchema {
    /// The attempt that the claim gave.
    #[schema(minimum = 1)]
    attempt: u32,
    /// So far.
    #[schema(minimum = 0, maximum = 100)]
    percent: u8,
}

/// It is done.
#[derive(ToSchema)]
#[schema(as = Complete, example = json!({"attempt": 1, "result": {"width": 640}}))]
#[expect(dead_code, reason = "documents what `complete` reads")]
pub(super) struct CompleteSchema {
    /// The attempt that the claim gave.
    #[schema(minimum = 1)]
    attempt: u32,
    /// What came of it, any JSON of at most 256 KiB; kept as it is.
    result: Option<serde_json::Value>,
}

/// It failed.
#[derive(ToSchema)]
#[schema(as = Fail, example = json!({"attempt": 1, "message": "the picture is empty", "retry": false}))]
#[expect(dead_code, reason = "documents what `fail` reads")]
pub(super) struct FailSchema {
    /// The attempt that the claim gave.
    #[schema(minimum = 1)]
    attempt: u32,
    /// What went wrong.
    #[schema(min_length = 1, max_length = 2000)]
    message: String,
    /// Whether another try may go better (the task's `error` is then `error`, else `invalid_input`).
    #[schema(default = true)]
    retry: Option<bool>,
}

/// It is given back undone.
#[derive(ToSchema)]
#[schema(as = Release, example = json!({"attempt": 1}))]
#[expect(dead_code, reason = "documents what `release` reads")]
pub(super) struct ReleaseSchema {
    /// The attempt that the claim gave; a user to whom the task was given may leave it out.
    #[schema(minimum = 1)]
    attempt: Option<u32>,
}

/// A claim as it was asked for.
pub(super) struct Claim {
    /// Which task.
    pub(super) wanted: Wanted,
    /// On what terms.
    pub(super) terms: ClaimTerms,
    /// How long to wait for one.
    pub(super) wait: Duration,
}

/// Which task is asked for.
pub(super) enum Wanted {
    /// The most urgent of these kinds.
    Kinds(Vec<Kind>),
    /// That one.
    Id(TaskId),
}

impl Claim {
    /// Reads the body.
    pub(super) fn read(body: &[u8], caller: Caller) -> Result<Self, Problem> {
        let mut form = json::object(body, &["kinds", "id", "lease_s", "wait_s", "worker"])?;
        let wanted = Wanted::read(&mut form);
        let lease = form.number("lease_s", LEASE_S).map(Duration::from_secs_f64);
        let wait = form.number("wait_s", WAIT_S).map(Duration::from_secs_f64);
        let worker = form.parsed("worker", str::parse::<WorkerName>);
        if form.raw("id").is_some() && form.raw("wait_s").is_some() {
            form.fault("wait_s", "only a claim by `kinds` can wait");
        }
        json::refuse(form.faults())?;
        let worker = worker.or_else(|| called(caller));
        // What is missing here was a fault above.
        let (Some(wanted), Some(worker)) = (wanted, worker) else {
            return Err(Problem::internal("a claim without faults has what it needs"));
        };
        Ok(Self { wanted, terms: ClaimTerms { worker, lease }, wait: wait.unwrap_or_default() })
    }
}

impl Wanted {
    fn read(form: &mut Form<'_>) -> Option<Self> {
        let kinds = form.texts::<MAX_KINDS>("kinds");
        let id = form.whole("id", (1, i64::MAX));
        match (form.raw("kinds").is_some(), form.raw("id").is_some()) {
            (true, true) => form.fault("id", "give either `kinds` or `id`"),
            (false, false) => form.fault("kinds", "give the `kinds` to take from, or the `id` of one task"),
            (true, false) | (false, true) => {}
        }
        if let Some(id) = id {
            return Some(Self::Id(TaskId(id)));
        }
        let names = kinds?;
        if names.is_empty() {
            form.fault("kinds", format!("expected 1 to {MAX_KINDS} kinds, got 0"));
        }
        let mut kinds: Vec<Kind> = Vec::with_capacity(names.len());
        for name in names {
            match name.parse::<Kind>() {
                Ok(kind) if kinds.contains(&kind) => form.fault("kinds", format!("`{kind}` is given twice")),
                Ok(kind) => kinds.push(kind),
                Err(error) => form.fault("kinds", error.to_string()),
            }
        }
        Some(Self::Kinds(kinds))
    }
}

/// What a worker is called that does not say. Fits always.
fn called(caller: Caller) -> Option<WorkerName> {
    match caller {
        Caller::Anonymous => "anonymous".parse().ok(),
        Caller::User(user) | Caller::Admin(Some(user)) => format!("user-{user}").parse().ok(),
        Caller::Admin(None) => "operator".parse().ok(),
    }
}

/// The attempt that a worker speaks for.
pub(super) fn attempt(form: &mut Form<'_>) -> Option<Attempt> {
    required(form, "attempt", "the `attempt` that the claim gave");
    let attempt = form.whole("attempt", (1, i64::from(u32::MAX)))?;
    u32::try_from(attempt).ok().map(Attempt)
}

/// Notes where a field is missing that there must be.
pub(super) fn required(form: &mut Form<'_>, name: &str, what: &str) {
    if form.raw(name).is_none() {
        form.fault(name, format!("the field is missing: expected {what}"));
    }
}
