//! `POST /upload`: images come in, and are made ready to be shown.
//!
//! True here: of the files of a form all are taken or none; nothing is left of one that turns out to be damaged while its
//! sender waits, except, where the request has an `Idempotency-Key`, the failed task by which the same is told again.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::catalogue::Code;
use super::extract::Query;
use super::file::FileSchema;
use super::idempotency::{Key, remembered, replayed};
use super::image_desk::Desk;
use super::image_form::{self, Sent, Uploads};
use super::image_limits;
use super::image_view::{ImageView, UploadedView};
use super::links::ImageLinks;
use super::prefer::{self, PREFERENCE_APPLIED, Wish};
use super::spool::blocking;
use super::task_view::TaskView;
use super::tasks::{PreferHeader, UserParam, json_answer, location};
use super::upload::{self, Refusal, Unproven};
use super::{Problem, State, again, auth};
use crate::account::{Caller, Token};
use crate::blob::BlobError;
use crate::intake::{Done, ImageUpload};
use crate::store::{NewImage, RememberedAnswer, Reply};
use crate::task::{FailureReason, ImageId, ImageName, Status, Task, UserId};
use crate::telemetry::{Action, ActionLog};

/// What a file is called in the action log when it has no name.
const NAMELESS: &str = "image";

/// The form of an upload.
#[derive(ToSchema)]
#[schema(as = NewImages)]
#[expect(dead_code, reason = "documents what `image_form` reads")]
pub(super) struct NewImagesSchema {
    /// Whose they are; may be left out beside a token.
    user: Option<i64>,
    /// The user's access token; may be left out beside `Authorization`.
    #[schema(format = Uuid)]
    token: Option<String>,
    /// The files: this field as often as there are files, or any other that has a file name.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "image/*")]
    file: Vec<u8>,
}

/// An image as JSON: `image`, `file` and `data` mean the same, and one of them is there.
#[derive(ToSchema)]
#[schema(as = NewImage, example = json!({"image": "iVBORw0KGgo=", "filename": "dot.png"}))]
#[expect(dead_code, reason = "documents what `image_form` reads")]
pub(super) struct NewImageSchema {
    /// The file in base64: of either alphabet, with or without padding and line breaks, plain or as a data URL.
    image: Option<String>,
    /// The same.
    file: Option<String>,
    /// The same.
    data: Option<String>,
    /// What the file is called.
    filename: Option<String>,
}

/// What the file is called, where it is the whole body.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `image_form` reads")]
pub(super) struct NameParam {
    /// What the file is called, where it is the whole body; `X-Filename` and `Content-Disposition` say it too.
    filename: Option<String>,
}

/// Takes images: a form with one or several files, a file as the whole body, or one in JSON.
#[utoipa::path(
    post, path = "/upload", operation_id = "uploadImages", tag = "Images",
    params(UserParam, PreferHeader, NameParam,
        ("x-filename" = Option<String>, Header, description = "What the file is called; may be percent-encoded")),
    request_body(
        description = "The format is what the bytes say: `images.formats`, each file of at most `images.max_bytes`. All \
            files of a form are taken, or none.",
        content(
            (NewImagesSchema = "multipart/form-data"), (NewImageSchema = "application/json"),
            (FileSchema = "image/*"), (FileSchema = "application/octet-stream"),
        ),
    ),
    responses(
        (status = 201, description = "Taken, and ready to be shown. Of a form with several files an array of the same, \
            in the order of the form.", body = UploadedView<'_>,
            headers(("location" = String, description = "The link, where it is one image"))),
        (status = 202, description = "Taken; not ready yet (`respond-async`, or the wait ran out).",
            body = UploadedView<'_>,
            headers(("location" = String, description = "`/tasks/{id}`, where it is one image"))),
    ),
)]
pub(super) async fn create(
    state: Data<State>,
    desk: Data<Desk>,
    unproven: Data<Unproven>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["user_id", "filename"]);
    let named = query.user_id();
    query.finish()?;
    let wish = Wish::of(&request);
    let received = receive(&state, (&desk, &unproven), &request, body, named).await?;
    match received {
        Received::Now(shown, caller) => answer(&state, &shown, caller, wish),
        Received::Before(before, caller, deadline) => {
            taken_before(&state, before, caller, wish, deadline).await
        }
    }
}

/// What became of an upload.
pub(super) enum Received {
    /// Taken, by whom.
    Now(Vec<Shown>, Caller),
    /// It came before; what was answered then, and until when to wait now.
    Before(RememberedAnswer, Caller, Instant),
}

/// Takes the images of a request, and waits for them as it wishes.
pub(super) async fn receive(
    state: &State,
    (desk, unproven): (&Desk, &Unproven),
    request: &HttpRequest,
    body: Payload,
    named: Option<UserId>,
) -> Result<Received, Problem> {
    let who = auth::caller_so_far(state, request, named).await?;
    let key = Key::of(request)?;
    let read = image_form::read(state, (desk, unproven), request, body, who).await;
    let Uploads { owner, files } = read.map_err(|refusal| written_down(state, refusal))?;
    let caller = owner.map_or(Caller::Anonymous, Caller::User);
    let (uploads, tokens) = keep(state, files).await?;
    let links = ImageLinks::of(state, request);
    let stays = key.is_some();
    let remember = key.map(|key| {
        let images: Arc<[NewImage]> = uploads.iter().map(|upload| upload.image.clone()).collect();
        let links = links.clone();
        // The bytes, by the name that they make.
        let parts = uploads.iter().flat_map(|upload| [upload.bytes.name.as_str(), &upload.image.filename]);
        let parts: Vec<&[u8]> = parts.map(str::as_bytes).collect();
        key.remember(request, caller, &parts, move |reply| accepted(&images, reply, caller, &links))
    });
    let done = state.intake.take_images(caller, &uploads, remember).await.map_err(Problem::from);
    let done = done.map_err(|problem| {
        let filename = uploads.first().map(|upload| upload.image.filename.clone());
        written_down(state, Refusal { problem, filename })
    })?;
    let deadline = Instant::now() + Wish::of(request).patience(state, state.http.default_wait);
    match done {
        Done::Now(tasks) => {
            let images: Vec<NewImage> = uploads.into_iter().map(|upload| upload.image).collect();
            let diary = Diary::of(state, &images);
            let shown = images.iter().zip(tasks).zip(tokens).map(|((image, task), token)| {
                let view = ImageView::accepted(image, &task, &links).with_token(token.reveal());
                Shown { view, task }
            });
            let mut shown: Vec<Shown> = shown.collect();
            wait(state, &mut shown, deadline).await?;
            if let Some(failed) = shown.iter().position(Shown::has_failed) {
                let problem = not_taken(&shown, failed);
                diary.not_taken(shown.get(failed), &problem);
                remove(state, caller, &shown, failed, stays).await;
                return Err(problem);
            }
            Ok(Received::Now(shown, caller))
        }
        Done::Before(before) => Ok(Received::Before(before, caller, deadline)),
    }
}

/// An image with its task.
pub(super) struct Shown {
    pub(super) view: ImageView,
    task: Task,
}

impl Shown {
    fn has_failed(&self) -> bool {
        match self.task.life.status() {
            Status::Failed | Status::Cancelled => true,
            Status::New | Status::InProgress | Status::Completed => false,
        }
    }

    fn was_damaged(&self) -> bool {
        let error = self.task.life.error.as_ref();
        self.task.life.status() == Status::Failed
            && error.is_some_and(|error| error.reason == FailureReason::InvalidInput)
    }
}

/// Puts the files into the blob store, and gives each what it is known by from now on.
async fn keep(state: &State, files: Vec<Sent>) -> Result<(Vec<ImageUpload>, Vec<Token>), Problem> {
    let (blobs, quota) = (state.blobs.clone(), image_limits::image_quota(&state.images));
    let kept = blocking(move || {
        let kept = files.into_iter().map(|Sent { draft, filename, header }| {
            let bytes = blobs.keep(draft)?;
            let token = Token::fresh();
            let (width, height) = header.seen();
            let image = NewImage {
                id: ImageId::fresh(),
                name: ImageName::fresh(header.format.extension()),
                filename,
                format: header.format,
                bytes: bytes.bytes,
                width,
                height,
                frames: header.frames,
                delete_token: token.hash(),
                quota,
            };
            Ok((ImageUpload { image, bytes }, token))
        });
        kept.collect::<Result<(Vec<_>, Vec<_>), BlobError>>()
    });
    Ok(kept.await??)
}

/// What to remember: the answer of who does not wait, without what is secret.
fn accepted(
    images: &[NewImage],
    reply: &Reply,
    caller: Caller,
    links: &ImageLinks,
) -> Option<RememberedAnswer> {
    let Reply::Created(made) = reply else { return None };
    let shown = images.iter().zip(made).map(|(image, made)| {
        let view = ImageView::accepted(image, &made.task, links);
        Shown { view, task: made.task.clone() }
    });
    let shown: Vec<Shown> = shown.collect();
    let place = match shown.as_slice() {
        [only] => Some(location(only.task.life.id)),
        _ => None,
    };
    Some(remembered(StatusCode::ACCEPTED, place, json(&shown, caller)))
}

/// Waits until all have ended, and shows each as it is then.
async fn wait(state: &State, shown: &mut [Shown], deadline: Instant) -> Result<(), Problem> {
    for shown in shown {
        let left = deadline.saturating_duration_since(Instant::now());
        shown.task = prefer::settle(state, shown.task.clone(), left).await?;
        shown.view = shown.view.clone().seen_with(&shown.task);
    }
    Ok(())
}

/// One image as itself, several as an array.
fn json(shown: &[Shown], caller: Caller) -> Vec<u8> {
    let views = shown
        .iter()
        .map(|shown| UploadedView { image: &shown.view, task: TaskView::of(&shown.task, caller) });
    let views: Vec<UploadedView<'_>> = views.collect();
    match views.as_slice() {
        [only] => TaskView::many(only),
        several => TaskView::many(several),
    }
}

fn answer(state: &State, shown: &[Shown], caller: Caller, wish: Wish) -> Result<HttpResponse, Problem> {
    let ready = shown.iter().all(|shown| shown.task.life.status() == Status::Completed);
    let made = ready && wish != Wish::Async;
    let mut answer = if made { HttpResponse::Created() } else { HttpResponse::Accepted() };
    if let [only] = shown {
        let place = if made { only.view.url().to_owned() } else { location(only.task.life.id) };
        let place = HeaderValue::from_str(&place).map_err(|error| Problem::internal(error.to_string()))?;
        answer.insert_header((header::LOCATION, place));
    }
    if let Some(applied) = wish.applied(state) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    // It holds a secret.
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(json_answer(answer, json(shown, caller)))
}

/// Answers an upload that came before, with the images of then as they are now.
async fn taken_before(
    state: &State,
    before: RememberedAnswer,
    caller: Caller,
    wish: Wish,
    deadline: Instant,
) -> Result<HttpResponse, Problem> {
    #[derive(Deserialize)]
    struct Before {
        #[serde(flatten)]
        image: ImageView,
        task: again::Numbered,
    }
    let images: Vec<Before> =
        if before.body.starts_with('[') { again::reread(&before)? } else { vec![again::reread(&before)?] };
    let count = images.len();
    let mut shown = Vec::with_capacity(count);
    for Before { image, task } in images {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(task) = prefer::revisit(state, task.task(), left).await {
            shown.push(Shown { view: image.seen_with(&task), task });
        }
    }
    if let Some(failed) = shown.iter().position(Shown::has_failed) {
        return Err(not_taken(&shown, failed));
    }
    if shown.len() < count {
        return replayed(before);
    }
    Ok(again::anew(answer(state, &shown, caller, wish)?))
}

/// Why the images were not taken: the story of the one that was not.
fn not_taken(shown: &[Shown], failed: usize) -> Problem {
    let Some(failed) = shown.get(failed) else {
        return Problem::internal("an image failed that is not there");
    };
    let (name, id) = (failed.view.original_name(), failed.task.life.id);
    let others = if shown.len() > 1 { "; none of the form was kept" } else { "" };
    let error = failed.task.life.error.as_ref();
    match (failed.task.life.status(), error) {
        (Status::Cancelled, _) => {
            let detail = format!("`{name}`: its task {id} was cancelled{others}");
            Problem::new(Code::ImageFailed, detail).about(id)
        }
        (_, Some(error)) if failed.was_damaged() => {
            Problem::new(Code::DamagedImage, format!("`{name}`: {}{others}", error.message))
        }
        (_, Some(error)) => {
            let detail = format!("`{name}`: {} ({}){others}", error.message, error.reason.as_str());
            Problem::new(Code::ImageFailed, detail).about(id)
        }
        (_, None) => Problem::new(Code::ImageFailed, format!("`{name}` failed{others}")).about(id),
    }
}

/// Removes what was made for a request that is refused after all. The one that failed stays where it is of use: when it
/// is alone it may be retried, unless it is damaged; and with a key (`stays`) it tells who asks again.
async fn remove(state: &State, caller: Caller, shown: &[Shown], failed: usize, stays: bool) {
    for (at, image) in shown.iter().enumerate() {
        let alone = shown.len() == 1 && !image.was_damaged();
        if at == failed && (stays || alone) {
            continue;
        }
        let task = image.task.life.id;
        if let Err(error) = state.intake.delete_made(caller, Some(task), None).await {
            tracing::warn!(task_id = task.0, %error, "task {task} of a refused upload could not be removed");
        }
    }
}

/// Writes a refusal to the action log.
fn written_down(state: &State, refusal: Refusal) -> Problem {
    if let (Some(filename), Some(reason)) = (refusal.filename, upload::reason(refusal.problem.code())) {
        let filename = if filename.is_empty() { NAMELESS.to_owned() } else { filename };
        state.actions.record(&Action::FileRefused { filename, reason });
    }
    refusal.problem
}

/// What is still to be written to the action log of images that were taken. Nobody may be there any more when they are
/// ready: then it is written as this is dropped.
struct Diary<'a> {
    actions: &'a ActionLog,
    names: Vec<String>,
}

impl<'a> Diary<'a> {
    fn of(state: &'a State, images: &[NewImage]) -> Self {
        Self { actions: &state.actions, names: images.iter().map(|image| image.filename.clone()).collect() }
    }

    fn not_taken(mut self, failed: Option<&Shown>, problem: &Problem) {
        self.names.clear();
        let Some(filename) = failed.map(|failed| failed.view.original_name().to_owned()) else { return };
        self.actions.record(&match upload::reason(problem.code()) {
            Some(reason) => Action::FileRefused { filename, reason },
            None => Action::ImageFailed { filename },
        });
    }
}

impl Drop for Diary<'_> {
    fn drop(&mut self) {
        for filename in self.names.drain(..) {
            self.actions.record(&Action::ImageUploaded { filename });
        }
    }
}
