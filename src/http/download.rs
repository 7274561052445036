//! `GET /record`: the MP3, or the original, as a download with ranges.
//!
//! The link opens it, as the audio service documents: nothing here asks who is calling.

use std::io::{Read, Seek, SeekFrom};

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::catalogue::Code;
use super::extract::{self, Query};
use super::records::not_made;
use super::task_view::TaskView;
use super::tasks::{json_answer, location};
use super::upload::blocking;
use super::{Problem, State, filename};
use crate::account::Caller;
use crate::blob::{BlobError, Reader};
use crate::store::Recording;
use crate::task::{Attachment, RecordingId, Role, Status, UserId};

const PARAMS: &[&str] = &["id", "user", "format"];

/// As much as is read from the disk at a time.
const PIECE: u64 = 128 * 1024;

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

/// The bytes of a file.
#[derive(utoipa::ToSchema)]
#[schema(as = File, value_type = String, format = Binary)]
#[expect(dead_code, reason = "documents what `file` sends")]
pub(super) struct FileSchema(Vec<u8>);

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
        (status = 200, description = "The file.", content_type = "audio/mpeg", body = FileSchema,
            headers(("etag" = String), ("accept-ranges" = String), ("content-disposition" = String))),
        (status = 202, description = "It is not made yet: the task.", body = TaskView<'_>,
            headers(("retry-after" = u64), ("location" = String))),
        (status = 206, description = "A part of the file.", content_type = "audio/mpeg", body = FileSchema,
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
    let headers = request.headers();
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::ETAG, etag.as_str()));
    // Whoever has the link may keep it, but a deleted recording must not live on in shared caches.
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    answer.insert_header((header::ACCEPT_RANGES, "bytes"));
    // In the order of RFC 9110, 13.2.2. There is no `Last-Modified`, so the conditions on time say nothing.
    if headers.contains_key(header::IF_MATCH) && !has_tag(headers, &header::IF_MATCH, Compare::Strong, &etag)
    {
        let detail = format!("the file is {etag}, which `If-Match` does not name");
        return Err(Problem::new(Code::PreconditionFailed, detail));
    }
    if has_it(headers, &etag) {
        return Ok(answer.status(StatusCode::NOT_MODIFIED).finish());
    }
    let (first, length) = match wanted(headers, &etag, blob.bytes) {
        Wanted::All => (0, blob.bytes),
        Wanted::Part { first, last } => {
            answer.status(StatusCode::PARTIAL_CONTENT);
            answer.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", blob.bytes)));
            (first, last - first + 1)
        }
        Wanted::Nothing => {
            let detail = format!("the length of the file is {}", extract::bytes(blob.bytes));
            return Err(Problem::new(Code::RangeNotSatisfiable, detail).of_length(blob.bytes));
        }
    };
    answer.insert_header((header::CONTENT_TYPE, media_type));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer
        .insert_header((header::CONTENT_DISPOSITION, filename::disposition(&recording.filename, extension)));
    let (blobs, name) = (state.blobs.clone(), blob.blob.clone());
    let opened = blocking(move || {
        let mut file = blobs.read(&name)?;
        let there = file.len();
        file.seek(SeekFrom::Start(first)).map_err(|source| BlobError::Io {
            doing: "cannot seek in",
            path: name.to_string(),
            source,
        })?;
        Ok((file, there))
    })
    .await?;
    let opened = match opened {
        Ok((file, there)) if there == blob.bytes => file,
        Ok((_, there)) => {
            return Err(damaged(recording.id, blob, &format!("it has {}", extract::bytes(there))));
        }
        Err(BlobError::Missing(_)) => {
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
        Err(error) => return Err(error.into()),
    };
    // The answer to HEAD has the headers of GET; its body is never sent, so it need not be read either.
    let left = if request.method() == Method::HEAD { 0 } else { length };
    Ok(answer.body(SizedStream::new(length, Box::pin(stream::try_unfold((opened, left), next_piece)))))
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

/// The next bytes of the file.
async fn next_piece(
    (mut file, left): (Reader, u64),
) -> Result<Option<(Bytes, (Reader, u64))>, actix_web::Error> {
    if left == 0 {
        return Ok(None);
    }
    let (read, file) = blocking(move || {
        let mut piece = Vec::new();
        let read = (&mut file).take(left.min(PIECE)).read_to_end(&mut piece);
        (read.map(|_| piece), file)
    })
    .await?;
    // The head of the answer is gone already, so all that is left is to break off, and to say why in the log.
    let broken = |cause: String| {
        let problem = Problem::internal(cause);
        problem.log();
        problem
    };
    let piece = read.map_err(|error| broken(format!("a blob cannot be read: {error}")))?;
    if piece.is_empty() {
        return Err(broken("a blob became shorter while it was sent".to_owned()).into());
    }
    let left = left.saturating_sub(piece.len() as u64);
    Ok(Some((Bytes::from(piece), (file, left))))
}

/// What a request wants of a file.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part { first: u64, last: u64 },
    Nothing,
}

/// Reads `Range` and `If-Range` (RFC 9110, 14.2): what is not one well-formed range of bytes asks for the whole.
fn wanted(headers: &HeaderMap, etag: &str, length: u64) -> Wanted {
    let Some(range) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else {
        return Wanted::All;
    };
    if headers.get(header::IF_RANGE).is_some_and(|tag| tag.as_bytes() != etag.as_bytes()) {
        return Wanted::All;
    }
    let Some((unit, range)) = range.split_once('=') else { return Wanted::All };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::All };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large to hold lies behind any end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::All;
    }
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => Wanted::Nothing,
        ("", _, _, Some(_)) if length == 0 => Wanted::Nothing,
        ("", _, _, Some(suffix)) => Wanted::Part { first: length.saturating_sub(suffix), last: length - 1 },
        (_, Some(first), "", _) if first < length => Wanted::Part { first, last: length - 1 },
        (_, Some(first), _, Some(last)) if first <= last && first < length => {
            Wanted::Part { first, last: last.min(length - 1) }
        }
        (_, Some(first), _, Some(last)) if first > last => Wanted::All,
        (_, Some(_), "", _) | (_, Some(_), _, Some(_)) => Wanted::Nothing,
        _ => Wanted::All,
    }
}

/// Whether the client has the file with this tag already (RFC 9110, 13.1.2).
pub(super) fn has_it(headers: &HeaderMap, etag: &str) -> bool {
    has_tag(headers, &header::IF_NONE_MATCH, Compare::Weak, etag)
}

/// How tags are compared (RFC 9110, 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// A weak tag is the same as no other.
    Strong,
    /// A weak tag counts like a strong one.
    Weak,
}

/// Whether a list of tags holds this one, which is strong, or `*`.
fn has_tag(headers: &HeaderMap, name: &header::HeaderName, compare: Compare, etag: &str) -> bool {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| match tag.strip_prefix("W/") {
            Some(weak) => compare == Compare::Weak && weak == etag,
            None => tag == "*" || tag == etag,
        })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

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

    fn asked(range: &'static str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static(range));
        wanted(&headers, "\"x\"", 10)
    }

    #[test]
    fn one_range_of_bytes_is_understood_and_anything_else_asks_for_the_whole() {
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=2-5", 2, 5),
            ("bytes=5-", 5, 9),
            ("bytes=-3", 7, 9),
            ("bytes=-99", 0, 9),
            ("Bytes=9-99999999999999999999999", 9, 9),
        ] {
            assert_eq!(asked(range), Wanted::Part { first, last }, "{range}");
        }
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(asked(range), Wanted::Nothing, "{range}");
        }
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=+1-2",
        ] {
            assert_eq!(asked(range), Wanted::All, "{range}");
        }
    }
}
