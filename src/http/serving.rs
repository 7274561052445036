//! `GET /images/{name}`: an image by its link, as it was stored or made smaller.
//!
//! The link opens it: nothing here asks who is calling. True here: bytes are given out only where their length and
//! digest are those that were stored (of the largest, the last ones; of a part of those, only the length is known); what a browser gets cannot run anything, whatever the
//! bytes are; a name that is none is told apart without the disk or the database; an error is kept by no cache.

use std::io::Read;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use sha2::{Digest, Sha256};

use super::catalogue::Code;
use super::extract::Query;
use super::file::{self, FileSchema, Part, Slices, Unread};
use super::filename::{self, Shown};
use super::hot::{Found, Head, Key, Ready};
use super::images::NameParam;
use super::spool::blocking;
use super::task_view::TaskView;
use super::tasks::{json_answer, location};
use super::{Problem, State, extract};
use crate::account::Caller;
use crate::blob::Blobs;
use crate::imaging::{ImagingError, Variant};
use crate::media::image::{Encoding, Fit, ImageError, Spec};
use crate::store::Image;
use crate::task::{BlobName, ImageName, Status, Task};

const PARAMS: &[&str] = &["w", "h", "fit", "format"];

/// The largest file that is read whole, and so can be compared with its digest before a byte of it is sent, and kept in
/// memory.
const WHOLE: u64 = 1 << 20;

/// The bytes under a name never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The parameters of a variant.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `Wish` reads")]
struct VariantParams {
    /// The width of the box into which the image is fitted, in pixels: one of `images.sizes`. An image never becomes larger
    /// than it is.
    #[param(example = 320)]
    w: Option<u32>,
    /// Its height, likewise.
    h: Option<u32>,
    /// `contain` (as without it) for all of the image, `cover` to fill the box and cut off what stands out. Only with a size.
    #[param(pattern = "^(contain|cover)$")]
    fit: Option<String>,
    /// `jpeg` or `png`; without it, what suits the image.
    #[param(pattern = "^(jpe?g|png)$")]
    format: Option<String>,
}

/// Fetches an image, or a variant of it that is made once and kept. An animation keeps its bytes; its variants are still.
#[utoipa::path(
    get, path = "/images/{name}", operation_id = "fetchImage", tag = "Images", params(NameParam, VariantParams,
        ("if-match" = Option<String>, Header, description = "The ETag that the file must have"),
        ("range" = Option<String>, Header, description = "One range of bytes", example = "bytes=0-1023"),
        ("if-none-match" = Option<String>, Header, description = "The ETag that the client has"),
        ("if-range" = Option<String>, Header, description = "The ETag of which the client has a part")),
    responses(
        (status = 200, description = "The image.", content((FileSchema = "image/jpeg"), (FileSchema = "image/png"),
                (FileSchema = "image/gif"), (FileSchema = "image/webp"), (FileSchema = "image/avif")),
            headers(("etag" = String), ("accept-ranges" = String), ("content-disposition" = String),
                ("cache-control" = String))),
        (status = 202, description = "It is not ready yet: the task.", body = TaskView<'_>,
            headers(("retry-after" = u64), ("location" = String))),
        (status = 206, description = "A part of the image.", content((FileSchema = "image/jpeg"), (FileSchema = "image/png"),
                (FileSchema = "image/gif"), (FileSchema = "image/webp"), (FileSchema = "image/avif")),
            headers(("content-range" = String))),
        (status = 304, description = "The client has it."),
    ),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let wish = Wish::of(&state, &request)?;
    match state.hot.get(&wish.key) {
        Found::Here(file) => return answer(&request, &file),
        Found::Unsure(file) => match is_there(&state, &wish.name).await {
            Ok(true) => return answer(&request, &file),
            Ok(false) => {
                state.hot.forget(&wish.key);
                return Err(none(&wish.name));
            }
            Err(problem) => {
                state.hot.forget(&wish.key);
                return Err(problem);
            }
        },
        Found::Nothing => {}
    }
    let image = state.store.image(&wish.name).await?.ok_or_else(|| none(&wish.name))?;
    let Some(blob) = image.blob.clone() else { return not_ready(&state, image).await };
    let read = match wish.variant {
        Some(variant) => smaller(&state, &request, &wish, &image, &blob, variant).await,
        None => original(&state, &request, &wish, &image, &blob).await,
    };
    match read {
        Ok(answer) => Ok(answer),
        Err(Unread::Damaged(how)) => Err(damaged(&image, &blob, &how)),
        // The sweep takes what no row names: so it is either deleted since we looked, or lost.
        Err(Unread::Missing) if is_there(&state, &wish.name).await? => {
            Err(damaged(&image, &blob, "there is no such file"))
        }
        Err(Unread::Missing) => Err(none(&wish.name)),
        Err(Unread::Problem(problem)) => Err(problem),
    }
}

/// The answer of [`get`] where that takes neither waiting nor a word in the log.
pub(super) fn at_once(state: &State, request: &HttpRequest) -> Option<HttpResponse> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return None;
    }
    let name = request.match_info().get("name")?;
    let variant = if request.query_string().is_empty() { None } else { variant(state, request).ok()? };
    let file = state.hot.fresh(&Key::new(name, variant)?)?;
    answer(request, &file).ok()
}

/// What is asked for.
struct Wish {
    name: ImageName,
    variant: Option<Spec>,
    key: Key,
}

impl Wish {
    fn of(state: &State, request: &HttpRequest) -> Result<Self, Problem> {
        let name = request.match_info().get("name").unwrap_or_default();
        let missing = || {
            let name: String = name.chars().take(40).collect();
            Problem::new(Code::ImageNotFound, format!("there is no image `{name}`"))
        };
        let parsed: ImageName = name.parse().map_err(|_| missing())?;
        let variant = variant(state, request)?;
        let key = Key::new(name, variant).ok_or_else(missing)?;
        Ok(Self { name: parsed, variant, key })
    }
}

/// The variant that the query asks for, which must be one of those that are allowed.
fn variant(state: &State, request: &HttpRequest) -> Result<Option<Spec>, Problem> {
    let mut query = Query::of(request, PARAMS);
    let sides = ["w", "h"].map(|name| (name, query.text(name).map(str::to_owned)));
    let fit = query.parsed("fit", str::parse::<Fit>);
    let format = query.parsed("format", str::parse::<Encoding>);
    query.finish()?;
    let sizes = &state.images.sizes;
    let side = |(name, text): &(&str, Option<String>)| -> Result<Option<u32>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let side = text.parse().ok().filter(|side| digits && sizes.contains(side));
        side.map(Some).ok_or_else(|| {
            let text: String = text.chars().take(20).collect();
            of_size(
                state,
                name,
                format!("no image is made `{text}` pixels wide or high here; `allowed` has the sizes"),
            )
        })
    };
    let (width, height) = (side(&sides[0])?, side(&sides[1])?);
    if width.is_none() && height.is_none() {
        if fit.is_none() && format.is_none() {
            return Ok(None);
        }
        return Err(of_size(state, "w", "`fit` and `format` need a size: give `w`, `h` or both".to_owned()));
    }
    Ok(Some(Spec { width, height, fit: fit.unwrap_or_default(), format }))
}

fn of_size(state: &State, name: &str, problem: String) -> Problem {
    let sizes: Vec<String> = state.images.sizes.iter().map(u32::to_string).collect();
    Problem::of_field(Code::InvalidParameter, name, problem).allowing(sizes.iter().map(String::as_str))
}

fn none(name: &ImageName) -> Problem {
    Problem::new(Code::ImageNotFound, format!("there is no image `{name}`"))
}

/// Whether the image is there and ready.
async fn is_there(state: &State, name: &ImageName) -> Result<bool, Problem> {
    Ok(state.store.image(name).await?.is_some_and(|image| image.blob.is_some()))
}

/// There is a row, and no bytes that could be sent.
async fn not_ready(state: &State, image: Image) -> Result<HttpResponse, Problem> {
    let Some(task) = state.store.task(image.task).await? else { return Err(none(&image.name)) };
    unready(&task, Caller::Anonymous)
}

/// The answer of whoever asks for the image of a task that has none yet, or will have none.
pub(super) fn unready(task: &Task, caller: Caller) -> Result<HttpResponse, Problem> {
    match task.life.status() {
        Status::Failed | Status::Cancelled => Err(refused(task)),
        // Completed since the other row was read: next time it is there.
        Status::New | Status::InProgress | Status::Completed => {
            let mut answer = HttpResponse::Accepted();
            answer.insert_header((header::RETRY_AFTER, 1));
            answer.insert_header((header::CACHE_CONTROL, "no-store"));
            answer.insert_header((header::LOCATION, location(task.life.id)));
            file::harmless(&mut answer);
            Ok(json_answer(answer, TaskView::json(task, caller)))
        }
    }
}

fn refused(task: &Task) -> Problem {
    let id = task.life.id;
    let detail = match &task.life.error {
        Some(failure) => {
            format!("the image was not taken (task {id}): {} ({})", failure.message, failure.reason.as_str())
        }
        None => format!(
            "the image was not taken: its task {id} was cancelled; retry the task, or send the image again"
        ),
    };
    Problem::new(Code::ImageFailed, detail).about(id)
}

/// The bytes as they were stored.
async fn original(
    state: &State,
    request: &HttpRequest,
    wish: &Wish,
    image: &Image,
    blob: &BlobName,
) -> Result<HttpResponse, Unread> {
    let head = head(format!("\"{blob}\""), image, image.facts.format)?;
    let room = if image.bytes <= WHOLE { state.hot.room(image.bytes) } else { None };
    if let Some(room) = room {
        let (blobs, name, bytes) = (state.blobs.clone(), blob.clone(), image.bytes);
        let whole = blocking(move || whole(&blobs, &name, bytes)).await??;
        let file = room.filled(head, Bytes::from(whole));
        keep(state, wish, image, &file).await?;
        return Ok(answer(request, &file)?);
    }
    let part = file::wanted(request.headers(), etag(&head), image.bytes)?;
    let mut answer = begun(&head, part, image.bytes);
    if part == Part::None {
        return Ok(answer.finish());
    }
    let (first, length) = part.of(image.bytes);
    let file = file::open(&state.blobs, blob, image.bytes, first).await?;
    let sent = if request.method() == Method::HEAD { 0 } else { length };
    Ok(match part {
        Part::All => answer.body(file::checked_body(file, length, sent, blob.clone())),
        Part::None | Part::Range { .. } => answer.body(file::body(file, length, sent)),
    })
}

/// A variant of it.
async fn smaller(
    state: &State,
    request: &HttpRequest,
    wish: &Wish,
    image: &Image,
    blob: &BlobName,
    spec: Spec,
) -> Result<HttpResponse, Unread> {
    let (blobs, name, bytes) = (state.blobs.clone(), blob.clone(), image.bytes);
    let made = state.imaging.variant(blob, &spec, move || whole(&blobs, &name, bytes)).await;
    let variant: Variant = made.map_err(unmade)?;
    let head = head(variant.etag(), image, variant.format)?;
    let Some(room) = state.hot.room(variant.bytes.len() as u64) else {
        let detail = "too many images are on their way to clients already: try again in a moment";
        return Err(Problem::new(Code::Overloaded, detail).into());
    };
    let file = room.filled(head, variant.bytes);
    keep(state, wish, image, &file).await?;
    Ok(answer(request, &file)?)
}

/// Why there is no variant.
fn unmade(error: ImagingError) -> Unread {
    match error {
        ImagingError::Overloaded => Problem::new(Code::Overloaded, error.to_string()).into(),
        ImagingError::Stopping => Problem::new(Code::Interrupted, error.to_string()).into(),
        ImagingError::Source(source) => match source.downcast_ref::<Unread>() {
            Some(unread) => unread.clone(),
            None => Problem::internal(format!("an image cannot be read: {source}")).into(),
        },
        // It was decoded to its end when it came, so it is another one now.
        ImagingError::Image(
            error @ (ImageError::Unsupported { .. } | ImageError::TooLarge { .. } | ImageError::Damaged(_)),
        ) => Unread::Damaged(format!("no variant can be made of it: {error}")),
        ImagingError::Image(error @ ImageError::Unavailable(_)) => Problem::from(error).into(),
        ImagingError::Image(ImageError::Cancelled) => {
            Problem::new(Code::Interrupted, "the work on the image was stopped: try again").into()
        }
    }
}

/// All bytes of a blob, which are what its name says.
fn whole(blobs: &Blobs, name: &BlobName, length: u64) -> Result<Vec<u8>, Unread> {
    let mut file = blobs.read(name)?;
    if file.len() != length {
        return Err(Unread::Damaged(format!("it has {}", extract::bytes(file.len()))));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.read_to_end(&mut bytes)
        .map_err(|error| Problem::internal(format!("the blob {name} cannot be read: {error}")))?;
    if BlobName::of_digest(&Sha256::digest(&bytes).into()) != *name {
        return Err(Unread::Damaged("its bytes are others".to_owned()));
    }
    Ok(bytes)
}

/// Keeps a file in memory, unless its image has been deleted since.
async fn keep(state: &State, wish: &Wish, image: &Image, file: &Arc<Ready>) -> Result<(), Problem> {
    if file.bytes.len() as u64 > WHOLE {
        return Ok(());
    }
    let watch = state.intake.watch(image.task);
    // A deletion before the watch began is seen here, and one after it by the watch.
    if is_there(state, &wish.name).await? {
        state.hot.keep(wish.key, file, watch);
    }
    Ok(())
}

fn head(etag: String, image: &Image, format: crate::media::image::Format) -> Result<Head, Problem> {
    let header = |text: String| {
        HeaderValue::try_from(text).map_err(|error| Problem::internal(format!("no header: {error}")))
    };
    Ok(Head {
        etag: header(etag)?,
        media_type: HeaderValue::from_static(format.media_type()),
        disposition: header(filename::disposition(Shown::Inline, &image.filename, format.extension()))?,
    })
}

/// Tags are made of digits here.
fn etag(head: &Head) -> &str {
    head.etag.to_str().unwrap_or_default()
}

/// The answer that has this file, or what the request wants of it.
fn answer(request: &HttpRequest, file: &Ready) -> Result<HttpResponse, Problem> {
    let length = file.bytes.len() as u64;
    let part = file::wanted(request.headers(), etag(&file.head), length)?;
    let mut answer = begun(&file.head, part, length);
    if part == Part::None {
        return Ok(answer.finish());
    }
    let (first, length) = part.of(length);
    let first = usize::try_from(first).unwrap_or(usize::MAX).min(file.bytes.len());
    let last = first.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(file.bytes.len());
    Ok(answer.body(Slices::of(file.bytes.slice(first..last))))
}

/// An answer with everything but its body.
fn begun(head: &Head, part: Part, length: u64) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::ETAG, head.etag.clone()));
    answer.insert_header((header::CACHE_CONTROL, FOR_EVER));
    file::harmless(&mut answer);
    part.tell(&mut answer, length);
    if part != Part::None {
        answer.insert_header((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
        answer.insert_header((header::CONTENT_TYPE, head.media_type.clone()));
        answer.insert_header((header::CONTENT_DISPOSITION, head.disposition.clone()));
    }
    answer
}

/// A row names bytes that are not there, or not as they were stored: nobody's fault who asks, and never "not found".
fn damaged(image: &Image, blob: &BlobName, found: &str) -> Problem {
    let detail = "the file of this image is missing or damaged on the daemon's side; its log has more under the \
                  request id of `instance`";
    let (name, bytes) = (&image.name, extract::bytes(image.bytes));
    Problem::new(Code::BlobDamaged, detail)
        .caused_by(format!("the blob {blob} of image {name} should have {bytes}, but {found}"))
}
