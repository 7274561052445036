//! How many images anybody may send, and how much of them anybody may have here.
//!
//! Called by what takes images: uploads, tasks with pictures, users' pictures. True here: a user is counted as one wherever
//! they come from, and who is nobody by the address that they come from; the count is kept in the database, so it is one
//! for all nodes.

use std::time::Duration;

use actix_web::HttpRequest;

use super::catalogue::Code;
use super::{Problem, State, client};
use crate::config::ImageSettings;
use crate::store::{Quota, Rate};
use crate::task::UserId;

/// The time in which uploads are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Counts so many images that come in one request, or refuses them until there is room. More than there ever is room for
/// are counted as that.
pub(super) async fn spend(
    state: &State,
    request: &HttpRequest,
    owner: Option<UserId>,
    images: usize,
) -> Result<(), Problem> {
    let most = state.images.uploads_per_minute;
    if most == 0 || images == 0 {
        return Ok(());
    }
    let images = u32::try_from(images).unwrap_or(most).min(most);
    let key = match owner {
        Some(user) => format!("upload by user {user}"),
        None => {
            let address = client::address(&state.http, request);
            format!("upload from {}", client::counted_as(address))
        }
    };
    match state.store.spend(&key, images, Rate::per(most, MINUTE)).await? {
        None => Ok(()),
        Some(wait) => {
            let detail = format!("{most} images may be sent in a minute (images.uploads_per_minute)");
            Err(Problem::new(Code::RateLimited, detail).after(wait))
        }
    }
}

/// How much an owner may have here.
#[must_use]
pub fn image_quota(settings: &ImageSettings) -> Quota {
    let (images, bytes) = (settings.max_per_user, settings.max_bytes_per_user.bytes());
    Quota { images: Some(images).filter(|most| *most > 0), bytes: Some(bytes).filter(|most| *most > 0) }
}
