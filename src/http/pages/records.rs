//! `/records` and `/records/{id}` for people: recordings are sent or made, converted, played and removed.
//!
//! True here: what is sent, listed and removed is so by the functions of the API, with its rights. The page of a recording
//! is its owner's and admins'; who has only the link to the MP3 fetches that.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::assets::Asset;
use super::confirm::{self, Ask, SURE};
use super::form::Form;
use super::frame::{Frame, Section, Visitor};
use super::preferences::Look;
use super::tasks::Moment;
use super::told::{self, Told};
use super::words::filled;
use super::words::frame::ConfirmWords;
use super::words::records::RecordWords;
use super::words::written::{size, span, status, status_class};
use super::{next_page, see_other};
use crate::account::{Access, Caller};
use crate::http::extract::{self, Query};
use crate::http::listing::Cut;
use crate::http::upload::Unproven;
use crate::http::{Problem, State, auth, recordings, records};
use crate::media::report::Language;
use crate::store::Recording;
use crate::task::{Role, State as Stage, Status, Task, TaskId, UserId};

/// How many recordings a page has.
const PAGE: u32 = 50;

/// The height of the drawing of a recording, in its own units: as loud as can be reaches from the middle to the edges.
const HEIGHT: u32 = 512;

/// What a conversion tells of the recording, as far as a player cares. Older ones told less.
#[derive(Default, Deserialize)]
struct Converted {
    #[serde(default)]
    duration_ms: Option<u64>,
    #[serde(default)]
    peaks: Vec<u8>,
    #[serde(default)]
    notes: Vec<String>,
}

impl Converted {
    fn of(task: &Task) -> Self {
        match &task.life.state {
            Stage::Completed { result, .. } => serde_json::from_str(result.as_str()).unwrap_or_default(),
            Stage::New { .. } | Stage::InProgress { .. } | Stage::Failed { .. } | Stage::Cancelled { .. } => {
                Self::default()
            }
        }
    }

    fn length(&self, language: Language) -> Option<String> {
        self.duration_ms.map(|millis| span(language, Duration::from_millis(millis)))
    }
}

/// The drawing of a recording: the commands of one path, mirrored at the middle, a bar a peak.
fn drawing(peaks: &[u8]) -> String {
    use std::fmt::Write as _;
    let middle = HEIGHT / 2;
    let mut path = String::with_capacity(peaks.len() * 24);
    for (at, peak) in peaks.iter().enumerate() {
        // Silence is a line, not a hole.
        let half = u32::from(*peak).max(2);
        let _ = write!(path, "M{at} {}h.8v{}h-.8z", middle - half, 2 * half);
    }
    path
}

/// A recording in a list.
struct Row {
    page: String,
    filename: String,
    length: Option<String>,
    status: &'static str,
    class: &'static str,
    progress: Option<u8>,
    sent: Moment,
}

impl Row {
    fn of(language: Language, recording: &Recording) -> Self {
        let life = &recording.task.life;
        Self {
            page: format!("/records/{}", recording.id),
            filename: recording.filename.clone(),
            length: Converted::of(&recording.task).length(language),
            status: status(language, life.status()),
            class: status_class(life.status()),
            progress: running(&recording.task),
            sent: Moment::of(language, recording.task.created_at),
        }
    }
}

/// How far the conversion is, while it runs.
fn running(task: &Task) -> Option<u8> {
    let runs = task.life.status() == Status::InProgress;
    task.life.progress.filter(|_| runs).map(|percent| percent.get())
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    frame: Frame,
    w: &'static RecordWords,
    told: Option<Told>,
    whose: &'static str,
    deleted: bool,
    limit: String,
    too_large: String,
    max_bytes: u64,
    rows: Vec<Row>,
    next: Option<String>,
    later: bool,
}

async fn records_page(
    state: &State,
    request: &HttpRequest,
    caller: Caller,
    (after, limit): (Option<TaskId>, u32),
    told: Option<Told>,
) -> Result<RecordsPage, Problem> {
    let Cut { page: recordings, next } = recordings::page(state, caller, after, limit).await?;
    let language = Look::of(request).language;
    let w = RecordWords::of(language);
    let visitor = Visitor::of(state, caller).await?;
    let most = size(language, state.records.max_bytes.bytes());
    Ok(RecordsPage {
        frame: Frame::new(request, visitor, Section::Records, w.title).live("/events", None),
        w,
        told,
        whose: if caller.is_admin() { w.all } else { w.own },
        deleted: false,
        limit: filled(w.limit, &[&most]),
        too_large: filled(w.too_large, &[&most]),
        max_bytes: state.records.max_bytes.bytes(),
        rows: recordings.iter().map(|recording| Row::of(language, recording)).collect(),
        next: next.map(|last| next_page(request, last)),
        later: after.is_some(),
    })
}

/// The recordings of whoever asks, and the ways to send another.
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["limit", "after", "user_id", "done"]);
    let limit = if query.text("limit").is_some() { query.limit() } else { PAGE };
    let after = query.parsed("after", |text| extract::number(text).map(TaskId));
    let (named, deleted) = (query.user_id(), query.text("done") == Some("deleted"));
    query.finish()?;
    let caller = auth::caller(&state, &request, named).await?;
    let page = records_page(&state, &request, caller, (after, limit), None).await?;
    Frame::answer(&RecordsPage { deleted, ..page }, StatusCode::OK)
}

/// Takes a recording, and leads to its page without waiting for the conversion.
pub(super) async fn send(
    state: Data<State>,
    unproven: Data<Unproven>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let problem = match records::receive(&state, &unproven, &request, body).await {
        Ok((taken, _, _)) => return see_other(&format!("/records/{}", taken.id)),
        Err(problem) => problem,
    };
    let Some(told) = Told::of(&request, &problem) else { return Err(problem) };
    let caller = auth::caller(&state, &request, None).await?;
    let page = records_page(&state, &request, caller, (None, PAGE), Some(told)).await?;
    Err(told::rendered(problem, &page))
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    frame: Frame,
    w: &'static RecordWords,
    row: Row,
    id: String,
    /// Where the MP3 is, once it is made, for this page and for others.
    mp3: Option<(String, String)>,
    wav: Option<String>,
    wave: Option<(usize, String)>,
    bytes: Option<String>,
    notes: Vec<String>,
    error: Option<String>,
    retry: bool,
    owner: Option<UserId>,
    task: TaskId,
    ended: bool,
}

impl RecordPage {
    fn height(&self) -> u32 {
        HEIGHT
    }
}

/// The recording in the path, for whoever may see its page.
async fn find(state: &State, request: &HttpRequest) -> Result<(Caller, Recording), Problem> {
    let caller = auth::caller(state, request, None).await?;
    if !Access::Users.allows(caller, None, None) {
        let detail = "the page of a recording is its owner's: log in to see it";
        return Err(Problem::new(crate::http::catalogue::Code::Unauthenticated, detail));
    }
    let recording = recordings::find(state, request).await?;
    let recording = recording.filter(|recording| Access::Owner.allows(caller, recording.owner, None));
    recording.map(|recording| (caller, recording)).ok_or_else(|| recordings::no_recording(request))
}

/// A recording: how far its conversion is, then the player.
pub(super) async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let (caller, recording) = find(&state, &request).await?;
    let language = Look::of(&request).language;
    let w = RecordWords::of(language);
    let visitor = Visitor::of(&state, caller).await?;
    let life = &recording.task.life;
    let stage = life.status();
    let converted = Converted::of(&recording.task);
    let place = recording.owner.map(|owner| format!("/record?id={}&user={owner}", recording.id));
    let made = recording.blob(Role::Output).filter(|_| stage == Status::Completed);
    let mp3 = made.and(place.clone()).zip(recording.owner).map(|(place, owner)| {
        let link = records::link(&state, &request, recording.id, owner);
        (place, link)
    });
    let original = recording.blob(Role::Input).and(place).map(|place| format!("{place}&format=wav"));
    let waits = (!stage.is_terminal()).then_some(3);
    let failed = matches!(stage, Status::Failed | Status::Cancelled);
    let page = RecordPage {
        frame: Frame::new(&request, visitor, Section::Records, recording.filename.clone())
            .live(format!("/tasks/{}/events", life.id), waits),
        w,
        row: Row::of(language, &recording),
        id: recording.id.to_string(),
        mp3,
        wav: original,
        wave: (!converted.peaks.is_empty()).then(|| (converted.peaks.len(), drawing(&converted.peaks))),
        bytes: made.map(|blob| size(language, blob.bytes)),
        notes: converted.notes,
        error: life.error.as_ref().filter(|_| failed).map(|failure| failure.message.clone()),
        retry: failed,
        owner: recording.owner,
        task: life.id,
        ended: stage.is_terminal(),
    };
    Frame::answer(&page, StatusCode::OK)
}

/// Removes a recording.
pub(super) async fn delete(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let form = Form::read(&state, &request, body, &[SURE]).await?;
    form.finish()?;
    let (caller, recording) = find(&state, &request).await?;
    if form.text(SURE).is_none() {
        let language = Look::of(&request).language;
        let question = Ask {
            section: Section::Records,
            question: ConfirmWords::of(language).recording.to_owned(),
            what: Some(recording.filename),
            hint: RecordWords::of(language).delete_hint,
            action: format!("/records/{}/delete", recording.id),
            fields: Vec::new(),
            back: format!("/records/{}", recording.id),
        };
        return confirm::page(&state, &request, caller, question).await;
    }
    recordings::remove(&state, caller, recording).await?;
    see_other("/records?done=deleted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_has_a_bar_for_each_peak_within_its_height() {
        assert_eq!(drawing(&[]), "");
        assert_eq!(drawing(&[0, 255]), "M0 254h.8v4h-.8zM1 1h.8v510h-.8z");
    }
}
