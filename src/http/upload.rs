//! A recording on its way in: the multipart form, read piece by piece into a draft on the disk.
//!
//! Called by `records`. True here: memory holds one buffer, however long the file; the disk is written by a blocking
//! thread; a draft that is not kept is gone when this is left, by whatever way; the fields come in any order.

use std::io::{self, Write};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::web::{self, Bytes, BytesMut, Payload};
use futures_util::StreamExt;

use super::catalogue::Code;
use super::extract::Pace;
use super::{Problem, State, auth, extract, filename};
use crate::account::Caller;
use crate::blob::{BlobError, Draft};
use crate::media::wav::{WavErrorClass, WavReader};
use crate::task::UserId;

/// As much as is gathered before the disk is asked to take it.
const BUFFER: usize = 256 * 1024;

/// The longest text field: a token has 36 bytes.
const MAX_TEXT: usize = 256;

/// The fields of the form.
const FIELDS: [&str; 3] = ["user", "token", "file"];

/// A recording that came in whole, from a user who proved to be one.
pub(super) struct Upload {
    /// Whose it is.
    pub(super) owner: UserId,
    /// The bytes, not kept yet.
    pub(super) draft: Draft,
    /// What the file was called; harmless.
    pub(super) filename: String,
}

/// Why an upload was not taken, and what its file was called, where that was seen.
pub(super) struct Refusal {
    pub(super) problem: Problem,
    pub(super) filename: Option<String>,
}

/// What has come so far.
struct Reading<'a> {
    state: &'a State,
    caller: Caller,
    pace: Pace,
    user: Option<UserId>,
    token: Option<String>,
    owner: Option<UserId>,
    file: Option<(Draft, String)>,
    seen: Option<String>,
}

/// Reads the form. `caller` is who the header or the query proves to be calling.
pub(super) async fn read(
    state: &State,
    request: &HttpRequest,
    body: Payload,
    caller: Caller,
) -> Result<Upload, Refusal> {
    let pace = Pace::new(state.http.request_timeout);
    let mut reading =
        Reading { state, caller, pace, user: None, token: None, owner: None, file: None, seen: None };
    match reading.form(Multipart::new(request.headers(), body)).await {
        Ok((owner, draft, filename)) => Ok(Upload { owner, draft, filename }),
        Err(problem) => Err(Refusal { problem, filename: reading.seen }),
    }
}

impl Reading<'_> {
    async fn form(&mut self, mut form: Multipart) -> Result<(UserId, Draft, String), Problem> {
        while let Some(field) = self.pace.wait(form.next()).await? {
            let mut field = field.map_err(unreadable)?;
            let name = field.name().unwrap_or_default().to_owned();
            let given = given_name(&field);
            match (name.as_str(), given) {
                ("user", None) => self.take_user(&mut field).await?,
                ("token", None) => self.take_token(&mut field).await?,
                (_, Some(given)) => self.take_file(&mut field, &name, &given).await?,
                ("file", None) => self.take_file(&mut field, &name, "").await?,
                (other, None) => {
                    let other: String = other.chars().take(64).collect();
                    return Err(Problem::of_field(Code::InvalidForm, &other, "there is no such field")
                        .allowing(FIELDS));
                }
            }
        }
        let owner = match self.prove(true).await? {
            Some(owner) => owner,
            None => {
                let detail = "a recording needs a user: send the fields `user` and `token`, or `Authorization: Bearer`";
                return Err(Problem::new(Code::Unauthenticated, detail));
            }
        };
        match self.file.take() {
            Some((draft, filename)) => Ok((owner, draft, filename)),
            None => Err(Problem::of_field(Code::InvalidForm, "file", "the form holds no file")),
        }
    }

    async fn take_user(&mut self, field: &mut Field) -> Result<(), Problem> {
        let text = self.text(field, "user").await?;
        if self.user.is_some() {
            return Err(twice("user"));
        }
        let user = extract::number(&text)
            .map_err(|problem| Problem::of_field(Code::InvalidForm, "user", problem))?;
        self.user = Some(UserId(user));
        self.prove(false).await.map(drop)
    }

    async fn take_token(&mut self, field: &mut Field) -> Result<(), Problem> {
        let text = self.text(field, "token").await?;
        if self.token.replace(text).is_some() {
            return Err(twice("token"));
        }
        self.prove(false).await.map(drop)
    }

    /// Who it is, as soon as that can be told: wrong credentials before the file spare everybody the file. At the end
    /// (`all_read`) a token alone, or a user whom the header proves, is enough.
    async fn prove(&mut self, all_read: bool) -> Result<Option<UserId>, Problem> {
        if self.owner.is_some() {
            return Ok(self.owner);
        }
        let proven = match (self.caller, &self.token) {
            (Caller::User(user), None) => user,
            (Caller::Anonymous, Some(token)) if self.user.is_some() || all_read => {
                let owner = auth::owner_of(self.state, token).await?;
                if self.user.is_some_and(|named| named != owner) {
                    return Err(Problem::new(
                        Code::InvalidToken,
                        "the token is not that of the user who is named",
                    ));
                }
                owner
            }
            (Caller::User(user), Some(token)) => {
                auth::same(auth::owner_of(self.state, token).await?, user, "token")?
            }
            (Caller::Anonymous, Some(_) | None) => return Ok(None),
        };
        if let Some(named) = self.user {
            auth::same(proven, named, "user")?;
        }
        if all_read {
            self.owner = Some(proven);
        }
        Ok(Some(proven))
    }

    async fn next_chunk(&mut self, field: &mut Field) -> Result<Option<Bytes>, Problem> {
        let chunk = self.pace.wait(field.next()).await?.transpose().map_err(unreadable)?;
        self.pace.came(chunk.as_ref().map_or(0, Bytes::len));
        Ok(chunk)
    }

    async fn text(&mut self, field: &mut Field, name: &str) -> Result<String, Problem> {
        let mut text = BytesMut::new();
        while let Some(chunk) = self.next_chunk(field).await? {
            text.extend_from_slice(&chunk);
            if text.len() > MAX_TEXT {
                let problem = format!("the field is longer than {MAX_TEXT} bytes");
                return Err(Problem::of_field(Code::InvalidForm, name, problem));
            }
        }
        match std::str::from_utf8(&text) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(_) => Err(Problem::of_field(Code::InvalidForm, name, "the field is not UTF-8")),
        }
    }

    async fn take_file(&mut self, field: &mut Field, name: &str, given: &str) -> Result<(), Problem> {
        if self.file.is_some() {
            return Err(Problem::of_field(
                Code::InvalidForm,
                name,
                "the form holds two files: send one at a time",
            ));
        }
        let filename = filename::kept(given);
        self.seen = Some(filename.clone());
        let blobs = self.state.blobs.clone();
        let mut draft = blocking(move || blobs.draft()).await??;
        let most = self.state.records.max_bytes;
        let mut buffer = BytesMut::with_capacity(BUFFER);
        loop {
            let Some(chunk) = self.next_chunk(field).await? else { break };
            if draft.len() + (buffer.len() + chunk.len()) as u64 > most.bytes() {
                return Err(Problem::new(
                    Code::RecordingTooLarge,
                    format!("the recording is larger than {most}"),
                ));
            }
            buffer.extend_from_slice(&chunk);
            if buffer.len() >= BUFFER {
                draft = write(draft, buffer.split().freeze()).await?;
            }
        }
        draft = write(draft, buffer.freeze()).await?;
        // Before anything is accepted, and before the rest of the form is awaited.
        let reader = draft.reader()?;
        blocking(move || WavReader::open(io::BufReader::new(reader)).map(drop)).await??;
        self.file = Some((draft, filename));
        Ok(())
    }
}

/// Appends to the draft, on a blocking thread. The first piece is looked at, so that what is no WAV at all is refused
/// before the rest of it comes.
async fn write(mut draft: Draft, bytes: Bytes) -> Result<Draft, Problem> {
    let (draft, written) = blocking(move || {
        if draft.is_empty()
            && let Err(error) = WavReader::open(io::Cursor::new(&bytes))
            && error.class() == WavErrorClass::UnsupportedType
            && !bytes.is_empty()
        {
            return Err(error);
        }
        let written = draft.write_all(&bytes);
        Ok((draft, written))
    })
    .await??;
    written.map_err(|source| {
        let path = "a draft".to_owned();
        let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        Problem::from(if full {
            BlobError::Full { path }
        } else {
            BlobError::Io { doing: "cannot write", path, source }
        })
    })?;
    Ok(draft)
}

/// Runs what blocks where that hurts nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    web::block(work)
        .await
        .map_err(|error| Problem::internal(format!("a blocking thread ended early: {error}")))
}

fn twice(name: &str) -> Problem {
    Problem::of_field(Code::InvalidForm, name, "the field is given twice")
}

/// The name that the client gives the file, in the extended form where there is one.
fn given_name(field: &Field) -> Option<String> {
    let said = field.content_disposition()?;
    match said.get_filename_ext() {
        Some(extended) => Some(String::from_utf8_lossy(&extended.value).into_owned()),
        None => said.get_filename().map(str::to_owned),
    }
}

/// Why the form cannot be read.
fn unreadable(error: MultipartError) -> Problem {
    if let MultipartError::Payload(PayloadError::Overflow) = &error {
        return Problem::new(Code::InvalidForm, "a header of a part of the form is too long");
    }
    if let MultipartError::Payload(error) = &error {
        return extract::broken_body(error);
    }
    if matches!(error, MultipartError::ContentTypeIncompatible | MultipartError::ContentTypeMissing) {
        let detail =
            "expected `Content-Type: multipart/form-data` with the fields `user`, `token` and a file";
        return Problem::new(Code::UnsupportedMediaType, detail);
    }
    Problem::new(Code::InvalidForm, format!("the form cannot be read: {error}"))
}

/// The word for the action log, where the refusal is about the file.
pub(super) fn reason(code: Code) -> Option<crate::telemetry::RefusalReason> {
    use crate::telemetry::RefusalReason;
    if matches!(code, Code::UnsupportedAudio) {
        Some(RefusalReason::UnsupportedFormat)
    } else if matches!(code, Code::DamagedAudio) {
        Some(RefusalReason::Damaged)
    } else if matches!(code, Code::RecordingTooLarge) {
        Some(RefusalReason::TooLarge)
    } else if matches!(code, Code::IncompleteBody | Code::RequestTimeout) {
        Some(RefusalReason::Incomplete)
    } else if matches!(code, Code::Unauthenticated | Code::InvalidToken | Code::OtherUser) {
        Some(RefusalReason::AccessDenied)
    } else {
        None
    }
}
