//! `/nodes`: the nodes that share the database, how each is and what it runs.
//!
//! Called by the route table; for admins alone, since what components say may name services. [`nodes`] is what pages show as
//! well.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::task_view::TaskView;
use super::tasks::{UserParam, json_answer, named};
use super::{Problem, State, auth};
use crate::store::{ComponentReport, Node, NodeReport, PermitsReport};
use crate::task::Timestamp;

/// As many nodes as are shown.
const MOST: u32 = 500;

/// A node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node, example = json!({
    "id": "5f0c0b52-6f2b-4a6e-8a55-0f7d1f5f4f10", "name": "worker-1:4711", "alive": true,
    "started_at": "2026-01-31T12:00:00.000000Z", "lease_until": "2026-01-31T12:30:10.000000Z",
    "reported_at": "2026-01-31T12:29:58.000000Z", "version": "0.1.0", "host": "worker-1", "roles": ["http", "worker"],
    "phase": "ready", "ready": true, "degraded": true,
    "components": {
        "broker": {"importance": "optional", "state": "down", "since": "2026-01-31T12:20:00.000000Z",
            "message": "connection refused", "restarts": 0},
        "tracker": {"importance": "required", "state": "up", "restarts": 1,
            "restarted_at": "2026-01-31T12:10:00.000000Z", "restarted_because": "it panicked: out of range"}
    },
    "kinds": {"transcode": {"permits": 2, "taken": 1}}
}))]
pub(super) struct NodeView {
    /// Its incarnation: a node that starts again, or loses its lease, is another one.
    pub(super) id: String,
    /// Host and process.
    pub(super) name: String,
    /// Whether its lease holds. One that is gone is shown for a quarter of an hour.
    pub(super) alive: bool,
    /// Of a node that is gone: whether it is known not to have crashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_well: Option<bool>,
    /// Since when it has been there.
    #[schema(value_type = String, format = DateTime)]
    pub(super) started_at: Timestamp,
    /// Until when its lease holds; left out once it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) lease_until: Option<Timestamp>,
    /// When it said last what follows; it says so when something changed, and every minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) reported_at: Option<Timestamp>,
    /// What it said; nothing of it is there before the node has spoken.
    #[serde(flatten)]
    pub(super) report: Option<ReportView>,
}

/// What a node says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeReport)]
pub(super) struct ReportView {
    /// The version of the program.
    pub(super) version: String,
    /// The name of its machine.
    pub(super) host: String,
    /// What it does: `http`, `worker`, `janitor`.
    pub(super) roles: Vec<String>,
    /// Where it is in its life: `starting`, `ready` or `draining`.
    pub(super) phase: String,
    /// Whether it takes work.
    pub(super) ready: bool,
    /// Whether it takes work but lacks something optional.
    pub(super) degraded: bool,
    /// Its components by name, actors among them.
    pub(super) components: BTreeMap<String, ComponentView>,
    /// The kinds that the daemon runs there, by name.
    pub(super) kinds: BTreeMap<String, PermitsView>,
}

/// A component of a node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeComponent)]
pub(super) struct ComponentView {
    /// `required` or `optional`.
    pub(super) importance: String,
    /// `up`, `starting`, `restarting` or `down`.
    pub(super) state: String,
    /// Since when it has not worked; left out while it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) since: Option<Timestamp>,
    /// What made it fail; left out while it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// How often it failed and was started again since the node started.
    pub(super) restarts: u32,
    /// When that was last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) restarted_at: Option<Timestamp>,
    /// What made it fail then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restarted_because: Option<String>,
}

/// How much of a kind a node may run, and does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeKind)]
pub(super) struct PermitsView {
    /// At most so many at once.
    pub(super) permits: u32,
    /// So many of these are taken.
    pub(super) taken: u32,
}

impl From<NodeReport> for ReportView {
    fn from(report: NodeReport) -> Self {
        let NodeReport { version, host, roles, phase, ready, degraded, components, kinds } = report;
        let components = components.into_iter().map(|(name, component)| (name, component.into())).collect();
        let kinds = kinds.into_iter().map(|(name, kind)| (name, kind.into())).collect();
        Self { version, host, roles, phase, ready, degraded, components, kinds }
    }
}

impl From<ComponentReport> for ComponentView {
    fn from(report: ComponentReport) -> Self {
        let ComponentReport { importance, state, since, message, restarts, restarted_at, restarted_because } =
            report;
        Self { importance, state, since, message, restarts, restarted_at, restarted_because }
    }
}

impl From<PermitsReport> for PermitsView {
    fn from(PermitsReport { permits, taken }: PermitsReport) -> Self {
        Self { permits, taken }
    }
}

impl NodeView {
    fn of(node: Node, now: Timestamp) -> Self {
        let alive = node.is_alive(now);
        Self {
            id: node.id.to_string(),
            alive,
            ended_well: (!alive).then_some(node.spared),
            started_at: node.started_at,
            lease_until: alive.then_some(node.lease_until),
            reported_at: node.said_at,
            report: node.said.map(ReportView::from),
            name: node.name,
        }
    }
}

/// The nodes, the newest first.
pub(super) async fn nodes(state: &State) -> Result<Vec<NodeView>, Problem> {
    let (now, nodes) = futures_util::try_join!(state.store.now(), state.store.nodes(MOST))?;
    Ok(nodes.into_iter().map(|node| NodeView::of(node, now)).collect())
}

/// The nodes that share the database: how each is, what it does, and what it runs; some seconds late.
#[utoipa::path(
    get, path = "/nodes", operation_id = "listNodes", tag = "Administration", params(UserParam),
    responses((status = 200, description = "The nodes, the newest first.", body = Vec<NodeView>)),
)]
pub(super) async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    auth::admin(&state, &request, named(&request)?).await?;
    let nodes = nodes(&state).await?;
    Ok(json_answer(HttpResponse::Ok(), TaskView::many(nodes.as_slice())))
}
