//! `/admin/tasks`: the tasks of all, the newest first, with filters, and what can be done to them.
//!
//! True here: the list and what is done to "all that match" mean the same tasks, since both read the same [`Wanted`].

use std::fmt::Display;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::notice::NAME as TOLD;
use super::paging::{self, LINES};
use super::{Chrome, Tab, enter};
use crate::account::Caller;
use crate::http::extract::{self, Query};
use crate::http::pages::assets::Asset;
use crate::http::pages::frame::Frame;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::TaskWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::{span, status, status_class};
use crate::http::{Problem, State, task_form};
use crate::store::{Order, Page, TaskFilter};
use crate::task::{Kind, Status, Task, TaskId, Timestamp, UserId};

/// The fields by which tasks are chosen, in the form and in the address.
pub(super) const FIELDS: [&str; 7] = ["q", "status", "kind", "tag", "owner", "from", "before"];

/// Where the list is.
pub(super) const HERE: &str = "/admin/tasks";

/// How much of an error a line shows, in characters.
const ERROR: usize = 160;

/// Which tasks somebody wants, as they wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What stands in each of [`FIELDS`].
    pub(super) texts: Vec<(&'static str, String)>,
}

impl Wanted {
    /// Out of the fields that `text` gives.
    pub(super) fn of<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Self {
        let texts = FIELDS.into_iter().filter_map(|name| {
            let text = text(name)?.trim();
            (!text.is_empty()).then(|| (name, text.to_owned()))
        });
        Self { texts: texts.collect() }
    }

    /// What stands in that field.
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.iter().find(|(field, _)| *field == name).map_or("", |(_, text)| text)
    }

    /// Has that in the field instead.
    pub(super) fn set(&mut self, name: &'static str, text: String) {
        self.texts.retain(|(field, _)| *field != name);
        self.texts.push((name, text));
    }

    /// The filter that it means to `caller`; `fault` is told what means nothing.
    pub(super) fn filter(&self, caller: Caller, mut fault: impl FnMut(&'static str, String)) -> TaskFilter {
        let mut filter = TaskFilter::of(caller);
        for (name, text) in &self.texts {
            let mut told = |problem: String| fault(name, problem);
            match *name {
                "status" => filter.status = read(Status::parse(text).ok_or("expected a status"), &mut told),
                "kind" => filter.kind = read(text.parse::<Kind>(), &mut told),
                "tag" => filter.tag = read(task_form::check_tag(text).map(|()| text.clone()), &mut told),
                "owner" => filter.caller = read(whose(text), &mut told).unwrap_or(caller),
                "from" => filter.created_from = read(moment(text), &mut told),
                "before" => filter.created_before = read(moment(text), &mut told),
                _ => match extract::number(text) {
                    Ok(id) => filter.id = Some(TaskId(id)),
                    Err(_) => filter.unique_key = Some(text.clone()),
                },
            }
        }
        filter
    }
}

fn read<T, E: Display>(read: Result<T, E>, fault: &mut impl FnMut(String)) -> Option<T> {
    read.map_err(|error| fault(error.to_string())).ok()
}

/// Whose things are meant: a user's by their number, nobody's by 0.
pub(super) fn whose(text: &str) -> Result<Caller, String> {
    match text {
        "0" => Ok(Caller::Anonymous),
        text => extract::number(text).map(|user| Caller::User(UserId(user))),
    }
}

/// An instant, as the API takes it, or as a browser's form has it: to the minute or second, in UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let longer = [format!("{text}Z"), format!("{text}:00Z")];
    let forms = [text, &longer[0], &longer[1]];
    let found = forms.into_iter().find_map(|text| task_form::instant(text).ok());
    found.ok_or_else(|| "expected an instant, such as `2026-01-31T12:00`".to_owned())
}

/// Whose something is, with the way to them.
pub(super) struct Owner {
    pub(super) text: String,
    pub(super) href: Option<String>,
}

/// Whose something is.
pub(super) fn owner(frame: &Frame, nobody: &str, user: Option<UserId>) -> Owner {
    match user {
        Some(user) => Owner { text: frame.user(user), href: Some(format!("/users/{user}")) },
        None => Owner { text: nobody.to_owned(), href: None },
    }
}

/// A line of the list.
struct Line {
    id: TaskId,
    kind: String,
    choose: String,
    status: &'static str,
    status_class: &'static str,
    progress: Option<u8>,
    tries: String,
    owner: Owner,
    /// Each with the way to all that have it.
    tags: Vec<(String, String)>,
    created: Moment,
    took: String,
    error: String,
    may_retry: bool,
    may_cancel: bool,
}

/// A choice in the form.
struct Choice {
    value: String,
    text: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "admin/tasks.html")]
struct TasksPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static TaskWords,
    wanted: Wanted,
    statuses: Vec<Choice>,
    kinds: Vec<Choice>,
    lines: Vec<Line>,
    here: String,
}

impl TasksPage {
    fn text(&self, name: &str) -> &str {
        self.wanted.text(name)
    }
}

/// A page of them.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (caller, frame, mut chrome) = enter(&state, &request, Tab::Tasks).await?;
    let mut query =
        Query::of(&request, &["q", "status", "kind", "tag", "owner", "from", "before", "after", TOLD]);
    let wanted = Wanted::of(|name| query.text(name));
    let filter = wanted.filter(caller, |name, problem| query.fault(name, problem));
    let after = paging::after(&mut query).map(TaskId);
    query.finish()?;
    let page = Page { after, order: Order::Descending, limit: LINES + 1 };
    let mut found = state.store.tasks(&filter, &page).await?;
    let last = paging::cut(&mut found, |task| task.life.id.0);
    chrome.first = paging::first(&request);
    chrome.next = last.map(|last| paging::next(&request, last));
    let w = TaskWords::of(frame.language());
    let now = state.store.now().await?;
    let page = TasksPage {
        lines: found.iter().map(|task| line(&frame, w, now, task)).collect(),
        statuses: statuses(&frame, &wanted),
        kinds: kinds(&state, &wanted),
        here: frame.here.clone(),
        frame: frame.live(super::LIVE, None),
        chrome,
        w,
        wanted,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn statuses(frame: &Frame, wanted: &Wanted) -> Vec<Choice> {
    let choice = |one: Status| Choice {
        value: one.as_str().to_owned(),
        text: status(frame.language(), one).to_owned(),
        chosen: wanted.text("status") == one.as_str(),
    };
    Status::ALL.into_iter().map(choice).collect()
}

/// The kinds that this node knows, and the one that is wanted, should it know that no more.
fn kinds(state: &State, wanted: &Wanted) -> Vec<Choice> {
    let registry = state.intake.kinds();
    let known = registry.iter().map(|(kind, _)| kind).chain(registry.outside());
    let mut names: Vec<String> = known.map(ToString::to_string).collect();
    let chosen = wanted.text("kind");
    if !chosen.is_empty() {
        names.push(chosen.to_owned());
    }
    names.sort();
    names.dedup();
    let choice = |name: String| Choice { chosen: name == chosen, text: name.clone(), value: name };
    names.into_iter().map(choice).collect()
}

fn line(frame: &Frame, w: &TaskWords, now: Timestamp, task: &Task) -> Line {
    let (language, life) = (frame.language(), &task.life);
    let now_at = life.status();
    let end = life.finished_at().or((now_at == Status::InProgress).then_some(now));
    let took = life.started_at.zip(end).map(|(from, to)| span(language, to.since(from)));
    let error = life.error.as_ref().map(|error| error.message.chars().take(ERROR).collect::<String>());
    Line {
        id: life.id,
        kind: life.kind.to_string(),
        choose: filled(w.choose, &[&life.id.to_string()]),
        status: status(language, now_at),
        status_class: status_class(now_at),
        progress: life.progress.filter(|_| now_at == Status::InProgress).map(|percent| percent.get()),
        tries: format!("{}/{}", life.attempt, life.max_attempts),
        owner: owner(frame, w.nobody, life.owner),
        tags: task.tags.iter().map(|tag| (tag.clone(), tagged(tag))).collect(),
        created: Moment::of(frame.language(), task.created_at),
        took: took.unwrap_or_default(),
        error: error.unwrap_or_default(),
        may_retry: matches!(now_at, Status::Failed | Status::Cancelled),
        may_cancel: !now_at.is_terminal(),
    }
}

/// The list of all that have that tag.
fn tagged(tag: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("tag", tag).finish();
    format!("{HERE}?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(texts: &[(&'static str, &str)]) -> (TaskFilter, Vec<&'static str>) {
        let wanted = Wanted::of(|name| texts.iter().find(|(field, _)| *field == name).map(|(_, text)| *text));
        let mut faults = Vec::new();
        let filter = wanted.filter(Caller::Admin(None), |name, _| faults.push(name));
        (filter, faults)
    }

    #[test]
    fn what_is_left_empty_leaves_nothing_out() {
        assert_eq!(wanted(&[("status", ""), ("q", "  ")]), (TaskFilter::of(Caller::Admin(None)), vec![]));
    }

    #[test]
    fn each_field_is_one_part_of_the_filter() {
        let (filter, faults) = wanted(&[
            ("status", "Failed"),
            ("kind", "noop"),
            ("tag", "nightly"),
            ("owner", "7"),
            ("from", "2026-01-31T12:00"),
            ("before", "2026-01-31T12:00:30Z"),
            ("q", "order-5"),
        ]);
        assert_eq!(faults, Vec::<&str>::new());
        let expected = TaskFilter {
            status: Some(Status::Failed),
            kind: Some("noop".parse().unwrap()),
            tag: Some("nightly".into()),
            created_from: Some("2026-01-31T12:00:00Z".parse().unwrap()),
            created_before: Some("2026-01-31T12:00:30Z".parse().unwrap()),
            unique_key: Some("order-5".into()),
            ..TaskFilter::of(Caller::User(UserId(7)))
        };
        assert_eq!(filter, expected);
        assert_eq!(wanted(&[("q", "12")]).0.id, Some(TaskId(12)));
        assert_eq!(wanted(&[("owner", "0")]).0.caller, Caller::Anonymous);
    }

    #[test]
    fn what_means_nothing_is_told_field_by_field() {
        let (_, faults) = wanted(&[
            ("status", "Done"),
            ("kind", "No Kind"),
            ("owner", "ann"),
            ("from", "yesterday"),
            ("before", "2026-13-01T00:00"),
        ]);
        assert_eq!(faults, ["status", "kind", "owner", "from", "before"]);
    }
}
