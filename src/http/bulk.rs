//! `/tasks/cancel`, `/tasks/retry`, `/tasks/delete`: the same for all tasks that a query selects.
//!
//! Called by the route table. Which tasks is said by the filters of `GET /tasks`, by numbers, or by `all=true`: a query that
//! says nothing means a mistake, and is refused. How it is done is the intake's (`intake/bulk`).

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{self, Query};
use super::idempotency::{Key, remembered, replayed};
use super::task_filter::{FilterParams, Filters};
use super::task_view::TaskView;
use super::tasks::{UserParam, json_answer, nothing};
use super::{Problem, State, auth};
use crate::account::Caller;
use crate::intake::Done;
use crate::store::{Bulk, BulkAct, Remember, RememberedAnswer, Reply, Selection};
use crate::task::TaskId;
use crate::telemetry::action_log::Action;

/// The parameters of the three.
const PARAMETERS: &[&str] =
    &["status", "kind", "tag", "created_from", "created_before", "id", "all", "after", "user_id"];

/// The most numbers in one query.
const MAX_IDS: usize = 1_000;

/// What came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkResult, example = json!({"matched": 10000, "changed": 9998, "refused": 2, "next": 10412}))]
pub(super) struct BulkView {
    /// How many tasks were selected, in this request.
    matched: u64,
    /// How many of them were changed.
    changed: u64,
    /// How many were not: they stood where it is not allowed, another task has their unique key, or they were gone by then.
    refused: u64,
    /// Send the same with `after` of this number for the rest; `null` when there is none.
    next: Option<i64>,
}

impl BulkView {
    pub(super) fn of(bulk: &Bulk) -> Self {
        Self {
            matched: bulk.matched,
            changed: bulk.changed,
            refused: bulk.refused,
            next: bulk.next.map(|task| task.0),
        }
    }
}

/// Stops all tasks of the caller's that are selected: of those that wait or run, unless `status` or `id` says which.
#[utoipa::path(
    post, path = "/tasks/cancel", operation_id = "cancelTasks", tag = "Tasks", params(FilterParams, BulkParams, UserParam),
    responses((status = 200, description = "What was done: at most 10,000 tasks at a time, by number.", body = BulkView)),
)]
pub(super) async fn cancel(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    act(&state, &request, body, BulkAct::Cancel).await
}

/// Makes all tasks of the caller's ready again that are selected. Of those that failed or were cancelled, unless `status` or
/// `id` says which.
#[utoipa::path(
    post, path = "/tasks/retry", operation_id = "retryTasks", tag = "Tasks", params(FilterParams, BulkParams, UserParam),
    responses((status = 200, description = "What was done: at most 10,000 tasks at a time, by number.", body = BulkView)),
)]
pub(super) async fn retry(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    act(&state, &request, body, BulkAct::Retry).await
}

/// Removes all tasks of the caller's that are selected, with what they own; those that run are stopped first.
#[utoipa::path(
    post, path = "/tasks/delete", operation_id = "deleteTasks", tag = "Tasks", params(FilterParams, BulkParams, UserParam),
    responses((status = 200, description = "What was done: at most 10,000 tasks at a time, by number.", body = BulkView)),
)]
pub(super) async fn delete(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    act(&state, &request, body, BulkAct::Delete).await
}

async fn act(
    state: &State,
    request: &HttpRequest,
    body: Payload,
    act: BulkAct,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(request, PARAMETERS);
    let filters = Filters::read(&mut query);
    let ids = query.parsed("id", numbers);
    let all = query.parsed("all", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected `true` or `false`"),
    });
    let after = query.parsed("after", |text| extract::number(text).map(TaskId));
    let named = query.user_id();
    if filters.is_empty() && query.text("id").is_none() && all != Some(true) {
        query
            .fault("all", "nothing says which tasks: give a filter, or `id`, or `all=true` for all of yours");
    }
    query.finish()?;
    let caller = auth::caller(state, request, named).await?;
    let key = Key::of(request)?;
    let body = nothing(state, request, body).await?;
    let remember = key.map(|key| key.remember(request, caller, &[&body], answered));
    let selection = selection(act, filters, ids, caller);
    match change(state, caller, act, selection, after, remember).await? {
        Done::Now(bulk) => Ok(json_answer(HttpResponse::Ok(), TaskView::many(&BulkView::of(&bulk)))),
        Done::Before(answer) => replayed(answer),
    }
}

/// Does that to the tasks, and notes it where an admin did: it may be anybody's tasks.
pub(super) async fn change(
    state: &State,
    caller: Caller,
    act: BulkAct,
    selection: Selection,
    after: Option<TaskId>,
    remember: Option<Remember>,
) -> Result<Done<Bulk>, Problem> {
    let done = state.intake.bulk(caller, act, selection, after, remember).await?;
    if let (Caller::Admin(admin), Done::Now(Bulk { changed: count @ 1.., .. })) = (caller, &done) {
        let (count, admin) = (*count, admin.map(|user| user.0));
        state.actions.record(&match act {
            BulkAct::Retry => Action::TasksRetried { count, admin },
            BulkAct::Cancel => Action::TasksCancelled { count, admin },
            BulkAct::Delete => Action::TasksDeleted { count, admin },
        });
    }
    Ok(done)
}

/// What the caller selects. Who names tasks, or a status, wants to hear of those that refuse; who does not, does not mean
/// those to whom it cannot happen.
pub(super) fn selection(
    act: BulkAct,
    filters: Filters,
    ids: Option<Vec<TaskId>>,
    caller: Caller,
) -> Selection {
    let statuses = if ids.is_some() { &[] } else { act.statuses() };
    Selection { filter: filters.of(caller), ids, statuses, except: None }
}

/// Numbers of tasks, with commas between them.
fn numbers(text: &str) -> Result<Vec<TaskId>, String> {
    let ids: Vec<TaskId> =
        text.split(',').map(|number| extract::number(number).map(TaskId)).collect::<Result<_, _>>()?;
    if ids.len() > MAX_IDS {
        return Err(format!("expected at most {MAX_IDS} numbers, got {}", ids.len()));
    }
    Ok(ids)
}

/// What to remember of it.
fn answered(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::Bulk(bulk) = reply else { return None };
    Some(remembered(StatusCode::OK, None, TaskView::many(&BulkView::of(bulk))))
}

/// Which tasks.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `act` reads")]
struct BulkParams {
    /// Only those of these numbers: up to 1,000, with commas between them.
    #[param(example = "3,5,8")]
    id: Option<String>,
    /// Must be `true` where no other filter says which tasks are meant.
    all: Option<bool>,
    /// Only those behind this number: `next` of the answer before.
    #[param(minimum = 1)]
    after: Option<i64>,
}
