//! What happens around every request: its id, its span, its metrics, whether it may come from there and by that name, a
//! panic that becomes a 500, and the one place where errors become answers.
//!
//! Wrapped around each route by [`routes`](super::routes), so that the route is known without looking. It is in the way
//! of every request: what is added here, every request pays for.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use tracing::Instrument;

use super::catalogue::Code;
use super::hosts::Hosts;
use super::unread::InPieces;
use super::{Problem, State, extract, origin};
use crate::telemetry::logging::request_span;
use crate::telemetry::metrics::{Method, OneRouteMetrics};
use crate::telemetry::traces::{Open, Part};

/// The header that carries a request's id, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that tells the caller the trace, where it is recorded (W3C Trace Context, level 2).
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Answers what can be answered without waiting, and without anything to say in the log; `None` for what cannot.
pub(super) type AtOnce = fn(&State, &HttpRequest) -> Option<HttpResponse>;

/// What is known of a path before a request for it comes.
pub(super) struct Way {
    /// The route; `None` where no route has the path.
    pub(super) route: Option<&'static str>,
    /// Whether its `GET` does something.
    pub(super) acts: bool,
    /// Whether it is a page to some and JSON to others.
    pub(super) varies: bool,
    /// What answers it without waiting, where that can be.
    pub(super) at_once: Option<AtOnce>,
    /// By which names it may be called, where that matters.
    pub(super) hosts: Option<Rc<Hosts>>,
    /// What its requests are counted in.
    pub(super) metrics: OneRouteMetrics,
}

/// Serves a request.
pub(super) async fn observe<B: MessageBody + 'static>(
    state: web::Data<State>,
    way: Rc<Way>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let body = InPieces::of(&mut request);
    let response = served(&state, &way, request, next).await;
    Ok(match body {
        None => response,
        Some(body) => body.kept_for(response),
    })
}

/// The answer to a request, whatever befell it.
async fn served<B: MessageBody + 'static>(
    state: &State,
    way: &Way,
    request: ServiceRequest,
    next: Next<B>,
) -> ServiceResponse<BoxBody> {
    let started = Instant::now();
    state.closing.asked();
    let route = way.route;
    let method = Method::of(request.method().as_str());
    let id = request_id(&request);
    // A panic is left to the handler, which will not fare better, to be told of.
    let welcome = way.hosts.as_ref().is_none_or(|hosts| hosts.admit(request.headers()));
    let asked = || way.at_once.filter(|_| welcome).and_then(|answer| answer(state, request.request()));
    if let Ok(Some(answer)) = std::panic::catch_unwind(AssertUnwindSafe(asked)) {
        return told(state, way, method, id, started, request.into_response(answer));
    }
    // Only visible characters: `request_id` lets no others in.
    let name = id.to_str().unwrap_or_default();
    let path = route.unwrap_or("unmatched");
    let from = extract::traceparent(request.request());
    let mut trace = state.traces.open(Part::Server, from, || format!("{} {path}", method.as_str()).into());
    let span = request_span(name, method.as_str(), path, trace.at());
    let http = request.request().clone();
    // A handler's state lives in its future alone, so a panic leaves nothing half changed that anybody sees again.
    let served = match may_come(state, way, &http) {
        Ok(()) => {
            let handled = trace.during(next.call(request));
            AssertUnwindSafe(handled).catch_unwind().instrument(span.clone()).await
        }
        Err(problem) => Ok(Err(problem.into())),
    };
    let response = match served {
        Ok(Ok(response)) => match response.response().error().map(problem_of) {
            None => response.map_into_boxed_body(),
            Some(problem) => span.in_scope(|| answer(&http, &problem, name)),
        },
        Ok(Err(error)) => span.in_scope(|| answer(&http, &problem_of(&error), name)),
        Err(panic) => {
            let problem = Problem::internal(format!("the handler panicked: {}", message(&*panic)));
            span.in_scope(|| answer(&http, &problem, name))
        }
    };
    let mut response = told(state, way, method, id, started, response);
    if trace.is_recorded() {
        recorded(&mut trace, way, method, &mut response);
    }
    response
}

/// Notes in the trace what the request was and how it went, and in the answer where in the trace that is.
fn recorded(trace: &mut Open, way: &Way, method: Method, response: &mut ServiceResponse<BoxBody>) {
    trace.set("http.request.method", method.as_str());
    if let Some(route) = way.route {
        trace.set("http.route", route);
    }
    let status = response.status();
    trace.set("http.response.status_code", i64::from(status.as_u16()));
    if let Some(id) = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()) {
        trace.set("gristmill.request.id", id.to_owned());
    }
    if status.is_server_error() {
        trace.fail("server_error");
    }
    if let Ok(place) = HeaderValue::from_str(&trace.at().to_string()) {
        response.headers_mut().insert(TRACE_RESPONSE, place);
    }
}

/// Refuses what may not come from where it does, or not by that name. To a path that there is not, anything may.
fn may_come(state: &State, way: &Way, request: &HttpRequest) -> Result<(), Problem> {
    if way.route.is_none() {
        return Ok(());
    }
    way.hosts.as_ref().map_or(Ok(()), |hosts| hosts.check(request.headers()))?;
    origin::check(&state.http, request, way.acts)
}

/// The answer with the request's id, counted.
fn told(
    state: &State,
    way: &Way,
    method: Method,
    id: HeaderValue,
    started: Instant,
    mut response: ServiceResponse<BoxBody>,
) -> ServiceResponse<BoxBody> {
    response.headers_mut().insert(REQUEST_ID, id);
    state.closing.answered(response.response_mut());
    if way.varies && !response.headers().contains_key(header::VARY) {
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    }
    way.metrics.answered(method, response.status().as_u16(), started.elapsed());
    response
}

fn answer(request: &HttpRequest, problem: &Problem, request_id: &str) -> ServiceResponse<BoxBody> {
    problem.log();
    ServiceResponse::new(request.clone(), problem.respond(request, request_id))
}

/// Our own errors as they are; of others (there should be none) no more than that they happened.
fn problem_of(error: &Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => Problem::internal(error.to_string()),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The id that the client sent, where it is one that may stand in logs; else a new one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    match request.headers().get(REQUEST_ID) {
        Some(id) if is_sane(id.as_bytes()) => id.clone(),
        Some(_) | None => fresh_id(),
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte))
}

/// A new id: one half drawn at the start of the process, one half counted.
fn fresh_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(rand::random);
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let mut id = [0; 24];
    write_hex(&mut id[..16], *PROCESS);
    write_hex(&mut id[16..], u64::from(COUNTER.fetch_add(1, Ordering::Relaxed)));
    // Digits and letters always fit into a header.
    HeaderValue::from_bytes(&id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// Writes a number into all of `place`, with zeros before it.
fn write_hex(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number % 16) as usize];
        number /= 16;
    }
}

/// Answers a path that no route has.
pub(super) async fn no_route(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path: String = request.path().chars().take(200).collect();
    Err(Problem::new(Code::NotFound, format!("there is nothing at `{path}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_from_outside_are_short_and_hold_nothing_that_breaks_a_log() {
        for good in
            ["a", "0af7651916cd43dd8448eb211c80319c", "550e8400-e29b-41d4-a716-446655440000", "a.b:c/d+e=@f"]
        {
            assert!(is_sane(good.as_bytes()), "{good}");
        }
        for bad in ["", "a b", "a\tb", "a\"b", "<x>", "ж", &"x".repeat(129)] {
            assert!(!is_sane(bad.as_bytes()), "{bad}");
        }
        assert_ne!(fresh_id(), fresh_id());
        assert!(is_sane(fresh_id().as_bytes()));
        let mut place = [0; 6];
        write_hex(&mut place, 0x0f_a9c0);
        assert_eq!(&place, b"0fa9c0");
    }
}
