//! What handlers take out of a request: bodies, query parameters, numbers in paths.
//!
//! True here: a body never takes more memory than allowed, nor longer than its patience between two bytes; heavy ones lie
//! on the disk while they come, and share one bound of memory ([`Desk`]) as long as they are held; a parameter that is
//! unknown or given twice is refused by name.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::str::FromStr;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::{Bytes, BytesMut, Data};
use futures_util::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::catalogue::Code;
use super::image_desk::Desk;
use super::problem::Fault;
use super::spool::{appended, blocking, whole};
use super::{Problem, State};
use crate::blob::Draft;
use crate::task::{Kind, TaskId, TraceParent, UserId};

/// How long one body may take: no longer than the patience between two pieces, and all of it no longer than at the
/// slowest pace, so that nobody holds a connection and a draft for ever by a byte now and then.
pub(super) struct Pace {
    patience: Duration,
    begun: Instant,
    bytes: u64,
}

impl Pace {
    /// Bytes a second, on the average, once the first patience has passed. The slowest modem is faster.
    const SLOWEST: u64 = 1024;

    /// The pace of a body that begins now.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, begun: Instant::now(), bytes: 0 }
    }

    /// What `next` gives, unless it takes too long.
    pub(super) async fn wait<T>(&self, next: impl Future<Output = T>) -> Result<T, Problem> {
        let whole = self.patience + Duration::from_secs(self.bytes / Self::SLOWEST);
        let left = whole.saturating_sub(self.begun.elapsed()).min(self.patience);
        timeout(left, next).await.map_err(|_| self.too_slow())
    }

    /// So many bytes have come.
    pub(super) fn came(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    fn too_slow(&self) -> Problem {
        let (bytes, elapsed) = (bytes(self.bytes), self.begun.elapsed().as_secs_f64());
        let patience = self.patience.as_secs_f64();
        let detail = format!(
            "the body comes too slowly: {bytes} in {elapsed:.0} s; a pause may last {patience} s, and the whole \
             must come at {} bytes a second",
            Self::SLOWEST
        );
        Problem::new(Code::RequestTimeout, detail)
    }
}

/// So many bytes, in words.
pub(super) fn bytes(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// The next bytes of a body, or why they do not come.
async fn next_chunk<S>(body: &mut S, pace: &mut Pace) -> Result<Option<Bytes>, Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    match pace.wait(body.next()).await? {
        Some(Ok(chunk)) => {
            pace.came(chunk.len());
            Ok(Some(chunk))
        }
        None => Ok(None),
        Some(Err(error)) => Err(broken_body(&error)),
    }
}

/// Why a body broke off.
pub(super) fn broken_body(error: &PayloadError) -> Problem {
    Problem::new(Code::IncompleteBody, format!("the body ended before it was complete ({error})"))
}

/// A JSON body of at most so many bytes comes into memory as it is; nearly all do.
const LIGHT: usize = 256 * 1024;

/// How often what is in a heavy body may be in memory: its text, what is decoded of it, and a copy.
const TIMES: u64 = 3;

/// The whole body, which must be JSON unless it is empty. A heavy one has its share of the memory of all heavy bodies
/// until it is dropped: whoever makes something large of it holds it until that is gone.
pub(super) async fn json_body<S>(state: &State, request: &HttpRequest, mut body: S) -> Result<Bytes, Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let most = state.http.max_json_bytes.bytes();
    let too_large =
        || Problem::new(Code::BodyTooLarge, format!("the body is larger than {}", state.http.max_json_bytes));
    if declared_length(request.headers()).is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut pace = Pace::new(state.http.request_timeout);
    // Most bodies come in one piece, which needs no copy.
    let Some(first) = next_chunk(&mut body, &mut pace).await? else { return Ok(Bytes::new()) };
    check_json_type(request)?;
    let mut buffer: Option<BytesMut> = None;
    let mut draft = None;
    loop {
        let length = buffer.as_ref().map_or(first.len(), BytesMut::len);
        if length as u64 + draft.as_ref().map_or(0, Draft::len) > most {
            return Err(too_large());
        }
        let Some(chunk) = next_chunk(&mut body, &mut pace).await? else { break };
        let gathered = buffer.get_or_insert_with(|| BytesMut::from(&*first));
        gathered.extend_from_slice(&chunk);
        if gathered.len() > LIGHT {
            let begun = match draft.take() {
                Some(draft) => draft,
                None => {
                    let blobs = state.blobs.clone();
                    blocking(move || blobs.draft()).await??
                }
            };
            draft = Some(appended(begun, gathered.split().freeze()).await?);
        }
    }
    let rest = buffer.map_or(first, BytesMut::freeze);
    match draft {
        Some(draft) => heavy(request, appended(draft, rest).await?).await,
        None => Ok(rest),
    }
}

/// A body that has come whole and lies on the disk.
async fn heavy(request: &HttpRequest, draft: Draft) -> Result<Bytes, Problem> {
    let desk = request.app_data::<Data<Desk>>().ok_or_else(|| Problem::internal("the server has no desk"))?;
    let share = desk.take(draft.len().saturating_mul(TIMES)).await?;
    let bytes = blocking(move || whole(&draft)).await??;
    Ok(Bytes::from_owner(Heavy { bytes, _share: share }))
}

/// A body with its share of the memory.
struct Heavy {
    bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Heavy {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Refuses a body that is compressed: how large it grows would be anybody's guess.
pub(super) fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).all(plain) {
        return Ok(());
    }
    let detail = "the body is compressed (`Content-Encoding`): send it as it is";
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// The length of the body, where the client says it.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn check_json_type(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    check_coding(headers)?;
    let found = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if found.as_deref().is_some_and(is_json) {
        return Ok(());
    }
    let found = found.map_or(Cow::Borrowed("none"), |found| Cow::Owned(format!("`{found}`")));
    let detail = format!("expected `Content-Type: application/json`, got {found}");
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// `application/json`, or a type whose suffix says that it is JSON; in UTF-8, if it says.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let json = essence.eq_ignore_ascii_case("application/json")
        || essence.len() > 5 && essence.is_char_boundary(essence.len() - 5) && {
            let (_, suffix) = essence.split_at(essence.len() - 5);
            suffix.eq_ignore_ascii_case("+json")
        };
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        Some(_) | None => true,
    })
}

/// How many a page of any list may have, and has where nobody says.
const LIMITS: (u32, u32) = (1, 1_000);
const DEFAULT_LIMIT: u32 = 100;

/// The parameters of a query. Faults gather in it until [`Query::finish`].
pub(super) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    names: &'static [&'static str],
    faults: Vec<Fault>,
}

impl<'a> Query<'a> {
    /// Reads the query, which may have parameters of these names.
    pub(super) fn of(request: &'a HttpRequest, names: &'static [&'static str]) -> Self {
        let mut query = Self { pairs: Vec::new(), names, faults: Vec::new() };
        let text = request.query_string();
        if text.is_empty() {
            return query;
        }
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if !names.contains(&&*name) {
                query.fault(&name.chars().take(64).collect::<String>(), "there is no such parameter");
            } else if query.pairs.iter().any(|(earlier, _)| *earlier == name) {
                query.fault(&name, "the parameter is given twice");
            } else {
                query.pairs.push((name, value));
            }
            if query.faults.len() == 20 {
                break;
            }
        }
        query
    }

    /// The same of a form of a page, in which what is left empty is not given.
    pub(super) fn of_form(request: &'a HttpRequest, names: &'static [&'static str]) -> Self {
        let mut query = Self::of(request, names);
        query.pairs.retain(|(_, value)| !value.is_empty());
        query
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, name: &str, problem: impl Into<String>) {
        self.faults.push(Fault { field: name.to_owned(), pointer: None, problem: problem.into() });
    }

    /// The value as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The value as `parse` understands it.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.text(name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(name, error.to_string());
                None
            }
        }
    }

    /// How many a page may have: what `limit` says, else [`DEFAULT_LIMIT`].
    pub(super) fn limit(&mut self) -> u32 {
        let limit = self.parsed("limit", |text| {
            let (low, high) = LIMITS;
            let limit = text.parse().ok().filter(|limit| (low..=high).contains(limit));
            limit.ok_or_else(|| format!("expected a whole number from {low} to {high}"))
        });
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Whose data is meant, where the query says.
    pub(super) fn user_id(&mut self) -> Option<UserId> {
        self.parsed("user_id", |text| number(text).map(UserId))
    }

    /// Refuses the query if there are faults.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.faults.is_empty() {
            return Ok(());
        }
        Err(Problem::with_faults(Code::InvalidParameter, self.faults).allowing(self.names.iter().copied()))
    }
}

/// A row's number: from 1 to the largest that there can be.
pub(super) fn number(text: &str) -> Result<i64, String> {
    // Only digits: `+5` is no number that we gave out.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match i64::from_str(text) {
        Ok(number) if digits && number > 0 => Ok(number),
        Ok(_) | Err(_) => {
            let text: String = text.chars().take(40).collect();
            Err(format!("expected a whole number from 1 to {}, got `{text}`", i64::MAX))
        }
    }
}

/// The trace that the request belongs to. One that cannot be read is ignored, as the W3C's Trace Context has it.
pub(super) fn traceparent(request: &HttpRequest) -> Option<TraceParent> {
    let mut values = request.headers().get_all(HeaderName::from_static("traceparent"));
    let only = values.next().filter(|_| values.next().is_none())?;
    only.to_str().ok()?.parse().ok()
}

/// The number of the task in the path.
pub(super) fn task_id(request: &HttpRequest) -> Result<TaskId, Problem> {
    number(request.match_info().get("id").unwrap_or_default())
        .map(TaskId)
        .map_err(|problem| Problem::of_field(Code::InvalidParameter, "id", problem))
}

/// The kind in the path.
pub(super) fn kind(request: &HttpRequest) -> Result<Kind, Problem> {
    let name = request.match_info().get("kind").unwrap_or_default();
    name.parse::<Kind>().map_err(|error| Problem::of_field(Code::InvalidParameter, "kind", error.to_string()))
}

/// The number of the user in the path.
pub(super) fn user_id(request: &HttpRequest) -> Result<UserId, Problem> {
    number(request.match_info().get("id").unwrap_or_default())
        .map(UserId)
        .map_err(|problem| Problem::of_field(Code::InvalidParameter, "id", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type_or_suffix_and_must_be_utf_8() {
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/vnd.x+json",
            "application/json;a=b",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "text/plain",
            "application/json; charset=latin1",
            "json",
            "+json",
            "",
            "application/jsonx",
            "жжж",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn a_number_is_positive_and_fits() {
        assert_eq!(number("9223372036854775807"), Ok(i64::MAX));
        for bad in ["", "0", "-1", "+1", "1.0", "9223372036854775808", "0x1", " 1", "١"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }
}
