//! `/`: what the service is, what it can do, and the ways in.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets::Asset;
use super::frame::{Frame, Section, Visitor};
use super::preferences::Look;
use super::words::filled;
use super::words::frame::HomeWords;
use super::words::written::size;
use crate::http::{Problem, State, auth};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    w: &'static HomeWords,
    images_limit: String,
    records_limit: String,
    closed: bool,
}

/// The welcome page.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = auth::caller(&state, &request, None).await?;
    let visitor = Visitor::of(&state, caller).await?;
    let language = Look::of(&request).language;
    let w = HomeWords::of(language);
    let most = |bytes: u64| size(language, bytes);
    let page = HomePage {
        closed: visitor == Visitor::Nobody && !state.auth.anonymous,
        frame: Frame::new(&request, visitor, Section::Home, w.title),
        w,
        images_limit: filled(
            w.images_limit,
            &[&super::formats(&state), &most(state.images.max_bytes.bytes())],
        ),
        records_limit: filled(w.records_limit, &[&most(state.records.max_bytes.bytes())]),
    };
    Frame::answer(&page, StatusCode::OK)
}
