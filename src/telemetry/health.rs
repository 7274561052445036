//! The health board: what each component of this node is doing, and whether the node is ready for work.
//!
//! Components write their own state; the composition root writes the phase; `/health/ready`, the watchdog and
//! the drain read. True here: the node is ready if and only if its phase is `Ready` and every required
//! component is up; an optional one (the broker) may be down without turning callers away.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Where the node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not all components have come up yet.
    Starting,
    /// At work.
    Ready,
    /// Finishing what it has; taking nothing new.
    Draining,
}

/// Whether the node can work without a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Importance {
    /// Without it the node is not ready.
    Required,
    /// Without it the node does less, but works.
    Optional,
}

/// What a component is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum ComponentState {
    /// At work.
    Up,
    /// Coming up for the first time.
    Starting,
    /// Has failed and is being brought up again.
    Restarting {
        /// Since when it has not worked.
        since: DateTime<Utc>,
        /// Restarts so far in this spell.
        restarts: u32,
        /// What made it fail.
        reason: String,
    },
    /// Does not work.
    Down {
        /// Since when.
        since: DateTime<Utc>,
        /// What made it fail.
        reason: String,
    },
}

impl Phase {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

impl Importance {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }
}

impl ComponentState {
    /// The word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Starting => "starting",
            Self::Restarting { .. } => "restarting",
            Self::Down { .. } => "down",
        }
    }

    /// Since when it does not work, and what made it fail, while it does not.
    pub fn trouble(&self) -> Option<(DateTime<Utc>, &str)> {
        match self {
            Self::Restarting { since, reason, .. } | Self::Down { since, reason } => Some((*since, reason)),
            Self::Up | Self::Starting => None,
        }
    }

    fn is_up(&self) -> bool {
        match self {
            Self::Up => true,
            Self::Starting | Self::Restarting { .. } | Self::Down { .. } => false,
        }
    }

    fn since(&self) -> Option<DateTime<Utc>> {
        self.trouble().map(|(since, _)| since)
    }
}

/// The board of one node. Clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    board: Arc<RwLock<Board>>,
}

#[derive(Debug)]
struct Board {
    phase: Phase,
    components: BTreeMap<String, Component>,
    restarts: BTreeMap<String, Restarts>,
}

/// How often a component was started again since the node started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarts {
    /// So often.
    pub count: u32,
    /// When it failed last.
    pub last: DateTime<Utc>,
    /// What made it fail then.
    pub reason: String,
}

/// One component on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Whether the node can work without it.
    pub importance: Importance,
    /// What it is doing.
    #[serde(flatten)]
    pub state: ComponentState,
}

/// The board at one moment, as `/health/ready` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthSnapshot {
    /// Whether the node takes work.
    pub ready: bool,
    /// Whether it takes work but lacks something optional: what, the components say.
    pub degraded: bool,
    /// Where it is in its life.
    pub phase: Phase,
    /// Its components by name.
    pub components: BTreeMap<String, Component>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// An empty board of a node that is starting.
    pub fn new() -> Self {
        let board = Board { phase: Phase::Starting, components: BTreeMap::new(), restarts: BTreeMap::new() };
        Self { board: Arc::new(RwLock::new(board)) }
    }

    /// Puts a component on the board, as `Starting`. Before the phase becomes `Ready`, so that nothing is
    /// missed.
    pub fn register(&self, name: &str, importance: Importance) {
        let component = Component { importance, state: ComponentState::Starting };
        self.write().components.insert(name.to_owned(), component);
    }

    /// The component works.
    pub fn up(&self, name: &str) {
        self.set(name, ComponentState::Up);
    }

    /// The component has failed and is being brought up again, for the `restarts`th time.
    pub fn restarting(&self, name: &str, now: DateTime<Utc>, restarts: u32, reason: impl Into<String>) {
        self.set(name, ComponentState::Restarting { since: now, restarts, reason: reason.into() });
    }

    /// Counts that the component failed and is started again; stays known once it works.
    pub fn count_restart(&self, name: &str, now: DateTime<Utc>, reason: impl Into<String>) {
        let mut board = self.write();
        let count = board.restarts.get(name).map_or(0, |restarts| restarts.count).saturating_add(1);
        board.restarts.insert(name.to_owned(), Restarts { count, last: now, reason: reason.into() });
    }

    /// The components that were started again, and how often.
    pub fn restarts(&self) -> BTreeMap<String, Restarts> {
        self.read().restarts.clone()
    }

    /// The component does not work.
    pub fn down(&self, name: &str, now: DateTime<Utc>, reason: impl Into<String>) {
        self.set(name, ComponentState::Down { since: now, reason: reason.into() });
    }

    /// The component has ended as it should, and is nobody's worry any more.
    pub fn remove(&self, name: &str) {
        self.write().components.remove(name);
    }

    /// Sets a state. While a component stays in trouble the trouble's first moment is kept. A component that
    /// nobody registered is taken for a required one.
    fn set(&self, name: &str, mut state: ComponentState) {
        let mut board = self.write();
        let component = board
            .components
            .entry(name.to_owned())
            .or_insert(Component { importance: Importance::Required, state: ComponentState::Starting });
        if let Some(first) = component.state.since() {
            match &mut state {
                ComponentState::Restarting { since, .. } | ComponentState::Down { since, .. } => {
                    *since = first;
                }
                ComponentState::Up | ComponentState::Starting => {}
            }
        }
        component.state = state;
    }

    /// Moves the node to a phase. A node that drains never becomes ready again.
    pub fn set_phase(&self, phase: Phase) {
        let mut board = self.write();
        if board.phase != Phase::Draining {
            board.phase = phase;
        }
    }

    /// Where the node is in its life.
    pub fn phase(&self) -> Phase {
        self.read().phase
    }

    /// Whether the node takes work.
    pub fn is_ready(&self) -> bool {
        self.read().is_ready()
    }

    /// The board as it is now.
    pub fn snapshot(&self) -> HealthSnapshot {
        let board = self.read();
        HealthSnapshot {
            ready: board.is_ready(),
            degraded: board.is_degraded(),
            phase: board.phase,
            components: board.components.clone(),
        }
    }

    // No code here panics with the lock held, and every state that can be written is whole: a poisoned lock
    // is as good.
    fn read(&self) -> RwLockReadGuard<'_, Board> {
        self.board.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Board> {
        self.board.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
            && self.components.values().all(|component| match component.importance {
                Importance::Required => component.state.is_up(),
                Importance::Optional => true,
            })
    }

    /// Ready, and every required component is up then: what is not up is optional.
    fn is_degraded(&self) -> bool {
        self.is_ready() && self.components.values().any(|component| !component.state.is_up())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn ready_node() -> Health {
        let health = Health::new();
        health.register("database", Importance::Required);
        health.register("broker", Importance::Optional);
        health.up("database");
        health.set_phase(Phase::Ready);
        health
    }

    #[test]
    fn a_node_is_ready_once_its_phase_and_all_required_components_are() {
        let health = Health::new();
        health.register("database", Importance::Required);
        assert!(!health.is_ready());
        health.set_phase(Phase::Ready);
        assert!(!health.is_ready(), "the database is still starting");
        health.up("database");
        assert!(health.is_ready());
        health.restarting("database", at(1), 1, "lost");
        assert!(!health.is_ready());
        health.down("database", at(1), "gone");
        assert!(!health.is_ready());
    }

    #[test]
    fn an_optional_component_may_be_down() {
        let health = ready_node();
        assert!(health.snapshot().degraded, "the broker is not there yet");
        health.up("broker");
        assert!(!health.snapshot().degraded);
        health.down("broker", at(1), "connection refused");
        assert!(health.is_ready());
        assert!(health.snapshot().degraded);
        health.down("database", at(1), "gone");
        assert!(!health.snapshot().degraded, "that is more than degraded");
    }

    #[test]
    fn a_component_that_nobody_registered_is_required() {
        let health = ready_node();
        health.down("tracker", at(1), "panicked");
        assert!(!health.is_ready());
        health.remove("tracker");
        assert!(health.is_ready());
    }

    #[test]
    fn a_draining_node_never_becomes_ready_again() {
        let health = ready_node();
        health.clone().set_phase(Phase::Draining);
        health.set_phase(Phase::Ready);
        assert_eq!(health.phase(), Phase::Draining);
        assert!(!health.is_ready());
    }

    #[test]
    fn restarts_are_counted_and_stay_known() {
        let health = ready_node();
        health.count_restart("broker", at(10), "a");
        health.count_restart("broker", at(20), "b");
        health.up("broker");
        let expected = Restarts { count: 2, last: at(20), reason: "b".to_owned() };
        assert_eq!(health.restarts(), BTreeMap::from([("broker".to_owned(), expected)]));
    }

    #[test]
    fn trouble_is_dated_from_its_first_moment() {
        let health = ready_node();
        health.restarting("broker", at(10), 1, "a");
        health.restarting("broker", at(20), 2, "b");
        health.down("broker", at(30), "c");
        let state = health.snapshot().components["broker"].state.clone();
        assert_eq!(state, ComponentState::Down { since: at(10), reason: "c".to_owned() });

        health.up("broker");
        health.down("broker", at(40), "d");
        assert_eq!(health.snapshot().components["broker"].state.since(), Some(at(40)));
    }

    #[test]
    fn the_snapshot_is_plain_json() {
        let health = ready_node();
        health.restarting("broker", at(0), 2, "connection refused");
        let expected = serde_json::json!({
            "ready": true,
            "degraded": true,
            "phase": "ready",
            "components": {
                "broker": {
                    "importance": "optional",
                    "state": "restarting",
                    "since": "1970-01-01T00:00:00Z",
                    "restarts": 2,
                    "reason": "connection refused"
                },
                "database": { "importance": "required", "state": "up" }
            }
        });
        assert_eq!(serde_json::to_value(health.snapshot()).unwrap(), expected);
    }
}
