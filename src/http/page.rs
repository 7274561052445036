//! The page that a browser gets instead of a problem document. Self-contained; everything in it is escaped.

use actix_web::http::header::{self, HeaderMap};

use super::catalogue::Code;

/// What the page may load: nothing but its own style.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

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

/// The page.
pub(super) fn of_problem(code: Code, detail: &str, request_id: &str) -> String {
    let status = code.status();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{number} {title}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem;color:#222;\
         background:#fff}}small{{color:#666}}@media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}\
         small{{color:#999}}}}</style></head>\
         <body><h1>{title}</h1><p>{detail}</p>\
         <p><small>{number} · {code} · request {id}</small></p></body></html>\n",
        number = status.as_u16(),
        title = escaped(code.title()),
        detail = escaped(detail),
        code = code.as_str(),
        id = escaped(request_id),
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
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

    #[test]
    fn nothing_in_the_page_is_taken_for_markup() {
        let page = of_problem(Code::NotFound, "<script>alert('1')</script>&\"", "<id>");
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;"), "{page}");
        assert!(page.contains("request &lt;id&gt;"), "{page}");
    }
}
