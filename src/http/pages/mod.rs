//! The pages: what a person sees of the daemon, rendered by it from templates that are compiled into it.
//!
//! Called by `routes`, which puts the lines of [`all`] beside those of the API. A page asks and changes things by the same
//! functions as the API, with the same rights. True here: every page works without a script; scripts make it live. Text
//! of users is escaped by the templates, and stands in a `<bdi>` so that its direction stays its own.
//!
//! - `frame` is what stands around each page, with the headers of the answer; `preferences` its language and colours;
//!   `problem` the page of an error; `assets` what pages load; `form` reads what they send.
//! - `home`, `entry`, `profile`, `images`, `records`, `quiz`, `tasks`, `reports`: a file a page, or a few that belong
//!   together; `tools` is for programs that people have, `swagger` the page of the API's document; `told` is a problem
//!   beside the form that was refused, `confirm` the question before something is removed, `laid` JSON to be read.
//! - `words` has all that is said; `templates/` the form; `assets/` the style and the scripts, one a concern.
//!
//! # To add a page
//!
//! 1. Its words: a `words! { ... }` in a file of `words/` (a theme a file), named in `words/mod.rs` and in its test.
//! 2. Its template in `templates/`: `{% extends "frame.html" %}`, a block `main`, and, where it has scripts, a block
//!    `scripts`. No text of its own (a test looks for letters), no `style`, no `on...`: the policy forbids them.
//! 3. Its handler: a struct with `#[derive(Template)]`, `frame: Frame` and `w: &'static ...Words`, answered by
//!    [`Frame::answer`](frame::Frame::answer). `Asset` has to be in scope, since the frame's template names it.
//! 4. Its line in [`PAGES`] (those of `/admin` in a list of their own): [`When::Asked`] where the API has the same path.
//!    What HTML cannot do (DELETE, PATCH) has a `POST` of its own, answered by [`see_other`].
//! 5. Its case in `tests/http/pages.rs`.
//!
//! An element with `data-live` and an `id` is replaced by `live.js` with its newer form whenever the source of the frame
//! ([`Frame::live`](frame::Frame::live)) tells of something.

mod admin;
mod assets;
mod chart;
mod confirm;
mod entry;
mod form;
mod frame;
mod home;
mod images;
mod laid;
mod preferences;
mod problem;
mod profile;
mod quiz;
mod records;
mod reports;
mod swagger;
mod tasks;
mod told;
mod tools;
mod words;

use actix_web::guard::GuardContext;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Route, guard, web};

pub(super) use problem::page as of_problem;

use super::{Problem, State, page};

/// How a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Looked at: `GET`.
    Shown,
    /// Sent a form: `POST`.
    Sent,
}

/// When a request is for the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Always: nothing else has the path.
    Always,
    /// When the client prefers HTML: the API has the same path.
    Asked,
}

/// A page.
pub(super) struct Page {
    pub(super) way: Way,
    pub(super) path: &'static str,
    pub(super) when: When,
    handler: fn() -> Route,
}

const fn shown(path: &'static str, when: When, handler: fn() -> Route) -> Page {
    Page { way: Way::Shown, path, when, handler }
}

const fn sent(path: &'static str, when: When, handler: fn() -> Route) -> Page {
    Page { way: Way::Sent, path, when, handler }
}

/// The pages for everybody.
const PAGES: &[Page] = &[
    shown("/", When::Always, || web::to(home::get)),
    shown("/sign-up", When::Always, || web::to(entry::sign_up_form)),
    sent("/sign-up", When::Always, || web::to(entry::sign_up)),
    shown("/login", When::Always, || web::to(entry::login_form)),
    sent("/login", When::Asked, || web::to(entry::log_in)),
    sent("/logout", When::Asked, || web::to(entry::log_out)),
    shown("/profile", When::Always, || web::to(profile::get)),
    sent("/profile", When::Always, || web::to(profile::change)),
    sent("/profile/password", When::Always, || web::to(profile::change_password)),
    sent("/profile/token", When::Always, || web::to(profile::renew_token)),
    sent("/profile/avatar", When::Always, || web::to(profile::set_avatar)),
    sent("/profile/avatar/delete", When::Always, || web::to(profile::drop_avatar)),
    sent("/profile/report", When::Always, || web::to(profile::report)),
    sent("/profile/delete", When::Always, || web::to(profile::delete)),
    shown("/users/{id}", When::Asked, || web::to(profile::of_user)),
    shown("/upload", When::Always, || web::to(images::upload_form)),
    sent("/upload", When::Asked, || web::to(images::upload)),
    shown("/upload/gristmill.sxcu", When::Always, || web::to(tools::sharex)),
    shown("/images/", When::Asked, || web::to(images::gallery)),
    shown("/images", When::Asked, || web::to(images::gallery)),
    shown("/images/{name}/page", When::Always, || web::to(images::of_image)),
    sent("/images/{name}/delete", When::Always, || web::to(images::delete)),
    shown("/tasks", When::Asked, || web::to(tasks::list)),
    shown("/tasks/{id}", When::Asked, || web::to(tasks::one)),
    sent("/tasks/{id}/cancel", When::Asked, || web::to(tasks::cancel)),
    sent("/tasks/{id}/retry", When::Asked, || web::to(tasks::retry)),
    sent("/tasks/{id}/delete", When::Always, || web::to(tasks::delete)),
    shown("/reports/{id}", When::Asked, || web::to(reports::get)),
    shown("/records", When::Asked, || web::to(records::list)),
    sent("/records", When::Asked, || web::to(records::send)),
    shown("/records/{id}", When::Always, || web::to(records::one)),
    sent("/records/{id}/delete", When::Always, || web::to(records::delete)),
    shown("/quiz", When::Always, || web::to(quiz::get)),
    sent("/quiz", When::Asked, || web::to(quiz::fetch)),
    sent("/preferences", When::Always, || web::to(preferences::set)),
    shown("/assets/{name}", When::Always, || web::to(assets::get)),
    shown("/favicon.ico", When::Always, || web::to(assets::icon)),
    shown("/swagger-ui", When::Always, || web::to(swagger::get)),
    shown("/swagger-ui/", When::Always, || web::to(swagger::lead)),
    shown("/swagger", When::Always, || web::to(swagger::lead)),
    shown("/swagger/", When::Always, || web::to(swagger::lead)),
    shown("/swagger-ui/{file}", When::Always, || web::to(swagger::asset)),
];

/// Every page.
pub(super) fn all() -> impl Iterator<Item = &'static Page> + Clone {
    PAGES.iter().chain(admin::PAGES)
}

impl Page {
    /// The methods that it answers.
    pub(super) fn methods(&self) -> &'static [Method] {
        match self.way {
            Way::Shown => &[Method::GET, Method::HEAD],
            Way::Sent => &[Method::POST],
        }
    }

    /// Its route for one of its methods, with the guard by which it is chosen.
    pub(super) fn route(&self, method: &Method) -> Route {
        let route = (self.handler)().method(method.clone());
        match (self.when, self.way) {
            (When::Always, Way::Shown | Way::Sent) => route,
            (When::Asked, Way::Shown) => route.guard(guard::fn_guard(wants_html)),
            (When::Asked, Way::Sent) => {
                route.guard(guard::fn_guard(|context| wants_html(context) && is_form(context)))
            }
        }
    }
}

/// Whether the client would rather have a page.
fn wants_html(context: &GuardContext<'_>) -> bool {
    page::preferred(&context.head().headers)
}

/// Whether what comes is what a form sends.
fn is_form(context: &GuardContext<'_>) -> bool {
    let headers = &context.head().headers;
    form::has_type(headers, form::URLENCODED) || form::has_type(headers, form::MULTIPART)
}

/// The answer to a form: look there.
fn see_other(place: &str) -> Result<HttpResponse, Problem> {
    let place = HeaderValue::from_str(place).map_err(|error| Problem::internal(error.to_string()))?;
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((header::LOCATION, place)).insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(answer.finish())
}

/// A path of ours, with its query, that somebody wants to be led back to; `None` for whatever a browser could take for
/// another site's.
fn local(text: &str) -> Option<String> {
    const LONGEST: usize = 2_000;
    let mut bytes = text.bytes();
    let ours = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let plain = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (ours && plain).then(|| text.to_owned())
}

/// The address without the token in its query: what is secret does not go into another address.
fn without_token(place: &str) -> String {
    let Some((path, query)) = place.split_once('?') else { return place.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// The page that leads in, and from there to `next`.
fn login_with(next: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    match local(next).map(|next| without_token(&next)).filter(|next| next != "/") {
        Some(next) => format!("/login?{}", query.append_pair("next", &next).finish()),
        None => "/login".to_owned(),
    }
}

/// Where a browser is sent that may not look at something before it has logged in.
pub(super) fn to_login(request: &HttpRequest) -> Option<HttpResponse> {
    see_other(&login_with(&request.uri().to_string())).ok()
}

/// The address of this list from behind `last` on.
fn next_page(request: &HttpRequest, last: i64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        // What is empty says nothing, and what was just done is not done again.
        if !matches!(&*name, "after" | "done") && !value.is_empty() {
            query.append_pair(&name, &value);
        }
    }
    format!("?{}", query.append_pair("after", &last.to_string()).finish())
}

/// The same page, asked for anew: by then the browser has dropped the cookie of a session that is over.
pub(super) fn once_more(request: &HttpRequest) -> Option<HttpResponse> {
    see_other(&local(&request.uri().to_string())?).ok()
}

/// The formats of images that are taken, as their files' names end.
fn formats(state: &State) -> String {
    let names: Vec<String> =
        state.images.formats.iter().map(|format| format!(".{}", format.extension())).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests;
