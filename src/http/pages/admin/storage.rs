//! `/admin/storage`: what is kept here, how much it takes, and how much room is left.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{Chrome, Tab, enter};
use crate::account::Holding;
use crate::http::extract::Query;
use crate::http::pages::assets::Asset;
use crate::http::pages::frame::Frame;
use crate::http::pages::words::admin::StorageWords;
use crate::http::pages::words::written::{number, size};
use crate::http::{Problem, State};

/// A line of the table.
struct Line {
    name: &'static str,
    href: Option<&'static str>,
    count: String,
    bytes: String,
}

#[derive(Template)]
#[template(path = "admin/storage.html")]
struct StoragePage {
    frame: Frame,
    chrome: Chrome,
    w: &'static StorageWords,
    lines: Vec<Line>,
    total: Line,
    database: String,
    /// Free, and all; or why that is not known.
    room: Result<RoomLine, String>,
}

/// The room on the disk.
struct RoomLine {
    free: String,
    total: String,
    /// How much is taken, in percent.
    taken: u64,
    /// Whether it is getting scarce.
    scarce: bool,
}

/// The sums.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, chrome) = enter(&state, &request, Tab::Storage).await?;
    Query::of(&request, &[]).finish()?;
    let sums = state.backstage.storage(&state).await?;
    let room = state.backstage.room().await;
    let language = frame.language();
    let w = StorageWords::of(language);
    let line = |name: &'static str, href: Option<&'static str>, holding: Holding| Line {
        name,
        href,
        count: number(language, holding.count),
        bytes: size(language, holding.bytes),
    };
    let room = room.map(|room| {
        let taken = 100 - room.free.saturating_mul(100).checked_div(room.total).unwrap_or(0).min(100);
        let (free, total) = (size(language, room.free), size(language, room.total));
        RoomLine { free, total, taken, scarce: room.is_scarce() }
    });
    let page = StoragePage {
        lines: vec![
            line(w.images, Some("/admin/images"), sums.images),
            line(w.originals, Some("/admin/recordings"), sums.originals),
            line(w.mp3s, Some("/admin/recordings"), sums.mp3s),
            line(w.reports, Some("/admin/reports"), sums.reports),
            line(w.pictures, None, sums.pictures),
            line(w.avatars, Some("/admin/users"), sums.avatars),
            line(w.others, None, sums.others),
        ],
        total: line(w.blobs, None, sums.blobs),
        database: size(language, sums.database),
        room,
        frame: frame.polled(super::REFRESH),
        chrome,
        w,
    };
    Frame::answer(&page, StatusCode::OK)
}
