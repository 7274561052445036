//! `/kinds`: what kinds of tasks there are, how much of each waits and runs; pausing them and letting them go on.
//!
//! Called by the route table; for admins alone. [`views`] is what pages show as well.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::idempotency::{Key, remembered, replayed};
use super::task_view::TaskView;
use super::tasks::{UserParam, json_answer, named, nothing};
use super::{Problem, State, auth, extract};
use crate::account::Caller;
use crate::intake::Done;
use crate::store::{KindLoad, Minute, Pause, Rates, Remember, RememberedAnswer, Reply, Spread, Trend};
use crate::task::{Kind, Timestamp};
use crate::telemetry::action_log::Action;

/// How far back the trends go.
const HOUR: Duration = Duration::from_secs(3600);

/// A kind of tasks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KindOverview, example = json!({
    "kind": "transcode", "outside": false, "concurrency": 2, "paused_at": "2026-01-31T12:00:00.000000Z", "paused_by": 3,
    "depth": {"open": 40, "parked": 2, "suspect": 0, "outside": 0}, "running": 2, "oldest_waiting_s": 12.5,
    "per_minute": {
        "created": {"last_1m": 31.0, "last_5m": 28.2, "last_60m": 12.1},
        "completed": {"last_1m": 30.5, "last_5m": 28.0, "last_60m": 12.0},
        "failed": {"last_1m": 0.0, "last_5m": 0.2, "last_60m": 0.1},
        "retried": {"last_1m": 0.0, "last_5m": 0.4, "last_60m": 0.3}
    },
    "wait_s": {"p50": 0.8, "p95": 9.1}, "run_s": {"p50": 1.7, "p95": 4.2}
}))]
pub(super) struct KindView {
    /// Its name.
    pub(super) kind: String,
    /// Whether workers outside do it, and not the daemon.
    pub(super) outside: bool,
    /// How many of it this node runs at once; `null` where the daemon does not run it.
    pub(super) concurrency: Option<u32>,
    /// Since when it is paused; left out while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) paused_at: Option<Timestamp>,
    /// The user who paused it; left out where that was whoever can read the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paused_by: Option<i64>,
    /// How many tasks wait, over all nodes.
    pub(super) depth: DepthView,
    /// How many are in somebody's hands, over all nodes.
    pub(super) running: u64,
    /// How long the oldest of those that could start now has waited, in seconds; `null` where there is none.
    pub(super) oldest_waiting_s: Option<f64>,
    /// What happened lately, over all nodes; some seconds late.
    pub(super) per_minute: RatesView,
    /// How long the tasks of the last hour waited from when they could start, in seconds.
    pub(super) wait_s: QuantilesView,
    /// How long the tries of the last hour took, in seconds.
    pub(super) run_s: QuantilesView,
}

/// What happened to tasks of a kind, per minute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KindRates)]
pub(super) struct RatesView {
    /// They were accepted.
    pub(super) created: RateView,
    /// They were done.
    pub(super) completed: RateView,
    /// They ended without success.
    pub(super) failed: RateView,
    /// A try ended with another to come, or somebody made them ready again.
    pub(super) retried: RateView,
}

/// Something per minute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rate)]
pub(super) struct RateView {
    /// Over the last minute.
    pub(super) last_1m: f64,
    /// Over the last five minutes.
    pub(super) last_5m: f64,
    /// Over the last hour.
    pub(super) last_60m: f64,
}

impl From<Rates> for RateView {
    fn from(Rates { one, five, hour }: Rates) -> Self {
        Self { last_1m: one, last_5m: five, last_60m: hour }
    }
}

/// Two quantiles, estimated; `null` where there is nothing to tell.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quantiles)]
pub(super) struct QuantilesView {
    /// Half of them were within this.
    pub(super) p50: Option<f64>,
    /// Nineteen of twenty were.
    pub(super) p95: Option<f64>,
}

impl From<Spread> for QuantilesView {
    fn from(spread: Spread) -> Self {
        Self { p50: spread.quantile(0.5), p95: spread.quantile(0.95) }
    }
}

/// How many tasks of a kind wait.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KindDepth)]
pub(super) struct DepthView {
    /// Those that the daemon may start now.
    pub(super) open: u64,
    /// Those whose time has not come.
    pub(super) parked: u64,
    /// Those that two workers died over: each runs alone.
    pub(super) suspect: u64,
    /// Those that workers outside may take now.
    pub(super) outside: u64,
}

/// How a kind stands after it was paused, or goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KindPause, example = json!(
    {"kind": "transcode", "paused": true, "paused_at": "2026-01-31T12:00:00.000000Z", "paused_by": 3}))]
pub(super) struct PauseView {
    /// Its name.
    kind: String,
    /// Whether it is paused.
    paused: bool,
    /// Since when; left out where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_at: Option<Timestamp>,
    /// By which user; left out where that was whoever can read the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_by: Option<i64>,
}

impl PauseView {
    fn of(kind: &Kind, pause: Option<&Pause>) -> Self {
        Self {
            kind: kind.to_string(),
            paused: pause.is_some(),
            paused_at: pause.map(|pause| pause.paused_at),
            paused_by: pause.and_then(|pause| pause.paused_by).map(|user| user.0),
        }
    }
}

/// The kinds that this node knows, and those of which there are tasks or a pause all the same, by name; as of now.
async fn overview(state: &State) -> Result<Vec<KindView>, Problem> {
    let now = state.store.now().await?;
    let hour = state.store.history(now.before(HOUR));
    let (pauses, loads, hour) = futures_util::try_join!(state.store.pauses(), state.store.loads(), hour)?;
    Ok(views(state, now, pauses, &loads, &hour))
}

/// The same, of what was found out at `now`: what is paused, what waits and runs, and what happened in the hour before.
pub(super) fn views(
    state: &State,
    now: Timestamp,
    pauses: Vec<Pause>,
    loads: &[KindLoad],
    hour: &[Minute],
) -> Vec<KindView> {
    let registry = state.intake.kinds();
    let known = registry.iter().map(|(kind, _)| kind).chain(registry.outside());
    let mut found: BTreeMap<Kind, (Option<KindLoad>, Option<Pause>)> =
        known.map(|kind| (kind.clone(), (None, None))).collect();
    for load in loads {
        let place = found.entry(load.kind.clone()).or_default();
        place.0 = Some(load.clone());
    }
    for pause in pauses {
        let place = found.entry(pause.kind.clone()).or_default();
        place.1 = Some(pause);
    }
    let view = |(kind, (load, pause)): (Kind, (Option<KindLoad>, Option<Pause>))| {
        let load = load.unwrap_or_else(|| KindLoad::none(kind.clone()));
        let trend = Trend::of(hour, &kind, now);
        KindView {
            outside: registry.outside().contains(&kind),
            concurrency: registry.iter().find(|(own, _)| **own == kind).map(|(_, permits)| permits),
            paused_at: pause.as_ref().map(|pause| pause.paused_at),
            paused_by: pause.and_then(|pause| pause.paused_by).map(|user| user.0),
            depth: DepthView {
                open: load.open,
                parked: load.parked,
                suspect: load.suspect,
                outside: load.outside,
            },
            running: load.running,
            oldest_waiting_s: load.oldest.map(|oldest| now.since(oldest).as_secs_f64()),
            per_minute: RatesView {
                created: trend.created.into(),
                completed: trend.completed.into(),
                failed: trend.failed.into(),
                retried: trend.retried.into(),
            },
            wait_s: trend.waits.into(),
            run_s: trend.runs.into(),
            kind: kind.to_string(),
        }
    };
    found.into_iter().map(view).collect()
}

/// The kinds of tasks. What each may do at once, whether it is paused, how much of it waits and runs on all nodes, and how
/// it has done in the last hour.
#[utoipa::path(
    get, path = "/kinds", operation_id = "listKinds", tag = "Administration", params(UserParam),
    responses((status = 200, description = "The kinds, by name.", body = Vec<KindView>)),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    auth::admin(&state, &request, named(&request)?).await?;
    let kinds = overview(&state).await?;
    Ok(json_answer(HttpResponse::Ok(), TaskView::many(kinds.as_slice())))
}

/// Pauses a kind: no task of it starts on any node, and none is given to a worker outside, until it goes on. Tasks that run
/// go on, and new ones are accepted. Outlives the daemon; pausing what is paused changes nothing.
#[utoipa::path(
    post, path = "/kinds/{kind}/pause", operation_id = "pauseKind", tag = "Administration", params(KindParam, UserParam),
    responses((status = 200, description = "It is paused.", body = PauseView)),
)]
pub(super) async fn pause(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    set(&state, &request, body, true).await
}

/// Lets a kind go on that was paused; one that was not stays as it is.
#[utoipa::path(
    post, path = "/kinds/{kind}/resume", operation_id = "resumeKind", tag = "Administration",
    params(KindParam, UserParam),
    responses((status = 200, description = "It goes on.", body = PauseView,
        example = json!({"kind": "transcode", "paused": false}))),
)]
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
    let kind = extract::kind(request)?;
    let caller = auth::admin(state, request, named(request)?).await?;
    let key = Key::of(request)?;
    let body = nothing(state, request, body).await?;
    let remember = key.map(|key| key.remember(request, caller, &[&body], answered));
    match set_paused(state, caller, kind.clone(), paused, remember).await? {
        Done::Now(pause) => {
            let view = PauseView::of(&kind, pause.as_ref());
            Ok(json_answer(HttpResponse::Ok(), TaskView::many(&view)))
        }
        Done::Before(answer) => replayed(answer),
    }
}

/// Pauses a kind, or lets it go on, for a caller who may, and notes that.
pub(super) async fn set_paused(
    state: &State,
    caller: Caller,
    kind: Kind,
    paused: bool,
    remember: Option<Remember>,
) -> Result<Done<Option<Pause>>, Problem> {
    let name = kind.to_string();
    let done = state.intake.set_paused(caller, kind, paused, remember).await?;
    if matches!(done, Done::Now(_)) {
        // No event tells of it.
        state.feed.nudge();
        state.actions.record(&match paused {
            true => Action::KindPaused { kind: name },
            false => Action::KindResumed { kind: name },
        });
    }
    Ok(done)
}

/// What to remember of it.
fn answered(reply: &Reply) -> Option<RememberedAnswer> {
    let Reply::PauseSet { kind, pause } = reply else { return None };
    let view = PauseView::of(kind, pause.as_ref());
    Some(remembered(StatusCode::OK, None, TaskView::many(&view)))
}

/// The name of a kind.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documents what `extract::kind` reads")]
pub(super) struct KindParam {
    /// The kind's name.
    #[param(pattern = "^[a-z][a-z0-9_]{0,31}$", example = "transcode")]
    kind: String,
}
