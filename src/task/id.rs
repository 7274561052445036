//! Identifiers, a type each, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number!(
    /// A task's number: from 1, rising in the order of acceptance on one node, never used twice.
    TaskId(i64)
);
number!(
    /// A user's number: from 1.
    UserId(i64)
);

impl UserId {
    /// The owner of what is no user's, and not everybody's either: it is for those who run the daemon.
    pub const NOBODYS: Self = Self(-1);
}

number!(
    /// An event's place in the one public order of all events: from 1, rising, with gaps allowed.
    EventSeq(i64)
);
number!(
    /// One try at a task. 0 before the first start; raised by every start and by nothing else; never lowered.
    /// A worker's word counts only when it carries the current attempt.
    Attempt(u32)
);
uuid!(
    /// One incarnation of a daemon process: fresh at each start (and after the node lost its lease), so that
    /// what an earlier incarnation still says can be told apart.
    NodeId
);
uuid!(
    /// A recording's public name. Random (version 4), since knowing it is part of what opens the link.
    RecordingId
);

impl Attempt {
    /// Before the first start.
    pub const NONE: Self = Self(0);

    /// The attempt after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl NodeId {
    /// A new incarnation.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }
}

impl RecordingId {
    /// A new recording.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }
}
