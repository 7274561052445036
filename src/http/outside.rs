//! Workers that are not ours: taking tasks, and speaking for them while they are in hand.
//!
//! Called by the route table. Checks form and access; who gets which task is decided behind the intake. True here: a
//! claim that waits holds no thread, and only so many may wait; a drain ends the waiting, and so does a caller who
//! hangs up, since the handler is dropped then. What cannot be had: to know of a hang-up while the claim is being
//! written, or after it. Such a task is in nobody's hands until its lease runs out; a claim with an `Idempotency-Key`
//! that is sent again gets it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::catalogue::Code;
use super::idempotency::{self, Key, changed_answer, replayed};
use super::json::{self, Form};
use super::outside_form::{
    Claim, ClaimSchema, CompleteSchema, FailSchema, HeartbeatSchema, LEASE_S, ProgressSchema, ReleaseSchema,
    Wanted, attempt, required,
};
use super::task_view::TaskView;
use super::tasks::{TaskParam, UserParam, json_answer, named};
use super::{Problem, State, auth, extract};
use crate::account::Caller;
use crate::intake::Done;
use crate::store::Word;
use crate::task::{Attempt, Failure, FailureReason, Percent, Task};

/// The longest story of a failure, in characters.
const MAX_MESSAGE: usize = 2000;

/// The places for claims that wait; one for the whole server.
#[derive(Debug, Clone)]
pub(super) struct Waiting(Arc<Semaphore>);

impl Waiting {
    /// So many places.
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            let detail = "as many claims wait already as may (http.max_waiting): try again in a moment, or claim \
                          without `wait_s`";
            Problem::new(Code::Overloaded, detail)
        })
    }
}

/// How many tasks were ever created; what was deleted counts too.
#[derive(Serialize, ToSchema)]
#[schema(as = TasksCreated, example = json!({"total_tasks_created": 1204, "by_user": 17}))]
pub(super) struct TotalView {
    /// By anybody.
    total_tasks_created: u64,
    /// By the user who asks; left out where nobody proved to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_user: Option<u64>,
}

/// Gives an outside worker a task, waiting for one where asked to. The task is then `In Progress`, and the worker's
/// until `lease_until`; what it says of it carries the task's `attempt`. A worker may take what its caller owns and what
/// nobody owns.
#[utoipa::path(
    post, path = "/tasks/claim", operation_id = "claimTask", tag = "Workers", params(UserParam),
    request_body(content = ClaimSchema, description = "Either `kinds` or `id`."),
    responses(
        (status = 200, description = "The task, with its `attempt` and `lease_until`.", body = TaskView<'_>),
        (status = 204, description = "No task came, its kind is paused, or the daemon is about to stop: ask again. Not remembered for an \
            `Idempotency-Key`."),
    ),
)]
pub(super) async fn claim(
    state: Data<State>,
    waiting: Data<Waiting>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let Asked { caller, key, body } = Asked::of(&state, &request, body).await?;
    let claim = Claim::read(&body, caller)?;
    let remember = key.map(|key| key.remember(&request, caller, &[&body], idempotency::taken(caller)));
    drop(body);
    let kinds = match claim.wanted {
        Wanted::Id(id) => {
            let done = state.intake.claim_one(caller, id, claim.terms, remember).await?;
            return taken_answer(done, caller);
        }
        Wanted::Kinds(kinds) => kinds,
    };
    if state.draining.is_cancelled() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let wait = claim.wait.min(state.http.max_wait);
    let _place = if wait.is_zero() { None } else { Some(waiting.place()?) };
    let until = (Instant::now() + wait, state.draining.cancelled());
    taken_answer(state.intake.claim(caller, kinds, claim.terms, until, remember).await?, caller)
}

/// The answer to a claim.
fn taken_answer(taken: Done<Option<Task>>, caller: Caller) -> Result<HttpResponse, Problem> {
    match taken {
        Done::Now(Some(task)) => Ok(json_answer(HttpResponse::Ok(), TaskView::json(&task, caller))),
        Done::Now(None) => Ok(HttpResponse::NoContent().finish()),
        Done::Before(answer) => replayed(answer),
    }
}

/// Prolongs the lease of a task in hand.
#[utoipa::path(
    post, path = "/tasks/{id}/heartbeat", operation_id = "heartbeat", tag = "Workers", params(TaskParam, UserParam),
    request_body(content = HeartbeatSchema, description = "Which attempt, and for how much longer."),
    responses((status = 200, description = "The task, with its new `lease_until`. A task that was cancelled, or taken \
        from the worker since its lease ran out, is `stale_attempt`: drop the work.", body = TaskView<'_>)),
)]
pub(super) async fn heartbeat(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    speak(&state, &request, body, &["attempt", "lease_s"], |form, _| {
        let attempt = attempt(form);
        let lease = form.number("lease_s", LEASE_S).map(Duration::from_secs_f64);
        Some((Some(attempt?), Word::Heartbeat(lease)))
    })
    .await
}

/// Tells how far a task in hand is, which prolongs its lease as well.
#[utoipa::path(
    post, path = "/tasks/{id}/progress", operation_id = "progress", tag = "Workers", params(TaskParam, UserParam),
    request_body(content = ProgressSchema, description = "Which attempt, and how far it is."),
    responses((status = 200, description = "The task. `stale_attempt` as for a heartbeat.", body = TaskView<'_>)),
)]
pub(super) async fn progress(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    speak(&state, &request, body, &["attempt", "percent"], |form, _| {
        let attempt = attempt(form);
        let percent = form.whole("percent", (0, 100)).and_then(|percent| u8::try_from(percent).ok());
        required(form, "percent", "a whole number from 0 to 100");
        Some((Some(attempt?), Word::Progress(Percent::new(percent?))))
    })
    .await
}

/// Ends a task in hand: it is done.
#[utoipa::path(
    post, path = "/tasks/{id}/complete", operation_id = "complete", tag = "Workers", params(TaskParam, UserParam),
    request_body(content = CompleteSchema, description = "Which attempt, and what came of it."),
    responses((status = 200, description = "The task, `Completed`. `stale_attempt` where the attempt is over: what was \
        made does not count.", body = TaskView<'_>)),
)]
pub(super) async fn complete(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    speak(&state, &request, body, &["attempt", "result"], |form, _| {
        let attempt = attempt(form);
        let result = form.any("result", Task::MAX_PAYLOAD_BYTES).unwrap_or_else(crate::task::Json::null);
        Some((Some(attempt?), Word::Complete(result)))
    })
    .await
}

/// Ends a try at a task in hand: it failed. The task waits for another try while it has some left and `retry` is not
/// false.
#[utoipa::path(
    post, path = "/tasks/{id}/fail", operation_id = "fail", tag = "Workers", params(TaskParam, UserParam),
    request_body(content = FailSchema, description = "Which attempt, and why."),
    responses((status = 200, description = "The task, `Failed`, or `New` with its `run_at`. `stale_attempt` where the \
        attempt is over.", body = TaskView<'_>)),
)]
pub(super) async fn fail(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    speak(&state, &request, body, &["attempt", "message", "retry"], |form, _| {
        let attempt = attempt(form);
        let message = form.parsed("message", |text| match text.chars().count() {
            1..=MAX_MESSAGE => Ok(text.to_owned()),
            other => Err(format!("expected 1 to {MAX_MESSAGE} characters, got {other}")),
        });
        required(form, "message", "what went wrong");
        let again = form.flag("retry").unwrap_or(true);
        let reason = if again { FailureReason::Error } else { FailureReason::InvalidInput };
        Some((Some(attempt?), Word::Fail(Failure::new(reason, message?))))
    })
    .await
}

/// Gives a task in hand back undone: it is free again at once, and no try is used.
#[utoipa::path(
    post, path = "/tasks/{id}/release", operation_id = "release", tag = "Workers", params(TaskParam, UserParam),
    request_body(content = ReleaseSchema, description = "Which attempt."),
    responses((status = 200, description = "The task, `New`. `stale_attempt` where the attempt is over.",
        body = TaskView<'_>)),
)]
pub(super) async fn release(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    speak(&state, &request, body, &["attempt"], |form, caller| {
        let attempt = match caller {
            // Whose task it is tells which attempt is meant.
            Caller::User(_) | Caller::Admin(Some(_)) if form.raw("attempt").is_none() => None,
            Caller::User(_) | Caller::Admin(_) | Caller::Anonymous => Some(attempt(form)?),
        };
        Some((attempt, Word::Release))
    })
    .await
}

/// Gives the caller the oldest free task of kind `manual` that is theirs or nobody's; two callers never get the same. It
/// has a lease only where `tasks.manual_lease_s` sets one.
#[utoipa::path(
    get, path = "/take_free_task", operation_id = "takeFreeTask", tag = "Workers", params(UserParam),
    responses((status = 200, description = "The task, now `In Progress`, with its `attempt`; the caller is its \
        `assignee`.", body = TaskView<'_>)),
)]
pub(super) async fn take_free(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let key = Key::of(&request)?;
    let remember = key.map(|key| key.remember(&request, caller, &[], idempotency::taken(caller)));
    let mut answer = match state.intake.take_free(caller, remember).await? {
        Done::Now(Some(task)) => json_answer(HttpResponse::Ok(), TaskView::json(&task, caller)),
        Done::Now(None) => {
            let detail = "no task of kind `manual` that you may take is waiting";
            return Err(Problem::new(Code::NoFreeTask, detail));
        }
        Done::Before(answer) => replayed(answer)?,
    };
    // Each asking is a taking.
    answer.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// How many tasks were ever created.
#[utoipa::path(
    get, path = "/total_tasks_created", operation_id = "totalTasksCreated", tag = "Tasks", params(UserParam),
    responses((status = 200, description = "The numbers.", body = TotalView)),
)]
pub(super) async fn total(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = auth::reader(&state, &request, named(&request)?).await?;
    let created = state.store.created_total(caller.user()).await?;
    let view =
        TotalView { total_tasks_created: created.total, by_user: caller.user().map(|_| created.by_user) };
    Ok(json_answer(HttpResponse::Ok(), TaskView::many(&view)))
}

/// A write as it came.
struct Asked {
    caller: Caller,
    key: Option<Key>,
    body: Bytes,
}

impl Asked {
    async fn of(state: &State, request: &HttpRequest, body: Payload) -> Result<Self, Problem> {
        let caller = auth::caller(state, request, named(request)?).await?;
        let key = Key::of(request)?;
        let body = extract::json_body(state, request, body).await?;
        Ok(Self { caller, key, body })
    }
}

/// Passes on what a worker says of the task in the path; `read` takes it out of the form, or leaves a fault there.
async fn speak(
    state: &State,
    request: &HttpRequest,
    body: Payload,
    names: &[&str],
    read: impl FnOnce(&mut Form<'_>, Caller) -> Option<(Option<Attempt>, Word)>,
) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(request)?;
    let Asked { caller, key, body } = Asked::of(state, request, body).await?;
    let mut form = json::object(&body, names)?;
    let said = read(&mut form, caller);
    json::refuse(form.faults())?;
    let Some((attempt, word)) = said else {
        return Err(Problem::internal("a word without faults has what it needs"));
    };
    let remember = key.map(|key| key.remember(request, caller, &[&body], idempotency::changed(caller)));
    changed_answer(state.intake.word(caller, id, attempt, word, remember).await?, caller)
}
