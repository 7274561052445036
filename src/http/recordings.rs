//! `/records`: the caller's recordings, and removing one.
//!
//! True here: whoever has the link of a recording may play it, but only its owner sees it listed, and only they and
//! admins remove it.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::catalogue::Code;
use super::extract::Query;
use super::idempotency::{Key, remembered, replayed};
use super::listing::{self, Cut, PageParams, Wanted};
use super::records::{RecordingView, link};
use super::task_view::TaskView;
use super::tasks::{UserParam, json_answer};
use super::{Problem, State, auth};
use crate::account::{Access, Caller};
use crate::intake::{Done, IntakeError};
use crate::store::{Recording, Refused, RememberedAnswer, Reply};
use crate::task::{RecordingId, TaskId};
use crate::telemetry::Action;

/// The caller's recordings, the newest first, each with its conversion as it stands; an admin's are all.
#[utoipa::path(
    get, path = "/records", operation_id = "listRecordings", tag = "Recordings", params(PageParams, UserParam),
    responses((status = 200, description = "A page of recordings.", body = Vec<RecordingView<'_>>,
        headers(("link" = String, description = "`<...>; rel=\"next\"`, where there are more")))),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, listing::PARAMETERS);
    let Wanted { limit, after, named } = Wanted::read(&mut query);
    query.finish()?;
    let caller = auth::caller(&state, &request, named).await?;
    let Cut { page: recordings, next } = page(&state, caller, after.map(TaskId), limit).await?;
    let answer = listing::answer(&request, next)?;
    let urls: Vec<String> = recordings
        .iter()
        .map(|one| one.owner.map(|owner| link(&state, &request, one.id, owner)).unwrap_or_default())
        .collect();
    let views: Vec<RecordingView<'_>> = recordings
        .iter()
        .zip(&urls)
        .map(|(one, url)| RecordingView {
            id: one.id,
            url,
            filename: &one.filename,
            task: TaskView::of(&one.task, caller),
        })
        .collect();
    Ok(json_answer(answer, TaskView::many(views.as_slice())))
}

/// At most `limit` of the caller's recordings behind `after`, and behind what the next page begins, where there are more.
pub(super) async fn page(
    state: &State,
    caller: Caller,
    after: Option<TaskId>,
    limit: u32,
) -> Result<Cut<Recording>, Problem> {
    if !Access::Users.allows(caller, None, None) {
        let detail =
            "a recording is always somebody's: send `Authorization: Bearer <token>`, or log in, to see yours";
        return Err(Problem::new(Code::Unauthenticated, detail));
    }
    let found = state.store.recordings(caller, after, limit + 1).await?;
    Ok(listing::cut(found, limit, |recording| recording.task.life.id.0))
}

/// What the path names.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documents what `id` reads")]
struct IdParam {
    /// The recording.
    #[param(format = Uuid)]
    id: String,
}

/// Removes a recording with its task; a conversion that runs is cancelled.
#[utoipa::path(
    delete, path = "/records/{id}", operation_id = "deleteRecording", tag = "Recordings", params(IdParam, UserParam),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["user_id"]);
    let named = query.user_id();
    query.finish()?;
    let caller = auth::caller(&state, &request, named).await?;
    let recording = find(&state, &request).await?;
    let remember = Key::of(&request)?.map(|key| key.remember(&request, caller, &[], deleted));
    match &recording {
        Some(recording) => may_remove(recording, caller)?,
        None if remember.is_some() => {}
        None => return Err(no_recording(&request)),
    }
    let task = recording.as_ref().map(|recording| recording.task.life.id);
    match state.intake.delete_made(caller, task, remember).await {
        Ok(Done::Now(_)) => {
            if let Some(recording) = recording {
                state.actions.record(&Action::RecordingDeleted { filename: recording.filename });
            }
            Ok(HttpResponse::NoContent().finish())
        }
        Ok(Done::Before(answer)) => replayed(answer),
        Err(IntakeError::Refused(Refused::NotFound(_))) => Err(no_recording(&request)),
        Err(error) => Err(error.into()),
    }
}

/// Removes a recording, for a caller who may.
pub(super) async fn remove(state: &State, caller: Caller, recording: Recording) -> Result<(), Problem> {
    may_remove(&recording, caller)?;
    state.intake.delete_made(caller, Some(recording.task.life.id), None).await?;
    state.actions.record(&Action::RecordingDeleted { filename: recording.filename });
    Ok(())
}

/// The recording that the path names; under what is no UUID there is none.
pub(super) async fn find(state: &State, request: &HttpRequest) -> Result<Option<Recording>, Problem> {
    let id = request.match_info().get("id").and_then(|id| id.parse::<RecordingId>().ok());
    match id {
        Some(id) => Ok(state.store.recording(id).await?),
        None => Ok(None),
    }
}

fn may_remove(recording: &Recording, caller: Caller) -> Result<(), Problem> {
    if Access::Owner.allows(caller, recording.owner, None) {
        return Ok(());
    }
    let (code, detail) = match caller {
        Caller::User(_) | Caller::Admin(_) => {
            (Code::Forbidden, "only the owner of the recording and admins may do that")
        }
        Caller::Anonymous => {
            (Code::Unauthenticated, "send its owner's `Authorization: Bearer <token>`, or log in")
        }
    };
    Err(Problem::new(code, detail))
}

/// There is no recording of the name in the path.
pub(super) fn no_recording(request: &HttpRequest) -> Problem {
    let id: String = request.match_info().get("id").unwrap_or_default().chars().take(64).collect();
    Problem::new(Code::RecordingNotFound, format!("there is no recording `{id}`"))
}

/// What to remember of a removal.
fn deleted(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::Changed(Ok(_)) = reply else { return None };
    Some(remembered(StatusCode::NO_CONTENT, None, Vec::new()))
}
