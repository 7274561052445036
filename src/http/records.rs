//! `POST /records`: a recording comes in and is converted.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::catalogue::Code;
use super::idempotency::{Key, remembered, replayed};
use super::prefer::{self, PREFERENCE_APPLIED, Wish};
use super::spool::blocking;
use super::task_view::TaskView;
use super::tasks::{PreferHeader, UserParam, json_answer, location, named};
use super::upload::{self, Refusal, Unproven, Upload};
use super::{Problem, State, again, auth, links};
use crate::account::Caller;
use crate::intake::Done;
use crate::store::{Accepted, RememberedAnswer, Reply};
use crate::task::{RecordingId, Status, Task, UserId};
use crate::telemetry::Action;

/// A recording, with what converts it.
#[derive(Serialize, ToSchema)]
#[schema(as = Recording, example = json!({
    "id": "2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11", "filename": "talk.wav",
    "url": "http://localhost:5000/record?id=2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11&user=3",
    "task": {"id": 7, "kind": "transcode", "status": "Completed", "priority": 0, "attempt": 1, "failures": 0, "crashes": 0,
        "max_attempts": 3, "owner": 3, "tags": [], "created_at": "2026-01-31T12:00:00.000000Z",
        "updated_at": "2026-01-31T12:00:00.020000Z"}
}))]
pub(super) struct RecordingView<'a> {
    /// Its name.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: RecordingId,
    /// Where the MP3 is, once it is made. Whoever has the link can fetch it.
    #[schema(example = "http://localhost:5000/record?id=2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11&user=3")]
    pub(super) url: &'a str,
    /// What the file was called.
    #[schema(example = "talk.wav")]
    pub(super) filename: &'a str,
    /// The conversion.
    pub(super) task: TaskView<'a>,
}

/// The form of an upload.
#[derive(ToSchema)]
#[schema(as = NewRecording)]
#[expect(dead_code, reason = "documents what `upload` reads")]
pub(super) struct NewRecordingSchema {
    /// Whose it is; may be left out beside a token.
    user: Option<i64>,
    /// The user's access token; may be left out beside `Authorization`.
    #[schema(format = Uuid)]
    token: Option<String>,
    /// The WAV: PCM, float, A-law or mu-law.
    #[schema(value_type = String, format = Binary, content_media_type = "audio/wav")]
    file: Vec<u8>,
}

/// Takes a WAV and converts it to MP3.
#[utoipa::path(
    post, path = "/records", operation_id = "createRecording", tag = "Recordings", params(UserParam, PreferHeader),
    request_body(content_type = "multipart/form-data", content = NewRecordingSchema,
        description = "The fields in any order; before a file of more than 16 MiB there must be a proof of its user. The \
            file is any part with a file name, or the field `file`."),
    responses(
        (status = 201, description = "Taken and converted.", body = RecordingView<'_>,
            headers(("location" = String, description = "The link"))),
        (status = 202, description = "Taken; the MP3 is not made yet (`respond-async`, or the wait ran out).",
            body = RecordingView<'_>, headers(("location" = String, description = "`/tasks/{id}`"))),
    ),
)]
pub(super) async fn create(
    state: Data<State>,
    unproven: Data<Unproven>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let (taken, owner, done) = receive(&state, &unproven, &request, body).await?;
    let wish = Wish::of(&request);
    let patience = wish.patience(&state, state.http.default_wait);
    match done {
        Done::Now(task) => {
            let filename = taken.filename.clone();
            let task = prefer::settle(&state, task, patience).await?;
            match task.life.status() {
                Status::Completed => state.actions.record(&Action::RecordingSaved { filename }),
                Status::Failed | Status::Cancelled => {
                    state.actions.record(&Action::RecordingFailed { filename });
                }
                Status::New | Status::InProgress => {}
            }
            taken.answer(&state, &task, owner, wish)
        }
        Done::Before(answer) => taken_before(&state, answer, owner, wish, patience).await,
    }
}

/// Takes the recording of a request: what it is known by, whose it is, and its conversion.
pub(super) async fn receive(
    state: &State,
    unproven: &Unproven,
    request: &HttpRequest,
    body: Payload,
) -> Result<(Taken, UserId, Done<Task>), Problem> {
    let caller = auth::caller_so_far(state, request, named(request)?).await?;
    let key = Key::of(request)?;
    let Upload { owner, draft, filename } = upload::read(state, unproven, request, body, caller)
        .await
        .map_err(|refusal| written_down(state, refusal))?;
    let blobs = state.blobs.clone();
    let kept = blocking(move || blobs.keep(draft)).await??;
    let id = RecordingId::fresh();
    let url = link(state, request, id, owner);
    let taken = Taken { id, url, filename };
    let remember = key.map(|key| {
        // The bytes, by the name that they make.
        let parts = [kept.name.as_str().as_bytes(), taken.filename.as_bytes()];
        let taken = taken.clone();
        key.remember(request, Caller::User(owner), &parts, move |reply| taken.remembered(reply, owner))
    });
    let done = state.intake.record(owner, &kept, (id, taken.filename.clone()), remember).await?;
    // Its task names the blob now; the pin is needed no more.
    drop(kept);
    if let Done::Now(_) = &done {
        // Now, since nobody may be there any more when the conversion ends.
        state.actions.record(&Action::RecordingAccepted { filename: taken.filename.clone() });
    }
    Ok((taken, owner, done))
}

/// What is told of a recording besides its task.
#[derive(Clone, Deserialize)]
pub(super) struct Taken {
    pub(super) id: RecordingId,
    url: String,
    filename: String,
}

impl Taken {
    /// The answer, as the task stands.
    fn answer(&self, state: &State, task: &Task, owner: UserId, wish: Wish) -> Result<HttpResponse, Problem> {
        let status = task.life.status();
        match status {
            Status::Failed | Status::Cancelled => return Err(not_made(task, Code::ConversionFailed)),
            Status::New | Status::InProgress | Status::Completed => {}
        }
        let made = status == Status::Completed && wish != Wish::Async;
        let mut answer = if made { HttpResponse::Created() } else { HttpResponse::Accepted() };
        if made {
            let place =
                HeaderValue::from_str(&self.url).map_err(|error| Problem::internal(error.to_string()))?;
            answer.insert_header((header::LOCATION, place));
        } else {
            answer.insert_header((header::LOCATION, location(task.life.id)));
        }
        if let Some(applied) = wish.applied(state) {
            answer.insert_header((PREFERENCE_APPLIED, applied));
        }
        Ok(json_answer(answer, self.json(task, owner)))
    }

    fn json(&self, task: &Task, owner: UserId) -> Vec<u8> {
        let task = TaskView::of(task, Caller::User(owner));
        let view = RecordingView { id: self.id, url: &self.url, filename: &self.filename, task };
        TaskView::many(&view)
    }

    /// What to remember: the answer of who does not wait.
    fn remembered(&self, reply: &Reply, owner: UserId) -> Option<RememberedAnswer> {
        let Reply::Created(made) = reply else { return None };
        let [Accepted { task, .. }] = made.as_slice() else { return None };
        let place = Some(location(task.life.id));
        Some(remembered(StatusCode::ACCEPTED, place, self.json(task, owner)))
    }
}

/// Answers an upload that came before, with the recording of then as it stands now.
async fn taken_before(
    state: &State,
    answer: RememberedAnswer,
    owner: UserId,
    wish: Wish,
    patience: Duration,
) -> Result<HttpResponse, Problem> {
    #[derive(Deserialize)]
    struct Before {
        #[serde(flatten)]
        taken: Taken,
        task: again::Numbered,
    }
    let before: Before = again::reread(&answer)?;
    let Some(task) = prefer::revisit(state, before.task.task(), patience).await else {
        return replayed(answer);
    };
    Ok(again::anew(before.taken.answer(state, &task, owner, wish)?))
}

/// The same under the name that the audio service documents.
#[utoipa::path(
    post, path = "/music-add", operation_id = "createRecordingAlias", tag = "Recordings", params(UserParam, PreferHeader),
    request_body(content_type = "multipart/form-data", content = NewRecordingSchema,
        description = "The fields in any order; before a file of more than 16 MiB there must be a proof of its user. The \
            file is any part with a file name, or the field `file`."),
    responses(
        (status = 201, description = "Taken and converted.", body = RecordingView<'_>,
            headers(("location" = String, description = "The link"))),
        (status = 202, description = "Taken; the MP3 is not made yet (`respond-async`, or the wait ran out).",
            body = RecordingView<'_>, headers(("location" = String, description = "`/tasks/{id}`"))),
    ),
)]
pub(super) async fn create_alias(
    state: Data<State>,
    unproven: Data<Unproven>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    create(state, unproven, request, body).await
}

/// A conversion that ended without an MP3: `failed` is the code for a failure, a cancelled one is the same everywhere.
pub(super) fn not_made(task: &Task, failed: Code) -> Problem {
    let id = task.life.id;
    if task.life.status() == Status::Cancelled {
        let detail =
            format!("the conversion (task {id}) was cancelled: retry the task, or send the recording again");
        return Problem::new(Code::RecordingFailed, detail).about(id);
    }
    let detail = match &task.life.error {
        Some(failure) => {
            format!("the conversion (task {id}) failed: {} ({})", failure.message, failure.reason.as_str())
        }
        None => format!("the conversion (task {id}) failed"),
    };
    Problem::new(failed, detail).about(id)
}

/// Writes a refusal of a file to the action log.
fn written_down(state: &State, refusal: Refusal) -> Problem {
    if let (Some(filename), Some(reason)) = (refusal.filename, upload::reason(refusal.problem.code())) {
        state.actions.record(&Action::FileRefused { filename, reason });
    }
    refusal.problem
}

/// The address of the MP3, as callers reach it.
pub(super) fn link(state: &State, request: &HttpRequest, id: RecordingId, owner: UserId) -> String {
    format!("{}/record?id={id}&user={owner}", links::base(state, request))
}
