//! `/admin/nodes`: the nodes that share the database: how each is, what it is made of, what it runs, and what was restarted.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{Chrome, Tab, enter};
use crate::http::extract::Query;
use crate::http::nodes::{self, ComponentView, NodeView};
use crate::http::pages::assets::Asset;
use crate::http::pages::frame::Frame;
use crate::http::pages::tasks::Moment;
use crate::http::pages::words::admin::NodeWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::number;
use crate::http::{Problem, State};
use crate::media::report::Language;

/// How something is: a word, and the class that goes with it.
#[derive(Clone, Copy)]
struct Mood {
    text: &'static str,
    class: &'static str,
}

/// A node.
struct Line {
    /// Part of ids on the page.
    anchor: String,
    name: String,
    host: String,
    version: String,
    roles: String,
    mood: Mood,
    started: Moment,
    reported: Option<Moment>,
    parts: Vec<Part>,
    kinds: Vec<(String, String)>,
}

/// A part of a node: an actor, or what it stands on.
struct Part {
    name: String,
    optional: bool,
    mood: Mood,
    since: Option<Moment>,
    message: String,
    restarts: String,
    restarted: Option<Moment>,
    because: String,
}

#[derive(Template)]
#[template(path = "admin/nodes.html")]
struct NodesPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static NodeWords,
    lines: Vec<Line>,
}

/// The page.
pub(super) async fn get(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, frame, chrome) = enter(&state, &request, Tab::Nodes).await?;
    Query::of(&request, &[]).finish()?;
    let found = nodes::nodes(&state).await?;
    let language = frame.language();
    let w = NodeWords::of(language);
    let page = NodesPage {
        lines: found.iter().map(|node| line(language, w, node)).collect(),
        frame: frame.live(super::LIVE, Some(super::REFRESH)),
        chrome,
        w,
    };
    Frame::answer(&page, StatusCode::OK)
}

fn line(language: Language, w: &NodeWords, node: &NodeView) -> Line {
    let report = node.report.as_ref();
    let parts = report.iter().flat_map(|report| &report.components);
    let kinds = report.iter().flat_map(|report| &report.kinds);
    let busy = |taken: u32, permits: u32| {
        filled(w.of, &[&number(language, taken.into()), &number(language, permits.into())])
    };
    Line {
        anchor: node.id.clone(),
        name: node.name.clone(),
        host: report.map(|report| report.host.clone()).unwrap_or_default(),
        version: report.map(|report| report.version.clone()).unwrap_or_default(),
        roles: report.map(|report| report.roles.join(", ")).unwrap_or_default(),
        mood: mood_of(w, node),
        started: Moment::of(language, node.started_at),
        reported: node.reported_at.map(|at| Moment::of(language, at)),
        parts: parts.map(|(name, part)| part_of(language, w, name, part)).collect(),
        kinds: kinds.map(|(name, kind)| (name.clone(), busy(kind.taken, kind.permits))).collect(),
    }
}

fn mood_of(w: &NodeWords, node: &NodeView) -> Mood {
    if !node.alive {
        return match node.ended_well {
            Some(true) => Mood { text: w.gone, class: "new" },
            Some(false) | None => Mood { text: w.lost, class: "failed" },
        };
    }
    match &node.report {
        None => Mood { text: w.silent, class: "running" },
        Some(report) if report.phase == "draining" => Mood { text: w.draining, class: "cancelled" },
        Some(report) if report.ready && report.degraded => Mood { text: w.degraded, class: "cancelled" },
        Some(report) if report.ready => Mood { text: w.ready, class: "completed" },
        Some(_) => Mood { text: w.not_ready, class: "failed" },
    }
}

fn part_of(language: Language, w: &NodeWords, name: &str, part: &ComponentView) -> Part {
    let mood = match part.state.as_str() {
        "up" => Mood { text: w.up, class: "completed" },
        "starting" => Mood { text: w.starting, class: "running" },
        "restarting" => Mood { text: w.restarting, class: "cancelled" },
        _ => Mood { text: w.down, class: "failed" },
    };
    Part {
        name: name.to_owned(),
        optional: part.importance == "optional",
        mood,
        since: part.since.map(|at| Moment::of(language, at)),
        message: part.message.clone().unwrap_or_default(),
        restarts: number(language, part.restarts.into()),
        restarted: part.restarted_at.map(|at| Moment::of(language, at)),
        because: part.restarted_because.clone().unwrap_or_default(),
    }
}
