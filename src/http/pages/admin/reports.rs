//! `/admin/reports`: the reports of all, the newest first.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::notice::NAME as TOLD;
use super::paging::{self, LINES};
use super::{Chrome, Tab, enter};
use crate::http::extract::Query;
use crate::http::pages::assets::Asset;
use crate::http::pages::frame::Frame;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::ListWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::{size, status, status_class};
use crate::http::{Problem, State};
use crate::store::ReportLine;
use crate::task::{Status, TaskId};

/// A line of the list.
struct Line {
    task: TaskId,
    choose: String,
    href: Option<String>,
    id: String,
    owner: String,
    owner_href: String,
    status: &'static str,
    status_class: &'static str,
    bytes: String,
    created: Moment,
    expires: Moment,
}

#[derive(Template)]
#[template(path = "admin/reports.html")]
struct ReportsPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static ListWords,
    lines: Vec<Line>,
    here: String,
}

/// A page of them.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, mut chrome) = enter(&state, &request, Tab::Reports).await?;
    let mut query = Query::of(&request, &["after", TOLD]);
    let after = paging::after(&mut query).map(TaskId);
    query.finish()?;
    let mut found = state.store.report_lines(after, LINES + 1).await?;
    let last = paging::cut(&mut found, |report| report.task.0);
    chrome.first = paging::first(&request);
    chrome.next = last.map(|last| paging::next(&request, last));
    let w = ListWords::of(frame.language());
    let page = ReportsPage {
        lines: found.iter().map(|report| line(&frame, w, report)).collect(),
        here: frame.here.clone(),
        frame: frame.live(super::LIVE, None),
        chrome,
        w,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn line(frame: &Frame, w: &ListWords, report: &ReportLine) -> Line {
    let language = frame.language();
    Line {
        task: report.task,
        choose: filled(w.choose_report, &[&report.id.to_string()]),
        href: (report.status == Status::Completed).then(|| format!("/reports/{}", report.id)),
        id: report.id.to_string(),
        owner: frame.user(report.owner),
        owner_href: format!("/users/{}", report.owner),
        status: status(language, report.status),
        status_class: status_class(report.status),
        bytes: report.bytes.map(|bytes| size(language, bytes)).unwrap_or_default(),
        created: Moment::of(frame.language(), report.created_at),
        expires: Moment::of(frame.language(), report.expires_at),
    }
}
