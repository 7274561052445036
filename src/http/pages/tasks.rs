//! `/tasks` and `/tasks/{id}` for people: what they have asked for, how it goes, and what they may do about it.
//!
//! True here: what is seen and changed is so by the functions of the API, with its rights. Both pages follow the stream of
//! events that the API has for the same caller.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets::Asset;
use super::confirm::{self, Ask, SURE};
use super::form::Form;
use super::frame::{Frame, Section, Visitor};
use super::laid::Laid;
use super::preferences::Look;
use super::words::filled;
use super::words::frame::ConfirmWords;
use super::words::tasks::TaskWords;
use super::words::written::{instant, number, span, status, status_class};
use super::{local, next_page, see_other};
use crate::account::Caller;
use crate::http::extract::{self, Query};
use crate::http::task_list::{self, Found, Wanted};
use crate::http::tasks;
use crate::http::{Problem, State, auth};
use crate::kinds::manual;
use crate::media::report::Language;
use crate::store::Order;
use crate::task::{Event, Fact, RetryCause, State as Stage, Status, Task, TaskId, Timestamp, UserId};

/// How many tasks a page has.
const PAGE: u32 = 50;

/// How many events of a task are shown: the newest.
const EVENTS: u32 = 300;

/// An instant, for a page.
pub(in crate::http) struct Moment {
    /// As RFC 3339 has it.
    pub(in crate::http) exact: String,
    /// As the language has it, in UTC.
    pub(in crate::http) text: String,
}

impl Moment {
    /// That instant in that language.
    pub(in crate::http) fn of(language: Language, at: Timestamp) -> Self {
        Self { exact: at.to_string(), text: instant(language, at) }
    }
}

/// What somebody may do about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Acts {
    cancel: bool,
    retry: bool,
    delete: bool,
}

impl Acts {
    fn of(task: &Task, caller: Caller) -> Self {
        let may = caller.may_touch(task.life.owner);
        let (cancel, retry) = match task.life.status() {
            Status::New | Status::InProgress => (may, false),
            Status::Failed | Status::Cancelled => (false, may),
            Status::Completed => (false, false),
        };
        Self { cancel, retry, delete: may }
    }
}

/// A task in a list.
struct Row {
    id: TaskId,
    kind: String,
    status: &'static str,
    class: &'static str,
    created: Moment,
    progress: Option<u8>,
    acts: Acts,
}

impl Row {
    fn of(language: Language, task: &Task, caller: Caller) -> Self {
        Self {
            id: task.life.id,
            kind: task.life.kind.to_string(),
            status: status(language, task.life.status()),
            class: status_class(task.life.status()),
            created: Moment::of(language, task.created_at),
            progress: running(task),
            acts: Acts::of(task, caller),
        }
    }
}

/// How far a task is that runs.
fn running(task: &Task) -> Option<u8> {
    let runs = task.life.status() == Status::InProgress;
    task.life.progress.filter(|_| runs).map(|percent| percent.get())
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct TasksPage {
    frame: Frame,
    w: &'static TaskWords,
    whose: &'static str,
    statuses: Vec<(&'static str, &'static str, bool)>,
    kind: String,
    tag: String,
    rows: Vec<Row>,
    back: String,
    next: Option<String>,
    later: bool,
}

impl TasksPage {
    fn one(&self, text: &str, id: &TaskId) -> String {
        filled(text, &[&id.to_string()])
    }
}

/// The tasks of whoever asks.
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of_form(&request, tasks::LIST);
    let limited = query.text("limit").is_some();
    let mut wanted = Wanted::read(&mut query, Order::Descending);
    query.finish()?;
    if !limited {
        wanted.limit = PAGE;
    }
    let language = Look::of(&request).language;
    let w = TaskWords::of(language);
    let chosen = wanted.filters.status;
    let statuses = Status::ALL.map(|one| (one.as_str(), status(language, one), chosen == Some(one)));
    let kind = wanted.filters.kind.as_ref().map(ToString::to_string).unwrap_or_default();
    let (tag, later) = (wanted.filters.tag.clone().unwrap_or_default(), wanted.after.is_some());
    let Found { caller, tasks, next } = task_list::find(&state, &request, wanted).await?;
    let visitor = Visitor::of(&state, caller).await?;
    let page = TasksPage {
        frame: Frame::new(&request, visitor, Section::Tasks, w.title).live("/events", None),
        w,
        whose: match caller {
            Caller::Anonymous => w.nobodys,
            Caller::User(_) => w.own,
            Caller::Admin(_) => w.all,
        },
        statuses: statuses.to_vec(),
        kind,
        tag,
        rows: tasks.iter().map(|task| Row::of(language, task, caller)).collect(),
        back: request.uri().to_string(),
        next: next.map(|last| next_page(&request, last.0)),
        later,
    };
    Frame::answer(&page, StatusCode::OK)
}

/// A line of what happened to a task.
struct Happened {
    at: Moment,
    text: String,
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    w: &'static TaskWords,
    task: Task,
    status: &'static str,
    class: &'static str,
    progress: Option<u8>,
    acts: Acts,
    attempt: String,
    owner: Option<UserId>,
    assignee: Option<UserId>,
    created: Moment,
    updated: Moment,
    run_at: Option<Moment>,
    expires: Option<Moment>,
    started: Option<Moment>,
    finished: Option<Moment>,
    took: Option<String>,
    picture: bool,
    payload: Option<Laid>,
    result: Option<Laid>,
    attempts: Vec<Tried>,
    events: Vec<Happened>,
    earlier: Option<String>,
}

/// A task.
pub(super) async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let (caller, task) = tasks::seen(&state, &request, id).await?;
    // One more than is shown tells whether there are more.
    let mut events = state.store.newest_events_of(id, EVENTS + 1).await?;
    let more = events.len() > EVENTS as usize;
    if more {
        events.remove(0);
    }
    let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
    let language = Look::of(&request).language;
    let w = TaskWords::of(language);
    let visitor = Visitor::of(&state, caller).await?;
    let title = filled(w.task, &[&id.to_string()]);
    let moment = |at: Timestamp| Moment::of(language, at);
    let life = &task.life;
    let ended = life.finished_at();
    let result = match &life.state {
        Stage::Completed { result, .. } => Laid::of(result),
        Stage::New { .. } | Stage::InProgress { .. } | Stage::Failed { .. } | Stage::Cancelled { .. } => None,
    };
    let (attempts, most) = (life.attempt.0.into(), life.max_attempts.into());
    let page = TaskPage {
        frame: Frame::new(&request, visitor, Section::Tasks, title)
            .live(format!("/tasks/{id}/events"), (!life.status().is_terminal()).then_some(5)),
        w,
        status: status(language, life.status()),
        class: status_class(life.status()),
        progress: running(&task),
        acts: Acts::of(&task, caller),
        attempt: filled(w.attempt_of, &[&number(language, attempts), &number(language, most)]),
        owner: life.owner,
        assignee: life.assignee,
        created: moment(task.created_at),
        updated: moment(life.updated_at),
        run_at: life.run_at().map(moment),
        expires: task.expires_at.map(moment),
        started: life.started_at.map(moment),
        finished: ended.map(moment),
        took: life.started_at.zip(ended).map(|(from, to)| span(language, to.since(from))),
        picture: has_picture(&task),
        payload: Laid::of(&task.payload),
        result,
        attempts: attempts_of(&events).iter().map(|one| Tried::of(language, one)).collect(),
        events: events.iter().map(|event| happened(language, event)).collect(),
        earlier: more.then(|| filled(w.earlier, &[&number(language, EVENTS.into())])),
        task,
    };
    Frame::answer(&page, StatusCode::OK)
}

/// An attempt as the events tell of it: what began it, and what ended it, where it has ended.
type Attempted<'a> = (&'a Event, Option<&'a Event>);

/// The attempts that began among the events, in their order.
fn attempts_of(events: &[Event]) -> Vec<Attempted<'_>> {
    let mut attempts: Vec<Attempted<'_>> = Vec::new();
    for event in events {
        match &event.fact {
            Fact::Started { .. } => attempts.push((event, None)),
            Fact::Completed | Fact::Failed(_) | Fact::Retrying { .. } | Fact::Cancelled => {
                // What comes when none runs, such as a wish to try again, ends none.
                if let Some((_, ended @ None)) = attempts.last_mut() {
                    *ended = Some(event);
                }
            }
            Fact::Created | Fact::Progress(_) | Fact::Deleted => {}
        }
    }
    attempts
}

/// A line of the attempts.
struct Tried {
    number: String,
    started: Moment,
    ended: Option<Happened>,
}

impl Tried {
    fn of(language: Language, (started, ended): &Attempted<'_>) -> Self {
        Self {
            number: number(language, started.attempt.0.into()),
            started: Moment::of(language, started.at),
            ended: ended.map(|event| happened(language, event)),
        }
    }
}

/// Whether the task came with a picture.
fn has_picture(task: &Task) -> bool {
    task.life.kind == manual::kind()
        && manual::read(&task.payload).is_some_and(|payload| payload.image.is_some())
}

fn happened(language: Language, event: &Event) -> Happened {
    let w = TaskWords::of(language);
    let attempt = event.attempt.0.to_string();
    let text = match &event.fact {
        Fact::Created => w.event_created.to_owned(),
        Fact::Started { .. } => filled(w.event_started, &[&attempt]),
        Fact::Progress(percent) => filled(w.event_progress, &[&percent.get().to_string()]),
        Fact::Completed => w.event_completed.to_owned(),
        Fact::Failed(failure) => filled(w.event_failed, &[&failure.message]),
        Fact::Retrying { cause, run_at } => {
            let why = match cause {
                RetryCause::Failed(failure) => filled(w.event_retry_failed, &[&attempt, &failure.message]),
                RetryCause::Interrupted => w.event_interrupted.to_owned(),
                RetryCause::WorkerLost => w.event_lost.to_owned(),
                RetryCause::Asked => w.event_asked.to_owned(),
            };
            let wait = run_at.since(event.at);
            if wait < Duration::from_secs(1) {
                why
            } else {
                format!("{why}; {}", filled(w.next_try, &[&instant(language, *run_at)]))
            }
        }
        Fact::Cancelled => w.event_cancelled.to_owned(),
        Fact::Deleted => w.event_deleted.to_owned(),
    };
    Happened { at: Moment::of(language, event.at), text }
}

/// What a form on these pages asks for, and has at once.
enum Act {
    Cancel,
    Retry,
}

/// Cancels a task.
pub(super) async fn cancel(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    act(&state, &request, body, &Act::Cancel).await
}

/// Makes a task ready again.
pub(super) async fn retry(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    act(&state, &request, body, &Act::Retry).await
}

/// Removes a task.
pub(super) async fn delete(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let form = Form::read(&state, &request, body, &["back", SURE]).await?;
    form.finish()?;
    let back = form.text("back").and_then(local);
    if form.text(SURE).is_none() {
        // The rows of a list that is live move: what was clicked on may not be what was meant.
        let (caller, _) = tasks::seen(&state, &request, id).await?;
        let w = ConfirmWords::of(Look::of(&request).language);
        let question = Ask {
            section: Section::Tasks,
            question: filled(w.task, &[&id.to_string()]),
            what: None,
            hint: w.task_hint,
            action: format!("{}/delete", tasks::location(id)),
            fields: back.iter().map(|back| ("back", back.clone())).collect(),
            back: back.unwrap_or_else(|| tasks::location(id)),
        };
        return confirm::page(&state, &request, caller, question).await;
    }
    let caller = auth::caller(&state, &request, None).await?;
    state.intake.delete(caller, id, None).await?;
    see_other(&back.unwrap_or_else(|| "/tasks".to_owned()))
}

async fn act(
    state: &State,
    request: &HttpRequest,
    body: Payload,
    act: &Act,
) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(request)?;
    let form = Form::read(state, request, body, &["back"]).await?;
    form.finish()?;
    let caller = auth::caller(state, request, None).await?;
    match act {
        Act::Cancel => state.intake.cancel(caller, id, None).await.map(drop)?,
        Act::Retry => state.intake.retry(caller, id, None).await.map(drop)?,
    }
    see_other(&form.text("back").and_then(local).unwrap_or_else(|| tasks::location(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Attempt, Holder};

    fn event(attempt: u32, at: i64, fact: Fact) -> Event {
        Event {
            task: TaskId(1),
            kind: manual::kind(),
            owner: None,
            attempt: Attempt(attempt),
            at: Timestamp::from_micros(at),
            fact,
        }
    }

    #[test]
    fn an_attempt_has_a_beginning_and_what_ended_it() {
        let started =
            |attempt, at| event(attempt, at, Fact::Started { holder: Holder::Person, assignee: None });
        let retrying = |attempt, at, cause| {
            event(attempt, at, Fact::Retrying { cause, run_at: Timestamp::from_micros(at) })
        };
        let events = [
            event(0, 1, Fact::Created),
            started(1, 2),
            retrying(1, 3, RetryCause::WorkerLost),
            started(2, 4),
            event(2, 5, Fact::Cancelled),
            retrying(2, 6, RetryCause::Asked),
            started(3, 7),
        ];
        let shape = |attempts: &[Attempted<'_>]| -> Vec<(u32, Option<i64>)> {
            attempts.iter().map(|(from, to)| (from.attempt.0, to.map(|to| to.at.as_micros()))).collect()
        };
        assert_eq!(shape(&attempts_of(&events)), [(1, Some(3)), (2, Some(5)), (3, None)]);
        // What ends one of which the beginning is not among them is no attempt of its own.
        assert_eq!(shape(&attempts_of(&events[2..4])), [(2, None)]);
    }
}
