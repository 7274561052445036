//! A problem on the page of the form that was refused, so that what was typed is not lost.
//!
//! Called by the pages with forms. True here: the answer has the status and the headers of the problem, which
//! `Problem::respond` adds; only what whoever typed can put right is shown like that, the rest has its own page.

use actix_web::HttpRequest;
use askama::Template;

use super::preferences::Look;
use super::words::problems::{ProblemWords, advice, title};
use crate::http::catalogue::Code;
use crate::http::{Fault, Problem};

/// What to say of a problem beside the form.
pub(in crate::http) struct Told {
    /// What it is called.
    pub(in crate::http) title: &'static str,
    /// What to do.
    pub(in crate::http) advice: &'static str,
    /// What the daemon says of it.
    pub(in crate::http) detail: String,
}

impl Told {
    /// In the language of whoever asks; `None` for what a form cannot put right.
    pub(in crate::http) fn of(request: &HttpRequest, problem: &Problem) -> Option<Self> {
        let code = problem.code();
        let mendable = matches!(
            code,
            Code::InvalidForm
                | Code::InvalidBody
                | Code::EmailTaken
                | Code::LoginFailed
                | Code::Forbidden
                | Code::UnsupportedImage
                | Code::DamagedImage
                | Code::ImageTooLarge
                | Code::UnsupportedAudio
                | Code::DamagedAudio
                | Code::RecordingTooLarge
                | Code::RateLimited
                | Code::QuotaExceeded
        );
        mendable.then(|| Self::always(request, problem))
    }

    /// The same of any problem.
    pub(in crate::http) fn always(request: &HttpRequest, problem: &Problem) -> Self {
        let (language, code) = (Look::of(request).language, problem.code());
        let mut told =
            Self { title: title(language, code), advice: advice(language, code), detail: problem.story() };
        let of_password = |fault: &Fault| fault.field == "current_password";
        if code == Code::Forbidden && problem.faults().iter().any(of_password) {
            let w = ProblemWords::of(language);
            (told.title, told.advice) = (w.wrong_password, w.check_password);
        }
        told
    }
}

/// The problem, shown on the page that `page` makes of it.
pub(in crate::http) fn shown_on<T: Template>(
    request: &HttpRequest,
    problem: Problem,
    page: impl FnOnce(Told) -> T,
) -> Problem {
    match Told::of(request, &problem) {
        Some(told) => rendered(problem, &page(told)),
        None => problem,
    }
}

/// The problem, shown on that page.
pub(in crate::http) fn rendered(problem: Problem, page: &impl Template) -> Problem {
    match page.render() {
        Ok(text) => problem.shown_on(text),
        Err(error) => Problem::internal(format!("a page: {error}")),
    }
}
