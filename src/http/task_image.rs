//! `GET /tasks/{id}/image`: the picture of a task.
//!
//! It is for whoever may see the task. True here: it is what its bytes say, and a browser runs nothing of it.

use std::io::Read;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::catalogue::Code;
use super::file::{self, FileSchema, Part, Unread};
use super::spool::blocking;
use super::task_view::TaskView;
use super::tasks::{TaskParam, UserParam, named};
use super::{Problem, State, auth, extract, serving};
use crate::blob::{BlobError, Reader};
use crate::kinds::image;
use crate::media::image::Format;
use crate::task::{Attachment, Role, TaskId};

/// The picture of a task: of a `manual` one what was given with it, of an `image` what was stored.
#[utoipa::path(
    get, path = "/tasks/{id}/image", operation_id = "getTaskImage", tag = "Tasks", params(TaskParam, UserParam),
    responses(
        (status = 200, description = "The picture.", content((FileSchema = "image/jpeg"), (FileSchema = "image/png"),
                (FileSchema = "image/gif"), (FileSchema = "image/webp"), (FileSchema = "image/avif")),
            headers(("etag" = String), ("accept-ranges" = String))),
        (status = 202, description = "It is an image that is not ready yet: the task.", body = TaskView<'_>,
            headers(("retry-after" = u64), ("location" = String))),
        (status = 206, description = "A part of it.", content((FileSchema = "image/jpeg"), (FileSchema = "image/png"),
                (FileSchema = "image/gif"), (FileSchema = "image/webp"), (FileSchema = "image/avif")),
            headers(("content-range" = String))),
        (status = 304, description = "The client has it."),
    ),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let caller = auth::reader(&state, &request, named(&request)?).await?;
    let task = state.store.task(id).await?;
    let task = task.filter(|task| caller.may_see(task.life.owner, task.life.assignee));
    let Some(task) = task else { return Err(Problem::no_task(id)) };
    let is_image = task.life.kind == image::kind();
    let Some(picture) = picture_of(&state, id, is_image).await? else {
        return if is_image { serving::unready(&task, caller) } else { Err(none(id)) };
    };
    match show(&state, &request, &picture).await {
        Ok(answer) => Ok(answer),
        Err(Unread::Problem(problem)) => Err(problem),
        // Deleted since we looked, or lost.
        Err(Unread::Missing) if picture_of(&state, id, is_image).await?.is_none() => {
            Err(Problem::no_task(id))
        }
        Err(unread @ (Unread::Missing | Unread::Damaged(_))) => {
            let detail = "the picture of this task is missing or damaged on the daemon's disk; its log has more under \
                          the request id of `instance`";
            let cause = format!("the blob {} of task {id}: {unread}", picture.blob);
            Err(Problem::new(Code::BlobDamaged, detail).caused_by(cause))
        }
    }
}

fn none(id: TaskId) -> Problem {
    Problem::new(Code::ImageNotFound, format!("task {id} has no picture")).about(id)
}

/// The blob of the task that is a picture. Of an image (`is_image`) that is what it became, never what came: there the
/// camera's place is still in it.
async fn picture_of(state: &State, id: TaskId, is_image: bool) -> Result<Option<Attachment>, Problem> {
    let blobs = state.store.attachments_of(id).await?;
    for blob in blobs.into_iter().filter(|blob| !is_image || blob.role == Role::Output) {
        if format_of(state, &blob).await?.is_some() {
            return Ok(Some(blob));
        }
    }
    Ok(None)
}

/// What the first bytes of a blob say it is; a recording's say nothing, and a lost blob is told of later.
async fn format_of(state: &State, blob: &Attachment) -> Result<Option<Format>, Problem> {
    let (blobs, name) = (state.blobs.clone(), blob.blob.clone());
    let first = blocking(move || {
        let mut first = Vec::new();
        let reading = |source| BlobError::Io { doing: "cannot read", path: name.to_string(), source };
        let most = Format::SNIFF_BYTES as u64;
        Reader::take(blobs.read(&name)?, most).read_to_end(&mut first).map_err(reading)?;
        Ok::<_, BlobError>(first)
    });
    Ok(Format::sniff(&first.await??))
}

async fn show(state: &State, request: &HttpRequest, picture: &Attachment) -> Result<HttpResponse, Unread> {
    let etag = format!("\"{}\"", picture.blob);
    let part = file::wanted(request.headers(), &etag, picture.bytes)?;
    let mut answer = HttpResponse::Ok();
    part.tell(&mut answer, picture.bytes);
    answer.insert_header((header::ETAG, etag));
    // It is not everybody's, and gone with its task.
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    answer.insert_header((header::ACCEPT_RANGES, "bytes"));
    file::harmless(&mut answer);
    if part == Part::None {
        return Ok(answer.finish());
    }
    let Some(format) = format_of(state, picture).await? else { return Err(Unread::Missing) };
    answer.insert_header((header::CONTENT_TYPE, format.media_type()));
    let (first, length) = part.of(picture.bytes);
    let bytes = file::open(&state.blobs, &picture.blob, picture.bytes, first).await?;
    let sent = if request.method() == actix_web::http::Method::HEAD { 0 } else { length };
    Ok(answer.body(file::body(bytes, length, sent)))
}
