//! Pages: what stands around all of them, and the first one. A file a theme below.

mod entry;
mod images;
mod records;
mod tasks;

use gristmill::http::Code;

use crate::client::Answer;
use crate::harness::{Daemon, Wishes, start};
use crate::store::Fault;

/// What a browser accepts.
pub(crate) const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// What a form without files is sent as.
const FORM: &str = "application/x-www-form-urlencoded";

fn encoded(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// Looks at a page as a browser does.
pub(crate) async fn look(daemon: &Daemon, path: &str, headers: &[(&str, &str)]) -> Answer {
    daemon
        .ask("GET", path, |request| {
            headers
                .iter()
                .fold(request.header("accept", HTML), |request, (name, value)| request.header(*name, *value))
        })
        .await
}

/// Checks what is true of every page, and gives its text.
#[track_caller]
pub(crate) fn page(answer: &Answer, status: u16) -> String {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("vary"), "accept, accept-language, cookie");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"), "{text}");
    text
}

/// Looks at a page in both languages: each has its own words, and no other.
pub(crate) async fn in_both(daemon: &Daemon, path: &str, cookie: &str, en: &str, ru: &str) -> String {
    let cookie = [("cookie", cookie)];
    let headers: Vec<_> = cookie.into_iter().filter(|(_, cookie)| !cookie.is_empty()).collect();
    let mut pages = Vec::new();
    for language in ["en", "ru"] {
        let with = [headers.as_slice(), &[("accept-language", language)]].concat();
        let text = page(&look(daemon, path, &with).await, 200);
        assert!(text.contains(&format!("<html lang=\"{language}\"")), "{path}");
        pages.push(text);
    }
    assert!(pages[0].contains(en) && !pages[0].contains(ru), "{path}: {}", pages[0]);
    assert!(pages[1].contains(ru) && !pages[1].contains(en), "{path}: {}", pages[1]);
    pages.swap_remove(0)
}

/// A user with a password, and their session.
pub(crate) async fn user(daemon: &Daemon, name: &str) -> (i64, String) {
    let body = serde_json::json!({"name": name, "password": PASSWORD});
    let id = daemon.post("/users", &body.to_string()).await.json(201)["id"].as_i64().unwrap();
    (id, daemon.log_in(&serde_json::json!({"id": id, "password": PASSWORD})).await)
}

pub(crate) const PASSWORD: &str = "correct horse";

/// Sends a form with files as a browser without scripts does.
pub(crate) async fn send_files(
    daemon: &Daemon,
    path: &str,
    cookie: &str,
    files: &[(&str, Vec<u8>)],
) -> Answer {
    let form = files.iter().fold(reqwest::multipart::Form::new(), |form, (name, bytes)| {
        form.part("file", reqwest::multipart::Part::bytes(bytes.clone()).file_name((*name).to_owned()))
    });
    daemon
        .ask("POST", path, |request| {
            let request = request.header("accept", HTML).header("origin", daemon.url("")).multipart(form);
            if cookie.is_empty() { request } else { request.header("cookie", cookie) }
        })
        .await
}

/// Checks that the form was done, and gives where it leads.
#[track_caller]
pub(crate) fn led_to(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let place = answer.header("location");
    assert!(place.starts_with('/') && !place.starts_with("//"), "{place}");
    place.to_owned()
}

/// Checks that it is the page of that problem, and gives its text.
#[track_caller]
pub(crate) fn problem_page(answer: &Answer, code: Code) -> String {
    let text = page(answer, code.status().as_u16());
    assert!(text.contains(&format!("<code>{}</code>", code.as_str())), "{text}");
    text
}

/// Sends a form as a browser without scripts does.
pub(crate) async fn send(daemon: &Daemon, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
    daemon
        .ask("POST", path, |request| {
            let request = request.header("accept", HTML).header("origin", daemon.url(""));
            let request = request.header("content-type", FORM).body(encoded(form));
            if cookie.is_empty() { request } else { request.header("cookie", cookie) }
        })
        .await
}

#[tokio::test]
async fn the_first_page_says_what_there_is_in_both_languages_and_the_limits_of_the_settings() {
    let daemon = start(Wishes { settings: vec![("images.max_bytes", "3 MiB")], ..Wishes::default() }).await;
    let english = page(&look(&daemon, "/", &[]).await, 200);
    assert!(english.contains("<html lang=\"en\">") && english.contains("Welcome"), "{english}");
    assert!(english.contains(".jpg .png .gif, up to 3\u{a0}MiB each."), "{english}");
    let russian = page(&look(&daemon, "/", &[("accept-language", "ru")]).await, 200);
    assert!(russian.contains("<html lang=\"ru\">") && russian.contains("Добро пожаловать"), "{russian}");
    for link in ["/upload", "/images/", "/records", "/quiz", "/tasks", "/login", "/sign-up"] {
        assert!(english.contains(&format!("href=\"{link}\"")), "{link}");
    }
    // Whatever asks, there is nothing else at `/`.
    assert!(daemon.get("/").await.text().starts_with("<!doctype html>"));
}

#[tokio::test]
async fn the_choice_of_language_and_colours_is_kept_and_leads_back() {
    let daemon = start(Wishes::default()).await;
    let send = async |form: &[(&str, &str)]| send(&daemon, "/preferences", "", form).await;
    let set = send(&[("language", "ru"), ("theme", "dark"), ("back", "/tasks?status=New")]).await;
    assert_eq!((set.status, set.header("location")), (303, "/tasks?status=New"));
    let cookies: Vec<&str> =
        set.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        assert!(cookie.ends_with("; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"), "{cookie}");
    }
    let seen = page(&look(&daemon, "/", &[("cookie", "language=ru; theme=dark")]).await, 200);
    assert!(seen.contains("<html lang=\"ru\" data-theme=\"dark\">"), "{seen}");
    for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", ""] {
        let answer = send(&[("theme", "auto"), ("back", elsewhere)]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{elsewhere}");
        assert!(answer.header("set-cookie").starts_with("theme=auto; Path=/; Max-Age=0;"));
    }
    problem_page(&send(&[("language", "de")]).await, Code::InvalidForm);
    problem_page(&send(&[("colour", "red")]).await, Code::InvalidForm);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let daemon = start(Wishes::default()).await;
    let answer = daemon
        .ask("POST", "/preferences", |request| {
            request
                .header("accept", HTML)
                .header("origin", "https://evil.example")
                .header("content-type", FORM)
                .body(encoded(&[("theme", "dark")]))
        })
        .await;
    problem_page(&answer, Code::CrossOrigin);
    assert!(answer.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn assets_are_there_for_ever_under_their_digest_and_nowhere_else() {
    let daemon = start(Wishes::default()).await;
    let home = look(&daemon, "/", &[]).await.text();
    let links: Vec<&str> =
        home.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 3, "{home}");
    for name in links {
        let asset = daemon.get(&format!("/assets/{name}")).await;
        assert_eq!(asset.status, 200, "{name}");
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
        let kind = asset.header("content-type");
        assert!(
            ["text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/svg+xml"].contains(&kind),
            "{kind}"
        );
    }
    for none in ["style.css", "style.0000000000000000.css", "..%2fCargo.toml"] {
        daemon.get(&format!("/assets/{none}")).await.problem(Code::NotFound);
    }
}

#[tokio::test]
async fn a_problem_looks_like_the_rest_speaks_the_language_and_needs_no_database() {
    let daemon = start(Wishes::default()).await;
    let russian = page(&look(&daemon, "/nowhere", &[("accept-language", "ru")]).await, 404);
    assert!(russian.contains("Такой страницы нет") && russian.contains("<nav"), "{russian}");
    daemon.store.set(Fault::Unavailable);
    let cookie = format!("gristmill_session={}", "0b8b6a2e-6f0d-4f6c-9a6e-3f1a6f7f5b11");
    let english = page(&look(&daemon, "/", &[("cookie", &cookie)]).await, 503);
    assert!(english.contains("Try it again in a moment.") && english.contains("/logout"), "{english}");
}

#[tokio::test]
async fn who_has_to_log_in_first_is_led_there_and_programs_are_told() {
    let daemon = start(Wishes { settings: vec![("auth.anonymous", "false")], ..Wishes::default() }).await;
    let led = look(&daemon, "/tasks?status=New", &[]).await;
    assert_eq!((led.status, led.header("location")), (303, "/login?next=%2Ftasks%3Fstatus%3DNew"));
    daemon.get("/tasks?status=New").await.problem(Code::Unauthenticated);
    let home = page(&look(&daemon, "/", &[]).await, 200);
    assert!(home.contains("To use it, log in or sign up."), "{home}");
}
