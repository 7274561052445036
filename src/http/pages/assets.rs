//! What pages load besides themselves: the stylesheet, the scripts, the icon, all of them in the program itself.
//!
//! Called by the templates for an [`Asset`]'s address, and by the route that serves them. True here: an asset's address
//! has a part of its digest, so whoever has it may keep it for ever; another digest is another address, and none is there.
//! To add an asset, put its file into `assets/` and its line into the list.

use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use crate::http::Problem;
use crate::http::observe::no_route;

/// For how long a browser may keep one: a year, which is what "for ever" is.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

macro_rules! assets {
    ($($name:ident = $stem:literal, $extension:ident;)+) => {
        /// A file of ours that pages load.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::http) enum Asset {
            $(
                #[doc = concat!("`", $stem, ".", stringify!($extension), "`")]
                $name,
            )+
        }

        impl Asset {
            const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name before the digest, what it is, and its bytes.
            fn file(self) -> (&'static str, &'static str, &'static [u8]) {
                match self {
                    $(Self::$name => (
                        $stem,
                        stringify!($extension),
                        include_bytes!(concat!("assets/", $stem, ".", stringify!($extension))),
                    ),)+
                }
            }
        }
    };
}

assets! {
    Style = "style", css;
    Admin = "admin", css;
    Live = "live", js;
    Steps = "steps", js;
    Times = "times", js;
    Swagger = "swagger", js;
    Copy = "copy", js;
    Player = "player", js;
    Record = "record", js;
    Samples = "samples", js;
    Send = "send", js;
    Upload = "upload", js;
    Icon = "icon", svg;
}

/// Every asset's name with its digest, made once.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| Asset::ALL.iter().map(|asset| asset.name()).collect());

impl Asset {
    /// Where it is.
    pub(in crate::http) fn href(self) -> String {
        let place = Self::ALL.iter().position(|asset| *asset == self);
        let name = place.and_then(|place| NAMES.get(place)).map(String::as_str).unwrap_or_default();
        format!("/assets/{name}")
    }

    fn name(self) -> String {
        let (stem, extension, bytes) = self.file();
        let digest = format!("{:x}", Sha256::digest(bytes));
        let digest = digest.get(..16).unwrap_or_default();
        format!("{stem}.{digest}.{extension}")
    }

    fn media_type(self) -> HeaderValue {
        let (_, extension, _) = self.file();
        HeaderValue::from_static(match extension {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "application/octet-stream",
        })
    }
}

/// The icon, where browsers look for it that were told of none: beside a picture, a PDF, JSON.
pub(super) async fn icon(_: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, _, bytes) = Asset::Icon.file();
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, Asset::Icon.media_type()))
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .body(Bytes::from_static(bytes)))
}

/// Serves an asset.
pub(super) async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let wanted = request.match_info().get("name").unwrap_or_default();
    let place = NAMES.iter().position(|name| name == wanted);
    let Some(asset) = place.and_then(|place| Asset::ALL.get(place)) else { return no_route(request).await };
    let (_, _, bytes) = asset.file();
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.media_type()))
        .insert_header((header::CACHE_CONTROL, FOR_EVER))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .body(Bytes::from_static(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_has_an_address_of_its_own_and_a_type() {
        for asset in Asset::ALL {
            let href = asset.href();
            assert!(href.starts_with("/assets/") && href.len() > "/assets/".len() + 16, "{href}");
            assert_ne!(asset.media_type(), "application/octet-stream", "{href}");
            assert!(!asset.file().2.is_empty(), "{href}");
        }
    }
}
