//! `/admin/kinds`: the kinds of tasks: how much of each waits and runs, how it has done lately, and pausing it on every node.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::lately;
use super::notice::{Deed, NAME as TOLD, Notice};
use super::{Chrome, Tab, enter};
use crate::http::extract::{self, Query};
use crate::http::kinds::{self, KindView, QuantilesView};
use crate::http::pages::assets::Asset;
use crate::http::pages::chart::Picture;
use crate::http::pages::form::Form;
use crate::http::pages::frame::Frame;
use crate::http::pages::see_other;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::KindWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::{decimal, number, span};
use crate::http::{Problem, State};
use crate::media::report::Language;
use crate::store::Minute;
use crate::task::{Kind, Timestamp};

const HERE: &str = "/admin/kinds";

/// A line of the table.
struct Line {
    kind: String,
    outside: bool,
    paused: Option<Moment>,
    waiting: String,
    parked: String,
    running: String,
    oldest: String,
    rates: [String; 3],
    failed: String,
    waits: String,
    runs: String,
}

/// How a kind was in the last hour.
struct Lately {
    kind: String,
    charts: Vec<Picture>,
}

#[derive(Template)]
#[template(path = "admin/kinds.html")]
struct KindsPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static KindWords,
    lines: Vec<Line>,
    lately: Vec<Lately>,
}

/// The page.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, chrome) = enter(&state, &request, Tab::Kinds).await?;
    Query::of(&request, &[TOLD]).finish()?;
    // Whether a kind is paused is asked anew each time: somebody has just pressed the button.
    let pauses = async { Ok::<_, Problem>(state.store.pauses().await?) };
    let (figures, pauses) = futures_util::try_join!(state.backstage.figures(&state), pauses)?;
    let (now, history) = (figures.at, &figures.history);
    let views = kinds::views(&state, now, pauses, &figures.loads, history);
    let language = frame.language();
    let w = KindWords::of(language);
    let page = KindsPage {
        lines: views.iter().map(|view| line(language, w, view)).collect(),
        lately: views.iter().filter_map(|view| last_hour(language, w, view, history, now)).collect(),
        frame: super::kept_up(frame),
        chrome,
        w,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn line(language: Language, w: &KindWords, view: &KindView) -> Line {
    let depth = &view.depth;
    let running = number(language, view.running);
    let limit = view.concurrency.map(|limit| number(language, u64::from(limit)));
    let (done, failed) = (&view.per_minute.completed, &view.per_minute.failed);
    Line {
        kind: view.kind.clone(),
        outside: view.outside,
        paused: view.paused_at.map(|at| Moment::of(language, at)),
        waiting: number(language, depth.open + depth.suspect + depth.outside),
        parked: number(language, depth.parked),
        running: limit.map_or(running.clone(), |limit| filled(w.of_limit, &[&running, &limit])),
        oldest: view
            .oldest_waiting_s
            .map(|oldest| span(language, Duration::from_secs_f64(oldest.max(0.0))))
            .unwrap_or_default(),
        rates: [done.last_1m, done.last_5m, done.last_60m].map(|rate| decimal(language, rate)),
        failed: number(language, (failed.last_60m * 60.0).round() as u64),
        waits: quantiles(language, &view.wait_s),
        runs: quantiles(language, &view.run_s),
    }
}

/// Half of them at most so long, nearly all at most so long.
fn quantiles(language: Language, of: &QuantilesView) -> String {
    let text = |seconds: Option<f64>| seconds.map(|it| span(language, Duration::from_secs_f64(it.max(0.0))));
    text(of.p50).zip(text(of.p95)).map(|(half, most)| format!("{half} / {most}")).unwrap_or_default()
}

fn last_hour(
    language: Language,
    w: &KindWords,
    view: &KindView,
    history: &[Minute],
    now: Timestamp,
) -> Option<Lately> {
    let kind = view.kind.parse::<Kind>().ok()?;
    let minutes = lately::minutes(history, Some(&kind), now);
    if lately::is_idle(&minutes) {
        return None;
    }
    let id = |what: &str| format!("{kind}-{what}");
    let charts = vec![
        lately::throughput(&id("done"), w.throughput, &minutes, language),
        lately::durations(&id("waits"), w.waits, &minutes, |minute| &minute.waits, language),
        lately::durations(&id("runs"), w.runs, &minutes, |minute| &minute.runs, language),
    ];
    Some(Lately { kind: kind.to_string(), charts })
}

/// Pauses a kind, on every node.
pub(super) async fn pause(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    set(&state, &request, body, true).await
}

/// Lets it go on.
pub(super) async fn resume(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    set(&state, &request, body, false).await
}

async fn set(
    state: &State,
    request: &HttpRequest,
    body: Payload,
    paused: bool,
) -> Result<HttpResponse, Problem> {
    let (caller, _, _) = enter(state, request, Tab::Kinds).await?;
    Form::read(state, request, body, &[]).await?.finish()?;
    let kind = extract::kind(request)?;
    kinds::set_paused(state, caller, kind, paused, None).await?;
    see_other(&Notice::at(HERE, if paused { Deed::Paused } else { Deed::Resumed }, [1, 0, 0]))
}
