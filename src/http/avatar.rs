//! Users' pictures: taken in, and given out.
//!
//! Called by `users`, and by the route of a picture. True here: what is kept was made by us of what came, a small square
//! without metadata; and what is given out runs no script, whatever a browser takes it for.

use std::io::Read;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};

use super::catalogue::Code;
use super::spool::blocking;
use super::tasks::{UserParam, named};
use super::users::UserPath;
use super::{Problem, State, extract, file};
use crate::account::Avatar;
use crate::blob::{BlobError, Kept};
use crate::imaging::ImagingError;
use crate::media::image::{Format, ImageError};
use crate::task::{BlobName, UserId};

/// The most that a picture of ours can be: it is a square of 256 pixels.
const MOST: u64 = 1 << 20;

/// Makes a picture of what a user sent, and keeps it. It stays pinned as long as the second part lives, which has to be
/// until a row names it.
pub(super) async fn take(state: &State, bytes: Vec<u8>) -> Result<(Avatar, Kept), Problem> {
    let _room = state.intake.expect_file(None, Some(MOST))?;
    let made = state.imaging.avatar(bytes).await.map_err(refused)?;
    let blobs = state.blobs.clone();
    let kept = blocking(move || blobs.keep_bytes(&made.bytes)).await??;
    Ok((Avatar { blob: kept.name.clone(), bytes: kept.bytes }, kept))
}

/// What is wrong with the picture is wrong with the field.
fn refused(error: ImagingError) -> Problem {
    let of_the_picture = matches!(
        error,
        ImagingError::Image(
            ImageError::Unsupported { .. } | ImageError::TooLarge { .. } | ImageError::Damaged(_)
        )
    );
    let problem = Problem::from(error);
    if of_the_picture {
        return Problem::of_field(problem.code(), "avatar", problem.detail());
    }
    problem
}

/// The user's picture.
#[utoipa::path(
    get, path = "/users/{id}/avatar", operation_id = "getAvatar", tag = "Users", params(UserPath, UserParam),
    responses(
        (status = 200, description = "The picture.", content((file::FileSchema = "image/jpeg"), (file::FileSchema = "image/png")),
            headers(("etag" = String, description = "Its content"))),
        (status = 304, description = "It is the one that `If-None-Match` names."),
    ),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::user_id(&request)?;
    // Anybody may see it, so nobody needs to prove anything; the parameter is taken as everywhere.
    named(&request)?;
    let avatar = of_user(&state, id).await?;
    let etag = format!("\"{}\"", avatar.blob);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::ETAG, etag.as_str()));
    // Anybody may keep it, and has to ask whether it is still the one.
    answer.insert_header((header::CACHE_CONTROL, "public, no-cache"));
    if file::has_it(request.headers(), &etag) {
        return Ok(answer.status(actix_web::http::StatusCode::NOT_MODIFIED).finish());
    }
    let bytes = match read(&state, avatar.blob.clone()).await? {
        Ok(bytes) => bytes,
        Err(BlobError::Missing(_)) => {
            // It was changed since we looked, and swept; or it is lost.
            let now = of_user(&state, id).await?;
            let cause = format!("the blob {} of the picture of user {id} is missing", now.blob);
            return Err(Problem::internal(cause));
        }
        Err(error) => return Err(error.into()),
    };
    let media_type = Format::sniff(&bytes).map_or("application/octet-stream", Format::media_type);
    answer.insert_header((header::CONTENT_TYPE, media_type));
    file::harmless(&mut answer);
    Ok(answer.body(bytes))
}

async fn of_user(state: &State, id: UserId) -> Result<Avatar, Problem> {
    let user = state.store.user(id).await?.ok_or_else(|| Problem::no_user(id))?;
    let none = || Problem::new(Code::AvatarNotFound, format!("user {id} gave no picture"));
    user.avatar.ok_or_else(none)
}

async fn read(state: &State, name: BlobName) -> Result<Result<Bytes, BlobError>, Problem> {
    let blobs = state.blobs.clone();
    blocking(move || {
        let mut bytes = Vec::new();
        let broken = |source| BlobError::Io { doing: "cannot read", path: name.to_string(), source };
        blobs.read(&name)?.take(MOST).read_to_end(&mut bytes).map_err(broken)?;
        Ok(Bytes::from(bytes))
    })
    .await
}
