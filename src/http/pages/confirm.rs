//! The page that asks whether somebody means it, before something is removed that cannot be had back.
//!
//! Called by what removes a task, an image or a recording, when the form that came does not say that it is meant. True
//! here: the form of this page is the one that came, and says so besides; whoever does not mean it goes back.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets::Asset;
use super::frame::{Frame, Section, Visitor};
use super::preferences::Look;
use super::words::frame::ConfirmWords;
use crate::account::Caller;
use crate::http::{Problem, State};

/// The field that says that it is meant.
pub(super) const SURE: &str = "sure";

/// What is asked.
pub(super) struct Ask {
    /// Under which entry of the navigation.
    pub(super) section: Section,
    /// The question.
    pub(super) question: String,
    /// What it is about, as its owner called it.
    pub(super) what: Option<String>,
    /// What goes with it.
    pub(super) hint: &'static str,
    /// Where the form goes.
    pub(super) action: String,
    /// What it said besides.
    pub(super) fields: Vec<(&'static str, String)>,
    /// Where whoever does not mean it goes: a path of ours.
    pub(super) back: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    w: &'static ConfirmWords,
    ask: Ask,
}

/// Asks.
pub(super) async fn page(
    state: &State,
    request: &HttpRequest,
    caller: Caller,
    ask: Ask,
) -> Result<HttpResponse, Problem> {
    let w = ConfirmWords::of(Look::of(request).language);
    let visitor = Visitor::of(state, caller).await?;
    let frame = Frame::new(request, visitor, ask.section, ask.question.clone());
    Frame::answer(&ConfirmPage { frame, w, ask }, StatusCode::OK)
}
