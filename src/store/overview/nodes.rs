//! Nodes: what each says of itself, in its row.
//!
//! Written by each node's scribe, as JSON, when it changed and now and then all the same; what an older or newer program
//! wrote there and this one cannot read is passed over. For admins: what components say may name services.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::task::{NodeId, Timestamp};

/// For how long it is known of a node that is gone that it was there.
pub const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// A node, or one that is gone since a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its incarnation.
    pub id: NodeId,
    /// Host and process, for people.
    pub name: String,
    /// When it registered.
    pub started_at: Timestamp,
    /// Until when its lease holds; [`Timestamp`] 0 when it was given back or ended.
    pub lease_until: Timestamp,
    /// Whether it is known not to have crashed: it drained, or lost its lease without dying.
    pub spared: bool,
    /// What it said of itself last.
    pub said: Option<NodeReport>,
    /// When it said that.
    pub said_at: Option<Timestamp>,
}

impl Node {
    /// Whether its lease holds at `now`.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.lease_until > now
    }
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The version of the program.
    pub version: String,
    /// The name of the machine.
    pub host: String,
    /// The words of its roles.
    pub roles: Vec<String>,
    /// Where it is in its life: `starting`, `ready` or `draining`.
    pub phase: String,
    /// Whether it takes work.
    pub ready: bool,
    /// Whether it takes work but lacks something optional.
    pub degraded: bool,
    /// Its components by name, actors among them.
    pub components: BTreeMap<String, ComponentReport>,
    /// The kinds that it runs, by name.
    pub kinds: BTreeMap<String, PermitsReport>,
}

/// What a node says of one of its components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentReport {
    /// `required` or `optional`.
    pub importance: String,
    /// `up`, `starting`, `restarting` or `down`.
    pub state: String,
    /// Since when it has not worked, while it does not.
    pub since: Option<Timestamp>,
    /// What made it fail, while it does not work.
    pub message: Option<String>,
    /// How often it was started again since the node started.
    pub restarts: u32,
    /// When that was last.
    pub restarted_at: Option<Timestamp>,
    /// What made it fail then.
    pub restarted_because: Option<String>,
}

/// How much a node may run of a kind, and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitsReport {
    /// At most so many at once.
    pub permits: u32,
    /// So many permits are out: for runs, and for what was given up and has not ended.
    pub taken: u32,
}
