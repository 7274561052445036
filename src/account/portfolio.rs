//! What somebody has and did here, in figures: what a report about them is drawn from.

use super::{CounterDay, Counters, User};
use crate::task::{Attempt, Failure, Kind, Status, TaskId, Timestamp};

/// Everything that a report tells of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Portfolio {
    /// Who.
    pub user: User,
    /// Their counters.
    pub counters: Counters,
    /// How those changed since the instant that was asked for; of each the last change before it comes first.
    pub history: Vec<CounterDay>,
    /// How many tasks they have, by kind and status.
    pub totals: Vec<Count>,
    /// The same of those made since the instant that was asked for, quarter of an hour by quarter of an hour.
    pub activity: Vec<Activity>,
    /// Their recordings.
    pub recordings: Holding,
    /// Their images.
    pub images: Holding,
    /// The bytes of all that their tasks hold; what several hold is counted for each.
    pub storage: u64,
    /// The same of what tasks hold that were made since the instant that was asked for, quarter of an hour by quarter of
    /// an hour, the oldest first; the rest of `storage` is of before.
    pub stored: Vec<Stored>,
    /// Their newest tasks, the newest first.
    pub recent: Vec<RecentWork>,
}

/// So many tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Of which kind.
    pub kind: Kind,
    /// Where they stand.
    pub status: Status,
    /// How many.
    pub tasks: u64,
}

/// So many tasks that were made within a quarter of an hour. Every time zone of today begins its days on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Its first instant.
    pub from: Timestamp,
    /// The tasks.
    pub count: Count,
}

/// So many bytes that are still held by tasks that were made within a quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its first instant.
    pub from: Timestamp,
    /// The bytes.
    pub bytes: u64,
}

/// A task, as far as a line of a table tells of it: without its payload and result, which may be large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentWork {
    /// Which.
    pub id: TaskId,
    /// What it does.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended, if it did.
    pub finished_at: Option<Timestamp>,
    /// Its last attempt.
    pub attempt: Attempt,
    /// Why its last attempt failed, if one did.
    pub error: Option<Failure>,
}

/// So many things of that many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}
