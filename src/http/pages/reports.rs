//! `/reports/{uuid}` for people: how far a report is, and then the report itself.
//!
//! True here: whoever has the link may look, as in the API; what the task is called and its stream of events are only for
//! those who may see the task, the others look again every few seconds.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets::Asset;
use super::frame::{Frame, Section, Visitor};
use super::preferences::Look;
use super::words::tasks::ReportWords;
use super::words::written::status;
use crate::http::{Problem, State, auth, links, reports};
use crate::task::{ReportId, Status, TaskId};

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    w: &'static ReportWords,
    status: &'static str,
    progress: Option<u8>,
    link: String,
    task: Option<TaskId>,
}

/// The report, or how far it is.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id: Option<ReportId> = request.match_info().get("id").and_then(|id| id.parse().ok());
    let report = match id {
        Some(id) => state.store.report(id).await?,
        None => None,
    };
    let report = report.filter(|report| match report.task.life.status() {
        Status::New | Status::InProgress => true,
        Status::Completed | Status::Failed | Status::Cancelled => false,
    });
    // What is ready, came to nothing, or is not there, is the same for all.
    let Some(report) = report else { return reports::get(state, request).await };
    let caller = auth::caller(&state, &request, None).await?;
    let language = Look::of(&request).language;
    let w = ReportWords::of(language);
    let frame = Frame::new(&request, Visitor::of(&state, caller).await?, Section::Profile, w.title);
    let task = &report.task;
    let sees = caller.may_see(task.life.owner, task.life.assignee);
    let page = ReportPage {
        frame: if sees {
            frame.live(format!("/tasks/{}/events", task.life.id), Some(2))
        } else {
            frame.polled(2)
        },
        w,
        status: status(language, task.life.status()),
        progress: task.life.progress.map(|percent| percent.get()),
        link: format!("{}{}", links::base(&state, &request), reports::link(report.id)),
        task: sees.then_some(task.life.id),
    };
    Frame::answer(&page, StatusCode::ACCEPTED)
}
