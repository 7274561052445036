//! `/admin/questions`: the saved questions, the newest first, with a search.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::notice::NAME as TOLD;
use super::paging::{self, LINES, given};
use super::{Chrome, Tab, enter};
use crate::http::extract::Query;
use crate::http::pages::assets::Asset;
use crate::http::pages::frame::Frame;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::ListWords;
use crate::http::pages::words::written::signed;
use crate::http::questions::words;
use crate::http::{Problem, State};
use crate::store::QuestionFilter;
use crate::task::{Question, QuestionId, QuestionSource, TaskId};

/// A line of the list.
struct Line {
    id: QuestionId,
    question: String,
    answer: String,
    category: String,
    value: String,
    source: &'static str,
    saved: Moment,
    task: TaskId,
}

#[derive(Template)]
#[template(path = "admin/questions.html")]
struct QuestionsPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static ListWords,
    lines: Vec<Line>,
    wanted: String,
    sources: Vec<(&'static str, bool)>,
}

/// A page of them.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, mut chrome) = enter(&state, &request, Tab::Questions).await?;
    let mut query = Query::of(&request, &["q", "source", "after", TOLD]);
    let source = given(&mut query, "source", str::parse::<QuestionSource>);
    let filter =
        QuestionFilter { words: given(&mut query, "q", words).unwrap_or_default(), source, category: None };
    let wanted = query.text("q").unwrap_or_default().to_owned();
    let after = paging::after(&mut query).map(QuestionId);
    query.finish()?;
    let mut found = state.store.questions(&filter, after, LINES + 1).await?;
    let last = paging::cut(&mut found, |question| question.id.0);
    chrome.first = paging::first(&request);
    chrome.next = last.map(|last| paging::next(&request, last));
    let page = QuestionsPage {
        lines: found.into_iter().map(|question| line(&frame, question)).collect(),
        sources: QuestionSource::ALL.map(|one| (one.as_str(), Some(one) == source)).to_vec(),
        w: ListWords::of(frame.language()),
        frame,
        chrome,
        wanted,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn line(frame: &Frame, question: Question) -> Line {
    let new = question.new;
    Line {
        id: question.id,
        question: new.question().to_owned(),
        answer: new.answer().to_owned(),
        category: new.category.clone().unwrap_or_default(),
        value: new.value.map(|value| signed(frame.language(), value)).unwrap_or_default(),
        source: new.source().as_str(),
        saved: Moment::of(frame.language(), question.saved_at),
        task: question.task,
    }
}
