//! `/tasks`: creating, reading, changing.
//!
//! Called by the route table. Checks form and access, asks the intake to write and the store to read; what a task may
//! become is decided below.

use std::slice;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

use super::catalogue::Code;
use super::extract::{self, Query};
use super::idempotency::{Key, changed, changed_answer, remembered, replayed};
use super::listing::{self, PageParams};
use super::prefer::{self, PREFERENCE_APPLIED, Wish};
use super::problem::Fault;
use super::task_filter::FilterParams;
use super::task_form::{self, NewTaskSchema};
use super::task_list::{Found, Wanted, find};
use super::task_view::TaskView;
use super::{Problem, State, again, auth, image_limits, json};
use crate::account::Caller;
use crate::imaging::ImagingError;
use crate::intake::{Done, IntakeError, Submission};
use crate::media::image::ImageError;
use crate::store::{Accepted, Order, RememberedAnswer, Reply};
use crate::task::{Task, TaskId, UserId};

/// The parameter that every route here takes.
pub(super) const USER: &[&str] = &["user_id"];

/// The parameters of a list.
pub(super) const LIST: &[&str] =
    &["status", "kind", "tag", "created_from", "created_before", "order", "limit", "after", "user_id"];

/// Creates a task.
#[utoipa::path(
    post, path = "/tasks", operation_id = "createTask", tag = "Tasks",
    params(UserParam, PreferHeader, TraceHeader),
    request_body(content = NewTaskSchema, description = "The task; an empty body makes a `noop`."),
    responses(
        (status = 200, description = "A task with this `unique_key` has not ended: that one.", body = TaskView<'_>,
            headers(("location" = String, description = "`/tasks/{id}`"))),
        (status = 201, description = "Created; with `Prefer: wait=N`: and ended.", body = TaskView<'_>,
            headers(("location" = String, description = "`/tasks/{id}`"))),
        (status = 202, description = "Created; it has not ended (`respond-async`, or the wait ran out).",
            body = TaskView<'_>, headers(("location" = String, description = "`/tasks/{id}`"))),
    ),
)]
pub(super) async fn create(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let submission = task_form::one(&body)?;
    count_pictures(&state, &request, caller, slice::from_ref(&submission)).await?;
    let remember =
        key.map(|key| key.remember(&request, caller, &[&body], move |reply| created(reply, caller)));
    let wish = Wish::of(&request);
    let made = state.intake.submit(caller, vec![submission], remember).await;
    // What was made of it is gone by now, and its share of the memory free.
    drop(body);
    let made = match made.map_err(|error| refused(error, false))? {
        Done::Now(made) => made.into_iter().next(),
        Done::Before(answer) => return again::one(&state, caller, wish, answer).await,
    };
    let Some(Accepted { task, fresh }) = made else {
        return Err(Problem::internal("a task was asked for and none was given"));
    };
    let task = prefer::settle(&state, task, wish.patience(&state, Duration::ZERO)).await?;
    let status = again::status(wish, fresh, task.life.status().is_terminal());
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::LOCATION, location(task.life.id)));
    if let Some(applied) = wish.applied(&state) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    Ok(json_answer(answer, TaskView::json(&task, caller)))
}

/// Counts the pictures that come with tasks among the images that the caller may send.
async fn count_pictures(
    state: &State,
    request: &HttpRequest,
    caller: Caller,
    submissions: &[Submission],
) -> Result<(), Problem> {
    let pictures = submissions.iter().filter(|submission| submission.image.is_some()).count();
    image_limits::spend(state, request, caller.user(), pictures).await
}

/// What to remember of a task that was asked for.
fn created(reply: &Reply, caller: Caller) -> Option<RememberedAnswer> {
    let Reply::Created(made) = reply else { return None };
    let [Accepted { task, fresh }] = made.as_slice() else { return None };
    let status = again::status(Wish::Default, *fresh, false);
    Some(remembered(status, Some(location(task.life.id)), TaskView::json(task, caller)))
}

/// Creates tasks, all or none.
#[utoipa::path(
    post, path = "/tasks/batch", operation_id = "createTasks", tag = "Tasks",
    params(UserParam, PreferHeader, TraceHeader),
    request_body(content = Vec<NewTaskSchema>, description = "1 to 10,000 tasks."),
    responses(
        (status = 200, description = "None was made: for each, the task with its `unique_key` that has not ended.",
            body = Vec<TaskView<'_>>),
        (status = 201, description = "The tasks in the order given, at least one of them made now.",
            body = Vec<TaskView<'_>>),
        (status = 202, description = "All accepted; not all have ended.", body = Vec<TaskView<'_>>),
    ),
)]
pub(super) async fn create_batch(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let submissions = task_form::batch(&body)?;
    count_pictures(&state, &request, caller, &submissions).await?;
    let remember =
        key.map(|key| key.remember(&request, caller, &[&body], move |reply| created_all(reply, caller)));
    let wish = Wish::of(&request);
    let made = state.intake.submit(caller, submissions, remember).await;
    // As above.
    drop(body);
    let made = match made.map_err(|error| refused(error, true))? {
        Done::Now(made) => made,
        Done::Before(answer) => return again::many(&state, caller, wish, answer).await,
    };
    let fresh = made.iter().any(|made| made.fresh);
    let mut tasks: Vec<Task> = made.into_iter().map(|made| made.task).collect();
    let deadline = tokio::time::Instant::now() + wish.patience(&state, Duration::ZERO);
    for task in &mut tasks {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            break;
        }
        *task = prefer::settle(&state, task.clone(), left).await?;
    }
    let ended = tasks.iter().all(|task| task.life.status().is_terminal());
    let mut answer = HttpResponse::build(again::status(wish, fresh, ended));
    if let Some(applied) = wish.applied(&state) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    Ok(list_answer(answer, &tasks, caller))
}

/// What to remember of a batch.
fn created_all(reply: &Reply, caller: Caller) -> Option<RememberedAnswer> {
    let Reply::Created(made) = reply else { return None };
    let status = again::status(Wish::Default, made.iter().any(|made| made.fresh), false);
    let views: Vec<TaskView<'_>> = made.iter().map(|made| TaskView::of(&made.task, caller)).collect();
    Some(remembered(status, None, TaskView::many(views.as_slice())))
}

/// The caller's tasks, page by page. A page may hold fewer than `limit` where payloads and results are large (8 MiB):
/// follow `Link` until there is none.
#[utoipa::path(
    get, path = "/tasks", operation_id = "listTasks", tag = "Tasks",
    params(FilterParams, OrderParam, PageParams, UserParam),
    responses((status = 200, description = "A page of tasks.", body = Vec<TaskView<'_>>,
        headers(("link" = String, description = "`<...>; rel=\"next\"`, where there are more")))),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, LIST);
    let wanted = Wanted::read(&mut query, Order::default());
    query.finish()?;
    let Found { caller, tasks, next } = find(&state, &request, wanted).await?;
    Ok(list_answer(listing::answer(&request, next.map(|last| last.0))?, &tasks, caller))
}

/// A task.
#[utoipa::path(
    get, path = "/tasks/{id}", operation_id = "getTask", tag = "Tasks", params(TaskParam, UserParam),
    responses((status = 200, description = "The task.", body = TaskView<'_>)),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let (caller, task) = seen(&state, &request, id).await?;
    let mut view = TaskView::of(&task, caller);
    let tells = task.callback.is_some() && caller.may_touch(task.life.owner);
    let callback = if tells { state.store.callback_of(id).await? } else { None };
    if let Some(callback) = &callback {
        view = view.with_callback(callback);
    }
    Ok(json_answer(HttpResponse::Ok(), TaskView::many(&view)))
}

/// The task, for whoever may see it, and who that is.
pub(super) async fn seen(
    state: &State,
    request: &HttpRequest,
    id: TaskId,
) -> Result<(Caller, Task), Problem> {
    let caller = auth::reader(state, request, named(request)?).await?;
    let task = state.store.task(id).await?;
    let task = task.filter(|task| caller.may_see(task.life.owner, task.life.assignee));
    Ok((caller, task.ok_or_else(|| Problem::no_task(id))?))
}

/// Removes a task, stopping it first if it runs, and what it owns.
#[utoipa::path(
    delete, path = "/tasks/{id}", operation_id = "deleteTask", tag = "Tasks", params(TaskParam, UserParam),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let remember = Key::of(&request)?.map(|key| key.remember(&request, caller, &[], deleted));
    match state.intake.delete(caller, id, remember).await? {
        Done::Now(_) => Ok(HttpResponse::NoContent().finish()),
        Done::Before(answer) => replayed(answer),
    }
}

/// What to remember of a removal.
fn deleted(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::Changed(Ok(_)) = reply else { return None };
    Some(remembered(StatusCode::NO_CONTENT, None, Vec::new()))
}

/// Stops a task that has not ended. Whoever works on it outside learns it from the answer to their next word, which is
/// `stale_attempt`.
#[utoipa::path(
    post, path = "/tasks/{id}/cancel", operation_id = "cancelTask", tag = "Tasks", params(TaskParam, UserParam),
    responses((status = 200, description = "It is cancelled.", body = TaskView<'_>)),
)]
pub(super) async fn cancel(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let key = Key::of(&request)?;
    let body = nothing(&state, &request, body).await?;
    let remember = key.map(|key| key.remember(&request, caller, &[&body], changed(caller)));
    changed_answer(state.intake.cancel(caller, id, remember).await?, caller)
}

/// Makes a task that failed or was cancelled ready again.
#[utoipa::path(
    post, path = "/tasks/{id}/retry", operation_id = "retryTask", tag = "Tasks", params(TaskParam, UserParam),
    responses((status = 200, description = "It is ready again.", body = TaskView<'_>)),
)]
pub(super) async fn retry(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let key = Key::of(&request)?;
    let body = nothing(&state, &request, body).await?;
    let remember = key.map(|key| key.remember(&request, caller, &[&body], changed(caller)));
    changed_answer(state.intake.retry(caller, id, remember).await?, caller)
}

/// The number of a task.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documents what `extract::task_id` reads")]
pub(super) struct TaskParam {
    /// The task's number.
    #[param(minimum = 1)]
    id: i64,
}

/// Whose data is meant.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `Query::user_id` reads")]
pub(super) struct UserParam {
    /// Whose data is meant. Proves nothing by itself, unless `auth.trust_user_id` is on.
    #[param(minimum = 1)]
    user_id: Option<i64>,
}

/// Waiting and not waiting (RFC 7240).
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what `Wish` reads")]
pub(super) struct PreferHeader {
    /// `respond-async` answers at once with 202; `wait=N` waits up to N seconds for the end.
    #[param(example = "wait=10")]
    prefer: Option<String>,
}

/// The trace of the request.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what `extract::traceparent` reads")]
pub(super) struct TraceHeader {
    /// The trace that the request belongs to, and with it the task, as the W3C's Trace Context has it; without one, or
    /// where it is none, a trace begins here.
    #[param(example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    traceparent: Option<String>,
}

/// In which order.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `list` reads")]
struct OrderParam {
    /// `id` for the oldest first, `-id` for the newest first.
    #[param(default = "id", pattern = "^-?id$")]
    order: Option<String>,
}

/// Whom the query names, where it may hold nothing else.
pub(super) fn named(request: &HttpRequest) -> Result<Option<UserId>, Problem> {
    let mut query = Query::of(request, USER);
    let named = query.user_id();
    query.finish()?;
    Ok(named)
}

/// A body that has nothing to say: empty, or an empty object.
pub(super) async fn nothing(state: &State, request: &HttpRequest, body: Payload) -> Result<Bytes, Problem> {
    let body = extract::json_body(state, request, body).await?;
    json::refuse(json::object(&body, &[])?.faults())?;
    Ok(body)
}

/// A refusal with its place in the body, as the intake does not know what the body was.
fn refused(error: IntakeError, batch: bool) -> Problem {
    let problem = error.to_string();
    let (code, index, name) = match &error {
        IntakeError::UnknownKind { index, .. } => (Code::UnknownKind, index, "kind"),
        IntakeError::NotDirect { index, .. } => (Code::KindNotDirect, index, "kind"),
        IntakeError::Payload { index, .. } => (Code::InvalidPayload, index, "payload"),
        IntakeError::Callback { index, .. } => (Code::InvalidBody, index, "callback_url"),
        IntakeError::Image { index, error: ImagingError::Image(error) } => match error {
            ImageError::Unsupported { .. } => (Code::UnsupportedImage, index, "image"),
            ImageError::TooLarge { .. } => (Code::ImageTooLarge, index, "image"),
            ImageError::Damaged(_) => (Code::DamagedImage, index, "image"),
            ImageError::Unavailable(_) | ImageError::Cancelled => return error.clone().into(),
        },
        IntakeError::Anonymous
        | IntakeError::NotClaimable { .. }
        | IntakeError::KeyReused
        | IntakeError::EmailTaken
        | IntakeError::User(_)
        | IntakeError::UserRefused(_)
        | IntakeError::OverQuota(..)
        | IntakeError::Image { .. }
        | IntakeError::Blob(_)
        | IntakeError::Scarce(_)
        | IntakeError::QueueFull(_)
        | IntakeError::WantsToken(_)
        | IntakeError::AdminsOnly
        | IntakeError::Refused(_)
        | IntakeError::Write(_) => return error.into(),
    };
    let (field, pointer) = if batch {
        (format!("[{index}].{name}"), format!("/{index}/{name}"))
    } else {
        (name.to_owned(), format!("/{name}"))
    };
    Problem::with_faults(code, vec![Fault { field, pointer: Some(pointer), problem }])
}

/// Where a task is found.
pub(super) fn location(task: TaskId) -> String {
    format!("/tasks/{task}")
}

pub(super) fn json_answer(mut answer: HttpResponseBuilder, body: Vec<u8>) -> HttpResponse {
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json"))).body(body)
}

fn list_answer(answer: HttpResponseBuilder, tasks: &[Task], caller: Caller) -> HttpResponse {
    let views: Vec<TaskView<'_>> = tasks.iter().map(|task| TaskView::of(task, caller)).collect();
    json_answer(answer, TaskView::many(views.as_slice()))
}
