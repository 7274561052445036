//! Whether a client would rather have a page than JSON.
//!
//! Called by the answer to a problem, and by the guards of the pages.

use actix_web::http::header::{self, HeaderMap};

/// Whether the client would rather have HTML: it names `text/html`, and gives JSON less (RFC 9110, 12.5.1).
pub(super) fn preferred(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    // A program that takes anything has not asked for pages, so of HTML only the name counts.
    let html = weight(accept, &["text/html", "application/xhtml+xml"]).unwrap_or(0.0);
    let json = weight(accept, &["application/json", "application/problem+json"])
        .or_else(|| weight(accept, &["application/*"]))
        .or_else(|| weight(accept, &["*/*"]))
        .unwrap_or(0.0);
    html > json
}

/// The highest weight that `accept` gives to one of `types` by name; `None` where it names none.
fn weight(accept: &str, types: &[&str]) -> Option<f32> {
    let mut highest = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if types.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)) {
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            highest = Some(highest.map_or(weight, |highest: f32| highest.max(weight)));
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_browser_prefers_the_page_and_programs_do_not() {
        let prefers = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_bytes(accept.as_bytes()).unwrap());
            preferred(&headers)
        };
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(prefers("text/html;q=0.9, application/json;q=0.5"));
        assert!(prefers("text/html, application/json;q=0"));
        assert!(prefers("text/html"));
        for program in [
            "*/*",
            "application/json",
            "text/html;q=0",
            "application/json, text/html;q=0.9",
            "application/json, text/html",
            "text/html;q=0.5, application/problem+json;q=0.5",
            "text/html;q=0.5, */*",
            "ж",
        ] {
            assert!(!prefers(program), "{program}");
        }
        assert!(!preferred(&HeaderMap::new()));
    }
}
