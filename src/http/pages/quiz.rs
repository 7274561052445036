//! `/quiz` for people: new questions are fetched, and the saved ones asked one after the other.
//!
//! True here: who may fetch and see questions is as in the API; a question is text of somebody outside, and escaped.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::assets::Asset;
use super::form::Form;
use super::frame::{Frame, Section, Visitor};
use super::preferences::Look;
use super::see_other;
use super::told::{self, Told};
use super::words::filled;
use super::words::records::QuizWords;
use super::words::written::{number, signed};
use crate::account::Caller;
use crate::http::catalogue::Code;
use crate::http::extract::{self, Query};
use crate::http::{Problem, State, auth, questions};
use crate::kinds::quiz::{self, QuestionsNum};
use crate::media::report::Language;
use crate::store::QuestionFilter;
use crate::task::{Question, QuestionId, Status, TaskId};

/// How many questions are fetched where nobody says.
const DEFAULT: u32 = 5;

/// A question, to be asked.
struct Asked {
    title: String,
    question: String,
    /// The right answer among wrong ones, in an order that does not tell which it is.
    choices: Vec<String>,
    answer: String,
    about: Vec<String>,
    next: Option<String>,
}

impl Asked {
    fn of(language: Language, question: &Question, next: Option<QuestionId>) -> Self {
        let w = QuizWords::of(language);
        let new = &question.new;
        let mut choices = new.wrong_answers.clone();
        if !choices.is_empty() {
            choices.push(new.answer().to_owned());
            choices.sort_unstable();
        }
        let about = [
            new.category.as_deref().map(|category| filled(w.category, &[category])),
            new.difficulty.as_deref().map(|difficulty| filled(w.difficulty, &[difficulty])),
            new.value.map(|value| filled(w.value, &[&signed(language, value)])),
            Some(filled(w.source, &[new.source().as_str()])),
            new.source().licence().map(|licence| filled(w.licence, &[licence])),
        ];
        Self {
            title: filled(w.question, &[&question.id.to_string()]),
            question: new.question().to_owned(),
            choices,
            answer: new.answer().to_owned(),
            about: about.into_iter().flatten().collect(),
            next: next.map(|next| format!("/quiz?after={next}")),
        }
    }
}

#[derive(Template)]
#[template(path = "quiz.html")]
struct QuizPage {
    frame: Frame,
    w: &'static QuizWords,
    told: Option<Told>,
    limit: String,
    most: u32,
    wanted: u32,
    fetching: Option<TaskId>,
    asked: Option<Asked>,
    later: bool,
}

async fn quiz_page(
    state: &State,
    request: &HttpRequest,
    caller: Caller,
    after: Option<QuestionId>,
    told: Option<Told>,
) -> Result<QuizPage, Problem> {
    let language = Look::of(request).language;
    let w = QuizWords::of(language);
    // One more than is asked tells whether there is a next.
    let found = state.store.questions(&QuestionFilter::default(), after, 2).await?;
    let next = found.first().filter(|_| found.len() > 1).map(|first| first.id);
    let visitor = Visitor::of(state, caller).await?;
    Ok(QuizPage {
        frame: Frame::new(request, visitor, Section::Quiz, w.title),
        w,
        told,
        limit: filled(w.limit, &[&number(language, QuestionsNum::MOST.into())]),
        most: QuestionsNum::MOST,
        wanted: DEFAULT,
        fetching: None,
        asked: found.first().map(|question| Asked::of(language, question, next)),
        later: after.is_some(),
    })
}

/// Asks a question: the newest, or the one behind that which was asked before.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["after", "task"]);
    let after = query.parsed("after", |text| extract::number(text).map(QuestionId));
    let task = query.parsed("task", |text| extract::number(text).map(TaskId));
    query.finish()?;
    let caller = auth::reader(&state, &request, None).await?;
    let mut told = None;
    let mut fetching = None;
    if let Some(task) = task {
        let task = state.store.task(task).await?.filter(|task| caller.may_see(task.life.owner, None));
        // Another kind's task is none that fetches questions.
        let task = task.filter(|task| task.life.kind == quiz::kind());
        match task.as_ref().map(|task| (task, task.life.status())) {
            Some((task, Status::New | Status::InProgress)) => fetching = Some(task.life.id),
            Some((task, Status::Failed | Status::Cancelled)) => {
                let asked: Option<quiz::Payload> = serde_json::from_str(task.payload.as_str()).ok();
                let asked = asked.map_or(0, |asked| asked.questions_num.get());
                told = Some(Told::always(&request, &questions::short(&state, task, asked).await?));
            }
            Some((_, Status::Completed)) | None => {}
        }
    }
    let mut page = quiz_page(&state, &request, caller, after, told).await?;
    if let Some(task) = fetching {
        page.fetching = fetching;
        page.frame = page.frame.live(format!("/tasks/{task}/events"), Some(3));
    }
    Frame::answer(&page, StatusCode::OK)
}

/// Fetches new questions, and leads to the newest.
pub(super) async fn fetch(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let form = Form::read(&state, &request, body, &["questions_num"]).await?;
    let caller = auth::caller(&state, &request, None).await?;
    let wanted = form.finish().and_then(|()| {
        let wanted = form.text("questions_num").and_then(|text| text.parse::<u64>().ok());
        wanted.and_then(|wanted| QuestionsNum::try_from(wanted).ok()).ok_or_else(|| {
            let problem = format!("expected a whole number from 1 to {}", QuestionsNum::MOST);
            Problem::of_field(Code::InvalidForm, "questions_num", problem)
        })
    });
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(problem) => {
            let Some(told) = Told::of(&request, &problem) else { return Err(problem) };
            let caller = auth::reader(&state, &request, None).await?;
            let page = quiz_page(&state, &request, caller, None, Some(told)).await?;
            return Err(told::rendered(problem, &page));
        }
    };
    let task = questions::fetch(&state, caller, wanted).await?;
    if task.life.status() == Status::Completed {
        return see_other("/quiz");
    }
    see_other(&format!("/quiz?task={}", task.life.id))
}
