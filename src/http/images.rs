//! `/images`: the gallery, and removing an image.
//!
//! True here: everybody may see an image whose link they have, but only its owner sees it listed; who removes it is its
//! owner, an admin, or holds the token that its upload was answered with. Of an image that nobody owns that leaves admins
//! and the token: who is nobody is not the same nobody who sent it.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use subtle::ConstantTimeEq as _;

use super::catalogue::Code;
use super::extract::Query;
use super::idempotency::{Key, remembered, replayed};
use super::image_view::ImageView;
use super::links::ImageLinks;
use super::listing::{self, Cut, PageParams, Wanted};
use super::task_view::TaskView;
use super::tasks::{UserParam, json_answer};
use super::{Problem, State, auth};
use crate::account::{Access, Caller, Token};
use crate::intake::{Done, IntakeError};
use crate::store::{Image, Refused, Remember, RememberedAnswer, Reply};
use crate::task::{ImageName, Task, TaskId};
use crate::telemetry::Action;

/// The caller's images that are ready, the newest first. An anonymous caller's are those that nobody owns, an admin's
/// are all.
#[utoipa::path(
    get, path = "/images/", operation_id = "listImages", tag = "Images", params(PageParams, UserParam),
    responses((status = 200, description = "A page of images.", body = Vec<ImageView>,
        headers(("link" = String, description = "`<...>; rel=\"next\"`, where there are more")))),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, listing::PARAMETERS);
    let Wanted { limit, after, named } = Wanted::read(&mut query);
    query.finish()?;
    let caller = auth::reader(&state, &request, named).await?;
    let Cut { page: images, next } = page(&state, caller, after.map(TaskId), limit).await?;
    let answer = listing::answer(&request, next)?;
    let links = ImageLinks::of(&state, &request);
    let views: Vec<ImageView> = images.iter().map(|image| ImageView::of(image, &links)).collect();
    Ok(json_answer(answer, TaskView::many(views.as_slice())))
}

/// At most `limit` of the caller's images behind `after`, and behind what the next page begins, where there are more.
pub(super) async fn page(
    state: &State,
    caller: Caller,
    after: Option<TaskId>,
    limit: u32,
) -> Result<Cut<Image>, Problem> {
    let found = state.store.images(caller, after, limit + 1).await?;
    Ok(listing::cut(found, limit, |image| image.task.0))
}

/// The same without the slash.
#[utoipa::path(
    get, path = "/images", operation_id = "listImagesAlias", tag = "Images", params(PageParams, UserParam),
    responses((status = 200, description = "A page of images.", body = Vec<ImageView>,
        headers(("link" = String, description = "`<...>; rel=\"next\"`, where there are more")))),
)]
pub(super) async fn list_alias(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    list(state, request).await
}

/// What the path names.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documents what `name` reads")]
pub(super) struct NameParam {
    /// The image's name: the last part of its link.
    #[param(pattern = "^[0-9A-Za-z]{22}\\.[a-z]{3,4}$")]
    name: String,
}

/// Removes an image with its task. It is its owner's to do, an admin's, and whoever's who holds its `delete_token`.
#[utoipa::path(
    delete, path = "/images/{name}", operation_id = "deleteImage", tag = "Images",
    params(NameParam, UserParam,
        ("token" = Option<String>, Query, description = "The `delete_token`", format = Uuid),
        ("x-delete-token" = Option<String>, Header, description = "The same", format = Uuid)),
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["token", "user_id"]);
    let named = query.user_id();
    let given = query.text("token").map(str::to_owned);
    query.finish()?;
    let header = request.headers().get(HeaderName::from_static("x-delete-token"));
    let given = given.or_else(|| header.map(|token| String::from_utf8_lossy(token.as_bytes()).into_owned()));
    let caller = auth::caller(&state, &request, named).await?;
    let image = match name(&request) {
        Some(name) => state.store.image(&name).await?,
        None => None,
    };
    let remember = Key::of(&request)?.map(|key| key.remember(&request, caller, &[], deleted));
    let right = match &image {
        Some(image) => right_to(image, caller, given.as_deref())?,
        None if remember.is_some() => caller,
        None => return Err(no_image(&request)),
    };
    match remove(&state, right, image, remember).await {
        Ok(Done::Now(_)) => Ok(HttpResponse::NoContent().finish()),
        Ok(Done::Before(answer)) => replayed(answer),
        Err(IntakeError::Refused(Refused::NotFound(_))) => Err(no_image(&request)),
        Err(error) => Err(error.into()),
    }
}

/// Removes an image as `right`, which [`right_to`] gave.
pub(super) async fn remove(
    state: &State,
    right: Caller,
    image: Option<Image>,
    remember: Option<Remember>,
) -> Result<Done<Task>, IntakeError> {
    let task = image.as_ref().map(|image| image.task);
    let done = state.intake.delete_made(right, task, remember).await?;
    if let (Done::Now(_), Some(image)) = (&done, image) {
        forget(state, &image).await;
        state.actions.record(&Action::ImageDeleted { filename: image.filename });
    }
    Ok(done)
}

/// Removes what was made of it. Another image of the same bytes has its variants made again.
async fn forget(state: &State, image: &Image) {
    let Some(blob) = &image.blob else { return };
    if let Err(error) = state.imaging.forget(vec![blob.clone()]).await {
        tracing::warn!(%error, "the variants of an image that was removed stay until they are swept");
    }
}

/// As whom the image is removed by a caller who gives that token, or none.
pub(super) fn right_to(image: &Image, caller: Caller, given: Option<&str>) -> Result<Caller, Problem> {
    if let Some(given) = given {
        let hash = given.trim().parse::<Token>().map(|token| token.hash());
        let holds = hash
            .is_ok_and(|hash| hash.as_str().as_bytes().ct_eq(image.delete_token.as_str().as_bytes()).into());
        if !holds {
            let detail = "this is not the token that the upload of the image was answered with";
            return Err(Problem::new(Code::Forbidden, detail));
        }
        // What nobody owns only admins may remove, and who holds the token may what they may.
        return Ok(image.owner.map_or(Caller::Admin(None), Caller::User));
    }
    if Access::TokenHolder.allows(caller, image.owner, None) {
        return Ok(caller);
    }
    match caller {
        Caller::User(_) | Caller::Admin(_) => {
            let detail =
                "only the owner of the image and admins may do that, and who holds its `delete_token`";
            Err(Problem::new(Code::Forbidden, detail))
        }
        Caller::Anonymous => {
            let detail = "send the image's `delete_token` as `?token=` or `X-Delete-Token`, or its owner's \
                          `Authorization: Bearer <token>`";
            Err(Problem::new(Code::Unauthenticated, detail))
        }
    }
}

/// The name in the path; `None` for what is none, under which nothing can be.
pub(super) fn name(request: &HttpRequest) -> Option<ImageName> {
    request.match_info().get("name").and_then(|name| name.parse().ok())
}

/// There is no image of the name in the path.
pub(super) fn no_image(request: &HttpRequest) -> Problem {
    let name: String = request.match_info().get("name").unwrap_or_default().chars().take(64).collect();
    Problem::new(Code::ImageNotFound, format!("there is no image `{name}`"))
}

/// What to remember of a removal.
fn deleted(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::Changed(Ok(_)) = reply else { return None };
    Some(remembered(StatusCode::NO_CONTENT, None, Vec::new()))
}
