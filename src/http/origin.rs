//! Whether a request was sent by a page of ours, by a program, or by another site's page through somebody's browser.
//!
//! Called around every route by `observe`, so that no route can forget it. What does something is refused when a browser
//! says that another site had it sent: by then it may carry the user's session cookie, and even without one it comes from
//! a machine that may be let in where that site is not (a daemon on loopback lets in whoever is on it). True here:
//! - A request with `Authorization: Bearer` passes: no browser adds that by itself.
//! - So does one in which nothing tells of a browser: programs send neither `Origin` nor `Sec-Fetch-Site`.
//! - A page whose name was made to lead to this machine is of our own origin: `hosts` knows it by the name.
//! - `Sec-Fetch-Site` is the browser's own judgement, which no page can write, so it counts first; what came through a
//!   proxy that changes `Host` passes by it as well.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::catalogue::Code;
use super::{Problem, client};
use crate::config::HttpSettings;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a request that does something (`acts`: though it is a `GET`) and was sent by another site's page.
pub(super) fn check(settings: &HttpSettings, request: &HttpRequest, acts: bool) -> Result<(), Problem> {
    if request.method().is_safe() && !acts {
        return Ok(());
    }
    let headers = request.headers();
    if is_bearer(headers) || is_ours(settings, request) {
        return Ok(());
    }
    let site = headers.get(header::ORIGIN).map_or("another site".into(), |origin| {
        let origin: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(100).collect();
        format!("`{origin}`")
    });
    let detail = format!(
        "a page of {site} had a browser send this: only pages of this service may; programs send \
         `Authorization: Bearer <token>`, or no `Origin`; behind a proxy see `http.public_url`"
    );
    Err(Problem::new(Code::CrossOrigin, detail))
}

fn is_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

fn is_ours(settings: &HttpSettings, request: &HttpRequest) -> bool {
    let headers = request.headers();
    let mut origins = headers.get_all(header::ORIGIN);
    let (origin, twice) = (origins.next(), origins.next().is_some());
    if twice {
        return false;
    }
    let origin = origin.map(|origin| origin.to_str().unwrap_or_default());
    let public = settings.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    if origin.is_some() && origin.map(str::to_ascii_lowercase) == public {
        return true;
    }
    match (headers.get(FETCH_SITE).map(HeaderValue::as_bytes), origin) {
        // `none`: typed by the user, or a bookmark.
        (Some(site), _) => site == b"same-origin" || site == b"none",
        (None, None) => true,
        (None, Some(origin)) => is_host(origin, headers, client::is_secure(settings, request)),
    }
}

/// Whether the origin is where the request went. Where TLS is known to be used, a page without it is another's.
fn is_host(origin: &str, headers: &HeaderMap, secure: bool) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    (scheme == "https" || (scheme == "http" && !secure))
        && !host.is_empty()
        && authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::config::{LoadOptions, Settings};

    fn settings(public_url: &str) -> HttpSettings {
        let mut env = std::collections::BTreeMap::new();
        env.insert("GRISTMILL__HTTP__PUBLIC_URL".into(), public_url.into());
        let options = LoadOptions { files: Vec::new(), directory: "no such folder".into(), env };
        Settings::load(options).unwrap().settings.http
    }

    fn passes(public_url: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let mut request = TestRequest::post().uri("/tasks").insert_header(("host", "mill.example:5000"));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        check(&settings(public_url), &request.to_http_request(), false).is_ok()
    }

    #[test]
    fn pages_of_ours_and_programs_pass_and_pages_of_others_do_not() {
        let fetched = "sec-fetch-site";
        for (public_url, headers, expected) in [
            ("", &[][..], true),
            ("", &[("origin", "http://mill.example:5000")], true),
            ("", &[("origin", "http://MILL.example:5000")], true),
            ("", &[("origin", "https://mill.example:5000")], true),
            ("", &[("origin", "http://mill.example")], false),
            ("", &[("origin", "http://mill.example:5001")], false),
            ("", &[("origin", "http://evil.example")], false),
            ("", &[("origin", "http://mill.example:5000.evil.example")], false),
            ("", &[("origin", "null")], false),
            ("", &[("origin", "")], false),
            ("", &[("origin", "file://")], false),
            ("", &[("origin", "ftp://mill.example:5000")], false),
            ("", &[("origin", "http://mill.example:5000"), ("origin", "http://evil.example")], false),
            // What the browser says of itself.
            ("", &[(fetched, "cross-site")], false),
            ("", &[(fetched, "same-site")], false),
            ("", &[(fetched, "same-origin")], true),
            ("", &[(fetched, "none")], true),
            ("", &[(fetched, "cross-site"), ("origin", "http://mill.example:5000")], false),
            // A proxy that changes `Host`.
            ("", &[(fetched, "same-origin"), ("origin", "https://front.example")], true),
            ("https://front.example/mill/", &[("origin", "https://front.example")], true),
            ("https://front.example", &[("origin", "http://front.example")], false),
            ("https://front.example", &[("origin", "https://mill.example:5000")], true),
            ("https://front.example", &[("origin", "http://mill.example:5000")], false),
            ("https://front.example", &[("origin", "https://evil.example")], false),
            // No browser adds a token by itself, but it does add a password that it knows.
            ("", &[("origin", "http://evil.example"), ("authorization", "Bearer x")], true),
            ("", &[("origin", "http://evil.example"), ("authorization", "Basic x")], false),
        ] {
            assert_eq!(passes(public_url, headers), expected, "{public_url} {headers:?}");
        }
    }

    #[test]
    fn reading_is_for_everybody_unless_it_does_something() {
        let evil = || TestRequest::get().insert_header(("origin", "http://evil.example")).to_http_request();
        assert!(check(&settings(""), &evil(), false).is_ok());
        assert!(check(&settings(""), &evil(), true).is_err());
    }
}
