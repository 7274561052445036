//! Doing the same to many tasks: what can be done, and what came of it.

use crate::task::{Status, TaskId};

/// What is done to many tasks at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BulkAct {
    /// They are stopped.
    Cancel,
    /// They are made ready again.
    Retry,
    /// They are removed.
    Delete,
}

impl BulkAct {
    /// The statuses in which it can be done; empty is all.
    #[must_use]
    pub fn statuses(self) -> &'static [Status] {
        match self {
            Self::Cancel => &[Status::New, Status::InProgress],
            Self::Retry => &[Status::Failed, Status::Cancelled],
            Self::Delete => &[],
        }
    }
}

/// What came of doing something to many tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bulk {
    /// Tasks that were selected.
    pub matched: u64,
    /// Those of them that were changed.
    pub changed: u64,
    /// Those that were not: where they stand forbids it, or they are gone.
    pub refused: u64,
    /// Behind which to go on; `None` when there is nothing more.
    pub next: Option<TaskId>,
}
