//! Reports: ordered for a user, fetched by their link.
//!
//! True here: only a user and admins order a report about that user, and only the user has their e-mail put on it; whoever
//! has the link of a report can fetch it, as long as it is kept.

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::catalogue::Code;
use super::extract::{self, Query};
use super::file::{self, FileSchema, Part, Unread};
use super::filename::{self, Shown};
use super::idempotency::{Key, remembered, replayed};
use super::json;
use super::prefer::{self, PREFERENCE_APPLIED, Wish};
use super::task_view::TaskView;
use super::tasks::{PreferHeader, UserParam, json_answer, location, named};
use super::user_view::called;
use super::users::{UserPath, check_theirs};
use super::{Problem, State, again, auth};
use crate::account::{Caller, User};
use crate::intake::{Done, ReportTerms};
use crate::media::report::Language;
use crate::store::{Accepted, Rate, RememberedAnswer, Reply, Report};
use crate::task::{Attachment, ReportId, Status, Task, Timestamp, UserId};
use crate::telemetry::Action;

/// The members of the body.
const FIELDS: &[&str] = &["language", "time_zone", "days", "contact"];

/// For how many days the work is shown unless said otherwise, and the bounds of what may be said.
const DAYS: i64 = 30;
const DAYS_BOUNDS: (i64, i64) = (7, 90);

/// How the report is to be. May be empty.
#[derive(ToSchema)]
#[schema(as = NewReport, example = json!({"language": "ru", "time_zone": "Europe/Moscow", "days": 30, "contact": true}))]
#[expect(dead_code, reason = "documents what `create` reads")]
pub(super) struct NewReportSchema {
    /// `en` or `ru`; by `Accept-Language` unless said.
    #[schema(pattern = "^(en|ru)$")]
    language: Option<String>,
    /// In which zone times are written, by its name in the IANA database; `reports.time_zone` unless said.
    #[schema(example = "Europe/Moscow")]
    time_zone: Option<String>,
    /// Over how many days the work is shown.
    #[schema(minimum = 7, maximum = 90, default = 30)]
    days: Option<u32>,
    /// Whether the e-mail is on the report: whoever has the link can read it. Only the user themselves may say so.
    #[schema(default = false)]
    contact: Option<bool>,
}

/// A report that was ordered.
#[derive(Serialize, ToSchema)]
#[schema(as = Report, example = json!({
    "id": "2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11", "url": "/reports/2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11",
    "task": {"id": 7, "kind": "report", "status": "Completed", "priority": 0, "attempt": 1, "failures": 0, "crashes": 0,
        "max_attempts": 3, "owner": 3, "tags": [], "created_at": "2026-01-31T12:00:00.000000Z",
        "updated_at": "2026-01-31T12:00:00.020000Z"}
}))]
pub(super) struct ReportView<'a> {
    /// Its name.
    #[schema(value_type = String, format = Uuid)]
    id: ReportId,
    /// Where it is, once it is made. Whoever has the link can fetch it.
    #[schema(example = "/reports/2c1f4f6e-8a2e-4a68-9f58-0c1f5a1d7b11")]
    url: String,
    /// The making of it.
    task: TaskView<'a>,
}

/// Orders a report about a user: a PDF with their profile, counters, work and files, made by whichever node is free.
#[utoipa::path(
    post, path = "/users/{id}/report", operation_id = "createReport", tag = "Reports",
    params(UserPath, UserParam, PreferHeader,
        ("accept-language" = Option<String>, Header, description = "The language where the body names none", example = "ru")),
    request_body(content = NewReportSchema, description = "May be empty."),
    responses(
        (status = 202, description = "Ordered: the link.", body = ReportView<'_>,
            headers(("location" = String, description = "The link"))),
        (status = 201, description = "Made (`wait=N`).", body = ReportView<'_>,
            headers(("location" = String, description = "The link"))),
    ),
)]
pub(super) async fn create(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let user = extract::user_id(&request)?;
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    check_theirs(caller, user)?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let terms = terms_of(&state, request.headers(), &body)?;
    check_contact(caller, user, &terms)?;
    let id = ReportId::fresh();
    let language = terms.language.tag().as_bytes();
    let remember = key.map(|key| {
        key.remember(&request, caller, &[&body, language], move |reply| ordered(id, reply, caller))
    });
    drop(body);
    let about = state.store.user(user).await?;
    // What was ordered before is only told again.
    let answered = match &remember {
        Some(remember) => state.store.is_answered(&remember.scope, &remember.key).await?,
        None => false,
    };
    if !answered {
        about.as_ref().ok_or_else(|| Problem::no_user(user))?;
        spend(&state, user).await?;
    }
    let wish = Wish::of(&request);
    // Who does not ask to wait gets the link at once.
    let patience = wish.patience(&state, std::time::Duration::ZERO);
    match state.intake.report(caller, user, (id, terms), remember).await? {
        Done::Now(task) => {
            write_down(&state, user, about.as_ref());
            let task = prefer::settle(&state, task, patience).await?;
            answer(&state, id, &task, caller, wish)
        }
        Done::Before(before) => ordered_before(&state, before, caller, wish).await,
    }
}

/// Orders a report for a caller who does not wait: its name.
pub(super) async fn order(
    state: &State,
    caller: Caller,
    user: UserId,
    terms: ReportTerms,
) -> Result<ReportId, Problem> {
    check_theirs(caller, user)?;
    check_contact(caller, user, &terms)?;
    let about = state.store.user(user).await?.ok_or_else(|| Problem::no_user(user))?;
    spend(state, user).await?;
    let id = ReportId::fresh();
    state.intake.report(caller, user, (id, terms), None).await?;
    write_down(state, user, Some(&about));
    Ok(id)
}

/// Only the user has their e-mail put on a report.
fn check_contact(caller: Caller, user: UserId, terms: &ReportTerms) -> Result<(), Problem> {
    if !terms.contact || caller.user() == Some(user) {
        return Ok(());
    }
    let problem = format!("only user {user} may put their e-mail on a report");
    Err(Problem::of_field(Code::Forbidden, "contact", problem))
}

/// Notes an order in the action log.
fn write_down(state: &State, user: UserId, about: Option<&User>) {
    let name = about.map_or_else(|| format!("#{user}"), called);
    state.actions.record(&Action::ReportOrdered { name });
}

/// Reads how the report is to be.
pub(super) fn terms_of(state: &State, headers: &HeaderMap, body: &[u8]) -> Result<ReportTerms, Problem> {
    let mut form = json::object(body, FIELDS)?;
    let language = form.parsed("language", |text| {
        Language::parse(text).ok_or_else(|| format!("expected `en` or `ru`, got {text:?}"))
    });
    let time_zone = form.parsed("time_zone", |text| {
        text.parse::<Tz>()
            .map_err(|_| "expected the name of a time zone of the IANA database, as `Europe/Moscow`")
    });
    let days = form.whole("days", DAYS_BOUNDS).unwrap_or(DAYS);
    let contact = form.flag("contact").unwrap_or(false);
    json::refuse(form.faults())?;
    Ok(ReportTerms {
        language: language.unwrap_or_else(|| preferred(headers)),
        time_zone: time_zone.unwrap_or(state.reports.time_zone),
        days: u16::try_from(days).unwrap_or(u16::MAX),
        contact,
        keep: state.reports.keep,
    })
}

/// The language that the client likes best of those that reports speak (RFC 9110, 12.5.4); English where it likes none.
pub(super) fn preferred(headers: &HeaderMap) -> Language {
    let mut best = (Language::default(), 0.0);
    let values = headers.get_all(header::ACCEPT_LANGUAGE).filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let (tag, quality) = range.split_once(';').unwrap_or((range, "q=1"));
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let quality = quality.trim().strip_prefix("q=").and_then(|text| text.parse::<f32>().ok());
        if let (Some(language), Some(quality)) = (Language::parse(&primary), quality)
            && quality > best.1
        {
            best = (language, quality);
        }
    }
    best.0
}

/// Counts an order, or refuses it until there is room.
async fn spend(state: &State, user: UserId) -> Result<(), Problem> {
    let most = state.reports.per_minute;
    if most == 0 {
        return Ok(());
    }
    let rate = Rate::per(most, std::time::Duration::from_secs(60));
    match state.store.spend(&format!("report about user {user}"), 1, rate).await? {
        None => Ok(()),
        Some(wait) => {
            let detail =
                format!("{most} reports about a user may be ordered in a minute (reports.per_minute)");
            Err(Problem::new(Code::RateLimited, detail).after(wait))
        }
    }
}

/// Where a report is found.
pub(super) fn link(id: ReportId) -> String {
    format!("/reports/{id}")
}

fn view(id: ReportId, task: &Task, caller: Caller) -> Vec<u8> {
    TaskView::many(&ReportView { id, url: link(id), task: TaskView::of(task, caller) })
}

/// What to remember: the answer of who does not wait.
fn ordered(id: ReportId, reply: &Reply, caller: Caller) -> Option<RememberedAnswer> {
    let Reply::Created(made) = reply else { return None };
    let [Accepted { task, .. }] = made.as_slice() else { return None };
    Some(remembered(StatusCode::ACCEPTED, Some(link(id)), view(id, task, caller)))
}

fn answer(
    state: &State,
    id: ReportId,
    task: &Task,
    caller: Caller,
    wish: Wish,
) -> Result<HttpResponse, Problem> {
    let mut answer = match task.life.status() {
        Status::Failed | Status::Cancelled => return Err(not_made(task)),
        Status::Completed if wish != Wish::Async => HttpResponse::Created(),
        Status::Completed | Status::New | Status::InProgress => HttpResponse::Accepted(),
    };
    let place = HeaderValue::from_str(&link(id)).map_err(|error| Problem::internal(error.to_string()))?;
    answer.insert_header((header::LOCATION, place));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(applied) = wish.applied(state) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    Ok(json_answer(answer, view(id, task, caller)))
}

/// Answers an order that came before: as then, or, where the caller waits, as its report stands now.
async fn ordered_before(
    state: &State,
    before: RememberedAnswer,
    caller: Caller,
    wish: Wish,
) -> Result<HttpResponse, Problem> {
    #[derive(Deserialize)]
    struct Before {
        id: ReportId,
        task: again::Numbered,
    }
    let Wish::Wait(_) = wish else { return replayed(before) };
    let then: Before = again::reread(&before)?;
    let patience = wish.patience(state, std::time::Duration::ZERO);
    let Some(task) = prefer::revisit(state, then.task.task(), patience).await else {
        return replayed(before);
    };
    Ok(again::anew(answer(state, then.id, &task, caller, wish)?))
}

/// A report that ended without a PDF.
fn not_made(task: &Task) -> Problem {
    let id = task.life.id;
    let why = match &task.life.error {
        Some(failure) if task.life.status() == Status::Failed => {
            format!("failed: {} ({})", failure.message, failure.reason.as_str())
        }
        Some(_) | None if task.life.status() == Status::Cancelled => "was cancelled".to_owned(),
        Some(_) | None => "failed".to_owned(),
    };
    let detail =
        format!("the making of the report (task {id}) {why}; `POST /tasks/{id}/retry` tries it again");
    Problem::new(Code::ReportFailed, detail).about(id)
}

/// The report in the path.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documents what `get` reads")]
struct ReportPath {
    /// The report's name.
    #[param(format = Uuid)]
    id: String,
}

/// Fetches a report.
#[utoipa::path(
    get, path = "/reports/{id}", operation_id = "fetchReport", tag = "Reports", params(ReportPath,
        ("if-match" = Option<String>, Header, description = "The ETag that the file must have"),
        ("range" = Option<String>, Header, description = "One range of bytes", example = "bytes=0-1023"),
        ("if-none-match" = Option<String>, Header, description = "The ETag that the client has"),
        ("if-range" = Option<String>, Header, description = "The ETag of which the client has a part")),
    responses(
        (status = 200, description = "The PDF.", content_type = "application/pdf", body = FileSchema,
            headers(("etag" = String), ("accept-ranges" = String), ("content-disposition" = String))),
        (status = 202, description = "It is not made yet: the task.", body = TaskView<'_>,
            headers(("retry-after" = u64), ("location" = String))),
        (status = 206, description = "A part of it.", content_type = "application/pdf", body = FileSchema,
            headers(("content-range" = String))),
        (status = 304, description = "The client has it."),
    ),
)]
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let text = request.match_info().get("id").unwrap_or_default();
    let none = || {
        let detail = "there is no such report (any more): reports are kept for `reports.keep_s`";
        Problem::new(Code::ReportNotFound, detail)
    };
    let id: ReportId = text.parse().map_err(|_| none())?;
    let report = state.store.report(id).await?.ok_or_else(none)?;
    match (report.task.life.status(), &report.pdf) {
        (Status::Completed, Some(pdf)) => match show(&state, &request, &report, pdf).await {
            Ok(answer) => Ok(answer),
            Err(Unread::Problem(problem)) => Err(problem),
            // Deleted since we looked, or lost.
            Err(Unread::Missing) if state.store.report(id).await?.is_none() => Err(none()),
            Err(unread @ (Unread::Missing | Unread::Damaged(_))) => {
                let detail = "the file of this report is missing or damaged on the daemon's disk; its log has more \
                              under the request id of `instance`";
                let cause = format!("the blob {} of report {id}: {unread}", pdf.blob);
                Err(Problem::new(Code::BlobDamaged, detail).caused_by(cause))
            }
        },
        (Status::New | Status::InProgress, _) => Ok(not_yet(&report)),
        (Status::Failed | Status::Cancelled, _) => Err(not_made(&report.task)),
        (Status::Completed, None) => {
            Err(Problem::internal(format!("task {} completed without a PDF", report.task.life.id)))
        }
    }
}

fn not_yet(report: &Report) -> HttpResponse {
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((header::RETRY_AFTER, 1));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::LOCATION, location(report.task.life.id)));
    json_answer(answer, TaskView::json(&report.task, Caller::Anonymous))
}

async fn show(
    state: &State,
    request: &HttpRequest,
    report: &Report,
    pdf: &Attachment,
) -> Result<HttpResponse, Unread> {
    let etag = format!("\"{}\"", pdf.blob);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::ETAG, etag.as_str()));
    // Whoever has the link may keep it, but one that is gone must not live on in shared caches.
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    answer.insert_header((header::ACCEPT_RANGES, "bytes"));
    let part = file::wanted(request.headers(), &etag, pdf.bytes).map_err(Unread::Problem)?;
    part.tell(&mut answer, pdf.bytes);
    if part == Part::None {
        return Ok(answer.finish());
    }
    answer.insert_header((header::CONTENT_TYPE, "application/pdf"));
    file::harmless(&mut answer);
    let day = day_of(report.task.created_at);
    let name = format!("gristmill-user-{}-{day}.pdf", report.owner);
    answer.insert_header((header::CONTENT_DISPOSITION, filename::disposition(Shown::Inline, &name, "pdf")));
    let (first, length) = part.of(pdf.bytes);
    let opened = file::open(&state.blobs, &pdf.blob, pdf.bytes, first).await?;
    // The answer to HEAD has the headers of GET; its body is never sent, so it need not be read either.
    let sent = if request.method() == Method::HEAD { 0 } else { length };
    Ok(answer.body(file::body(opened, length, sent)))
}

/// The day of an instant in UTC, as `2026-01-31`.
fn day_of(instant: Timestamp) -> String {
    crate::account::Day::of(instant).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_best_is_taken() {
        for (said, language) in [
            ("", Language::En),
            ("ru", Language::Ru),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Ru),
            ("en;q=0.5, RU;q=0.6", Language::Ru),
            ("de, fr;q=0.9", Language::En),
            ("ru;q=0, en", Language::En),
            ("ru;q=nan", Language::En),
            ("*", Language::En),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(said).unwrap());
            assert_eq!(preferred(&headers), language, "{said}");
        }
    }
}
