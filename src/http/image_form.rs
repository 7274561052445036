//! Images on their way in: a multipart form with one or several files, one file as the whole body, or one in JSON.
//!
//! Called by `image_upload`. True here:
//! - A file lies on the disk while it comes, and memory holds a piece of it. What has to be in memory whole, to decode the
//!   text of JSON or to read a file's headers, is so within [`Desk`], one bound for all callers together; so a hundred
//!   large uploads at once cost what a few do.
//! - What begins as no image, or says that it is too long, is refused before the rest of it comes; what comes in whole had
//!   its headers read.
//! - A draft that is not kept is gone when this is left, by whatever way.

use std::borrow::Cow;

use actix_multipart::{Field, Multipart};
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::base64_text::{self, NotBase64};
use super::catalogue::Code;
use super::extract::{self, Pace};
use super::form_proof::FormProof;
use super::image_desk::Desk;
use super::spool::{appended, blocking, not_written, whole};
use super::upload::{Refusal, Unproven, given_name, text_field, unreadable};
use super::{Problem, State, filename, json};
use crate::account::Caller;
use crate::blob::Draft;
use crate::kinds::image;
use crate::media::image::{Format, Header};
use crate::task::UserId;
use crate::telemetry::Action;
use crate::telemetry::space::Promise;

/// As much as is gathered before the disk is asked to take it.
const BUFFER: usize = 256 * 1024;

/// The first bytes, by which it is told what a file is.
const HEAD: usize = 512;

/// As much as a form takes besides its files: two short fields, and the headers of the parts.
const FORM_BYTES: u64 = 64 * 1024;

/// The fields of a form that are text.
const TEXTS: [&str; 2] = ["user", "token"];
/// The fields that are files, also where the client gives no name.
const FILES: [&str; 4] = ["file", "files", "image", "images"];
/// The fields of JSON; one of the first three is the file.
const JSON: [&str; 4] = ["image", "file", "data", "filename"];

/// A file that came in whole, and what its headers say.
pub(super) struct Sent {
    /// The bytes, not kept yet.
    pub(super) draft: Draft,
    /// What it was called; harmless.
    pub(super) filename: String,
    /// What it is.
    pub(super) header: Header,
}

/// What came in.
pub(super) struct Uploads {
    /// Whose it is; `None` is nobody's.
    pub(super) owner: Option<UserId>,
    /// At least one.
    pub(super) files: Vec<Sent>,
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Multipart,
    Json,
    Raw,
}

/// What has come so far.
pub(super) struct Reading<'a> {
    pub(super) state: &'a State,
    pub(super) request: &'a HttpRequest,
    desk: &'a Desk,
    unproven: &'a Unproven,
    proof: FormProof,
    /// Held while files come and callers must prove to be somebody.
    place: Option<OwnedSemaphorePermit>,
    pace: Pace,
    files: Vec<Sent>,
    /// Their room on the disk.
    room: Promise,
    /// The file that comes.
    seen: Option<String>,
}

/// Reads the body. `who` is who the head proves to be calling, and whom it only names.
pub(super) async fn read(
    state: &State,
    (desk, unproven): (&Desk, &Unproven),
    request: &HttpRequest,
    body: Payload,
    who: (Caller, Option<UserId>),
) -> Result<Uploads, Refusal> {
    let pace = Pace::new(state.http.request_timeout);
    let proof = FormProof::new(who);
    let (place, files, seen) = (None, Vec::new(), None);
    // Nothing is promised until the head was read.
    let room = Promise::default();
    let mut reading = Reading { state, request, desk, unproven, proof, place, pace, files, room, seen };
    let read = reading.body(body).await;
    let filename = reading.seen.take();
    read.map_err(|problem| Refusal { problem, filename })
}

/// Dropped with a file in it, it was dropped in the middle: the caller hung up, and nobody else would write it down.
impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(filename) = self.seen.take() {
            let reason = crate::telemetry::RefusalReason::Incomplete;
            self.state.actions.record(&Action::FileRefused { filename, reason });
        }
    }
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let found = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let essence = found.as_deref().and_then(|found| found.split(';').next()).unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        match essence.as_str() {
            "multipart/form-data" => Ok(Self::Multipart),
            "application/json" => Ok(Self::Json),
            // What says nothing of itself is told by its bytes, as all the others are.
            "" | "application/octet-stream" => Ok(Self::Raw),
            image if image.starts_with("image/") => Ok(Self::Raw),
            other => {
                let other: String = other.chars().take(64).collect();
                let detail = format!(
                    "expected `Content-Type: multipart/form-data`, `image/...`, `application/octet-stream` or \
                     `application/json`, got `{other}`"
                );
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }
}

impl Reading<'_> {
    async fn body(&mut self, body: Payload) -> Result<Uploads, Problem> {
        let headers = self.request.headers();
        extract::check_coding(headers)?;
        let form = Form::of(headers)?;
        let (most, files) = (self.state.images.max_bytes.bytes(), self.state.images.max_files as u64);
        let longest = match form {
            Form::Multipart => most.saturating_mul(files).saturating_add(FORM_BYTES),
            Form::Json => base64_text::longest(most),
            Form::Raw => most,
        };
        if extract::declared_length(headers).is_some_and(|length| length > longest) {
            return Err(self.too_large());
        }
        let length = extract::declared_length(headers);
        self.room = self.state.intake.expect_file(Some(image::kind()), length)?;
        match form {
            Form::Multipart => self.form(Multipart::new(headers, body)).await?,
            Form::Json => self.json(body, longest).await?,
            Form::Raw => self.raw(body).await?,
        }
        self.admit().await?;
        let owner = self.proof.whole(self.state).await?;
        Ok(Uploads { owner, files: std::mem::take(&mut self.files) })
    }

    /// Refuses whoever has to be somebody and is not, once all has come.
    async fn admit(&mut self) -> Result<(), Problem> {
        if self.state.auth.anonymous || self.proof.whole(self.state).await?.is_some() {
            return Ok(());
        }
        let detail = "callers without an identity may not send images here: send `Authorization: Bearer <token>`, or \
                      the fields `user` and `token`";
        Err(Problem::new(Code::Unauthenticated, detail))
    }

    async fn form(&mut self, mut form: Multipart) -> Result<(), Problem> {
        while let Some(field) = self.pace.wait(form.next()).await? {
            let mut field = field.map_err(unreadable)?;
            let name = field.name().unwrap_or_default().to_owned();
            match (name.as_str(), given_name(&field)) {
                ("user", None) => {
                    let text = text_field(&mut self.pace, &mut field, "user").await?;
                    self.proof.take_user(self.state, &text).await?;
                }
                ("token", None) => {
                    let text = text_field(&mut self.pace, &mut field, "token").await?;
                    self.proof.take_token(self.state, text).await?;
                }
                (_, Some(given)) => self.part(field, &given).await?,
                (file, None) if FILES.contains(&file) => self.part(field, "").await?,
                (other, None) => {
                    let other: String = other.chars().take(64).collect();
                    return Err(Problem::of_field(Code::InvalidForm, &other, "there is no such field")
                        .allowing(TEXTS.into_iter().chain(FILES)));
                }
            }
        }
        if self.files.is_empty() {
            return Err(Problem::of_field(Code::InvalidForm, "file", "the form holds no file"));
        }
        Ok(())
    }

    async fn part(&mut self, field: Field, given: &str) -> Result<(), Problem> {
        let most = self.state.images.max_files;
        if self.files.len() >= most {
            let detail =
                format!("the form holds more than {most} files: send the others in a form of their own");
            return Err(Problem::new(Code::InvalidForm, detail));
        }
        self.begin(given).await?;
        // Fused: a short file ends while its head is read, and a field may not be asked after its end.
        let mut pieces = field.map(|piece| piece.map_err(unreadable)).fuse();
        let draft = self.file(&mut pieces).await?;
        self.end(draft).await
    }

    async fn raw(&mut self, body: Payload) -> Result<(), Problem> {
        self.admit().await?;
        self.begin(&name_of(self.request)).await?;
        let mut pieces = body.map(|piece| piece.map_err(|error| extract::broken_body(&error))).fuse();
        let draft = self.file(&mut pieces).await?;
        self.end(draft).await
    }

    async fn json(&mut self, body: Payload, longest: u64) -> Result<(), Problem> {
        self.admit().await?;
        self.begin(&name_of(self.request)).await?;
        let mut pieces = body.map(|piece| piece.map_err(|error| extract::broken_body(&error))).fuse();
        let text = self.pieces(&mut pieces, Bytes::new(), longest).await?;
        // The text, and at most as much again where it holds escapes.
        let share = self.desk.take(text.len().saturating_mul(2)).await?;
        let (blobs, most) = (self.state.blobs.clone(), self.state.images.max_bytes.bytes());
        let (draft, given) = blocking(move || {
            let _share = share;
            let text = whole(&text)?;
            let mut draft = blobs.draft()?;
            let given = decode(&text, most, &mut draft)?;
            Ok::<_, Problem>((draft, given))
        })
        .await??;
        if let Some(name) = given.as_deref().and_then(filename::kept) {
            self.seen = Some(name);
        }
        self.end(draft).await
    }

    /// A file begins: whoever sends it may, and has some of their allowance left.
    async fn begin(&mut self, given: &str) -> Result<(), Problem> {
        self.seen = Some(filename::kept(given).unwrap_or_default());
        let proven = self.proof.so_far(self.state).await?;
        if proven.is_none() && !self.state.auth.anonymous && self.place.is_none() {
            self.place = Some(self.unproven.place()?);
        }
        super::image_limits::spend(self.state, self.request, proven, 1).await
    }

    /// The bytes of a file, on the disk.
    async fn file<S>(&mut self, pieces: &mut S) -> Result<Draft, Problem>
    where
        S: Stream<Item = Result<Bytes, Problem>> + Unpin,
    {
        let mut head = BytesMut::new();
        while head.len() < HEAD {
            let Some(piece) = self.next(pieces).await? else { break };
            head.extend_from_slice(&piece);
        }
        let taken = Format::sniff(&head).is_some_and(|format| self.state.images.formats.has(format));
        if !taken {
            // No more of it is needed to say what it is.
            head.truncate(BUFFER);
            self.look_at(head.freeze()).await?;
            return Err(Problem::internal("bytes that begin as no image were taken for one"));
        }
        self.pieces(pieces, head.freeze(), self.state.images.max_bytes.bytes()).await
    }

    /// All that comes, after what came.
    async fn pieces<S>(&mut self, pieces: &mut S, head: Bytes, most: u64) -> Result<Draft, Problem>
    where
        S: Stream<Item = Result<Bytes, Problem>> + Unpin,
    {
        let blobs = self.state.blobs.clone();
        let mut draft = blocking(move || blobs.draft()).await??;
        let mut buffer = BytesMut::from(&*head);
        loop {
            if draft.len() + buffer.len() as u64 > most {
                return Err(self.too_large());
            }
            let Some(piece) = self.next(pieces).await? else { break };
            buffer.extend_from_slice(&piece);
            if buffer.len() >= BUFFER {
                self.state.intake.wrote(&mut self.room, buffer.len() as u64)?;
                draft = appended(draft, buffer.split().freeze()).await?;
            }
        }
        appended(draft, buffer.freeze()).await
    }

    async fn next<S>(&mut self, pieces: &mut S) -> Result<Option<Bytes>, Problem>
    where
        S: Stream<Item = Result<Bytes, Problem>> + Unpin,
    {
        let piece = self.pace.wait(pieces.next()).await?.transpose()?;
        self.pace.came(piece.as_ref().map_or(0, Bytes::len));
        Ok(piece)
    }

    /// A file has come whole: its headers are read before anything is accepted, and before the rest of the form is
    /// awaited.
    async fn end(&mut self, draft: Draft) -> Result<(), Problem> {
        let share = self.desk.take(draft.len()).await?;
        let (draft, bytes) = blocking(move || whole(&draft).map(|bytes| (draft, bytes))).await??;
        let header = self.look_at(Bytes::from(bytes)).await?;
        drop(share);
        let named = self.seen.take().filter(|name| !name.is_empty());
        let filename = named.unwrap_or_else(|| format!("image.{}", header.format.extension()));
        self.files.push(Sent { draft, filename, header });
        Ok(())
    }

    async fn look_at(&self, bytes: Bytes) -> Result<Header, Problem> {
        let looked = self.state.imaging.inspect_upload(bytes).await;
        looked.map_err(|error| self.about_the_file(error.into()))
    }

    /// The problem with the name of the file that it is about, since there may be others.
    fn about_the_file(&self, problem: Problem) -> Problem {
        match self.seen.as_deref() {
            Some(name) if !name.is_empty() => {
                Problem::new(problem.code(), format!("`{name}`: {}", problem.detail()))
            }
            Some(_) | None => problem,
        }
    }

    fn too_large(&self) -> Problem {
        let detail = format!("the file is larger than {}", self.state.images.max_bytes);
        self.about_the_file(Problem::new(Code::ImageTooLarge, detail))
    }
}

/// Decodes the file in the JSON `text` into `draft`; gives the name that stands beside it.
fn decode(text: &[u8], most: u64, draft: &mut Draft) -> Result<Option<String>, Problem> {
    let mut form = json::object(text, &JSON)?;
    let given = form.text("filename");
    let files: Vec<&str> = JSON.into_iter().take(3).filter(|name| form.raw(name).is_some()).collect();
    let file = match files.as_slice() {
        [field] => form.borrowed(field).map(|text| (*field, text)),
        [] => {
            form.fault("image", "the field is missing: the file as base64, plain or as a data URL");
            None
        }
        [_, second, ..] => {
            form.fault(second, "the body holds two files: send one at a time, or a multipart form");
            None
        }
    };
    let Some((field, data)) = file else { return Err(refused(form)) };
    match base64_text::decode(&data, most, draft) {
        Ok(_) => {}
        Err(NotBase64::TooLong(_)) => {
            return Err(Problem::new(Code::ImageTooLarge, format!("the file is larger than {most} bytes")));
        }
        Err(NotBase64::Write(error)) => return Err(not_written(error).into()),
        Err(error) => form.fault(field, format!("expected base64: {error}")),
    }
    json::refuse(form.faults())?;
    Ok(given)
}

fn refused(form: json::Form<'_>) -> Problem {
    match json::refuse(form.faults()) {
        Err(problem) => problem,
        Ok(()) => Problem::internal("a form without a file had no fault"),
    }
}

/// What the file that is the whole body is called: `filename` of the query, `X-Filename` (which may be percent-encoded,
/// since a header holds no other letters), or `Content-Disposition`.
fn name_of(request: &HttpRequest) -> String {
    let query = request.query_string().as_bytes();
    if let Some((_, name)) = url::form_urlencoded::parse(query).find(|(key, _)| key == "filename") {
        return name.into_owned();
    }
    let headers = request.headers();
    if let Some(name) = headers.get(HeaderName::from_static("x-filename")) {
        let name = percent_encoding::percent_decode(name.as_bytes()).decode_utf8_lossy();
        return Cow::into_owned(name);
    }
    headers.get(header::CONTENT_DISPOSITION).and_then(filename::said).unwrap_or_default()
}
