//! What the world is told: one event for each change of a task.

use serde::{Deserialize, Serialize};

use super::{Attempt, Failure, Holder, Kind, NodeId, Percent, TaskId, Timestamp, UserId, WorkerName};

/// One fact of a task's life, written in the same transaction as the change it tells of. Its number in the
/// public order ([`super::EventSeq`]) is given by the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Whose.
    pub task: TaskId,
    /// Of which kind, so that listeners can filter without a look-up.
    pub kind: Kind,
    /// Whose task it is, which is who may hear of it.
    pub owner: Option<UserId>,
    /// In which attempt; 0 before the first start.
    pub attempt: Attempt,
    /// When, on the store's clock.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

/// What happened, with what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Accepted.
    Created,
    /// Given to a worker; the attempt is the new one.
    Started {
        /// Who has it in hand.
        holder: Holder,
        /// The user whom it was given to, where a user took it.
        assignee: Option<UserId>,
    },
    /// Further along.
    Progress(Percent),
    /// Done.
    Completed,
    /// Ended without success.
    Failed(Failure),
    /// Back to `New`, to be tried again not before `run_at`.
    Retrying {
        /// What ended the attempt, or who asked.
        cause: RetryCause,
        /// The earliest next start.
        run_at: Timestamp,
    },
    /// Stopped by somebody's wish.
    Cancelled,
    /// Removed.
    Deleted,
}

/// Why a task goes back to `New`.
#[derive(Debug, Clone, PartialEq)]
pub enum RetryCause {
    /// The attempt failed and tries are left.
    Failed(Failure),
    /// It was given back undone, by a daemon that drained or by whoever had it; costs no try.
    Interrupted,
    /// The worker died or lost its lease; costs no try, but is counted.
    WorkerLost,
    /// Somebody asked for it.
    Asked,
}

/// The name of a fact: exactly these words on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are explained at `Fact`")]
pub enum EventName {
    Created,
    Started,
    Progress,
    Completed,
    Failed,
    Retrying,
    Cancelled,
    Deleted,
}

impl EventName {
    /// Every name.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Started,
        Self::Progress,
        Self::Completed,
        Self::Failed,
        Self::Retrying,
        Self::Cancelled,
        Self::Deleted,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Retrying => "retrying",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
        }
    }

    /// The name that `word` is.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }
}

impl Fact {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> EventName {
        match self {
            Self::Created => EventName::Created,
            Self::Started { .. } => EventName::Started,
            Self::Progress(_) => EventName::Progress,
            Self::Completed => EventName::Completed,
            Self::Failed(_) => EventName::Failed,
            Self::Retrying { .. } => EventName::Retrying,
            Self::Cancelled => EventName::Cancelled,
            Self::Deleted => EventName::Deleted,
        }
    }

    /// What goes with the name, as it is kept and published; `None` when the name says it all.
    #[must_use]
    pub fn data(&self) -> Option<EventData> {
        let data = match self {
            Self::Created | Self::Completed | Self::Cancelled | Self::Deleted => return None,
            Self::Started { holder, assignee } => {
                let mut data = EventData { assignee: *assignee, ..EventData::default() };
                match holder {
                    Holder::Node(node) => data.node = Some(*node),
                    Holder::Worker(name) => data.worker = Some(name.clone()),
                    Holder::Person => {}
                }
                data
            }
            Self::Progress(percent) => EventData { percent: Some(*percent), ..EventData::default() },
            Self::Failed(failure) => EventData { error: Some(failure.clone()), ..EventData::default() },
            Self::Retrying { cause, run_at } => {
                let (word, error) = match cause {
                    RetryCause::Failed(failure) => ("failed", Some(failure.clone())),
                    RetryCause::Interrupted => ("interrupted", None),
                    RetryCause::WorkerLost => ("worker_lost", None),
                    RetryCause::Asked => ("asked", None),
                };
                EventData { cause: Some(word.into()), error, run_at: Some(*run_at), ..EventData::default() }
            }
        };
        Some(data)
    }
}

/// The published form of what goes with an event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventData {
    /// `started`: the incarnation that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// `started`: the program outside that took it. Neither this nor `node`: a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerName>,
    /// `started`: the user whom it was given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<UserId>,
    /// `progress`: how far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// `retrying`: `failed`, `interrupted`, `worker_lost` or `asked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// `failed`, `retrying`: the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// `retrying`: the earliest next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
}

impl EventData {
    /// Who began, for a `started`.
    #[must_use]
    pub fn holder(&self) -> Holder {
        match (self.node, &self.worker) {
            (Some(node), _) => Holder::Node(node),
            (None, Some(name)) => Holder::Worker(name.clone()),
            (None, None) => Holder::Person,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_name_reads_back_as_itself() {
        for name in EventName::ALL {
            assert_eq!(EventName::parse(name.as_str()), Some(name));
        }
        assert_eq!(EventName::parse("begun"), None);
    }
}
