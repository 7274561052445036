//! `/events` and `/tasks/{id}/events`: what happens, as server-sent events, live and resumable.
//!
//! Called by the route table. Each event has its number as `id`; a client that comes back with `Last-Event-ID` hears
//! what came after that number and then goes on live, without gap or repetition. Without it, `/events` begins with what
//! happens from now on, and a task's stream with the task's first event. True here: a listener costs one bounded buffer,
//! however slowly it reads, and a comment every 15 seconds keeps proxies from taking the stream for dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, Stream};
use tokio::time::timeout;

use super::catalogue::Code;
use super::extract::{self, Query};
use super::tasks::named;
use super::{Problem, State, auth};
use crate::task::EventSeq;
use crate::telling::{Audience, Listener};

/// The header with which a client resumes.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often a stream that has nothing to say says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The pause after a read that failed; the stream stays.
const PAUSE: Duration = Duration::from_secs(1);

/// The most streams at once on this node.
const MOST: usize = 10_000;

/// The parameters of the stream of all events.
const ALL: &[&str] = &["last_event_id", "user_id"];

/// Every event of the caller's tasks, live. Resumable by `Last-Event-ID`.
#[utoipa::path(
    get, path = "/events", operation_id = "streamEvents", tag = "Events", params(AllParams),
    responses((status = 200, description = "A stream of server-sent events, which does not end by itself: `id` is the \
        event's number, `event` its name, `data` the event as JSON. Who goes on after a number so old that events since are \
        forgotten (`tasks.keep_events_s`) gets `event: forgotten` first, with `after` and `until`.", content_type = "text/event-stream", body = String,
        example = "id: 9\nevent: completed\ndata: {\"id\":9,\"event\":\"completed\",\"task\":7,\"kind\":\"noop\",\"attempt\":1,\"at\":\"2026-01-31T12:00:00.000000Z\"}\n\n")),
)]
pub(super) async fn all(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, ALL);
    let asked = query.parsed("last_event_id", number);
    let named = query.user_id();
    query.finish()?;
    let caller = auth::reader(&state, &request, named).await?;
    // A number that was never given (of another database, before a restore) is no reason to hear nothing until it is.
    let newest = state.store.newest_event().await?;
    let after = resume(&request)?.or(asked).map_or(newest, |after| after.min(newest));
    let forgotten = state.store.forgotten_events().await?;
    answer(&state, Audience::All(caller), after, gap(after, forgotten))
}

/// The events of a task, from its first, then live. Ends when the task is deleted. Resumable by `Last-Event-ID`.
#[utoipa::path(
    get, path = "/tasks/{id}/events", operation_id = "streamTaskEvents", tag = "Events",
    params(super::tasks::TaskParam, super::tasks::UserParam, LastEventId),
    responses((status = 200, description = "A stream of server-sent events, as of `/events`, of this task alone.",
        content_type = "text/event-stream", body = String,
        example = "id: 9\nevent: completed\ndata: {\"id\":9,\"event\":\"completed\",\"task\":7,\"kind\":\"noop\",\"attempt\":1,\"at\":\"2026-01-31T12:00:00.000000Z\"}\n\n")),
)]
pub(super) async fn of_task(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = extract::task_id(&request)?;
    let caller = auth::reader(&state, &request, named(&request)?).await?;
    let task = state.store.task(id).await?;
    task.filter(|task| caller.may_see(task.life.owner, task.life.assignee))
        .ok_or_else(|| Problem::no_task(id))?;
    let after = resume(&request)?.unwrap_or(EventSeq(0));
    // Of a task that is there, all events are.
    answer(&state, Audience::Of(id), after, None)
}

/// The number after which a client wants to go on. An empty one is what browsers send that have none.
fn resume(request: &HttpRequest) -> Result<Option<EventSeq>, Problem> {
    let Some(value) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    if text.is_empty() {
        return Ok(None);
    }
    number(text)
        .map(Some)
        .map_err(|problem| Problem::of_field(Code::InvalidParameter, "Last-Event-ID", problem))
}

fn number(text: &str) -> Result<EventSeq, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.map(EventSeq).ok_or_else(|| "expected the number of an event".to_owned())
}

/// What tells a client that comes back after so long that events are forgotten. Without an `id`: it goes on from the event that
/// it has.
fn gap(after: EventSeq, forgotten: EventSeq) -> Option<String> {
    let told = format!("event: forgotten\ndata: {{\"after\":{after},\"until\":{forgotten}}}\n\n");
    (after < forgotten).then_some(told)
}

fn answer(
    state: &State,
    audience: Audience,
    after: EventSeq,
    gap: Option<String>,
) -> Result<HttpResponse, Problem> {
    let place = Place::take(&state.listeners)?;
    let listener = state.feed.listen(audience, after);
    Ok(stream_of(frames(listener, place, gap.unwrap_or_default())))
}

/// The answer that is a stream of server-sent events.
pub(super) fn stream_of(
    frames: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + 'static,
) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // nginx would keep events back until its buffer is full.
        .insert_header((HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")))
        .streaming(frames)
}

/// A place among those who listen, given back when the connection ends.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    pub(super) fn take(taken: &Arc<AtomicUsize>) -> Result<Self, Problem> {
        let place = Self(Arc::clone(taken));
        if taken.fetch_add(1, Ordering::SeqCst) >= MOST {
            let detail = format!("{MOST} listen on this node already: try again later, or another node");
            return Err(Problem::new(Code::Overloaded, detail));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The stream: how soon to come back, then frames and signs of life, until the daemon drains or the client goes.
fn frames(
    listener: Listener,
    place: Place,
    first: String,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    // After an end of the connection clients come back within a second or so of their own, not all at once.
    let retry = rand::random_range(500..1_500);
    let hello = Bytes::from(format!("retry: {retry}\n\n{first}"));
    stream::unfold((Some(hello), listener, place), async |(hello, mut listener, place)| {
        if let Some(hello) = hello {
            return Some((Ok(hello), (None, listener, place)));
        }
        let frames = match timeout(KEEP_ALIVE, listener.next()).await {
            Ok(Ok(Some(frames))) => frames,
            Ok(Ok(None)) => return None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a listener waits: events cannot be read");
                tokio::time::sleep(PAUSE).await;
                Bytes::from_static(b": events cannot be read now\n\n")
            }
            Err(_) => Bytes::from_static(b": still here\n\n"),
        };
        Some((Ok(frames), (None, listener, place)))
    })
}

/// Where a client goes on.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what `resume` reads")]
struct LastEventId {
    /// The number of the last event that the client has; what came after it follows.
    #[param(rename = "Last-Event-ID", minimum = 0)]
    last_event_id: Option<i64>,
}

/// The parameters of the stream of all events.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what `all` reads")]
struct AllParams {
    /// As the header `Last-Event-ID`, for clients that cannot set it the first time.
    #[param(minimum = 0)]
    last_event_id: Option<i64>,
    /// Whose data is meant. Proves nothing by itself, unless `auth.trust_user_id` is on.
    #[param(minimum = 1)]
    user_id: Option<i64>,
}
