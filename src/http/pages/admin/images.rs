//! `/admin/images`: the images of all, the newest first.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::paging::{self, LINES, Wanted};
use super::tasks::{Owner, owner};
use super::{Chrome, Tab, enter};
use crate::http::pages::assets::Asset;
use crate::http::pages::frame::Frame;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::ListWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::size;
use crate::http::{Problem, State};
use crate::store::Image;
use crate::task::TaskId;

/// A line of the list.
struct Line {
    task: TaskId,
    choose: String,
    thumbnail: String,
    name: String,
    filename: String,
    format: &'static str,
    width: u32,
    height: u32,
    bytes: String,
    owner: Owner,
    created: Moment,
}

#[derive(Template)]
#[template(path = "admin/images.html")]
struct ImagesPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static ListWords,
    lines: Vec<Line>,
    wanted: String,
    here: String,
}

/// A page of them.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (caller, frame, mut chrome) = enter(&state, &request, Tab::Images).await?;
    let Wanted { whose, owner: wanted, after } = Wanted::of(&request)?;
    let mut found = state.store.images(whose.unwrap_or(caller), after, LINES + 1).await?;
    let last = paging::cut(&mut found, |image| image.task.0);
    chrome.first = paging::first(&request);
    chrome.next = last.map(|last| paging::next(&request, last));
    let w = ListWords::of(frame.language());
    let page = ImagesPage {
        lines: found.iter().map(|image| line(&state, &frame, w, image)).collect(),
        here: frame.here.clone(),
        frame: frame.live(super::LIVE, None),
        chrome,
        w,
        wanted,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn line(state: &State, frame: &Frame, w: &ListWords, image: &Image) -> Line {
    let side = state.images.thumbnail;
    Line {
        task: image.task,
        choose: filled(w.choose_image, &[&image.filename]),
        thumbnail: format!("/images/{}?w={side}&h={side}", image.name),
        name: image.name.to_string(),
        filename: image.filename.clone(),
        format: image.facts.format.as_str(),
        width: image.facts.width,
        height: image.facts.height,
        bytes: size(frame.language(), image.bytes),
        owner: owner(frame, w.nobody, image.owner),
        created: Moment::of(frame.language(), image.created_at),
    }
}
