//! `/swagger-ui`: the API's document as a page on which it can be tried out, from the program alone.
//!
//! Swagger UI itself comes as the archive of its release inside a crate; the page around it, what starts it, and the little
//! that makes the two get along are ours. True here: nothing is loaded from anywhere else; the policy is that of every page;
//! the archive's files are sent compressed as they lie in it.

mod archive;

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use self::archive::{Archive, Entry};
use super::assets::Asset;
use super::frame::{Frame, Section, Visitor};
use super::words::frame::ApiWords;
use crate::http::observe::no_route;
use crate::http::{Problem, State, auth, file};

/// Where it stands. The other addresses lead here.
const PATH: &str = "/swagger-ui";

/// Where the stylesheet is: that of all pages, put below Swagger UI's, and what is said about both.
const STYLE: &str = "page.css";

/// Files of the archive that the page uses.
const THEIRS: &[(&str, &str)] = &[
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("swagger-ui.css", "text/css; charset=utf-8"),
];

#[derive(Template)]
#[template(path = "swagger.html")]
struct SwaggerPage {
    frame: Frame,
    w: &'static ApiWords,
}

/// The page.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = auth::caller(&state, &request, None).await?;
    let visitor = Visitor::of(&state, caller).await?;
    let frame = Frame::new(&request, visitor, Section::None, "API");
    let w = ApiWords::of(frame.language());
    Frame::answer(&SwaggerPage { frame, w }, StatusCode::OK)
}

/// Leads the other addresses to the page.
pub(super) async fn lead(_: HttpRequest) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::PermanentRedirect().insert_header((header::LOCATION, PATH)).finish())
}

/// A file that the page uses.
pub(super) async fn asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = request.match_info().query("file");
    if name == STYLE {
        return Ok(style());
    }
    let Some((_, media_type)) = THEIRS.iter().find(|(theirs, _)| *theirs == name) else {
        return no_route(request).await;
    };
    let entry =
        archive().entry(name).ok_or_else(|| Problem::internal(format!("the archive has no {name}")))?;
    theirs(&request, media_type, &entry)
}

/// In layers: whatever Swagger UI says of itself stands, what the style of all pages says of elements reaches none of its.
fn style() -> HttpResponse {
    let rules = include_str!("swagger/page.css");
    let text = format!("@import url(\"{}\") layer(site);\n{rules}", Asset::Style.href());
    sent("text/css; charset=utf-8").body(text)
}

fn theirs(request: &HttpRequest, media_type: &str, entry: &Entry<'_>) -> Result<HttpResponse, Problem> {
    let mut answer = sent(media_type);
    answer.insert_header((header::VARY, HeaderValue::from_static("accept-encoding")));
    let gzip = takes_gzip(request.headers()).then(|| entry.as_gzip()).flatten();
    // Other bytes are another form, and so have another tag.
    let form = if gzip.is_some() { "-gzip" } else { "" };
    let etag = format!("\"{:08x}{form}\"", entry.crc32);
    answer.insert_header((header::ETAG, etag.as_str()));
    if file::has_it(request.headers(), &etag) {
        return Ok(answer.status(StatusCode::NOT_MODIFIED).finish());
    }
    if let Some(gzip) = gzip {
        answer.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        return Ok(answer.body(gzip));
    }
    let bytes = entry.unpacked().map_err(|error| Problem::internal(error.to_string()))?;
    Ok(answer.body(bytes))
}

fn sent(media_type: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, media_type));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    // The next release of the daemon has other files by the same names.
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache")));
    answer
}

/// Whether gzip is named and not refused. Whoever takes `*` gets the plain bytes.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_gzip && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

fn archive() -> &'static Archive<'static> {
    static ARCHIVE: LazyLock<Archive<'static>> = LazyLock::new(|| Archive::read(SWAGGER_UI_VENDORED));
    &ARCHIVE
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn every_file_of_theirs_is_in_the_archive_whole_in_either_form() {
        for (name, _) in THEIRS {
            let entry = archive().entry(name).unwrap_or_else(|| panic!("{name} is not in the archive"));
            let plain = entry.unpacked().unwrap();
            assert_eq!(crc32fast::hash(&plain), entry.crc32, "{name}");
            let gzip = entry.as_gzip().unwrap();
            let mut read = Vec::new();
            GzDecoder::new(&*gzip).read_to_end(&mut read).unwrap();
            assert!(read == plain, "{name} differs by the way in which it is sent");
            assert!(gzip.len() * 3 < plain.len(), "{name}");
        }
        let stored = archive().entry("favicon-16x16.png").unwrap();
        assert!(stored.as_gzip().is_none(), "a picture is compressed already");
        assert_eq!(crc32fast::hash(&stored.unpacked().unwrap()), stored.crc32);
        assert!(archive().entry("swagger-ui").is_none());
    }

    #[test]
    fn who_does_not_say_that_they_read_gzip_gets_none() {
        let takes = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            takes_gzip(&headers)
        };
        for yes in ["gzip", "gzip, deflate, br, zstd", "br;q=1, GZIP;q=0.2", "identity;q=0, gzip"] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.0", "identity", "*", "gzipped"] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
