//! What those see who run the daemon: which kinds are paused, and how much of each waits and runs.
//!
//! A part of the port of its own, implemented once for both databases, as the statements are the same.
//!
//! **A pause** is a row of `paused_kinds`. It is written and taken away by [`Command::SetPaused`](super::Command), and read
//! in the transaction of every claim, by nodes and by workers outside (`load`): on PostgreSQL with the statement that begins
//! the transaction anyway, on SQLite by a look at a table that is nearly always empty. So a pause that was answered holds for
//! whatever begins to claim after it, on every node, and there is no cache that could be stale. What runs goes on.

mod history;
mod nodes;
pub(super) mod rows;

use async_trait::async_trait;

pub use history::{Minute, MinuteCounts, Rates, Span, Spread, Stretch, Trend, minute_of, start_of};
pub use nodes::{ComponentReport, Node, NodeReport, PermitsReport, REMEMBERED};

use super::{Selection, StoreError};
use crate::task::{Kind, NodeId, TaskId, Timestamp, UserId};

/// That a kind is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Which.
    pub kind: Kind,
    /// Since when.
    pub paused_at: Timestamp,
    /// By which user; `None` is whoever can read the data folder.
    pub paused_by: Option<UserId>,
}

/// How much of a kind there is to do, over all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindLoad {
    /// Which kind.
    pub kind: Kind,
    /// Tasks that this daemon's nodes may start now.
    pub open: u64,
    /// Tasks whose time has not come, or that no node has looked at since it came.
    pub parked: u64,
    /// Tasks that were running when two workers died: each runs alone.
    pub suspect: u64,
    /// Tasks that workers outside may take now.
    pub outside: u64,
    /// Tasks that are in somebody's hands.
    pub running: u64,
    /// When the oldest of those that may start now became ready; `None` where there is none.
    pub oldest: Option<Timestamp>,
}

impl KindLoad {
    /// Nothing of it.
    #[must_use]
    pub fn none(kind: Kind) -> Self {
        Self { kind, open: 0, parked: 0, suspect: 0, outside: 0, running: 0, oldest: None }
    }

    /// All that waits.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.open + self.parked + self.suspect + self.outside
    }
}

/// Numbers over all kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Tasks that are there and failed.
    pub failed: u64,
    /// Tasks that were ever made; deletion takes none away.
    pub created: u64,
}

/// What is shown to those who run the daemon.
#[async_trait]
pub trait Overview: Send + Sync {
    /// The kinds that are paused, by name.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;

    /// How much waits and runs of each kind of which there is anything, by name. Its cost grows with what waits, not with
    /// what ended.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn loads(&self) -> Result<Vec<KindLoad>, StoreError>;

    /// The numbers of selected tasks behind `after`, ascending, at most `limit`.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn selected(
        &self,
        selection: &Selection,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError>;

    /// What happened since that instant, minute by minute and kind by kind, on all nodes together: the minute of the instant
    /// included, those in which nothing happened left out. It is some seconds late.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn history(&self, since: Timestamp) -> Result<Vec<Minute>, StoreError>;

    /// Writes down what the process of that name counted within these minutes, in place of what it wrote of them before.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn write_history(&self, counter: &str, minutes: &[Minute]) -> Result<(), StoreError>;

    /// Forgets what happened before that instant; says of how many minutes, kinds and processes.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn forget_history(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Writes down what a node says of itself.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn tell_node(&self, node: NodeId, report: &NodeReport) -> Result<(), StoreError>;

    /// The nodes, the newest first, at most `limit`; those that are gone too, for [`REMEMBERED`], as far as those that live
    /// leave room.
    ///
    /// # Errors
    /// When the database does not answer, or a row is corrupt.
    async fn nodes(&self, limit: u32) -> Result<Vec<Node>, StoreError>;

    /// The numbers over all kinds. Their cost grows with what failed, not with what was done.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn totals(&self) -> Result<Totals, StoreError>;
}
