//! `/quiz`: questions are fetched and saved; `/quiz/questions`: those that are.
//!
//! True here: a call is answered with the question that was the last saved before it, whatever it fetches itself; one that
//! did not get all that it asked for says how many it saved.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::ToSchema;

use super::catalogue::Code;
use super::extract::{self, Query};
use super::idempotency::{Key, remembered, replayed};
use super::json;
use super::listing::{self, Cut, PageParams, Wanted};
use super::prefer::{self, PREFERENCE_APPLIED, Wish};
use super::task_view::TaskView;
use super::tasks::{PreferHeader, UserParam, json_answer, location, named};
use super::{Problem, State, again, auth};
use crate::account::Caller;
use crate::intake::Done;
use crate::kinds::quiz::{self, QuestionsNum, ToldQuestion};
use crate::store::{Accepted, QuestionFilter, RememberedAnswer, Reply};
use crate::task::question::fold;
use crate::task::{FailureReason, QuestionId, QuestionSource, Status, Task};
use crate::telemetry::Action;

/// How many questions are wanted.
#[derive(ToSchema)]
#[schema(as = NewQuestions, example = json!({"questions_num": 5}))]
#[expect(dead_code, reason = "documents what `create` reads")]
pub(super) struct NewQuestionsSchema {
    /// So many, none of which was there before.
    #[schema(minimum = 1, maximum = 100)]
    questions_num: u32,
}

/// A question.
#[derive(ToSchema)]
#[schema(as = Question, example = json!({
    "id": 7, "question": "Which planet is the closest to the Sun?", "answer": "Mercury", "category": "Astronomy",
    "difficulty": "easy", "source": "bank", "licence": "CC0-1.0", "saved_at": "2026-01-31T12:00:00.000000Z"
}))]
#[expect(dead_code, reason = "documents `quiz::ToldQuestion`")]
pub(super) struct QuestionSchema {
    /// Our number of it: the higher, the later it was saved.
    #[schema(minimum = 1)]
    id: i64,
    /// What is asked.
    question: String,
    /// What is right.
    answer: String,
    /// What it is about.
    category: Option<String>,
    /// What it is worth.
    value: Option<i64>,
    /// How hard it is, in the source's word.
    difficulty: Option<String>,
    /// Answers that are wrong, where there is a choice.
    wrong_answers: Option<Vec<String>>,
    /// Where it comes from.
    #[schema(pattern = "^(jservice|opentdb|bank)$")]
    source: String,
    /// Under which licence, where the source names one (SPDX).
    licence: Option<String>,
    /// What the source calls it.
    upstream_id: Option<String>,
    /// When the source made it.
    #[schema(format = DateTime)]
    upstream_created_at: Option<String>,
    /// When it was saved here.
    #[schema(format = DateTime)]
    saved_at: String,
}

/// Fetches questions that are not in the database yet, and saves them. Answers with the question that was the last saved
/// before this call, `{}` where there was none; `Location` is the task that fetched.
#[utoipa::path(
    post, path = "/quiz", operation_id = "fetchQuestions", tag = "Quiz", params(UserParam, PreferHeader),
    request_body(content = NewQuestionsSchema, description = "How many."),
    responses(
        (status = 200, description = "All are saved. The question that was the last saved before, or `{}`.",
            body = QuestionSchema, headers(("location" = String, description = "`/tasks/{id}`"))),
        (status = 202, description = "They are still fetched (`respond-async`, or the wait ran out): the task.",
            body = TaskView<'_>, headers(("location" = String, description = "`/tasks/{id}`"))),
    ),
)]
pub(super) async fn create(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let caller = auth::caller(&state, &request, named(&request)?).await?;
    let key = Key::of(&request)?;
    let body = extract::json_body(&state, &request, body).await?;
    let mut form = json::object(&body, &["questions_num"])?;
    let wanted = form.whole("questions_num", (1, QuestionsNum::MOST.into()));
    let wanted = wanted.and_then(|number| QuestionsNum::try_from(number.unsigned_abs()).ok());
    if form.raw("questions_num").is_none() {
        let problem = format!("the field is missing: a whole number from 1 to {}", QuestionsNum::MOST);
        form.fault("questions_num", problem);
    }
    json::refuse(form.faults())?;
    let Some(wanted) = wanted else { return Err(Problem::internal("a number is neither there nor missing")) };
    let remember =
        key.map(|key| key.remember(&request, caller, &[&body], move |reply| accepted(reply, caller)));
    drop(body);
    let wish = Wish::of(&request);
    let patience = wish.patience(&state, state.http.default_wait);
    match state.intake.quiz(caller, wanted, remember).await? {
        Done::Now(task) => {
            let task = prefer::settle(&state, task, patience).await?;
            write_down(&state, &task, wanted).await?;
            answer(&state, &task, caller, wish).await
        }
        Done::Before(before) if wish == Wish::Async => replayed(before),
        Done::Before(before) => {
            let then: again::Numbered = again::reread(&before)?;
            let Some(task) = prefer::revisit(&state, then.task(), patience).await else {
                return replayed(before);
            };
            Ok(again::anew(answer(&state, &task, caller, wish).await?))
        }
    }
}

/// What to remember: the answer of who does not wait.
fn accepted(reply: &Reply, caller: Caller) -> Option<RememberedAnswer> {
    let Reply::Created(made) = reply else { return None };
    let [Accepted { task, .. }] = made.as_slice() else { return None };
    Some(remembered(StatusCode::ACCEPTED, Some(location(task.life.id)), TaskView::json(task, caller)))
}

/// The answer, as the task stands.
async fn answer(state: &State, task: &Task, caller: Caller, wish: Wish) -> Result<HttpResponse, Problem> {
    let id = task.life.id;
    let asked: quiz::Payload = serde_json::from_str(task.payload.as_str())
        .map_err(|error| Problem::internal(format!("the payload of task {id} cannot be read: {error}")))?;
    let finished = match task.life.status() {
        Status::New | Status::InProgress => false,
        Status::Completed => true,
        Status::Failed | Status::Cancelled => {
            return Err(short(state, task, asked.questions_num.get()).await?);
        }
    };
    let at_once = finished && wish != Wish::Async;
    let mut answer = if at_once { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    answer.insert_header((header::LOCATION, location(id)));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(applied) = wish.applied(state) {
        answer.insert_header((PREFERENCE_APPLIED, applied));
    }
    if !at_once {
        return Ok(json_answer(answer, TaskView::json(task, caller)));
    }
    let previous = match asked.previous {
        Some(previous) => state.store.question(previous).await?,
        None => None,
    };
    let body =
        previous.map_or_else(|| b"{}".to_vec(), |question| TaskView::many(&ToldQuestion::from(question)));
    Ok(json_answer(answer, body))
}

/// Notes how a call ended, if its caller was there to see it.
async fn write_down(state: &State, task: &Task, asked: QuestionsNum) -> Result<(), Problem> {
    let asked = asked.get();
    match task.life.status() {
        Status::New | Status::InProgress => {}
        Status::Completed => state.actions.record(&Action::QuestionsSaved { count: asked }),
        Status::Failed | Status::Cancelled => {
            let saved = state.store.questions_of(task.life.id).await?;
            state.actions.record(&Action::QuestionsShort { saved, asked });
        }
    }
    Ok(())
}

/// Fetches questions for a caller who waits as the route does: the task as it stands then.
pub(super) async fn fetch(state: &State, caller: Caller, wanted: QuestionsNum) -> Result<Task, Problem> {
    let Done::Now(task) = state.intake.quiz(caller, wanted, None).await? else {
        return Err(Problem::internal("questions without a key were fetched before"));
    };
    let task = prefer::settle(state, task, state.http.default_wait).await?;
    write_down(state, &task, wanted).await?;
    Ok(task)
}

/// The problem of a call that did not save all that it asked for.
pub(super) async fn short(state: &State, task: &Task, asked: u32) -> Result<Problem, Problem> {
    let id = task.life.id;
    let saved = state.store.questions_of(id).await?;
    let (code, why) = match &task.life.error {
        _ if task.life.status() == Status::Cancelled => (Code::QuizFailed, "it was cancelled"),
        Some(failure) => {
            let code = match failure.reason {
                FailureReason::Upstream => Code::UpstreamFailed,
                FailureReason::UpstreamTimeout | FailureReason::Timeout => Code::UpstreamTimeout,
                FailureReason::Error
                | FailureReason::InvalidInput
                | FailureReason::Panic
                | FailureReason::Expired
                | FailureReason::Poison => Code::QuizFailed,
            };
            (code, failure.message.as_str())
        }
        None => (Code::QuizFailed, "no reason is known"),
    };
    let detail = format!(
        "{saved} of {asked} questions are saved, the rest is not: {why}; `POST /tasks/{id}/retry` goes on for the rest"
    );
    Ok(Problem::new(code, detail).about(id).short_of(saved, asked))
}

/// The parameters of the list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `list` reads")]
struct QuestionParams {
    /// Words, or parts of words, that the question, its answer and its category have among them; signs do not count.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only those of that source.
    #[param(pattern = "^(jservice|opentdb|bank)$")]
    source: Option<String>,
    /// Only those of that category, exactly as it is written.
    #[param(max_length = 200)]
    category: Option<String>,
}

/// The longest text to search for, in bytes, and the most words of it.
const MAX_SEARCH: usize = 200;
const MAX_WORDS: usize = 10;

/// The saved questions, the newest first. A page may be followed by more: follow `Link` until there is none.
#[utoipa::path(
    get, path = "/quiz/questions", operation_id = "listQuestions", tag = "Quiz", params(QuestionParams, PageParams, UserParam),
    responses((status = 200, description = "A page of questions.", body = Vec<QuestionSchema>,
        headers(("link" = String, description = "`<...>; rel=\"next\"`, where there are more")))),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["q", "source", "category", "limit", "after", "user_id"]);
    let Wanted { limit, after, named } = Wanted::read(&mut query);
    let filter = QuestionFilter {
        words: query.parsed("q", words).unwrap_or_default(),
        source: query.parsed("source", str::parse::<QuestionSource>),
        category: query.parsed("category", |text| match text.len() {
            1..=MAX_SEARCH => not_control(text).map(|()| text.to_owned()),
            _ => Err(format!("expected 1 to {MAX_SEARCH} bytes")),
        }),
    };
    query.finish()?;
    auth::reader(&state, &request, named).await?;
    let found = state.store.questions(&filter, after.map(QuestionId), limit + 1).await?;
    let Cut { page: questions, next } = listing::cut(found, limit, |question| question.id.0);
    let answer = listing::answer(&request, next)?;
    let views: Vec<ToldQuestion> = questions.into_iter().map(ToldQuestion::from).collect();
    Ok(json_answer(answer, TaskView::many(views.as_slice())))
}

/// Refuses signs that no saved text has, and that not every database takes.
fn not_control(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) { Err("holds a control character".to_owned()) } else { Ok(()) }
}

/// The words to search for.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    not_control(text)?;
    let folded = fold(text);
    let words: Vec<String> = folded.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() || text.len() > MAX_SEARCH || words.len() > MAX_WORDS {
        return Err(format!("expected 1 to {MAX_WORDS} words of at most {MAX_SEARCH} bytes"));
    }
    Ok(words)
}
