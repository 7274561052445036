//! `/admin/recordings`: the recordings of all, the newest first.

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
use crate::http::pages::words::written::{size, status, status_class};
use crate::http::{Problem, State};
use crate::store::Recording;
use crate::task::{Role, TaskId};

/// A line of the list.
struct Line {
    task: TaskId,
    choose: String,
    id: String,
    filename: String,
    owner: Owner,
    status: &'static str,
    status_class: &'static str,
    original: String,
    mp3: String,
    created: Moment,
}

#[derive(Template)]
#[template(path = "admin/recordings.html")]
struct RecordingsPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static ListWords,
    lines: Vec<Line>,
    wanted: String,
    here: String,
}

/// A page of them.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (caller, frame, mut chrome) = enter(&state, &request, Tab::Recordings).await?;
    let Wanted { whose, owner: wanted, after } = Wanted::of(&request)?;
    let mut found = state.store.recordings(whose.unwrap_or(caller), after, LINES + 1).await?;
    let last = paging::cut(&mut found, |recording| recording.task.life.id.0);
    chrome.first = paging::first(&request);
    chrome.next = last.map(|last| paging::next(&request, last));
    let w = ListWords::of(frame.language());
    let page = RecordingsPage {
        lines: found.iter().map(|recording| line(&frame, w, recording)).collect(),
        here: frame.here.clone(),
        frame: frame.live(super::LIVE, None),
        chrome,
        w,
        wanted,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn line(frame: &Frame, w: &ListWords, recording: &Recording) -> Line {
    let language = frame.language();
    let now = recording.task.life.status();
    let bytes = |role: Role| recording.blob(role).map(|blob| size(language, blob.bytes)).unwrap_or_default();
    Line {
        task: recording.task.life.id,
        choose: filled(w.choose_recording, &[&recording.filename]),
        id: recording.id.to_string(),
        filename: recording.filename.clone(),
        owner: owner(frame, w.nobody, recording.owner),
        status: status(language, now),
        status_class: status_class(now),
        original: bytes(Role::Input),
        mp3: bytes(Role::Output),
        created: Moment::of(frame.language(), recording.task.created_at),
    }
}
