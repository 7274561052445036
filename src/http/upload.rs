//! A recording on its way in: the multipart form, read piece by piece into a draft on the disk.
//!
//! Called by `records`. True here: memory holds one buffer, however long the file; the disk is written by a blocking
//! thread; a draft that is not kept is gone when this is left, by whatever way; the fields come in any order, but who has
//! not proven to be a user may put no more than a little on the disk.

use std::io;
use std::sync::Arc;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::catalogue::Code;
use super::extract::Pace;
use super::form_proof::{FormProof, MAX_TEXT};
use super::spool::blocking;
use super::{Problem, State, auth, extract, filename};
use crate::account::Caller;
use crate::blob::Draft;
use crate::config::ByteSize;
use crate::kinds::transcode;
use crate::media::wav::{WavErrorClass, WavReader};
use crate::task::UserId;
use crate::telemetry::space::Promise;
use crate::telemetry::{Action, RefusalReason};

/// As much as is gathered before the disk is asked to take it.
const BUFFER: usize = 256 * 1024;

/// What an upload is called when it does not say.
const NAMELESS: &str = "recording.wav";

/// As much as the form takes besides its file: two short fields and the headers of the parts.
const FORM_BYTES: u64 = 64 * 1024;

/// As much of a file as is taken before its user is proven: the fields may come in any order, but a disk is not for
/// strangers to fill.
const UNPROVEN_BYTES: u64 = 16 << 20;

/// Files that may come at the same time whose user is not proven yet.
const UNPROVEN_AT_ONCE: usize = 8;

/// The places for files whose user is not proven yet; one for the whole server.
#[derive(Debug, Clone)]
pub(super) struct Unproven(Arc<Semaphore>);

impl Unproven {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(UNPROVEN_AT_ONCE)))
    }

    /// A place, or why there is none.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            let detail = format!(
                "{UNPROVEN_AT_ONCE} uploads come already whose user is not proven: send `user` and `token` before the \
                 file, or `Authorization: Bearer`, or try again in a moment"
            );
            Problem::new(Code::Overloaded, detail)
        })
    }
}

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
    unproven: &'a Unproven,
    proof: FormProof,
    /// Held while there is a file and no proof.
    place: Option<OwnedSemaphorePermit>,
    pace: Pace,
    file: Option<(Draft, String)>,
    /// Its room on the disk.
    room: Promise,
    seen: Option<String>,
}

/// Reads the form. `caller` is who the header or the query proves to be calling, and whom the query only names.
pub(super) async fn read(
    state: &State,
    unproven: &Unproven,
    request: &HttpRequest,
    body: Payload,
    who: (Caller, Option<UserId>),
) -> Result<Upload, Refusal> {
    let refused = |problem| Refusal { problem, filename: None };
    check_head(state, request, who.1).map_err(refused)?;
    let length = extract::declared_length(request.headers());
    let room = state.intake.expect_file(Some(transcode::kind()), length);
    let room = room.map_err(|error| refused(error.into()))?;
    let pace = Pace::new(state.http.request_timeout);
    let mut reading = Reading {
        state,
        unproven,
        proof: FormProof::new(who),
        place: None,
        pace,
        file: None,
        room,
        seen: None,
    };
    let read = reading.form(Multipart::new(request.headers(), body)).await;
    let seen = reading.seen.take();
    match read {
        Ok((owner, draft, filename)) => Ok(Upload { owner, draft, filename }),
        Err(problem) => Err(Refusal { problem, filename: seen }),
    }
}

/// Dropped with a file in it, it was dropped in the middle: the caller hung up, and nobody else would write it down.
impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(filename) = self.seen.take() {
            let reason = RefusalReason::Incomplete;
            self.state.actions.record(&Action::FileRefused { filename, reason });
        }
    }
}

/// What can be told before a byte of the body comes.
fn check_head(state: &State, request: &HttpRequest, named: Option<UserId>) -> Result<(), Problem> {
    let headers = request.headers();
    extract::check_coding(headers)?;
    let found = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let essence = found.as_deref().and_then(|found| found.split(';').next()).unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(match named {
            // What is no form holds no proof either.
            Some(named) => auth::unproven(named, ""),
            None => no_form(),
        });
    }
    let most = state.records.max_bytes;
    if extract::declared_length(headers)
        .is_some_and(|length| length > most.bytes().saturating_add(FORM_BYTES))
    {
        return Err(too_large(most));
    }
    Ok(())
}

fn no_form() -> Problem {
    let detail = "expected `Content-Type: multipart/form-data` with the fields `user`, `token` and a file";
    Problem::new(Code::UnsupportedMediaType, detail)
}

fn too_large(most: ByteSize) -> Problem {
    Problem::new(Code::RecordingTooLarge, format!("the recording is larger than {most}"))
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
        let Some(owner) = self.proof.whole(self.state).await? else {
            let detail =
                "a recording needs a user: send the fields `user` and `token`, or `Authorization: Bearer`";
            return Err(Problem::new(Code::Unauthenticated, detail));
        };
        match self.file.take() {
            Some((draft, filename)) => Ok((owner, draft, filename)),
            None => Err(Problem::of_field(Code::InvalidForm, "file", "the form holds no file")),
        }
    }

    async fn take_user(&mut self, field: &mut Field) -> Result<(), Problem> {
        let text = self.text(field, "user").await?;
        self.proof.take_user(self.state, &text).await?;
        self.make_way().await
    }

    async fn take_token(&mut self, field: &mut Field) -> Result<(), Problem> {
        let text = self.text(field, "token").await?;
        self.proof.take_token(self.state, text).await?;
        self.make_way().await
    }

    /// Gives the place back once there is a proof.
    async fn make_way(&mut self) -> Result<(), Problem> {
        if self.place.is_some() && self.proof.so_far(self.state).await?.is_some() {
            self.place = None;
        }
        Ok(())
    }

    async fn next_chunk(&mut self, field: &mut Field) -> Result<Option<Bytes>, Problem> {
        let chunk = self.pace.wait(field.next()).await?.transpose().map_err(unreadable)?;
        self.pace.came(chunk.as_ref().map_or(0, Bytes::len));
        Ok(chunk)
    }

    async fn text(&mut self, field: &mut Field, name: &str) -> Result<String, Problem> {
        text_field(&mut self.pace, field, name).await
    }

    async fn take_file(&mut self, field: &mut Field, name: &str, given: &str) -> Result<(), Problem> {
        if self.file.is_some() {
            return Err(Problem::of_field(
                Code::InvalidForm,
                name,
                "the form holds two files: send one at a time",
            ));
        }
        let filename = filename::kept(given).unwrap_or_else(|| NAMELESS.to_owned());
        self.seen = Some(filename.clone());
        let proven = self.proof.so_far(self.state).await?.is_some();
        if !proven {
            self.place = Some(self.unproven.place()?);
        }
        let blobs = self.state.blobs.clone();
        let mut draft = blocking(move || blobs.draft()).await??;
        let most = self.state.records.max_bytes;
        let mut buffer = BytesMut::with_capacity(BUFFER);
        loop {
            let Some(chunk) = self.next_chunk(field).await? else { break };
            let length = draft.len() + (buffer.len() + chunk.len()) as u64;
            if length > most.bytes() {
                return Err(too_large(most));
            }
            if !proven && length > UNPROVEN_BYTES {
                let detail = "a file of more than 16 MiB needs a proof of its user before it: send `user` and `token` \
                              before the file, or `Authorization: Bearer`";
                return Err(Problem::new(Code::Unauthenticated, detail));
            }
            buffer.extend_from_slice(&chunk);
            if buffer.len() >= BUFFER {
                self.state.intake.wrote(&mut self.room, buffer.len() as u64)?;
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
    let (written, draft) = blocking(move || {
        if draft.is_empty()
            && let Err(error) = WavReader::open(io::Cursor::new(&bytes))
            && error.class() == WavErrorClass::UnsupportedType
            && !bytes.is_empty()
        {
            return Err(error);
        }
        Ok((draft.append(&bytes), draft))
    })
    .await??;
    written?;
    Ok(draft)
}

/// A short field of a form.
pub(super) async fn text_field(pace: &mut Pace, field: &mut Field, name: &str) -> Result<String, Problem> {
    let mut text = BytesMut::new();
    while let Some(chunk) = pace.wait(field.next()).await?.transpose().map_err(unreadable)? {
        pace.came(chunk.len());
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

/// The name that the client gives the file, in the extended form where there is one.
pub(super) fn given_name(field: &Field) -> Option<String> {
    filename::said_in(field.content_disposition()?)
}

/// Why the form cannot be read.
pub(super) fn unreadable(error: MultipartError) -> Problem {
    if let MultipartError::Payload(PayloadError::Overflow) = &error {
        return Problem::new(Code::InvalidForm, "a header of a part of the form is too long");
    }
    if let MultipartError::Payload(error) = &error {
        return extract::broken_body(error);
    }
    if matches!(error, MultipartError::ContentTypeIncompatible | MultipartError::ContentTypeMissing) {
        return no_form();
    }
    Problem::new(Code::InvalidForm, format!("the form cannot be read: {error}"))
}

/// The word for the action log, where the refusal is about the file.
pub(super) fn reason(code: Code) -> Option<RefusalReason> {
    if matches!(code, Code::UnsupportedAudio | Code::UnsupportedImage) {
        Some(RefusalReason::UnsupportedFormat)
    } else if matches!(code, Code::DamagedAudio | Code::DamagedImage) {
        Some(RefusalReason::Damaged)
    } else if matches!(code, Code::RecordingTooLarge | Code::ImageTooLarge) {
        Some(RefusalReason::TooLarge)
    } else if matches!(code, Code::RateLimited) {
        Some(RefusalReason::TooMany)
    } else if matches!(code, Code::QuotaExceeded) {
        Some(RefusalReason::OverQuota)
    } else if matches!(code, Code::IncompleteBody | Code::RequestTimeout) {
        Some(RefusalReason::Incomplete)
    } else if matches!(code, Code::Unauthenticated | Code::InvalidToken | Code::OtherUser) {
        Some(RefusalReason::AccessDenied)
    } else {
        None
    }
}
