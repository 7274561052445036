//! Links as callers can follow them from elsewhere: absolute, by the address under which the daemon is reached.
//!
//! Called by the routes that give links to recordings and images.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::{State, client};
use crate::task::ImageName;

/// What every link begins with, without a slash at its end: `http.public_url`, or the host that the request names, by TLS
/// where a proxy that is believed says so.
pub(super) fn base(state: &State, request: &HttpRequest) -> String {
    match &state.http.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let scheme = if client::is_secure(&state.http, request) { "https" } else { "http" };
            format!("{scheme}://{}", host(request))
        }
    }
}

/// The links of images.
#[derive(Debug, Clone)]
pub(super) struct ImageLinks {
    base: String,
    thumbnail: u32,
}

impl ImageLinks {
    /// As whoever sent the request reaches them.
    pub(super) fn of(state: &State, request: &HttpRequest) -> Self {
        Self { base: base(state, request), thumbnail: state.images.thumbnail }
    }

    /// The image itself.
    pub(super) fn image(&self, name: &ImageName) -> String {
        format!("{}/images/{name}", self.base)
    }

    /// The variant that was made of it when it was taken: no larger than a square of `images.thumbnail`.
    pub(super) fn thumbnail(&self, name: &ImageName) -> String {
        let side = self.thumbnail;
        format!("{}/images/{name}?w={side}&h={side}", self.base)
    }
}

/// The `Host` of the request, where it can be one; else our own address.
fn host(request: &HttpRequest) -> String {
    let given = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let sane = |host: &&str| {
        !host.is_empty()
            && host.len() <= 255
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
    };
    match given.filter(sane) {
        Some(host) => host.to_owned(),
        None => request.app_config().local_addr().to_string(),
    }
}
