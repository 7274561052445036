//! Who has a task in hand: a node of the daemon, a program outside, or a person.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::{NodeId, Timestamp};

/// Who has a task in hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// An incarnation of the daemon, for one of its runners; its lease is the task's lease.
    Node(NodeId),
    /// A program outside, under the name that it gave itself; the task has a lease of its own.
    Worker(WorkerName),
    /// A person, who is [`super::Life::assignee`] where known; with a lease only where one is configured.
    Person,
}

impl Holder {
    /// The incarnation, when it is one.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Node(node) => Some(*node),
            Self::Worker(_) | Self::Person => None,
        }
    }
}

impl From<NodeId> for Holder {
    fn from(node: NodeId) -> Self {
        Self::Node(node)
    }
}

/// As the database has it: an incarnation's number, `worker:` and its name, or `person:`. Only the two outside have
/// a colon.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Worker(name) => write!(f, "worker:{name}"),
            Self::Person => f.write_str("person:"),
        }
    }
}

/// The text names no holder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no holder of a task")]
pub struct HolderError(String);

impl FromStr for Holder {
    type Err = HolderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || HolderError(text.chars().take(80).collect());
        match text.split_once(':') {
            None => text.parse().map(Self::Node).map_err(|_| error()),
            Some(("worker", name)) => name.parse().map(Self::Worker).map_err(|_| error()),
            Some(("person", "")) => Ok(Self::Person),
            Some(_) => Err(error()),
        }
    }
}

/// What a program outside calls itself: 1 to 64 visible ASCII characters. For people and logs; it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkerName(Arc<str>);

/// The text is no worker's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {} visible ASCII characters", WorkerName::MAX_BYTES)]
pub struct WorkerNameError;

impl WorkerName {
    /// The longest name.
    pub const MAX_BYTES: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WorkerName {
    type Err = WorkerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.into())) } else { Err(WorkerNameError) }
    }
}

impl TryFrom<String> for WorkerName {
    type Error = WorkerNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WorkerName> for String {
    fn from(name: WorkerName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long somebody outside may hold a task without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// How far each sign of life carries; `None` when only the task's own time limit ends it.
    pub span: Option<Duration>,
    /// When it ends unless there is a sign of life before.
    pub until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_holder_reads_back_as_itself_and_nothing_else_is_one() {
        let worker = Holder::Worker("resize@host:8080".parse().unwrap());
        for holder in [Holder::Node(NodeId::fresh()), worker, Holder::Person] {
            assert_eq!(holder.to_string().parse(), Ok(holder));
        }
        for text in ["", "worker:", "person:7", "node:1", "worker:two words", "worker:\u{442}"] {
            assert!(text.parse::<Holder>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_worker_calls_itself_something_that_can_be_shown() {
        for good in ["a", "host-7:1234/resize", &"w".repeat(64)] {
            assert!(good.parse::<WorkerName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\n", "имя", &"w".repeat(65)] {
            assert!(bad.parse::<WorkerName>().is_err(), "{bad}");
        }
    }
}
