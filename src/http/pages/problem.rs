//! The page that a browser gets instead of a problem document.
//!
//! Called by `Problem::respond`. True here: it needs neither the database nor the disk, since it may be them that are
//! away; everything in it is escaped.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use askama::Template;

use super::assets::Asset;
use super::frame::{Frame, Section, Visitor, dressed};
use super::preferences::Look;
use super::words::problems::{ProblemWords, advice, title};
use super::words::{Piece, filled, pieces};
use crate::http::catalogue::Code;
use crate::http::{Fault, Problem};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    w: &'static ProblemWords,
    status: u16,
    code: &'static str,
    advice: &'static str,
    detail: Vec<Piece<'a>>,
    faults: &'a [Fault],
    allowed: &'a [String],
    task: Option<(String, String)>,
    login: Option<String>,
    request: String,
}

/// The answer to whoever had the problem. `answer` has the status and the headers that go with it.
pub(in crate::http) fn page(
    request: &HttpRequest,
    problem: &Problem,
    request_id: &str,
    answer: HttpResponseBuilder,
) -> HttpResponse {
    if let Some(shown) = problem.page() {
        return dressed(answer, shown.to_owned());
    }
    let (code, language) = (problem.code(), Look::of(request).language);
    let w = ProblemWords::of(language);
    let wants_login = matches!(code, Code::Unauthenticated | Code::InvalidToken | Code::OtherUser);
    let next = if request.method().is_safe() { request.uri().to_string() } else { "/".to_owned() };
    let page = ProblemPage {
        frame: Frame::new(request, Visitor::unknown(request), Section::None, title(language, code)),
        w,
        status: code.status().as_u16(),
        code: code.as_str(),
        advice: advice(language, code),
        detail: pieces(problem.detail()),
        faults: problem.faults(),
        allowed: problem.allowed(),
        task: problem.task().map(|task| (format!("/tasks/{task}"), filled(w.task, &[&task.to_string()]))),
        login: wants_login.then(|| super::login_with(&next)),
        request: filled(w.request, &[request_id]),
    };
    // A template of texts and numbers always renders; should it not, the status still says what matters.
    dressed(answer, page.render().unwrap_or_default())
}
