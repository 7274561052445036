//! `Idempotency-Key`: a request that counts once, however often it is sent.
//!
//! Called by every route that writes. A key belongs to whoever calls (all callers without an identity share theirs, so
//! they do well to draw keys at random), and to one request: method, path, query and body. The answer is stored in the
//! transaction that does what is asked, and given again for a day, also when the task is gone by then.
//!
//! True here: refusals are not remembered, nor that there was no task to be had, since nothing was done; what is secret
//! is not remembered either.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use super::Problem;
use super::catalogue::Code;
use super::task_view::TaskView;
use super::tasks::json_answer;
use crate::account::Caller;
use crate::intake::Done;
use crate::store::{Remember, RememberedAnswer, Reply, Taken};
use crate::task::Task;

/// `Idempotency-Key`, as it is written.
pub(super) const NAME: &str = "Idempotency-Key";

/// The same, as it is looked for.
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// For how long an answer is remembered.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// The longest key, in bytes.
pub(super) const MAX_BYTES: usize = 255;

/// The key that a request carries.
pub(super) struct Key(String);

impl Key {
    /// The key of a request, where it carries one.
    pub(super) fn of(request: &HttpRequest) -> Result<Option<Self>, Problem> {
        let mut values = request.headers().get_all(HEADER);
        let Some(value) = values.next() else { return Ok(None) };
        let refused = |problem: &str| Problem::of_field(Code::InvalidParameter, NAME, problem);
        if values.next().is_some() {
            return Err(refused("the header is given twice"));
        }
        let key = value.to_str().ok().and_then(read);
        match key.filter(|key| fits(key)) {
            Some(key) => Ok(Some(Self(key))),
            None => Err(refused(&format!(
                "expected 1 to {MAX_BYTES} visible ASCII characters, bare or in quotes"
            ))),
        }
    }

    /// What to remember of the request by `caller`, whose body is made of `parts`.
    pub(super) fn remember(
        self,
        request: &HttpRequest,
        caller: Caller,
        parts: &[&[u8]],
        answer: impl Fn(&Reply) -> Option<RememberedAnswer> + Send + Sync + 'static,
    ) -> Remember {
        let scope = match caller {
            Caller::Anonymous => "anonymous".to_owned(),
            Caller::User(user) | Caller::Admin(Some(user)) => format!("user {user}"),
            Caller::Admin(None) => "operator".to_owned(),
        };
        let mut hash = Sha256::new();
        let head = [request.method().as_str(), request.path(), request.query_string()].map(str::as_bytes);
        for part in head.iter().chain(parts) {
            // With its length, so that no two lists of parts are the same text.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let request = format!("{:x}", hash.finalize());
        Remember { scope, key: self.0, request, keep: KEEP, answer: Arc::new(answer) }
    }
}

/// The key out of the header: bare, or as the string of a structured field (RFC 9651), as the IETF's draft has it.
fn read(value: &str) -> Option<String> {
    let value = value.trim();
    let Some(rest) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let inner = rest.strip_suffix('"')?;
    let mut key = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => key.push(c),
        }
    }
    Some(key)
}

fn fits(key: &str) -> bool {
    (1..=MAX_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The answer that was given before, as it was then.
pub(super) fn replayed(answer: RememberedAnswer) -> Result<HttpResponse, Problem> {
    let status = StatusCode::from_u16(answer.status)
        .map_err(|_| Problem::internal(format!("the status {} was remembered", answer.status)))?;
    let mut again = HttpResponse::build(status);
    again.insert_header((REPLAYED, HeaderValue::from_static("true")));
    if let Some(location) = answer.location {
        let location =
            HeaderValue::from_str(&location).map_err(|error| Problem::internal(error.to_string()))?;
        again.insert_header((header::LOCATION, location));
    }
    if answer.body.is_empty() {
        return Ok(again.finish());
    }
    Ok(json_answer(again, answer.body.into_bytes()))
}

/// Answers 200 with a task that was changed, as `caller` may see it.
pub(super) fn changed_answer(done: Done<Task>, caller: Caller) -> Result<HttpResponse, Problem> {
    match done {
        Done::Now(task) => Ok(json_answer(HttpResponse::Ok(), TaskView::json(&task, caller))),
        Done::Before(answer) => replayed(answer),
    }
}

/// What to remember of a change: the answer of [`changed_answer`].
pub(super) fn changed(caller: Caller) -> impl Fn(&Reply) -> Option<RememberedAnswer> {
    move |reply| {
        let Reply::Changed(Ok(task)) = reply else { return None };
        Some(task_answer(task, caller))
    }
}

/// What to remember of a task that was taken in hand; that there was none is not remembered.
pub(super) fn taken(caller: Caller) -> impl Fn(&Reply) -> Option<RememberedAnswer> {
    move |reply| {
        let Reply::Taken(Ok(Taken::Task(task))) = reply else { return None };
        Some(task_answer(task, caller))
    }
}

fn task_answer(task: &Task, caller: Caller) -> RememberedAnswer {
    remembered(StatusCode::OK, None, TaskView::json(task, caller))
}

/// An answer to remember. Its body is JSON, which is text.
pub(super) fn remembered(status: StatusCode, location: Option<String>, body: Vec<u8>) -> RememberedAnswer {
    let body = String::from_utf8(body).unwrap_or_default();
    RememberedAnswer { status: status.as_u16(), location, body }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::task::UserId;

    fn key(values: &[&[u8]]) -> Result<Option<String>, Problem> {
        let mut request = TestRequest::default();
        for value in values {
            request = request.append_header((HEADER, HeaderValue::from_bytes(value).unwrap()));
        }
        Key::of(&request.to_http_request()).map(|key| key.map(|Key(key)| key))
    }

    #[test]
    fn a_key_is_bare_or_quoted_and_of_visible_characters() {
        assert_eq!(key(&[]).unwrap(), None);
        let longest = "k".repeat(255);
        for (value, expected) in [
            ("a", "a"),
            ("\"a\"", "a"),
            ("\"a\\\"b\\\\\"", "a\"b\\"),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("a\"b", "a\"b"),
            (&longest, &longest),
        ] {
            assert_eq!(key(&[value.as_bytes()]).unwrap().as_deref(), Some(expected), "{value}");
        }
        let longer = "k".repeat(256);
        for bad in ["", " ", "\"\"", "\"", "\"a", "\"a\"b\"", "\"a\\b\"", "a b", "\"a b\"", "ж", &longer] {
            let problem = key(&[bad.as_bytes()]).unwrap_err();
            assert_eq!(problem.code(), Code::InvalidParameter, "{bad}");
            assert!(problem.detail().contains(NAME), "{bad}: {problem}");
        }
        assert!(key(&[b"a\xff"]).is_err());
        assert!(key(&[b"a", b"a"]).is_err());
    }

    #[test]
    fn another_method_path_query_or_body_is_another_request_and_a_user_has_keys_of_their_own() {
        let remember = |request: TestRequest, caller, parts: &[&[u8]]| {
            Key("k".to_owned()).remember(&request.to_http_request(), caller, parts, |_| None)
        };
        let nobody = Caller::Anonymous;
        let first = remember(TestRequest::post().uri("/tasks"), nobody, &[b"ab"]);
        assert_eq!(
            first.request,
            remember(TestRequest::post().uri("/tasks"), nobody, &[b"ab"]).request,
            "the same is the same"
        );
        for (request, parts) in [
            (TestRequest::delete().uri("/tasks"), &[&b"ab"[..]][..]),
            (TestRequest::post().uri("/users"), &[b"ab"]),
            (TestRequest::post().uri("/tasks?user_id=1"), &[b"ab"]),
            (TestRequest::post().uri("/tasks"), &[b"abc"]),
            (TestRequest::post().uri("/tasks"), &[b"a", b"b"]),
            (TestRequest::post().uri("/tasks"), &[]),
        ] {
            assert_ne!(first.request, remember(request, nobody, parts).request);
        }
        let scopes = [nobody, Caller::User(UserId(1)), Caller::User(UserId(11))]
            .map(|caller| remember(TestRequest::post(), caller, &[]).scope);
        assert_eq!(scopes, ["anonymous", "user 1", "user 11"]);
    }
}
