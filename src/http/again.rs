//! Requests that were sent before: the answer of then, or what it told of as that is now where the caller wants to wait
//! for its end.
//!
//! Called by those who create, when the intake says that the key of the request was answered before: `tasks` has its whole
//! answer from here, the others what they have in common.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use super::idempotency::{REPLAYED, remembered, replayed};
use super::prefer::{self, PREFERENCE_APPLIED, Wish};
use super::task_view::TaskView;
use super::{Problem, State};
use crate::account::Caller;
use crate::store::RememberedAnswer;
use crate::task::TaskId;

/// Of a task that was answered, its number.
#[derive(Deserialize)]
pub(super) struct Numbered {
    id: i64,
}

impl Numbered {
    /// Its number.
    pub(super) fn task(&self) -> TaskId {
        TaskId(self.id)
    }
}

/// What was answered then.
pub(super) fn reread<T: DeserializeOwned>(answer: &RememberedAnswer) -> Result<T, Problem> {
    serde_json::from_str(&answer.body).map_err(unreadable)
}

/// An answer that was made anew for a request that was sent before.
pub(super) fn anew(mut answer: HttpResponse) -> HttpResponse {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}

/// The answer to one task.
pub(super) async fn one(
    state: &State,
    caller: Caller,
    wish: Wish,
    answer: RememberedAnswer,
) -> Result<HttpResponse, Problem> {
    let patience = match wish {
        Wish::Wait(_) => wish.patience(state, std::time::Duration::ZERO),
        Wish::Default | Wish::Async => return as_then(state, wish, answer),
    };
    let then: Numbered = reread(&answer)?;
    let Some(task) = prefer::revisit(state, then.task(), patience).await else {
        return as_then(state, wish, answer);
    };
    let status = status(wish, made(&answer), task.life.status().is_terminal());
    as_then(state, wish, remembered(status, answer.location, TaskView::json(&task, caller)))
}

/// The answer to a batch.
pub(super) async fn many(
    state: &State,
    caller: Caller,
    wish: Wish,
    answer: RememberedAnswer,
) -> Result<HttpResponse, Problem> {
    let deadline = match wish {
        Wish::Wait(_) => Instant::now() + wish.patience(state, std::time::Duration::ZERO),
        Wish::Default | Wish::Async => return as_then(state, wish, answer),
    };
    let mut views: Vec<Box<RawValue>> = reread(&answer)?;
    let mut ended = true;
    for view in &mut views {
        let then: Numbered = serde_json::from_str(view.get()).map_err(unreadable)?;
        let left = deadline.saturating_duration_since(Instant::now());
        // One that is gone stays as it was.
        if let Some(task) = prefer::revisit(state, then.task(), left).await {
            ended &= task.life.status().is_terminal();
            *view = to_raw_value(&TaskView::of(&task, caller)).map_err(unreadable)?;
        }
    }
    let status = status(wish, made(&answer), ended);
    as_then(state, wish, remembered(status, answer.location, TaskView::many(views.as_slice())))
}

/// 201 where something was made and 200 where not, unless the caller did not want to wait, or waited in vain.
pub(super) fn status(wish: Wish, made: bool, ended: bool) -> StatusCode {
    let done = if made { StatusCode::CREATED } else { StatusCode::OK };
    match wish {
        Wish::Default => done,
        Wish::Async => StatusCode::ACCEPTED,
        Wish::Wait(_) if ended => done,
        Wish::Wait(_) => StatusCode::ACCEPTED,
    }
}

fn made(answer: &RememberedAnswer) -> bool {
    answer.status == StatusCode::CREATED.as_u16()
}

fn as_then(state: &State, wish: Wish, mut answer: RememberedAnswer) -> Result<HttpResponse, Problem> {
    if wish == Wish::Async {
        answer.status = StatusCode::ACCEPTED.as_u16();
    }
    let mut answer = replayed(answer)?;
    if let Some(applied) = wish.applied(state) {
        answer.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(answer)
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::internal(format!("a remembered answer cannot be read: {error}"))
}
