//! `GET /record`: the MP3, or the original, as a download with ranges.
//!
//! The link opens it, as the audio service documents: nothing here asks who is calling.

use actix_web::http::{Method, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::catalogue::Code;
use super::extract::{self, Query};
use super::file::{self, FileSchema, Part, Unread};
use super::filename::{self, Shown};
use super::records::not_made;
use super::task_view::TaskView;
use super::tasks::{json_answer, location};
use super::{Problem, State};
use crate::account::Caller;
use crate::store::Recording;
use crate::task::{Attachment, RecordingId, Role, Status, UserId};

const PARAMS: &[&str] = &["id", "user", "format"];

/// The parameters of the link.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `get` reads")]
struct LinkParams {
    /// The recording.
    #[param(format = Uuid)]
    id: String,
    /// Whose it is.
    #[param(minimum = 1)]
    user: i64,
    /// `mp3`, or `wav` for the original while it is kept.
    #[param(default = "mp3", pattern = "^(mp3|wav)$")]
    format: Option<String>,
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Mp3,
    Wav,
}

/// Fetches a recording.
#[utoipa::path(
    get, path = "/record", operation_id = "fetchRecording", tag = "Recordings", params(LinkParams,
        ("if-match" = Option<String>, Header, description = "The ETag that the file must have"),
        ("range" = Option<String>, Header, description = "One range of bytes", example = "bytes=0-1023"),
        ("if-none-match" = Option<String>, Header, description = "The ETag that the client has"),
        ("if-range" = Option<String>, Header, description = "The ETag of which the client has a part")),
    responses(
        (status = 200, description = "The file.", content((FileSchema = "audio/mpeg"),
                (FileSchema = "audio/wav")),
            headers(("etag" = String), ("accept-ranges" = String), ("content-disposition" = String))),
        (status = 202, description = "It is not made yet: the task.", body = TaskView<'_>,
            headers(("retry-after" = u64), ("location" = String))),
        (status = 206, description = "A part of the file.", content((FileSchema = "audio/mpeg"),
                (FileSchema = "audio/wav")),
            headers(("content-range" = String))),
        (status = 304, description = "The client has it."),
    ),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, PARAMS);
    let id = query.parsed("id", str::parse::<RecordingId>);
    let user = query.parsed("user", |text| extract::number(text).map(UserId));
    let format = query.parsed("format", |text| match text {
        "mp3" => Ok(Format::Mp3),
        "wav" => Ok(Format::Wav),
        _ => Err("expected `mp3` or `wav`"),
    });
    for name in ["id", "user"] {
        if query.text(name).is_none() {
            query.fault(name, "the parameter is missing");
        }
    }
    query.finish()?;
    let (Some(id), Some(user)) = (id, user) else {
        return Err(Problem::internal("a parameter is neither there nor missing"));
    };
    let recording = state.store.recording(id).await?.filter(|recording| recording.owner == Some(user));
    let recording = recording.ok_or_else(|| none(id, user))?;
    match format.unwrap_or(Format::Mp3) {
        Format::Wav => {
            let detail = "the original was dropped once the MP3 was made";
            let blob =
                recording.blob(Role::Input).ok_or_else(|| Problem::new(Code::OriginalNotKept, detail))?;
            file(&state, &request, &recording, blob, Format::Wav, user).await
        }
        Format::Mp3 => match (recording.task.life.status(), recording.blob(Role::Output)) {
            (Status::Completed, Some(blob)) => {
                file(&state, &request, &recording, blob, Format::Mp3, user).await
            }
            (Status::New | Status::InProgress, _) => Ok(not_yet(&recording)),
            (Status::Failed | Status::Cancelled, _) => Err(not_made(&recording.task, Code::RecordingFailed)),
            (Status::Completed, None) => {
                Err(Problem::internal(format!("task {} completed without an MP3", recording.task.life.id)))
            }
        },
    }
}

fn none(id: RecordingId, user: UserId) -> Problem {
    Problem::new(Code::RecordingNotFound, format!("there is no recording {id} of user {user}"))
}

fn not_yet(recording: &Recording) -> HttpResponse {
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((header::RETRY_AFTER, 1));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::LOCATION, location(recording.task.life.id)));
    json_answer(answer, TaskView::json(&recording.task, Caller::Anonymous))
}

async fn file(
    state: &State,
    request: &HttpRequest,
    recording: &Recording,
    blob: &Attachment,
    format: Format,
    user: UserId,
) -> Result<HttpResponse, Problem> {
    let etag = format!("\"{}\"", blob.blob);
    let (media_type, extension) = match format {
        Format::Mp3 => ("audio/mpeg", "mp3"),
        Format::Wav => ("audio/wav", "wav"),
    };
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::ETAG, etag.as_str()));
    // Whoever has the link may keep it, but a deleted recording must not live on in shared caches.
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    answer.insert_header((header::ACCEPT_RANGES, "bytes"));
    let part = file::wanted(request.headers(), &etag, blob.bytes)?;
    part.tell(&mut answer, blob.bytes);
    if part == Part::None {
        return Ok(answer.finish());
    }
    answer.insert_header((header::CONTENT_TYPE, media_type));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer.insert_header((
        header::CONTENT_DISPOSITION,
        filename::disposition(Shown::Saved, &recording.filename, extension),
    ));
    let (first, length) = part.of(blob.bytes);
    let opened = match file::open(&state.blobs, &blob.blob, blob.bytes, first).await {
        Ok(opened) => opened,
        Err(Unread::Damaged(how)) => return Err(damaged(recording.id, blob, &how)),
        Err(Unread::Missing) => {
            // The sweep takes what no row names: so it is either deleted since we looked, or lost.
            let now = state.store.recording(recording.id).await?;
            let named = now.and_then(|recording| recording.blob(role(format)).cloned());
            return Err(match named {
                Some(named) if named.blob == blob.blob => {
                    damaged(recording.id, blob, "there is no such file")
                }
                Some(_) | None => none(recording.id, user),
            });
        }
        Err(Unread::Problem(problem)) => return Err(problem),
    };
    // The answer to HEAD has the headers of GET; its body is never sent, so it need not be read either.
    let sent = if request.method() == Method::HEAD { 0 } else { length };
    Ok(answer.body(file::body(opened, length, sent)))
}

/// A row names a file that is not there, or not as it was written: nobody's fault who asks, and never "not found".
fn damaged(id: RecordingId, blob: &Attachment, found: &str) -> Problem {
    let detail = "the file of this recording is missing or damaged on the daemon's disk; its log has more under the \
                  request id of `instance`";
    let (name, bytes) = (&blob.blob, extract::bytes(blob.bytes));
    Problem::new(Code::BlobDamaged, detail)
        .caused_by(format!("the blob {name} of recording {id} should have {bytes}, but {found}"))
}

fn role(format: Format) -> Role {
    match format {
        Format::Mp3 => Role::Output,
        Format::Wav => Role::Input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_named_in_the_log_and_not_to_the_caller() {
        let (id, name) = ("2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11", "ab".repeat(32));
        let blob = Attachment { role: Role::Output, blob: name.parse().unwrap(), bytes: 1 };
        let problem = damaged(id.parse().unwrap(), &blob, "there is no such file");
        assert!(problem.code().status().is_server_error());
        assert!(!problem.detail().contains(&name), "{problem}");
        // The cause, which the log gets in place of the detail.
        let logged = format!("{problem:?}");
        let cause =
            format!("the blob {name} of recording {id} should have 1 byte, but there is no such file");
        assert!(logged.contains(&cause), "{logged}");
    }
}
