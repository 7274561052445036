//! The page that asks whether somebody means it: before anything is removed, and before much is changed at once.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::Chrome;
use crate::http::Problem;
use crate::http::pages::assets::Asset;
use crate::http::pages::frame::Frame;

/// The field by which the form comes back as meant.
pub(super) const CONFIRMED: &str = "confirmed";

#[derive(Template)]
#[template(path = "admin/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    chrome: Chrome,
    ask: Ask,
}

/// What is asked.
pub(super) struct Ask {
    /// The question.
    pub(super) question: String,
    /// What goes with it, and cannot be had back.
    pub(super) warning: Option<&'static str>,
    /// What the button says that means yes.
    pub(super) yes: &'static str,
    /// Whether something is lost by it.
    pub(super) danger: bool,
    /// Where the form goes.
    pub(super) action: String,
    /// What it says besides that it is meant.
    pub(super) fields: Vec<(String, String)>,
    /// Where whoever does not mean it goes.
    pub(super) back: String,
}

/// Asks.
pub(super) fn page(frame: Frame, chrome: Chrome, ask: Ask) -> Result<HttpResponse, Problem> {
    Frame::answer(&ConfirmPage { frame, chrome, ask }, StatusCode::OK)
}
