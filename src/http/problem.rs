//! Errors as they are answered: RFC 9457, or a page for a browser.
//!
//! Handlers give a [`Problem`] and nothing else; [`observe`](super::observe) turns it into the answer with
//! [`Problem::respond`], the single place where that happens. True here: what the database, the disk or a panic said goes
//! to the log and never to the caller; every 503 has `Retry-After`.

mod sources;

use std::fmt;
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;

use super::catalogue::Code;
use super::{page, pages, session};
use crate::store::UserRefused;
use crate::task::{TaskId, UserId};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// After how many seconds to try again what cannot be done now.
const RETRY_AFTER_S: u64 = 1;

/// An error on its way to the caller.
#[derive(Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: String,
    errors: Vec<Fault>,
    allowed: Vec<String>,
    task: Option<TaskId>,
    /// How many were saved, and how many were asked for.
    short: Option<(u32, u32)>,
    /// When it may be tried again, in seconds, where that is known.
    retry_after_s: Option<u64>,
    /// The length of the file of which a range was asked.
    length: Option<u64>,
    /// Whether the session cookie is to be taken away.
    ends_session: bool,
    /// For the log alone.
    cause: Option<String>,
    /// The page that shows it in its place, where that is no page of its own.
    page: Option<String>,
}

/// One thing that is wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where, as people write it: `[3].priority`.
    pub field: String,
    /// Where in the body, as a JSON pointer (RFC 6901); none for parameters and form fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What was expected, and what was found.
    pub problem: String,
}

/// The members on the wire.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    allowed: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with what is to be said of this occurrence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            allowed: Vec::new(),
            task: None,
            short: None,
            retry_after_s: None,
            length: None,
            ends_session: false,
            cause: None,
            page: None,
        }))
    }

    /// A problem with the input, field by field; the first fault is the detail.
    pub(super) fn with_faults(code: Code, faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [] => code.title().to_owned(),
            [only] => format!("`{}`: {}", only.field, only.problem),
            [first, rest @ ..] => {
                format!("`{}`: {} (and {} more, see `errors`)", first.field, first.problem, rest.len())
            }
        };
        let mut problem = Self::new(code, detail);
        problem.0.errors = faults;
        problem
    }

    /// A problem with one parameter or form field.
    pub(super) fn of_field(code: Code, field: &str, problem: impl Into<String>) -> Self {
        Self::with_faults(
            code,
            vec![Fault { field: field.to_owned(), pointer: None, problem: problem.into() }],
        )
    }

    /// Something that should not happen; `cause` goes to the log.
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        let detail =
            "something went wrong inside of the daemon; its log has more under the request id of `instance`";
        Self::new(Code::Internal, detail).caused_by(cause)
    }

    /// Adds what would have been allowed.
    pub(super) fn allowing<'a>(mut self, allowed: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.allowed = allowed.into_iter().map(str::to_owned).collect();
        self
    }

    /// Adds the task that it is about.
    pub(super) fn about(mut self, task: TaskId) -> Self {
        self.0.task = Some(task);
        self
    }

    /// Adds how much of what was asked for was done all the same.
    pub(super) fn short_of(mut self, saved: u32, asked: u32) -> Self {
        self.0.short = Some((saved, asked));
        self
    }

    /// Adds when it may be tried again: in whole seconds, of which the last may be spent waiting for nothing.
    pub(super) fn after(mut self, wait: Duration) -> Self {
        self.0.retry_after_s = Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        self
    }

    /// Adds the length of the file.
    pub(super) fn of_length(mut self, length: u64) -> Self {
        self.0.length = Some(length);
        self
    }

    /// Takes the session cookie away with it.
    pub(super) fn ending_session(mut self) -> Self {
        self.0.ends_session = true;
        self
    }

    /// Has a browser see that page, which shows it beside the form that was refused.
    pub(super) fn shown_on(mut self, page: String) -> Self {
        self.0.page = Some(page);
        self
    }

    /// The problem in one line, with every fault of the input.
    pub(super) fn story(&self) -> String {
        let faults = self.0.errors.iter().map(|fault| format!("{}: {}", fault.field, fault.problem));
        let faults: Vec<String> = faults.collect();
        if faults.is_empty() { self.0.detail.clone() } else { faults.join("; ") }
    }

    /// Adds what the log is to say instead of the detail.
    pub(super) fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Which problem.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What is said of this occurrence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong with the input, field by field.
    pub(super) fn faults(&self) -> &[Fault] {
        &self.0.errors
    }

    /// What would have been allowed.
    pub(super) fn allowed(&self) -> &[String] {
        &self.0.allowed
    }

    /// The page that shows it, where it is not the one of all problems.
    pub(super) fn page(&self) -> Option<&str> {
        self.0.page.as_deref()
    }

    /// The task that it is about.
    pub(super) fn task(&self) -> Option<TaskId> {
        self.0.task
    }

    /// Writes it to the log where it is the daemon's fault: once, here, inside of the request's span.
    pub(super) fn log(&self) {
        let code = self.0.code.as_str();
        if matches!(self.0.code, Code::UpstreamFailed | Code::UpstreamTimeout) {
            // Somebody else's fault, and told to whoever asked: it must not fill the log of ours.
            tracing::info!(code, "the request came to nothing: {}", one_line(&self.0.detail));
        } else if self.0.code.status().is_server_error() {
            let cause = self.0.cause.as_deref().unwrap_or(&self.0.detail);
            tracing::error!(code, cause, "the request failed: {}", one_line(cause));
        } else {
            tracing::debug!(code, "the request was refused: {}", one_line(&self.0.detail));
        }
    }

    /// The answer: JSON, or a page where the client prefers one.
    pub(super) fn respond(&self, request: &HttpRequest, request_id: &str) -> HttpResponse {
        let inner = &*self.0;
        let status = inner.code.status();
        let wants_page = page::preferred(request.headers());
        if wants_page
            && request.method().is_safe()
            && inner.code == Code::Unauthenticated
            && let Some(answer) = pages::to_login(request)
        {
            return answer;
        }
        if wants_page
            && request.method().is_safe()
            && inner.ends_session
            && let Some(mut answer) = pages::once_more(request)
        {
            // Who was led out looks at the page as anybody does, or is led to the login.
            if let Ok(gone) = HeaderValue::from_str(&session::taken_away()) {
                answer.headers_mut().insert(header::SET_COOKIE, gone);
            }
            return answer;
        }
        let retry_after_s = inner.retry_after_s.or((status.as_u16() == 503).then_some(RETRY_AFTER_S));
        let mut answer = HttpResponseBuilder::new(status);
        answer.insert_header((header::CACHE_CONTROL, "no-store"));
        answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(seconds) = retry_after_s {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        if inner.ends_session {
            answer.insert_header((header::SET_COOKIE, session::taken_away()));
        }
        if status.as_u16() == 401 {
            let challenge = if inner.code == Code::InvalidToken {
                "Bearer realm=\"gristmill\", error=\"invalid_token\""
            } else {
                "Bearer realm=\"gristmill\""
            };
            answer.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if inner.code == Code::MethodNotAllowed
            && let Ok(allow) = HeaderValue::from_str(&inner.allowed.join(", "))
        {
            answer.insert_header((header::ALLOW, allow));
        }
        if let Some(length) = inner.length {
            answer.insert_header((header::CONTENT_RANGE, format!("bytes */{length}")));
        }
        answer.insert_header((header::VARY, "accept"));
        if wants_page {
            return pages::of_problem(request, self, request_id, answer);
        }
        answer.insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"));
        let body = Body {
            r#type: inner.code.type_uri(),
            title: inner.code.title(),
            status: status.as_u16(),
            detail: &inner.detail,
            instance: format!("urn:request:{request_id}"),
            code: inner.code.as_str(),
            field: inner.errors.first().map(|fault| fault.field.as_str()),
            errors: &inner.errors,
            allowed: &inner.allowed,
            task: inner.task,
            saved: inner.short.map(|(saved, _)| saved),
            asked: inner.short.map(|(_, asked)| asked),
            retry_after_s,
        };
        // A body of texts and numbers always has a JSON form.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        answer.content_type(MEDIA_TYPE).body(body)
    }
}

/// `text` as it may stand in a log for people: details quote what callers send, which must not begin a line of its own
/// or move the cursor.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Harmless, and in every other story.
            '"' | '\'' => line.push(c),
            c => line.extend(c.escape_debug()),
        }
    }
    line
}

impl Problem {
    /// There is no such task, as far as this caller may know.
    pub(super) fn no_task(task: TaskId) -> Self {
        Self::new(Code::TaskNotFound, format!("there is no task {task}, or it is not yours")).about(task)
    }

    /// There is no such user.
    pub(super) fn no_user(user: UserId) -> Self {
        UserRefused::NotFound(user).into()
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> actix_web::http::StatusCode {
        self.0.code.status()
    }

    /// Only the status: the rest needs the request, and is added by the wrapper of all routes.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_send_makes_no_line_of_its_own_in_the_log() {
        let forged = "`x\r\n2026-01-01T00:00:00Z ERROR the disk is \"gone\"\u{1b}[2J\u{2028}\u{202e}ж`";
        assert_eq!(
            one_line(forged),
            "`x\\r\\n2026-01-01T00:00:00Z ERROR the disk is \"gone\"\\u{1b}[2J\\u{2028}\\u{202e}ж`"
        );
    }

    #[test]
    fn the_log_shows_details_and_causes_on_one_line() {
        use std::io::Write;
        use std::sync::{Arc, Mutex};

        #[derive(Clone, Default)]
        struct Paper(Arc<Mutex<Vec<u8>>>);
        impl Write for Paper {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let paper = Paper::default();
        let pen = paper.clone();
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || pen.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            Problem::new(Code::NotFound, "a\nb").log();
            Problem::internal("c\nd").log();
        });
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("a\\nb") && text.contains("c\\nd"), "{text}");
    }
}
