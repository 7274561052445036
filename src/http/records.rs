//! `POST /records`: a recording comes in and is converted.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::catalogue::Code;
use super::prefer::{self, PREFERENCE_APPLIED, Wish};
use super::task_view::TaskView;
use super::tasks::{PreferHeader, UserParam, json_answer, location, named};
use super::upload::{self, Refusal, Unproven, Upload, blocking};
use super::{Problem, State, auth};
use crate::intake::Done;
use crate::task::{RecordingId, Status, Task, UserId};
use crate::telemetry::Action;

/// A recording that was taken.
#[derive(Serialize, ToSchema)]
#[schema(as = Recording)]
pub(super) struct RecordingView<'a> {
    /// Its name.
    #[schema(value_type = String, format = Uuid)]
    id: RecordingId,
    /// Where the MP3 is, once it is made. Whoever has the link can fetch it.
    #[schema(example = "http://localhost:5000/record?id=2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11&user=3")]
    url: String,
    /// What the file was called.
    #[schema(example = "talk.wav")]
    filename: &'a str,
    /// The conversion.
    task: TaskView<'a>,
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
    let caller = auth::caller_so_far(&state, &request, named(&request)?).await?;
    let Upload { owner, draft, filename } = upload::read(&state, &unproven, &request, body, caller)
        .await
        .map_err(|refusal| written_down(&state, refusal))?;
    let blobs = state.blobs.clone();
    let kept = blocking(move || blobs.keep(draft)).await??;
    let id = RecordingId::fresh();
    let Done::Now(task) = state.intake.record(owner, &kept, (id, filename.clone()), None).await? else {
        return Err(Problem::internal("no key was given"));
    };
    // Its task names the blob now; the pin is needed no more.
    drop(kept);
    // Now, since nobody may be there any more when the conversion ends.
    state.actions.record(&Action::RecordingAccepted { filename: filename.clone() });

    let wish = Wish::of(&request);
    let task = prefer::settle(&state, task, wish.patience(&state, state.http.default_wait)).await?;
    let status = task.life.status();
    match status {
        Status::Completed => state.actions.record(&Action::RecordingSaved { filename: filename.clone() }),
        Status::Failed | Status::Cancelled => {
            state.actions.record(&Action::RecordingFailed { filename });
            return Err(not_made(&task, Code::ConversionFailed));
        }
        Status::New | Status::InProgress => {}
    }
    let url = link(&state, &request, id, owner);
    let made = status == Status::Completed && wish != Wish::Async;
    let mut answer = if made { HttpResponse::Created() } else { HttpResponse::Accepted() };
    if made {
        let place = HeaderValue::from_str(&url).map_err(|error| Problem::internal(error.to_string()))?;
        answer.insert_header((header::LOCATION, place));
    } else {
        answer.insert_header((header::LOCATION, location(task.life.id)));
    }
    if let Some(applied) = wish.applied(&state) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    let view = RecordingView { id, url, filename: &filename, task: TaskView::of(&task) };
    let body = serde_json::to_vec(&view).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(json_answer(answer, body))
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
        state.actions.record(&Action::RecordingRefused { filename, reason });
    }
    refusal.problem
}

/// The address of the MP3, as callers reach it.
fn link(state: &State, request: &HttpRequest, id: RecordingId, owner: UserId) -> String {
    let base = match &state.http.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", host(request)),
    };
    format!("{base}/record?id={id}&user={owner}")
}

/// The `Host` of the request, where it can be one; else our own address.
fn host(request: &HttpRequest) -> String {
    let given = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let sane = |host: &&str| {
        !host.is_empty()
            && host.len() <= 255
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
    };
    match given.filter(sane) {
        Some(host) => host.to_owned(),
        None => request.app_config().local_addr().to_string(),
    }
}
