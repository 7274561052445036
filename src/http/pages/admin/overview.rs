//! `/admin`: how the whole of it is: what waits and runs, what fails, and whether all that it stands on is there.
//!
//! True here: its cost grows with what waits and what failed, not with what was ever done, and not with how many look; what
//! cannot be found out is said in its place, and the rest of the page stands. That goes for the database too, as far as it is
//! not needed to tell who asks: whoever has the operator's token sees the page without it, others the page of a problem.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::lately;
use super::{Chrome, Tab, enter};
use crate::broker;
use crate::http::backstage::Figures;
use crate::http::extract::Query;
use crate::http::pages::assets::Asset;
use crate::http::pages::chart::Picture;
use crate::http::pages::frame::Frame;
use crate::http::pages::words::admin::OverviewWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::{decimal, number, size, span};
use crate::http::{Problem, State};
use crate::media::report::Language;
use crate::store::{KindLoad, MinuteCounts, Pause};
use crate::telemetry::health::{ComponentState, Importance};

/// A number that matters.
struct Tile {
    name: &'static str,
    value: String,
    more: String,
    href: Option<&'static str>,
    mood: Mood,
}

/// Whether a number is a worry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Fine,
    Warn,
    Bad,
}

impl Mood {
    fn class(self) -> &'static str {
        match self {
            Self::Fine => "",
            Self::Warn => " warn",
            Self::Bad => " bad",
        }
    }
}

/// A part that this node stands on, or is made of.
struct Part {
    name: String,
    state: &'static str,
    class: &'static str,
    reason: String,
    optional: bool,
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static OverviewWords,
    tiles: Vec<Tile>,
    charts: Vec<Picture>,
    /// Why there are no numbers.
    failed: Option<String>,
    parts: Vec<Part>,
    /// How many of them are up, in words.
    parts_up: String,
    /// Whether one is not.
    trouble: bool,
}

/// For how long a task may wait that could start before that is a worry.
const LONG: Duration = Duration::from_secs(60);

/// The page.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, chrome) = enter(&state, &request, Tab::Overview).await?;
    Query::of(&request, &[]).finish()?;
    let language = frame.language();
    let w = OverviewWords::of(language);
    let (numbers, database, broker, disk) = futures_util::join!(
        numbers(&state),
        database(&state, &frame, w),
        broker(&state, &frame, w),
        disk(&state, &frame, w),
    );
    let (mut tiles, charts, failed) = match numbers {
        Ok((figures, pauses)) => {
            let minutes = lately::minutes(&figures.history, None, figures.at);
            (figured(&frame, w, &figures, &minutes, &pauses), charts(language, w, &minutes), None)
        }
        Err(problem) => (Vec::new(), Vec::new(), Some(problem.detail().to_owned())),
    };
    tiles.extend([database, broker, disk]);
    let parts = parts(&state, w);
    let up = parts.iter().filter(|part| part.class == "completed").count();
    let count = |count: usize| number(language, count as u64);
    let page = OverviewPage {
        parts_up: filled(w.parts, &[&count(up), &count(parts.len())]),
        trouble: up < parts.len(),
        parts,
        frame: super::kept_up(frame),
        tiles,
        charts,
        failed,
        chrome,
        w,
    };
    Frame::answer(&page, StatusCode::OK)
}

/// What the tiles and charts are made of. What is paused is asked anew each time: somebody may just have pressed the button.
async fn numbers(state: &State) -> Result<(Arc<Figures>, Vec<Pause>), Problem> {
    let pauses = async { Ok::<_, Problem>(state.store.pauses().await?) };
    futures_util::try_join!(state.backstage.figures(state), pauses)
}

fn figured(
    frame: &Frame,
    w: &OverviewWords,
    figures: &Figures,
    minutes: &[MinuteCounts],
    pauses: &[Pause],
) -> Vec<Tile> {
    let language = frame.language();
    let mut tiles = vec![
        waiting(frame, w, &figures.loads, figures.at),
        running(frame, w, &figures.loads),
        Tile {
            name: w.failed,
            value: number(language, figures.totals.failed),
            more: filled(w.failed_lately, &[&number(language, lately_failed(minutes))]),
            href: Some("/admin/tasks?status=Failed"),
            mood: if lately_failed(minutes) > 0 { Mood::Warn } else { Mood::Fine },
        },
        Tile {
            name: w.done,
            value: decimal(language, per_minute(minutes)),
            more: w.per_minute.to_owned(),
            href: Some("/admin/kinds"),
            mood: Mood::Fine,
        },
        Tile {
            name: w.created,
            value: number(language, figures.totals.created),
            more: w.ever.to_owned(),
            href: Some("/admin/tasks"),
            mood: Mood::Fine,
        },
    ];
    if !pauses.is_empty() {
        tiles.push(Tile {
            name: w.paused,
            value: number(language, pauses.len() as u64),
            more: pauses.iter().map(|pause| pause.kind.as_str()).collect::<Vec<_>>().join(", "),
            href: Some("/admin/kinds"),
            mood: Mood::Warn,
        });
    }
    tiles
}

fn charts(language: Language, w: &OverviewWords, minutes: &[MinuteCounts]) -> Vec<Picture> {
    vec![
        lately::throughput("throughput", w.throughput, minutes, language),
        lately::durations("waits", w.waits, minutes, |minute| &minute.waits, language),
        lately::durations("runs", w.runs, minutes, |minute| &minute.runs, language),
    ]
}

fn waiting(frame: &Frame, w: &OverviewWords, loads: &[KindLoad], now: crate::task::Timestamp) -> Tile {
    let language = frame.language();
    let waiting: u64 = loads.iter().map(KindLoad::waiting).sum();
    let oldest = loads.iter().filter_map(|load| load.oldest).min().map(|oldest| now.since(oldest));
    Tile {
        name: w.waiting,
        value: number(language, waiting),
        more: oldest.map(|oldest| filled(w.oldest, &[&span(language, oldest)])).unwrap_or_default(),
        href: Some("/admin/tasks?status=New"),
        mood: if oldest.is_some_and(|oldest| oldest > LONG) { Mood::Warn } else { Mood::Fine },
    }
}

fn running(frame: &Frame, w: &OverviewWords, loads: &[KindLoad]) -> Tile {
    let running: u64 = loads.iter().map(|load| load.running).sum();
    Tile {
        name: w.running,
        value: number(frame.language(), running),
        more: String::new(),
        href: Some("/admin/tasks?status=In+Progress"),
        mood: Mood::Fine,
    }
}

fn lately_failed(minutes: &[MinuteCounts]) -> u64 {
    minutes.iter().map(|minute| minute.failed).sum()
}

/// How much was done a minute, over the last five that are whole.
fn per_minute(minutes: &[MinuteCounts]) -> f64 {
    let whole = minutes.iter().rev().skip(1).take(5);
    whole.map(|minute| minute.completed).sum::<u64>() as f64 / 5.0
}

async fn database(state: &State, frame: &Frame, w: &OverviewWords) -> Tile {
    let begun = tokio::time::Instant::now();
    let answer = state.store.ping().await.map(|()| begun.elapsed());
    let bytes = state.backstage.storage(state).await.map(|sums| sums.database);
    let language = frame.language();
    Tile {
        name: w.database,
        value: if answer.is_ok() { w.up } else { w.down }.to_owned(),
        more: match (&answer, bytes) {
            (Ok(took), Ok(bytes)) => {
                let took = decimal(language, took.as_secs_f64() * 1000.0);
                filled(w.database_more, &[&size(language, bytes), &took])
            }
            (Ok(_), Err(_)) | (Err(_), Ok(_) | Err(_)) => String::new(),
        },
        href: Some("/admin/storage"),
        mood: if answer.is_ok() { Mood::Fine } else { Mood::Bad },
    }
}

/// The broker, as this node's board has it, and how many messages lie dead in it.
async fn broker(state: &State, frame: &Frame, w: &OverviewWords) -> Tile {
    let tile = |value: &str, more: String, mood: Mood| Tile {
        name: w.broker,
        value: value.to_owned(),
        more,
        href: Some("/admin/dead"),
        mood,
    };
    let board = state.health.snapshot();
    match board.components.get(broker::COMPONENT).map(|component| &component.state) {
        None => tile(w.none, w.no_broker.to_owned(), Mood::Fine),
        Some(ComponentState::Starting) => tile(w.starting, String::new(), Mood::Warn),
        Some(ComponentState::Restarting { .. } | ComponentState::Down { .. }) => {
            tile(w.down, w.broker_away.to_owned(), Mood::Bad)
        }
        Some(ComponentState::Up) => match state.backstage.dead_count().await {
            None => tile(w.up, String::new(), Mood::Fine),
            Some(Err(_)) => tile(w.up, filled(w.dead, &[w.unknown]), Mood::Warn),
            Some(Ok(dead)) => {
                let more = filled(w.dead, &[&number(frame.language(), u64::from(dead))]);
                tile(w.up, more, if dead > 0 { Mood::Warn } else { Mood::Fine })
            }
        },
    }
}

async fn disk(state: &State, frame: &Frame, w: &OverviewWords) -> Tile {
    let language = frame.language();
    let room = state.backstage.room().await;
    Tile {
        name: w.disk,
        value: room.as_ref().map_or_else(|_| w.unknown.to_owned(), |room| size(language, room.free)),
        more: match &room {
            Ok(room) => filled(w.disk_more, &[&size(language, room.total)]),
            Err(_) => String::new(),
        },
        href: Some("/admin/storage"),
        mood: if room.is_ok_and(|room| room.is_scarce()) { Mood::Bad } else { Mood::Fine },
    }
}

/// The board of this node.
fn parts(state: &State, w: &OverviewWords) -> Vec<Part> {
    let part = |(name, component): (String, crate::telemetry::health::Component)| {
        let (state, class, reason) = match component.state {
            ComponentState::Up => (w.up, "completed", String::new()),
            ComponentState::Starting => (w.starting, "running", String::new()),
            ComponentState::Restarting { reason, restarts, .. } => {
                (w.restarting, "cancelled", format!("{restarts}: {reason}"))
            }
            ComponentState::Down { reason, .. } => (w.down, "failed", reason),
        };
        Part { name, state, class, reason, optional: component.importance == Importance::Optional }
    };
    state.health.snapshot().components.into_iter().map(part).collect()
}
